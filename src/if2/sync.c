/* SPDX-License-Identifier: Apache-2.0 */
/* Durable delivery: reads what is due, calls the scheduling platform outside any transaction, and
 * writes what came of it in one. Deliveries of one order go one by one, in order; a failing order
 * holds up only itself. An unknown outcome is sent again with the same content: the order id is the
 * key on the other side. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "if2/outbound.h"

/* Seconds until the next try after the nth failure; then dead. Some 80 hours in all, 20 % jitter.
 */
static const int64_t retry_s[] = {15,   15,    30,    180,   600,   1200,  1800,  1800,
                                  3600, 10800, 10800, 21600, 21600, 43200, 86400, 86400};
enum { RETRY_COUNT = sizeof(retry_s) / sizeof(retry_s[0]), RETRY_AFTER_MAX_S = 3600 };

struct if2_sync {
    struct if2_outbound options;
};

struct if2_sync *if2_sync_new(const struct if2_outbound *options)
{
    struct if2_sync *sync = calloc(1, sizeof(*sync));
    ENSURE(sync != NULL);
    sync->options = *options;
    return sync;
}

void if2_sync_free(struct if2_sync *sync)
{
    free(sync);
}

/* ---- what a delivery does ---- */
enum verdict {
    VERDICT_RETRY,
    VERDICT_OBSOLETE,
    VERDICT_ACCEPTED,
    VERDICT_PENDING,
    VERDICT_REJECTED,
    VERDICT_DONE,
    VERDICT_REFUSED
};

struct delivery {
    const struct job *job;
    const struct json *message;
    struct outbound_content content;
    struct http_answer answer;
    enum verdict verdict;
    str_t external_order_id, detail;
};

static err_t load_content(struct ctx *ctx, void *arg)
{
    struct delivery *d = arg;
    struct outbound_content *content = &d->content;
    TRY(order_load(ctx, d->job->subject, &content->child));
    TRY(order_items(ctx, &content->child.m.id.value, 1, &content->items, &content->item_count));
    content->occurred_at = d->job->created_at;
    return store_outbound(ctx, content->child.store_id, &content->base_url, &content->bearer);
}

/* The pairwise subject is made at its first use, so it needs a write. */
static err_t load_subject(struct ctx *ctx, void *arg)
{
    struct delivery *d = arg;
    return account_subject(ctx, d->content.child.provider_org_id, d->content.child.buyer_user_id,
                           &d->content.subject);
}

static str_t answer_code(struct ctx *ctx, const struct http_answer *answer,
                         const struct json **out_body)
{
    const char *why;
    *out_body = json_parse_text(ctx->arena, answer->body, &why);
    str_t code = json_get_text(*out_body, "code");
    return code.len <= 100 ? code : STR("");
}

static void judge_order(struct ctx *ctx, struct delivery *d)
{
    const struct json *body;
    str_t code = answer_code(ctx, &d->answer, &body);
    int status = d->answer.status;
    d->external_order_id = json_get_text(body, "external_order_id");
    if (d->external_order_id.len > 200)
        d->external_order_id.len = 200;
    while (!str_is_utf8(d->external_order_id)) /* not cut inside a character */
        d->external_order_id.len--;
    if (status == 200 || status == 201)
        d->verdict = VERDICT_ACCEPTED;
    else if (status == 202)
        d->verdict = VERDICT_PENDING;
    else if (str_is(code, "order_rejected") || str_is(code, "capacity_exhausted") ||
             str_is(code, "sku_unknown"))
        d->verdict = VERDICT_REJECTED;
    else
        d->verdict = VERDICT_RETRY;
    /* An accepting answer must be one: a page of some proxy is not. */
    if ((d->verdict == VERDICT_ACCEPTED || d->verdict == VERDICT_PENDING) &&
        json_kind(body) != JSON_OBJECT)
        d->verdict = VERDICT_RETRY;
    d->detail = code.len ? code : str_printf(ctx->arena, "HTTP %d", status);
}

static void judge_change(struct ctx *ctx, struct delivery *d)
{
    const struct json *body;
    str_t code = answer_code(ctx, &d->answer, &body);
    int status = d->answer.status;
    d->detail = code.len ? code : str_printf(ctx->arena, "HTTP %d", status);
    if (status == 200 && json_kind(body) == JSON_OBJECT)
        d->verdict = VERDICT_DONE;
    else if (status == 202)
        d->verdict = VERDICT_PENDING;
    else if (status == 409 && str_is(code, "illegal_transition"))
        d->verdict = VERDICT_REFUSED;
    else if (status == 404 && str_is(code, "order_unknown") &&
             d->content.child.acknowledged_at.ms == 0)
        d->verdict = VERDICT_DONE; /* it never got there, and the lane holds no try that could still
                                      arrive */
    else
        d->verdict = VERDICT_RETRY;
}

/* An order that ended meanwhile is not sent down any more. */
static bool is_obsolete(const struct delivery *d)
{
    int state = d->content.child.m.state;
    bool is_order = str_is(json_get_text(d->message, "type"), "order");
    return is_order && state != ORDER_ACCEPTING && state != ORDER_PROVISIONING &&
           state != ORDER_CANCELLING;
}

static void send_delivery(struct ctx *ctx, struct if2_sync *sync, struct http_client *client,
                          struct delivery *d)
{
    bool is_order = str_is(json_get_text(d->message, "type"), "order");
    str_t id = ref_text(ctx->arena, "ord", d->job->subject);
    const struct outbound_message message = {
        .method = "POST",
        .path = is_order ? STR("/if2/v1/orders")
                         : str_printf(ctx->arena, "/if2/v1/orders/" STR_FMT "/status-changes",
                                      STR_ARG(id)),
        .body = is_order ? outbound_order(ctx, &d->content)
                         : outbound_change(ctx, &d->content, d->message),
    };
    if (outbound_send(ctx, client, &sync->options, &d->content, &message, &d->answer) != OK) {
        problem_clear(ctx);
        d->verdict = VERDICT_RETRY;
        d->detail = d->answer.error.len ? d->answer.error : STR("no answer");
        return;
    }
    if (is_order)
        judge_order(ctx, d);
    else
        judge_change(ctx, d);
}

static utc_t next_try(struct ctx *ctx, const struct delivery *d)
{
    int n = d->job->attempts < RETRY_COUNT ? d->job->attempts : RETRY_COUNT - 1;
    uint8_t dice;
    crypto_random(&dice, 1);
    int64_t wait = retry_s[n] * 1000 * (800 + dice * 400 / 255) / 1000;
    int64_t asked =
        d->answer.retry_after_s > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : d->answer.retry_after_s;
    return utc_add(ctx->now, asked * 1000 > wait ? asked * 1000 : wait);
}

static err_t write_verdict(struct ctx *ctx, void *arg)
{
    struct delivery *d = arg;
    ref_t child = d->job->subject;
    switch (d->verdict) {
    case VERDICT_ACCEPTED:
        TRY(order_acknowledged(ctx, child, d->external_order_id, true));
        return job_finish(ctx, d->job->id);
    case VERDICT_OBSOLETE:
        return job_finish(ctx, d->job->id);
    case VERDICT_PENDING:
        if (str_is(json_get_text(d->message, "type"), "order"))
            TRY(order_acknowledged(ctx, child, d->external_order_id, false));
        return job_finish(ctx, d->job->id);
    case VERDICT_REJECTED:
        TRY(job_finish(ctx, d->job->id));
        return order_rejected(ctx, child, d->detail);
    case VERDICT_DONE:
    case VERDICT_REFUSED:
        TRY(order_cancel_answered(ctx, child, json_get_text(d->message, "change_id"),
                                  d->verdict == VERDICT_DONE));
        return job_finish(ctx, d->job->id);
    case VERDICT_RETRY:
    default:
        if (d->job->attempts >= RETRY_COUNT)
            return job_kill(ctx, d->job, d->detail);
        return job_retry(ctx, d->job, next_try(ctx, d), d->detail);
    }
}

static void run_delivery(struct ctx *ctx, const struct job *job, void *state)
{
    struct if2_sync *sync = state;
    struct db *db = ctx->platform->db;
    const char *why;
    struct delivery d = {.job = job, .message = json_parse_text(ctx->arena, job->payload, &why)};
    ENSURE(json_kind(d.message) == JSON_OBJECT);
    ctx->request_id =
        str_printf(ctx->arena, "dl-%" PRIx64 "-%d", (uint64_t)job->id.value, job->attempts);
    if (db_read(ctx, db, load_content, &d) != OK || db_write(ctx, db, load_subject, &d) != OK) {
        d.verdict = VERDICT_RETRY;
        d.detail = str_of(ctx->problem.reason);
        problem_clear(ctx);
    } else if (is_obsolete(&d)) {
        d.verdict = VERDICT_OBSOLETE;
        d.detail = STR("the order has ended");
    } else {
        struct http_client *client = http_client_new();
        send_delivery(ctx, sync, client, &d);
        http_client_free(client);
    }
    ctx->now = clock_now();
    if (db_write(ctx, db, write_verdict, &d) != OK)
        log_at(LOG_ERROR, "delivery_not_recorded", "job=%" PRId64 " reason=%s", job->id.value,
               ctx->problem.reason);
    log_line("delivery", "order=" STR_FMT " type=" STR_FMT " attempt=%d status=%d detail=" STR_FMT,
             STR_ARG(ref_text(ctx->arena, "ord", job->subject)),
             STR_ARG(json_get_text(d.message, "type")), job->attempts, d.answer.status,
             STR_ARG(d.detail));
}

/* ---- timers ---- */
struct timer {
    const struct job *job;
    err_t (*step)(struct ctx *ctx, ref_t subject);
};

static err_t run_step(struct ctx *ctx, void *arg)
{
    struct timer *timer = arg;
    TRY(timer->step(ctx, timer->job->subject));
    return job_finish(ctx, timer->job->id);
}

static err_t put_off(struct ctx *ctx, void *arg)
{
    struct timer *timer = arg;
    return job_retry(ctx, timer->job, utc_add(ctx->now, MS_MINUTE), str_of(ctx->problem.reason));
}

static void run_timer(struct ctx *ctx, const struct job *job,
                      err_t (*step)(struct ctx *ctx, ref_t subject))
{
    struct timer timer = {.job = job, .step = step};
    if (db_write(ctx, ctx->platform->db, run_step, &timer) == OK)
        return;
    log_at(LOG_WARN, "timer_failed", "kind=%d reason=%s", job->kind, ctx->problem.reason);
    if (db_write(ctx, ctx->platform->db, put_off, &timer) != OK)
        log_at(LOG_ERROR, "timer_not_put_off", "kind=%d", job->kind);
}

static void run_pay_timeout(struct ctx *ctx, const struct job *job, void *state)
{
    (void)state;
    run_timer(ctx, job, order_pay_timeout);
}

static void run_silence(struct ctx *ctx, const struct job *job, void *state)
{
    (void)state;
    run_timer(ctx, job, order_silence);
}

static void run_settle(struct ctx *ctx, const struct job *job, void *state)
{
    (void)state;
    run_timer(ctx, job, order_settle_item);
}

int if2_sync_handlers(struct if2_sync *sync, struct job_handler *out, int max)
{
    const struct job_handler handlers[] = {
        {JOB_ORDER_DELIVERY, run_delivery, sync},
        {JOB_ORDER_PAY_TIMEOUT, run_pay_timeout, sync},
        {JOB_ORDER_SILENCE, run_silence, sync},
        {JOB_ITEM_SETTLE, run_settle, sync},
    };
    int count = (int)(sizeof(handlers) / sizeof(handlers[0]));
    ENSURE(count <= max);
    memcpy(out, handlers, sizeof(handlers));
    return count;
}
