/* SPDX-License-Identifier: Apache-2.0 */
/* The bare ceiling: the rows that one paid order of one line leaves in its transaction, with the
 * same columns, sizes, keys and indexes, written through the same group commit without rules, seals
 * or replies. The tables are copies made from the definitions of the real ones, so they follow
 * every migration; a row that no longer fits its copy fails loudly. */
#include <inttypes.h>

#include "bench.h"

/* A letter per column: k a new key, p the key made last, c and f the keys of this order's child and
 * parent, o somebody's key, h a random number, t the time, 0 1 2 3 that number, m an amount, s a
 * status; <N> a text and [N] bytes of N bytes. */
static const struct shadow {
    const char *table, *row;
} shadows[] = {
    {"order_head", "k10oo0031om0mmm0000t0<0>001<26><0><0><0>tt"},
    {"order_head", "k2foooo31om0mmm0m00t0<0>011<26><0><0><0>tt"},
    {"order_item", "kc11ooo1o0<26><14><28><2><6><3><222><2>221m0om0mmt"},
    {"order_instance", "kpcfoo11o<0><2><0><0>00tt"},
    {"order_of_org", "of"},
    {"order_payment", "kfoo31om1ttt"},
    {"ledger_account", "c100m0o1"}, /* the escrow; the balance is an update */
    {"ledger_tx", "k2ctt0[32]"},
    {"ledger_entry", "p1c102m"},
    {"ledger_entry", "p2o101m"},
    {"ledger_statement", "op2mocct"},
    {"catalog_hold", "ko110o"},
    {"catalog_change", "ko"},
    {"evidence_entry", "k21okf3f<17>o1o[24]t[160][32][750]"},
    {"evidence_entry", "k31okf3f<17>o1o[8]t[160][32][380]"},
    {"evidence_entry", "k21okf3f<17>o1o[8]t[160][32][170]"},
    {"evidence_object", "f2[32]"},
    {"evidence_object", "k3[32]"},
    {"job_row", "k31cc<29>t00<0><0>t"},
    {"job_row", "k21c0<2>t00<0><0>t"},
    {"http_reply", "kh[32][32]s<100>[1800]"},
};
enum { SHADOWS = sizeof shadows / sizeof shadows[0], COLUMNS_MAX = 40 };

/* Statements are found by the address of their text, so each text is made once. */
struct ceiling {
    str_t insert[SHADOWS];
};

struct definition {
    str_t sql;
};
static const struct field definition_fields[] = {FIELD(struct definition, sql, 0, 65536, 0)};
static const struct shape definition_shape = SHAPE(struct definition, definition_fields);

static bool is_first(size_t i)
{
    return i == 0 || strcmp(shadows[i - 1].table, shadows[i].table) != 0;
}

/* Puts `bench_` before each name of a table or index. */
static str_t renamed(struct ctx *ctx, str_t sql)
{
    static const char *const before[] = {"TABLE ", "INDEX ", " ON ", "REFERENCES "};
    struct buf out;
    buf_init(&out, ctx->arena, 131072);
    for (size_t i = 0; i < sql.len; i++) {
        for (size_t k = 0; k < sizeof before / sizeof before[0]; k++) {
            size_t len = strlen(before[k]);
            if (i >= len && memcmp(sql.data + i - len, before[k], len) == 0)
                buf_put(&out, STR("bench_"));
        }
        buf_putc(&out, sql.data[i]);
    }
    return buf_str(&out);
}

static err_t run(struct ctx *ctx, str_t sql)
{
    int64_t changed;
    return db_exec(ctx, str_z(ctx->arena, sql), NO_ARGS, &changed);
}

static err_t copy_table(struct ctx *ctx, const char *table)
{
    struct definition *rows;
    size_t count;
    if (db_kind(ctx->platform->db) == DB_POSTGRES)
        return run(ctx, str_printf(ctx->arena, "CREATE TABLE bench_%s (LIKE %s INCLUDING ALL)",
                                   table, table));
    TRY(db_all(ctx,
               "SELECT sql FROM sqlite_master WHERE tbl_name = $1 AND type IN ('table', 'index') "
               "AND sql IS NOT NULL "
               "ORDER BY type DESC LIMIT 20",
               ARGS(A(table)), &definition_shape, &rows, &count));
    for (size_t i = 0; i < count; i++)
        TRY(run(ctx, renamed(ctx, rows[i].sql)));
    return OK;
}

err_t ceiling_drop(struct ctx *ctx, void *arg)
{
    (void)arg;
    for (size_t i = SHADOWS; i-- > 0;)
        if (is_first(i))
            TRY(run(ctx,
                    str_printf(ctx->arena, "DROP TABLE IF EXISTS bench_%s", shadows[i].table)));
    return run(ctx, STR("DROP TABLE IF EXISTS bench_catalog_stock"));
}

static int columns_of(const char *row)
{
    int count = 0;
    for (const char *at = row; *at; at++)
        count += (*at < '0' || *at > '9') && *at != '>' && *at != ']';
    bool inside = false;
    for (const char *at = row; *at; at++) {
        inside = *at == '<' || *at == '[' || (inside && *at >= '0' && *at <= '9');
        count += !inside && *at >= '0' && *at <= '9';
    }
    return count;
}

static str_t insert_text(struct arena *arena, const struct shadow *shadow)
{
    struct buf sql;
    buf_init(&sql, arena, 2048);
    buf_printf(&sql, "INSERT INTO bench_%s VALUES (", shadow->table);
    for (int i = 1; i <= columns_of(shadow->row); i++)
        buf_printf(&sql, "%s$%d", i > 1 ? ", " : "", i);
    buf_printf(&sql, ")");
    return str_dup(arena, buf_str(&sql));
}

err_t ceiling_make(struct ctx *ctx, void *arg)
{
    struct bench *bench = arg;
    TRY(ceiling_drop(ctx, NULL));
    for (size_t i = 0; i < SHADOWS; i++)
        if (is_first(i))
            TRY(copy_table(ctx, shadows[i].table));
    TRY(copy_table(ctx, "catalog_stock"));
    TRY(run(ctx, STR("INSERT INTO bench_catalog_stock SELECT * FROM catalog_stock")));
    for (int i = 0; i < BUYERS; i++)
        TRY(run(ctx, str_printf(ctx->arena,
                                "INSERT INTO bench_ledger_account VALUES (%" PRId64
                                ", 10, 0, 0, 9000000000000000, 0, 0, 1)",
                                bench->buyers[i].org.value)));
    bench->ceiling = arena_alloc(bench->ctx.arena, sizeof(struct ceiling));
    for (size_t i = 0; i < SHADOWS; i++)
        bench->ceiling->insert[i] =
            str_of(str_z(bench->ctx.arena, insert_text(bench->ctx.arena, &shadows[i])));
    return OK;
}

struct keys {
    ref_t last, child, parent, somebody;
};

static int64_t number_of(struct ctx *ctx, struct keys *keys, char letter)
{
    switch (letter) {
    case 'k':
        return (keys->last = id_make(ctx->platform->ids, ctx->now)).value;
    case 'p':
        return keys->last.value;
    case 'c':
        return keys->child.value;
    case 'f':
        return keys->parent.value;
    case 'o':
        return keys->somebody.value;
    case 'h':
        return (int64_t)((uint64_t)keys->last.value * UINT64_C(0x9E3779B97F4A7C15));
    case 't':
        return ctx->now.ms;
    case 'm':
        return 7514;
    case 's':
        return 201;
    default:
        return letter - '0';
    }
}

static err_t insert_row(struct ctx *ctx, const char *sql, const char *row, struct keys *keys)
{
    static const char text[2048] = {0};
    struct db_arg args[COLUMNS_MAX];
    int count = 0;
    for (const char *at = row; *at; at++) {
        ENSURE(count < COLUMNS_MAX);
        if (*at != '<' && *at != '[') {
            args[count++] = A(number_of(ctx, keys, *at));
            continue;
        }
        bool is_text = *at == '<';
        size_t len = 0;
        for (at++; *at >= '0' && *at <= '9'; at++)
            len = len * 10 + (size_t)(*at - '0');
        char *data = arena_alloc(ctx->arena, len + 1);
        memset(data, 'a', len);
        args[count++] = is_text ? A(str_from(data, len)) : A_BYTES(str_from(text, len));
    }
    return db_exec_one(ctx, sql, (struct db_args){args, count});
}

err_t ceiling_order(struct ctx *ctx, void *arg)
{
    struct piece *piece = arg;
    struct bench *bench = piece->bench;
    ref_t sku = bench->skus[piece->number % bench->sku_count];
    struct keys keys = {.somebody = ctx->actor.org_id};
    for (size_t i = 0; i < SHADOWS; i++) {
        TRY(insert_row(ctx, bench->ceiling->insert[i].data, shadows[i].row, &keys));
        if (i == 0)
            keys.parent = keys.last;
        if (i == 1)
            keys.child = keys.last;
    }
    TRY(db_exec_one(
        ctx,
        "UPDATE bench_ledger_account SET debits_fen = debits_fen + 1, held_fen = held_fen + 1, "
        "version = version + 1 WHERE owner_id = $1 AND code = 10 AND shard = 0",
        ARGS(A(keys.somebody))));
    return db_exec_one(
        ctx,
        "UPDATE bench_catalog_stock SET held = held + 1, prev_item = last_item, last_item = $2 "
        "WHERE sku_id = $1",
        ARGS(A(sku), A(keys.last)));
}
