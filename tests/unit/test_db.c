/* SPDX-License-Identifier: Apache-2.0 */
/* Statements: what is written comes back, what is refused leaves nothing. */
#include "db_support.h"

/* ---- statements ---- */

static err_t write_all_types(struct ctx *ctx, void *arg)
{
    (void)arg;
    TRY(db_exec(
        ctx,
        "INSERT INTO item (id, name, amount, price, version, active, body, kind, made_at, tags)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        ARGS(A((ref_t){INT64_MAX}), A("算力 'n' \"q\""), A((int64_t)9007199254740993),
             A((money_t){-5}), A((int32_t)7), A(false), A_BYTES(str_from("\0\x01\xff'", 4)),
             A((int32_t)1), A((utc_t){1790000000123}), A("[\"a\",\"乙\"]")),
        NULL));
    return db_exec(ctx,
                   "INSERT INTO item (id, name, amount, body, made_at) VALUES ($1, $2, $3, $4, $5)",
                   ARGS(A((int64_t)2), A((str_t){0}), A(0), A_BYTES((str_t){0}), A_NULL), NULL);
}

static err_t read_all_types(struct ctx *ctx, void *arg)
{
    struct item *item = arg;
    TRY(db_one(
        ctx,
        "SELECT id, name, amount, price, version, active, body, kind, made_at, tags FROM item"
        " WHERE id = $1",
        ARGS(A((ref_t){INT64_MAX})), &item_shape, &item[0]));
    return db_one(ctx, "SELECT id, name, body, made_at FROM item WHERE name = $1", ARGS(A("")),
                  &item_shape, &item[1]);
}

static void every_type_comes_back_as_it_was_written(void **state)
{
    struct fixture *f = *state;
    struct item item[2];
    memset(item, 0, sizeof item);
    ASSERT_OK(&f->ctx, db_write(&f->ctx, f->db, write_all_types, NULL));
    ASSERT_OK(&f->ctx, db_read(&f->ctx, f->db, read_all_types, item));
    assert_true(item[0].id.value == INT64_MAX);
    assert_true(str_is(item[0].name, "算力 'n' \"q\""));
    assert_true(item[0].amount == 9007199254740993);
    assert_true(item[0].price.fen == -5 && item[0].version == 7 && !item[0].active &&
                item[0].kind == 1);
    assert_true(str_eq(item[0].body, str_from("\0\x01\xff'", 4)));
    assert_true(item[0].made_at.ms == 1790000000123);
    assert_int_equal(item[0].tag_count, 2);
    assert_true(str_is(item[0].tags[1], "乙"));
    assert_true(item[1].id.value == 2 && item[1].name.len == 0 && item[1].body.len == 0);
    assert_true(item[1].made_at.ms == 0);
}

struct listing {
    const int64_t *ids;
    size_t id_count;
    struct item *rows;
    size_t count;
    bool none;
};

static err_t list_by_ids(struct ctx *ctx, void *arg)
{
    struct listing *l = arg;
    if (l->none)
        return db_all(
            ctx, "SELECT id, amount FROM item WHERE amount >= $1 AND id NOT IN ({ids}) ORDER BY id",
            ARGS(A(0), A_IDS(l->ids, l->id_count)), &item_shape, &l->rows, &l->count);
    return db_all(
        ctx,
        "SELECT id, amount FROM item WHERE amount >= $1 AND id IN ({ids}) ORDER BY id {for_update}",
        ARGS(A(0), A_IDS(l->ids, l->id_count)), &item_shape, &l->rows, &l->count);
}

static void lists_of_ids_of_any_length_use_the_same_statement(void **state)
{
    struct fixture *f = *state;
    char name[16];
    for (int i = 1; i <= 20; i++) {
        snprintf(name, sizeof name, "i%d", i);
        given_item(f, i, name, i);
    }
    int64_t some[] = {3, 19, 7}, many[5000];
    for (int i = 0; i < 5000; i++)
        many[i] = i;
    struct listing l = {.ids = some, .id_count = 3};
    ASSERT_OK(&f->ctx, db_write(&f->ctx, f->db, list_by_ids, &l));
    assert_int_equal(l.count, 3);
    assert_true(l.rows[0].id.value == 3 && l.rows[2].id.value == 19 && l.rows[2].amount == 19);
    l = (struct listing){.ids = many, .id_count = 5000};
    ASSERT_OK(&f->ctx, db_write(&f->ctx, f->db, list_by_ids, &l));
    assert_int_equal(l.count, 20);
    l = (struct listing){.ids = NULL, .id_count = 0};
    ASSERT_OK(&f->ctx, db_write(&f->ctx, f->db, list_by_ids, &l));
    assert_int_equal(l.count, 0);
    l = (struct listing){.ids = some, .id_count = 3, .none = true};
    ASSERT_OK(&f->ctx, db_read(&f->ctx, f->db, list_by_ids, &l));
    assert_int_equal(l.count, 17);
}

static err_t look_for_one(struct ctx *ctx, void *arg)
{
    struct item item = {0};
    bool found = true;
    TRY(db_find(ctx, "SELECT id FROM item WHERE id = $1", ARGS(A(99)), &item_shape, &item, &found));
    assert_false(found);
    int64_t kept = 41;
    TRY(db_int(ctx, "SELECT amount FROM item WHERE id = $1", ARGS(A(99)), &kept));
    TRY(db_int(ctx, "SELECT max(amount) FROM item WHERE id = $1", ARGS(A(99)), &kept));
    assert_true(kept == 41);
    TRY(db_int(ctx, "SELECT sum(amount) FROM item", NO_ARGS, &kept));
    assert_true(kept == 30);
    return db_one(ctx, arg, NO_ARGS, &item_shape, &item);
}

static void reading_what_is_not_there_is_told_apart_from_reading_too_much(void **state)
{
    struct fixture *f = *state;
    given_item(f, 1, "a", 10);
    given_item(f, 2, "b", 20);
    char none[] = "SELECT id FROM item WHERE id = 77", two[] = "SELECT id FROM item",
         strange[] = "SELECT id, amount AS weight FROM item WHERE id = 1",
         wrong[] = "SELECT id, name AS amount FROM item WHERE id = 1";
    struct ctx *ctx = &f->ctx;
    assert_refused(ctx, db_read(ctx, f->db, look_for_one, none), ERR_NOT_FOUND, "not_found");
    assert_refused(ctx, db_read(ctx, f->db, look_for_one, two), ERR_INTERNAL, "db_many_rows");
    assert_refused(ctx, db_read(ctx, f->db, look_for_one, strange), ERR_INTERNAL, "db_column");
    assert_refused(ctx, db_read(ctx, f->db, look_for_one, wrong), ERR_INTERNAL, "db_column");
}

struct walk {
    int64_t rows, sum, stop_at;
};

static err_t add_up(struct ctx *ctx, const void *row, void *arg)
{
    const struct item *item = row;
    struct walk *walk = arg;
    walk->rows++;
    int64_t amount = 0;
    TRY(db_int(ctx, "SELECT amount FROM item WHERE id = $1", ARGS(A(item->id)), &amount));
    assert_true(item->name.len > 0);
    walk->sum += amount;
    return walk->rows == walk->stop_at ? refuse(ctx, ERR_STATE, "enough", "enough") : OK;
}

static err_t walk_items(struct ctx *ctx, void *arg)
{
    return db_each(ctx, "SELECT id, name FROM item WHERE id > $1 ORDER BY id", ARGS(A(0)),
                   &item_shape, add_up, arg);
}

static err_t add_many(struct ctx *ctx, void *arg)
{
    (void)arg;
    for (int i = 1; i <= 1300; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        TRY(db_exec(ctx, "INSERT INTO item (id, name, amount) VALUES ($1, $2, $3)",
                    ARGS(A(i), A(name), A(i)), NULL));
    }
    return OK;
}

static void rows_are_walked_with_other_statements_between_them(void **state)
{
    struct fixture *f = *state;
    ASSERT_OK(&f->ctx, db_write(&f->ctx, f->db, add_many, NULL));
    struct walk walk = {0};
    ASSERT_OK(&f->ctx, db_read(&f->ctx, f->db, walk_items, &walk));
    assert_true(walk.rows == 1300 && walk.sum == 1300 * 1301 / 2);
    walk = (struct walk){.stop_at = 5};
    assert_refused(&f->ctx, db_read(&f->ctx, f->db, walk_items, &walk), ERR_STATE, "enough");
    assert_true(walk.rows == 5);
    walk = (struct walk){0};
    ASSERT_OK(&f->ctx, db_read(&f->ctx, f->db, walk_items, &walk));
    assert_true(walk.rows == 1300);
}

static err_t change_rows(struct ctx *ctx, void *arg)
{
    int64_t *changed = arg;
    TRY(db_exec(ctx, "UPDATE item SET amount = amount + $1", ARGS(A(1)), &changed[0]));
    TRY(db_exec(ctx, "UPDATE item SET amount = 0 WHERE id = $1", ARGS(A(99)), &changed[1]));
    TRY(db_exec(ctx,
                "INSERT INTO item (id, name, amount) VALUES ($1, $2, 1) ON CONFLICT DO NOTHING",
                ARGS(A(7), A("a")), &changed[2]));
    int64_t total = 0;
    TRY(db_int(ctx, "UPDATE item SET amount = amount * 2 WHERE id = $1 RETURNING amount",
               ARGS(A(1)), &total));
    assert_true(total == 22);
    return db_exec_one(ctx, "UPDATE item SET amount = $2 WHERE id = $1", ARGS(A(1), A_NULL));
}

static void changes_are_counted_and_a_null_keeps_to_the_rules_of_the_table(void **state)
{
    struct fixture *f = *state;
    given_item(f, 1, "a", 10);
    given_item(f, 2, "b", 20);
    int64_t changed[3] = {-1, -1, -1};
    assert_refused(&f->ctx, db_write(&f->ctx, f->db, change_rows, changed), ERR_INTERNAL,
                   "db_constraint");
    assert_true(changed[0] == 2 && changed[1] == 0 && changed[2] == 0);
}

static err_t use_stack_text(struct ctx *ctx, void *arg)
{
    int64_t *got = arg;
    char sql[64];
    for (int i = 0; i < 3; i++) {
        snprintf(sql, sizeof sql, "SELECT %d + CAST($1 AS BIGINT)", i);
        TRY(db_int(ctx, sql, ARGS(A(i == 1 ? (int64_t)1 << 40 : 10)), &got[i]));
    }
    return OK;
}

static void another_text_at_the_same_address_is_another_statement(void **state)
{
    struct fixture *f = *state;
    int64_t got[3] = {0};
    ASSERT_OK(&f->ctx, db_read(&f->ctx, f->db, use_stack_text, got));
    assert_true(got[0] == 10 && got[1] == ((int64_t)1 << 40) + 1 && got[2] == 12);
}

static err_t use_many_statements(struct ctx *ctx, void *arg)
{
    for (int i = 0; i < 1500; i++) {
        int64_t got = -1;
        str_t sql = str_printf(ctx->arena, "SELECT CAST(%d AS BIGINT) /* %d */", i, *(int *)arg);
        TRY(db_int(ctx, sql.data, NO_ARGS, &got));
        assert_true(got == i);
    }
    return OK;
}

static void a_connection_forgets_statements_when_there_are_too_many(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 2; round++)
        ASSERT_OK(&f->ctx, db_read(&f->ctx, f->db, use_many_statements, &round));
}

/* ---- refusals ---- */

static void a_broken_unique_is_a_conflict_and_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    given_item(f, 1, "a", 1);
    struct adding same_name = {.id = 2, .name = "a"}, same_id = {.id = 1, .name = "b"};
    assert_refused(&f->ctx, db_write(&f->ctx, f->db, add_item, &same_name), ERR_CONFLICT,
                   "db_duplicate");
    assert_refused(&f->ctx, db_write(&f->ctx, f->db, add_item, &same_id), ERR_CONFLICT,
                   "db_duplicate");
    assert_true(items(f) == 1);
}

struct passing_over {
    bool is_late, goes_on;
};

static err_t pass_over_a_refusal(struct ctx *ctx, void *arg)
{
    static const char insert[] = "INSERT INTO item (id, name, amount) VALUES ($1, $2, 1)";
    struct passing_over *how = arg;
    int64_t changed = 0;
    TRY(db_exec(ctx, insert, ARGS(A(5), A("five")), NULL));
    if (db_exec(ctx, insert, ARGS(A(6), A("five")), how->is_late ? NULL : &changed) == ERR_CONFLICT)
        problem_clear(ctx);
    else
        assert_true(how->is_late);
    return how->goes_on ? db_exec(ctx, "UPDATE item SET amount = 3", NO_ARGS, NULL) : OK;
}

static void a_piece_cannot_go_on_after_a_refused_statement(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 4; i++) {
        struct passing_over how = {.is_late = i & 1, .goes_on = i & 2};
        err_t err = db_write(&f->ctx, f->db, pass_over_a_refusal, &how);
        if (f->engine == PG_DB && how.is_late) /* it was told only at the end */
            assert_refused(&f->ctx, err, ERR_CONFLICT, "db_duplicate");
        else
            assert_refused(&f->ctx, err, ERR_INTERNAL, "db_transaction_broken");
        assert_true(items(f) == 0);
    }
}

/* More than are posted at once, a guard that holds and one that does not, a read between them. */
static err_t post_many(struct ctx *ctx, void *arg)
{
    int64_t count = 0;
    for (int i = 1; i <= 200; i++) {
        TRY(db_exec(ctx, "INSERT INTO item (id, name, amount) VALUES ($1, $2, 1)",
                    ARGS(A(i), A(str_printf(ctx->arena, "p%d", i))), NULL));
        TRY(db_exec_one(ctx, "UPDATE item SET amount = amount + 1 WHERE id = $1", ARGS(A(i))));
    }
    TRY(db_int(ctx, "SELECT sum(amount) FROM item", NO_ARGS, &count));
    assert_true(count == 400);
    TRY(db_exec_one(ctx, "UPDATE item SET amount = 9 WHERE id = $1", ARGS(A(*(int64_t *)arg))));
    return db_exec(ctx, "UPDATE item SET amount = 7 WHERE id = $1", ARGS(A(3)), NULL);
}

static void changes_nobody_waits_for_are_all_judged_before_the_commit(void **state)
{
    struct fixture *f = *state;
    int64_t missing = 999, present = 7;
    assert_refused(&f->ctx, db_write(&f->ctx, f->db, post_many, &missing), ERR_CONFLICT,
                   "concurrent_change");
    assert_true(items(f) == 0);
    ASSERT_OK(&f->ctx, db_write(&f->ctx, f->db, post_many, &present));
    assert_true(items(f) == 200);
}

static void the_rules_of_tables_and_wrong_sql_are_internal_errors(void **state)
{
    struct fixture *f = *state;
    struct ctx *ctx = &f->ctx;
    struct adding negative = {.id = 1, .name = "a", .amount = -1};
    assert_refused(ctx, db_write(ctx, f->db, add_item, &negative), ERR_INTERNAL, "db_constraint");
    char orphan[] = "INSERT INTO part (item_id, number) VALUES (9, 1)",
         wrong[] = "INSERT INTO nowhere";
    assert_refused(ctx, db_write(ctx, f->db, run_sql, orphan), ERR_INTERNAL, "db_constraint");
    assert_refused(ctx, db_write(ctx, f->db, run_sql, wrong), ERR_INTERNAL, "db_statement");
    assert_true(items(f) == 0);
}

static void a_read_transaction_cannot_write(void **state)
{
    struct fixture *f = *state;
    struct adding adding = {.id = 1, .name = "a"};
    assert_refused(&f->ctx, db_read(&f->ctx, f->db, add_item, &adding), ERR_INTERNAL,
                   "db_read_only");
    given_item(f, 1, "a", 1);
    assert_true(items(f) == 1);
}

static void a_refused_piece_leaves_nothing_and_keeps_its_reason(void **state)
{
    struct fixture *f = *state;
    struct adding adding = {.id = 1, .name = "a", .end = ERR_STATE};
    assert_refused(&f->ctx, db_write(&f->ctx, f->db, add_item, &adding), ERR_STATE, "asked_for");
    assert_true(items(f) == 0 && f->ctx.tx == NULL);
}

static void a_lost_race_is_run_again_and_at_last_a_conflict(void **state)
{
    struct fixture *f = *state;
    struct adding once = {.id = 1, .name = "a", .again = 1},
                  always = {.id = 2, .name = "b", .again = 100};
    ASSERT_OK(&f->ctx, db_write(&f->ctx, f->db, add_item, &once));
    assert_true(once.runs == 2 && f->ctx.problem.reason == NULL);
    assert_refused(&f->ctx, db_write(&f->ctx, f->db, add_item, &always), ERR_CONFLICT,
                   "concurrent_change");
    assert_int_equal(always.runs, f->engine == PG_DB ? 6 : 2);
    assert_true(items(f) == 1);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        TEST(every_type_comes_back_as_it_was_written),
        TEST(lists_of_ids_of_any_length_use_the_same_statement),
        TEST(reading_what_is_not_there_is_told_apart_from_reading_too_much),
        TEST(rows_are_walked_with_other_statements_between_them),
        TEST(changes_are_counted_and_a_null_keeps_to_the_rules_of_the_table),
        TEST(another_text_at_the_same_address_is_another_statement),
        TEST(a_connection_forgets_statements_when_there_are_too_many),
        TEST(a_broken_unique_is_a_conflict_and_leaves_nothing),
        TEST(a_piece_cannot_go_on_after_a_refused_statement),
        TEST(changes_nobody_waits_for_are_all_judged_before_the_commit),
        TEST(the_rules_of_tables_and_wrong_sql_are_internal_errors),
        TEST(a_read_transaction_cannot_write),
        TEST(a_refused_piece_leaves_nothing_and_keeps_its_reason),
        TEST(a_lost_race_is_run_again_and_at_last_a_conflict),
    };
    int failed = run_everywhere(tests, sizeof tests / sizeof tests[0]);
    return failed == 0 ? 0 : 1;
}
