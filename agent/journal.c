/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's SQL: orders, items, reports. Every function runs in the caller's transaction. */
#include <inttypes.h>
#include <stdio.h>

#include "agent.h"

static const char *const item_names[] = {NULL,     "pending", "provisioning",
                                         "active", "failed",  "cancelled"};
const struct names agent_item_names = NAMES(item_names);

static const struct field order_fields[] = {
    FIELD_REF(struct agent_order, id, "ord", 0),
    FIELD(struct agent_order, provider, 0, PROVIDERS_MAX, 0),
    FIELD(struct agent_order, state, 0, 9, 0),
    FIELD(struct agent_order, sequence, 0, INT64_MAX, 0),
    FIELD(struct agent_order, report_sequence, 0, INT64_MAX, 0),
    FIELD_BYTES(struct agent_order, digest, 0, 32, 0),
    FIELD_BYTES(struct agent_order, change_digest, 0, 32, 0),
    FIELD(struct agent_order, answer, 0, 10000, 0),
    FIELD(struct agent_order, change_answer, 0, 10000, 0),
    FIELD(struct agent_order, answer_status, 0, 999, 0),
    FIELD(struct agent_order, change_status, 0, 999, 0),
};
static const struct shape order_shape = SHAPE(struct agent_order, order_fields);

static const struct field item_fields[] = {
    FIELD_REF(struct agent_item, id, "itm", 0),
    FIELD_REF(struct agent_item, order_id, "ord", 0),
    FIELD_REF(struct agent_item, instance_id, "ins", 0),
    FIELD(struct agent_item, provider, 0, PROVIDERS_MAX, 0),
    FIELD(struct agent_item, state, 0, 9, 0),
    FIELD(struct agent_item, desired, 0, 9, 0),
    FIELD(struct agent_item, attempts, 0, INT32_MAX, 0),
    FIELD(struct agent_item, quantity, 0, INT32_MAX, 0),
    FIELD(struct agent_item, due_at, 0, 0, 0),
    FIELD(struct agent_item, started_at, 0, 0, 0),
    FIELD(struct agent_item, expires_at, 0, 0, 0),
    FIELD(struct agent_item, term, 0, 20, 0),
    FIELD(struct agent_item, spec, 0, 100000, 0),
    FIELD(struct agent_item, external_instance_id, 0, 200, 0),
    FIELD(struct agent_item, error, 0, 500, 0),
};
static const struct shape item_shape = SHAPE(struct agent_item, item_fields);
#define ITEM_COLUMNS                                                                          \
    "id, order_id, provider, instance_id, state, desired, attempts, due_at, quantity, term, " \
    "spec, "                                                                                  \
    "external_instance_id, started_at, expires_at, error"

static const struct field report_fields[] = {
    FIELD_REF(struct agent_report, id, "rpt", 0),
    FIELD_REF(struct agent_report, order_id, "ord", 0),
    FIELD(struct agent_report, provider, 0, PROVIDERS_MAX, 0),
    FIELD(struct agent_report, attempts, 0, INT32_MAX, 0),
    FIELD(struct agent_report, sequence, 0, INT64_MAX, 0),
    FIELD(struct agent_report, body, 0, 1 << 20, 0),
    FIELD(struct agent_report, created_at, 0, 0, 0),
};
static const struct shape report_shape = SHAPE(struct agent_report, report_fields);

err_t journal_order(struct ctx *ctx, ref_t id, struct agent_order *out, bool *out_found)
{
    return db_find(ctx,
                   "SELECT id, provider, state, sequence, digest, answer_status, answer, "
                   "change_digest, change_status, "
                   "change_answer, report_sequence FROM agent_order WHERE id = $1",
                   ARGS(A(id)), &order_shape, out, out_found);
}

err_t journal_add_order(struct ctx *ctx, const struct agent_order *o)
{
    return db_exec_one(
        ctx,
        "INSERT INTO agent_order (id, provider, state, sequence, digest, answer_status, answer, "
        "change_digest, change_status, change_answer, report_sequence, received_at) VALUES ($1, "
        "$2, $3, "
        "1, $4, $5, $6, $7, 0, '', 0, $8)",
        ARGS(A(o->id), A(o->provider), A(o->state), A_BYTES(o->digest), A(o->answer_status),
             A(o->answer), A_BYTES(STR("")), A(ctx->now)));
}

err_t journal_set_change(struct ctx *ctx, ref_t id, int64_t sequence, str_t digest, int status,
                         str_t answer)
{
    return db_exec_one(ctx,
                       "UPDATE agent_order SET sequence = $1, change_digest = $2, change_status = "
                       "$3, change_answer = $4 "
                       "WHERE id = $5 AND sequence = $1 - 1",
                       ARGS(A(sequence), A_BYTES(digest), A((int64_t)status), A(answer), A(id)));
}

err_t journal_add_item(struct ctx *ctx, const struct agent_item *i)
{
    return db_exec_one(ctx,
                       "INSERT INTO agent_item (id, order_id, provider, instance_id, state, "
                       "desired, attempts, due_at, "
                       "quantity, term, spec, external_instance_id, started_at, expires_at, error) "
                       "VALUES ($1, $2, $3, "
                       "$4, $5, $6, 0, $7, $8, $9, $10, '', 0, 0, '')",
                       ARGS(A(i->id), A(i->order_id), A(i->provider), A(i->instance_id),
                            A(i->state), A(i->desired), A(i->due_at), A(i->quantity), A(i->term),
                            A(i->spec)));
}

err_t journal_items(struct ctx *ctx, ref_t order, struct agent_item **out, size_t *out_count)
{
    return db_all(
        ctx, "SELECT " ITEM_COLUMNS " FROM agent_item WHERE order_id = $1 ORDER BY id LIMIT 100",
        ARGS(A(order)), &item_shape, out, out_count);
}

err_t journal_item(struct ctx *ctx, ref_t id, struct agent_item *out)
{
    return db_one(ctx, "SELECT " ITEM_COLUMNS " FROM agent_item WHERE id = $1", ARGS(A(id)),
                  &item_shape, out);
}

err_t journal_due_items(struct ctx *ctx, int limit, struct agent_item **out, size_t *out_count)
{
    return db_all(ctx,
                  "SELECT " ITEM_COLUMNS
                  " FROM agent_item WHERE due_at > 0 AND due_at <= $1 ORDER BY due_at LIMIT $2",
                  ARGS(A(ctx->now), A((int64_t)limit)), &item_shape, out, out_count);
}

err_t journal_save_item(struct ctx *ctx, const struct agent_item *i)
{
    return db_exec_one(ctx,
                       "UPDATE agent_item SET state = $1, desired = $2, attempts = $3, due_at = "
                       "$4, external_instance_id "
                       "= $5, started_at = $6, expires_at = $7, error = $8 WHERE id = $9",
                       ARGS(A(i->state), A(i->desired), A(i->attempts), A(i->due_at),
                            A(i->external_instance_id), A(i->started_at), A(i->expires_at),
                            A(i->error), A(i->id)));
}

/* ---- reports ---- */
static void write_units(struct jw *w, const struct agent_item *item, str_t tool_base)
{
    jw_key(w, "units");
    jw_array(w);
    for (int i = 0; i < item->quantity && i < 1000; i++) {
        char text[300];
        int len =
            snprintf(text, sizeof(text), STR_FMT "-%d", STR_ARG(item->external_instance_id), i + 1);
        jw_object(w);
        jw_put_text(w, "external_unit_id", str_from(text, (size_t)len));
        jw_put_text(w, "state", STR("active"));
        len = snprintf(text, sizeof(text), STR_FMT "/tool/" STR_FMT "?unit=%d", STR_ARG(tool_base),
                       STR_ARG(item->external_instance_id), i + 1);
        jw_put_text(w, "tool_url", str_from(text, (size_t)len));
        jw_end_object(w);
    }
    jw_end_array(w);
}

static void write_item(struct ctx *ctx, struct jw *w, const struct agent_item *item)
{
    str_t base = agent_of(ctx)->config.tool_base;
    jw_object(w);
    jw_put_ref(w, "item_id", "itm", item->id);
    jw_put_ref(w, "instance_id", "ins", item->instance_id);
    jw_put_text(w, "state", str_of(names_of(&agent_item_names, item->state)));
    if (item->state == AGENT_ACTIVE) {
        jw_put_text(w, "external_instance_id", item->external_instance_id);
        jw_put_utc(w, "started_at", item->started_at);
        if (item->expires_at.ms)
            jw_put_utc(w, "expires_at", item->expires_at);
        jw_put_text(w, "tool_url",
                    str_printf(ctx->arena, STR_FMT "/tool/" STR_FMT, STR_ARG(base),
                               STR_ARG(item->external_instance_id)));
        write_units(w, item, base);
    }
    if (item->state == AGENT_FAILED) {
        jw_key(w, "error");
        jw_object(w);
        jw_put_text(w, "code", STR("backend_failed"));
        jw_put_text(w, "message", item->error);
        jw_end_object(w);
    }
    jw_end_object(w);
}

err_t journal_report(struct ctx *ctx, ref_t order, const struct agent_item *items, size_t count)
{
    struct buf buf;
    struct jw w;
    int64_t sequence = 0;
    ref_t id = id_make(ctx->platform->ids, ctx->now);
    TRY(db_exec_one(ctx,
                    "UPDATE agent_order SET report_sequence = report_sequence + 1 WHERE id = $1",
                    ARGS(A(order))));
    TRY(db_int(ctx, "SELECT report_sequence FROM agent_order WHERE id = $1", ARGS(A(order)),
               &sequence));
    buf_init(&buf, ctx->arena, 1 << 20);
    jw_init(&w, &buf);
    jw_object(&w);
    jw_put_ref(&w, "report_id", "rpt", id);
    jw_put_int(&w, "provider_sequence", sequence);
    jw_key(&w, "items");
    jw_array(&w);
    for (size_t i = 0; i < count; i++)
        write_item(ctx, &w, &items[i]);
    jw_end_array(&w);
    jw_end_object(&w);
    return db_exec_one(
        ctx,
        "INSERT INTO agent_report (id, order_id, provider, sequence, body, attempts, due_at, "
        "created_at, "
        "last_error) VALUES ($1, $2, $3, $4, $5, 0, $6, $6, '')",
        ARGS(A(id), A(order), A(items[0].provider), A(sequence), A(buf_str(&buf)), A(ctx->now)));
}

err_t journal_due_reports(struct ctx *ctx, int limit, struct agent_report **out, size_t *out_count)
{
    return db_all(ctx,
                  "SELECT id, order_id, provider, sequence, body, attempts, created_at FROM "
                  "agent_report r WHERE due_at > 0 "
                  "AND due_at <= $1 AND NOT EXISTS (SELECT 1 FROM agent_report e WHERE e.order_id "
                  "= r.order_id AND "
                  "e.sequence < r.sequence AND e.due_at > 0) ORDER BY due_at LIMIT $2",
                  ARGS(A(ctx->now), A((int64_t)limit)), &report_shape, out, out_count);
}

err_t journal_report_sent(struct ctx *ctx, ref_t id)
{
    return db_exec_one(ctx, "UPDATE agent_report SET due_at = 0, last_error = '' WHERE id = $1",
                       ARGS(A(id)));
}

err_t journal_report_later(struct ctx *ctx, const struct agent_report *report, utc_t due_at,
                           str_t error)
{
    return db_exec_one(ctx,
                       "UPDATE agent_report SET due_at = $1, attempts = attempts + 1, last_error = "
                       "$2 WHERE id = $3",
                       ARGS(A(due_at), A(error), A(report->id)));
}

err_t journal_next_due(struct ctx *ctx, utc_t *out)
{
    return db_int(ctx,
                  "SELECT MIN(due_at) FROM (SELECT MIN(due_at) AS due_at FROM agent_item WHERE "
                  "due_at > 0 UNION ALL SELECT "
                  "MIN(due_at) FROM agent_report WHERE due_at > 0) AS due",
                  NO_ARGS, &out->ms);
}
