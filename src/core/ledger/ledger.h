/* SPDX-License-Identifier: Apache-2.0 */
/* Double-entry books. A posting is one ledger_tx with its entries, unique on (biz_ref, kind): the
 * same content again is "exists" (OK, nothing changes), other content refuses `ledger_conflict`.
 * Balances live on the account rows and equal the fold of the entries; accounts of buyers and
 * escrow never go below zero. Chart and codes: docs/money.md. */
#ifndef SUANHE_LEDGER_H
#define SUANHE_LEDGER_H

#include "base/base.h"
#include "db/db.h"
#include "proof/proof.h"

enum ledger_code { /* what an account is for; with an owner where the chart says so */
                   ACC_CASH_CLEARING = 1, /* A; sharded */
                   ACC_BANK = 2,
                   ACC_RECEIVABLE = 3,        /* buyer */
                   ACC_CUSTOMER_BALANCE = 10, /* L; buyer organisation; never below zero */
                   ACC_ORDER_ESCROW = 11,     /* L; child order; never below zero */
                   ACC_PROVIDER_PAYABLE = 12, /* L; provider organisation */
                   ACC_PROVIDER_UNSETTLED = 13,
                   ACC_REFUND_PAYABLE = 14,
                   ACC_OUTPUT_TAX = 15,
                   ACC_SUSPENSE = 16,
                   ACC_COMMISSION = 20, /* R; sharded */
                   ACC_CHANNEL_FEE = 30,
                   ACC_COUPON_COST = 31,
                   ACC_BAD_DEBT = 32,
};
enum ledger_kind {
    LEDGER_TOP_UP = 1,
    LEDGER_ORDER_PAID = 2,
    LEDGER_ITEM_ACTIVE = 3,
    LEDGER_REFUND_APPROVED = 4,
    LEDGER_REFUND_DONE = 5
};

struct ledger_tx {
    ref_t id;
    int32_t kind;
    ref_t biz_ref;
    utc_t occurred_at, booked_at;
    hash_t digest; /* SM3 over the canonical text of the posting: stands in the finance fact */
};

/* L0: a bank transfer was confirmed. biz_ref: the top-up. */
err_t ledger_top_up(struct ctx *ctx, ref_t biz_ref, ref_t buyer_org, money_t amount,
                    struct ledger_tx *out);
/* L1 for each child order at once: balance -> escrow. Refuses `insufficient_funds`
 * (problem.extension "missing_fen": n) when the balance is short; nothing is changed then. */
struct ledger_child {
    ref_t biz_ref; /* the child's payment allocation */
    ref_t child_order;
    money_t amount; /* 0 allowed: nothing is posted */
};
err_t ledger_orders_paid(struct ctx *ctx, ref_t buyer_org, const struct ledger_child *children,
                         size_t count, hash_t *out_digest);
/* L2: an item was delivered: escrow -> provider payable + commission (commission_bp of the store's
 * agreement). */
err_t ledger_item_active(struct ctx *ctx, ref_t item, ref_t child_order, ref_t provider_org,
                         money_t amount, int32_t commission_bp, struct ledger_tx *out);
/* L3 and L4 of an undelivered part: escrow -> refund payable -> balance. */
err_t ledger_refund_approved(struct ctx *ctx, ref_t refund, ref_t child_order, money_t amount,
                             struct ledger_tx *out);
err_t ledger_refund_done(struct ctx *ctx, ref_t refund, ref_t buyer_org, money_t amount,
                         struct ledger_tx *out);

struct ledger_balance {
    money_t balance, in_escrow;
};
err_t ledger_balance(struct ctx *ctx, ref_t buyer_org, struct ledger_balance *out);
/* Postings that touched the organisation's balance, newest first. */
struct ledger_line {
    ref_t tx_id;
    int32_t kind;
    money_t amount; /* signed: what the balance changed by */
    money_t balance_after;
    ref_t biz_ref;
    ref_t order_id; /* child order, or none */
    utc_t at;
};
err_t ledger_lines(struct ctx *ctx, ref_t buyer_org, ref_t before, int limit,
                   struct ledger_line **out, size_t *out_count);
err_t ledger_escrow(struct ctx *ctx, ref_t child_order, money_t *out);

/* A confirmed bank transfer: the posting, its row and its fact (audience: the organisation and
 * also_hears). A bank reference is booked once (`bank_reference_used`). */
struct top_up {
    ref_t id, org_id, event_id;
    money_t amount;
    str_t bank_reference, note;
    utc_t created_at;
};
err_t ledger_book_top_up(struct ctx *ctx, struct top_up *in_out, ref_t also_hears);
err_t ledger_top_ups(struct ctx *ctx, const int64_t *ids, size_t count, struct top_up **out,
                     size_t *out_count);

/* Every invariant that can be checked from the tables alone: sums per posting, balances = fold, no
 * negative guarded account, digests. Prints what is wrong. */
err_t ledger_fsck(struct ctx *ctx, struct buf *report);
/* Plain-text journal for independent checking (hledger). */
err_t ledger_export(struct ctx *ctx, struct buf *out);

#endif
