/* SPDX-License-Identifier: Apache-2.0 */
/* Facts get dense numbers whatever fails, every receipt verifies, every change of a row is found,
 * and nobody gets a fork signed. Each test runs on SQLite and, when there is a server, on
 * PostgreSQL. */
#include "evidence_support.h"

struct id_row {
    ref_t event_id;
};
static const struct field id_fields[] = {FIELD_REF(struct id_row, event_id, "evt", 0)};
static const struct shape id_shape = SHAPE(struct id_row, id_fields);
struct ids {
    struct id_row *rows;
    size_t count;
};
static err_t read_ids(struct ctx *ctx, void *arg)
{
    struct ids *ids = arg;
    return db_all(ctx, "SELECT event_id FROM evidence_entry ORDER BY position", NO_ARGS, &id_shape,
                  &ids->rows, &ids->count);
}

static void assert_all_receipts(struct world *world)
{
    struct ids ids;
    wait_numbered(world);
    assert_ok(world, READ(world, read_ids, &ids));
    struct vkeys *keys = pinned(world);
    /* The newest first: then its head covers all others. */
    for (size_t i = ids.count; i-- > 0;)
        assert_valid(world, keys, wait_receipt(world, ids.rows[i].event_id, i % 2 == 0));
    vkeys_free(keys);
}

static void receipts_of_every_entry_verify_at_every_size(struct world *world)
{
    assert_ok(world, world_open_evidence(world, true, true));
    int size = 0;
    static const int steps[] = {1,  2,  3,   4,   5,   6,   7,   8,   9,   13, 31,
                                32, 33, 100, 255, 256, 257, 511, 512, 513, 600};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        given_facts(world, FACT_ORDER_STATUS, steps[i] - size);
        size = steps[i];
        assert_all_receipts(world);
        world_forget(world);
    }
    assert_sound(world);
    assert_true(number_of(world, "SELECT count(*) FROM evidence_head WHERE signed = 1") >= 21);
}

static void
a_receipt_carries_the_payload_only_when_asked_and_until_it_is_erased(struct world *world)
{
    assert_ok(world, world_open_evidence(world, true, true));
    struct telling told = given_facts(world, FACT_ORDER_STATUS, 1);
    wait_numbered(world);
    struct vkeys *keys = pinned(world);
    str_t with = wait_receipt(world, told.last_event, true),
          without = wait_receipt(world, told.last_event, false);
    const char *why;
    struct receipt *receipt = NEW(&world->ctx, struct receipt);
    assert_true(receipt_read(world->ctx.arena, with, receipt, &why));
    assert_true(str_is(receipt->payload, "{\"n\":0}"));
    assert_true(receipt_read(world->ctx.arena, without, receipt, &why));
    assert_null(receipt->payload.data);
    assert_valid(world, keys, with);
    assert_valid(world, keys, without);
    number_of(world, "SELECT 1");
    vkeys_free(keys);
}

static void the_pieces_of_a_receipt_for_nobody_are_not_found(struct world *world)
{
    assert_ok(world, world_open_evidence(world, false, true));
    struct asking asking = {{12345}, false, {0}};
    assert_refused(world, READ(world, ask, &asking), "not_found");
    struct telling told = given_facts(world, FACT_ORDER_STATUS, 1);
    asking.event = told.last_event;
    assert_refused(world, READ(world, ask, &asking), "receipt_pending");
}

/* ---- numbers ---- */
static void assert_dense(struct world *world, int64_t count)
{
    wait_numbered(world);
    assert_int_equal(number_of(world, "SELECT count(*) FROM evidence_entry"), count);
    if (count > 0)
        assert_int_equal(number_of(world, "SELECT max(position) FROM evidence_entry"), count);
    assert_sound(world);
}

struct crowd {
    struct telling telling;
    struct ctx ctx;
    struct crowd *all;
};
static _Atomic int crowd_done, crowd_refused;
static void crowd_answer(struct ctx *ctx, void *arg, err_t result)
{
    (void)ctx;
    (void)arg;
    crowd_refused += result != OK;
    crowd_done++;
}

static void refused_pieces_leave_no_number_behind(struct world *world)
{
    enum { PIECES = 400 };
    static const int types[] = {FACT_ORDER_STATUS, FACT_PAY_VOUCHER, FACT_USER_LOGIN};
    assert_ok(world, world_open_evidence(world, false, true));
    struct crowd *crowd = calloc(PIECES, sizeof *crowd);
    crowd_done = crowd_refused = 0;
    for (int i = 0; i < PIECES; i++) {
        crowd[i].telling = (struct telling){
            .type = types[i % 3], .count = 1 + i % 4, .refuse = i % 5 == 2, .org = {7}};
        if (i % 7 == 0)
            crowd[i].telling.object = (ref_t){999};
        ctx_init(&crowd[i].ctx, &world->platform, clock_now());
        assert_true(db_write_async(&crowd[i].ctx, world->platform.db, tell, &crowd[i].telling,
                                   crowd_answer));
    }
    while (crowd_done < PIECES)
        usleep(1000);
    int64_t expected = 0;
    for (int i = 0; i < PIECES; i++) {
        expected += crowd[i].telling.refuse ? 0 : crowd[i].telling.count;
        ctx_done(&crowd[i].ctx);
    }
    free(crowd);
    assert_int_equal(crowd_refused, PIECES / 5);
    assert_dense(world, expected);
}

/* Each database call of a write fails once, the commit too; whatever the answer, numbers and trees
 * stay right. */
static void a_failing_commit_puts_the_trees_back(struct world *world)
{
    assert_ok(world, world_open_evidence(world, false, true));
    given_facts(world, FACT_ORDER_STATUS, 250);
    wait_numbered(world);
    int64_t expected = 250;
    for (int n = 1; n <= 60; n++) {
        struct telling telling = {
            .type = n % 2 ? FACT_ORDER_STATUS : FACT_PAY_VOUCHER, .count = 3, .org = {7}};
        wait_numbered(world);
        db_fail_nth(world->platform.db, n);
        err_t err = WRITE(world, tell, &telling);
        db_fail_nth(world->platform.db, 0);
        expected += err == OK ? 3 : 0;
        problem_clear(&world->ctx);
        if (n % 10 == 0)
            assert_dense(world, expected);
        world_forget(world);
    }
    assert_true(expected > 250);
    world_close(world);
    world_open_db(world);
    assert_ok(world, world_open_evidence(world, false, true));
    given_facts(world, FACT_ORDER_STATUS, 10);
    assert_dense(world, expected + 10);
}

static void trees_go_on_where_they_stood_after_a_restart(struct world *world)
{
    int64_t expected = 0;
    for (int i = 0; i < 12; i++) {
        assert_ok(world, world_open_evidence(world, i % 3 != 2, true));
        for (int k = 0; k < 5; k++) {
            given_facts(world, k % 2 ? FACT_ORDER_STATUS : FACT_USER_LOGIN, 37);
            expected += 37;
        }
        wait_numbered(world);
        if (i % 3 == 1)
            assert_all_receipts(world);
        world_close(world);
        world_open_db(world);
        world_forget(world);
    }
    assert_ok(world, world_open_evidence(world, true, true));
    assert_dense(world, expected);
    assert_all_receipts(world);
}

/* Tiles of two levels: more than 65,536 entries of one log. */
static void a_tree_of_three_levels_proves_its_entries(struct world *world)
{
    enum { PIECES = 132, EACH = 500 };
    assert_ok(world, world_open_evidence(world, false, true));
    struct telling first = given_facts(world, FACT_USER_LOGIN, 1), some[PIECES];
    for (int i = 0; i < PIECES; i++) {
        some[i] = given_facts(world, FACT_USER_LOGIN, EACH);
        world_forget(world);
    }
    wait_numbered(world);
    world_close(world);
    world_open_db(world);
    assert_ok(world, world_open_evidence(world, true, true));
    struct vkeys *keys = pinned(world);
    assert_valid(world, keys, wait_receipt(world, some[PIECES - 1].last_event, true));
    assert_valid(world, keys, wait_receipt(world, first.last_event, true));
    for (int i = 0; i < PIECES; i += 5)
        assert_valid(world, keys, wait_receipt(world, some[i].last_event, true));
    vkeys_free(keys);
    assert_int_equal(number_of(world, "SELECT count(*) FROM evidence_tile WHERE level = 1"), 1);
    assert_dense(world, 1 + PIECES * EACH);
}

/* ---- tampering ---- */
struct tampering {
    const char *sql;
    bool found;
    bool is_pg;
};
static err_t tamper(struct ctx *ctx, void *arg)
{
    struct tampering *tampering = arg;
    struct buf report;
    int64_t changed;
    buf_init(&report, ctx->arena, 1 << 16);
    TRY(db_exec(ctx,
                tampering->is_pg ? "DROP TRIGGER evidence_entry_still ON evidence_entry"
                                 : "DROP TRIGGER evidence_entry_still",
                NO_ARGS, NULL));
    if (!tampering->is_pg)
        TRY(db_exec(ctx, "DROP TRIGGER evidence_entry_keep", NO_ARGS, NULL));
    TRY(db_exec(ctx, tampering->sql, NO_ARGS, &changed));
    if (changed == 0)
        fail_msg("changed nothing: %s", tampering->sql);
    err_t err = evidence_fsck(ctx, &report);
    tampering->found = err == ERR_STATE && report.len > 0;
    problem_clear(ctx);
    return refuse(ctx, ERR_STATE, "undone", "only a trial");
}

static void any_changed_row_is_found(struct world *world)
{
    static const char *const both[] = {
        "UPDATE evidence_entry SET position = 100000 WHERE position = 300",
        "UPDATE evidence_entry SET log = 3 WHERE position = 5",
        "UPDATE evidence_entry SET log_index = 7 WHERE position = 5",
        "UPDATE evidence_entry SET event_id = 7 WHERE position = 5",
        "UPDATE evidence_entry SET type = 40 WHERE position = 5",
        "UPDATE evidence_entry SET object_id = 7 WHERE position = 5",
        "UPDATE evidence_entry SET object_text = 'ord_0000000000001' WHERE position = 5",
        "UPDATE evidence_entry SET owner_org_id = 7 WHERE position = 5",
        "UPDATE evidence_entry SET actor_kind = 1, actor_id = 7 WHERE position = 5",
        "UPDATE evidence_entry SET time_ms = time_ms + 1 WHERE position = 5",
        "UPDATE evidence_entry SET entry = (SELECT entry FROM evidence_entry WHERE position = 6) "
        "WHERE position = 5",
        "UPDATE evidence_entry SET leaf = (SELECT leaf FROM evidence_entry WHERE position = 6) "
        "WHERE position = 5",
        "UPDATE evidence_entry SET payload = (SELECT payload FROM evidence_entry WHERE position = "
        "6) WHERE position = 5",
        "DELETE FROM evidence_entry WHERE position = 5",
        "DELETE FROM evidence_entry WHERE position = (SELECT max(position) FROM evidence_entry)",
        "DELETE FROM evidence_entry",
        "UPDATE evidence_object SET leaf = (SELECT leaf FROM evidence_entry WHERE position = 1) "
        "WHERE object_id = "
        "(SELECT max(object_id) FROM evidence_object)",
        "DELETE FROM evidence_object WHERE object_id = (SELECT max(object_id) FROM "
        "evidence_object)",
        "DELETE FROM evidence_tile",
        "UPDATE evidence_tile SET n = 1 WHERE n = 0 AND log = 2",
        "UPDATE evidence_tile SET hashes = (SELECT hashes FROM evidence_tile WHERE log = 1 ORDER "
        "BY n LIMIT 1) WHERE log = 2",
        "DELETE FROM evidence_head WHERE height = 1 AND log = 2",
        "UPDATE evidence_head SET size = size + 1 WHERE height = 2",
        "UPDATE evidence_head SET note = (SELECT note FROM evidence_head WHERE height = 1 AND log "
        "= 2) "
        "WHERE height = 2 AND log = 2",
        "UPDATE evidence_edge SET size = size + 1 WHERE size = 0 OR size % 256 < 200",
    };
    assert_ok(world, world_open_evidence(world, true, true));
    for (int i = 0; i < 6; i++) {
        given_facts(world, FACT_USER_LOGIN, 60);
        struct telling told = given_facts(world, FACT_ORDER_STATUS, 60);
        wait_receipt(world, told.last_event, false);
    }
    assert_sound(world);
    for (size_t i = 0; i < sizeof both / sizeof both[0]; i++) {
        struct tampering tampering = {both[i], false, world->pg};
        err_t err = WRITE(world, tamper, &tampering);
        assert_refused(world, err, "undone");
        if (!tampering.found)
            fail_msg("not found: %s", both[i]);
    }
    assert_sound(world);
}

static void entries_can_only_lose_their_payload(struct world *world)
{
    static const char *const refused[] = {
        "UPDATE evidence_entry SET time_ms = 1 WHERE position = 1",
        "UPDATE evidence_entry SET payload = entry WHERE position = 1",
        "UPDATE evidence_entry SET payload = NULL, log_index = 9 WHERE position = 1",
        "DELETE FROM evidence_entry WHERE position = 1",
    };
    assert_ok(world, world_open_evidence(world, true, true));
    struct telling told = given_facts(world, FACT_ORDER_STATUS, 1);
    wait_numbered(world);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        union {
            const char *in;
            char *out;
        } sql = {.in = refused[i]};
        assert_int_not_equal(WRITE(world, run_sql, sql.out), OK);
        problem_clear(&world->ctx);
    }
    char erase[] = "UPDATE evidence_entry SET payload = NULL WHERE position = 1";
    assert_ok(world, WRITE(world, run_sql, erase));
    assert_sound(world);
    struct vkeys *keys = pinned(world);
    str_t text = wait_receipt(world, told.last_event, true);
    assert_valid(world, keys, text);
    struct receipt *receipt = NEW(&world->ctx, struct receipt);
    const char *why;
    assert_true(receipt_read(world->ctx.arena, text, receipt, &why));
    assert_null(receipt->payload.data);
    vkeys_free(keys);
}

/* ---- reading ---- */
struct reading {
    ref_t event_id;
    struct event event, *events;
    size_t count;
};
static err_t read_event(struct ctx *ctx, void *arg)
{
    struct reading *reading = arg;
    TRY(evidence_find_event(ctx, reading->event_id, true, &reading->event));
    return evidence_after(ctx, 0, 100, &reading->events, &reading->count);
}

static void a_fact_reads_back_as_it_was_told(struct world *world)
{
    assert_ok(world, world_open_evidence(world, false, true));
    world->ctx.actor.user_id = (ref_t){4711};
    struct telling told = given_facts(world, FACT_ORDER_STATUS, 2);
    struct reading reading = {.event_id = told.last_event};
    assert_ok(world, READ(world, read_event, &reading));
    assert_true(str_is(reading.event.payload, "{\"n\":1}"));
    wait_numbered(world);
    assert_ok(world, READ(world, read_event, &reading));
    const struct event *event = &reading.event;
    assert_int_equal(event->position, 2);
    assert_int_equal(event->log, LOG_TRADE);
    assert_int_equal(event->log_index, 1);
    assert_int_equal(event->actor_kind, 1);
    assert_int_equal(event->actor.value, 4711);
    assert_int_equal(event->at.ms, world->ctx.now.ms);
    assert_true(ref_is(event->object, told.last_object) && ref_is(event->root, told.last_object));
    assert_true(evidence_heard_by(event, (ref_t){77}));
    assert_false(evidence_heard_by(event, (ref_t){78}));
    assert_int_equal(reading.count, 2);
    assert_int_equal(reading.events[1].payload.len, 0);
    assert_sound(world);
}

static void every_kind_of_fact_has_a_name_and_a_log_of_its_own(void **state)
{
    (void)state;
    int count;
    const struct fact_kind *kinds = fact_kinds(&count);
    for (int i = 0; i < count; i++) {
        char path[200];
        assert_ptr_equal(fact_kind_of(kinds[i].type), &kinds[i]);
        assert_non_null(evidence_log_word(kinds[i].log));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(kinds[i].name, kinds[k].name);
        snprintf(path, sizeof path, "spec/facts/%s.json", kinds[i].name);
        if (access(path, R_OK) != 0)
            fail_msg("%s is missing", path);
    }
    assert_null(fact_kind_of(0));
}

#define EACH_TEST(X)                                                        \
    X(a_fact_reads_back_as_it_was_told)                                     \
    X(receipts_of_every_entry_verify_at_every_size)                         \
    X(a_receipt_carries_the_payload_only_when_asked_and_until_it_is_erased) \
    X(the_pieces_of_a_receipt_for_nobody_are_not_found)                     \
    X(refused_pieces_leave_no_number_behind)                                \
    X(a_failing_commit_puts_the_trees_back)                                 \
    X(trees_go_on_where_they_stood_after_a_restart)                         \
    X(any_changed_row_is_found)                                             \
    X(entries_can_only_lose_their_payload)

int main(void)
{
    const struct CMUnitTest plain[] = {
        cmocka_unit_test(every_kind_of_fact_has_a_name_and_a_log_of_its_own)};
    const struct CMUnitTest sqlite[] = {EACH_TEST(ON_SQLITE)
                                            ON_SQLITE(a_tree_of_three_levels_proves_its_entries)};
    const struct CMUnitTest pg[] = {EACH_TEST(ON_PG)};
    log_set_level(LOG_ERROR);
    int failed = 0;
    failed += cmocka_run_group_tests_name("facts", plain, NULL, NULL);
    failed += cmocka_run_group_tests_name("sqlite", sqlite, NULL, NULL);
    if (getenv("SUANHE_TEST_PG") != NULL)
        failed += cmocka_run_group_tests_name("postgresql", pg, NULL, NULL);
    return failed;
}
