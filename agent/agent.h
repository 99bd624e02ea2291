/* SPDX-License-Identifier: Apache-2.0 */
/* suanhe-agent: a complete scheduling platform for one or many providers. It takes orders (R16,
 * R8), keeps a journal, drives a backend until reality is as wished, and reports (R17). A crash at
 * any point resumes from the journal. */
#ifndef SUANHE_AGENT_H
#define SUANHE_AGENT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/base.h"
#include "db/db.h"
#include "http/http.h"

enum { PROVIDERS_MAX = 64 };

struct provider {
    str_t name, code; /* code: last part of base_url's path, names it in our own paths */
    str_t client_id, client_secret; /* ours at the platform */
    str_t bearer;                   /* the platform's here */
    /* the token at the platform, used by the worker thread only */
    str_t token;
    utc_t token_until;
};

struct agent_config {
    str_t listen_host, platform_url, state_dir, tool_base;
    int listen_port;
    int64_t delay_ms; /* what the fake backend takes for a resource */
    struct provider providers[PROVIDERS_MAX];
    int provider_count;
    struct arena *arena;
};
bool agent_config_read(const char *file, struct agent_config *out, const char **out_message);

/* ---- backends ---- */
enum backend_result {
    BACKEND_OK,
    BACKEND_PENDING,
    BACKEND_NOT_FOUND,
    BACKEND_CONFLICT,
    BACKEND_INVALID,
    BACKEND_NO_CAPACITY,
    BACKEND_RETRY
};
struct backend_status {
    str_t external_id;
    utc_t started_at;
    char message[200];
};
/* Each call opens its own transaction on the journal's database file: a backend is another system.
 */
struct backend {
    const char *kind;
    /* Creates, or converges to what is there already under our name; never makes a second one. */
    enum backend_result (*ensure)(struct ctx *ctx, ref_t resource, str_t spec,
                                  struct backend_status *out);
    /* Absent is OK. */
    enum backend_result (*terminate)(struct ctx *ctx, ref_t resource);
};
extern const struct backend fake_backend;

/* ---- the process ---- */
struct agent {
    struct platform platform; /* first: a handler's ctx->platform leads here */
    struct agent_config config;
    const struct backend *backend;
    struct http_server *http;
    pthread_t worker, reporter;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_bool stopping;
    int crash_at; /* fault point that kills the process (tests), 0: none */
    atomic_int crash_count;
};
struct agent *agent_of(struct ctx *ctx);
void agent_poke(struct agent *agent);
/* Numbered places where a crash would hurt most; AGENT_CRASH=n kills the process at the nth that is
 * passed. */
void agent_fault_point(struct agent *agent, const char *where);

/* ---- journal ---- */
enum agent_order_state { AGENT_ORDER_ACCEPTED = 1, AGENT_ORDER_REJECTED = 2 };
enum agent_item_state {
    AGENT_INTENDED = 1,
    AGENT_CREATING,
    AGENT_ACTIVE,
    AGENT_FAILED,
    AGENT_CANCELLED
};
enum agent_desired { DESIRED_PRESENT = 1, DESIRED_ABSENT };
extern const struct names agent_item_names;

struct agent_order {
    ref_t id;
    int32_t provider, state;
    int64_t sequence, report_sequence;
    str_t digest, answer, change_digest, change_answer;
    int32_t answer_status, change_status;
};
struct agent_item {
    ref_t id, order_id, instance_id;
    int32_t provider, state, desired, attempts, quantity;
    utc_t due_at, started_at, expires_at;
    str_t term, spec, external_instance_id, error;
};
struct agent_report {
    ref_t id, order_id;
    int32_t provider, attempts;
    int64_t sequence;
    str_t body;
    utc_t created_at;
};
err_t journal_order(struct ctx *ctx, ref_t id, struct agent_order *out, bool *out_found);
err_t journal_add_order(struct ctx *ctx, const struct agent_order *order);
err_t journal_set_change(struct ctx *ctx, ref_t id, int64_t sequence, str_t digest, int status,
                         str_t answer);
err_t journal_add_item(struct ctx *ctx, const struct agent_item *item);
err_t journal_items(struct ctx *ctx, ref_t order, struct agent_item **out, size_t *out_count);
err_t journal_item(struct ctx *ctx, ref_t id, struct agent_item *out);
err_t journal_due_items(struct ctx *ctx, int limit, struct agent_item **out, size_t *out_count);
err_t journal_save_item(struct ctx *ctx, const struct agent_item *item);
/* Appends a report about items of one order, in order, to be sent by the reporter. */
err_t journal_report(struct ctx *ctx, ref_t order, const struct agent_item *items, size_t count);
/* The first unsent report of each order that is due. */
err_t journal_due_reports(struct ctx *ctx, int limit, struct agent_report **out, size_t *out_count);
err_t journal_report_sent(struct ctx *ctx, ref_t id);
err_t journal_report_later(struct ctx *ctx, const struct agent_report *report, utc_t due_at,
                           str_t error);
err_t journal_next_due(struct ctx *ctx, utc_t *out);

/* ---- parts ---- */
extern const struct route_table agent_routes;
err_t agent_authenticate(struct ctx *ctx, const struct request *request);
err_t agent_authorise(struct ctx *ctx, const struct request *request);
void *agent_worker(void *agent);   /* drives items */
void *agent_reporter(void *agent); /* sends reports */
/* A bearer at the platform; fetched and kept until shortly before it ends. */
err_t agent_token(struct ctx *ctx, struct agent *agent, struct http_client *client, int provider,
                  str_t *out);
/* `suanhe-agent report`: reports products (R5) from a file of JSON lines. */
int agent_report_products(struct agent *agent, const char *provider, const char *file);

#endif
