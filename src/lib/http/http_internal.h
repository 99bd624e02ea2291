/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of lib/http. An exchange is one request with its memory, its reply and what runs it. It
 * belongs to the event loop until it is handed over (the connection is suspended meanwhile) and
 * again from the resume on. */
#ifndef SUANHE_HTTP_INTERNAL_H
#define SUANHE_HTTP_INTERNAL_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include <microhttpd.h>

#include "http/http.h"

enum {
    PATH_MAX_BYTES = 1024,
    QUERY_MAX = 32,
    HEADERS_MAX = 64,
    PARAMS_MAX = 4,
    SEGMENTS_MAX = 16,
    HEAD_BYTES_MAX = 16 << 10,
    CONNECTION_BYTES = 32 << 10, /* the head, its index, and room for the head of the reply */
    REPLY_BODY_MAX = 64 << 20,
    WORK_QUEUE_MAX = 1024,
    EXCHANGES_KEPT = 256,
    STREAMS_MAX = 512,
    STREAMS_PER_ACTOR = 16,
    STREAM_BUFFER_MAX = 256 << 10,
    HEARTBEAT_S = 15,
    STOP_WAIT_MS = 10000,
};

struct http_server;
struct stream;

enum exchange_state { EX_NEW, EX_READING, EX_RUNNING, EX_READY, EX_SENT };

struct edge_heads {
    str_t host, content_length, transfer_encoding, content_type, accept_encoding, request_id;
    str_t if_match, prefer, forwarded_for, forwarded_proto, expect;
    int count;
    size_t bytes;
    bool malformed;
    const char *malformed_name; /* which header, when known */
    bool duplicate;
};

struct exchange {
    struct exchange *next; /* free list or work queue */
    struct http_server *server;
    struct MHD_Connection *connection;
    struct conn *conn;
    struct ctx ctx;
    struct request request;
    struct reply reply;
    struct edge_heads heads;
    enum exchange_state state;
    bool head, counted, close_after, body_too_large, from_asset;
    int64_t start_us;
    char *body;
    size_t body_len, body_capacity;

    err_t result; /* of the edge or of the run; the problem is in ctx */
    err_t held;   /* an early refusal that waits until the actor is known */
    struct problem *held_problem;

    /* idempotency.c */
    bool keyed, claimed, stored, replayed;
    uint64_t scope_hash;
    uint8_t scope[32], body_digest[32];
    struct exchange *claim_next;
    ref_t row_id;

    struct stream *stream;
    uint64_t stream_owner;
    bool stream_admitted;
};

/* ---- router.c ---- */
struct router_entry {
    const struct route *route;
    str_t segments[SEGMENTS_MAX]; /* data NULL: a parameter */
    int segment_count;
};
struct router {
    struct router_entry *entries; /* by number of segments, literals before parameters */
    int count;
    int first[SEGMENTS_MAX + 2];
};
bool router_init(struct router *router, const struct route_table *tables, int count,
                 const char **out_message);
void router_free(struct router *router);
/* The route of the request's method and these segments; parameters go into request. NULL: none;
 * *out_allow then lists the methods of this path, or stays empty when the path is unknown. */
const struct route *router_find(const struct router *router, struct arena *arena,
                                const str_t *segments, int count, struct request *request,
                                str_t *out_allow);

/* ---- edge.c ---- */
/* Reads request line and headers. Refusals are left in ctx->problem; close_after says the framing
 * is not to be trusted. */
err_t edge_begin(struct exchange *x, const char *method, const char *version);
bool edge_take_body(struct exchange *x, const char *data, size_t len);
/* The body is here: reads it by the route's shape; what must wait for the actor is held. */
err_t edge_body(struct exchange *x);
/* Decodes %XX (and '+' in queries); false: bad escape, NUL or bad UTF-8. */
bool percent_decode(struct arena *arena, str_t in, bool plus_is_space, str_t *out);
bool path_is_server(str_t path);
bool tag_matches(str_t list, str_t etag);

/* ---- form.c ---- */
err_t form_to_json(struct ctx *ctx, const struct shape *shape, str_t body, const struct json **out);

/* ---- run.c ---- */
struct work_pool {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    struct exchange *head, *tail;
    int depth;
    bool stopping;
    pthread_t *threads;
    int thread_count;
};
bool pool_start(struct http_server *server, int threads);
void pool_stop(struct http_server *server);
/* Hands over to the writer or a worker; the connection is suspended already. false: full. */
bool run_exchange(struct exchange *x);
err_t check_held(struct exchange *x);

/* ---- idempotency.c ---- */
struct reply_window {
    uint64_t *hashes;
    int64_t *rows;
    size_t capacity, used;
    utc_t since;
};
enum { WINDOWS = 3, CLAIM_BUCKETS = 1024 };
struct idempotency {
    pthread_mutex_t mutex;
    bool shared; /* several instances: the table is asked, not the window */
    struct reply_window windows[WINDOWS]; /* newest first */
    struct exchange *claims[CLAIM_BUCKETS];
};
err_t idempotency_init(struct ctx *ctx, struct http_server *server);
void idempotency_free(struct idempotency *idempotency);
/* Reads the key's syntax; a bad or missing one is refused. */
err_t idempotency_key_check(struct ctx *ctx, struct exchange *x);
/* Inside the transaction, the actor known: *out_replayed when the stored reply now stands in
 * x->reply. */
err_t idempotency_begin(struct ctx *ctx, struct exchange *x, bool *out_replayed);
err_t idempotency_store(struct ctx *ctx, struct exchange *x);
/* Another instance stored a reply to this key first. */
bool idempotency_lost(const struct exchange *x);
/* The transaction is decided. */
void idempotency_done(struct exchange *x, bool committed);
err_t idempotency_purge(struct ctx *ctx, void *deleted_int64);

/* ---- reply.c ---- */
void reply_init(struct exchange *x);
/* Builds and queues the reply of x->result. */
enum MHD_Result reply_send(struct exchange *x);
void reply_security_headers(struct MHD_Response *response, const struct exchange *x, bool page);
void problem_write(struct exchange *x);
bool prefers_chinese(str_t accept_language);

/* ---- assets.c ---- */
/* Answers a path outside the routes from the portal; false: not found. Sets x->from_asset. */
bool asset_serve(struct exchange *x);
/* An embedded file of exactly this path (the contracts lie under paths of the server). */
bool asset_is_there(const struct exchange *x);

/* ---- stream.c ---- */
struct stream_hub {
    pthread_mutex_t mutex;
    pthread_cond_t news;
    struct stream *streams;
    uint64_t owners[STREAMS_MAX];
    int count;
    bool awake, stopping;
    pthread_t thread;
    bool started;
};
bool streams_start(struct http_server *server);
void streams_stop(struct http_server *server);
/* Ends all streams, so that their connections finish. */
void streams_end(struct http_server *server);
err_t stream_admit(struct ctx *ctx, struct exchange *x);
void stream_release(struct exchange *x);
struct MHD_Response *stream_response(struct exchange *x);
/* True: the stream still lives and will give the exchange back itself. */
bool stream_keeps(struct exchange *x);
int64_t streams_count(struct http_server *server);

/* ---- server.c ---- */
struct conn {
    struct conn *previous, *next;
    int fd;
    _Atomic int64_t deadline_us; /* the request must be read by then; INT64_MAX: nothing to read */
    char ip[INET6_ADDRSTRLEN];
    bool admin;
};
struct listener {
    struct http_server *server;
    bool admin;
    struct MHD_Daemon *daemon;
    int fd;
};
struct http_server {
    struct platform *platform;
    struct http_options options;
    struct router router;
    struct listener tcp, local;
    int port;
    struct work_pool pool;
    struct idempotency idempotency;
    struct stream_hub hub;

    pthread_mutex_t exchanges_mutex;
    struct exchange *free_exchanges;
    int free_count;

    pthread_mutex_t conns_mutex;
    struct conn *conns;

    pthread_mutex_t keeper_mutex;
    pthread_cond_t keeper_wake;
    pthread_t keeper;
    bool keeper_stop, keeper_started;

    atomic_bool stopping;
    _Atomic uint64_t id_counter;
    uint64_t id_seed;
    _Atomic int64_t requests, refused, in_flight, connections;
    _Atomic int64_t by_class[6];
};
struct exchange *exchange_take(struct http_server *server);
void exchange_give(struct exchange *x);

/* ---- keeper.c ---- */
bool keeper_start(struct http_server *server);
void keeper_stop(struct http_server *server);

#endif
