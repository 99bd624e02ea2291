/* SPDX-License-Identifier: Apache-2.0 */
/* Private to core/ledger: the chart of accounts, and the one way a posting is made. */
#ifndef SUANHE_LEDGER_INTERNAL_H
#define SUANHE_LEDGER_INTERNAL_H

#include "ledger/ledger.h"

enum { SIDE_DEBIT = 1, SIDE_CREDIT = 2, SHARDS = 16, LEGS_MAX = 4 };

struct chart_line {
    int code;
    const char *name;         /* "liabilities:order_escrow" */
    const char *owner_prefix; /* NULL: the platform's own */
    bool sharded, guarded;    /* guarded: debits never exceed credits */
};
const struct chart_line *ledger_chart(int code); /* stops the process when unknown */

/* One side of a posting. Legs stand in the order of their accounts (owner, code), in which rows are
 * locked too. */
struct leg {
    int code, side;
    ref_t owner;
    money_t amount;
    ref_t payer;     /* of a credit to an escrow */
    bool is_moved;   /* the account row was changed beforehand */
    money_t balance; /* of a leg of a buyer's balance: what it holds after */
};
struct posting {
    int kind;
    ref_t biz_ref, order;
    bool is_new; /* looked for in this transaction, and not there */
    struct leg legs[LEGS_MAX];
    int count;
};
/* Legs of nothing are dropped; a posting without legs books nothing and reports its digest. A
 * posting that exists with the same content is reported as it stands. */
err_t ledger_post(struct ctx *ctx, struct posting *posting, struct ledger_tx *out);
/* Drops legs of nothing, sorts the rest, and checks what the code promises: both sides sum to the
 * same. */
void ledger_make_ready(struct posting *posting);
/* SM3 over the canonical text of a ready posting: kind, business reference, and each leg's account,
 * side and amount. */
hash_t ledger_digest(struct ctx *ctx, const struct posting *posting);
/* OK with *out_found; other content refuses `ledger_conflict`. */
err_t ledger_find_posted(struct ctx *ctx, const struct posting *posting, const hash_t *digest,
                         struct ledger_tx *out, bool *out_found);
err_t ledger_balance_of(struct ctx *ctx, ref_t owner, int code, struct ledger_balance *out);
struct escrow {
    money_t balance;
    ref_t payer;
};
err_t ledger_escrow_of(struct ctx *ctx, ref_t child_order, struct escrow *out, bool *out_found);
int ledger_shard(int code, ref_t biz_ref);

#endif
