/* SPDX-License-Identifier: Apache-2.0 */
/* How a posting is made: its legs move their account rows by guarded updates, then the posting, its
 * entries and the buyer's statement are added. Everything lies in the caller's transaction. */
#include <inttypes.h>
#include <string.h>

#include "ledger_internal.h"

static const struct chart_line chart[] = {
    {ACC_CASH_CLEARING, "assets:cash_clearing", NULL, true, false},
    {ACC_BANK, "assets:bank", NULL, false, false},
    {ACC_RECEIVABLE, "assets:receivable", "org", false, false},
    {ACC_CUSTOMER_BALANCE, "liabilities:customer_balance", "org", false, true},
    {ACC_ORDER_ESCROW, "liabilities:order_escrow", "ord", false, true},
    {ACC_PROVIDER_PAYABLE, "liabilities:provider_payable", "org", false, false},
    {ACC_PROVIDER_UNSETTLED, "liabilities:provider_unsettled", "org", false, false},
    {ACC_REFUND_PAYABLE, "liabilities:refund_payable", NULL, true, false},
    {ACC_OUTPUT_TAX, "liabilities:output_tax", NULL, false, false},
    {ACC_SUSPENSE, "liabilities:suspense", NULL, false, false},
    {ACC_COMMISSION, "revenues:commission", NULL, true, false},
    {ACC_CHANNEL_FEE, "expenses:channel_fee", NULL, false, false},
    {ACC_COUPON_COST, "expenses:coupon_cost", NULL, false, false},
    {ACC_BAD_DEBT, "expenses:bad_debt", NULL, false, false},
};

const struct chart_line *ledger_chart(int code)
{
    for (size_t i = 0; i < sizeof chart / sizeof chart[0]; i++)
        if (chart[i].code == code)
            return &chart[i];
    log_die("ledger: no account has the code %d", code);
}

/* The counter bits of keys are often zero, so the whole key is mixed. */
int ledger_shard(int code, ref_t biz_ref)
{
    if (!ledger_chart(code)->sharded)
        return 0;
    return (int)(((uint64_t)biz_ref.value * UINT64_C(0x9E3779B97F4A7C15)) >> 60);
}

hash_t ledger_digest(struct ctx *ctx, const struct posting *posting)
{
    struct buf text;
    buf_init(&text, ctx->arena, 4096);
    buf_printf(&text, "suanhe ledger v1\nkind %d\nref %" PRId64 "\n", posting->kind,
               posting->biz_ref.value);
    for (int i = 0; i < posting->count; i++) {
        const struct leg *leg = &posting->legs[i];
        buf_printf(&text, "%s %d %" PRId64 " %" PRId64 "\n", leg->side == SIDE_DEBIT ? "dr" : "cr",
                   leg->code, leg->owner.value, leg->amount.fen);
    }
    ENSURE(!text.overflow);
    hash_t digest;
    sm3(buf_str(&text), digest.bytes);
    return digest;
}

static int compare_legs(const struct leg *a, const struct leg *b)
{
    if (a->owner.value != b->owner.value)
        return a->owner.value < b->owner.value ? -1 : 1;
    return a->code - b->code;
}

/* Drops legs of nothing, sorts the rest, and checks what the code promises: both sides sum to the
 * same. */
void ledger_make_ready(struct posting *posting)
{
    int kept = 0;
    int64_t difference = 0;
    for (int i = 0; i < posting->count; i++) {
        struct leg leg = posting->legs[i];
        ENSURE(leg.amount.fen >= 0 && leg.amount.fen <= MONEY_MAX_FEN);
        ENSURE((ledger_chart(leg.code)->owner_prefix != NULL) == (leg.owner.value != 0));
        difference += leg.side == SIDE_DEBIT ? leg.amount.fen : -leg.amount.fen;
        if (leg.amount.fen == 0)
            continue;
        int at = kept++;
        for (; at > 0 && compare_legs(&posting->legs[at - 1], &leg) > 0; at--)
            posting->legs[at] = posting->legs[at - 1];
        posting->legs[at] = leg;
    }
    ENSURE(difference == 0);
    posting->count = kept;
}

static const struct field tx_fields[] = {
    FIELD_REF(struct ledger_tx, id, "ltx", 0),
    FIELD(struct ledger_tx, kind, 0, INT32_MAX, 0),
    FIELD_REF(struct ledger_tx, biz_ref, "ref", 0),
    FIELD(struct ledger_tx, occurred_at, 0, INT64_MAX, 0),
    FIELD(struct ledger_tx, booked_at, 0, INT64_MAX, 0),
};
static const struct shape tx_shape = SHAPE(struct ledger_tx, tx_fields);
struct digest_row {
    str_t digest;
};
static const struct field digest_fields[] = {FIELD_BYTES(struct digest_row, digest, 0, 32, 0)};
static const struct shape digest_shape = SHAPE(struct digest_row, digest_fields);

err_t ledger_find_posted(struct ctx *ctx, const struct posting *posting, const hash_t *digest,
                         struct ledger_tx *out, bool *out_found)
{
    struct digest_row stored = {0};
    hash_t same = *digest; /* it may lie in *out */
    TRY(db_find(ctx, "SELECT digest FROM ledger_tx WHERE biz_ref = $1 AND kind = $2",
                ARGS(A(posting->biz_ref), A(posting->kind)), &digest_shape, &stored, out_found));
    if (!*out_found)
        return OK;
    if (!str_eq(stored.digest, str_from(digest->bytes, HASH_BYTES)))
        return refuse(ctx, ERR_CONFLICT, "ledger_conflict",
                      "kind %d of %" PRId64 " is booked with other content", posting->kind,
                      posting->biz_ref.value);
    TRY(db_one(ctx,
               "SELECT id, kind, biz_ref, occurred_at, booked_at FROM ledger_tx WHERE biz_ref = $1 "
               "AND kind = $2",
               ARGS(A(posting->biz_ref), A(posting->kind)), &tx_shape, out));
    out->digest = same;
    return OK;
}

/* ---- accounts ---- */
struct account_row {
    money_t balance, held;
    ref_t payer;
};
static const struct field account_fields[] = {
    FIELD(struct account_row, balance, INT64_MIN, INT64_MAX, 0),
    FIELD(struct account_row, held, 0, INT64_MAX, 0),
    FIELD_REF(struct account_row, payer, "org", 0),
};
static const struct shape account_shape = SHAPE(struct account_row, account_fields);

static err_t read_account(struct ctx *ctx, ref_t owner, int code, struct account_row *out,
                          bool *out_found)
{
    return db_find(
        ctx,
        "SELECT credits_fen - debits_fen AS balance, held_fen AS held, payer_id AS payer "
        "FROM ledger_account WHERE owner_id = $1 AND code = $2 AND shard = 0",
        ARGS(A(owner), A(code)), &account_shape, out, out_found);
}

err_t ledger_balance_of(struct ctx *ctx, ref_t owner, int code, struct ledger_balance *out)
{
    struct account_row row = {0};
    bool found;
    TRY(read_account(ctx, owner, code, &row, &found));
    *out = (struct ledger_balance){.balance = row.balance, .in_escrow = row.held};
    return OK;
}

err_t ledger_escrow_of(struct ctx *ctx, ref_t child_order, struct escrow *out, bool *out_found)
{
    struct account_row row = {0};
    TRY(read_account(ctx, child_order, ACC_ORDER_ESCROW, &row, out_found));
    *out = (struct escrow){.balance = row.balance, .payer = row.payer};
    return OK;
}

/* Accounts that may be new or may go to either side. */
static err_t move_free(struct ctx *ctx, const struct leg *leg, int shard)
{
    int64_t debit = leg->side == SIDE_DEBIT ? leg->amount.fen : 0;
    return db_exec_one(
        ctx,
        "INSERT INTO ledger_account (owner_id, code, shard, debits_fen, credits_fen, held_fen, "
        "payer_id, version) VALUES ($1, $2, $3, $4, $5, 0, $6, 1) "
        "ON CONFLICT (owner_id, code, shard) DO UPDATE SET "
        "debits_fen = ledger_account.debits_fen + excluded.debits_fen, "
        "credits_fen = ledger_account.credits_fen + excluded.credits_fen, "
        "version = ledger_account.version + 1",
        ARGS(A(leg->owner), A(leg->code), A(shard), A(debit), A(leg->amount.fen - debit),
             A(leg->payer)));
}

/* The guard stands in the statement, so that no reading before it can be outdated. */
static err_t move_guarded(struct ctx *ctx, const struct leg *leg)
{
    int64_t changed = 0;
    TRY(db_exec(
        ctx,
        "UPDATE ledger_account SET debits_fen = debits_fen + $1, version = version + 1 "
        "WHERE owner_id = $2 AND code = $3 AND shard = 0 AND credits_fen - debits_fen >= $1",
        ARGS(A(leg->amount), A(leg->owner), A(leg->code)), &changed));
    if (changed == 1)
        return OK;
    struct account_row row = {0};
    bool found;
    TRY(read_account(ctx, leg->owner, leg->code, &row, &found));
    if (leg->code != ACC_CUSTOMER_BALANCE)
        return refuse(ctx, ERR_STATE, "escrow_short", "%" PRId64 " of %" PRId64 " fen",
                      row.balance.fen, leg->amount.fen);
    err_t err = refuse(ctx, ERR_STATE, "insufficient_funds", "%" PRId64 " fen are missing",
                       leg->amount.fen - row.balance.fen);
    ctx->problem.extension =
        str_printf(ctx->arena, "\"missing_fen\":%" PRId64, leg->amount.fen - row.balance.fen);
    return err;
}

static err_t move(struct ctx *ctx, struct leg *leg, ref_t biz_ref)
{
    if (!leg->is_moved) {
        if (ledger_chart(leg->code)->guarded && leg->side == SIDE_DEBIT)
            TRY(move_guarded(ctx, leg));
        else
            TRY(move_free(ctx, leg, ledger_shard(leg->code, biz_ref)));
    }
    /* What left an escrow is no longer held for the payer. */
    if (leg->code == ACC_ORDER_ESCROW && leg->side == SIDE_DEBIT)
        TRY(db_exec_one(ctx,
                        "UPDATE ledger_account SET held_fen = held_fen - $1, version = version + 1 "
                        "WHERE owner_id = $2 AND code = 10 AND shard = 0 AND held_fen >= $1",
                        ARGS(A(leg->amount), A(leg->payer))));
    if (leg->code != ACC_CUSTOMER_BALANCE || leg->is_moved)
        return OK;
    struct ledger_balance now;
    TRY(ledger_balance_of(ctx, leg->owner, leg->code, &now));
    leg->balance = now.balance;
    return OK;
}

/* ---- rows of the posting ---- */
static err_t add_rows(struct ctx *ctx, const struct posting *posting, const struct ledger_tx *tx)
{
    /* Whoever booked the same event at the same moment makes this run again, and then find it. */
    TRY(db_exec_one(
        ctx,
        "INSERT INTO ledger_tx (id, kind, biz_ref, occurred_at, booked_at, corrects, digest) "
        "VALUES ($1, $2, $3, $4, $5, 0, $6) ON CONFLICT (biz_ref, kind) DO NOTHING",
        ARGS(A(tx->id), A(tx->kind), A(tx->biz_ref), A(tx->occurred_at), A(tx->booked_at),
             A_BYTES(str_from(tx->digest.bytes, HASH_BYTES)))));
    for (int i = 0; i < posting->count; i++) {
        const struct leg *leg = &posting->legs[i];
        TRY(db_exec_one(
            ctx,
            "INSERT INTO ledger_entry (tx_id, seq, owner_id, code, shard, side, amount_fen) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7)",
            ARGS(A(tx->id), A(i + 1), A(leg->owner), A(leg->code),
                 A(ledger_shard(leg->code, posting->biz_ref)), A(leg->side), A(leg->amount))));
        if (leg->code != ACC_CUSTOMER_BALANCE)
            continue;
        int64_t change = leg->side == SIDE_CREDIT ? leg->amount.fen : -leg->amount.fen;
        TRY(db_exec_one(
            ctx,
            "INSERT INTO ledger_statement (org_id, tx_id, kind, amount_fen, balance_after_fen, "
            "biz_ref, order_id, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            ARGS(A(leg->owner), A(tx->id), A(tx->kind), A(change), A(leg->balance), A(tx->biz_ref),
                 A(posting->order), A(tx->booked_at))));
    }
    return OK;
}

err_t ledger_post(struct ctx *ctx, struct posting *posting, struct ledger_tx *out)
{
    ledger_make_ready(posting);
    struct ledger_tx tx = {.kind = posting->kind,
                           .biz_ref = posting->biz_ref,
                           .occurred_at = ctx->now,
                           .booked_at = ctx->now,
                           .digest = ledger_digest(ctx, posting)};
    bool found = false;
    if (!posting->is_new)
        TRY(ledger_find_posted(ctx, posting, &tx.digest, &tx, &found));
    if (!found && posting->count > 0) {
        tx.id = id_make(ctx->platform->ids, ctx->now);
        for (int i = 0; i < posting->count; i++)
            TRY(move(ctx, &posting->legs[i], posting->biz_ref));
        TRY(add_rows(ctx, posting, &tx));
    }
    *out = tx;
    return OK;
}
