/* SPDX-License-Identifier: Apache-2.0 */
/* Buying: what becomes of lines and quotes, what refuses them, payment now or later, the cart. */
#include "order_support.h"

static void assert_nothing_was_bought(struct market *m)
{
    assert_int_equal(number_of(m->f, "SELECT COUNT(*) FROM order_head"), 0);
    assert_int_equal(number_of(m->f, "SELECT COUNT(*) FROM order_item"), 0);
    assert_int_equal(number_of(m->f, "SELECT COUNT(*) FROM ledger_tx WHERE kind = 2"), 0);
    assert_int_equal(number_of(m->f, "SELECT COUNT(*) FROM job_row WHERE kind <= 3"), 0);
    for (int i = 0; i < SKUS; i++)
        assert_int_equal(stock_of(m, i), STOCK);
}

static void one_line_makes_parent_child_item_and_instance(void **state)
{
    struct market *m = given_rich_buyer(state);
    int64_t facts = facts_of(m->f, FACT_ORDER_PAID);
    struct view view = bought(m, GOODS(A100));
    assert_order(view.parent, "accepting");
    assert_int_equal(view.parent.kind, ORDER_PARENT);
    assert_int_equal(view.parent.payable.fen, price_fen[A100]);
    assert_int_equal(view.parent.paid.fen, price_fen[A100]);
    assert_int_equal(view.parent.paid_at.ms, m->f->ctx.now.ms);
    assert_int_equal(view.child_count, 1);
    assert_order(view.child[0], "accepting");
    assert_int_equal(view.child[0].store_id.value, m->store[0].value);
    assert_int_equal(view.child[0].provider_org_id.value, m->provider[0].value);
    assert_int_equal(view.child[0].commission_bp, 500);
    assert_int_equal(view.item_count, 1);
    assert_item(view.item[0], "pending");
    assert_int_equal(view.item[0].sku_id.value, m->sku[A100].value);
    assert_int_equal(view.instance_count, 1);
    assert_instance(view.instance[0], "creating");
    assert_int_equal(view.item[0].instance_id.value, view.instance[0].m.id.value);
    assert_int_equal(view.payment_count, 1);
    assert_int_equal(view.payment[0].amount.fen, price_fen[A100]);
    assert_int_equal(view.payment[0].m.state, PAYMENT_SUCCEEDED);
    assert_int_equal(stock_of(m, A100), STOCK - 1);
    assert_int_equal(balance_of(m), BALANCE_FEN - price_fen[A100]);
    assert_int_equal(escrow_of(m, view.child[0].m.id), price_fen[A100]);
    assert_int_equal(jobs_of(m, JOB_ORDER_DELIVERY, view.child[0].m.id), 1);
    assert_int_equal(jobs_of(m, JOB_ORDER_SILENCE, view.child[0].m.id), 1);
    assert_int_equal(facts_of(m->f, FACT_ORDER_PAID), facts + 1);
    assert_int_equal(facts_of(m->f, FACT_PAY_VOUCHER), 1);
    assert_int_equal(facts_of(m->f, FACT_TRADE_SETTLED), 1);
}

static void two_stores_make_two_children_whose_amounts_sum_to_the_parent(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(OTHER, H800, CHEAP, A100));
    assert_int_equal(view.child_count, 2);
    assert_int_equal(view.item_count, 4);
    assert_int_equal(view.parent.item_count, 4);
    int64_t payable = 0, tax = 0, list = 0, paid = 0;
    for (size_t i = 0; i < view.child_count; i++) {
        struct order *child = &view.child[i];
        int64_t items = 0, item_tax = 0, count = 0;
        for (size_t k = 0; k < view.item_count; k++)
            if (ref_is(view.item[k].order_id, child->m.id)) {
                items += view.item[k].payable.fen;
                item_tax += view.item[k].tax.fen;
                count++;
            }
        assert_int_equal(items, child->payable.fen);
        assert_int_equal(item_tax, child->tax.fen);
        assert_int_equal(count, child->item_count);
        assert_int_equal(escrow_of(m, child->m.id), child->payable.fen);
        payable += child->payable.fen, tax += child->tax.fen, list += child->list.fen,
            paid += child->paid.fen;
    }
    assert_int_equal(payable, view.parent.payable.fen);
    assert_int_equal(tax, view.parent.tax.fen);
    assert_int_equal(list, view.parent.list.fen);
    assert_int_equal(paid, view.parent.paid.fen);
    assert_int_equal(view.payment_count, 1);
    assert_int_equal(number_of(m->f, "SELECT COUNT(*) FROM ledger_tx WHERE kind = 2"), 2);
}

/* Two lines at 6 % of one store: the tax of the sum, not the sum of two rounded taxes. */
static void tax_is_computed_once_per_child_and_rate(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct order_line lines[] = {
        {m->sku[CHEAP], 1, {0}}, {m->sku[A100], 1, {0}}, {m->sku[H800], 1, {0}}};
    int64_t total = price_fen[CHEAP] + price_fen[A100] + price_fen[H800];
    struct act act = submit_of(lines, 3, total, true);
    assert_ok(m->f, perform(m, &act));
    money_t net, at_6, at_13;
    assert_true(money_tax((money_t){price_fen[CHEAP] + price_fen[A100]}, 600, &net, &at_6));
    assert_true(money_tax((money_t){price_fen[H800]}, 1300, &net, &at_13));
    assert_int_equal(at_6.fen, 13595);
    assert_int_equal(act.out.tax.fen, at_6.fen + at_13.fen);
}

static void a_quantity_multiplies_the_price_and_the_stock(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct order_line lines[] = {{m->sku[A100], 7, {0}}};
    struct act act = submit_of(lines, 1, 7 * price_fen[A100], true);
    assert_ok(m->f, perform(m, &act));
    assert_int_equal(act.out.payable.fen, 7 * price_fen[A100]);
    assert_int_equal(stock_of(m, A100), STOCK - 7);
    struct view view = view_of(m, act.out.m.id);
    assert_int_equal(view.instance_count, 1);
    assert_int_equal(view.item[0].quantity, 7);
}

static void a_free_order_needs_no_payment(void **state)
{
    struct market *m = given_market(*state);
    struct order parent;
    assert_ok(m->f, try_buy(m, GOODS(FREE), false, &parent));
    struct view view = view_of(m, parent.m.id);
    assert_order(view.parent, "accepting");
    assert_int_equal(view.payment_count, 0);
    assert_int_equal(jobs_of(m, JOB_ORDER_DELIVERY, view.child[0].m.id), 1);
    assert_ok(m->f, reject(m, &view.child[0]));
    look_again(m, &view);
    assert_order(view.parent, "rejected");
    assert_int_equal(view.refund_count, 0);
}

/* ---- refusals ---- */
static void another_price_than_expected_is_refused_and_names_both(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct order_line lines[] = {{m->sku[A100], 1, {0}}};
    struct act act = submit_of(lines, 1, price_fen[A100] - 1, true);
    assert_int_equal(perform(m, &act), ERR_CONFLICT);
    assert_true(
        str_is(m->f->ctx.problem.extension, "\"expected_fen\":240059,\"actual_fen\":240060"));
    assert_refused(m->f, ERR_CONFLICT, "price_changed");
    assert_nothing_was_bought(m);
}

static void a_line_beyond_the_stock_refuses_the_whole_order(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct order_line lines[] = {{m->sku[A100], 2, {0}}, {m->sku[FREE], 600, {0}}};
    for (int i = 0; i < STOCK / 600 + 1; i++) {
        struct order_line some[] = {{m->sku[FREE], i < STOCK / 600 ? 600 : STOCK % 600, {0}}};
        struct act take = submit_of(some, 1, 0, false);
        assert_ok(m->f, perform(m, &take));
    }
    assert_int_equal(stock_of(m, FREE), 0);
    int64_t orders = number_of(m->f, "SELECT COUNT(*) FROM order_head");
    struct act act = submit_of(lines, 2, 2 * price_fen[A100], true);
    assert_refused(m->f, perform(m, &act), "out_of_stock");
    assert_int_equal(stock_of(m, A100), STOCK);
    assert_int_equal(balance_of(m), BALANCE_FEN);
    assert_int_equal(number_of(m->f, "SELECT COUNT(*) FROM order_head"), orders);
}

static void a_short_balance_names_what_is_missing_and_changes_nothing(void **state)
{
    struct market *m = given_market(*state);
    given_balance(m, price_fen[A100] + price_fen[OTHER] - 3);
    struct order parent;
    assert_int_equal(try_buy(m, GOODS(A100, OTHER), true, &parent), ERR_STATE);
    assert_true(str_is(m->f->ctx.problem.extension, "\"missing_fen\":3"));
    assert_refused(m->f, ERR_STATE, "insufficient_funds");
    assert_nothing_was_bought(m);
    assert_int_equal(balance_of(m), price_fen[A100] + price_fen[OTHER] - 3);
}

static void a_sku_may_stand_in_one_line_only(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct order_line lines[] = {
        {m->sku[A100], 1, {0}}, {m->sku[H800], 1, {0}}, {m->sku[A100], 1, {0}}};
    struct act act = submit_of(lines, 3, 1, true);
    assert_int_equal(perform(m, &act), ERR_INPUT);
    assert_true(str_is(m->f->ctx.problem.errors[0].pointer, "/lines/2/sku_id"));
    assert_string_equal(m->f->ctx.problem.errors[0].code, "duplicate_line");
    assert_nothing_was_bought(m);
}

static void neither_lines_nor_a_quote_or_both_is_refused(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct order_line lines[] = {{m->sku[A100], 1, {0}}};
    struct act none = submit_of(NULL, 0, 1, true), both = submit_of(lines, 1, 1, true);
    both.submit.quote_id = (ref_t){12345};
    assert_refused(m->f, perform(m, &none), "validation_failed");
    assert_refused(m->f, perform(m, &both), "validation_failed");
    assert_nothing_was_bought(m);
}

static void an_unknown_sku_is_refused(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct order_line lines[] = {{{4711}, 1, {0}}};
    struct act act = submit_of(lines, 1, 1, true);
    assert_refused(m->f, perform(m, &act), "sku_not_listed");
}

STEP(delist_all, struct market)
{
    struct product product;
    return catalog_delist(ctx, arg->store[0], STR("vm-8"), &product);
}
static void a_delisted_product_is_refused(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct order parent;
    act_as_system(m->f);
    assert_ok(m->f, WRITE(m->f, delist_all, m));
    assert_refused(m->f, try_buy(m, GOODS(OTHER, A100), true, &parent), "sku_not_listed");
    assert_nothing_was_bought(m);
    assert_ok(m->f, try_buy(m, GOODS(OTHER), true, &parent));
}

STEP(suspend_first, struct market)
{
    struct store store;
    const str_t reason = STR("expired");
    return store_fire(ctx, arg->store[0], STORE_SUSPEND, &reason, 1, &store);
}
static void only_an_open_store_sells_but_delivers_on(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct order parent;
    struct view view = bought(m, GOODS(A100));
    act_as_system(m->f);
    assert_ok(m->f, WRITE(m->f, suspend_first, m));
    assert_refused(m->f, try_buy(m, GOODS(A100), true, &parent), "store_not_open");
    assert_ok(m->f, report_item_state(m, &view.item[0], ACTIVE));
    look_again(m, &view);
    assert_order(view.parent, "completed");
}

/* ---- quotes ---- */
struct quoting {
    struct quote_line lines[2];
    struct quote quote;
    struct market *m;
};
STEP(make_quote, struct quoting)
{
    struct quote_priced *priced;
    return catalog_quote_make(ctx, arg->lines, 2, &arg->quote, &priced);
}
STEP(raise_price, struct market)
{
    struct product product;
    return catalog_report_price(ctx, arg->store[0], STR("vm-8"), STR("sku-0"),
                                (price_t){price_fen[A100] * INT64_C(200000000)}, 2, &product);
}
static struct quoting given_quote(struct market *m)
{
    struct quoting quoting = {.lines = {{m->sku[A100], 2}, {m->sku[OTHER], 1}}, .m = m};
    act_as(m->f, m->user, m->buyer, ORG_CONSUMER, ROLE_OWNER);
    assert_ok(m->f, WRITE(m->f, make_quote, &quoting));
    assert_int_equal(quoting.quote.payable.fen, 2 * price_fen[A100] + price_fen[OTHER]);
    return quoting;
}

static void a_quote_holds_its_prices_while_lines_pay_the_new_one(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct quoting quoting = given_quote(m);
    act_as_system(m->f);
    assert_ok(m->f, WRITE(m->f, raise_price, m));
    struct order parent;
    assert_refused(m->f, try_buy(m, GOODS(A100), true, &parent), "price_changed");
    struct act act = submit_of(NULL, 0, quoting.quote.payable.fen, true);
    act.submit.quote_id = quoting.quote.id;
    assert_ok(m->f, perform(m, &act));
    assert_int_equal(act.out.payable.fen, quoting.quote.payable.fen);
    struct view view = view_of(m, act.out.m.id);
    assert_int_equal(view.child_count, 2);
}

static void an_expired_quote_is_refused(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct quoting quoting = given_quote(m);
    struct act act = submit_of(NULL, 0, quoting.quote.payable.fen, true);
    act.submit.quote_id = quoting.quote.id;
    time_passes(m->f, 15 * MS_MINUTE);
    assert_refused(m->f, perform(m, &act), "quote_expired");
    assert_nothing_was_bought(m);
}

/* ---- payment later ---- */
static struct view unpaid(struct market *m)
{
    struct order parent;
    assert_ok(m->f, try_buy(m, GOODS(A100, OTHER), false, &parent));
    struct view view = view_of(m, parent.m.id);
    assert_order(view.parent, "pending_payment");
    assert_order(view.child[0], "pending_payment");
    assert_int_equal(view.parent.pay_deadline.ms, view.parent.created_at.ms + 30 * MS_MINUTE);
    assert_int_equal(view.parent.paid.fen, 0);
    assert_int_equal(stock_of(m, A100), STOCK - 1);
    assert_int_equal(balance_of(m), BALANCE_FEN);
    assert_int_equal(jobs_of(m, JOB_ORDER_PAY_TIMEOUT, parent.m.id), 1);
    assert_int_equal(jobs_of(m, JOB_ORDER_DELIVERY, view.child[0].m.id), 0);
    return view;
}
static err_t pay(struct market *m, const struct order *parent, int64_t expected)
{
    struct act act = {.kind = PAY, .id = parent->m.id, .money = {expected}};
    TRY(perform(m, &act));
    assert_order(act.out, "accepting");
    assert_int_equal(act.out.pay_deadline.ms, 0);
    assert_int_equal(act.out.paid.fen, parent->payable.fen);
    return OK;
}

static void an_unpaid_order_waits_and_is_paid_once(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = unpaid(m);
    assert_refused(m->f, pay(m, &view.parent, view.parent.payable.fen - 1), "price_changed");
    assert_ok(m->f, pay(m, &view.parent, view.parent.payable.fen));
    look_again(m, &view);
    assert_order(view.parent, "accepting");
    assert_int_equal(view.parent.pay_deadline.ms, 0);
    assert_int_equal(balance_of(m), BALANCE_FEN - view.parent.payable.fen);
    assert_int_equal(view.payment_count, 1);
    assert_int_equal(jobs_of(m, JOB_ORDER_PAY_TIMEOUT, view.parent.m.id), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_order(view.child[i], "accepting");
        assert_int_equal(view.child[i].paid.fen, view.child[i].payable.fen);
        assert_int_equal(view.child[i].outbound_sequence, 1);
        assert_int_equal(jobs_of(m, JOB_ORDER_DELIVERY, view.child[i].m.id), 1);
        assert_int_equal(jobs_of(m, JOB_ORDER_SILENCE, view.child[i].m.id), 1);
    }
    assert_refused(m->f, pay(m, &view.parent, view.parent.payable.fen), "illegal_transition");
    assert_refused(m->f, pay(m, &view.child[0], view.child[0].payable.fen), "not_found");
    assert_ok(m->f, timer(m, PAY_TIMEOUT, view.parent.m.id));
    look_again(m, &view);
    assert_order(view.parent, "accepting");
}

static void another_organisation_neither_pays_nor_cancels_it(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = unpaid(m);
    ref_t own = m->buyer;
    m->buyer = m->provider[1];
    assert_refused(m->f, pay(m, &view.parent, view.parent.payable.fen), "not_found");
    assert_refused(m->f, cancel(m, view.parent.m.id, NULL, 0), "not_found");
    m->buyer = own;
    assert_ok(m->f, pay(m, &view.parent, view.parent.payable.fen));
}

static void assert_closed_and_given_back(struct market *m, struct view *view)
{
    look_again(m, view);
    assert_order(view->parent, "closed");
    assert_order(view->child[0], "closed");
    assert_order(view->child[1], "closed");
    for (size_t i = 0; i < view->item_count; i++) {
        assert_item(view->item[i], "cancelled");
        assert_instance(view->instance[i], "released");
    }
    assert_int_equal(stock_of(m, A100), STOCK);
    assert_int_equal(stock_of(m, OTHER), STOCK);
    assert_int_equal(balance_of(m), BALANCE_FEN);
    assert_int_equal(view->refund_count, 0);
    assert_int_equal(jobs_of(m, JOB_ORDER_PAY_TIMEOUT, view->parent.m.id), 0);
    assert_refused(m->f, pay(m, &view->parent, view->parent.payable.fen), "illegal_transition");
    assert_refused(m->f, cancel(m, view->parent.m.id, NULL, 0), "illegal_transition");
}

static void an_order_not_paid_in_time_closes_and_gives_the_stock_back(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = unpaid(m);
    time_passes(m->f, 30 * MS_MINUTE);
    assert_ok(m->f, timer(m, PAY_TIMEOUT, view.parent.m.id));
    assert_closed_and_given_back(m, &view);
    assert_ok(m->f, timer(m, PAY_TIMEOUT, view.parent.m.id));
}

static void an_unpaid_order_is_cancelled_as_a_whole(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = unpaid(m);
    assert_refused(m->f, cancel(m, view.child[0].m.id, NULL, 0), "cancel_whole_order");
    assert_refused(m->f, cancel(m, view.parent.m.id, &view.item[0].m.id, 1), "cancel_whole_order");
    assert_ok(m->f, cancel(m, view.parent.m.id, NULL, 0));
    assert_closed_and_given_back(m, &view);
}

/* ---- the cart ---- */
struct cart_view {
    struct cart_line *lines;
    size_t count;
};
STEP(read_cart, struct cart_view)
{
    return cart_lines(ctx, &arg->lines, &arg->count);
}
static struct cart_view cart_of(struct market *m)
{
    struct cart_view view = {0};
    act_as(m->f, m->user, m->buyer, ORG_CONSUMER, ROLE_OWNER);
    assert_ok(m->f, READ(m->f, read_cart, &view));
    return view;
}
static err_t put(struct market *m, int64_t sku, int32_t quantity)
{
    struct act act = {.kind = CART_SET, .id = {sku}, .quantity = quantity};
    return perform(m, &act);
}

static void a_cart_keeps_changes_and_forgets_lines(void **state)
{
    struct market *m = given_market(*state);
    assert_ok(m->f, put(m, m->sku[A100].value, 2));
    assert_ok(m->f, put(m, m->sku[H800].value, 1));
    assert_ok(m->f, put(m, m->sku[A100].value, 5));
    struct cart_view cart = cart_of(m);
    assert_int_equal(cart.count, 2);
    assert_int_equal(cart.lines[0].sku_id.value, m->sku[A100].value);
    assert_int_equal(cart.lines[0].quantity, 5);
    assert_ok(m->f, put(m, m->sku[A100].value, 0));
    assert_ok(m->f, put(m, m->sku[A100].value, 0));
    assert_int_equal(cart_of(m).count, 1);
    struct act clear = {.kind = CART_CLEAR};
    assert_ok(m->f, perform(m, &clear));
    assert_int_equal(cart_of(m).count, 0);
}

static void a_cart_belongs_to_a_user_in_an_organisation(void **state)
{
    struct market *m = given_market(*state);
    assert_ok(m->f, put(m, m->sku[A100].value, 2));
    ref_t own = m->buyer;
    m->buyer = m->provider[0];
    assert_int_equal(cart_of(m).count, 0);
    m->buyer = own;
    assert_int_equal(cart_of(m).count, 1);
}

static void a_cart_holds_fifty_lines(void **state)
{
    struct market *m = given_market(*state);
    for (int i = 1; i <= 50; i++)
        assert_ok(m->f, put(m, i, 1));
    assert_refused(m->f, put(m, 51, 1), "cart_full");
    assert_ok(m->f, put(m, 50, 3));
    assert_int_equal(cart_of(m).count, 50);
}

static void buying_from_the_cart_takes_only_what_was_bought_out_of_it(void **state)
{
    struct market *m = given_rich_buyer(state);
    assert_ok(m->f, put(m, m->sku[A100].value, 1));
    assert_ok(m->f, put(m, m->sku[H800].value, 1));
    struct order_line lines[] = {{m->sku[A100], 1, {0}}};
    struct act act = submit_of(lines, 1, price_fen[A100], true);
    act.submit.from_cart = true;
    assert_ok(m->f, perform(m, &act));
    struct cart_view cart = cart_of(m);
    assert_int_equal(cart.count, 1);
    assert_int_equal(cart.lines[0].sku_id.value, m->sku[H800].value);
}

/* ---- lists ---- */
struct listing {
    struct order_filter filter;
    struct order *orders;
    size_t count;
};
STEP(list, struct listing)
{
    return order_list(ctx, &arg->filter, &arg->orders, &arg->count);
}
static size_t found(struct market *m, struct listing listing)
{
    listing.filter.limit = 10;
    assert_ok(m->f, READ(m->f, list, &listing));
    return listing.count;
}

static void orders_are_found_by_number_id_title_state_and_time(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view first = unpaid(m);
    time_passes(m->f, MS_HOUR);
    struct view second = bought(m, GOODS(A100));
    struct arena *arena = m->f->ctx.arena;
    str_t number = order_no(arena, first.parent.m.id),
          id = ref_text(arena, "ord", second.parent.m.id);
    for (int all = 0; all < 2; all++) {
        ref_t org = all ? REF_NONE : m->buyer;
        assert_int_equal(found(m, (struct listing){.filter = {.org = org}}), 2);
        assert_int_equal(found(m, (struct listing){.filter = {.org = org, .q = number}}), 1);
        assert_int_equal(found(m, (struct listing){.filter = {.org = org, .q = id}}), 1);
        assert_int_equal(found(m, (struct listing){.filter = {.org = org, .q = STR("通用")}}), 2);
        assert_int_equal(found(m, (struct listing){.filter = {.org = org, .q = STR("%_")}}), 2);
        assert_int_equal(found(m, (struct listing){.filter = {.org = org, .q = STR("nothing")}}),
                         0);
        assert_int_equal(
            found(m, (struct listing){.filter = {.org = org, .state = ORDER_ACCEPTING}}), 1);
        assert_int_equal(
            found(m, (struct listing){.filter = {.org = org,
                                                 .created_gte = second.parent.created_at}}),
            1);
        assert_int_equal(
            found(m, (struct listing){.filter = {.org = org, .before = second.parent.m.id}}), 1);
    }
    assert_int_equal(found(m, (struct listing){.filter = {.org = m->provider[0]}}), 0);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line_makes_parent_child_item_and_instance),
        cmocka_unit_test(two_stores_make_two_children_whose_amounts_sum_to_the_parent),
        cmocka_unit_test(tax_is_computed_once_per_child_and_rate),
        cmocka_unit_test(a_quantity_multiplies_the_price_and_the_stock),
        cmocka_unit_test(a_free_order_needs_no_payment),
        cmocka_unit_test(another_price_than_expected_is_refused_and_names_both),
        cmocka_unit_test(a_line_beyond_the_stock_refuses_the_whole_order),
        cmocka_unit_test(a_short_balance_names_what_is_missing_and_changes_nothing),
        cmocka_unit_test(a_sku_may_stand_in_one_line_only),
        cmocka_unit_test(neither_lines_nor_a_quote_or_both_is_refused),
        cmocka_unit_test(an_unknown_sku_is_refused),
        cmocka_unit_test(a_delisted_product_is_refused),
        cmocka_unit_test(only_an_open_store_sells_but_delivers_on),
        cmocka_unit_test(a_quote_holds_its_prices_while_lines_pay_the_new_one),
        cmocka_unit_test(an_expired_quote_is_refused),
        cmocka_unit_test(an_unpaid_order_waits_and_is_paid_once),
        cmocka_unit_test(another_organisation_neither_pays_nor_cancels_it),
        cmocka_unit_test(an_order_not_paid_in_time_closes_and_gives_the_stock_back),
        cmocka_unit_test(an_unpaid_order_is_cancelled_as_a_whole),
        cmocka_unit_test(a_cart_keeps_changes_and_forgets_lines),
        cmocka_unit_test(a_cart_belongs_to_a_user_in_an_organisation),
        cmocka_unit_test(a_cart_holds_fifty_lines),
        cmocka_unit_test(buying_from_the_cart_takes_only_what_was_bought_out_of_it),
        cmocka_unit_test(orders_are_found_by_number_id_title_state_and_time),
    };
    return RUN_ORDERS(tests);
}
