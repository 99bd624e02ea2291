/* SPDX-License-Identifier: Apache-2.0 */
/* The business events that are booked, by the chart of accounts, and what a buyer reads of them. */
#include <inttypes.h>

#include "ledger_internal.h"

err_t ledger_top_up(struct ctx *ctx, ref_t biz_ref, ref_t buyer_org, money_t amount,
                    struct ledger_tx *out)
{
    struct posting posting = {
        .kind = LEDGER_TOP_UP,
        .biz_ref = biz_ref,
        .legs = {{.code = ACC_CASH_CLEARING, .side = SIDE_DEBIT, .amount = amount},
                 {.code = ACC_CUSTOMER_BALANCE,
                  .side = SIDE_CREDIT,
                  .owner = buyer_org,
                  .amount = amount}},
        .count = 2};
    return ledger_post(ctx, &posting, out);
}

/* ---- payment of orders ---- */
static struct posting payment_of(ref_t buyer_org, const struct ledger_child *child)
{
    return (struct posting){.kind = LEDGER_ORDER_PAID,
                            .biz_ref = child->biz_ref,
                            .order = child->child_order,
                            .legs = {{.code = ACC_CUSTOMER_BALANCE,
                                      .side = SIDE_DEBIT,
                                      .owner = buyer_org,
                                      .amount = child->amount,
                                      .is_moved = true},
                                     {.code = ACC_ORDER_ESCROW,
                                      .side = SIDE_CREDIT,
                                      .owner = child->child_order,
                                      .amount = child->amount,
                                      .payer = buyer_org}},
                            .count = 2};
}

struct rest_row {
    money_t rest;
};
static const struct field rest_fields[] = {FIELD(struct rest_row, rest, 0, INT64_MAX, 0)};
static const struct shape rest_shape = SHAPE(struct rest_row, rest_fields);

/* The sum leaves the balance by one guarded update, so a short balance changes nothing at all. */
static err_t take_from_balance(struct ctx *ctx, ref_t buyer_org, money_t total, money_t *out_left)
{
    struct rest_row row = {0};
    bool taken = false;
    TRY(db_find(
        ctx,
        "UPDATE ledger_account SET debits_fen = debits_fen + $1, held_fen = held_fen + $1, "
        "version = version + 1 "
        "WHERE owner_id = $2 AND code = 10 AND shard = 0 AND credits_fen - debits_fen >= $1 "
        "RETURNING credits_fen - debits_fen AS rest",
        ARGS(A(total), A(buyer_org)), &rest_shape, &row, &taken));
    *out_left = row.rest;
    if (taken)
        return OK;
    struct ledger_balance held = {0};
    TRY(ledger_balance_of(ctx, buyer_org, ACC_CUSTOMER_BALANCE, &held));
    int64_t missing = total.fen - held.balance.fen;
    err_t err =
        refuse(ctx, ERR_STATE, "insufficient_funds", "%" PRId64 " fen are missing", missing);
    ctx->problem.extension = str_printf(ctx->arena, "\"missing_fen\":%" PRId64, missing);
    return err;
}

/* What is still to be booked: children of nothing and those that are booked already are left out.
 */
static err_t find_due(struct ctx *ctx, ref_t buyer_org, const struct ledger_child *children,
                      size_t count, bool *out_due, money_t *out_total)
{
    for (size_t i = 0; i < count; i++) {
        struct posting posting = payment_of(buyer_org, &children[i]);
        struct ledger_tx booked;
        bool found = false;
        if (children[i].amount.fen == 0)
            continue;
        ledger_make_ready(&posting);
        hash_t digest = ledger_digest(ctx, &posting);
        TRY(ledger_find_posted(ctx, &posting, &digest, &booked, &found));
        out_due[i] = !found;
        if (out_due[i] && !money_add(*out_total, children[i].amount, out_total))
            return refuse(ctx, ERR_INPUT, "amount_too_large", "the sum of the children overflows");
    }
    return OK;
}

/* The reported digest is SM3 over the digests of the postings, in the order given. */
err_t ledger_orders_paid(struct ctx *ctx, ref_t buyer_org, const struct ledger_child *children,
                         size_t count, hash_t *out_digest)
{
    bool *due = NEW_ARRAY(ctx, bool, count + 1);
    money_t total = {0};
    TRY(find_due(ctx, buyer_org, children, count, due, &total));
    money_t left = {0};
    if (total.fen > 0)
        TRY(take_from_balance(ctx, buyer_org, total, &left));
    int64_t still = total.fen;
    struct buf digests;
    buf_init(&digests, ctx->arena, (count + 1) * HASH_BYTES);
    for (size_t i = 0; i < count; i++) {
        struct posting posting = payment_of(buyer_org, &children[i]);
        struct ledger_tx tx;
        if (due[i]) {
            still -= children[i].amount.fen;
            posting.legs[0].balance = (money_t){left.fen + still};
            posting.is_new = true;
        }
        if (children[i].amount.fen == 0)
            continue;
        TRY(ledger_post(ctx, &posting, &tx));
        buf_put(&digests, str_from(tx.digest.bytes, HASH_BYTES));
    }
    sm3(buf_str(&digests), out_digest->bytes);
    return OK;
}

/* ---- what becomes of escrow ---- */
static err_t load_escrow(struct ctx *ctx, ref_t child_order, money_t amount, struct escrow *out)
{
    bool found = false;
    if (amount.fen == 0)
        return OK;
    TRY(ledger_escrow_of(ctx, child_order, out, &found));
    if (!found)
        return refuse(ctx, ERR_STATE, "escrow_short", "nothing was paid for the order");
    return OK;
}

err_t ledger_item_active(struct ctx *ctx, ref_t item, ref_t child_order, ref_t provider_org,
                         money_t amount, int32_t commission_bp, struct ledger_tx *out)
{
    money_t commission;
    struct escrow escrow = {0};
    ENSURE(commission_bp >= 0 && commission_bp <= 10000);
    if (!money_scale(amount, commission_bp, 10000, &commission))
        return refuse(ctx, ERR_INPUT, "amount_too_large", "the commission overflows");
    TRY(load_escrow(ctx, child_order, amount, &escrow));
    struct posting posting = {
        .kind = LEDGER_ITEM_ACTIVE,
        .biz_ref = item,
        .order = child_order,
        .legs = {{.code = ACC_ORDER_ESCROW,
                  .side = SIDE_DEBIT,
                  .owner = child_order,
                  .amount = amount,
                  .payer = escrow.payer},
                 {.code = ACC_PROVIDER_PAYABLE,
                  .side = SIDE_CREDIT,
                  .owner = provider_org,
                  .amount = {amount.fen - commission.fen}},
                 {.code = ACC_COMMISSION, .side = SIDE_CREDIT, .amount = commission}},
        .count = 3};
    return ledger_post(ctx, &posting, out);
}

err_t ledger_refund_approved(struct ctx *ctx, ref_t refund, ref_t child_order, money_t amount,
                             struct ledger_tx *out)
{
    struct escrow escrow = {0};
    TRY(load_escrow(ctx, child_order, amount, &escrow));
    struct posting posting = {
        .kind = LEDGER_REFUND_APPROVED,
        .biz_ref = refund,
        .order = child_order,
        .legs = {{.code = ACC_ORDER_ESCROW,
                  .side = SIDE_DEBIT,
                  .owner = child_order,
                  .amount = amount,
                  .payer = escrow.payer},
                 {.code = ACC_REFUND_PAYABLE, .side = SIDE_CREDIT, .amount = amount}},
        .count = 2};
    return ledger_post(ctx, &posting, out);
}

struct approved_row {
    ref_t order_id;
    money_t amount;
};
static const struct field approved_fields[] = {
    FIELD_REF(struct approved_row, order_id, "ord", 0),
    FIELD(struct approved_row, amount, 0, INT64_MAX, 0),
};
static const struct shape approved_shape = SHAPE(struct approved_row, approved_fields);

/* Money goes back only as it was approved. */
err_t ledger_refund_done(struct ctx *ctx, ref_t refund, ref_t buyer_org, money_t amount,
                         struct ledger_tx *out)
{
    struct approved_row approved = {0};
    bool found = amount.fen == 0;
    if (!found)
        TRY(db_find(ctx,
                    "SELECT entry.owner_id AS order_id, entry.amount_fen AS amount FROM ledger_tx "
                    "JOIN ledger_entry entry ON entry.tx_id = ledger_tx.id AND entry.code = 11 "
                    "WHERE ledger_tx.biz_ref = $1 AND ledger_tx.kind = 4",
                    ARGS(A(refund)), &approved_shape, &approved, &found));
    if (!found || approved.amount.fen != amount.fen)
        return refuse(ctx, ERR_STATE, "refund_not_approved", "approved are %" PRId64 " fen",
                      approved.amount.fen);
    struct posting posting = {
        .kind = LEDGER_REFUND_DONE,
        .biz_ref = refund,
        .order = approved.order_id,
        .legs = {{.code = ACC_REFUND_PAYABLE, .side = SIDE_DEBIT, .amount = amount},
                 {.code = ACC_CUSTOMER_BALANCE,
                  .side = SIDE_CREDIT,
                  .owner = buyer_org,
                  .amount = amount}},
        .count = 2};
    return ledger_post(ctx, &posting, out);
}

/* ---- reading ---- */
err_t ledger_balance(struct ctx *ctx, ref_t buyer_org, struct ledger_balance *out)
{
    return ledger_balance_of(ctx, buyer_org, ACC_CUSTOMER_BALANCE, out);
}

err_t ledger_escrow(struct ctx *ctx, ref_t child_order, money_t *out)
{
    struct escrow escrow = {0};
    bool found;
    TRY(ledger_escrow_of(ctx, child_order, &escrow, &found));
    *out = escrow.balance;
    return OK;
}

static const struct field line_fields[] = {
    FIELD_REF(struct ledger_line, tx_id, "ltx", 0),
    FIELD(struct ledger_line, kind, 0, INT32_MAX, 0),
    FIELD_AS(struct ledger_line, amount, "amount_fen", INT64_MIN, INT64_MAX, 0),
    FIELD_AS(struct ledger_line, balance_after, "balance_after_fen", 0, INT64_MAX, 0),
    FIELD_REF(struct ledger_line, biz_ref, "ref", 0),
    FIELD_REF(struct ledger_line, order_id, "ord", 0),
    FIELD(struct ledger_line, at, 0, INT64_MAX, 0),
};
static const struct shape line_shape = SHAPE(struct ledger_line, line_fields);

err_t ledger_lines(struct ctx *ctx, ref_t buyer_org, ref_t before, int limit,
                   struct ledger_line **out, size_t *out_count)
{
    int64_t below = before.value ? before.value : INT64_MAX;
    return db_all(ctx,
                  "SELECT tx_id, kind, amount_fen, balance_after_fen, biz_ref, order_id, at FROM "
                  "ledger_statement "
                  "WHERE org_id = $1 AND tx_id < $2 ORDER BY tx_id DESC LIMIT $3",
                  ARGS(A(buyer_org), A(below), A(limit)), &line_shape, out, out_count);
}
