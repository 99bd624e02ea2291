/* SPDX-License-Identifier: Apache-2.0 */
/* The nth call of the database fails, for every n, in each step of two stories: buy, accept,
 * deliver; buy, refuse. After each failure books, orders and facts are sound, and the step can be
 * repeated to its end. On PostgreSQL every seventh call, unless TORTURE=1 asks for all. */
#include "order_support.h"

enum { STRIDE_PG = 7, CALLS_MAX = 400 };

struct story {
    struct market *m;
    struct view view;
    int64_t stock, balance;
};

/* Steps before the one that fails, which go well. */
static struct story begin(struct market *m, bool buys, bool acknowledges)
{
    struct story story = {.m = m, .stock = stock_of(m, A100), .balance = balance_of(m)};
    if (buys)
        story.view = bought(m, GOODS(A100, OTHER));
    if (acknowledges)
        assert_ok(m->f, acknowledge(m, &story.view.child[0], true));
    return story;
}

static err_t step_buy(struct story *story)
{
    struct order parent;
    TRY(try_buy(story->m, GOODS(A100, OTHER), true, &parent));
    story->view.parent = parent;
    return OK;
}
static err_t step_acknowledge(struct story *story)
{
    return acknowledge(story->m, &story->view.child[0], true);
}
static err_t step_deliver(struct story *story)
{
    struct report_item item = told(&story->view.item[0], ACTIVE);
    struct act act = report_of(&story->view.child[0], 1, &item, 1);
    return perform(story->m, &act);
}
static err_t step_refuse(struct story *story)
{
    return reject(story->m, &story->view.child[0]);
}
static err_t step_cancel(struct story *story)
{
    return cancel(story->m, story->view.parent.m.id, NULL, 0);
}

static void end_buy(struct story *story)
{
    assert_order(story->view.parent, "accepting");
    assert_int_equal(stock_of(story->m, A100), story->stock - 1);
    assert_int_equal(balance_of(story->m), story->balance - price_fen[A100] - price_fen[OTHER]);
}
static void end_acknowledge(struct story *story)
{
    assert_order(story->view.child[0], "provisioning");
}
static void end_deliver(struct story *story)
{
    assert_order(story->view.child[0], "completed");
    assert_int_equal(story->view.child[0].provider_sequence, 1);
    assert_int_equal(stock_of(story->m, A100), story->stock - 1);
}
static void end_refuse(struct story *story)
{
    assert_order(story->view.child[0], "rejected");
    assert_int_equal(story->view.refund_count, 1);
    assert_int_equal(stock_of(story->m, A100), story->stock);
    assert_int_equal(balance_of(story->m), story->balance - price_fen[OTHER]);
}
static void end_cancel(struct story *story)
{
    assert_order(story->view.child[0], "cancelling");
    assert_order(story->view.child[1], "cancelling");
    assert_int_equal(story->view.child[1].outbound_sequence, 2);
}

struct torture {
    bool buys, acknowledges; /* beforehand */
    err_t (*step)(struct story *story);
    void (*then)(struct story *story);
};

/* One run; false when the step needs fewer calls than n. */
static bool fails_at(struct market *m, const struct torture *torture, int64_t n)
{
    struct fixture *f = m->f;
    struct story story = begin(m, torture->buys, torture->acknowledges);
    int64_t orders = number_of(f, "SELECT COUNT(*) FROM order_head"),
            jobs = number_of(f, "SELECT COUNT(*) FROM job_row");
    int64_t version = number_of(f, "SELECT SUM(version) FROM order_item");
    db_fail_nth(f->platform.db, n);
    err_t err = torture->step(&story);
    int64_t calls = db_fail_nth(f->platform.db, 0);
    if (err != OK) { /* nothing of it stayed */
        assert_string_equal(f->ctx.problem.reason, "storage_failed");
        assert_int_equal(number_of(f, "SELECT COUNT(*) FROM order_head"), orders);
        assert_int_equal(number_of(f, "SELECT COUNT(*) FROM job_row"), jobs);
        assert_int_equal(number_of(f, "SELECT SUM(version) FROM order_item"), version);
        assert_sound(f);
        assert_ok(f, torture->step(&story));
    }
    look_again(m, &story.view);
    torture->then(&story);
    assert_sound(f);
    return calls >= n;
}

static void fail_every_call(void **state, const struct torture *torture)
{
    struct market *m = given_rich_buyer(state);
    struct fixture *f = m->f;
    const char *all = getenv("TORTURE");
    int64_t n = 1, stride = f->pg && (all == NULL || strcmp(all, "1") != 0) ? STRIDE_PG : 1;
    struct market kept = *m;
    (void)bought(m, GOODS(A100)); /* so that no sum is of nothing */
    while (fails_at(&kept, torture, n)) {
        n += stride;
        assert_true(n < CALLS_MAX);
        arena_reset(f->ctx.arena); /* it would fill up */
        f->ctx.facts = NULL;
    }
    assert_true(n > 10);
}

static void buying_survives_a_failure_of_any_call(void **state)
{
    fail_every_call(state, &(struct torture){false, false, step_buy, end_buy});
}
static void the_acknowledgement_survives_a_failure_of_any_call(void **state)
{
    fail_every_call(state, &(struct torture){true, false, step_acknowledge, end_acknowledge});
}
static void delivery_survives_a_failure_of_any_call(void **state)
{
    fail_every_call(state, &(struct torture){true, true, step_deliver, end_deliver});
}
static void refusal_and_refund_survive_a_failure_of_any_call(void **state)
{
    fail_every_call(state, &(struct torture){true, false, step_refuse, end_refuse});
}
static void a_cancel_survives_a_failure_of_any_call(void **state)
{
    fail_every_call(state, &(struct torture){true, false, step_cancel, end_cancel});
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(buying_survives_a_failure_of_any_call),
        cmocka_unit_test(the_acknowledgement_survives_a_failure_of_any_call),
        cmocka_unit_test(delivery_survives_a_failure_of_any_call),
        cmocka_unit_test(refusal_and_refund_survive_a_failure_of_any_call),
        cmocka_unit_test(a_cancel_survives_a_failure_of_any_call),
    };
    return RUN_ORDERS(tests);
}
