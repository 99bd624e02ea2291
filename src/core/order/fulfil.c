/* SPDX-License-Identifier: Apache-2.0 */
/* A paid child with its provider: sent down (R16), acknowledged or refused, cancelled before
 * delivery (R8); what closes by time. Every step moves item, instance, child and parent together
 * and tells one fact. */
#include "order/order_internal.h"

err_t order_step_open(struct ctx *ctx, ref_t child_id, struct order_step *out)
{
    struct order child = {0};
    err_t err = order_load(ctx, child_id, &child);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    if (err == ERR_NOT_FOUND || child.kind != ORDER_CHILD)
        return refuse(ctx, ERR_NOT_FOUND, "order_unknown", "not a child order");
    struct order_step step = {0};
    TRY(order_whole_load(ctx, child.parent_id, &step.whole));
    step.child = order_whole_child(&step.whole, child_id);
    ENSURE(step.child != NULL);
    TRY(order_items(ctx, &child_id.value, 1, &step.items, &step.item_count));
    TRY(order_instances(ctx, &child_id.value, 1, &step.instances, &step.instance_count));
    step.event_id = id_make(ctx->platform->ids, ctx->now);
    *out = step;
    return OK;
}

struct order_item *order_step_item(struct order_step *step, ref_t id)
{
    for (size_t i = 0; i < step->item_count; i++)
        if (ref_is(step->items[i].m.id, id))
            return &step->items[i];
    return NULL;
}

struct instance *order_step_instance(struct order_step *step, ref_t id)
{
    for (size_t i = 0; i < step->instance_count; i++)
        if (ref_is(step->instances[i].m.id, id))
            return &step->instances[i];
    return NULL;
}

/* The one fact of a step, told at its end when the states are known. cause says what happened. */
static err_t step_tell(struct ctx *ctx, struct order_step *step, int type, const char *cause,
                       str_t detail)
{
    struct fact fact;
    order_fact(&fact, type, step->child, &step->whole.parent);
    fact.event_id = step->event_id;
    struct buf buf;
    struct jw w;
    buf_init(&buf, ctx->arena, 512 * 1024);
    jw_init(&w, &buf);
    jw_object(&w);
    jw_put_ref(&w, "order_id", "ord", step->child->m.id);
    jw_put_ref(&w, "parent_order_id", "ord", step->whole.parent.m.id);
    jw_put_text(&w, "cause", str_of(cause));
    if (detail.len)
        jw_put_text(&w, "detail", detail);
    jw_put_text(&w, "state", str_of(names_of(&order_state_names, step->child->m.state)));
    jw_put_text(&w, "parent_state",
                str_of(names_of(&order_state_names, step->whole.parent.m.state)));
    jw_key(&w, "items");
    jw_array(&w);
    for (size_t i = 0; i < step->item_count; i++) {
        const struct instance *instance = order_step_instance(step, step->items[i].instance_id);
        jw_object(&w);
        jw_put_ref(&w, "item_id", "itm", step->items[i].m.id);
        jw_put_text(&w, "state", str_of(names_of(&item_state_names, step->items[i].m.state)));
        jw_put_ref(&w, "instance_id", "ins", step->items[i].instance_id);
        if (instance)
            jw_put_text(&w, "instance_state",
                        str_of(names_of(&instance_state_names, instance->m.state)));
        jw_end_object(&w);
    }
    jw_end_array(&w);
    jw_end_object(&w);
    fact.payload = buf_str(&buf);
    return evidence_append(ctx, &fact, NULL);
}

static err_t order_step_fire(struct ctx *ctx, struct order_step *step, int event)
{
    return fsm_fire(ctx, &order_fsm, &step->child->m, event, step->event_id);
}

/* ---- ends of an item ---- */
err_t order_step_lose(struct ctx *ctx, struct order_step *step, struct order_item *item,
                      int item_event, int reason)
{
    TRY(fsm_fire(ctx, &item_fsm, &item->m, item_event, step->event_id));
    struct instance *instance = order_step_instance(step, item->instance_id);
    ENSURE(instance != NULL);
    int instance_event = reason == REFUND_REASON_FAILED ? INSTANCE_FAIL : INSTANCE_DROP;
    TRY(fsm_fire(ctx, &instance_fsm, &instance->m, instance_event, step->event_id));
    TRY(catalog_give_back(ctx, item->sku_id, item->m.id, item->quantity));
    return order_refund_item(ctx, &step->whole, step->child, item, reason);
}

static bool item_is_final(const struct order_item *item)
{
    return fsm_is_terminal(&item_fsm, item->m.state);
}

/* The end of a child when its items have ended: all that were not cancelled decide. */
static err_t step_fold_items(struct ctx *ctx, struct order_step *step)
{
    size_t active = 0, failed = 0, open = 0, cancelling = 0;
    for (size_t i = 0; i < step->item_count; i++) {
        active += step->items[i].m.state == ITEM_ACTIVE;
        failed += step->items[i].m.state == ITEM_FAILED;
        cancelling += step->items[i].m.state == ITEM_CANCELLING;
        open += !item_is_final(&step->items[i]);
    }
    int state = step->child->m.state;
    if (state != ORDER_PROVISIONING && state != ORDER_CANCELLING)
        return OK;
    if (open > 0 && state == ORDER_CANCELLING && cancelling == 0)
        return order_step_fire(ctx, step,
                               step->child->cancel_from == ORDER_ACCEPTING
                                   ? ORDER_BACK_TO_ACCEPTING
                                   : ORDER_BACK_TO_PROVISIONING);
    if (open > 0)
        return OK;
    if (active > 0 && failed == 0)
        return order_step_fire(ctx, step, ORDER_ALL_ACTIVE);
    if (active > 0)
        return order_step_fire(ctx, step, ORDER_SOME_ACTIVE);
    return order_step_fire(ctx, step, failed > 0 ? ORDER_NONE_ACTIVE : ORDER_ALL_CANCELLED);
}

err_t order_step_close(struct ctx *ctx, struct order_step *step, int type, const char *cause,
                       str_t detail)
{
    TRY(step_fold_items(ctx, step));
    TRY(order_fold_parent(ctx, &step->whole, step->event_id));
    return step_tell(ctx, step, type, cause, detail);
}

/* ---- sent down ---- */
static err_t await_provider(struct ctx *ctx, ref_t child)
{
    return job_schedule(ctx, JOB_ORDER_SILENCE, child, REF_NONE, STR("{}"),
                        utc_add(ctx->now, ORDER_SILENCE_MS), NULL);
}

err_t order_send(struct ctx *ctx, const struct order *child)
{
    TRY(job_schedule(ctx, JOB_ORDER_DELIVERY, child->m.id, child->m.id,
                     STR("{\"type\":\"order\",\"sequence\":1}"), ctx->now, NULL));
    return await_provider(ctx, child->m.id);
}

err_t order_step_acknowledge(struct ctx *ctx, struct order_step *step)
{
    if (step->child->acknowledged_at.ms == 0) {
        TRY(db_exec_one(
            ctx, "UPDATE order_head SET acknowledged_at = $1 WHERE id = $2 AND acknowledged_at = 0",
            ARGS(A(ctx->now), A(step->child->m.id))));
        step->child->acknowledged_at = ctx->now;
        for (size_t i = 0; i < step->item_count; i++)
            TRY(catalog_acknowledged(ctx, step->items[i].m.id, ctx->now));
        TRY(job_cancel(ctx, JOB_ORDER_SILENCE, step->child->m.id));
    }
    if (step->child->m.state == ORDER_ACCEPTING)
        return order_step_fire(ctx, step, ORDER_ACK);
    if (step->child->m.state != ORDER_CANCELLING || step->child->cancel_from != ORDER_ACCEPTING)
        return OK;
    /* The cancel follows in the same lane; if it is refused, the order goes on as accepted. */
    step->child->cancel_from = ORDER_PROVISIONING;
    return db_exec_one(ctx, "UPDATE order_head SET cancel_from = $1 WHERE id = $2",
                       ARGS(A(step->child->cancel_from), A(step->child->m.id)));
}

err_t order_acknowledged(struct ctx *ctx, ref_t child_id, str_t external_order_id, bool accepted)
{
    struct order_step step;
    TRY(order_step_open(ctx, child_id, &step));
    int before = step.child->m.state;
    if (external_order_id.len > 0)
        TRY(db_exec_one(ctx, "UPDATE order_head SET external_order_id = $1 WHERE id = $2",
                        ARGS(A(external_order_id), A(child_id))));
    if (!accepted)
        return OK; /* known there; whether it is taken comes by R17, and silence until then counts
                    */
    TRY(order_step_acknowledge(ctx, &step));
    if (step.child->m.state == before)
        return OK; /* a report or a cancel was faster than the answer */
    return order_step_close(ctx, &step, FACT_ORDER_SENT, "accepted_by_provider", external_order_id);
}

/* What is open is lost. Before anything was accepted the order is rejected; later what became of
 * its items decides. */
err_t order_rejected(struct ctx *ctx, ref_t child_id, str_t reason)
{
    struct order_step step;
    TRY(order_step_open(ctx, child_id, &step));
    int state = step.child->m.state;
    if (state != ORDER_ACCEPTING && state != ORDER_PROVISIONING && state != ORDER_CANCELLING)
        return OK; /* ended meanwhile */
    for (size_t i = 0; i < step.item_count; i++) {
        struct order_item *item = &step.items[i];
        if (item_is_final(item))
            continue;
        bool asked = item->m.state == ITEM_CANCELLING;
        TRY(order_step_lose(ctx, &step, item, asked ? ITEM_CANCEL_DONE : ITEM_FAIL,
                            asked ? REFUND_REASON_CANCELLED : REFUND_REASON_REJECTED));
    }
    if (state == ORDER_ACCEPTING)
        TRY(order_step_fire(ctx, &step, ORDER_NACK));
    TRY(job_cancel(ctx, JOB_ORDER_SILENCE, child_id));
    TRY(job_cancel(ctx, JOB_ORDER_DELIVERY, child_id));
    return order_step_close(ctx, &step, FACT_ORDER_STATUS, "rejected_by_provider", reason);
}

/* ---- cancel ---- */
static bool wanted(const struct order_cancel *in, const struct order_item *item)
{
    if (in->item_count == 0)
        return item->m.state == ITEM_PENDING || item->m.state == ITEM_PROVISIONING;
    for (size_t i = 0; i < in->item_count; i++)
        if (ref_is(in->items[i], item->m.id))
            return true;
    return false;
}

static err_t queue_cancel(struct ctx *ctx, struct order_step *step, const char *reason,
                          const ref_t *items, size_t count)
{
    struct buf buf;
    struct jw w;
    int64_t sequence = step->child->outbound_sequence + 1;
    TRY(db_exec_one(
        ctx,
        "UPDATE order_head SET outbound_sequence = $1, cancel_from = $2 WHERE id = $3 AND "
        "outbound_sequence = $1 - 1",
        ARGS(A(sequence), A(step->child->m.state), A(step->child->m.id))));
    step->child->cancel_from = step->child->m.state;
    step->child->outbound_sequence = sequence;
    buf_init(&buf, ctx->arena, 64 * 1024);
    jw_init(&w, &buf);
    jw_object(&w);
    jw_put_text(&w, "type", STR("change"));
    jw_put_int(&w, "sequence", sequence);
    jw_put_ref(&w, "change_id", "dlv", id_make(ctx->platform->ids, ctx->now));
    jw_put_text(&w, "command", STR("cancel"));
    jw_put_text(&w, "reason_code", str_of(reason));
    jw_key(&w, "items");
    jw_array(&w);
    for (size_t i = 0; i < count; i++)
        jw_ref(&w, "itm", items[i]);
    jw_end_array(&w);
    jw_end_object(&w);
    return job_schedule(ctx, JOB_ORDER_DELIVERY, step->child->m.id, step->child->m.id,
                        buf_str(&buf), ctx->now, NULL);
}

static err_t cancel_child(struct ctx *ctx, const struct order_cancel *in, ref_t child_id,
                          const char *reason, size_t *inout_moved)
{
    struct order_step step;
    TRY(order_step_open(ctx, child_id, &step));
    int state = step.child->m.state;
    if (state != ORDER_ACCEPTING && state != ORDER_PROVISIONING)
        return OK;
    ref_t moved[100];
    size_t count = 0;
    for (size_t i = 0; i < step.item_count && count < 100; i++) {
        struct order_item *item = &step.items[i];
        if (!wanted(in, item) || item_is_final(item))
            continue;
        TRY(fsm_fire(ctx, &item_fsm, &item->m, ITEM_CANCEL, step.event_id));
        moved[count++] = item->m.id;
    }
    if (count == 0)
        return OK;
    TRY(queue_cancel(ctx, &step, reason, moved, count));
    TRY(order_step_fire(ctx, &step, ORDER_CANCEL));
    *inout_moved += count;
    return order_step_close(ctx, &step, FACT_ORDER_STATUS, "cancel_requested", in->reason);
}

/* Nothing was paid: everything closes at once. */
static err_t close_unpaid(struct ctx *ctx, struct order_whole *whole, int event, const char *cause,
                          str_t detail)
{
    ref_t event_id = id_make(ctx->platform->ids, ctx->now);
    int64_t *ids = NEW_ARRAY(ctx, int64_t, whole->child_count);
    for (size_t i = 0; i < whole->child_count; i++) {
        ids[i] = whole->children[i].m.id.value;
        TRY(fsm_fire(ctx, &order_fsm, &whole->children[i].m, event, event_id));
    }
    struct order_item *items;
    struct instance *instances;
    size_t item_count, instance_count;
    TRY(order_items(ctx, ids, whole->child_count, &items, &item_count));
    TRY(order_instances(ctx, ids, whole->child_count, &instances, &instance_count));
    for (size_t i = 0; i < item_count; i++) {
        TRY(fsm_fire(ctx, &item_fsm, &items[i].m, ITEM_DROP, event_id));
        TRY(catalog_give_back(ctx, items[i].sku_id, items[i].m.id, items[i].quantity));
    }
    for (size_t i = 0; i < instance_count; i++)
        TRY(fsm_fire(ctx, &instance_fsm, &instances[i].m, INSTANCE_DROP, event_id));
    TRY(order_fold_parent(ctx, whole, event_id));
    TRY(job_cancel(ctx, JOB_ORDER_PAY_TIMEOUT, whole->parent.m.id));
    struct fact fact;
    order_fact(&fact, FACT_ORDER_STATUS, &whole->parent, &whole->parent);
    fact.event_id = event_id;
    struct buf buf;
    struct jw w;
    buf_init(&buf, ctx->arena, 4096);
    jw_init(&w, &buf);
    jw_object(&w);
    jw_put_ref(&w, "order_id", "ord", whole->parent.m.id);
    jw_put_text(&w, "cause", str_of(cause));
    if (detail.len)
        jw_put_text(&w, "detail", detail);
    jw_put_text(&w, "state", str_of(names_of(&order_state_names, whole->parent.m.state)));
    jw_end_object(&w);
    fact.payload = buf_str(&buf);
    return evidence_append(ctx, &fact, NULL);
}

/* Named items are cancelled all or none: each is open, in what was asked for, and its child is not
 * cancelling already. */
static err_t check_items_named(struct ctx *ctx, const struct order_cancel *in,
                               struct order_whole *whole, const struct order *asked)
{
    int64_t *ids = NEW_ARRAY(ctx, int64_t, whole->child_count + 1);
    size_t asked_count = 0;
    for (size_t i = 0; i < whole->child_count; i++)
        if (asked->kind == ORDER_PARENT || ref_is(whole->children[i].m.id, asked->m.id))
            ids[asked_count++] = whole->children[i].m.id.value;
    struct order_item *items;
    size_t count;
    TRY(order_items(ctx, ids, asked_count, &items, &count));
    for (size_t i = 0; i < in->item_count; i++) {
        const struct order_item *found = NULL;
        for (size_t k = 0; k < count; k++)
            if (ref_is(items[k].m.id, in->items[i]))
                found = &items[k];
        if (!found)
            return refuse_field(ctx, str_printf(ctx->arena, "/item_ids/%zu", i), "not_in_list",
                                "no item of this order");
        int state = order_whole_child(whole, found->order_id)->m.state;
        if (!fsm_find(&item_fsm, found->m.state, ITEM_CANCEL) ||
            !fsm_find(&order_fsm, state, ORDER_CANCEL))
            return refuse(ctx, ERR_STATE, "illegal_transition", "item %zu is %s, its order %s", i,
                          names_of(&item_state_names, found->m.state),
                          names_of(&order_state_names, state));
    }
    return OK;
}

err_t order_cancel(struct ctx *ctx, const struct order_cancel *in, struct order *out_parent)
{
    struct order asked = {0};
    TRY(order_load(ctx, in->order_id, &asked));
    if (ctx->actor.org_id.value && !ref_is(asked.buyer_org_id, ctx->actor.org_id))
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such order");
    ref_t parent_id = asked.kind == ORDER_PARENT ? asked.m.id : asked.parent_id;
    struct order_whole whole;
    TRY(order_whole_load(ctx, parent_id, &whole));
    TRY(check_items_named(ctx, in, &whole, &asked));
    if (whole.parent.m.state == ORDER_PENDING_PAYMENT) {
        if (in->item_count > 0 || asked.kind == ORDER_CHILD)
            return refuse(ctx, ERR_STATE, "cancel_whole_order",
                          "before payment only the whole order is cancelled");
        TRY(close_unpaid(ctx, &whole, ORDER_CANCEL, "cancelled_by_buyer", in->reason));
        *out_parent = whole.parent;
        return OK;
    }
    size_t moved = 0;
    for (size_t i = 0; i < whole.child_count; i++)
        if (asked.kind == ORDER_PARENT || ref_is(whole.children[i].m.id, asked.m.id))
            TRY(cancel_child(ctx, in, whole.children[i].m.id, "buyer", &moved));
    if (moved == 0)
        return refuse(ctx, ERR_STATE, "illegal_transition",
                      "nothing of this order can be cancelled any more");
    return order_load(ctx, parent_id, out_parent);
}

/* The command that waits for an answer is the last that was queued. */
static err_t is_current(struct ctx *ctx, const struct order_step *step, str_t change_id,
                        bool *out_current)
{
    struct job job = {0};
    const char *why;
    bool found = false;
    *out_current = false;
    if (step->child->m.state != ORDER_CANCELLING)
        return OK;
    TRY(job_find_by_subject(ctx, JOB_ORDER_DELIVERY, step->child->m.id, &job, &found));
    *out_current = !found; /* done and swept away: nothing newer was queued */
    if (found)
        *out_current = str_eq(
            json_get_text(json_parse_text(ctx->arena, job.payload, &why), "change_id"), change_id);
    return OK;
}

err_t order_step_answer(struct ctx *ctx, struct order_step *step, str_t change_id, bool done,
                        bool *out_current)
{
    bool from_accepting = step->child->cancel_from == ORDER_ACCEPTING;
    TRY(is_current(ctx, step, change_id, out_current));
    for (size_t i = 0; i < step->item_count && *out_current; i++) {
        struct order_item *item = &step->items[i];
        if (item->m.state != ITEM_CANCELLING)
            continue;
        if (done)
            TRY(order_step_lose(ctx, step, item, ITEM_CANCEL_DONE, REFUND_REASON_CANCELLED));
        else
            TRY(fsm_fire(ctx, &item_fsm, &item->m,
                         from_accepting ? ITEM_BACK_TO_PENDING : ITEM_BACK_TO_PROVISIONING,
                         step->event_id));
    }
    return OK;
}

err_t order_cancel_answered(struct ctx *ctx, ref_t child_id, str_t change_id, bool done)
{
    struct order_step step;
    bool current;
    TRY(order_step_open(ctx, child_id, &step));
    TRY(order_step_answer(ctx, &step, change_id, done, &current));
    if (!current)
        return OK; /* answered before */
    TRY(order_step_close(ctx, &step, FACT_ORDER_STATUS,
                         done ? "cancel_confirmed" : "cancel_refused", change_id));
    if (step.child->m.state != ORDER_ACCEPTING)
        return OK;
    TRY(job_cancel(ctx, JOB_ORDER_SILENCE, child_id)); /* the rest waits anew */
    return await_provider(ctx, child_id);
}

/* ---- timers ---- */
err_t order_pay_timeout(struct ctx *ctx, ref_t parent)
{
    struct order_whole whole;
    TRY(order_whole_load(ctx, parent, &whole));
    if (whole.parent.m.state != ORDER_PENDING_PAYMENT)
        return OK;
    return close_unpaid(ctx, &whole, ORDER_EXPIRE, "payment_timeout", STR(""));
}

err_t order_silence(struct ctx *ctx, ref_t child_id)
{
    const struct order_cancel all = {.order_id = child_id, .reason = STR("provider_silent")};
    struct order child = {0};
    size_t moved = 0;
    TRY(order_load(ctx, child_id, &child));
    if (child.m.state != ORDER_ACCEPTING)
        return OK; /* it spoke when the timer was running already */
    return cancel_child(ctx, &all, child_id, "provider_silent", &moved);
}
