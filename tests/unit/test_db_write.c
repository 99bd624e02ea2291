/* SPDX-License-Identifier: Apache-2.0 */
/* Writing: group commit, the participant, failures at every call, threads. */
#include "db_support.h"

static void a_group_commit_answers_all_in_order(void **state)
{
    struct fixture *f = *state;
    reopen(f, 1, 0);
    struct crowd *crowd = given_crowd(MANY);
    hold_writer(f, crowd);
    send_crowd(f, crowd);
    struct db_stats stats;
    db_stats(f->db, &stats);
    assert_true(stats.queue_depth == MANY);
    let_go(crowd);
    wait_answered(crowd, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(crowd->member[i].result, OK);
        assert_int_equal(crowd->member[i].answers, 1);
        assert_int_equal(crowd->member[i].order, i);
    }
    assert_true(items(f) == MANY);
    db_stats(f->db, &stats);
    assert_true(stats.queue_depth == 0 && stats.pieces >= MANY && stats.commit_us_max > 0);
    if (f->engine != PG_DB)
        assert_in_range(stats.commits, 3, MANY / 2);
    end_crowd(crowd);
}

static void a_refused_piece_does_not_disturb_the_others(void **state)
{
    struct fixture *f = *state;
    struct crowd *crowd = given_crowd(200);
    for (int i = 0; i < 200; i += 3)
        crowd->member[i].adding.end = ERR_DENIED;
    crowd->member[100].adding.amount = -1;
    send_crowd(f, crowd);
    wait_answered(crowd, 200);
    int good = 0;
    for (int i = 0; i < 200; i++) {
        struct member *member = &crowd->member[i];
        err_t want = i % 3 == 0 ? ERR_DENIED : i == 100 ? ERR_INTERNAL : OK;
        assert_int_equal(member->result, want);
        assert_true((want == OK) == (member->ctx.problem.reason == NULL));
        good += want == OK;
    }
    assert_true(items(f) == good);
    end_crowd(crowd);
}

static void a_full_queue_takes_nothing(void **state)
{
    struct fixture *f = *state;
    reopen(f, 1, 3);
    struct crowd *crowd = given_crowd(5);
    hold_writer(f, crowd);
    for (int i = 0; i < 5; i++)
        assert_true(db_write_async(&crowd->member[i].ctx, f->db, add_item, &crowd->member[i].adding,
                                   count_answer) == (i < 3));
    struct ctx ctx;
    ctx_init(&ctx, NULL, f->ctx.now);
    err_t err = db_write(&ctx, f->db, add_item, &crowd->member[4].adding);
    assert_true(err != OK && ctx.problem.status == 503 && ctx.problem.retry_after_s > 0);
    ctx_done(&ctx);
    let_go(crowd);
    wait_answered(crowd, 3);
    assert_true(items(f) == 3);
    end_crowd(crowd);
}

static void closing_waits_for_what_was_taken(void **state)
{
    struct fixture *f = *state;
    struct crowd *crowd = given_crowd(300);
    send_crowd(f, crowd);
    db_close(f->db);
    f->db = NULL;
    assert_int_equal(crowd->answered, 300);
    end_crowd(crowd);
}

/* ---- participant ---- */

static void the_participant_sees_only_pieces_that_succeeded(void **state)
{
    struct fixture *f = *state;
    struct witness witness;
    given_witness(f, &witness);
    struct crowd *crowd = given_crowd(100);
    for (int i = 0; i < 100; i += 4)
        crowd->member[i].adding.end = ERR_STATE;
    send_crowd(f, crowd);
    wait_answered(crowd, 100);
    assert_true(items(f) == 75 && seen(f) == 75 && witness.told == 75);
    assert_true(witness.undone == 0 && witness.committed == witness.before);
    end_crowd(crowd);
}

static void a_failing_participant_undoes_all_and_everything_runs_again_singly(void **state)
{
    struct fixture *f = *state;
    if (f->engine == PG_DB)
        return; /* there each piece has its own */
    struct witness witness;
    given_witness(f, &witness)->fail = 1;
    witness.fail_from = 2;
    struct crowd *crowd = given_crowd(40), *holder = given_crowd(0);
    hold_writer(f, holder);
    send_crowd(f, crowd);
    crowd->member[7].adding.end = ERR_STATE;
    let_go(holder);
    wait_answered(crowd, 40);
    for (int i = 0; i < 40; i++)
        assert_int_equal(crowd->member[i].result, i == 7 ? ERR_STATE : OK);
    assert_true(items(f) == 39);
    /* Bare at first, then in savepoints since one refused after a change, then alone. */
    assert_true(witness.undone == 1 && crowd->member[0].adding.runs == 3);
    assert_true(seen(f) == 40); /* with the holder */
    given_witness(f, &witness)->fail = 2;
    witness.next_id = 1000;
    struct adding lost = {.id = 500, .name = "lost"};
    assert_refused(&f->ctx, db_write(&f->ctx, f->db, add_item, &lost), ERR_INTERNAL,
                   "witness_failed");
    assert_true(items(f) == 39 && seen(f) == 40 && witness.undone == 2 && witness.committed == 0);
    end_crowd(crowd);
    end_crowd(holder);
}

/* ---- faults ---- */

static err_t do_a_story(struct ctx *ctx, void *arg)
{
    int64_t *runs = arg, count = 0;
    ++*runs;
    TRY(db_exec(ctx, "INSERT INTO item (id, name, amount) VALUES (1, 'one', 1)", NO_ARGS, NULL));
    TRY(db_int(ctx, "SELECT count(*) FROM item", NO_ARGS, &count));
    TRY(db_exec(ctx, "INSERT INTO part (item_id, number) VALUES ($1, 1)", ARGS(A(1)), NULL));
    return db_exec_one(ctx, "UPDATE item SET amount = amount + 1 WHERE id = $1", ARGS(A(1)));
}

static err_t count_everything(struct ctx *ctx, void *arg)
{
    return db_int(ctx,
                  "SELECT (SELECT count(*) FROM item) * 100 + (SELECT count(*) FROM part) * 10"
                  " + (SELECT count(*) FROM seen)",
                  NO_ARGS, arg);
}

static void a_failure_at_any_call_leaves_no_half_story(void **state)
{
    struct fixture *f = *state;
    struct witness witness;
    given_witness(f, &witness);
    int failures = 0;
    for (int n = 1; n < 20; n++) {
        int64_t runs = 0, everything = -1;
        db_fail_nth(f->db, n);
        err_t err = db_write(&f->ctx, f->db, do_a_story, &runs);
        int64_t calls = db_fail_nth(f->db, 0);
        ASSERT_OK(&f->ctx, db_read(&f->ctx, f->db, count_everything, &everything));
        if (err != OK) {
            assert_refused(&f->ctx, err, ERR_INTERNAL, "storage_failed");
            assert_true(everything == 0 && calls >= n);
            failures++;
            continue;
        }
        assert_true(everything == 111);
        assert_true(witness.before == witness.committed + witness.undone);
        if (calls < n) /* nothing failed any more: 4 statements, the participant's, the commit */
            break;
        problem_clear(&f->ctx);
        char clean_parts[] = "DELETE FROM part", clean[] = "DELETE FROM item",
             forget[] = "DELETE FROM seen";
        db_set_participant(f->db, &(struct db_participant){0});
        ASSERT_OK(&f->ctx, db_write(&f->ctx, f->db, run_sql, clean_parts));
        ASSERT_OK(&f->ctx, db_write(&f->ctx, f->db, run_sql, clean));
        ASSERT_OK(&f->ctx, db_write(&f->ctx, f->db, run_sql, forget));
        given_witness(f, &witness);
    }
    assert_int_equal(failures, f->engine == PG_DB ? 6 : 4);
}

static void a_full_disk_is_named_and_passes(void **state)
{
    struct fixture *f = *state;
    if (f->engine == PG_DB)
        return;
    struct crowd *crowd = given_crowd(30);
    given_item(f, 1000, "before", 1);
    sqlite3_exec(f->db->writer->native, "PRAGMA max_page_count = 1", NULL, NULL, NULL);
    char big[] =
        "INSERT INTO item (id, name, amount, body) VALUES (2000, 'big', 1, zeroblob(300000))";
    assert_refused(&f->ctx, db_write(&f->ctx, f->db, run_sql, big), ERR_INTERNAL, "disk_full");
    sqlite3_exec(f->db->writer->native, "PRAGMA max_page_count = 1000000", NULL, NULL, NULL);
    send_crowd(f, crowd);
    wait_answered(crowd, 30);
    assert_true(items(f) == 31);
    end_crowd(crowd);
}

static err_t lose_transaction(struct ctx *ctx, void *arg)
{
    struct adding *adding = arg;
    TRY(add_item(ctx, adding));
    if (adding->runs <= adding->lost)
        sqlite3_exec(ctx->tx->conn->native, "ROLLBACK", NULL, NULL, NULL);
    return OK;
}

static void when_the_whole_transaction_is_lost_every_piece_runs_again_alone(void **state)
{
    struct fixture *f = *state;
    if (f->engine == PG_DB)
        return;
    struct crowd *crowd = given_crowd(20), *holder = given_crowd(0);
    hold_writer(f, holder);
    crowd->member[10].adding.lost = 1;
    crowd->member[15].adding.lost = 2; /* also when it runs alone */
    for (int i = 0; i < 20; i++)
        assert_true(db_write_async(&crowd->member[i].ctx, f->db, lose_transaction,
                                   &crowd->member[i].adding, count_answer));
    let_go(holder);
    wait_answered(crowd, 20);
    for (int i = 0; i < 20; i++)
        assert_int_equal(crowd->member[i].result, i == 15 ? ERR_INTERNAL : OK);
    assert_true(items(f) == 19);
    struct adding hopeless = {.id = 900, .name = "hopeless", .lost = 100};
    assert_refused(&f->ctx, db_write(&f->ctx, f->db, lose_transaction, &hopeless), ERR_INTERNAL,
                   "storage_failed");
    assert_true(items(f) == 19);
    end_crowd(crowd);
    end_crowd(holder);
}
/* ---- threads ---- */

struct racer {
    struct fixture *f;
    pthread_t thread;
    int rounds, done, conflicts;
};

/* Takes one from the stock, guarded by what it has read. */
static err_t take_one(struct ctx *ctx, void *arg)
{
    (void)arg;
    int64_t amount = 0;
    TRY(db_int(ctx, "SELECT amount FROM item WHERE id = $1", ARGS(A(1)), &amount));
    return db_exec_one(ctx, "UPDATE item SET amount = $2 WHERE id = $1 AND amount = $3",
                       ARGS(A(1), A(amount - 1), A(amount)));
}

static void *race(void *arg)
{
    struct racer *racer = arg;
    for (int i = 0; i < racer->rounds; i++) {
        struct ctx ctx;
        ctx_init(&ctx, NULL, (utc_t){1790000000000});
        err_t err = db_write(&ctx, racer->f->db, take_one, NULL);
        racer->done += err == OK;
        racer->conflicts += err == ERR_CONFLICT;
        ctx_done(&ctx);
    }
    return NULL;
}

static void writers_that_race_for_a_row_lose_nothing(void **state)
{
    struct fixture *f = *state;
    given_item(f, 1, "stock", 1000);
    struct racer racer[6] = {0};
    for (int i = 0; i < 6; i++) {
        racer[i] = (struct racer){.f = f, .rounds = 50};
        assert_int_equal(pthread_create(&racer[i].thread, NULL, race, &racer[i]), 0);
    }
    int done = 0, conflicts = 0;
    for (int i = 0; i < 6; i++) {
        pthread_join(racer[i].thread, NULL);
        done += racer[i].done;
        conflicts += racer[i].conflicts;
    }
    assert_int_equal(done + conflicts, 300);
    assert_true(done > 0 && (f->engine == PG_DB || conflicts == 0));
    int64_t left = 0;
    ASSERT_OK(&f->ctx, db_read(&f->ctx, f->db, read_stock, &left));
    assert_true(left == 1000 - done);
    struct db_stats stats;
    db_stats(f->db, &stats);
    assert_true(f->engine != PG_DB || stats.repeated > 0);
}

/* A reader on its own thread that stays in its transaction while the test writes. */
struct reader {
    struct fixture *f;
    struct crowd *gate;
    int64_t first, second;
};

static err_t read_twice(struct ctx *ctx, void *arg)
{
    struct reader *reader = arg;
    TRY(count_items(ctx, &reader->first));
    TRY(hold(ctx, reader->gate));
    return count_items(ctx, &reader->second);
}

static void *run_reader(void *arg)
{
    struct reader *reader = arg;
    struct ctx ctx;
    ctx_init(&ctx, NULL, (utc_t){1790000000000});
    if (db_read(&ctx, reader->f->db, read_twice, reader) != OK)
        reader->second = -1;
    ctx_done(&ctx);
    return NULL;
}

static void a_reader_sees_one_moment_only(void **state)
{
    struct fixture *f = *state;
    given_item(f, 1, "a", 1);
    struct crowd *gate = given_crowd(1);
    gate->is_held = true;
    struct reader reader = {.f = f, .gate = gate};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_reader, &reader), 0);
    pthread_mutex_lock(&gate->lock);
    while (!gate->is_holding)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    gate->member[0].adding.id = 2;
    send_crowd(f, gate);
    if (f->engine != MEMORY_DB) { /* there reading and writing take turns */
        wait_answered(gate, 1);
        assert_true(items(f) == 2);
    }
    let_go(gate);
    pthread_join(thread, NULL);
    wait_answered(gate, 1);
    assert_true(reader.first == 1 && reader.second == 1);
    assert_true(items(f) == 2);
    end_crowd(gate);
}

static void *read_often(void *arg)
{
    struct racer *racer = arg;
    for (int i = 0; i < racer->rounds; i++) {
        struct ctx ctx;
        ctx_init(&ctx, NULL, (utc_t){1790000000000});
        int64_t count = 0;
        racer->done += db_read(&ctx, racer->f->db, count_items, &count) == OK && count == 3;
        ctx_done(&ctx);
    }
    return NULL;
}

static void more_readers_than_connections_take_turns(void **state)
{
    struct fixture *f = *state;
    given_item(f, 1, "a", 1);
    given_item(f, 2, "b", 1);
    given_item(f, 3, "c", 1);
    struct racer racer[10];
    for (int i = 0; i < 10; i++) {
        racer[i] = (struct racer){.f = f, .rounds = 40};
        assert_int_equal(pthread_create(&racer[i].thread, NULL, read_often, &racer[i]), 0);
    }
    for (int i = 0; i < 10; i++) {
        pthread_join(racer[i].thread, NULL);
        assert_int_equal(racer[i].done, 40);
    }
}

static void a_lost_connection_is_replaced(void **state)
{
    struct fixture *f = *state;
    if (f->engine != PG_DB)
        return;
    reopen(f, 2, 0);
    given_item(f, 1, "a", 1);
    assert_true(items(f) == 1);
    char sql[200];
    snprintf(sql, sizeof sql,
             "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'",
             f->pg_name);
    run_on_server(sql);
    given_item(f, 2, "b", 1);
    given_item(f, 3, "c", 1);
    assert_true(items(f) == 3);
    char suicide[] = "SELECT pg_terminate_backend(pg_backend_pid())";
    assert_refused(&f->ctx, db_write(&f->ctx, f->db, run_sql, suicide), ERR_UPSTREAM,
                   "database_unavailable");
    assert_refused(&f->ctx, db_read(&f->ctx, f->db, run_sql, suicide), ERR_UPSTREAM,
                   "database_unavailable");
    given_item(f, 4, "d", 1);
    assert_true(items(f) == 4);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        TEST(a_group_commit_answers_all_in_order),
        TEST(a_refused_piece_does_not_disturb_the_others),
        TEST(a_full_queue_takes_nothing),
        TEST(closing_waits_for_what_was_taken),
        TEST(the_participant_sees_only_pieces_that_succeeded),
        TEST(a_failing_participant_undoes_all_and_everything_runs_again_singly),
        TEST(a_failure_at_any_call_leaves_no_half_story),
        TEST(a_full_disk_is_named_and_passes),
        TEST(when_the_whole_transaction_is_lost_every_piece_runs_again_alone),
        TEST(writers_that_race_for_a_row_lose_nothing),
        TEST(a_reader_sees_one_moment_only),
        TEST(more_readers_than_connections_take_turns),
        TEST(a_lost_connection_is_replaced),
    };
    int failed = run_everywhere(tests, sizeof tests / sizeof tests[0]);
    return failed == 0 ? 0 : 1;
}
