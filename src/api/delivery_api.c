/* SPDX-License-Identifier: Apache-2.0 */
/* For operators: messages to scheduling platforms, what waits, what is dead, and trying again. */
#include "api/api.h"
#include "catalog/catalog.h"
#include "order/order.h"

static const char *const delivery_states[] = {NULL, "pending", "in_flight", "delivered", "dead"};
static const struct names delivery_state_names = NAMES(delivery_states);

static void write_delivery(struct jw *w, const struct job *job)
{
    jw_object(w);
    jw_put_ref(w, "delivery_id", "dlv", job->id);
    jw_put_ref(w, "order_id", "ord", job->subject);
    bool waiting = job->state == JOB_PENDING && job->attempts > 0;
    jw_put_text(w, "state",
                waiting ? STR("retry_wait") : str_of(names_of(&delivery_state_names, job->state)));
    jw_put_int(w, "attempts", job->attempts);
    jw_put_text_or_null(w, "last_error", job->last_error);
    jw_put_utc(w, "due_at", job->due_at);
    jw_put_utc(w, "created_at", job->created_at);
    jw_key(w, "message");
    jw_raw(w, job->payload.len ? job->payload : STR("{}"));
    jw_end_object(w);
}

static err_t get_deliveries(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct job *jobs;
    size_t count;
    int64_t limit, before = 0, tie;
    int32_t state = 0;
    str_t wanted = request_query(request, "state"), cursor = request_query(request, "cursor");
    TRY(request_known_query(ctx, request, "state limit cursor"));
    TRY(request_query_int(ctx, request, "limit", 1, 200, 50, &limit));
    if (str_is(wanted, "retry_wait"))
        state = JOB_PENDING;
    else if (wanted.len && !names_find(&delivery_state_names, wanted, &state))
        return refuse_field(ctx, STR("/query/state"), "not_in_list", "no such state");
    uint64_t hash = str_hash(str_printf(ctx->arena, "deliveries " STR_FMT, STR_ARG(wanted)));
    if (cursor.len)
        TRY(cursor_read(ctx, cursor, hash, &before, &tie));
    TRY(job_list(ctx, JOB_ORDER_DELIVERY, state, (ref_t){before}, (int)limit + 1, &jobs, &count));
    bool more = count > (size_t)limit;
    if (more)
        count = (size_t)limit;
    struct jw *w = &reply->json;
    jw_object(w);
    jw_key(w, "data");
    jw_array(w);
    /* What was never tried waits for no retry; such a page may hold less than asked for. */
    bool tried_only = str_is(wanted, "retry_wait");
    for (size_t i = 0; i < count; i++)
        if (!tried_only || jobs[i].attempts > 0)
            write_delivery(w, &jobs[i]);
    jw_end_array(w);
    jw_key(w, "next_cursor");
    if (more)
        jw_text(w, cursor_make(ctx, jobs[count - 1].id.value, 0, hash));
    else
        jw_null(w);
    jw_end_object(w);
    return OK;
}

static err_t post_delivery_retry(struct ctx *ctx, const struct request *request,
                                 struct reply *reply)
{
    struct job job = {0};
    ref_t id;
    TRY(request_ref(ctx, request, 0, "dlv", &id));
    TRY(job_load(ctx, id, &job));
    if (job.kind != JOB_ORDER_DELIVERY)
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such delivery");
    if (job.state == JOB_DONE)
        return refuse(ctx, ERR_STATE, "illegal_transition", "it was delivered");
    TRY(job_revive(ctx, id));
    TRY(job_load(ctx, id, &job));
    write_delivery(&reply->json, &job);
    return OK;
}

static const struct route routes[] = {
    {"GET", "/api/v1/admin/deliveries", PERM_ADMIN_READ, TX_READ, NULL, get_deliveries, 0},
    {"POST", "/api/v1/admin/deliveries/{id}/retry", PERM_ADMIN_SYNC, TX_WRITE, NULL,
     post_delivery_retry, 0},
};
const struct route_table delivery_routes = ROUTES(routes);
