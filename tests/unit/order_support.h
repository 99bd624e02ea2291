/* SPDX-License-Identifier: Apache-2.0 */
/* A small market for the tests of orders: a buyer with a balance, two open stores with reserved
 * SKUs, and the steps of an order's life as calls. Every test ends with the books, the orders and
 * the facts checked. */
#ifndef SUANHE_TEST_ORDER_SUPPORT_H
#define SUANHE_TEST_ORDER_SUPPORT_H

#include "fixture.h"

#include "order/order_internal.h"

enum { STORES = 2, SKUS = 5, STOCK = 100000, BALANCE_FEN = 1000000000 };
enum { A100, H800, CHEAP, FREE, OTHER }; /* the last in the second store */
static const int64_t price_fen[SKUS] = {240060, 999999, 113, 0, 88888};

struct market {
    struct fixture *f;
    ref_t buyer, user, provider[STORES], store[STORES], sku[SKUS], product[STORES];
    utc_t as_of;
    int serial; /* of reports and bank references */
};

/* ---- given ---- */
static UNUSED str_t valid_uscc(struct arena *arena, int serial)
{
    char expected, code[19];
    snprintf(code, sizeof code, "91110000%08dXX", serial);
    while (uscc_check(str_from(code, 18), &expected) != 0) {
        assert_true(expected != '\0');
        code[uscc_check(str_from(code, 18), &expected) - 1] = expected;
    }
    return str_printf(arena, "%s", code);
}

static UNUSED struct sku_report sku_report_of(struct ctx *ctx, int sku, utc_t as_of, int64_t stock)
{
    struct sku_report report = {
        .external_sku_id = str_printf(ctx->arena, "sku-%d", sku),
        .term = STR("P1M"),
        .region_code = STR("500000"),
        .charge_mode = CHARGE_RESERVED,
        .price_unit = PRICE_MONTH,
        .rate_bp = sku == H800 ? 1300 : 600,
        .min_qty = 1,
        .max_qty = 1000,
        .unit_price = {price_fen[sku] * INT64_C(100000000)},
        .inventory = {.available = stock, .total = stock, .as_of = as_of},
    };
    return report;
}

static UNUSED err_t report_product(struct ctx *ctx, struct market *m, int store)
{
    struct sku_report skus[SKUS];
    size_t count = 0;
    for (int i = store == 0 ? 0 : OTHER; i < (store == 0 ? OTHER : SKUS); i++)
        skus[count++] = sku_report_of(ctx, i, m->as_of, STOCK);
    struct spec specs[] = {{STR("vcpus"), STR("8"), STR("core")},
                           {STR("memory"), STR("32"), STR("GiB")}};
    const struct product_report report = {
        .provider_version = 1,
        .norm_version = 1,
        .name = STR("通用计算 8 核"),
        .category_code = STR("iaas.compute.vm"),
        .usage_mode = USAGE_INTERACTIVE,
        .specs = specs,
        .spec_count = 2,
        .skus = skus,
        .sku_count = count,
    };
    struct product_reported reported;
    TRY(catalog_report(ctx, m->store[store], STR("vm-8"), &report, &reported));
    ENSURE(reported.sku_count == count);
    m->product[store] = reported.product.m.id;
    for (size_t i = 0; i < count; i++) {
        int64_t sku;
        ENSURE(str_to_int(str_cut(reported.skus[i].external_id, 4), 0, SKUS, &sku));
        m->sku[sku] = reported.skus[i].id;
    }
    return OK;
}

static UNUSED err_t open_market(struct ctx *ctx, void *arg)
{
    struct market *m = arg;
    struct store store;
    m->as_of = utc_add(ctx->now, -MS_MINUTE);
    TRY(catalog_install(ctx));
    for (int i = 0; i < STORES; i++) {
        struct org org = {0};
        TRY(account_org_create(ctx, STR("算力公司"), ORG_PROVIDER, &org));
        m->provider[i] = org.id;
        const struct store_application application = {
            .name = str_printf(ctx->arena, "店铺%d", i),
            .uscc = valid_uscc(ctx->arena, i + 1),
            .legal_name = STR("算力有限公司"),
            .contact_name = STR("张三"),
            .region_code = STR("500000"),
            .if2_base_url = STR("https://s.example"),
            .accepted_rules_version = STR("1"),
        };
        TRY(store_import_demo(ctx, org.id, &application, &store));
        m->store[i] = store.m.id;
        TRY(report_product(ctx, m, i));
    }
    return OK;
}

struct credit {
    ref_t org;
    int64_t fen;
    int serial;
};
static UNUSED err_t book_credit(struct ctx *ctx, void *arg)
{
    const struct credit *credit = arg;
    struct top_up top_up = {.org_id = credit->org, .amount = {credit->fen}};
    top_up.bank_reference = str_printf(ctx->arena, "bank-%d", credit->serial);
    return ledger_book_top_up(ctx, &top_up, REF_NONE);
}
static UNUSED void given_balance(struct market *m, int64_t fen)
{
    struct credit credit = {m->buyer, fen, ++m->serial};
    act_as_system(m->f);
    assert_ok(m->f, WRITE(m->f, book_credit, &credit));
}

static UNUSED struct market *given_market(struct fixture *f)
{
    struct market *m = arena_alloc(f->ctx.arena, sizeof *m);
    m->f = f;
    act_as_system(f);
    assert_ok(f, WRITE(f, open_market, m));
    struct person person = given_person(f, "buyer@buyer.example");
    m->buyer = given_org(f, &person, ORG_CONSUMER);
    m->user = person.user.id;
    return m;
}
static UNUSED struct market *given_rich_buyer(void **state)
{
    struct market *m = given_market(*state);
    given_balance(m, BALANCE_FEN);
    return m;
}

/* ---- steps ---- */
struct act {
    enum {
        SUBMIT,
        PAY,
        CANCEL,
        ACK,
        NACK,
        ANSWER,
        REPORT,
        PAY_TIMEOUT,
        SILENCE,
        SETTLE,
        CART_SET,
        CART_CLEAR
    } kind;
    struct order_submit submit;
    struct order_cancel cancel;
    struct report report;
    hash_t digest;
    ref_t id;
    str_t text;
    bool yes;
    int32_t quantity;
    money_t money;
    struct order out;
};

static UNUSED err_t run_act(struct ctx *ctx, void *arg)
{
    struct act *act = arg;
    switch (act->kind) {
    case SUBMIT:
        return order_submit(ctx, &act->submit, &act->out);
    case PAY:
        return order_pay(ctx, act->id, act->money, &act->out);
    case CANCEL:
        return order_cancel(ctx, &act->cancel, &act->out);
    case ACK:
        return order_acknowledged(ctx, act->id, act->text, act->yes);
    case NACK:
        return order_rejected(ctx, act->id, act->text);
    case ANSWER:
        return order_cancel_answered(ctx, act->id, act->text, act->yes);
    case REPORT:
        return order_report(ctx, act->id, &act->report, &act->digest, &act->out);
    case PAY_TIMEOUT:
        return order_pay_timeout(ctx, act->id);
    case SILENCE:
        return order_silence(ctx, act->id);
    case SETTLE:
        return order_settle_item(ctx, act->id);
    case CART_SET:
        return cart_set(ctx, act->id, act->quantity);
    case CART_CLEAR:
    default:
        return cart_clear(ctx);
    }
}

/* People buy and cancel; the rest happens between machines. */
static UNUSED err_t perform(struct market *m, struct act *act)
{
    bool by_buyer =
        act->kind == SUBMIT || act->kind == PAY || act->kind == CANCEL || act->kind >= CART_SET;
    act_as(m->f, by_buyer ? m->user : REF_NONE, by_buyer ? m->buyer : REF_NONE,
           by_buyer ? ORG_CONSUMER : 0, by_buyer ? ROLE_OWNER : 0);
    problem_clear(&m->f->ctx);
    m->f->ctx.now.ms += 10;
    return WRITE(m->f, run_act, act);
}

static UNUSED struct act submit_of(struct order_line *lines, size_t count, int64_t expected_fen,
                                   bool pay)
{
    return (struct act){.kind = SUBMIT,
                        .submit = {.lines = lines,
                                   .line_count = count,
                                   .expected_payable_fen = {expected_fen},
                                   .pay_from_balance = pay}};
}

/* One of each SKU named, paid or not. */
static UNUSED err_t try_buy(struct market *m, const int *skus, size_t count, bool pay,
                            struct order *out)
{
    struct order_line lines[SKUS] = {0};
    int64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        lines[i] = (struct order_line){.sku_id = m->sku[skus[i]], .quantity = 1};
        total += price_fen[skus[i]];
    }
    struct act act = submit_of(lines, count, total, pay);
    err_t err = perform(m, &act);
    if (err == OK)
        *out = act.out;
    return err;
}
#define GOODS(...) (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int)

/* An order as it stands now. */
struct view {
    struct order parent, *child;
    struct order_item *item;
    struct instance *instance;
    struct refund *refund;
    struct payment *payment;
    size_t child_count, item_count, instance_count, refund_count, payment_count;
};
static UNUSED err_t read_view(struct ctx *ctx, void *arg)
{
    struct view *view = arg;
    ref_t id = view->parent.m.id;
    TRY(order_load(ctx, id, &view->parent));
    TRY(order_children(ctx, id, &view->child, &view->child_count));
    int64_t *ids = NEW_ARRAY(ctx, int64_t, view->child_count + 1);
    for (size_t i = 0; i < view->child_count; i++)
        ids[i] = view->child[i].m.id.value;
    TRY(order_items(ctx, ids, view->child_count, &view->item, &view->item_count));
    TRY(order_instances(ctx, ids, view->child_count, &view->instance, &view->instance_count));
    TRY(order_refunds(ctx, ids, view->child_count, &view->refund, &view->refund_count));
    return order_payments(ctx, id, &view->payment, &view->payment_count);
}
static UNUSED struct view view_of(struct market *m, ref_t parent)
{
    struct view view = {.parent.m.id = parent};
    assert_ok(m->f, READ(m->f, read_view, &view));
    return view;
}
static UNUSED struct view bought(struct market *m, const int *skus, size_t count)
{
    struct order parent;
    assert_ok(m->f, try_buy(m, skus, count, true, &parent));
    return view_of(m, parent.m.id);
}
static UNUSED void look_again(struct market *m, struct view *view)
{
    *view = view_of(m, view->parent.m.id);
}

static UNUSED err_t acknowledge(struct market *m, const struct order *child, bool accepted)
{
    struct act act = {.kind = ACK, .id = child->m.id, .text = STR("x-1"), .yes = accepted};
    return perform(m, &act);
}
static UNUSED err_t reject(struct market *m, const struct order *child)
{
    struct act act = {.kind = NACK, .id = child->m.id, .text = STR("capacity_exhausted")};
    return perform(m, &act);
}
static UNUSED err_t cancel(struct market *m, ref_t order, const ref_t *items, size_t count)
{
    struct act act = {
        .kind = CANCEL,
        .cancel = {
            .order_id = order, .items = items, .item_count = count, .reason = STR("不要了")}};
    return perform(m, &act);
}
static UNUSED err_t read_change(struct ctx *ctx, void *arg)
{
    struct act *act = arg;
    struct job job = {0};
    const char *why;
    bool found;
    TRY(job_find_by_subject(ctx, JOB_ORDER_DELIVERY, act->id, &job, &found));
    act->text = found ? json_get_text(json_parse_text(ctx->arena, job.payload, &why), "change_id")
                      : STR("none");
    return OK;
}
/* The change_id of the last message queued for a child. */
static UNUSED str_t last_change(struct market *m, const struct order *child)
{
    struct act act = {.id = child->m.id};
    assert_ok(m->f, READ(m->f, read_change, &act));
    return act.text;
}
static UNUSED err_t answer_cancel(struct market *m, const struct order *child, bool done)
{
    struct act act = {
        .kind = ANSWER, .id = child->m.id, .text = last_change(m, child), .yes = done};
    return perform(m, &act);
}
static UNUSED err_t timer(struct market *m, int kind, ref_t id)
{
    struct act act = {.kind = kind, .id = id};
    return perform(m, &act);
}

enum { PROVISIONING = 1, ACTIVE, FAILED, CANCELLED, RELEASED };
static UNUSED struct report_item told(const struct order_item *item, int state)
{
    return (struct report_item){.item_id = item->m.id,
                                .instance_id = item->instance_id,
                                .state = state,
                                .external_instance_id = STR("vm-1"),
                                .error = {.code = STR("no_host"), .message = STR("坏了")}};
}
static UNUSED struct act report_of(const struct order *child, int64_t sequence,
                                   struct report_item *items, size_t count)
{
    struct act act = {.kind = REPORT,
                      .id = child->m.id,
                      .report = {.report_id = STR("r"),
                                 .provider_sequence = sequence,
                                 .items = items,
                                 .item_count = count}};
    memset(&act.digest, (int)(sequence & 0x7F) + 1, sizeof act.digest);
    return act;
}
/* The next report of a child, of one item. */
static UNUSED err_t report_item_state(struct market *m, const struct order_item *item, int state)
{
    struct fixture_number next = {NULL, 0};
    char sql[120];
    snprintf(sql, sizeof sql, "SELECT provider_sequence FROM order_head WHERE id = %" PRId64,
             item->order_id.value);
    next.value = number_of(m->f, sql) + 1;
    struct report_item items[] = {told(item, state)};
    struct act act = report_of(&(struct order){.m.id = item->order_id}, next.value, items, 1);
    return perform(m, &act);
}

/* ---- then ---- */
#define assert_order(order, state_) \
    assert_string_equal(names_of(&order_state_names, (order).m.state), state_)
#define assert_item(item, state_) \
    assert_string_equal(names_of(&item_state_names, (item).m.state), state_)
#define assert_instance(instance, state_) \
    assert_string_equal(names_of(&instance_state_names, (instance).m.state), state_)

static UNUSED err_t read_balance(struct ctx *ctx, void *arg)
{
    struct credit *credit = arg;
    struct ledger_balance balance;
    TRY(ledger_balance(ctx, credit->org, &balance));
    credit->fen = balance.balance.fen;
    return OK;
}
static UNUSED int64_t balance_of(struct market *m)
{
    struct credit credit = {.org = m->buyer};
    assert_ok(m->f, READ(m->f, read_balance, &credit));
    return credit.fen;
}
static UNUSED err_t read_escrow(struct ctx *ctx, void *arg)
{
    struct credit *credit = arg;
    money_t escrow;
    TRY(ledger_escrow(ctx, credit->org, &escrow));
    credit->fen = escrow.fen;
    return OK;
}
static UNUSED int64_t escrow_of(struct market *m, ref_t child)
{
    struct credit credit = {.org = child};
    assert_ok(m->f, READ(m->f, read_escrow, &credit));
    return credit.fen;
}
static UNUSED int64_t stock_of(struct market *m, int sku)
{
    char sql[120];
    snprintf(sql, sizeof sql, "SELECT available - held FROM catalog_stock WHERE sku_id = %" PRId64,
             m->sku[sku].value);
    return number_of(m->f, sql);
}
static UNUSED int64_t jobs_of(struct market *m, int kind, ref_t subject)
{
    char sql[160];
    snprintf(
        sql, sizeof sql,
        "SELECT COUNT(*) FROM job_row WHERE status = 1 AND kind = %d AND subject_id = %" PRId64,
        kind, subject.value);
    return number_of(m->f, sql);
}

static UNUSED err_t run_checks(struct ctx *ctx, void *arg)
{
    TRY(ledger_fsck(ctx, arg));
    TRY(order_fsck(ctx, arg));
    return evidence_fsck(ctx, arg);
}
static UNUSED void assert_sound(struct fixture *f)
{
    struct buf report;
    buf_init(&report, f->ctx.arena, 1 << 20);
    problem_clear(&f->ctx);
    if (READ(f, run_checks, &report) != OK)
        fail_msg("%s: %s\n" STR_FMT, f->ctx.problem.reason, f->ctx.problem.detail,
                 STR_ARG(buf_str(&report)));
}
/* Unless something was settled, escrow is what was paid and not given back, and nothing else left
 * the balance. */
static UNUSED void assert_escrow_exact(struct fixture *f)
{
    if (number_of(f, "SELECT COUNT(*) FROM ledger_tx WHERE kind = 3") > 0)
        return;
    assert_int_equal(
        number_of(
            f, "SELECT COUNT(*) FROM order_head h LEFT JOIN ledger_account a ON a.owner_id = h.id "
               "AND a.code = 11 WHERE h.kind = 2 AND h.paid_fen - h.refunded_fen <> "
               "COALESCE(a.credits_fen - a.debits_fen, 0)"),
        0);
}

static UNUSED int tear_down_soundly(void **state)
{
    struct fixture *f = *state;
    assert_escrow_exact(f);
    assert_sound(f);
    if (f->pg) { /* now let the facts get their numbers, and look once more */
        assert_ok(f, evidence_start(f->platform.evidence));
        for (int i = 0; number_of(f, "SELECT COUNT(*) FROM evidence_pending") > 0; i++) {
            assert_true(i < 2000);
            usleep(5000);
        }
        assert_sound(f);
    }
    return tear_down(state);
}

static UNUSED int run_orders(struct CMUnitTest *tests, size_t count)
{
    int failed = 0;
    for (int pg = 0; pg <= (getenv("SUANHE_TEST_PG") != NULL ? 1 : 0); pg++) {
        for (size_t i = 0; i < count; i++) {
            tests[i].setup_func = pg ? set_up_pg : set_up_sqlite;
            tests[i].teardown_func = tear_down_soundly;
        }
        failed += _cmocka_run_group_tests(pg ? "postgresql" : "sqlite", tests, count, NULL, NULL);
    }
    return failed;
}
#define RUN_ORDERS(tests) run_orders((tests), sizeof(tests) / sizeof((tests)[0]))

#endif
