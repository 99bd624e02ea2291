/* SPDX-License-Identifier: Apache-2.0 */
/* Several threads move the same orders at once: who comes second is refused or finds nothing left
 * to do, and nothing is taken, paid or given back twice. */
#include "order_support.h"

#include <pthread.h>

enum { RACERS = 8, HEATS = 6 };

struct racer {
    struct ctx ctx;
    struct act act;
    struct order_line line;
    struct report_item item;
    pthread_barrier_t *start;
    pthread_t thread;
    err_t result;
};

static void *race(void *arg)
{
    struct racer *racer = arg;
    pthread_barrier_wait(racer->start);
    racer->result = db_write(&racer->ctx, racer->ctx.platform->db, run_act, &racer->act);
    return NULL;
}

/* All at once, each with a context of its own; then each has succeeded or was refused for a reason
 * that is meant. */
static void run_race(struct market *m, struct racer *racers, unsigned count)
{
    static const char *const meant[] = {"illegal_transition", "out_of_stock", "insufficient_funds",
                                        "sequence_conflict", "concurrent_change"};
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, count);
    for (unsigned i = 0; i < count; i++) {
        struct racer *racer = &racers[i];
        bool by_buyer =
            racer->act.kind == SUBMIT || racer->act.kind == PAY || racer->act.kind == CANCEL;
        ctx_init(&racer->ctx, &m->f->platform, m->f->ctx.now);
        if (by_buyer)
            racer->ctx.actor = (struct actor){.user_id = m->user, .org_id = m->buyer};
        racer->start = &start;
        assert_int_equal(pthread_create(&racer->thread, NULL, race, racer), 0);
    }
    for (unsigned i = 0; i < count; i++) {
        struct racer *racer = &racers[i];
        pthread_join(racer->thread, NULL);
        bool is_meant = racer->result == OK;
        for (size_t k = 0; k < sizeof meant / sizeof meant[0]; k++)
            is_meant = is_meant || strcmp(racer->ctx.problem.reason, meant[k]) == 0;
        if (!is_meant)
            fail_msg("%s: %s", racer->ctx.problem.reason, racer->ctx.problem.detail);
    }
    pthread_barrier_destroy(&start);
}
static int winners(struct racer *racers, unsigned count, int kind)
{
    int won = 0;
    for (unsigned i = 0; i < count; i++)
        won += racers[i].act.kind == (unsigned)kind && racers[i].result == OK;
    return won;
}
static void end_race(struct racer *racers, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        ctx_done(&racers[i].ctx);
}

static void the_last_units_are_sold_once(void **state)
{
    struct market *m = given_rich_buyer(state);
    struct racer racers[RACERS] = {0};
    struct order_line most[] = {{m->sku[FREE], 1000, {0}}};
    for (int i = 0; i < STOCK / 1000; i++) {
        if (i + 1 == STOCK / 1000)
            most[0].quantity = 1000 - 3;
        struct act act = submit_of(most, 1, 0, false);
        assert_ok(m->f, perform(m, &act));
    }
    for (int i = 0; i < RACERS; i++) {
        racers[i].line = (struct order_line){m->sku[FREE], 1, {0}};
        racers[i].act = submit_of(&racers[i].line, 1, 0, true);
    }
    run_race(m, racers, RACERS);
    assert_int_equal(winners(racers, RACERS, SUBMIT), 3);
    assert_int_equal(stock_of(m, FREE), 0);
    end_race(racers, RACERS);
}

static void the_last_of_the_balance_is_spent_once(void **state)
{
    struct market *m = given_market(*state);
    struct racer racers[RACERS] = {0};
    given_balance(m, 2 * price_fen[A100] + 1);
    for (int i = 0; i < RACERS; i++) {
        racers[i].line = (struct order_line){m->sku[A100], 1, {0}};
        racers[i].act = submit_of(&racers[i].line, 1, price_fen[A100], true);
    }
    run_race(m, racers, RACERS);
    assert_int_equal(winners(racers, RACERS, SUBMIT), 2);
    assert_int_equal(balance_of(m), 1);
    end_race(racers, RACERS);
}

static void an_unpaid_order_is_either_paid_or_closed(void **state)
{
    struct market *m = given_rich_buyer(state);
    for (int heat = 0; heat < HEATS; heat++) {
        struct racer racers[4] = {0};
        struct order parent;
        int64_t balance = balance_of(m), stock = stock_of(m, A100);
        assert_ok(m->f, try_buy(m, GOODS(A100, OTHER), false, &parent));
        const struct act pay = {.kind = PAY, .id = parent.m.id, .money = parent.payable};
        racers[0].act = racers[1].act = pay;
        racers[2].act = (struct act){.kind = PAY_TIMEOUT, .id = parent.m.id};
        racers[3].act = (struct act){.kind = CANCEL, .cancel = {.order_id = parent.m.id}};
        run_race(m, racers, 4);
        struct view view = view_of(m, parent.m.id);
        bool paid = winners(racers, 4, PAY) == 1;
        assert_true(winners(racers, 4, PAY) <= 1);
        assert_int_equal(view.parent.paid.fen, paid ? parent.payable.fen : 0);
        assert_int_equal(balance_of(m), balance - view.parent.paid.fen);
        assert_int_equal(stock_of(m, A100), stock - paid);
        if (!paid)
            assert_order(view.parent, "closed");
        end_race(racers, 4);
    }
}

/* Answer, report, refusal, cancel and silence arrive together, for both children. */
static void whatever_arrives_together_ends_in_one_sound_state(void **state)
{
    struct market *m = given_rich_buyer(state);
    for (int heat = 0; heat < HEATS; heat++) {
        struct racer racers[RACERS] = {0};
        struct view view = bought(m, GOODS(A100, OTHER));
        for (int i = 0; i < 2; i++) {
            const struct order *child = &view.child[i];
            racers[4 * i].act = (struct act){.kind = ACK, .id = child->m.id, .yes = true};
            racers[4 * i + 1].item = told(&view.item[i], i == heat % 2 ? ACTIVE : FAILED);
            racers[4 * i + 1].act = report_of(child, 1, &racers[4 * i + 1].item, 1);
            racers[4 * i + 2].act = (struct act){.kind = SILENCE, .id = child->m.id};
            racers[4 * i + 3].act =
                heat % 3 == 0 ? (struct act){.kind = NACK, .id = child->m.id, .text = STR("no")}
                              : racers[4 * i + 1].act;
        }
        run_race(m, racers, RACERS);
        look_again(m, &view);
        assert_int_equal(view.parent.m.state, order_fold(view.child, 2));
        assert_true(view.refund_count <= 2);
        assert_sound(m->f);
        end_race(racers, RACERS);
    }
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_units_are_sold_once),
        cmocka_unit_test(the_last_of_the_balance_is_spent_once),
        cmocka_unit_test(an_unpaid_order_is_either_paid_or_closed),
        cmocka_unit_test(whatever_arrives_together_ends_in_one_sound_state),
    };
    return RUN_ORDERS(tests);
}
