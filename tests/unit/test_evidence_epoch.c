/* SPDX-License-Identifier: Apache-2.0 */
/* A database put back from an older copy goes on only in a new epoch: new origins, new trees, the
 * old ones beside them, and no position, receipt or signature of the past lost. */
#include "evidence_support.h"

/* ---- a database that lies behind ---- */
enum { KEPT = 300, UNCOVERED = 4, LOST = 10 };
struct past {
    struct telling covered, uncovered, lost;
    str_t receipt, lost_receipt;
    int64_t positions, signed_size; /* of the trade log, when the copy was made and at last */
    struct vkeys *keys;
};

static void copy_file(const char *from, const char *to)
{
    char command[TEXT];
    snprintf(command, sizeof command, "cp %s %s", from, to);
    shell(command);
}

/* PostgreSQL has no copy here, so the rows after the copy are taken away: the same state. */
static void cut_back(struct world *world, int64_t position, int64_t heads)
{
    static char before[][100] = {
        "ALTER TABLE evidence_entry DISABLE TRIGGER evidence_entry_keep",
        "ALTER TABLE evidence_entry DISABLE TRIGGER evidence_entry_still",
    };
    static char after[][100] = {
        "ALTER TABLE evidence_entry ENABLE TRIGGER evidence_entry_keep",
        "ALTER TABLE evidence_entry ENABLE TRIGGER evidence_entry_still",
        "DELETE FROM evidence_edge",
        "DELETE FROM evidence_object WHERE leaf NOT IN (SELECT leaf FROM evidence_entry)",
    };
    char sql[200];
    for (int i = 0; i < 2; i++)
        assert_ok(world, WRITE(world, run_sql, before[i]));
    snprintf(sql, sizeof sql, "DELETE FROM evidence_entry WHERE position > %" PRId64, position);
    assert_ok(world, WRITE(world, run_sql, sql));
    snprintf(sql, sizeof sql, "DELETE FROM evidence_head WHERE height > %" PRId64, heads);
    assert_ok(world, WRITE(world, run_sql, sql));
    for (int i = 0; i < 4; i++)
        assert_ok(world, WRITE(world, run_sql, after[i]));
}

/* Facts under a head, facts without one, then facts and heads that the copy does not have. */
static struct past given_older_copy(struct world *world)
{
    struct past past = {0};
    char copy[100], path[100];
    assert_ok(world, world_open_evidence(world, true, true));
    past.covered = given_facts(world, FACT_ORDER_STATUS, KEPT);
    past.receipt = wait_receipt(world, past.covered.last_event, true);
    past.keys = pinned(world);
    int64_t heads = number_of(world, "SELECT max(height) FROM evidence_head WHERE signed = 1");
    world_close(world);

    world_open_db(world);
    assert_ok(world, world_open_evidence(world, false, true));
    past.uncovered = given_facts(world, FACT_ORDER_STATUS, UNCOVERED);
    wait_numbered(world);
    past.positions = number_of(world, "SELECT max(position) FROM evidence_entry");
    snprintf(copy, sizeof copy, "%s/copy", world->dir);
    snprintf(path, sizeof path, "%s/db", world->dir);
    if (!world->pg)
        assert_ok(world, db_backup(&world->ctx, world->platform.db, copy));
    world_close(world);

    world_open_db(world);
    assert_ok(world, world_open_evidence(world, true, true));
    past.lost = given_facts(world, FACT_ORDER_STATUS, LOST);
    past.lost_receipt = wait_receipt(world, past.lost.last_event, false);
    past.signed_size = KEPT + UNCOVERED + LOST;
    world_close(world);
    world_open_db(world);
    if (world->pg)
        cut_back(world, past.positions, heads);
    else {
        world_close(world);
        copy_file(copy, path);
        world_open_db(world);
    }
    return past;
}

static err_t open_epoch(struct world *world, const char *approved_by, int64_t *out_epoch)
{
    const struct evidence_options options = {.host = world->host, .signer_state = world->state};
    const struct evidence_reset reset = {.approved_by = str_of(approved_by), .hears = {88}};
    return evidence_open_epoch(&world->ctx, &options, &reset, out_epoch);
}

static void given_epoch(struct world *world, int64_t expected)
{
    int64_t epoch = 0;
    assert_ok(world, open_epoch(world, "王五, 运营", &epoch));
    assert_int_equal(epoch, expected);
}

static void past_done(struct past *past)
{
    vkeys_free(past->keys);
}

/* ---- the tests ---- */
static void without_a_new_epoch_an_older_copy_stays_closed(struct world *world)
{
    struct past past = given_older_copy(world);
    assert_refused(world, world_open_evidence(world, false, true), "evidence_behind_head");
    past_done(&past);
}

static void after_a_new_epoch_it_signs_again_and_old_receipts_hold(struct world *world)
{
    struct past past = given_older_copy(world);
    given_epoch(world, 2);
    assert_ok(world, world_open_evidence(world, true, true));
    assert_string_equal(world->platform.evidence->origin[LOG_TRADE], "op.example/evidence/trade/2");
    struct vkeys *keys = pinned(world);
    assert_int_equal(keys->count, 2 * LOG_COUNT);

    struct telling told = given_facts(world, FACT_ORDER_STATUS, 5);
    assert_valid(world, keys, wait_receipt(world, told.last_event, true));
    assert_valid(world, keys, past.receipt);
    assert_valid(world, keys, past.lost_receipt);
    /* Still given, under the old head and the old key line alone. */
    assert_valid(world, past.keys, wait_receipt(world, past.covered.last_event, true));
    assert_sound(world);
    vkeys_free(keys);
    past_done(&past);
}

static void what_no_head_covered_is_closed_and_says_so(struct world *world)
{
    struct past past = given_older_copy(world);
    given_epoch(world, 2);
    assert_ok(world, world_open_evidence(world, true, true));
    struct asking asking = {past.uncovered.last_event, false, {0}};
    err_t err = READ(world, ask, &asking);
    assert_refused(world, err, "epoch_closed");
    assert_int_equal(err, ERR_GONE);
    asking.event = past.lost.last_event;
    assert_refused(world, READ(world, ask, &asking), "not_found");
    past_done(&past);
}

struct judging {
    ref_t covered, uncovered, fresh;
    enum receipt_state state[3];
};
static err_t judge(struct ctx *ctx, void *arg)
{
    struct judging *judging = arg;
    struct evidence_reach reach;
    struct event event;
    ref_t ids[] = {judging->covered, judging->uncovered, judging->fresh};
    TRY(evidence_reach_load(ctx, &reach));
    for (int i = 0; i < 3; i++) {
        TRY(evidence_find_event(ctx, ids[i], false, &event));
        judging->state[i] = evidence_receipt_state(&reach, &event);
    }
    return OK;
}

static void lists_tell_recorded_from_closed(struct world *world)
{
    struct past past = given_older_copy(world);
    given_epoch(world, 2);
    assert_ok(world, world_open_evidence(world, true, true));
    struct telling told = given_facts(world, FACT_ORDER_STATUS, 1);
    wait_receipt(world, told.last_event, false);
    struct judging judging = {
        past.covered.last_event, past.uncovered.last_event, told.last_event, {0}};
    assert_ok(world, READ(world, judge, &judging));
    assert_int_equal(judging.state[0], RECEIPT_RECORDED);
    assert_int_equal(judging.state[1], RECEIPT_CLOSED);
    assert_int_equal(judging.state[2], RECEIPT_RECORDED);
    past_done(&past);
}

struct resets {
    struct event *events;
    size_t count;
};
static err_t read_resets(struct ctx *ctx, void *arg)
{
    struct resets *resets = arg;
    int64_t positions[LOG_COUNT], first = 0;
    TRY(db_int(ctx, "SELECT min(position) FROM evidence_entry WHERE epoch > 1", NO_ARGS, &first));
    for (int i = 0; i < LOG_COUNT; i++)
        positions[i] = first + i;
    return evidence_find_many(ctx, positions, LOG_COUNT, true, &resets->events, &resets->count);
}

static void assert_says(str_t json, const char *part)
{
    if (memmem(json.data, json.len, part, strlen(part)) == NULL)
        fail_msg("%s is not in %.*s", part, STR_ARG(json));
}

static void each_log_begins_with_how_the_old_one_ended(struct world *world)
{
    struct past past = given_older_copy(world);
    char part[100];
    given_epoch(world, 2);
    assert_ok(world, world_open_evidence(world, false, true));
    struct resets resets;
    assert_ok(world, READ(world, read_resets, &resets));
    assert_int_equal(resets.count, LOG_COUNT);
    for (int i = 0; i < LOG_COUNT; i++) {
        const struct event *event = &resets.events[i];
        assert_int_equal(event->type, FACT_LOG_RESET);
        assert_int_equal(event->log, i + 1);
        assert_int_equal(event->epoch, 2);
        assert_int_equal(event->log_index, 0);
        assert_int_equal(event->position, past.positions + 1 + i); /* positions go on densely */
        assert_true(evidence_heard_by(event, (ref_t){88}));
        assert_says(event->payload, "\"approved_by\":\"王五, 运营\"");
    }
    str_t trade = resets.events[LOG_TRADE - 1].payload,
          match = resets.events[LOG_MATCH - 1].payload;
    assert_says(trade, "\"origin\":\"op.example/evidence/trade\"");
    snprintf(part, sizeof part, "\"size\":%" PRId64, past.signed_size);
    assert_says(trade, part);
    snprintf(part, sizeof part, "\"restored_size\":%d", KEPT + UNCOVERED);
    assert_says(trade, part);
    snprintf(part, sizeof part, "\"covered_size\":%d", KEPT);
    assert_says(trade, part);
    assert_says(match, "\"size\":0");
    assert_sound(world);
    past_done(&past);
}

static err_t sequence(struct ctx *ctx, void *arg)
{
    str_t *note = arg;
    return evidence_checkpoint(ctx, LOG_TRADE, 1, note);
}

static void heads_of_the_new_epoch_count_from_one(struct world *world)
{
    struct past past = given_older_copy(world);
    str_t text;
    struct head_known head;
    given_epoch(world, 2);
    assert_ok(world, world_open_evidence(world, true, true));
    struct telling told = given_facts(world, FACT_ORDER_STATUS, 1);
    wait_receipt(world, told.last_event, false);
    assert_ok(world, READ(world, sequence, &text));
    assert_true(str_starts(text, STR("op.example/evidence/trade/2\n")));
    assert_true(head_of_note(world->ctx.arena, text, &head));
    assert_int_equal(head.height, 1);
    assert_true(head.size <= 2);
    past_done(&past);
}

static void a_restart_stays_in_the_new_epoch(struct world *world)
{
    struct past past = given_older_copy(world);
    given_epoch(world, 2);
    for (int i = 0; i < 3; i++) {
        assert_ok(world, world_open_evidence(world, true, true));
        struct telling told = given_facts(world, FACT_ORDER_STATUS, 260);
        struct vkeys *keys = pinned(world);
        assert_valid(world, keys, wait_receipt(world, told.last_event, false));
        vkeys_free(keys);
        assert_sound(world);
        world_close(world);
        world_open_db(world);
    }
    past_done(&past);
}

/* The same copy once more: the number goes on after all that the signer has seen. */
static void the_same_copy_put_back_again_gets_the_number_after(struct world *world)
{
    struct past past = given_older_copy(world);
    char kept[100], path[100];
    snprintf(kept, sizeof kept, "%s/kept", world->dir);
    snprintf(path, sizeof path, "%s/db", world->dir);
    assert_ok(world, db_backup(&world->ctx, world->platform.db, kept));
    given_epoch(world, 2);
    assert_ok(world, world_open_evidence(world, true, true));
    struct telling told = given_facts(world, FACT_ORDER_STATUS, 3);
    str_t of_two = wait_receipt(world, told.last_event, true);
    world_close(world);
    copy_file(kept, path);
    world_open_db(world);
    assert_refused(world, world_open_evidence(world, false, true), "evidence_behind_head");
    given_epoch(world, 3);
    assert_ok(world, world_open_evidence(world, true, true));
    told = given_facts(world, FACT_ORDER_STATUS, 3);
    struct vkeys *keys = pinned(world);
    assert_valid(world, keys, wait_receipt(world, told.last_event, true));
    assert_valid(world, keys, of_two);
    struct resets resets;
    assert_ok(world, READ(world, read_resets, &resets));
    assert_says(resets.events[LOG_TRADE - 1].payload,
                "\"lost_epochs\":[{\"origin\":\"op.example/evidence/trade/2\"");
    assert_sound(world);
    vkeys_free(keys);
    past_done(&past);
}

/* The former database, found after all: its epoch is over. */
static void the_signer_signs_nothing_of_an_ended_epoch(struct world *world)
{
    struct past past = given_older_copy(world);
    given_epoch(world, 2);
    assert_ok(world, world_open_evidence(world, true, true));
    struct telling told = given_facts(world, FACT_ORDER_STATUS, 1);
    wait_receipt(world, told.last_event, false);
    world_close(world); /* a signer is forked while no thread runs */
    str_t note = STR(""), why = STR("");
    struct head head = {.origin = STR("op.example/evidence/trade"),
                        .height = 1,
                        .time_ms = (uint64_t)clock_now().ms,
                        .root = head_text_hash(STR("")),
                        .set = head_text_hash(STR(""))};
    int fd = evidence_signer_spawn(world->dir, NULL, world->state);
    hash_t path = {{0}};
    assert_false(signer_sign(&world->ctx, fd, &head, &path, 0, &note, &why));
    assert_true(str_is(why, "a later epoch of this log has begun"));
    assert_true(signer_state(&world->ctx, fd, STR("op.example/evidence/trade"), &note));
    assert_true(note.len > 0); /* what the ended epoch signed last is kept */
    close(fd);
    past_done(&past);
}

static void nobody_opens_an_epoch_without_a_name(struct world *world)
{
    struct past past = given_older_copy(world);
    int64_t epoch = 0;
    assert_int_equal(open_epoch(world, "", &epoch), ERR_INPUT);
    assert_int_equal(number_of(world, "SELECT count(*) FROM evidence_epoch"), 0);
    past_done(&past);
}

static void an_instance_at_work_keeps_a_new_epoch_away(struct world *world)
{
    int64_t epoch = 0;
    assert_ok(world, world_open_evidence(world, true, true));
    struct telling told = given_facts(world, FACT_ORDER_STATUS, 3);
    wait_receipt(world, told.last_event, false);
    assert_refused(world, open_epoch(world, "王五", &epoch), "epoch_busy");
}

static void fsck_finds_what_is_wrong_with_an_epoch(struct world *world)
{
    static char sqls[][140] = {
        "UPDATE evidence_epoch SET closed_size = closed_size + 1 WHERE log = 2",
        "UPDATE evidence_epoch SET covered_size = covered_size - 1 WHERE log = 2",
        "UPDATE evidence_epoch SET first_position = first_position + 1 WHERE log = 1",
        "DELETE FROM evidence_epoch WHERE log = 4",
        "INSERT INTO evidence_epoch VALUES (2, 9, 900, 2, 0, 0)",
        "DELETE FROM evidence_edge WHERE epoch = 1 AND log = 2",
        "UPDATE evidence_tile SET epoch = 2 WHERE log = 2",
        "UPDATE evidence_head SET epoch = 7 WHERE log = 2 AND epoch = 2",
    };
    struct past past = given_older_copy(world);
    given_epoch(world, 2);
    assert_ok(world, world_open_evidence(world, true, true));
    struct telling told = given_facts(world, FACT_ORDER_STATUS, 5);
    wait_receipt(world, told.last_event, false);
    assert_sound(world);
    world_close(world);
    char path[100], kept[100];
    snprintf(path, sizeof path, "%s/db", world->dir);
    snprintf(kept, sizeof kept, "%s/whole", world->dir);
    copy_file(path, kept);
    for (size_t i = 0; i < sizeof sqls / sizeof sqls[0]; i++) {
        struct fsck_run run;
        world_open_db(world);
        assert_ok(world, world_open_evidence(world, false, true));
        assert_ok(world, WRITE(world, run_sql, sqls[i]));
        buf_init(&run.report, world->ctx.arena, 1 << 20);
        if (READ(world, run_fsck, &run) == OK)
            fail_msg("unnoticed: %s", sqls[i]);
        assert_string_equal(world->ctx.problem.reason, "evidence_damaged");
        world_close(world);
        copy_file(kept, path);
    }
    past_done(&past);
}

#define EACH_TEST(X)                                          \
    X(without_a_new_epoch_an_older_copy_stays_closed)         \
    X(after_a_new_epoch_it_signs_again_and_old_receipts_hold) \
    X(what_no_head_covered_is_closed_and_says_so)             \
    X(lists_tell_recorded_from_closed)                        \
    X(each_log_begins_with_how_the_old_one_ended)             \
    X(heads_of_the_new_epoch_count_from_one)                  \
    X(a_restart_stays_in_the_new_epoch)                       \
    X(the_signer_signs_nothing_of_an_ended_epoch)             \
    X(nobody_opens_an_epoch_without_a_name)
#define SQLITE_TEST(X)                                    \
    X(the_same_copy_put_back_again_gets_the_number_after) \
    X(fsck_finds_what_is_wrong_with_an_epoch)

int main(void)
{
    const struct CMUnitTest sqlite[] = {EACH_TEST(ON_SQLITE) SQLITE_TEST(ON_SQLITE)};
    const struct CMUnitTest pg[] = {EACH_TEST(ON_PG)
                                        ON_PG(an_instance_at_work_keeps_a_new_epoch_away)};
    if (getenv("TEST_ONLY") != NULL)
        cmocka_set_test_filter(getenv("TEST_ONLY"));
    log_set_level(LOG_ERROR);
    int failed = cmocka_run_group_tests_name("sqlite", sqlite, NULL, NULL);
    if (getenv("SUANHE_TEST_PG") != NULL)
        failed += cmocka_run_group_tests_name("postgresql", pg, NULL, NULL);
    return failed;
}
