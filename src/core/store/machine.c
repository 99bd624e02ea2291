/* SPDX-License-Identifier: Apache-2.0 */
/* The states of a store, who may move it, and what a move needs. */
#include <assert.h>

#include "event/event.h"
#include "store_internal.h"

static const char *const states[] = {
    [STORE_DRAFT] = "draft",         [STORE_SUBMITTED] = "submitted",
    [STORE_REVIEWING] = "reviewing", [STORE_CHANGES_REQUESTED] = "changes_requested",
    [STORE_REJECTED] = "rejected",   [STORE_APPROVED] = "approved",
    [STORE_CONNECTED] = "connected", [STORE_OPEN] = "open",
    [STORE_PAUSED] = "paused",       [STORE_SUSPENDED] = "suspended",
    [STORE_CLOSED] = "closed",
};
const struct names store_state_names = NAMES(states);
static_assert(sizeof states / sizeof states[0] == STORE_CLOSED + 1, "every state has a name");

static const char *const events[] = {
    [STORE_SUBMIT] = "submit",   [STORE_TAKE] = "take",
    [STORE_APPROVE] = "approve", [STORE_REQUEST_CHANGES] = "request_changes",
    [STORE_REJECT] = "reject",   [STORE_CONNECT] = "connect",
    [STORE_OPEN_UP] = "open_up", [STORE_PAUSE] = "pause",
    [STORE_SUSPEND] = "suspend", [STORE_RESUME] = "resume",
    [STORE_CLOSE] = "close",
};
static const struct names event_names = NAMES(events);
static_assert(sizeof events / sizeof events[0] == STORE_CLOSE + 1, "every event has a name");

static const struct fsm_rule rules[] = {
    {STORE_DRAFT, STORE_SUBMIT, STORE_SUBMITTED, NULL},
    {STORE_CHANGES_REQUESTED, STORE_SUBMIT, STORE_SUBMITTED, NULL},
    {STORE_SUBMITTED, STORE_TAKE, STORE_REVIEWING, NULL},
    {STORE_REVIEWING, STORE_APPROVE, STORE_APPROVED, NULL},
    {STORE_REVIEWING, STORE_REQUEST_CHANGES, STORE_CHANGES_REQUESTED, NULL},
    {STORE_REVIEWING, STORE_REJECT, STORE_REJECTED, NULL},
    {STORE_APPROVED, STORE_CONNECT, STORE_CONNECTED, NULL},
    {STORE_CONNECTED, STORE_OPEN_UP, STORE_OPEN, NULL},
    {STORE_PAUSED, STORE_OPEN_UP, STORE_OPEN, NULL},
    {STORE_OPEN, STORE_PAUSE, STORE_PAUSED, NULL},
    {STORE_OPEN, STORE_SUSPEND, STORE_SUSPENDED, NULL},
    {STORE_PAUSED, STORE_SUSPEND, STORE_SUSPENDED, NULL},
    {STORE_SUSPENDED, STORE_RESUME, STORE_OPEN, NULL},
    {STORE_DRAFT, STORE_CLOSE, STORE_CLOSED, NULL},
    {STORE_CHANGES_REQUESTED, STORE_CLOSE, STORE_CLOSED, NULL},
    {STORE_APPROVED, STORE_CLOSE, STORE_CLOSED, NULL},
    {STORE_CONNECTED, STORE_CLOSE, STORE_CLOSED, NULL},
    {STORE_OPEN, STORE_CLOSE, STORE_CLOSED, NULL},
    {STORE_PAUSED, STORE_CLOSE, STORE_CLOSED, NULL},
    {STORE_SUSPENDED, STORE_CLOSE, STORE_CLOSED, NULL},
};
const struct fsm store_fsm = {.name = "store",
                              .table = "store_head",
                              .states = &store_state_names,
                              .events = &event_names,
                              .rules = rules,
                              .rule_count = sizeof rules / sizeof rules[0],
                              .initial = STORE_DRAFT};

enum { BY_SELLER = 1, BY_OPERATOR = 2, BY_SYSTEM = 4, NEEDS_REASONS = 8 };
static const int who[] = {
    [STORE_SUBMIT] = BY_SELLER,
    [STORE_TAKE] = BY_OPERATOR,
    [STORE_APPROVE] = BY_OPERATOR,
    [STORE_REQUEST_CHANGES] = BY_OPERATOR | NEEDS_REASONS,
    [STORE_REJECT] = BY_OPERATOR | NEEDS_REASONS,
    /* The connection test is the platform's, started by the seller. */
    [STORE_CONNECT] = BY_SELLER,
    [STORE_OPEN_UP] = BY_SELLER,
    [STORE_PAUSE] = BY_SELLER,
    [STORE_SUSPEND] = BY_OPERATOR | BY_SYSTEM | NEEDS_REASONS,
    [STORE_RESUME] = BY_OPERATOR,
    [STORE_CLOSE] = BY_SELLER | BY_OPERATOR,
};

static bool is_system(const struct actor *actor)
{
    return actor->user_id.value == 0 && actor->client_id.value == 0 && actor->org_id.value == 0;
}

static err_t check_actor(struct ctx *ctx, const struct store *store, int event)
{
    if (is_system(&ctx->actor))
        return OK;
    if ((who[event] & BY_OPERATOR) && permission_allowed(PERM_STORE_REVIEW, &ctx->actor))
        return OK;
    if (permission_allowed(PERM_STORE_REVIEW, &ctx->actor))
        return refuse(ctx, ERR_DENIED, "permission_denied", "%s is the seller's", events[event]);
    TRY(store_own(ctx, store));
    if ((who[event] & BY_SELLER) && permission_allowed(PERM_STORE_MANAGE, &ctx->actor))
        return OK;
    return refuse(ctx, ERR_DENIED, "permission_denied", "%s is not for this role", events[event]);
}

static str_t write_reasons(struct ctx *ctx, const str_t *reasons, size_t count)
{
    struct buf text;
    struct jw w;
    buf_init(&text, ctx->arena, 64 << 10);
    jw_init(&w, &text);
    jw_array(&w);
    for (size_t i = 0; i < count; i++)
        jw_text(&w, reasons[i]);
    jw_end_array(&w);
    ENSURE(!text.overflow);
    return buf_str(&text);
}

static err_t tell_move(struct ctx *ctx, const struct store *store, int event,
                       const struct fsm_rule *rule, str_t reasons, ref_t *out_event_id)
{
    struct buf text;
    struct jw w;
    buf_init(&text, ctx->arena, 64 << 10);
    jw_init(&w, &text);
    jw_object(&w);
    jw_put_ref(&w, "store_id", "sto", store->m.id);
    jw_put_text(&w, "event", str_of(events[event]));
    jw_put_text(&w, "from", str_of(states[rule->from]));
    jw_put_text(&w, "to", str_of(states[rule->to]));
    jw_key(&w, "reasons");
    jw_raw(&w, reasons);
    jw_end_object(&w);
    return store_tell(ctx, store, FACT_STORE_STATE, buf_str(&text), out_event_id);
}

err_t store_fire(struct ctx *ctx, ref_t id, int event, const str_t *reasons, size_t reason_count,
                 struct store *out)
{
    struct store store = {0};
    ref_t event_id = REF_NONE;
    ENSURE(event >= STORE_SUBMIT && event <= STORE_CLOSE);
    TRY(store_load(ctx, id, &store));
    TRY(check_actor(ctx, &store, event));
    const struct fsm_rule *rule = fsm_find(&store_fsm, store.m.state, event);
    if (rule == NULL)
        return fsm_fire(ctx, &store_fsm, &store.m, event, event_id); /* refuses */
    if ((who[event] & NEEDS_REASONS) && reason_count == 0)
        return refuse_field(ctx, STR("/reasons"), "required", "say why");
    str_t text = write_reasons(ctx, reasons, reason_count);
    TRY(tell_move(ctx, &store, event, rule, text, &event_id));
    TRY(fsm_fire(ctx, &store_fsm, &store.m, event, event_id));
    if ((who[event] & BY_OPERATOR) && event != STORE_TAKE)
        TRY(db_exec_one(ctx, "UPDATE store_head SET review_reasons = $1 WHERE id = $2",
                        ARGS(A(text), A(id))));
    return store_load(ctx, id, out);
}

/* A store that passed the test before may be tested again; its state stays. */
err_t store_connected(struct ctx *ctx, ref_t id, struct store *out)
{
    TRY(store_load(ctx, id, out));
    TRY(store_own(ctx, out));
    if (out->m.state == STORE_CONNECTED || out->m.state == STORE_OPEN ||
        out->m.state == STORE_PAUSED)
        return OK;
    return store_fire(ctx, id, STORE_CONNECT, NULL, 0, out);
}
