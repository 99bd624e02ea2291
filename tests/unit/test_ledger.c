/* SPDX-License-Identifier: Apache-2.0 */
/* The books: what each business event posts, what is refused, and that nothing is ever out of
 * balance. */
#include "fixture.h"
#include "ledger/ledger.h"

static const ref_t buyer = {501}, other = {502}, provider = {601};

struct top_up_step {
    ref_t ref, org;
    int64_t fen;
    struct ledger_tx tx;
};
STEP(do_top_up, struct top_up_step)
{
    return ledger_top_up(ctx, arg->ref, arg->org, (money_t){arg->fen}, &arg->tx);
}

struct pay_step {
    ref_t org;
    struct ledger_child child[3];
    size_t count;
    hash_t digest;
};
STEP(do_pay, struct pay_step)
{
    return ledger_orders_paid(ctx, arg->org, arg->child, arg->count, &arg->digest);
}

struct active_step {
    ref_t item, order;
    int64_t fen;
    int32_t bp;
    struct ledger_tx tx;
};
STEP(do_active, struct active_step)
{
    return ledger_item_active(ctx, arg->item, arg->order, provider, (money_t){arg->fen}, arg->bp,
                              &arg->tx);
}

struct refund_step {
    ref_t refund, order, org;
    int64_t fen;
    struct ledger_tx tx;
};
STEP(do_approve, struct refund_step)
{
    return ledger_refund_approved(ctx, arg->refund, arg->order, (money_t){arg->fen}, &arg->tx);
}
STEP(do_give_back, struct refund_step)
{
    return ledger_refund_done(ctx, arg->refund, arg->org, (money_t){arg->fen}, &arg->tx);
}

struct balance_step {
    ref_t org, order;
    struct ledger_balance balance;
    money_t escrow;
};
STEP(read_balance, struct balance_step)
{
    TRY(ledger_balance(ctx, arg->org, &arg->balance));
    return ledger_escrow(ctx, arg->order, &arg->escrow);
}

struct check_step {
    struct buf report, journal;
};
STEP(check, struct check_step)
{
    buf_init(&arg->report, ctx->arena, 1 << 16);
    buf_init(&arg->journal, ctx->arena, 16 << 20);
    TRY(ledger_export(ctx, &arg->journal));
    return ledger_fsck(ctx, &arg->report);
}

static void assert_books_balance(struct fixture *f)
{
    struct check_step step;
    if (READ(f, check, &step) != OK)
        fail_msg("%s: %.*s", f->ctx.problem.reason, STR_ARG(buf_str(&step.report)));
    assert_int_equal(step.report.len, 0);
}

static void given_balance(struct fixture *f, int64_t ref, int64_t fen)
{
    struct top_up_step step = {.ref = {ref}, .org = buyer, .fen = fen};
    assert_ok(f, WRITE(f, do_top_up, &step));
}

static struct ledger_balance balance_of(struct fixture *f, ref_t org)
{
    struct balance_step step = {.org = org};
    assert_ok(f, READ(f, read_balance, &step));
    return step.balance;
}

static int64_t escrow_of(struct fixture *f, int64_t order)
{
    struct balance_step step = {.org = buyer, .order = {order}};
    assert_ok(f, READ(f, read_balance, &step));
    return step.escrow.fen;
}

static struct pay_step payment(int64_t a, int64_t b)
{
    return (struct pay_step){
        .org = buyer, .child = {{{3001}, {2001}, {a}}, {{3002}, {2002}, {b}}}, .count = 2};
}

static void a_top_up_raises_the_balance(void **state)
{
    struct fixture *f = *state;
    given_balance(f, 1001, 12345);
    assert_int_equal(balance_of(f, buyer).balance.fen, 12345);
    assert_int_equal(balance_of(f, other).balance.fen, 0);
    assert_books_balance(f);
}

static void the_same_top_up_again_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct top_up_step first = {.ref = {1001}, .org = buyer, .fen = 500}, again = first;
    assert_ok(f, WRITE(f, do_top_up, &first));
    time_passes(f, MS_HOUR);
    assert_ok(f, WRITE(f, do_top_up, &again));
    assert_int_equal(first.tx.id.value, again.tx.id.value);
    assert_int_equal(first.tx.booked_at.ms, again.tx.booked_at.ms);
    assert_memory_equal(first.tx.digest.bytes, again.tx.digest.bytes, HASH_BYTES);
    assert_int_equal(balance_of(f, buyer).balance.fen, 500);
    assert_int_equal(number_of(f, "SELECT COUNT(*) FROM ledger_tx"), 1);
}

static void the_same_top_up_with_other_content_is_refused(void **state)
{
    struct fixture *f = *state;
    struct top_up_step amount = {.ref = {1001}, .org = buyer, .fen = 501};
    struct top_up_step owner = {.ref = {1001}, .org = other, .fen = 500};
    given_balance(f, 1001, 500);
    assert_refused(f, WRITE(f, do_top_up, &amount), "ledger_conflict");
    assert_refused(f, WRITE(f, do_top_up, &owner), "ledger_conflict");
    assert_int_equal(balance_of(f, buyer).balance.fen, 500);
    assert_books_balance(f);
}

static void paying_moves_the_balance_into_one_escrow_per_child(void **state)
{
    struct fixture *f = *state;
    struct pay_step pay = payment(300, 450);
    given_balance(f, 1001, 1000);
    assert_ok(f, WRITE(f, do_pay, &pay));
    assert_int_equal(balance_of(f, buyer).balance.fen, 250);
    assert_int_equal(balance_of(f, buyer).in_escrow.fen, 750);
    assert_int_equal(escrow_of(f, 2001), 300);
    assert_int_equal(escrow_of(f, 2002), 450);
    assert_books_balance(f);
}

static void paying_more_than_the_balance_holds_is_refused(void **state)
{
    struct fixture *f = *state;
    struct pay_step pay = payment(300, 801);
    given_balance(f, 1001, 1000);
    assert_int_equal(WRITE(f, do_pay, &pay), ERR_STATE);
    assert_string_equal(f->ctx.problem.reason, "insufficient_funds");
    assert_true(str_is(f->ctx.problem.extension, "\"missing_fen\":101"));
    assert_int_equal(balance_of(f, buyer).balance.fen, 1000);
    assert_int_equal(escrow_of(f, 2001), 0);
    assert_books_balance(f);
}

/* The refusal must not need a rollback to leave nothing behind. */
STEP(pay_and_go_on, struct pay_step)
{
    err_t err = ledger_orders_paid(ctx, arg->org, arg->child, arg->count, &arg->digest);
    bool refused = err == ERR_STATE;
    problem_clear(ctx);
    return refused ? OK : refuse(ctx, ERR_INTERNAL, "was_accepted", "accepted");
}

static void a_refused_payment_leaves_nothing_even_without_rollback(void **state)
{
    struct fixture *f = *state;
    struct pay_step pay = payment(300, 801);
    given_balance(f, 1001, 1000);
    assert_ok(f, WRITE(f, pay_and_go_on, &pay));
    assert_int_equal(number_of(f, "SELECT COUNT(*) FROM ledger_tx"), 1);
    assert_int_equal(balance_of(f, buyer).balance.fen, 1000);
    assert_books_balance(f);
}

static void paying_without_any_balance_tells_the_whole_sum_missing(void **state)
{
    struct fixture *f = *state;
    struct pay_step pay = payment(300, 450);
    assert_int_equal(WRITE(f, do_pay, &pay), ERR_STATE);
    assert_true(str_is(f->ctx.problem.extension, "\"missing_fen\":750"));
    assert_books_balance(f);
}

static void paying_twice_takes_the_money_once(void **state)
{
    struct fixture *f = *state;
    struct pay_step pay = payment(300, 450), again = pay;
    given_balance(f, 1001, 1600);
    assert_ok(f, WRITE(f, do_pay, &pay));
    assert_ok(f, WRITE(f, do_pay, &again));
    assert_memory_equal(pay.digest.bytes, again.digest.bytes, HASH_BYTES);
    assert_int_equal(balance_of(f, buyer).balance.fen, 850);
    assert_books_balance(f);
}

static void a_child_of_nothing_is_not_posted(void **state)
{
    struct fixture *f = *state;
    struct pay_step pay = payment(0, 450);
    given_balance(f, 1001, 450);
    assert_ok(f, WRITE(f, do_pay, &pay));
    assert_int_equal(number_of(f, "SELECT COUNT(*) FROM ledger_tx"), 2);
    assert_int_equal(balance_of(f, buyer).balance.fen, 0);
    assert_books_balance(f);
}

static void delivery_splits_escrow_between_provider_and_commission(void **state)
{
    struct fixture *f = *state;
    struct pay_step pay = payment(1001, 450);
    struct active_step active = {.item = {4001}, .order = {2001}, .fen = 1001, .bp = 500};
    given_balance(f, 1001, 2000);
    assert_ok(f, WRITE(f, do_pay, &pay));
    assert_ok(f, WRITE(f, do_active, &active));
    assert_ok(f, WRITE(f, do_active, &active));
    assert_int_equal(
        number_of(f, "SELECT credits_fen FROM ledger_account WHERE code = 12 AND owner_id = 601"),
        951);
    assert_int_equal(
        number_of(f, "SELECT CAST(SUM(credits_fen) AS BIGINT) FROM ledger_account WHERE code = 20"),
        50);
    assert_int_equal(escrow_of(f, 2001), 0);
    assert_int_equal(balance_of(f, buyer).in_escrow.fen, 450);
    assert_books_balance(f);
}

static void more_than_was_paid_never_leaves_an_escrow(void **state)
{
    struct fixture *f = *state;
    struct pay_step pay = payment(1000, 450);
    struct active_step active = {.item = {4001}, .order = {2001}, .fen = 1001, .bp = 500};
    struct active_step unpaid = {.item = {4002}, .order = {2009}, .fen = 1, .bp = 0};
    struct refund_step refund = {.refund = {5001}, .order = {2002}, .fen = 451};
    given_balance(f, 1001, 2000);
    assert_ok(f, WRITE(f, do_pay, &pay));
    assert_refused(f, WRITE(f, do_active, &active), "escrow_short");
    assert_refused(f, WRITE(f, do_active, &unpaid), "escrow_short");
    assert_refused(f, WRITE(f, do_approve, &refund), "escrow_short");
    assert_books_balance(f);
}

static void a_refund_brings_the_money_back(void **state)
{
    struct fixture *f = *state;
    struct pay_step pay = payment(1000, 450);
    struct refund_step refund = {.refund = {5001}, .order = {2001}, .org = buyer, .fen = 400};
    given_balance(f, 1001, 1450);
    assert_ok(f, WRITE(f, do_pay, &pay));
    assert_ok(f, WRITE(f, do_approve, &refund));
    assert_int_equal(balance_of(f, buyer).balance.fen, 0);
    assert_books_balance(f);
    assert_ok(f, WRITE(f, do_give_back, &refund));
    assert_ok(f, WRITE(f, do_give_back, &refund));
    assert_int_equal(balance_of(f, buyer).balance.fen, 400);
    assert_int_equal(balance_of(f, buyer).in_escrow.fen, 1050);
    assert_int_equal(number_of(f, "SELECT order_id FROM ledger_statement WHERE kind = 5"), 2001);
    assert_books_balance(f);
}

static void only_an_approved_refund_of_that_amount_is_paid_out(void **state)
{
    struct fixture *f = *state;
    struct pay_step pay = payment(1000, 450);
    struct refund_step refund = {.refund = {5001}, .order = {2001}, .org = buyer, .fen = 400};
    given_balance(f, 1001, 1450);
    assert_ok(f, WRITE(f, do_pay, &pay));
    assert_refused(f, WRITE(f, do_give_back, &refund), "refund_not_approved");
    assert_ok(f, WRITE(f, do_approve, &refund));
    refund.fen = 401;
    assert_refused(f, WRITE(f, do_give_back, &refund), "refund_not_approved");
    assert_books_balance(f);
}

struct lines_step {
    ref_t before;
    struct ledger_line *lines;
    size_t count;
};
STEP(read_lines, struct lines_step)
{
    return ledger_lines(ctx, buyer, arg->before, 2, &arg->lines, &arg->count);
}

static void the_statement_runs_backwards_with_the_balance_after_each(void **state)
{
    struct fixture *f = *state;
    struct pay_step pay = payment(300, 450);
    struct lines_step step = {0};
    given_balance(f, 1001, 1000);
    time_passes(f, 1000);
    assert_ok(f, WRITE(f, do_pay, &pay));
    assert_ok(f, READ(f, read_lines, &step));
    assert_int_equal(step.count, 2);
    assert_int_equal(step.lines[0].amount.fen, -450);
    assert_int_equal(step.lines[0].balance_after.fen, 250);
    assert_int_equal(step.lines[0].order_id.value, 2002);
    assert_int_equal(step.lines[1].amount.fen, -300);
    assert_int_equal(step.lines[1].balance_after.fen, 700);
    step.before = step.lines[1].tx_id;
    assert_ok(f, READ(f, read_lines, &step));
    assert_int_equal(step.count, 1);
    assert_int_equal(step.lines[0].kind, LEDGER_TOP_UP);
    assert_int_equal(step.lines[0].balance_after.fen, 1000);
}

STEP(run_sql, const char)
{
    return db_exec(ctx, arg, NO_ARGS, NULL);
}
static err_t run(struct fixture *f, const char *sql)
{
    union {
        const char *text;
        void *arg;
    } pass = {.text = sql};
    return WRITE(f, run_sql, pass.arg);
}

static void nothing_that_was_booked_is_changed_or_deleted(void **state)
{
    struct fixture *f = *state;
    static const char *const tries[] = {
        "UPDATE ledger_tx SET kind = 2",
        "DELETE FROM ledger_tx",
        "UPDATE ledger_entry SET amount_fen = amount_fen + 1",
        "DELETE FROM ledger_entry",
        "UPDATE ledger_statement SET amount_fen = 0",
        "DELETE FROM ledger_statement",
        "UPDATE ledger_top_up SET note = 'x'",
        "DELETE FROM ledger_account",
    };
    given_balance(f, 1001, 1000);
    assert_ok(f, run(f, "INSERT INTO ledger_top_up (id, org_id, amount_fen, bank_reference, note, "
                        "event_id, created_at) "
                        "VALUES (1001, 501, 1000, 'x', '', 1, 1)"));
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++)
        if (run(f, tries[i]) == OK)
            fail_msg("accepted: %s", tries[i]);
    problem_clear(&f->ctx);
    assert_books_balance(f);
}

static void the_database_itself_refuses_a_balance_below_zero(void **state)
{
    struct fixture *f = *state;
    given_balance(f, 1001, 1000);
    assert_int_not_equal(run(f, "UPDATE ledger_account SET debits_fen = 1001 WHERE code = 10"), OK);
}

static void the_check_finds_every_kind_of_damage(void **state)
{
    struct fixture *f = *state;
    struct pay_step pay = payment(300, 450);
    static const char *const damages[] = {
        "UPDATE ledger_account SET credits_fen = credits_fen + 1 WHERE code = 10",
        "UPDATE ledger_account SET held_fen = held_fen + 1 WHERE code = 10",
        "UPDATE ledger_account SET payer_id = 502 WHERE code = 11",
        "INSERT INTO ledger_tx (id, kind, biz_ref, occurred_at, booked_at, corrects, digest) "
        "VALUES (1, 1, 1, 1, 1, 0, '')",
        "INSERT INTO ledger_entry (tx_id, seq, owner_id, code, shard, side, amount_fen) "
        "SELECT id, 9, 501, 10, 0, 1, 5 FROM ledger_tx WHERE kind = 1",
        "INSERT INTO ledger_statement (org_id, tx_id, kind, amount_fen, balance_after_fen, "
        "biz_ref, order_id, at) "
        "VALUES (501, 7, 1, 5, 5, 5, 0, 5)",
        "INSERT INTO ledger_top_up (id, org_id, amount_fen, bank_reference, note, event_id, "
        "created_at) "
        "VALUES (77, 501, 5, 'x', '', 1, 1)",
    };
    given_balance(f, 1001, 1000);
    assert_ok(f, WRITE(f, do_pay, &pay));
    assert_books_balance(f);
    int found = 0;
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        struct fixture *own = fixture_new(f->pg);
        struct check_step step;
        given_balance(own, 1001, 1000);
        assert_ok(own, WRITE(own, do_pay, &pay));
        assert_ok(own, run(own, damages[i]));
        if (READ(own, check, &step) == OK)
            fail_msg("not found: %s", damages[i]);
        found += step.report.len > 0;
        fixture_free(own);
    }
    assert_int_equal(found, sizeof damages / sizeof damages[0]);
}

struct credit_step {
    struct top_up top_up;
};
STEP(do_credit, struct credit_step)
{
    return ledger_book_top_up(ctx, &arg->top_up, other);
}

static void a_bank_transfer_is_booked_once_and_told(void **state)
{
    struct fixture *f = *state;
    struct credit_step credit = {
        {.org_id = buyer, .amount = {5000}, .bank_reference = STR("B-1"), .note = STR("n")}};
    struct credit_step again = credit, none = credit;
    none.top_up.amount.fen = 0;
    assert_ok(f, WRITE(f, do_credit, &credit));
    assert_true(credit.top_up.event_id.value > 0);
    assert_refused(f, WRITE(f, do_credit, &again), "bank_reference_used");
    assert_int_equal(WRITE(f, do_credit, &none), ERR_INPUT);
    assert_int_equal(balance_of(f, buyer).balance.fen, 5000);
    assert_int_equal(facts_of(f, FACT_TOP_UP), 1);
    assert_books_balance(f);
}

/* ---- random operations against a model ---- */
enum { ORDERS = 12, STEPS = 250 };
struct model {
    int64_t balance, held, escrow[ORDERS];
    uint64_t seed;
    int64_t ref;
};

static int64_t roll(struct model *m, int64_t below)
{
    m->seed = m->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int64_t)((m->seed >> 33) % (uint64_t)below);
}

static void random_payment(struct fixture *f, struct model *m)
{
    int64_t a = roll(m, ORDERS - 1), x = roll(m, 700), y = roll(m, 700);
    struct pay_step pay = {
        .org = buyer,
        .child = {{{m->ref++}, {2000 + a}, {x}}, {{m->ref++}, {2000 + a + 1}, {y}}},
        .count = 2};
    err_t err = WRITE(f, do_pay, &pay);
    assert_int_equal(err == OK, m->balance >= x + y);
    if (err != OK)
        return;
    m->balance -= x + y;
    m->held += x + y;
    m->escrow[a] += x;
    m->escrow[a + 1] += y;
}

static void random_release(struct fixture *f, struct model *m)
{
    int64_t order = roll(m, ORDERS), fen = roll(m, 500);
    bool refund = roll(m, 2) == 0;
    struct active_step active = {
        .item = {m->ref}, .order = {2000 + order}, .fen = fen, .bp = (int32_t)roll(m, 10001)};
    struct refund_step back = {
        .refund = {m->ref}, .order = {2000 + order}, .org = buyer, .fen = fen};
    m->ref++;
    err_t err = refund ? WRITE(f, do_approve, &back) : WRITE(f, do_active, &active);
    assert_int_equal(err == OK, m->escrow[order] >= fen);
    if (err != OK)
        return;
    m->escrow[order] -= fen;
    m->held -= fen;
    if (!refund)
        return;
    assert_ok(f, WRITE(f, do_give_back, &back));
    m->balance += fen;
}

static void random_operations_keep_every_invariant(void **state)
{
    struct fixture *f = *state;
    struct model m = {.seed = 20261124, .ref = 100000};
    for (int i = 0; i < STEPS; i++) {
        int64_t fen = 1 + roll(&m, 2000);
        switch (roll(&m, 4)) {
        case 0:
            given_balance(f, m.ref++, fen);
            m.balance += fen;
            break;
        case 1:
            random_payment(f, &m);
            break;
        default:
            random_release(f, &m);
        }
        problem_clear(&f->ctx);
        struct ledger_balance balance = balance_of(f, buyer);
        assert_int_equal(balance.balance.fen, m.balance);
        assert_int_equal(balance.in_escrow.fen, m.held);
    }
    for (int64_t i = 0; i < ORDERS; i++)
        assert_int_equal(escrow_of(f, 2000 + i), m.escrow[i]);
    assert_books_balance(f);
}

/* ---- many at once ---- */
struct racer {
    struct ctx ctx;
    struct pay_step pay;
    _Atomic int *running;
    err_t result;
};
static void end_race(struct ctx *ctx, void *arg, err_t result)
{
    struct racer *racer = (struct racer *)(void *)((char *)arg - offsetof(struct racer, pay));
    (void)ctx;
    racer->result = result;
    (*racer->running)--;
}

static void payments_at_the_same_moment_never_overdraw(void **state)
{
    struct fixture *f = *state;
    enum { RACERS = 40 };
    static struct racer racers[RACERS];
    _Atomic int running = RACERS;
    int paid = 0;
    given_balance(f, 1001, 1000);
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){.running = &running};
        ctx_init(&racers[i].ctx, &f->platform, f->ctx.now);
        racers[i].pay =
            (struct pay_step){.org = buyer, .child = {{{3100 + i}, {2100 + i}, {100}}}, .count = 1};
        assert_true(
            db_write_async(&racers[i].ctx, f->platform.db, do_pay, &racers[i].pay, end_race));
    }
    while (running > 0)
        usleep(1000);
    for (int i = 0; i < RACERS; i++) {
        paid += racers[i].result == OK;
        if (racers[i].result != OK)
            assert_string_equal(racers[i].ctx.problem.reason, "insufficient_funds");
        ctx_done(&racers[i].ctx);
    }
    assert_int_equal(paid, 10);
    assert_int_equal(balance_of(f, buyer).balance.fen, 0);
    assert_books_balance(f);
}

static void the_journal_names_every_account(void **state)
{
    struct fixture *f = *state;
    struct check_step step;
    struct pay_step pay = payment(300, 450);
    given_balance(f, 1001, 1000);
    assert_ok(f, WRITE(f, do_pay, &pay));
    assert_ok(f, READ(f, check, &step));
    const char *text = str_z(f->ctx.arena, buf_str(&step.journal));
    assert_non_null(strstr(text, "assets:cash_clearing  CNY 10.00\n"));
    assert_non_null(strstr(text, "liabilities:customer_balance:org_"));
    assert_non_null(strstr(text, "  CNY -3.00\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_top_up_raises_the_balance),
        cmocka_unit_test(the_same_top_up_again_changes_nothing),
        cmocka_unit_test(the_same_top_up_with_other_content_is_refused),
        cmocka_unit_test(paying_moves_the_balance_into_one_escrow_per_child),
        cmocka_unit_test(paying_more_than_the_balance_holds_is_refused),
        cmocka_unit_test(a_refused_payment_leaves_nothing_even_without_rollback),
        cmocka_unit_test(paying_without_any_balance_tells_the_whole_sum_missing),
        cmocka_unit_test(paying_twice_takes_the_money_once),
        cmocka_unit_test(a_child_of_nothing_is_not_posted),
        cmocka_unit_test(delivery_splits_escrow_between_provider_and_commission),
        cmocka_unit_test(more_than_was_paid_never_leaves_an_escrow),
        cmocka_unit_test(a_refund_brings_the_money_back),
        cmocka_unit_test(only_an_approved_refund_of_that_amount_is_paid_out),
        cmocka_unit_test(the_statement_runs_backwards_with_the_balance_after_each),
        cmocka_unit_test(nothing_that_was_booked_is_changed_or_deleted),
        cmocka_unit_test(the_database_itself_refuses_a_balance_below_zero),
        cmocka_unit_test(the_check_finds_every_kind_of_damage),
        cmocka_unit_test(a_bank_transfer_is_booked_once_and_told),
        cmocka_unit_test(random_operations_keep_every_invariant),
        cmocka_unit_test(payments_at_the_same_moment_never_overdraw),
        cmocka_unit_test(the_journal_names_every_account),
    };
    return RUN_ON_BOTH(tests);
}
