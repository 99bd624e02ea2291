/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP server and client. The server (libmicrohttpd) reads and bounds a request, finds its route,
 * and hands it to a worker (TX_READ, TX_NONE) or to the database's writer (TX_WRITE) while the
 * connection is suspended. It knows no users: who acts and what they may do come from two functions
 * that main hands over. Conventions: problem+json (RFC 9457), ETag/If-Match, Idempotency-Key,
 * X-Request-Id, limits; see docs/api.md. */
#ifndef SUANHE_HTTP_H
#define SUANHE_HTTP_H

#include "base/base.h"
#include "db/db.h"

enum tx_mode { TX_NONE, TX_READ, TX_WRITE };

enum route_flag {
    ROUTE_PUBLIC = 1,       /* no actor needed (login, catalogue); permission is ignored */
    ROUTE_KEY_REQUIRED = 2, /* Idempotency-Key must be there (creates or moves money) */
    ROUTE_NO_KEY = 4,       /* never stored: login, token endpoints */
    ROUTE_IF_MATCH = 8, /* 428 without If-Match; the handler compares request->if_match_version */
    ROUTE_FORM = 16,    /* body is application/x-www-form-urlencoded, read by the same shape */
    ROUTE_STREAM = 32,  /* long-lived reply (SSE): the handler fills reply->stream */
    ROUTE_ADMIN_SOCKET = 64, /* only over the unix socket of the data folder */
    ROUTE_RAW_BODY = 128,    /* any content type; handler reads request->body */
};

struct request {
    const struct route *route;
    str_t method, path; /* path decoded, without query */
    str_t raw_path;     /* as sent */
    str_t params[4];    /* {id} of the route, decoded, in order */
    str_t body;
    const struct json *json; /* parsed body or NULL */
    const void *input;       /* the body read by the route's shape, or NULL */
    str_t query_names[32], query_values[32];
    int query_count;
    str_t client_ip;
    str_t authorization, cookie, csrf_token, x_org, sec_fetch_site, user_agent, accept_language;
    str_t idempotency_key;
    int64_t if_match_version; /* 0: none; -1: `*` */
    str_t if_none_match;
    str_t last_event_id;
    str_t nonce; /* X-Nonce, echoed by a connection test */
    int64_t prefer_wait_s;
    bool over_admin_socket;
    bool secure; /* TLS here, or a trusted proxy said https */
};

/* A stream that outlives its handler (SSE). next() fills buf with what is new, called every time it
 * is woken or a second passed; false ends the stream. close() frees the state. */
struct http_stream {
    void *state;
    bool (*next)(void *state, struct buf *out);
    void (*close)(void *state);
};

enum { REPLY_HEADERS_MAX = 12 };
struct reply {
    int status;               /* 0: 200 */
    struct buf body;          /* ready to write into; JSON unless content_type says otherwise */
    const char *content_type; /* NULL: application/json; charset=utf-8 */
    str_t header_names[REPLY_HEADERS_MAX], header_values[REPLY_HEADERS_MAX];
    int header_count;
    struct http_stream stream;
    struct jw json; /* writes into body */
};
void reply_header(struct reply *reply, const char *name, str_t value);
void reply_etag(struct ctx *ctx, struct reply *reply, int64_t version); /* strong "v17" */

typedef err_t (*handler_fn)(struct ctx *ctx, const struct request *request, struct reply *reply);

struct route {
    const char *method, *path; /* "/api/v1/orders/{id}/cancel" */
    int permission;            /* enum permission of core/account; 0 with ROUTE_PUBLIC */
    enum tx_mode tx;
    const struct shape *body; /* NULL: a body is refused (but for ROUTE_RAW_BODY) */
    handler_fn handler;
    int flags;
};
struct route_table {
    const struct route *routes;
    int count;
};
#define ROUTES(table)                                      \
    {                                                      \
        (table), (int)(sizeof(table) / sizeof((table)[0])) \
    }

/* Request helpers. */
str_t request_query(const struct request *request, const char *name); /* empty when absent */
/* Bounded integer parameter; absent gives `otherwise`, malformed refuses naming the parameter. */
err_t request_query_int(struct ctx *ctx, const struct request *request, const char *name,
                        int64_t min, int64_t max, int64_t otherwise, int64_t *out);
/* The path parameter as a key of this prefix, or ERR_NOT_FOUND. */
err_t request_ref(struct ctx *ctx, const struct request *request, int index, const char *prefix,
                  ref_t *out);
str_t request_cookie(const struct request *request, const char *name);
/* Refuses any query parameter not in `known` (space-separated). */
err_t request_known_query(struct ctx *ctx, const struct request *request, const char *known);
/* 412 `version_mismatch` unless If-Match named this version. */
err_t request_if_match(struct ctx *ctx, const struct request *request, int64_t version);

/* Cursors: opaque, HMACed text over (a keyset position, a filter hash). */
str_t cursor_make(struct ctx *ctx, int64_t position, int64_t tie, uint64_t filter_hash);
err_t cursor_read(struct ctx *ctx, str_t cursor, uint64_t filter_hash, int64_t *out_position,
                  int64_t *out_tie);
void cursor_set_key(const uint8_t key[32]);

/* ---- server ---- */
struct http_asset { /* embedded file of the portal; table sorted by path */
    const char *path, *mime, *etag;
    bool immutable;
    const uint8_t *raw, *br, *gz;
    size_t raw_len, br_len, gz_len;
};

struct http_hooks {
    /* Fills ctx->actor from cookie or bearer; nobody is no error (the route may be public). Runs
     * with a transaction open. Refuses bad tokens, missing CSRF, foreign X-Org. */
    err_t (*authenticate)(struct ctx *ctx, const struct request *request);
    /* Refuses unless ctx->actor holds the route's permission. */
    err_t (*authorise)(struct ctx *ctx, const struct request *request);
    /* Throttle before any work: refuse(ERR_LIMIT) with retry_after_s. May be NULL. */
    err_t (*admit)(struct ctx *ctx, const struct request *request);
};

struct http_options {
    str_t bind;              /* "127.0.0.1" */
    int port;                /* 0: any free port (tests) */
    const char *unix_socket; /* administration socket, mode 0600; NULL: none */
    int threads;             /* event loops; 0: 2 */
    int workers;             /* 0: 4 */
    size_t body_max;         /* 0: 1 MiB */
    int connections_max;     /* 0: 2048 */
    int timeout_s;           /* idle and slow-body limit; 0: 15 */
    const struct route_table *tables;
    int table_count;
    struct http_hooks hooks;
    const struct http_asset *assets;
    int asset_count;
    const char *portal_dir;    /* serve from this folder instead (development) */
    const char *trusted_proxy; /* address allowed to set X-Forwarded-*; NULL: none */
    bool docs_index_fallback;  /* unknown GET outside the API gives index.html */
};

struct http_server;
err_t http_start(struct ctx *ctx, struct platform *platform, const struct http_options *options,
                 struct http_server **out_server);
int http_port(const struct http_server *server);
/* Stops taking connections, finishes what runs (10 s at most), resumes suspended ones, frees. */
void http_stop(struct http_server *server);
/* Wakes streams: something happened. Safe from any thread. */
void http_wake_streams(struct http_server *server);

struct http_stats {
    int64_t requests, refused, in_flight, streams, connections;
    int64_t by_class[6]; /* 1xx..5xx */
};
void http_stats(struct http_server *server, struct http_stats *out);
/* All routes as JSON: method, path, permission, tx, flags, body fields with types and bounds (for
 * `suanhe routes`). */
void http_print_routes(struct buf *out, const struct route_table *tables, int count,
                       const char *(*permission_name)(int permission));

/* ---- client (libcurl); blocking; no redirects followed; answers bounded ---- */
struct http_call {
    const char *method;
    str_t url, body, content_type; /* content_type empty: application/json */
    str_t bearer;                  /* or empty */
    str_t basic_user, basic_password;
    str_t header_names[8], header_values[8];
    int header_count;
    int connect_timeout_ms, timeout_ms; /* 0: 3000, 10000 */
    size_t reply_max;                   /* 0: 1 MiB */
    const char *unix_socket;            /* or NULL */
    /* IPv4 networks such as "127.0.0.0/8,10.1.0.0/16": plain http, and private addresses, are
     * allowed to these alone. */
    str_t plain_networks;
    bool allow_plain_http; /* http:// is refused unless set */
    bool allow_private;    /* private, loopback and link-local addresses are refused unless set */
};
struct http_answer {
    int status; /* 0: no answer */
    str_t body, content_type, etag, location;
    int64_t retry_after_s;
    bool timed_out,
        unreachable; /* unreachable: surely not delivered (refused connection, no name) */
    str_t error;
};
/* One handle per thread, reuses connections. */
struct http_client;
struct http_client *http_client_new(void);
void http_client_free(struct http_client *client);
/* OK also for 4xx/5xx answers; ERR_UPSTREAM without an answer (out->timed_out / unreachable say
 * why). */
err_t http_send(struct ctx *ctx, struct http_client *client, const struct http_call *call,
                struct http_answer *out);

#endif
