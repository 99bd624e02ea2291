/* SPDX-License-Identifier: Apache-2.0 */
/* Cancelling before delivery: asked for by the buyer or by silence, confirmed or refused by the
 * provider. */
#include "order_support.h"

static void a_cancel_before_the_acknowledgement_waits_and_is_confirmed(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100));
    assert_ok(m->f, cancel(m, view.parent.m.id, NULL, 0));
    look_again(m, &view);
    assert_order(view.child[0], "cancelling");
    assert_order(view.parent, "provisioning");
    assert_item(view.item[0], "cancelling");
    assert_int_equal(view.child[0].outbound_sequence, 2);
    assert_int_equal(jobs_of(m, JOB_ORDER_DELIVERY, view.child[0].m.id), 2); /* R16, then R8 */
    assert_int_equal(balance_of(m), BALANCE_FEN - price_fen[A100]); /* not before it is confirmed */
    assert_ok(m->f, acknowledge(m, &view.child[0], true));
    look_again(m, &view);
    assert_order(view.child[0], "cancelling");
    assert_ok(m->f, answer_cancel(m, &view.child[0], true));
    look_again(m, &view);
    assert_order(view.child[0], "cancelled");
    assert_order(view.parent, "cancelled");
    assert_item(view.item[0], "cancelled");
    assert_instance(view.instance[0], "released");
    assert_int_equal(view.refund_count, 1);
    assert_int_equal(view.refund[0].reason, REFUND_REASON_CANCELLED);
    assert_int_equal(balance_of(m), BALANCE_FEN);
    assert_int_equal(stock_of(m, A100), STOCK);
    assert_refused(m->f, report_item_state(m, &view.item[0], ACTIVE), "illegal_transition");
}

static void a_refused_cancel_goes_back_and_the_order_completes(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100));
    assert_ok(m->f, acknowledge(m, &view.child[0], true));
    assert_ok(m->f, report_item_state(m, &view.item[0], PROVISIONING));
    assert_ok(m->f, cancel(m, view.child[0].m.id, NULL, 0));
    assert_ok(m->f, answer_cancel(m, &view.child[0], false));
    look_again(m, &view);
    assert_order(view.child[0], "provisioning");
    assert_order(view.parent, "provisioning");
    assert_item(view.item[0], "provisioning");
    assert_ok(m->f, report_item_state(m, &view.item[0], ACTIVE));
    look_again(m, &view);
    assert_order(view.child[0], "completed");
    assert_int_equal(view.refund_count, 0);
}

STEP(finish_timers, struct market)
{
    (void)arg;
    return db_exec(ctx, "UPDATE job_row SET status = 3 WHERE kind = 2", NO_ARGS, NULL);
}
static void a_cancel_refused_before_the_acknowledgement_waits_for_the_provider_anew(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100));
    assert_ok(m->f, cancel(m, view.child[0].m.id, NULL, 0));
    assert_ok(m->f, timer(m, SILENCE,
                          view.child[0].m.id)); /* fires while cancelling: nothing more to ask */
    assert_ok(m->f, WRITE(m->f, finish_timers, m));
    assert_ok(m->f, answer_cancel(m, &view.child[0], false));
    look_again(m, &view);
    assert_order(view.child[0], "accepting");
    assert_order(view.parent, "accepting");
    assert_item(view.item[0], "pending");
    assert_int_equal(jobs_of(m, JOB_ORDER_SILENCE, view.child[0].m.id), 1);
    assert_ok(m->f, acknowledge(m, &view.child[0], true));
    assert_ok(m->f, report_item_state(m, &view.item[0], ACTIVE));
    look_again(m, &view);
    assert_order(view.parent, "completed");
}

static void one_of_two_items_is_cancelled_and_the_fold_goes_on(void **state)
{
    struct market *m = given_rich_buyer(state);
    for (int acknowledged = 0; acknowledged < 2; acknowledged++) {
        struct view view = bought(m, GOODS(A100, H800));
        if (acknowledged)
            assert_ok(m->f, acknowledge(m, &view.child[0], true));
        assert_ok(m->f, cancel(m, view.parent.m.id, &view.item[0].m.id, 1));
        look_again(m, &view);
        assert_order(view.child[0], "cancelling");
        assert_item(view.item[1], "pending");
        assert_ok(m->f, answer_cancel(m, &view.child[0], true));
        look_again(m, &view);
        assert_order(view.child[0], acknowledged ? "provisioning" : "accepting");
        assert_item(view.item[0], "cancelled");
        assert_int_equal(view.child[0].refunded.fen, view.item[0].payable.fen);
        assert_ok(m->f, report_item_state(m, &view.item[1], ACTIVE));
        look_again(m, &view);
        assert_order(view.child[0], "completed"); /* of those that were not cancelled */
        assert_int_equal(view.refund_count, 1);
    }
}

static void an_item_may_be_reported_while_another_is_cancelling(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100, H800));
    assert_ok(m->f, cancel(m, view.parent.m.id, &view.item[0].m.id, 1));
    assert_ok(m->f, report_item_state(m, &view.item[1], ACTIVE));
    look_again(m, &view);
    assert_order(view.child[0], "cancelling");
    assert_item(view.item[1], "active");
    assert_ok(m->f, answer_cancel(m, &view.child[0], true));
    look_again(m, &view);
    assert_order(view.child[0], "completed");
}

static void after_a_report_a_refused_cancel_goes_back_to_provisioning(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100, H800));
    assert_ok(m->f, cancel(m, view.parent.m.id, &view.item[0].m.id, 1)); /* not acknowledged yet */
    assert_ok(m->f, report_item_state(m, &view.item[1], PROVISIONING));
    assert_ok(m->f, answer_cancel(m, &view.child[0], false));
    look_again(m, &view);
    assert_order(view.child[0], "provisioning");
    assert_item(view.item[0], "provisioning");
}

static void named_items_are_cancelled_all_or_none(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100, H800, OTHER));
    ref_t foreign[] = {view.item[0].m.id, {4711}};
    assert_refused(m->f, cancel(m, view.parent.m.id, foreign, 2), "validation_failed");
    /* Of another child than the one asked about. */
    ref_t other[] = {view.item[0].m.id, view.item[2].m.id};
    assert_refused(m->f, cancel(m, view.child[0].m.id, other, 2), "validation_failed");
    /* Its order is cancelling already. */
    assert_ok(m->f, cancel(m, view.child[0].m.id, &view.item[0].m.id, 1));
    ref_t busy[] = {view.item[2].m.id, view.item[1].m.id};
    assert_refused(m->f, cancel(m, view.parent.m.id, busy, 2), "illegal_transition");
    look_again(m, &view);
    assert_item(view.item[0], "cancelling");
    assert_item(view.item[1], "pending");
    assert_item(view.item[2], "pending");
    assert_order(view.child[1], "accepting");
}

static void cancelling_a_parent_asks_every_child_that_still_can(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100, H800, OTHER));
    assert_ok(m->f, report_item_state(m, &view.item[2], ACTIVE));
    assert_ok(m->f, cancel(m, view.parent.m.id, NULL, 0));
    look_again(m, &view);
    assert_order(view.child[0], "cancelling");
    assert_order(view.child[1], "completed");
    assert_refused(m->f, cancel(m, view.parent.m.id, NULL, 0), "illegal_transition");
    assert_ok(m->f, answer_cancel(m, &view.child[0], true));
    look_again(m, &view);
    assert_order(view.parent, "partially_completed");
    assert_refused(m->f, cancel(m, view.parent.m.id, NULL, 0), "illegal_transition");
}

static void a_refusal_of_the_order_while_cancelling_refunds_all(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100, H800));
    assert_ok(m->f, cancel(m, view.parent.m.id, NULL, 0));
    assert_ok(m->f, reject(m, &view.child[0]));
    look_again(m, &view);
    assert_order(view.child[0], "cancelled");
    assert_int_equal(balance_of(m), BALANCE_FEN);
    assert_int_equal(jobs_of(m, JOB_ORDER_DELIVERY, view.child[0].m.id), 0);
    struct view half = bought(m, GOODS(A100, H800));
    assert_ok(m->f, cancel(m, half.parent.m.id, &half.item[0].m.id, 1));
    assert_ok(m->f, reject(m, &half.child[0]));
    look_again(m, &half);
    assert_order(half.child[0], "failed");
    assert_item(half.item[0], "cancelled");
    assert_item(half.item[1], "failed");
    assert_int_equal(balance_of(m), BALANCE_FEN);
}

/* ---- silence ---- */
static void silence_for_a_day_cancels(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100));
    time_passes(m->f, MS_DAY);
    assert_ok(m->f, timer(m, SILENCE, view.child[0].m.id));
    look_again(m, &view);
    assert_order(view.child[0], "cancelling");
    assert_int_equal(view.refund_count,
                     0); /* the provider may have begun: first its answer, then the refund */
    assert_refused(m->f, report_item_state(m, &view.item[0], ACTIVE), "illegal_transition");
    assert_ok(m->f, answer_cancel(m, &view.child[0], true));
    look_again(m, &view);
    assert_order(view.parent, "cancelled");
    assert_int_equal(balance_of(m), BALANCE_FEN);
}

static void a_timer_of_silence_that_ran_late_does_not_cancel_what_is_accepted(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100));
    assert_ok(m->f, acknowledge(m, &view.child[0], true));
    assert_ok(m->f, timer(m, SILENCE, view.child[0].m.id));
    look_again(m, &view);
    assert_order(view.child[0], "provisioning");
}

/* ---- answers by report ---- */
struct answer {
    str_t change_id;
    bool done;
};
static err_t report_with_answer(struct market *m, struct act report, struct answer answer)
{
    report.report.command_ack =
        (struct report_ack){.change_id = answer.change_id, .result = answer.done ? 1 : 2};
    return perform(m, &report);
}

static void active_while_cancelling_is_refused_and_taken_once_the_cancel_is(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100));
    assert_ok(m->f, acknowledge(m, &view.child[0], true));
    assert_ok(m->f, cancel(m, view.parent.m.id, NULL, 0));
    assert_refused(m->f, report_item_state(m, &view.item[0], ACTIVE), "illegal_transition");
    look_again(m, &view);
    assert_item(view.item[0], "cancelling");
    assert_int_equal(view.child[0].provider_sequence, 0);
    assert_ok(m->f, answer_cancel(m, &view.child[0], false));
    assert_ok(m->f, report_item_state(m, &view.item[0], ACTIVE));
    look_again(m, &view);
    assert_order(view.parent, "completed");
}

static void a_report_may_confirm_the_cancel_without_naming_items(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100));
    assert_ok(m->f, cancel(m, view.parent.m.id, NULL, 0));
    assert_ok(m->f, report_with_answer(m, report_of(&view.child[0], 1, NULL, 0),
                                       (struct answer){last_change(m, &view.child[0]), true}));
    look_again(m, &view);
    assert_order(view.parent, "cancelled");
    assert_int_equal(balance_of(m), BALANCE_FEN);
}

static void a_report_may_confirm_the_cancel_and_name_the_items(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100, H800));
    assert_ok(m->f, cancel(m, view.parent.m.id, NULL, 0));
    struct report_item items[] = {told(&view.item[0], CANCELLED), told(&view.item[1], CANCELLED)};
    assert_ok(m->f, report_with_answer(m, report_of(&view.child[0], 1, items, 2),
                                       (struct answer){last_change(m, &view.child[0]), true}));
    look_again(m, &view);
    assert_order(view.parent, "cancelled");
    assert_int_equal(view.refund_count, 2);
}

static void a_report_may_refuse_the_cancel_and_deliver_at_once(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100));
    assert_ok(m->f, cancel(m, view.parent.m.id, NULL, 0)); /* before the acknowledgement */
    struct report_item item = told(&view.item[0], ACTIVE);
    assert_ok(m->f, report_with_answer(m, report_of(&view.child[0], 1, &item, 1),
                                       (struct answer){last_change(m, &view.child[0]), false}));
    look_again(m, &view);
    assert_order(view.parent, "completed");
    assert_int_equal(view.refund_count, 0);
}

static void a_report_that_refuses_the_cancel_sets_order_and_item_back_alike(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100));
    assert_ok(m->f, cancel(m, view.parent.m.id, NULL, 0));
    assert_ok(m->f, report_with_answer(m, report_of(&view.child[0], 1, NULL, 0),
                                       (struct answer){last_change(m, &view.child[0]), false}));
    look_again(m, &view);
    assert_order(view.child[0], "provisioning");
    assert_item(view.item[0], "provisioning");
}

static void an_answer_to_an_older_command_does_not_end_the_open_one(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100));
    assert_ok(m->f, acknowledge(m, &view.child[0], true));
    assert_ok(m->f, cancel(m, view.parent.m.id, NULL, 0));
    str_t first = last_change(m, &view.child[0]);
    assert_ok(m->f, answer_cancel(m, &view.child[0], false));
    assert_ok(m->f, cancel(m, view.parent.m.id, NULL, 0));
    str_t second = last_change(m, &view.child[0]);
    assert_false(str_eq(first, second));
    struct act late = {.kind = ANSWER, .id = view.child[0].m.id, .text = first, .yes = true};
    assert_ok(m->f, perform(m, &late));
    assert_ok(m->f, report_with_answer(m, report_of(&view.child[0], 1, NULL, 0),
                                       (struct answer){first, true}));
    look_again(m, &view);
    assert_order(view.child[0], "cancelling");
    assert_int_equal(view.refund_count, 0);
    late.text = second;
    assert_ok(m->f, perform(m, &late));
    assert_ok(m->f, perform(m, &late));
    look_again(m, &view);
    assert_order(view.child[0], "cancelled");
    assert_int_equal(view.refund_count, 1);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cancel_before_the_acknowledgement_waits_and_is_confirmed),
        cmocka_unit_test(a_refused_cancel_goes_back_and_the_order_completes),
        cmocka_unit_test(a_cancel_refused_before_the_acknowledgement_waits_for_the_provider_anew),
        cmocka_unit_test(one_of_two_items_is_cancelled_and_the_fold_goes_on),
        cmocka_unit_test(an_item_may_be_reported_while_another_is_cancelling),
        cmocka_unit_test(after_a_report_a_refused_cancel_goes_back_to_provisioning),
        cmocka_unit_test(named_items_are_cancelled_all_or_none),
        cmocka_unit_test(cancelling_a_parent_asks_every_child_that_still_can),
        cmocka_unit_test(a_refusal_of_the_order_while_cancelling_refunds_all),
        cmocka_unit_test(silence_for_a_day_cancels),
        cmocka_unit_test(a_timer_of_silence_that_ran_late_does_not_cancel_what_is_accepted),
        cmocka_unit_test(active_while_cancelling_is_refused_and_taken_once_the_cancel_is),
        cmocka_unit_test(a_report_may_confirm_the_cancel_without_naming_items),
        cmocka_unit_test(a_report_may_confirm_the_cancel_and_name_the_items),
        cmocka_unit_test(a_report_may_refuse_the_cancel_and_deliver_at_once),
        cmocka_unit_test(a_report_that_refuses_the_cancel_sets_order_and_item_back_alike),
        cmocka_unit_test(an_answer_to_an_older_command_does_not_end_the_open_one),
    };
    return RUN_ORDERS(tests);
}
