/* SPDX-License-Identifier: Apache-2.0 */
/* What a benchmark needs from inside a platform's data folder (nothing else may run on it
 * meanwhile): `fill N` stores N paid orders through the same rules as any order and leaves nothing
 * for the workers to catch up with; `ceiling N` writes the rows of N orders barely; `evidence N`
 * tells N facts; `skus N` prints what may be ordered and `sessions N` who
 * may order it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "account/account.h"
#include "api/api.h"
#include "bench.h"
#include "crypto/crypto.h"
#include "evidence/evidence.h"
#include "order/order.h"

enum { FILL_STEP = 50000, FACT_BYTES = 400 };

/* ---- opening ---- */
static int complain(const struct ctx *ctx, const char *what)
{
    fprintf(stderr, "bench: %s: %s %s\n", what, ctx->problem.reason ? ctx->problem.reason : "",
            ctx->problem.detail);
    return 1;
}

static bool open_platform(struct bench *bench, const char *data_dir, const char *url)
{
    const char *message = "";
    bench->platform.keys = keyring_open(data_dir, NULL, false, &message);
    bench->platform.ids = id_maker_new(50);
    ctx_init(&bench->ctx, &bench->platform, clock_now());
    const struct db_options options = {.url = str_of(url), .writers = 16};
    const struct evidence_options logs = {.host = STR("bench.local"), .sign = false};
    if (!bench->platform.keys || db_open(&bench->ctx, &options, &bench->platform.db) != OK ||
        evidence_open(&bench->ctx, &logs, &bench->platform.evidence) != OK ||
        catalog_index_open(&bench->ctx, &bench->platform.catalog) != OK)
        return complain(&bench->ctx, message) == 0;
    if (evidence_start(bench->platform.evidence) != OK)
        return complain(&bench->ctx, "evidence") == 0;
    return true;
}

/* Many buyers, since the money of one can only be taken one order after the other. */
static err_t find_buyer(struct ctx *ctx, struct bench *bench, int number)
{
    struct user user = {0};
    struct membership *of;
    struct buyer *buyer = &bench->buyers[number];
    size_t count;
    bool found = false;
    struct registration new = {
        .email = str_printf(ctx->arena, "buyer-%d@bench.example", number),
        .password = STR("never-used-0"),
        .name = STR("bench"),
        .consent_version = STR("1"),
    };
    TRY(account_user_by_email(ctx, new.email, &user, &found));
    if (!found) {
        TRY(account_register(ctx, &new, STR("none"), &user, &buyer->org));
        str_t reference = str_printf(ctx->arena, "BENCH-%d", number);
        TRY(api_credit(ctx, buyer->org, (money_t){1000000000000}, reference, STR("benchmark")));
    }
    TRY(account_memberships(ctx, user.id, &of, &count));
    buyer->user = user.id;
    for (size_t i = 0; i < count; i++)
        if (of[i].personal)
            buyer->org = of[i].org_id;
    return OK;
}

static err_t find_buyers(struct ctx *ctx, void *arg)
{
    for (int i = 0; i < BUYERS; i++)
        TRY(find_buyer(ctx, arg, i));
    return OK;
}

static err_t add_sku(struct ctx *ctx, struct bench *bench, ref_t product)
{
    struct product_view view = {0};
    TRY(catalog_product(ctx, product, 0, &view));
    for (size_t i = 0; i < view.sku_count; i++) {
        struct sku sku = {0};
        struct line_price price = {0};
        if (view.skus[i].charge_mode != CHARGE_RESERVED)
            continue;
        TRY(catalog_sku(ctx, view.skus[i].id, &sku));
        TRY(catalog_price(ctx, &sku, 1, &price));
        bench->skus[bench->sku_count] = sku.id;
        bench->prices[bench->sku_count++] = price.payable;
        return OK;
    }
    return OK;
}

/* One SKU of each of the cheapest products that can be had for a month. */
static err_t find_skus(struct ctx *ctx, void *arg)
{
    struct bench *bench = arg;
    struct search search = {.in_stock = true, .sort = SORT_PRICE, .limit = SEARCH_LIMIT_MAX};
    struct search_result *result = NEW(ctx, struct search_result);
    search.values[FACET_CHARGE][0] = STR("reserved");
    search.value_count[FACET_CHARGE] = 1;
    while (bench->sku_count < SKUS_MAX) {
        TRY(catalog_search(ctx, &search, result));
        for (int i = 0; i < result->count && bench->sku_count < SKUS_MAX; i++)
            TRY(add_sku(ctx, bench, result->hits[i].product_id));
        if (!result->more)
            break;
        search.after = true;
        search.after_key = result->last_key;
        search.after_id = result->last_id;
    }
    return bench->sku_count ? OK : refuse(ctx, ERR_NOT_FOUND, "no_sku", "nothing can be ordered");
}

/* The stock is not to run out. */
static err_t endow(struct ctx *ctx, void *arg)
{
    struct bench *bench = arg;
    int64_t changed;
    return db_exec(
        ctx,
        "UPDATE catalog_stock SET available = 1000000000, total = 1000000000 WHERE sku_id "
        "IN ({ids})",
        ARGS(A_IDS(&bench->skus[0].value, (size_t)bench->sku_count)), &changed);
}

static err_t open_sessions(struct ctx *ctx, void *arg)
{
    struct bench *bench = arg;
    for (int i = 0; i < BUYERS; i++) {
        struct session_new made;
        TRY(account_session_open(ctx, bench->buyers[i].user, STR("bench"), STR("127.0.0.1"),
                                 &made));
        printf(STR_FMT " " STR_FMT "\n", STR_ARG(made.token), STR_ARG(made.csrf_token));
    }
    return OK;
}

/* ---- pieces ---- */
static void answered(struct ctx *ctx, void *arg, err_t result)
{
    struct piece *piece = arg;
    struct bench *bench = piece->bench;
    if (result != OK) {
        pthread_mutex_lock(&bench->lock);
        bench->failed++;
        bench->reason = ctx->problem.reason;
        if (bench->failed == 1)
            complain(ctx, "piece");
        pthread_mutex_unlock(&bench->lock);
    }
    ctx_done(ctx);
    free(piece);
    sem_post(&bench->room);
}

static void start_piece(struct bench *bench, db_work_fn fn, int64_t number)
{
    struct piece *piece = calloc(1, sizeof(*piece));
    ENSURE(piece != NULL);
    piece->bench = bench;
    piece->number = number;
    ctx_init(&piece->ctx, &bench->platform, clock_now());
    const struct buyer *buyer = &bench->buyers[number % BUYERS];
    piece->ctx.actor = (struct actor){.user_id = buyer->user,
                                      .org_id = buyer->org,
                                      .org_kind = ORG_CONSUMER,
                                      .roles = ROLE_OWNER};
    sem_wait(&bench->room);
    ENSURE(db_write_async(&piece->ctx, bench->platform.db, fn, piece, answered));
}

static double run_pieces(struct bench *bench, db_work_fn fn, int64_t count)
{
    int64_t started = clock_monotonic_us();
    for (int64_t i = 0; i < count; i++)
        start_piece(bench, fn, i);
    for (int i = 0; i < IN_FLIGHT; i++)
        sem_wait(&bench->room);
    for (int i = 0; i < IN_FLIGHT; i++)
        sem_post(&bench->room);
    return (double)count * 1e6 / (double)(clock_monotonic_us() - started);
}

static int run_and_print(struct bench *bench, db_work_fn fn, int64_t count, const char *what)
{
    double per_second = run_pieces(bench, fn, count);
    if (bench->failed)
        fprintf(stderr, "bench: %" PRId64 " failed: %s\n", bench->failed, bench->reason);
    printf("%s %.0f\n", what, per_second);
    return bench->failed != 0;
}

static err_t submit(struct ctx *ctx, void *arg)
{
    struct piece *piece = arg;
    int64_t sku = piece->number % piece->bench->sku_count;
    struct order_line line = {.sku_id = piece->bench->skus[sku], .quantity = 1};
    const struct order_submit in = {.lines = &line,
                                    .line_count = 1,
                                    .expected_payable_fen = piece->bench->prices[sku],
                                    .pay_from_balance = true};
    struct order parent = {0};
    return order_submit(ctx, &in, &parent);
}

static err_t tell(struct ctx *ctx, void *arg)
{
    struct piece *piece = arg;
    char *payload = arena_alloc(ctx->arena, FACT_BYTES);
    memset(payload, 'x', FACT_BYTES);
    struct fact fact = {.type = FACT_TRADE_SETTLED,
                        .object_prefix = "ord",
                        .object = id_make(ctx->platform->ids, ctx->now),
                        .owner_org = piece->ctx.actor.org_id,
                        .audience = {piece->ctx.actor.org_id},
                        .audience_count = 1,
                        .payload = str_from(payload, FACT_BYTES)};
    return evidence_append(ctx, &fact, NULL);
}

/* ---- fill ---- */
/* What would have happened to orders of the past: each was delivered and acknowledged. */
static err_t deliver_all(struct ctx *ctx, void *arg)
{
    int64_t changed;
    (void)arg;
    TRY(db_exec(ctx, "UPDATE job_row SET status = 3 WHERE kind = 3 AND status = 1", NO_ARGS,
                &changed));
    return db_exec(ctx, "DELETE FROM job_row WHERE kind = 2 AND status = 1", NO_ARGS, &changed);
}

static int fill(struct bench *bench, int64_t count)
{
    int64_t started = clock_monotonic_us();
    for (int64_t done = 0; done < count; done += FILL_STEP) {
        int64_t step = count - done < FILL_STEP ? count - done : FILL_STEP;
        double per_second = run_pieces(bench, submit, step);
        fprintf(stderr, "  filled %" PRId64 " of %" PRId64 " orders, %.0f/s\n", done + step, count,
                per_second);
        ctx_done(&bench->ctx);
        ctx_init(&bench->ctx, &bench->platform, clock_now());
        if (db_write(&bench->ctx, bench->platform.db, deliver_all, NULL) != OK ||
            event_catch_up(&bench->ctx) != OK)
            return complain(&bench->ctx, "settling");
    }
    printf("fill %.0f\n", (double)count * 1e6 / (double)(clock_monotonic_us() - started));
    return bench->failed != 0;
}

static int ceiling(struct bench *bench, int64_t count)
{
    struct db *db = bench->platform.db;
    if (db_write(&bench->ctx, db, ceiling_make, bench) != OK)
        return complain(&bench->ctx, "tables");
    int status = run_and_print(bench, ceiling_order, count, "ceiling");
    if (db_write(&bench->ctx, db, ceiling_drop, NULL) != OK)
        return complain(&bench->ctx, "tables");
    return status;
}

static int print_skus(struct bench *bench, int64_t count)
{
    for (int i = 0; i < bench->sku_count && i < count; i++)
        printf(STR_FMT " %" PRId64 "\n", STR_ARG(ref_text(bench->ctx.arena, "sku", bench->skus[i])),
               bench->prices[i].fen);
    return 0;
}

static int run_command(struct bench *bench, const char *command, int64_t count)
{
    if (strcmp(command, "skus") == 0)
        return print_skus(bench, count);
    if (db_write(&bench->ctx, bench->platform.db, endow, bench) != OK)
        return complain(&bench->ctx, "endow");
    if (strcmp(command, "sessions") == 0)
        return db_write(&bench->ctx, bench->platform.db, open_sessions, bench) == OK
                   ? 0
                   : complain(&bench->ctx, "sessions");
    if (strcmp(command, "fill") == 0)
        return fill(bench, count);
    if (strcmp(command, "orders") == 0)
        return run_and_print(bench, submit, count, "orders");
    if (strcmp(command, "evidence") == 0)
        return run_and_print(bench, tell, count, "evidence");
    return ceiling(bench, count);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    int64_t count = 0;
    if (argc != 5 || !str_to_int(str_of(argv[2]), 1, 100000000, &count)) {
        fprintf(
            stderr,
            "usage: suanhe-bench fill|orders|ceiling|evidence|skus|sessions N DATA_DIR DB_URL\n");
        return 2;
    }
    if (!open_platform(&bench, argv[3], argv[4]))
        return 1;
    pthread_mutex_init(&bench.lock, NULL);
    sem_init(&bench.room, 0, IN_FLIGHT);
    if (db_write(&bench.ctx, bench.platform.db, find_buyers, &bench) != OK ||
        db_read(&bench.ctx, bench.platform.db, find_skus, &bench) != OK)
        return complain(&bench.ctx, "market");
    int status = run_command(&bench, argv[1], count);
    evidence_close(bench.platform.evidence);
    catalog_index_close(bench.platform.catalog);
    db_close(bench.platform.db);
    return status;
}
