/* SPDX-License-Identifier: Apache-2.0 */
/* Random orders and random events of buyer, provider and timers in any order, many of them refused:
 * the invariants hold after each. The seed is printed; SEED=n repeats a run, ROUNDS=n makes it
 * longer. */
#include "order_support.h"

enum { ORDERS = 6, EVENTS = 60, ROUNDS = 4 };

struct random {
    uint64_t state;
};
static uint32_t roll(struct random *random, uint32_t below)
{
    random->state = random->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random->state >> 33) % below;
}

static int64_t setting(const char *name, int64_t otherwise)
{
    int64_t value = otherwise;
    const char *text = getenv(name);
    if (text != NULL && !str_to_int(str_of(text), 0, INT64_MAX, &value))
        fail_msg("%s=%s", name, text);
    return value;
}

static ref_t random_order(struct market *m, struct random *random)
{
    int skus[SKUS];
    size_t count = 0;
    struct order parent = {0};
    for (int i = 0; i < SKUS; i++)
        if (roll(random, 2) == 0)
            skus[count++] = i;
    if (count == 0)
        skus[count++] = (int)roll(random, SKUS);
    assert_ok(m->f, try_buy(m, skus, count, roll(random, 4) != 0, &parent));
    return parent.m.id;
}

/* A report of random items in random states, mostly next in the sequence, sometimes with an answer
 * to the cancel. */
static err_t random_report(struct market *m, struct random *random, struct view *view,
                           const struct order *child)
{
    struct report_item items[SKUS];
    size_t count = 0;
    for (size_t i = 0; i < view->item_count; i++)
        if (ref_is(view->item[i].order_id, child->m.id) && roll(random, 3) != 0)
            items[count++] = told(&view->item[i], 1 + (int)roll(random, RELEASED));
    int64_t next = child->provider_sequence + 1 + (roll(random, 8) == 0) - (roll(random, 8) == 0);
    struct act act = report_of(child, next, items, count);
    if (roll(random, 3) == 0) {
        act.report.command_ack.result = 1 + (int32_t)roll(random, 2);
        act.report.command_ack.change_id = last_change(m, child);
    }
    return next < 1 ? OK : perform(m, &act);
}

static err_t random_cancel(struct market *m, struct random *random, struct view *view,
                           const struct order *child)
{
    ref_t item = view->item[roll(random, (uint32_t)view->item_count)].m.id;
    switch (roll(random, 3)) {
    case 0:
        return cancel(m, view->parent.m.id, NULL, 0);
    case 1:
        return cancel(m, child->m.id, NULL, 0);
    default:
        return cancel(m, view->parent.m.id, &item, 1);
    }
}

static err_t random_event(struct market *m, struct random *random, struct view *view)
{
    const struct order *child = &view->child[roll(random, (uint32_t)view->child_count)];
    ref_t item = view->item[roll(random, (uint32_t)view->item_count)].m.id;
    struct act pay = {.kind = PAY, .id = view->parent.m.id, .money = view->parent.payable};
    bool is_sent = child->outbound_sequence > 0;
    switch (roll(random, 12)) {
    case 0:
        return perform(m, &pay);
    case 1:
        return timer(m, PAY_TIMEOUT, view->parent.m.id);
    case 2:
        return is_sent ? acknowledge(m, child, roll(random, 4) != 0) : OK;
    case 3:
        return is_sent && roll(random, 3) == 0 ? reject(m, child) : OK;
    case 4:
    case 5:
        return random_cancel(m, random, view, child);
    case 6:
    case 7:
        return is_sent ? answer_cancel(m, child, roll(random, 2) == 0) : OK;
    case 8:
        return timer(m, SILENCE, child->m.id);
    case 9:
        return timer(m, SETTLE, item);
    default:
        return is_sent ? random_report(m, random, view, child)
                       : report_item_state(m, &view->item[0], ACTIVE);
    }
}

/* A refusal is one of those that are meant, and never a broken database. */
static void assert_expected(struct market *m, err_t err)
{
    static const char *const meant[] = {"illegal_transition", "sequence_gap", "sequence_conflict",
                                        "cancel_whole_order"};
    if (err == OK)
        return;
    for (size_t i = 0; i < sizeof meant / sizeof meant[0]; i++)
        if (strcmp(m->f->ctx.problem.reason, meant[i]) == 0)
            return;
    fail_msg("%s: %s", m->f->ctx.problem.reason, m->f->ctx.problem.detail);
}

static void assert_refunds_within_payments(struct view *view)
{
    int64_t refunds = 0;
    for (size_t i = 0; i < view->refund_count; i++)
        refunds += view->refund[i].amount.fen;
    assert_int_equal(refunds, view->parent.refunded.fen);
    assert_true(refunds <= view->parent.paid.fen);
}

static void assert_balance_explained(struct market *m)
{
    int64_t spent = number_of(
        m->f, "SELECT CAST(SUM(paid_fen - refunded_fen) AS BIGINT) FROM order_head WHERE kind = 1");
    assert_int_equal(balance_of(m), BALANCE_FEN - spent);
}

/* Whatever is still open can be brought to an end. */
static void bring_to_an_end(struct market *m, struct view *view)
{
    for (size_t i = 0; i < view->child_count; i++) {
        look_again(m, view);
        if (view->child[i].m.state == ORDER_PENDING_PAYMENT)
            assert_ok(m->f, timer(m, PAY_TIMEOUT, view->parent.m.id));
        else
            assert_ok(m->f, reject(m, &view->child[i]));
    }
    look_again(m, view);
    assert_true(fsm_is_terminal(&order_parent_fsm, view->parent.m.state));
}

static void play(struct market *m, struct random *random)
{
    ref_t orders[ORDERS];
    for (int i = 0; i < ORDERS; i++)
        orders[i] = random_order(m, random);
    for (int i = 0; i < EVENTS; i++) {
        struct view view = view_of(m, orders[roll(random, ORDERS)]);
        assert_expected(m, random_event(m, random, &view));
        look_again(m, &view);
        assert_int_equal(view.parent.m.state, order_fold(view.child, view.child_count));
        assert_refunds_within_payments(&view);
        if (i % 10 == 9)
            assert_sound(m->f);
    }
    for (int i = 0; i < ORDERS; i++) {
        struct view view = view_of(m, orders[i]);
        bring_to_an_end(m, &view);
    }
    assert_balance_explained(m);
}

static void any_order_of_events_keeps_the_invariants(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct market kept = *m;
    uint64_t seed = (uint64_t)setting("SEED", clock_now().ms);
    int64_t rounds = setting("ROUNDS", ROUNDS);
    printf("SEED=%" PRIu64 "\n", seed);
    for (int64_t i = 0; i < rounds; i++) {
        struct random random = {seed + (uint64_t)i};
        play(&kept, &random);
        arena_reset(kept.f->ctx.arena);
        kept.f->ctx.facts = NULL;
    }
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_of_events_keeps_the_invariants),
    };
    return RUN_ORDERS(tests);
}
