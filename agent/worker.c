/* SPDX-License-Identifier: Apache-2.0 */
/* Drives items until what is matches what is wished, and sends the reports. Both read what is due
 * from the journal, act outside any transaction, and write what came of it in one, so a crash
 * between leaves a row that is due again. */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "agent.h"
#include "crypto/crypto.h"

enum { TRIES_MAX = 8, BATCH = 64, IDLE_MS = 500 };

static void wait_for_work(struct agent *agent, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    int64_t ns = until.tv_nsec + ms * 1000000;
    until.tv_sec += ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    pthread_mutex_lock(&agent->lock);
    if (!atomic_load(&agent->stopping))
        pthread_cond_timedwait(&agent->wake, &agent->lock, &until);
    pthread_mutex_unlock(&agent->lock);
}

void agent_poke(struct agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    pthread_cond_broadcast(&agent->wake);
    pthread_mutex_unlock(&agent->lock);
}

void agent_fault_point(struct agent *agent, const char *where)
{
    if (agent->crash_at > 0 && atomic_fetch_add(&agent->crash_count, 1) + 1 == agent->crash_at) {
        log_line("crash", "at=%s", where);
        abort();
    }
}

/* ---- items ---- */
struct item_step {
    struct agent_item item;
    bool report;
};

struct due_items {
    struct agent_item *items;
    size_t count;
};

static err_t read_due_items(struct ctx *ctx, void *arg)
{
    struct due_items *due = arg;
    return journal_due_items(ctx, BATCH, &due->items, &due->count);
}

static err_t save_step(struct ctx *ctx, void *arg)
{
    const struct item_step *step = arg;
    struct agent_item now = {0};
    TRY(journal_item(ctx, step->item.id, &now));
    struct agent_item next = step->item;
    /* A cancel may have come while the backend worked: its wish stays, and it is due at once. */
    if (now.desired != next.desired && now.desired == DESIRED_ABSENT) {
        next.desired = DESIRED_ABSENT;
        next.state = now.state == AGENT_CANCELLED ? AGENT_CANCELLED : AGENT_CREATING;
        next.due_at = ctx->now;
        return journal_save_item(ctx, &next);
    }
    TRY(journal_save_item(ctx, &next));
    return step->report ? journal_report(ctx, next.order_id, &next, 1) : OK;
}

static void fail_item(struct item_step *step, const char *message)
{
    step->item.state = AGENT_FAILED;
    step->item.due_at = (utc_t){0};
    step->item.error = str_of(message);
    step->report = true;
}

static int64_t backoff_ms(int attempts)
{
    int64_t ms = 500;
    for (int i = 1; i < attempts && ms < 60000; i++)
        ms *= 2;
    return ms < 60000 ? ms : 60000;
}

static utc_t end_of_term(utc_t from, str_t term)
{
    int64_t count;
    if (term.len < 3 || term.data[0] != 'P' ||
        !str_to_int(str_from(term.data + 1, term.len - 2), 1, 120, &count))
        return (utc_t){0};
    char unit = term.data[term.len - 1];
    int anchor = utc_shanghai(from).day;
    if (unit == 'M' || unit == 'Y')
        return utc_add_months(from, (int)count * (unit == 'Y' ? 12 : 1), anchor);
    return unit == 'D' ? utc_add(from, count * MS_DAY) : (utc_t){0};
}

static void step_present(struct ctx *ctx, struct agent *agent, struct item_step *step)
{
    struct backend_status status = {0};
    struct agent_item *item = &step->item;
    bool first = item->state == AGENT_INTENDED;
    switch (agent->backend->ensure(ctx, item->instance_id, item->spec, &status)) {
    case BACKEND_OK:
        item->state = AGENT_ACTIVE;
        item->due_at = (utc_t){0};
        item->external_instance_id = status.external_id;
        item->started_at = status.started_at;
        item->expires_at = end_of_term(status.started_at, item->term);
        step->report = true;
        return;
    case BACKEND_PENDING:
        item->state = AGENT_CREATING;
        item->due_at = utc_add(ctx->now, 200);
        step->report = first;
        return;
    case BACKEND_RETRY:
        item->attempts++;
        item->due_at = utc_add(ctx->now, backoff_ms(item->attempts));
        if (item->attempts < TRIES_MAX)
            return;
        item->desired = DESIRED_ABSENT; /* end for certain what may be there, then say so */
        return;
    case BACKEND_NOT_FOUND:
    case BACKEND_CONFLICT:
    case BACKEND_INVALID:
    case BACKEND_NO_CAPACITY:
    default:
        fail_item(step, status.message[0] ? str_z(ctx->arena, str_of(status.message))
                                          : "the backend refused");
        return;
    }
}

static void step_absent(struct ctx *ctx, struct agent *agent, struct item_step *step)
{
    struct agent_item *item = &step->item;
    bool told = item->state == AGENT_CANCELLED; /* the answer to the cancel said so already */
    if (agent->backend->terminate(ctx, item->instance_id) == BACKEND_OK) {
        item->state = item->attempts >= TRIES_MAX ? AGENT_FAILED : AGENT_CANCELLED;
        if (item->state == AGENT_FAILED)
            item->error = STR("given up after repeated failures");
        item->due_at = (utc_t){0};
        step->report = !told;
        return;
    }
    item->due_at = utc_add(ctx->now, 2000);
}

static void drive(struct ctx *ctx, struct agent *agent, const struct agent_item *item)
{
    struct item_step step = {.item = *item};
    agent_fault_point(agent, "before the backend");
    if (item->desired == DESIRED_PRESENT)
        step_present(ctx, agent, &step);
    else
        step_absent(ctx, agent, &step);
    agent_fault_point(agent, "between backend and journal");
    if (db_write(ctx, agent->platform.db, save_step, &step) != OK)
        log_at(LOG_ERROR, "journal_failed", "item=%" PRId64 " reason=%s", item->id.value,
               ctx->problem.reason);
    agent_fault_point(agent, "after the journal");
}

void *agent_worker(void *arg)
{
    struct agent *agent = arg;
    while (!atomic_load(&agent->stopping)) {
        struct ctx ctx;
        struct due_items due = {0};
        ctx_init(&ctx, &agent->platform, clock_now());
        if (db_read(&ctx, agent->platform.db, read_due_items, &due) != OK)
            due.count = 0;
        for (size_t i = 0; i < due.count && !atomic_load(&agent->stopping); i++) {
            ctx.now = clock_now();
            drive(&ctx, agent, &due.items[i]);
        }
        if (due.count > 0)
            agent_poke(agent);
        ctx_done(&ctx);
        if (due.count < BATCH)
            wait_for_work(agent, due.count ? 50 : IDLE_MS);
    }
    return NULL;
}

/* ---- reports ---- */
struct due_reports {
    struct agent_report *reports;
    size_t count;
};

static err_t read_due_reports(struct ctx *ctx, void *arg)
{
    struct due_reports *due = arg;
    return journal_due_reports(ctx, BATCH, &due->reports, &due->count);
}

struct report_step {
    const struct agent_report *report;
    bool sent;
    str_t error;
    utc_t due_at;
};

static err_t save_report(struct ctx *ctx, void *arg)
{
    const struct report_step *step = arg;
    if (step->sent)
        return journal_report_sent(ctx, step->report->id);
    return journal_report_later(ctx, step->report, step->due_at, step->error);
}

/* The platform is ahead of us when it expects a later sequence: this report was applied and its
 * answer lost. */
static bool was_applied(struct ctx *ctx, const struct http_answer *answer, int64_t sequence)
{
    const char *why;
    const struct json *body = json_parse_text(ctx->arena, answer->body, &why);
    return str_is(json_get_text(body, "code"), "sequence_gap") &&
           json_get_int(body, "expected", 0) > sequence;
}

static bool post_report(struct ctx *ctx, struct agent *agent, struct http_client *client,
                        const struct agent_report *report, struct http_answer *answer)
{
    str_t token;
    if (agent_token(ctx, agent, client, report->provider, &token) != OK)
        return false;
    str_t order = ref_text(ctx->arena, "ord", report->order_id);
    const struct http_call call = {
        .method = "POST",
        .url = str_printf(ctx->arena, STR_FMT "/if2/v1/orders/" STR_FMT "/fulfilments",
                          STR_ARG(agent->config.platform_url), STR_ARG(order)),
        .body = report->body,
        .bearer = token,
        .allow_plain_http = true,
        .allow_private = true,
    };
    return http_send(ctx, client, &call, answer) == OK;
}

static void send_report(struct ctx *ctx, struct agent *agent, struct http_client *client,
                        const struct agent_report *report)
{
    struct http_answer answer = {0};
    struct report_step step = {.report = report};
    agent_fault_point(agent, "before the report");
    bool answered = post_report(ctx, agent, client, report, &answer);
    problem_clear(ctx);
    agent_fault_point(agent, "between report and journal");
    if (answered && answer.status == 401)
        agent->config.providers[report->provider].token_until = (utc_t){0};
    step.sent = answered && (answer.status == 200 || was_applied(ctx, &answer, report->sequence));
    step.error = answered ? str_printf(ctx->arena, "HTTP %d", answer.status) : STR("no answer");
    step.due_at = utc_add(ctx->now, backoff_ms(report->attempts + 1));
    if (db_write(ctx, agent->platform.db, save_report, &step) != OK)
        log_at(LOG_ERROR, "journal_failed", "report=%" PRId64, report->id.value);
    if (!step.sent)
        log_at(LOG_WARN, "report_not_taken",
               "order=%" PRId64 " sequence=%" PRId64 " " STR_FMT " " STR_FMT,
               report->order_id.value, report->sequence, STR_ARG(step.error),
               STR_ARG(answer.body.len < 300 ? answer.body : STR("")));
}

void *agent_reporter(void *arg)
{
    struct agent *agent = arg;
    struct http_client *client = http_client_new();
    while (!atomic_load(&agent->stopping)) {
        struct ctx ctx;
        struct due_reports due = {0};
        ctx_init(&ctx, &agent->platform, clock_now());
        if (db_read(&ctx, agent->platform.db, read_due_reports, &due) != OK)
            due.count = 0;
        for (size_t i = 0; i < due.count && !atomic_load(&agent->stopping); i++) {
            ctx.now = clock_now();
            send_report(&ctx, agent, client, &due.reports[i]);
        }
        ctx_done(&ctx);
        if (due.count == 0)
            wait_for_work(agent, IDLE_MS);
    }
    http_client_free(client);
    return NULL;
}

/* ---- our token at the platform ---- */
err_t agent_token(struct ctx *ctx, struct agent *agent, struct http_client *client, int provider,
                  str_t *out)
{
    struct provider *p = &agent->config.providers[provider];
    if (p->token_until.ms > ctx->now.ms) {
        *out = p->token;
        return OK;
    }
    struct http_answer answer = {0};
    const struct http_call call = {
        .method = "POST",
        .url = str_printf(ctx->arena, STR_FMT "/oauth2/token", STR_ARG(agent->config.platform_url)),
        .content_type = STR("application/x-www-form-urlencoded"),
        .body = STR("grant_type=client_credentials"),
        .basic_user = p->client_id,
        .basic_password = p->client_secret,
        .allow_plain_http = true,
        .allow_private = true,
    };
    TRY(http_send(ctx, client, &call, &answer));
    const char *why;
    const struct json *body = json_parse_text(ctx->arena, answer.body, &why);
    str_t token = json_get_text(body, "access_token");
    if (answer.status != 200 || token.len == 0)
        return refuse(ctx, ERR_UPSTREAM, "no_token", "the platform answered %d", answer.status);
    p->token = str_dup(agent->config.arena, token);
    p->token_until = utc_add(ctx->now, (json_get_int(body, "expires_in", 600) - 60) * 1000);
    *out = p->token;
    return OK;
}
