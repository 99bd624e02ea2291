/* SPDX-License-Identifier: Apache-2.0 */
/* A paid order with its provider: accepted, refused, reported on, settled. */
#include "order_support.h"

static void an_accepted_order_is_being_provisioned(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100));
    assert_ok(m->f, acknowledge(m, &view.child[0], true));
    look_again(m, &view);
    assert_order(view.child[0], "provisioning");
    assert_order(view.parent, "provisioning");
    assert_true(str_is(view.child[0].external_order_id, "x-1"));
    assert_true(view.child[0].acknowledged_at.ms > 0);
    assert_int_equal(jobs_of(m, JOB_ORDER_SILENCE, view.child[0].m.id), 0);
    assert_int_equal(facts_of(m->f, FACT_ORDER_SENT), 1);
    /* From now on the provider's stock reports contain it. */
    assert_int_equal(number_of(m->f, "SELECT acknowledged_at FROM catalog_hold"), m->f->ctx.now.ms);
    assert_ok(m->f, acknowledge(m, &view.child[0], true)); /* the answer came twice */
    assert_int_equal(facts_of(m->f, FACT_ORDER_SENT), 1);
    look_again(m, &view);
    assert_order(view.child[0], "provisioning");
}

static void an_order_known_but_not_taken_waits_for_a_report_and_counts_as_silent(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100));
    assert_ok(m->f, acknowledge(m, &view.child[0], false));
    look_again(m, &view);
    assert_order(view.child[0], "accepting");
    assert_true(str_is(view.child[0].external_order_id, "x-1"));
    assert_int_equal(jobs_of(m, JOB_ORDER_SILENCE, view.child[0].m.id), 1);
    assert_ok(m->f, report_item_state(m, &view.item[0], PROVISIONING));
    look_again(m, &view);
    assert_order(view.child[0], "provisioning");
    assert_item(view.item[0], "provisioning");
    assert_true(view.child[0].acknowledged_at.ms > 0);
    assert_int_equal(jobs_of(m, JOB_ORDER_SILENCE, view.child[0].m.id), 0);
}

static void a_refused_order_is_rejected_and_wholly_refunded(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100, H800));
    assert_ok(m->f, reject(m, &view.child[0]));
    look_again(m, &view);
    assert_order(view.child[0], "rejected");
    assert_order(view.parent, "rejected");
    for (size_t i = 0; i < 2; i++) {
        assert_item(view.item[i], "failed");
        assert_instance(view.instance[i], "released"); /* it never was */
        assert_int_equal(view.refund[i].m.state, REFUND_SUCCEEDED);
        assert_int_equal(view.refund[i].reason, REFUND_REASON_REJECTED);
    }
    assert_int_equal(view.refund_count, 2);
    assert_int_equal(view.child[0].refunded.fen, view.child[0].paid.fen);
    assert_int_equal(view.parent.refunded.fen, view.parent.paid.fen);
    assert_int_equal(balance_of(m), BALANCE_FEN);
    assert_int_equal(stock_of(m, A100), STOCK);
    assert_int_equal(jobs_of(m, JOB_ORDER_DELIVERY, view.child[0].m.id), 0);
    assert_int_equal(jobs_of(m, JOB_ORDER_SILENCE, view.child[0].m.id), 0);
    assert_int_equal(facts_of(m->f, FACT_REFUND_DONE), 2);
    assert_ok(m->f, reject(m, &view.child[0]));
    assert_ok(m->f, acknowledge(m, &view.child[0], true));
    look_again(m, &view);
    assert_order(view.child[0], "rejected");
    assert_int_equal(view.refund_count, 2);
}

static void one_store_refusing_leaves_the_other_child_alone(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100, OTHER));
    assert_ok(m->f, reject(m, &view.child[1]));
    look_again(m, &view);
    assert_order(view.parent, "provisioning");
    assert_order(view.child[0], "accepting");
    assert_ok(m->f, report_item_state(m, &view.item[0], ACTIVE));
    look_again(m, &view);
    assert_order(view.child[0], "completed");
    assert_order(view.parent, "partially_completed");
    assert_int_equal(view.parent.refunded.fen, view.child[1].paid.fen);
}

/* The first answer was lost; the second one says no. What is active stays. */
static void a_refusal_after_a_report_ends_only_what_is_open(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100, H800));
    assert_ok(m->f, report_item_state(m, &view.item[0], ACTIVE));
    assert_ok(m->f, reject(m, &view.child[0]));
    look_again(m, &view);
    assert_item(view.item[0], "active");
    assert_item(view.item[1], "failed");
    assert_order(view.child[0], "partially_completed");
    assert_int_equal(view.refund_count, 1);
}

static void an_active_report_delivers(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100));
    assert_ok(m->f, acknowledge(m, &view.child[0], true));
    struct report_unit units[] = {{STR("u-1"), STR("active"), STR("https://u.example")}};
    struct report_item item = told(&view.item[0], ACTIVE);
    item.units = units;
    item.unit_count = 1;
    item.tool_url = STR("https://tool.example");
    item.started_at = m->f->ctx.now;
    item.expires_at = utc_add(m->f->ctx.now, 30 * (int64_t)MS_DAY);
    struct act act = report_of(&view.child[0], 1, &item, 1);
    assert_ok(m->f, perform(m, &act));
    assert_order(act.out, "completed");
    assert_int_equal(act.out.provider_sequence, 1);
    look_again(m, &view);
    assert_order(view.parent, "completed");
    assert_item(view.item[0], "active");
    assert_instance(view.instance[0], "active");
    assert_true(str_is(view.instance[0].external_instance_id, "vm-1"));
    assert_true(str_is(view.instance[0].tool_url, "https://tool.example"));
    assert_non_null(strstr(str_z(m->f->ctx.arena, view.instance[0].units), "\"u-1\""));
    assert_int_equal(view.instance[0].expires_at.ms, item.expires_at.ms);
    assert_int_equal(jobs_of(m, JOB_ITEM_SETTLE, view.item[0].m.id), 1);
    assert_int_equal(number_of(m->f, "SELECT COUNT(*) FROM order_service"), 1);
    assert_int_equal(escrow_of(m, view.child[0].m.id), price_fen[A100]);
}

static void active_before_the_acknowledgement_acknowledges(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100));
    assert_ok(m->f, report_item_state(m, &view.item[0], ACTIVE));
    look_again(m, &view);
    assert_order(view.child[0], "completed");
    assert_order(view.parent, "completed");
    assert_true(view.child[0].acknowledged_at.ms > 0);
    assert_int_equal(jobs_of(m, JOB_ORDER_SILENCE, view.child[0].m.id), 0);
    assert_ok(m->f, acknowledge(m, &view.child[0], true)); /* the answer comes late */
    look_again(m, &view);
    assert_order(view.child[0], "completed");
    assert_true(str_is(view.child[0].external_order_id, "x-1"));
}

static void units_are_shown_as_they_come_up(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100));
    struct report_unit units[] = {{STR("u-1"), STR("active"), {0}},
                                  {STR("u-2"), STR("booting"), {0}}};
    struct report_item item = told(&view.item[0], PROVISIONING);
    item.units = units;
    for (size_t i = 1; i <= 2; i++) {
        item.unit_count = i;
        struct act act = report_of(&view.child[0], (int64_t)i, &item, 1);
        assert_ok(m->f, perform(m, &act));
    }
    look_again(m, &view);
    assert_item(view.item[0], "provisioning");
    assert_instance(view.instance[0], "creating");
    assert_non_null(strstr(str_z(m->f->ctx.arena, view.instance[0].units), "\"booting\""));
}

static void one_active_and_one_failed_complete_partially_with_one_refund(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100, H800));
    assert_ok(m->f, acknowledge(m, &view.child[0], true));
    assert_ok(m->f, report_item_state(m, &view.item[0], ACTIVE));
    look_again(m, &view);
    assert_order(view.child[0], "provisioning");
    assert_ok(m->f, report_item_state(m, &view.item[1], FAILED));
    look_again(m, &view);
    assert_order(view.child[0], "partially_completed");
    assert_order(view.parent, "partially_completed");
    assert_item(view.item[1], "failed");
    assert_instance(view.instance[1], "failed");
    assert_true(str_is(view.instance[1].error, "no_host: 坏了"));
    assert_int_equal(view.refund_count, 1);
    assert_int_equal(view.refund[0].item_id.value, view.item[1].m.id.value);
    assert_int_equal(view.refund[0].amount.fen, view.item[1].payable.fen);
    assert_int_equal(view.refund[0].reason, REFUND_REASON_FAILED);
    assert_int_equal(view.item[1].refund_id.value, view.refund[0].m.id.value);
    assert_int_equal(balance_of(m), BALANCE_FEN - view.item[0].payable.fen);
}

static void all_failed_fails_the_order(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100, H800));
    struct report_item items[] = {told(&view.item[0], FAILED), told(&view.item[1], FAILED)};
    struct act act = report_of(&view.child[0], 1, items, 2);
    assert_ok(m->f, perform(m, &act));
    look_again(m, &view);
    assert_order(view.child[0], "failed");
    assert_order(view.parent, "failed");
    assert_int_equal(balance_of(m), BALANCE_FEN);
    assert_int_equal(facts_of(m->f, FACT_ITEM_STATUS), 1);
}

/* ---- the sequence ---- */
static void a_gap_in_the_sequence_names_what_is_expected(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100));
    struct report_item item = told(&view.item[0], PROVISIONING);
    struct act act = report_of(&view.child[0], 2, &item, 1);
    assert_int_equal(perform(m, &act), ERR_CONFLICT);
    assert_true(str_is(m->f->ctx.problem.extension, "\"expected\":1"));
    assert_refused(m->f, ERR_CONFLICT, "sequence_gap");
    look_again(m, &view);
    assert_order(view.child[0], "accepting");
}

static void a_repeated_report_changes_nothing_and_another_content_is_refused(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100));
    struct report_item item = told(&view.item[0], FAILED);
    struct act act = report_of(&view.child[0], 1, &item, 1);
    assert_ok(m->f, perform(m, &act));
    struct order first = act.out;
    assert_ok(m->f, perform(m, &act));
    assert_int_equal(act.out.m.state, first.m.state);
    assert_int_equal(act.out.m.version, first.m.version);
    assert_int_equal(facts_of(m->f, FACT_ITEM_STATUS), 1);
    struct act other = act;
    other.digest.bytes[0] ^= 1;
    assert_refused(m->f, perform(m, &other), "sequence_conflict");
    other = act;
    other.report.report_id = STR("other");
    assert_refused(m->f, perform(m, &other), "sequence_conflict");
}

static void a_report_about_something_foreign_is_refused_whole(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100, H800, OTHER));
    struct report_item items[] = {told(&view.item[0], ACTIVE), told(&view.item[2], ACTIVE)};
    struct act foreign = report_of(&view.child[0], 1, items, 2);
    assert_refused(m->f, perform(m, &foreign), "validation_failed");
    items[1] = told(&view.item[1], ACTIVE);
    items[1].instance_id = view.instance[0].m.id;
    struct act mixed = report_of(&view.child[0], 1, items, 2);
    assert_refused(m->f, perform(m, &mixed), "validation_failed");
    items[1] = items[0];
    struct act twice = report_of(&view.child[0], 1, items, 2);
    assert_refused(m->f, perform(m, &twice), "illegal_transition");
    look_again(m, &view);
    assert_order(view.child[0], "accepting");
    assert_item(view.item[0], "pending");
    struct act parent = report_of(&view.parent, 1, items, 1),
               nobody = report_of(&(struct order){.m.id = {4711}}, 1, items, 1);
    assert_refused(m->f, perform(m, &parent), "order_unknown");
    assert_refused(m->f, perform(m, &nobody), "order_unknown");
}

static void an_unpaid_order_takes_no_report(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct order parent;
    assert_ok(m->f, try_buy(m, GOODS(A100), false, &parent));
    struct view view = view_of(m, parent.m.id);
    assert_refused(m->f, report_item_state(m, &view.item[0], ACTIVE), "illegal_transition");
}

static void what_has_ended_does_not_move_again(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100));
    assert_ok(m->f, report_item_state(m, &view.item[0], FAILED));
    for (int to = PROVISIONING; to <= RELEASED; to++)
        assert_refused(m->f, report_item_state(m, &view.item[0], to), "illegal_transition");
    assert_refused(m->f, cancel(m, view.parent.m.id, NULL, 0), "illegal_transition");
    assert_refused(m->f, cancel(m, view.parent.m.id, &view.item[0].m.id, 1), "illegal_transition");
}

static void a_released_instance_ends(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100));
    assert_refused(m->f, report_item_state(m, &view.item[0], RELEASED), "illegal_transition");
    assert_ok(m->f, report_item_state(m, &view.item[0], ACTIVE));
    assert_ok(m->f, report_item_state(m, &view.item[0], RELEASED));
    look_again(m, &view);
    assert_instance(view.instance[0], "released");
    assert_order(view.child[0], "completed");
}

/* ---- settling ---- */
static void a_delivered_item_is_settled_once(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100, H800));
    assert_ok(m->f, report_item_state(m, &view.item[0], ACTIVE));
    assert_ok(m->f, timer(m, SETTLE, view.item[0].m.id));
    assert_ok(m->f, timer(m, SETTLE, view.item[0].m.id)); /* its job ran twice */
    assert_ok(m->f, timer(m, SETTLE, view.item[1].m.id)); /* nothing delivered, nothing settled */
    assert_ok(m->f, timer(m, SETTLE, (ref_t){4711}));
    assert_int_equal(facts_of(m->f, FACT_SETTLE_RESULT), 1);
    assert_int_equal(escrow_of(m, view.child[0].m.id), price_fen[H800]);
    assert_int_equal(
        number_of(m->f, "SELECT SUM(credits_fen - debits_fen) FROM ledger_account WHERE code = 12"),
        price_fen[A100] - (price_fen[A100] * 500 + 5000) / 10000);
}

static void a_failed_item_is_not_settled(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct view view = bought(m, GOODS(A100));
    assert_ok(m->f, report_item_state(m, &view.item[0], FAILED));
    assert_ok(m->f, timer(m, SETTLE, view.item[0].m.id));
    assert_int_equal(facts_of(m->f, FACT_SETTLE_RESULT), 0);
}

/* ---- every pair of ends of two children ---- */
enum ending { END_ACTIVE, END_FAILED, END_REJECTED, END_CANCELLED, END_NONE, ENDINGS };
static void end_child(struct market *m, struct view *view, size_t i, int ending)
{
    const struct order *child = &view->child[i];
    if (ending == END_ACTIVE || ending == END_FAILED)
        assert_ok(m->f,
                  report_item_state(m, &view->item[i], ending == END_ACTIVE ? ACTIVE : FAILED));
    if (ending == END_REJECTED)
        assert_ok(m->f, reject(m, child));
    if (ending == END_CANCELLED) {
        assert_ok(m->f, cancel(m, child->m.id, NULL, 0));
        assert_ok(m->f, answer_cancel(m, child, true));
    }
}
static void two_children_fold_into_their_parent(void **state)
{
    static const char *const child_state[] = {"completed", "failed", "rejected", "cancelled",
                                              "accepting"};
    struct market *m = given_rich_buyer(state);
    for (int a = 0; a < ENDINGS; a++)
        for (int b = 0; b < ENDINGS; b++) {
            struct view view = bought(m, GOODS(A100, OTHER));
            end_child(m, &view, 0, a);
            end_child(m, &view, 1, b);
            look_again(m, &view);
            assert_order(view.child[0], child_state[a]);
            assert_order(view.child[1], child_state[b]);
            const char *parent = a == b ? child_state[a] : "partially_completed";
            assert_order(view.parent,
                         a != b && (a == END_NONE || b == END_NONE) ? "provisioning" : parent);
        }
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(an_accepted_order_is_being_provisioned),
        cmocka_unit_test(an_order_known_but_not_taken_waits_for_a_report_and_counts_as_silent),
        cmocka_unit_test(a_refused_order_is_rejected_and_wholly_refunded),
        cmocka_unit_test(one_store_refusing_leaves_the_other_child_alone),
        cmocka_unit_test(a_refusal_after_a_report_ends_only_what_is_open),
        cmocka_unit_test(an_active_report_delivers),
        cmocka_unit_test(active_before_the_acknowledgement_acknowledges),
        cmocka_unit_test(units_are_shown_as_they_come_up),
        cmocka_unit_test(one_active_and_one_failed_complete_partially_with_one_refund),
        cmocka_unit_test(all_failed_fails_the_order),
        cmocka_unit_test(a_gap_in_the_sequence_names_what_is_expected),
        cmocka_unit_test(a_repeated_report_changes_nothing_and_another_content_is_refused),
        cmocka_unit_test(a_report_about_something_foreign_is_refused_whole),
        cmocka_unit_test(an_unpaid_order_takes_no_report),
        cmocka_unit_test(what_has_ended_does_not_move_again),
        cmocka_unit_test(a_released_instance_ends),
        cmocka_unit_test(a_delivered_item_is_settled_once),
        cmocka_unit_test(a_failed_item_is_not_settled),
        cmocka_unit_test(two_children_fold_into_their_parent),
    };
    return RUN_ORDERS(tests);
}
