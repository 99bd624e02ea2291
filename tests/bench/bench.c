/* SPDX-License-Identifier: Apache-2.0 */
/* What a benchmark needs from inside: `bench fill N` puts N paid orders into a platform's database through the same rules as any
 * order; `bench ceiling N` writes the rows of N such orders barely, without rules, facts or replies, through the same group commit. */
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/account.h"
#include "api/api.h"
#include "catalog/catalog.h"
#include "crypto/crypto.h"
#include "evidence/evidence.h"
#include "order/order.h"

enum { IN_FLIGHT = 256, SKUS_MAX = 400 };

struct bench {
    struct platform platform;
    struct ctx ctx;
    ref_t org, user;
    ref_t skus[SKUS_MAX];
    money_t prices[SKUS_MAX];
    int sku_count;
    sem_t room;
    int64_t failed;
    const char *reason;
    pthread_mutex_t lock;
};

struct piece {
    struct bench *bench;
    struct ctx ctx;
    int sku;
};

/* ---- opening ---- */
static bool open_platform(struct bench *bench, const char *data_dir, const char *url)
{
    const char *message = "";
    bench->platform.keys = keyring_open(data_dir, NULL, false, &message);
    bench->platform.ids = id_maker_new(50);
    ctx_init(&bench->ctx, &bench->platform, clock_now());
    const struct db_options options = {.url = str_of(url), .writers = 16};
    const struct evidence_options logs = {.host = STR("localhost:8080"), .sign = false};
    if (!bench->platform.keys || db_open(&bench->ctx, &options, &bench->platform.db) != OK ||
        evidence_open(&bench->ctx, &logs, &bench->platform.evidence) != OK ||
        catalog_index_open(&bench->ctx, &bench->platform.catalog) != OK) {
        fprintf(stderr, "bench: %s %s %s\n", message, bench->ctx.problem.reason ? bench->ctx.problem.reason : "", bench->ctx.problem.detail);
        return false;
    }
    return true;
}

static err_t find_buyer(struct ctx *ctx, void *arg)
{
    struct bench *bench = arg;
    struct user user = {0};
    struct membership *of;
    size_t count;
    bool found = false;
    TRY(account_user_by_email(ctx, STR("demo@suanhe.example"), &user, &found));
    if (!found)
        return refuse(ctx, ERR_NOT_FOUND, "no_demo_user", "run `suanhe init --demo true` first");
    TRY(account_memberships(ctx, user.id, &of, &count));
    bench->user = user.id;
    for (size_t i = 0; i < count; i++)
        if (of[i].personal)
            bench->org = of[i].org_id;
    return OK;
}

static err_t add_skus(struct ctx *ctx, struct bench *bench, ref_t product)
{
    struct product_view view = {0};
    TRY(catalog_product(ctx, product, 0, &view));
    for (size_t i = 0; i < view.sku_count && bench->sku_count < SKUS_MAX; i++) {
        struct sku sku = {0};
        struct line_price price = {0};
        if (view.skus[i].charge_mode != CHARGE_RESERVED)
            continue;
        TRY(catalog_sku(ctx, view.skus[i].id, &sku));
        TRY(catalog_price(ctx, &sku, 1, &price));
        if (sku.stock_available < 2)
            continue;
        bench->skus[bench->sku_count] = sku.id;
        bench->prices[bench->sku_count++] = price.payable;
        return OK;
    }
    return OK;
}

static err_t find_skus(struct ctx *ctx, void *arg)
{
    struct bench *bench = arg;
    struct search search = {.in_stock = true, .sort = SORT_PRICE, .limit = SEARCH_LIMIT_MAX};
    struct search_result *result = NEW(ctx, struct search_result);
    search.values[FACET_CHARGE][0] = STR("reserved");
    search.value_count[FACET_CHARGE] = 1;
    while (bench->sku_count < SKUS_MAX) {
        TRY(catalog_search(ctx, &search, result));
        for (int i = 0; i < result->count; i++)
            TRY(add_skus(ctx, bench, result->hits[i].product_id));
        if (!result->more)
            return OK;
        search.after = true;
        search.after_key = result->last_key;
        search.after_id = result->last_id;
    }
    return OK;
}

/* ---- fill ---- */
static err_t submit(struct ctx *ctx, void *arg)
{
    struct piece *piece = arg;
    struct order_line line = {.sku_id = piece->bench->skus[piece->sku], .quantity = 1};
    const struct order_submit in = {
        .lines = &line, .line_count = 1, .expected_payable_fen = piece->bench->prices[piece->sku], .pay_from_balance = true};
    struct order parent = {0};
    return order_submit(ctx, &in, &parent);
}

static void submitted(struct ctx *ctx, void *arg, err_t result)
{
    struct piece *piece = arg;
    struct bench *bench = piece->bench;
    if (result != OK) {
        pthread_mutex_lock(&bench->lock);
        bench->failed++;
        bench->reason = ctx->problem.reason;
        pthread_mutex_unlock(&bench->lock);
    }
    ctx_done(ctx);
    free(piece);
    sem_post(&bench->room);
}

static bool start_piece(struct bench *bench, db_work_fn fn, int64_t number)
{
    struct piece *piece = calloc(1, sizeof(*piece));
    piece->bench = bench;
    piece->sku = (int)(number % (bench->sku_count ? bench->sku_count : 1));
    ctx_init(&piece->ctx, &bench->platform, clock_now());
    piece->ctx.actor = (struct actor){.user_id = bench->user, .org_id = bench->org, .org_kind = ORG_CONSUMER, .roles = ROLE_OWNER};
    sem_wait(&bench->room);
    if (db_write_async(&piece->ctx, bench->platform.db, fn, piece, submitted))
        return true;
    ctx_done(&piece->ctx);
    free(piece);
    sem_post(&bench->room);
    return false;
}

static void run_pieces(struct bench *bench, db_work_fn fn, int64_t count, const char *what)
{
    int64_t started = clock_monotonic_us();
    for (int64_t i = 0; i < count;) {
        i += start_piece(bench, fn, i);
        if (i % 100000 == 0)
            fprintf(stderr, "%s %" PRId64 "/%" PRId64 "\n", what, i, count);
    }
    for (int i = 0; i < IN_FLIGHT; i++)
        sem_wait(&bench->room);
    for (int i = 0; i < IN_FLIGHT; i++)
        sem_post(&bench->room);
    double seconds = (double)(clock_monotonic_us() - started) / 1e6;
    printf("%s: %" PRId64 " orders in %.1f s = %.0f/s, %" PRId64 " failed %s\n", what, count, seconds, (double)count / seconds,
           bench->failed, bench->reason ? bench->reason : "");
}

/* ---- ceiling: the same number and size of rows, barely ---- */
static const char *const shadow_tables[] = {
    "CREATE TABLE IF NOT EXISTS bench_wide (id BIGINT PRIMARY KEY, a BIGINT, b BIGINT, c BIGINT, d BIGINT, e BIGINT, f BIGINT, g BIGINT, "
    "h TEXT, i TEXT)",
    "CREATE TABLE IF NOT EXISTS bench_entry (id BIGINT PRIMARY KEY, a BIGINT, b BIGINT, entry TEXT, payload TEXT)",
    "CREATE TABLE IF NOT EXISTS bench_small (id BIGINT PRIMARY KEY, a BIGINT, b BIGINT)",
};

static err_t make_tables(struct ctx *ctx, void *arg)
{
    int64_t changed;
    (void)arg;
    for (size_t i = 0; i < 3; i++)
        TRY(db_exec(ctx, shadow_tables[i], NO_ARGS, &changed));
    return OK;
}

static err_t bare(struct ctx *ctx, void *arg)
{
    static const char text[] = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
                               "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";
    str_t half = str_from(text, 120), full = str_from(text, 200);
    (void)arg;
    for (int i = 0; i < 6; i++) /* two orders, item, instance, payment, ledger posting */
        TRY(db_exec_one(ctx, "INSERT INTO bench_wide (id, a, b, c, d, e, f, g, h, i) VALUES ($1, $2, $2, $2, $2, $2, $2, $2, $3, $4)",
                        ARGS(A(id_make(ctx->platform->ids, ctx->now)), A(ctx->now), A(half), A(full))));
    for (int i = 0; i < 3; i++) /* three facts */
        TRY(db_exec_one(ctx, "INSERT INTO bench_entry (id, a, b, entry, payload) VALUES ($1, $2, $2, $3, $4)",
                        ARGS(A(id_make(ctx->platform->ids, ctx->now)), A(ctx->now), A(full), A(full))));
    for (int i = 0; i < 8; i++) /* ledger entries, stock, lists, timers, reply */
        TRY(db_exec_one(ctx, "INSERT INTO bench_small (id, a, b) VALUES ($1, $2, $2)",
                        ARGS(A(id_make(ctx->platform->ids, ctx->now)), A(ctx->now))));
    return OK;
}

static err_t top_up(struct ctx *ctx, void *arg)
{
    struct bench *bench = arg;
    return api_credit(ctx, bench->org, (money_t){1000000000000}, str_of("BENCH"), STR("benchmark"));
}

int main(int argc, char **argv)
{
    static struct bench bench;
    int64_t count = 0;
    if (argc != 5 || !str_to_int(str_of(argv[2]), 1, 100000000, &count)) {
        fprintf(stderr, "usage: bench fill|ceiling|skus N DATA_DIR DB_URL\n");
        return 2;
    }
    if (!open_platform(&bench, argv[3], argv[4]))
        return 1;
    pthread_mutex_init(&bench.lock, NULL);
    sem_init(&bench.room, 0, IN_FLIGHT);
    if (db_read(&bench.ctx, bench.platform.db, find_buyer, &bench) != OK || db_read(&bench.ctx, bench.platform.db, find_skus, &bench) != OK) {
        fprintf(stderr, "bench: %s %s\n", bench.ctx.problem.reason, bench.ctx.problem.detail);
        return 1;
    }
    if (strcmp(argv[1], "skus") == 0) {
        for (int i = 0; i < bench.sku_count && i < count; i++)
            printf(STR_FMT " %" PRId64 "\n", STR_ARG(ref_text(bench.ctx.arena, "sku", bench.skus[i])), bench.prices[i].fen);
    } else if (strcmp(argv[1], "fill") == 0) {
        if (db_write(&bench.ctx, bench.platform.db, top_up, &bench) != OK)
            fprintf(stderr, "bench: %s\n", bench.ctx.problem.reason);
        run_pieces(&bench, submit, count, "fill");
    } else {
        if (db_write(&bench.ctx, bench.platform.db, make_tables, NULL) != OK)
            fprintf(stderr, "bench: %s\n", bench.ctx.problem.reason);
        run_pieces(&bench, bare, count, "ceiling");
    }
    evidence_close(bench.platform.evidence);
    db_close(bench.platform.db);
    return bench.failed ? 1 : 0;
}
