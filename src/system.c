/* SPDX-License-Identifier: Apache-2.0 */
/* Routes about the server itself: health, metrics, where its contracts are. */
#include <assert.h>
#include <inttypes.h>
#include <stddef.h>

#include "account/account.h"
#include "db/db.h"
#include "event/event.h"
#include "evidence/evidence.h"
#include "job/job.h"
#include "server.h"

static struct server *server_of(struct ctx *ctx)
{
    static_assert(offsetof(struct server, opened) == 0 && offsetof(struct opened, platform) == 0,
                  "the platform stands first");
    return (struct server *)(void *)ctx->platform;
}

static err_t get_health(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    (void)ctx;
    (void)request;
    struct jw *w = &reply->json;
    jw_object(w);
    jw_put_text(w, "status", STR("ok"));
    jw_put_text(w, "version", STR(SUANHE_VERSION));
    jw_end_object(w);
    return OK;
}

static void metric(struct buf *out, const char *name, const char *type, const char *help,
                   int64_t value)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRId64 "\n", name, help, name, type, name,
               value);
}

static void write_logs(struct buf *out, const struct evidence_stats *stats)
{
    buf_puts(out, "# HELP suanhe_log_entries Entries of a log.\n# TYPE suanhe_log_entries gauge\n");
    for (int log = 1; log <= LOG_COUNT; log++)
        buf_printf(out, "suanhe_log_entries{log=\"%s\"} %" PRId64 "\n", evidence_log_word(log),
                   stats->entries[log]);
    buf_puts(out, "# HELP suanhe_head_size Entries under the newest signed head.\n# TYPE "
                  "suanhe_head_size gauge\n");
    for (int log = 1; log <= LOG_COUNT; log++)
        buf_printf(out, "suanhe_head_size{log=\"%s\"} %" PRId64 "\n", evidence_log_word(log),
                   stats->head_size[log]);
    buf_puts(out, "# HELP suanhe_head_age_ms Age of the newest signed head.\n# TYPE "
                  "suanhe_head_age_ms gauge\n");
    for (int log = 1; log <= LOG_COUNT; log++)
        buf_printf(out, "suanhe_head_age_ms{log=\"%s\"} %" PRId64 "\n", evidence_log_word(log),
                   stats->head_age_ms[log]);
}

static err_t get_metrics(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct server *server = server_of(ctx);
    struct db_stats db;
    struct http_stats http;
    struct evidence_stats logs;
    int64_t waiting = 0, dead = 0;
    if (!str_is(request->client_ip, "127.0.0.1") && !str_is(request->client_ip, "::1") &&
        !request->over_admin_socket)
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "only from this machine");
    db_stats(ctx->platform->db, &db);
    http_stats(server->http, &http);
    evidence_stats(ctx->platform->evidence, &logs);
    TRY(job_count(ctx, JOB_ORDER_DELIVERY, JOB_PENDING, &waiting));
    TRY(job_count(ctx, JOB_ORDER_DELIVERY, JOB_DEAD, &dead));
    struct buf *out = &reply->body;
    reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
    metric(out, "suanhe_writer_queue_depth", "gauge", "Pieces waiting to be written.",
           db.queue_depth);
    metric(out, "suanhe_writer_commits_total", "counter", "Commits.", db.commits);
    metric(out, "suanhe_writer_pieces_total", "counter", "Pieces written.", db.pieces);
    metric(out, "suanhe_writer_commit_us_total", "counter", "Microseconds in commits.",
           db.commit_us_total);
    metric(out, "suanhe_writer_commit_us_max", "gauge", "Longest commit in microseconds.",
           db.commit_us_max);
    metric(out, "suanhe_writer_repeated_total", "counter", "Pieces run again.", db.repeated);
    metric(out, "suanhe_http_requests_total", "counter", "Requests.", http.requests);
    metric(out, "suanhe_http_refused_total", "counter", "Requests refused at the edge.",
           http.refused);
    metric(out, "suanhe_http_in_flight", "gauge", "Requests being worked on.", http.in_flight);
    metric(out, "suanhe_http_connections", "gauge", "Open connections.", http.connections);
    metric(out, "suanhe_http_streams", "gauge", "Open event streams.", http.streams);
    metric(out, "suanhe_delivery_backlog", "gauge",
           "Messages to scheduling platforms not yet delivered.", waiting);
    metric(out, "suanhe_delivery_dead", "gauge",
           "Messages given up, to be replayed by an operator.", dead);
    metric(out, "suanhe_evidence_pending", "gauge", "Facts not yet numbered.", logs.pending);
    metric(out, "suanhe_event_position", "gauge", "Last fact indexed for its readers.",
           event_position(ctx->platform->events));
    write_logs(out, &logs);
    return OK;
}

static err_t get_api_catalog(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    (void)ctx;
    (void)request;
    reply->content_type = "application/linkset+json";
    buf_puts(
        &reply->body,
        "{\"linkset\":[{\"anchor\":\"/api/v1\",\"service-desc\":[{\"href\":\"/"
        "openapi.json\",\"type\":"
        "\"application/json\"}],\"status\":[{\"href\":\"/healthz\"}]},{\"anchor\":\"/if2/v1\","
        "\"service-desc\":[{\"href\":\"/if2/openapi.json\",\"type\":\"application/json\"}]}]}");
    return OK;
}

static const struct route routes[] = {
    {"GET", "/healthz", PERM_NONE, TX_NONE, NULL, get_health, ROUTE_PUBLIC},
    {"GET", "/metrics", PERM_NONE, TX_READ, NULL, get_metrics, ROUTE_PUBLIC},
    {"GET", "/.well-known/api-catalog", PERM_NONE, TX_NONE, NULL, get_api_catalog, ROUTE_PUBLIC},
};
const struct route_table system_routes = ROUTES(routes);
