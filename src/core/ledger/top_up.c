/* SPDX-License-Identifier: Apache-2.0 */
/* Bank transfers that the operator confirmed: the only way money enters. */
#include <inttypes.h>

#include "evidence/evidence.h"
#include "ledger_internal.h"

static const struct field top_up_fields[] = {
    FIELD_REF(struct top_up, id, "top", 0),
    FIELD_REF(struct top_up, org_id, "org", 0),
    FIELD_REF(struct top_up, event_id, "evt", 0),
    FIELD_AS(struct top_up, amount, "amount_fen", 1, INT64_MAX, 0),
    FIELD(struct top_up, bank_reference, 1, 60, 0),
    FIELD(struct top_up, note, 0, 200, 0),
    FIELD(struct top_up, created_at, 0, INT64_MAX, 0),
};
static const struct shape top_up_shape = SHAPE(struct top_up, top_up_fields);

static err_t tell(struct ctx *ctx, struct top_up *in_out, ref_t also_hears,
                  const struct ledger_tx *tx)
{
    struct fact fact = {.type = FACT_TOP_UP,
                        .object_prefix = "top",
                        .object = in_out->id,
                        .root = in_out->org_id,
                        .owner_org = in_out->org_id,
                        .audience = {in_out->org_id, also_hears},
                        .audience_count = 2};
    struct buf payload;
    struct jw w;
    buf_init(&payload, ctx->arena, 2048);
    jw_init(&w, &payload);
    jw_object(&w);
    jw_put_ref(&w, "topup_id", "top", in_out->id);
    jw_put_ref(&w, "org_id", "org", in_out->org_id);
    jw_put_int(&w, "amount_fen", in_out->amount.fen);
    jw_put_text(&w, "bank_reference", in_out->bank_reference);
    jw_put_text(&w, "ledger_digest",
                hex_encode(ctx->arena, str_from(tx->digest.bytes, HASH_BYTES)));
    jw_end_object(&w);
    fact.payload = buf_str(&payload);
    return evidence_append(ctx, &fact, &in_out->event_id);
}

err_t ledger_book_top_up(struct ctx *ctx, struct top_up *in_out, ref_t also_hears)
{
    struct ledger_tx tx;
    int64_t changed = 0;
    if (in_out->amount.fen <= 0 || in_out->amount.fen > INT64_C(1000000000000))
        return refuse_field(ctx, STR("/amount_fen"), "out_of_range", "1 to 10^12");
    if (in_out->bank_reference.len == 0)
        return refuse_field(ctx, STR("/bank_reference"), "required",
                            "the bank's reference of the transfer");
    in_out->id = id_make(ctx->platform->ids, ctx->now);
    in_out->created_at = ctx->now;
    TRY(ledger_top_up(ctx, in_out->id, in_out->org_id, in_out->amount, &tx));
    TRY(tell(ctx, in_out, also_hears, &tx));
    TRY(db_exec(ctx,
                "INSERT INTO ledger_top_up (id, org_id, amount_fen, bank_reference, note, "
                "event_id, created_at) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (bank_reference) DO NOTHING",
                ARGS(A(in_out->id), A(in_out->org_id), A(in_out->amount), A(in_out->bank_reference),
                     A(in_out->note), A(in_out->event_id), A(in_out->created_at)),
                &changed));
    if (changed != 1)
        return refuse(ctx, ERR_CONFLICT, "bank_reference_used", "this transfer was booked before");
    return OK;
}

err_t ledger_top_ups(struct ctx *ctx, const int64_t *ids, size_t count, struct top_up **out,
                     size_t *out_count)
{
    return db_all(ctx,
                  "SELECT id, org_id, event_id, amount_fen, bank_reference, note, created_at FROM "
                  "ledger_top_up "
                  "WHERE id IN ({ids}) ORDER BY id",
                  ARGS(A_IDS(ids, count)), &top_up_shape, out, out_count);
}
