/* SPDX-License-Identifier: Apache-2.0 */
/* The books checked against themselves, and written out for another program to check. */
#include <inttypes.h>

#include "ledger_internal.h"

enum { REPORT_LINES_MAX = 100 };

struct check {
    struct buf *report;
    int found;
    const char *what;
};

static void complain(struct check *check, const char *what, int64_t a, int64_t b, int64_t c)
{
    if (check->found++ < REPORT_LINES_MAX)
        buf_printf(check->report, "ledger: %s (%" PRId64 ", %" PRId64 ", %" PRId64 ")\n", what, a,
                   b, c);
}

/* Each query below finds what must not be; three numbers say where. */
struct finding {
    int64_t a, b, c;
};
static const struct field finding_fields[] = {
    FIELD(struct finding, a, INT64_MIN, INT64_MAX, 0),
    FIELD(struct finding, b, INT64_MIN, INT64_MAX, 0),
    FIELD(struct finding, c, INT64_MIN, INT64_MAX, 0),
};
static const struct shape finding_shape = SHAPE(struct finding, finding_fields);

#define FOLD                                                                         \
    "(SELECT owner_id, code, shard, "                                                \
    "CAST(SUM(CASE WHEN side = 1 THEN amount_fen ELSE 0 END) AS BIGINT) AS debits, " \
    "CAST(SUM(CASE WHEN side = 2 THEN amount_fen ELSE 0 END) AS BIGINT) AS credits " \
    "FROM ledger_entry GROUP BY owner_id, code, shard)"

static const struct {
    const char *what, *sql;
} rules[] = {
    {"a posting's sides differ (tx, debits, credits)",
     "SELECT tx_id AS a, CAST(SUM(CASE WHEN side = 1 THEN amount_fen ELSE 0 END) AS BIGINT) AS b, "
     "CAST(SUM(CASE WHEN side = 2 THEN amount_fen ELSE 0 END) AS BIGINT) AS c FROM ledger_entry "
     "GROUP BY tx_id "
     "HAVING SUM(CASE WHEN side = 1 THEN amount_fen ELSE -amount_fen END) <> 0"},
    {"a posting has no entries (tx, kind, reference)",
     "SELECT id AS a, kind AS b, biz_ref AS c FROM ledger_tx "
     "WHERE NOT EXISTS (SELECT 1 FROM ledger_entry WHERE tx_id = ledger_tx.id)"},
    {"entries without their posting (tx, owner, code)",
     "SELECT tx_id AS a, owner_id AS b, code AS c FROM ledger_entry "
     "WHERE NOT EXISTS (SELECT 1 FROM ledger_tx WHERE id = ledger_entry.tx_id)"},
    {"an account is not the fold of its entries (owner, code, shard)",
     "SELECT account.owner_id AS a, account.code AS b, account.shard AS c FROM ledger_account "
     "account LEFT JOIN " FOLD " fold ON fold.owner_id = account.owner_id AND fold.code = "
     "account.code AND fold.shard = account.shard "
     "WHERE account.debits_fen <> COALESCE(fold.debits, 0) OR account.credits_fen <> "
     "COALESCE(fold.credits, 0)"},
    {"entries of an account that is not there (owner, code, shard)",
     "SELECT owner_id AS a, code AS b, shard AS c FROM ledger_entry WHERE NOT EXISTS (SELECT 1 "
     "FROM ledger_account "
     "WHERE owner_id = ledger_entry.owner_id AND code = ledger_entry.code AND shard = "
     "ledger_entry.shard)"},
    {"a guarded account is below zero (owner, debits, credits)",
     "SELECT owner_id AS a, debits_fen AS b, credits_fen AS c FROM ledger_account "
     "WHERE code IN (10, 11) AND debits_fen > credits_fen"},
    {"what is held for a buyer is not the sum of its escrows (owner, held, escrows)",
     "SELECT owner_id AS a, held_fen AS b, COALESCE(escrow.total, 0) AS c FROM ledger_account "
     "account LEFT JOIN "
     "(SELECT payer_id AS payer, CAST(SUM(credits_fen - debits_fen) AS BIGINT) AS total FROM "
     "ledger_account "
     "WHERE code = 11 GROUP BY payer_id) escrow ON escrow.payer = account.owner_id "
     "WHERE account.code = 10 AND account.held_fen <> COALESCE(escrow.total, 0)"},
    {"a statement does not sum to the balance (owner, balance, statement)",
     "SELECT account.owner_id AS a, account.credits_fen - account.debits_fen AS b, "
     "COALESCE(line.total, 0) AS c FROM ledger_account account LEFT JOIN "
     "(SELECT org_id, CAST(SUM(amount_fen) AS BIGINT) AS total FROM ledger_statement GROUP BY "
     "org_id) line "
     "ON line.org_id = account.owner_id WHERE account.code = 10 "
     "AND account.credits_fen - account.debits_fen <> COALESCE(line.total, 0)"},
    {"money went back that was not approved (reference, done, approved)",
     "SELECT done.biz_ref AS a, done.kind AS b, 0 AS c FROM ledger_tx done WHERE done.kind = 5 "
     "AND NOT EXISTS (SELECT 1 FROM ledger_tx approved WHERE approved.biz_ref = done.biz_ref AND "
     "approved.kind = 4)"},
    {"a top-up was not booked as it was confirmed (top-up, organisation, amount)",
     "SELECT id AS a, org_id AS b, amount_fen AS c FROM ledger_top_up WHERE NOT EXISTS (SELECT 1 "
     "FROM ledger_tx "
     "JOIN ledger_entry ON ledger_entry.tx_id = ledger_tx.id WHERE ledger_tx.biz_ref = "
     "ledger_top_up.id "
     "AND ledger_tx.kind = 1 AND ledger_entry.owner_id = ledger_top_up.org_id "
     "AND ledger_entry.amount_fen = ledger_top_up.amount_fen)"},
};

static err_t take_finding(struct ctx *ctx, const void *row, void *arg)
{
    const struct finding *finding = row;
    struct check *check = arg;
    (void)ctx;
    complain(check, check->what, finding->a, finding->b, finding->c);
    return OK;
}

/* ---- walking all postings with their entries ---- */
struct walk_row {
    int64_t tx_id, biz_ref, owner_id, amount_fen;
    int32_t kind, code, side;
    utc_t booked_at;
    str_t digest;
};
static const struct field walk_fields[] = {
    FIELD(struct walk_row, tx_id, 0, INT64_MAX, 0),
    FIELD(struct walk_row, biz_ref, 0, INT64_MAX, 0),
    FIELD(struct walk_row, owner_id, 0, INT64_MAX, 0),
    FIELD(struct walk_row, amount_fen, 0, INT64_MAX, 0),
    FIELD(struct walk_row, kind, 0, INT32_MAX, 0),
    FIELD(struct walk_row, code, 0, INT32_MAX, 0),
    FIELD(struct walk_row, side, 0, 2, 0),
    FIELD(struct walk_row, booked_at, 0, INT64_MAX, 0),
    FIELD_BYTES(struct walk_row, digest, 0, 32, 0),
};
static const struct shape walk_shape = SHAPE(struct walk_row, walk_fields);
static const char walk_sql[] =
    "SELECT entry.tx_id, ledger_tx.biz_ref, entry.owner_id, entry.amount_fen, ledger_tx.kind, "
    "entry.code, "
    "entry.side, ledger_tx.booked_at, ledger_tx.digest FROM ledger_tx "
    "JOIN ledger_entry entry ON entry.tx_id = ledger_tx.id ORDER BY entry.tx_id, entry.seq";

/* Digests are made in a small context of their own, emptied after each posting: books may be large.
 */
struct digest_walk {
    struct check *check;
    struct ctx scratch;
    struct posting posting;
    uint8_t stored[HASH_BYTES];
    bool has_digest, too_many;
    int64_t tx_id;
};

static void end_posting(struct digest_walk *walk)
{
    if (walk->tx_id == 0)
        return;
    hash_t digest = ledger_digest(&walk->scratch, &walk->posting);
    str_t made = str_from(digest.bytes, HASH_BYTES), stored = str_from(walk->stored, HASH_BYTES);
    if (walk->too_many || !walk->has_digest || !str_eq(made, stored))
        complain(walk->check, "a digest is not that of its posting (tx, kind, reference)",
                 walk->tx_id, walk->posting.kind, walk->posting.biz_ref.value);
    arena_reset(walk->scratch.arena);
}

static err_t take_entry(struct ctx *ctx, const void *row, void *arg)
{
    const struct walk_row *entry = row;
    struct digest_walk *walk = arg;
    (void)ctx;
    if (entry->tx_id != walk->tx_id) {
        end_posting(walk);
        walk->tx_id = entry->tx_id;
        walk->posting = (struct posting){.kind = entry->kind, .biz_ref = {entry->biz_ref}};
        walk->too_many = false;
        walk->has_digest = entry->digest.len == HASH_BYTES;
        for (size_t i = 0; i < HASH_BYTES && walk->has_digest; i++)
            walk->stored[i] = (uint8_t)entry->digest.data[i];
    }
    if (walk->posting.count == LEGS_MAX)
        walk->too_many = true;
    else
        walk->posting.legs[walk->posting.count++] = (struct leg){.code = entry->code,
                                                                 .side = entry->side,
                                                                 .owner = {entry->owner_id},
                                                                 .amount = {entry->amount_fen}};
    return OK;
}

static err_t check_digests(struct ctx *ctx, struct check *check)
{
    struct digest_walk walk = {.check = check};
    ctx_init(&walk.scratch, ctx->platform, ctx->now);
    err_t err = db_each(ctx, walk_sql, NO_ARGS, &walk_shape, take_entry, &walk);
    if (err == OK)
        end_posting(&walk);
    ctx_done(&walk.scratch);
    return err;
}

err_t ledger_fsck(struct ctx *ctx, struct buf *report)
{
    struct check check = {.report = report};
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        check.what = rules[i].what;
        TRY(db_each(ctx, rules[i].sql, NO_ARGS, &finding_shape, take_finding, &check));
    }
    TRY(check_digests(ctx, &check));
    if (check.found > 0)
        return refuse(ctx, ERR_STATE, "ledger_damaged", "%d findings", check.found);
    return OK;
}

/* ---- export ---- */
struct export
{
    struct buf *out;
    int64_t tx_id;
};

static err_t write_entry(struct ctx *ctx, const void *row, void *arg)
{
    const struct walk_row *entry = row;
    struct export *export = arg;
    const struct chart_line *line = ledger_chart(entry->code);
    (void)ctx;
    if (entry->tx_id != export->tx_id) {
        struct shanghai day = utc_shanghai(entry->booked_at);
        export->tx_id = entry->tx_id;
        buf_printf(export->out, "\n%04d-%02d-%02d (", day.year, day.month, day.day);
        ref_write(export->out, "ltx", (ref_t){entry->tx_id});
        buf_printf(export->out, ") kind %d  ; ref:%" PRId64 "\n", entry->kind, entry->biz_ref);
    }
    buf_printf(export->out, "    %s", line->name);
    if (line->owner_prefix) {
        buf_putc(export->out, ':');
        ref_write(export->out, line->owner_prefix, (ref_t){entry->owner_id});
    }
    buf_puts(export->out, "  CNY ");
    money_write(export->out,
                (money_t){entry->side == SIDE_DEBIT ? entry->amount_fen : -entry->amount_fen});
    buf_putc(export->out, '\n');
    return OK;
}

err_t ledger_export(struct ctx *ctx, struct buf *out)
{
    struct export export = {.out = out};
    buf_puts(out,
             "; plain-text journal: debits positive, credits negative\ncommodity CNY 1000.00\n");
    TRY(db_each(ctx, walk_sql, NO_ARGS, &walk_shape, write_entry, &export));
    if (out->overflow)
        return refuse(ctx, ERR_LIMIT, "export_too_large", "the journal exceeds %zu bytes",
                      out->limit);
    return OK;
}
