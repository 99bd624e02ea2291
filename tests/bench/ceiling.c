/* SPDX-License-Identifier: Apache-2.0 */
/* The bare ceiling: the rows that one paid order of one line leaves in its transaction, with the same columns, sizes,
 * keys and indexes, written through the same group commit without rules, facts, seals or replies. The tables are
 * empty copies made from the definitions of the real ones (the stock is copied with its rows), so they follow every
 * migration; a copy whose columns no longer fit its row below fails loudly. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* A letter per column: k a new key, p the key of the row before, c the newest order_head, f the first order_head of
 * this order, o a key of somebody, t the time, 0 1 2 3 that number, m an amount; "N a text and #N bytes of N bytes. */
struct shadow {
    const char *table, *row;
    int rows; /* per order */
};
static const struct shadow shadows[] = {
    {"order_head", NULL, 2},
    {"order_item", "kc11oooo10\"26\"14\"28\"2\"6\"3\"222\"2221m0mm0mmt", 1},
    {"order_instance", "kpcfoo11o\"0\"2\"0\"000tt", 1},
    {"order_of_org", "of", 1},
    {"order_payment", "kfoo11om1ttt", 1},
    {"ledger_tx", "k1ctt0#32", 1},
    {"ledger_entry", NULL, 2},
    {"ledger_statement", "op1mmcct", 1},
    {"ledger_account", "c110m0o1", 1}, /* the escrow; the balance is an update */
    {"catalog_hold", "ko110o", 1},
    {"catalog_change", "ko", 1},
    {"evidence_entry", "k1kko1o\"17o1o#16t#151#32#331", 3},
    {"evidence_object", "k1#32", 2},
    {"job_row", "k21co\"16t00\"0\"0t", 2},
    {"http_reply", "ko#32#32" "2\"100#1400", 1},
};
