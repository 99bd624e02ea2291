/* SPDX-License-Identifier: Apache-2.0 */
/* What the provider reports of a child order (R17): its form, its place in the sequence, and what
 * it moves. A report is taken whole or not at all. */
#include "order/order_internal.h"

#include <inttypes.h>

static const char *const report_states[] = {NULL,     "provisioning", "active",
                                            "failed", "cancelled",    "released"};
static const struct names report_state_names = NAMES(report_states);
enum { REPORT_PROVISIONING = 1, REPORT_ACTIVE, REPORT_FAILED, REPORT_CANCELLED, REPORT_RELEASED };
static const char *const ack_results[] = {NULL, "done", "refused"};
static const struct names ack_result_names = NAMES(ack_results);
enum { ACK_DONE = 1, ACK_REFUSED = 2 };

static const struct field unit_fields[] = {
    FIELD(struct report_unit, external_unit_id, 1, 100, FIELD_REQUIRED),
    FIELD(struct report_unit, state, 1, 40, FIELD_REQUIRED),
    FIELD(struct report_unit, tool_url, 0, 2000, FIELD_OMIT_EMPTY),
};
static const struct shape unit_shape = SHAPE(struct report_unit, unit_fields);
static const struct field error_fields[] = {
    FIELD(struct report_error, code, 1, 60, FIELD_REQUIRED),
    FIELD(struct report_error, message, 0, 500, 0),
};
static const struct shape error_shape = SHAPE(struct report_error, error_fields);
static const struct field report_item_fields[] = {
    FIELD_REF(struct report_item, item_id, "itm", FIELD_REQUIRED),
    FIELD_REF(struct report_item, instance_id, "ins", FIELD_REQUIRED),
    FIELD_ENUM(struct report_item, state, &report_state_names, FIELD_REQUIRED),
    FIELD(struct report_item, external_instance_id, 0, 200, 0),
    FIELD(struct report_item, tool_url, 0, 2000, 0),
    FIELD_ARRAY(struct report_item, units, unit_count, &unit_shape, 0, 1000, 0),
    FIELD(struct report_item, started_at, 0, 0, 0),
    FIELD(struct report_item, expires_at, 0, 0, 0),
    FIELD_OBJECT(struct report_item, error, &error_shape, 0),
};
static const struct shape report_item_shape = SHAPE(struct report_item, report_item_fields);
static const struct field report_ack_fields[] = {
    FIELD(struct report_ack, change_id, 1, 64, FIELD_REQUIRED),
    FIELD_ENUM(struct report_ack, result, &ack_result_names, FIELD_REQUIRED),
};
static const struct shape report_ack_shape = SHAPE(struct report_ack, report_ack_fields);
static const struct field report_fields[] = {
    FIELD(struct report, report_id, 1, 64, FIELD_REQUIRED),
    FIELD(struct report, provider_sequence, 1, MONEY_MAX_FEN, FIELD_REQUIRED),
    FIELD_ARRAY(struct report, items, item_count, &report_item_shape, 0, 100, FIELD_REQUIRED),
    FIELD_OBJECT(struct report, command_ack, &report_ack_shape, 0),
};
const struct shape report_shape = SHAPE(struct report, report_fields);

/* ---- R17 ---- */
enum { UNITS_MAX_BYTES = 192 * 1024 }; /* 1000 units with links of usual length */

/* People follow these links: nothing but http and https. */
static err_t check_link(struct ctx *ctx, str_t url)
{
    if (url.len == 0 || str_starts(url, STR("https://")) || str_starts(url, STR("http://")))
        return OK;
    return refuse_field(ctx, STR("/items"), "bad_format", "tool_url is no http(s) address");
}

static err_t units_json(struct ctx *ctx, const struct report_item *in, str_t *out)
{
    struct buf buf;
    struct jw w;
    TRY(check_link(ctx, in->tool_url));
    buf_init(&buf, ctx->arena, UNITS_MAX_BYTES);
    jw_init(&w, &buf);
    jw_array(&w);
    for (size_t i = 0; i < in->unit_count; i++) {
        TRY(check_link(ctx, in->units[i].tool_url));
        shape_write(&w, &unit_shape, &in->units[i]);
    }
    jw_end_array(&w);
    if (buf.overflow)
        return refuse_field(ctx, STR("/items"), "too_long", "units take more than %d bytes",
                            UNITS_MAX_BYTES);
    *out = buf_str(&buf);
    return OK;
}

static err_t item_active(struct ctx *ctx, struct order_step *step, struct order_item *item,
                         const struct report_item *in)
{
    str_t units;
    TRY(units_json(ctx, in, &units));
    struct instance *instance = order_step_instance(step, item->instance_id);
    TRY(fsm_fire(ctx, &item_fsm, &item->m, ITEM_ACTIVATE, step->event_id));
    TRY(fsm_fire(ctx, &instance_fsm, &instance->m, INSTANCE_ACTIVATE, step->event_id));
    utc_t started = in->started_at.ms ? in->started_at : ctx->now;
    TRY(db_exec_one(ctx,
                    "UPDATE order_instance SET external_instance_id = $1, units = $2, tool_url = "
                    "$3, started_at = $4, "
                    "expires_at = $5 WHERE id = $6",
                    ARGS(A(in->external_instance_id), A(units), A(in->tool_url), A(started),
                         A(in->expires_at), A(instance->m.id))));
    TRY(db_exec_one(ctx, "INSERT INTO order_service (org_id, instance_id) VALUES ($1, $2)",
                    ARGS(A(instance->buyer_org_id), A(instance->m.id))));
    if (item->payable.fen == 0)
        return OK;
    return job_schedule(ctx, JOB_ITEM_SETTLE, item->m.id, REF_NONE, STR("{}"),
                        utc_add(ctx->now, ITEM_GUARANTEE_MS), NULL);
}

static err_t item_failed(struct ctx *ctx, struct order_step *step, struct order_item *item,
                         const struct report_item *in)
{
    TRY(order_step_lose(ctx, step, item, ITEM_FAIL, REFUND_REASON_FAILED));
    str_t text = str_printf(ctx->arena, STR_FMT ": " STR_FMT, STR_ARG(in->error.code),
                            STR_ARG(in->error.message));
    return db_exec_one(ctx, "UPDATE order_instance SET error = $1 WHERE id = $2",
                       ARGS(A(text), A(item->instance_id)));
}

/* May come again and again: units come up one by one. */
static err_t item_provisioning(struct ctx *ctx, struct order_step *step, struct order_item *item,
                               const struct report_item *in)
{
    str_t units;
    TRY(units_json(ctx, in, &units));
    /* While a cancel is under way it says nothing new; refused, it would hold up what follows it.
     */
    if (item->m.state == ITEM_CANCELLING)
        return OK;
    if (item->m.state != ITEM_PROVISIONING)
        TRY(fsm_fire(ctx, &item_fsm, &item->m, ITEM_PROVISION, step->event_id));
    if (in->unit_count == 0)
        return OK;
    return db_exec_one(ctx, "UPDATE order_instance SET units = $1, updated_at = $2 WHERE id = $3",
                       ARGS(A(units), A(ctx->now), A(item->instance_id)));
}

static err_t report_one(struct ctx *ctx, struct order_step *step, const struct report_item *in,
                        size_t index)
{
    struct order_item *item = order_step_item(step, in->item_id);
    if (!item || !ref_is(item->instance_id, in->instance_id))
        return refuse_field(ctx, str_printf(ctx->arena, "/items/%zu/item_id", index), "not_in_list",
                            "no such item and instance in this order");
    switch (in->state) {
    case REPORT_PROVISIONING:
        return item_provisioning(ctx, step, item, in);
    case REPORT_ACTIVE:
        return item_active(ctx, step, item, in);
    case REPORT_FAILED:
        return item_failed(ctx, step, item, in);
    case REPORT_CANCELLED:
        return order_step_lose(ctx, step, item, ITEM_CANCEL_DONE, REFUND_REASON_CANCELLED);
    default: {
        struct instance *instance = order_step_instance(step, item->instance_id);
        return fsm_fire(ctx, &instance_fsm, &instance->m, INSTANCE_RELEASE_DONE, step->event_id);
    }
    }
}

/* The report again: the same content gets the same answer, other content under its sequence is
 * refused. */
static err_t report_repeated(struct ctx *ctx, ref_t child, const struct report *report,
                             const hash_t *digest)
{
    int64_t same = 0;
    TRY(db_int(ctx,
               "SELECT COUNT(*) FROM order_report WHERE order_id = $1 AND sequence = $2 AND "
               "report_id = $3 AND digest = $4",
               ARGS(A(child), A(report->provider_sequence), A(report->report_id),
                    A_BYTES(str_from(digest->bytes, HASH_BYTES))),
               &same));
    if (same == 1)
        return OK;
    return refuse(ctx, ERR_CONFLICT, "sequence_conflict", "sequence %" PRId64 " was another report",
                  report->provider_sequence);
}

static err_t refuse_gap(struct ctx *ctx, int64_t expected)
{
    err_t err =
        refuse(ctx, ERR_CONFLICT, "sequence_gap", "expected provider_sequence %" PRId64, expected);
    ctx->problem.extension = str_printf(ctx->arena, "\"expected\":%" PRId64, expected);
    return err;
}

static err_t record_report(struct ctx *ctx, struct order_step *step, const struct report *report,
                           const hash_t *digest)
{
    TRY(db_exec_one(
        ctx,
        "UPDATE order_head SET provider_sequence = $1 WHERE id = $2 AND provider_sequence = $1 - 1",
        ARGS(A(report->provider_sequence), A(step->child->m.id))));
    step->child->provider_sequence = report->provider_sequence;
    return db_exec_one(ctx,
                       "INSERT INTO order_report (order_id, sequence, report_id, digest, "
                       "received_at) VALUES ($1, $2, "
                       "$3, $4, $5)",
                       ARGS(A(step->child->m.id), A(report->provider_sequence),
                            A(report->report_id), A_BYTES(str_from(digest->bytes, HASH_BYTES)),
                            A(ctx->now)));
}

static err_t check_reportable(struct ctx *ctx, const struct order_step *step)
{
    int state = step->child->m.state;
    if (state == ORDER_DRAFT || state == ORDER_PENDING_PAYMENT || state == ORDER_CLOSED ||
        state == ORDER_HELD)
        return refuse(ctx, ERR_STATE, "illegal_transition", "the order is %s",
                      names_of(&order_state_names, state));
    return OK;
}

/* A refused cancel sets its items free before the report says what they are; a confirmed one ends
 * what the report leaves. */
static err_t take_items(struct ctx *ctx, struct order_step *step, const struct report *report)
{
    const struct report_ack *ack = &report->command_ack;
    bool current;
    if (ack->result == ACK_REFUSED)
        TRY(order_step_answer(ctx, step, ack->change_id, false, &current));
    for (size_t i = 0; i < report->item_count; i++)
        TRY(report_one(ctx, step, &report->items[i], i));
    if (ack->result == ACK_DONE)
        TRY(order_step_answer(ctx, step, ack->change_id, true, &current));
    return OK;
}

err_t order_report(struct ctx *ctx, ref_t child_id, const struct report *report,
                   const hash_t *digest, struct order *out)
{
    struct order_step step;
    TRY(order_step_open(ctx, child_id, &step));
    if (report->provider_sequence <= step.child->provider_sequence) {
        TRY(report_repeated(ctx, child_id, report, digest));
        *out = *step.child;
        return OK;
    }
    if (report->provider_sequence != step.child->provider_sequence + 1)
        return refuse_gap(ctx, step.child->provider_sequence + 1);
    TRY(check_reportable(ctx, &step));
    TRY(order_step_acknowledge(ctx, &step)); /* a report says that the order is known there */
    TRY(take_items(ctx, &step, report));
    TRY(record_report(ctx, &step, report, digest));
    TRY(order_step_close(ctx, &step, FACT_ITEM_STATUS, "provider_report", report->report_id));
    *out = *step.child;
    return OK;
}
