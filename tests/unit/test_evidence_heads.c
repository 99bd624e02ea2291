/* SPDX-License-Identifier: Apache-2.0 */
/* Heads follow each other, and nobody gets a fork signed: not an older copy, not a second platform,
 * not after a crash between signature and store. Each test runs on SQLite and, when there is a
 * server, on PostgreSQL. */
#include "evidence_support.h"

/* ---- heads ---- */
struct head_read {
    struct head_row *rows;
    size_t count;
};
static const struct field head_fields[] = {
    FIELD(struct head_row, log, 1, 4, 0), FIELD(struct head_row, height, 1, INT64_MAX, 0),
    FIELD(struct head_row, size, 0, INT64_MAX, 0), FIELD(struct head_row, note, 0, INT32_MAX, 0)};
static const struct shape head_shape = SHAPE(struct head_row, head_fields);
static err_t read_heads(struct ctx *ctx, void *arg)
{
    struct head_read *read = arg;
    return db_all(ctx,
                  "SELECT log, height, size, note FROM evidence_head WHERE signed = 1 AND log = 2 "
                  "ORDER BY height",
                  NO_ARGS, &head_shape, &read->rows, &read->count);
}
struct proving {
    int64_t from, to;
    str_t text;
};
static err_t prove(struct ctx *ctx, void *arg)
{
    struct proving *proving = arg;
    return evidence_consistency(ctx, LOG_TRADE, proving->from, proving->to, &proving->text);
}

static bool consistent(struct world *world, const struct head_row *older,
                       const struct head_row *newer)
{
    struct head_known from, to;
    hash_t path[CONSISTENCY_MAX];
    int count = 0;
    str_t line;
    assert_true(head_of_note(world->ctx.arena, older->note, &from));
    assert_true(head_of_note(world->ctx.arena, newer->note, &to));
    struct proving proving = {older->size, newer->size, {0}};
    assert_ok(world, READ(world, prove, &proving));
    for (str_t rest = proving.text; str_next(&rest, '\n', &line);) {
        str_t bytes;
        if (line.len == 0)
            continue;
        assert_true(base64_decode(world->ctx.arena, line, &bytes) && bytes.len == HASH_BYTES &&
                    count < CONSISTENCY_MAX);
        memcpy(path[count++].bytes, bytes.data, HASH_BYTES);
    }
    return tree_verify_consistency(from.size, to.size, &from.root, &to.root, path, count);
}

static void all_heads_are_consistent_with_each_other(struct world *world)
{
    assert_ok(world, world_open_evidence(world, true, true));
    for (int i = 0; i < 24; i++) {
        struct telling told = given_facts(world, FACT_ORDER_STATUS, 1 + i * 5 % 41);
        wait_receipt(world, told.last_event, false);
    }
    struct head_read read;
    assert_ok(world, READ(world, read_heads, &read));
    assert_true(read.count >= 24);
    for (size_t i = 0; i < read.count; i++)
        for (size_t k = i; k < read.count; k++)
            assert_true(consistent(world, &read.rows[i], &read.rows[k]));
    struct proving proving = {1, 100000, {0}};
    assert_refused(world, READ(world, prove, &proving), "range_invalid");
    proving = (struct proving){5, 4, {0}};
    assert_refused(world, READ(world, prove, &proving), "range_invalid");
    assert_sound(world);
}

/* ---- the signer ---- */
static void an_older_copy_of_the_database_is_refused_and_not_signed(struct world *world)
{
    char copy[100];
    assert_ok(world, world_open_evidence(world, true, true));
    struct telling told = given_facts(world, FACT_ORDER_STATUS, 10);
    wait_receipt(world, told.last_event, false);
    snprintf(copy, sizeof copy, "%s/copy", world->dir);
    assert_ok(world, db_backup(&world->ctx, world->platform.db, copy));
    told = given_facts(world, FACT_ORDER_STATUS, 10);
    wait_receipt(world, told.last_event, false);
    world_close(world);

    snprintf(world->url, sizeof world->url, "sqlite:%s", copy);
    world_open_db(world);
    assert_refused(world, world_open_evidence(world, false, true), "evidence_behind_head");
    /* On another host nobody sees the signer's file; the signer itself refuses then. */
    assert_ok(world, world_open_evidence(world, true, false));
    told = given_facts(world, FACT_ORDER_STATUS, 15);
    int64_t heads = number_of(world, "SELECT count(*) FROM evidence_head");
    struct asking asking = {told.last_event, false, {0}};
    for (int i = 0; i < 30; i++) {
        assert_refused(world, READ(world, ask, &asking), "receipt_pending");
        usleep(10000);
    }
    assert_int_equal(number_of(world, "SELECT count(*) FROM evidence_head"), heads);
}

static void a_database_without_its_last_entries_is_refused(struct world *world)
{
    assert_ok(world, world_open_evidence(world, true, true));
    struct telling told = given_facts(world, FACT_ORDER_STATUS, 10);
    wait_receipt(world, told.last_event, false);
    char drop[] = "DROP TRIGGER evidence_entry_keep",
         cut[] = "DELETE FROM evidence_entry WHERE position > 8";
    assert_ok(world, WRITE(world, run_sql, drop));
    assert_ok(world, WRITE(world, run_sql, cut));
    world_close(world);
    world_open_db(world);
    assert_refused(world, world_open_evidence(world, false, false), "evidence_behind_head");
}

static struct head next_head_of(struct world *world, hash_t *path, int *count)
{
    struct evidence *evidence = world->platform.evidence;
    const struct head_known *last = &evidence->heads[LOG_TRADE];
    struct frontier frontier = {0};
    struct head head = {.origin = str_of(evidence->origin[LOG_TRADE]),
                        .height = last->height + 1,
                        .prev = last->text_hash,
                        .time_ms = (uint64_t)clock_now().ms,
                        .set = head_text_hash(STR(""))};
    head.size = evidence->committed[LOG_TRADE].size;
    assert_true(head.size < 256 && last->size == 0);
    for (uint64_t i = 0; i < head.size; i++)
        frontier_append(&frontier, &evidence->committed[LOG_TRADE].hash[0][i]);
    head.root = frontier_root(&frontier);
    (void)path;
    *count = 0;
    return head;
}

/* The signer had signed, the platform died before the note was stored: the same note is stored
 * later. */
static void a_signature_lost_between_signer_and_store_is_asked_for_again(struct world *world)
{
    hash_t path[CONSISTENCY_MAX];
    int count;
    str_t lost, again, why;
    assert_ok(world, world_open_evidence(world, false, true));
    given_facts(world, FACT_ORDER_STATUS, 5);
    wait_numbered(world);
    int fd = evidence_signer_spawn(world->dir, NULL, world->state);
    struct head head = next_head_of(world, path, &count);
    assert_true(signer_sign(&world->ctx, fd, &head, path, count, &lost, &why));
    close(fd);
    world_close(world);
    world_open_db(world);
    assert_ok(world, world_open_evidence(world, true, true));
    struct telling told = given_facts(world, FACT_ORDER_STATUS, 5);
    wait_receipt(world, told.last_event, false);
    struct head_read read;
    assert_ok(world, READ(world, read_heads, &read));
    assert_true(read.count >= 2);
    again = read.rows[0].note;
    if (!world->pg)
        assert_true(str_eq(lost, again));
    assert_int_equal(read.rows[0].size, 5);
    assert_sound(world);
}

static void the_signer_refuses_whatever_does_not_follow(struct world *world)
{
    hash_t path[CONSISTENCY_MAX] = {0};
    int count;
    str_t note, why;
    assert_ok(world, world_open_evidence(world, false, true));
    given_facts(world, FACT_ORDER_STATUS, 5);
    wait_numbered(world);
    int fd = evidence_signer_spawn(world->dir, NULL, world->state);
    struct head head = next_head_of(world, path, &count), bad;
    bad = head;
    bad.height = 2;
    assert_false(signer_sign(&world->ctx, fd, &bad, path, 0, &note, &why));
    assert_true(signer_sign(&world->ctx, fd, &head, path, 0, &note, &why));
    struct head next = head;
    struct head_known known;
    assert_true(head_of_note(world->ctx.arena, note, &known));
    next.height = 2;
    next.prev = known.text_hash;
    bad = next;
    bad.root.bytes[0] ^= 1;
    assert_false(signer_sign(&world->ctx, fd, &bad, path, 0, &note, &why));
    bad = next;
    bad.size = 6;
    assert_false(signer_sign(&world->ctx, fd, &bad, path, 1, &note, &why));
    bad = next;
    bad.size = 4;
    assert_false(signer_sign(&world->ctx, fd, &bad, path, 0, &note, &why));
    bad = next;
    bad.prev.bytes[5] ^= 1;
    assert_false(signer_sign(&world->ctx, fd, &bad, path, 0, &note, &why));
    bad = next;
    bad.time_ms -= 1;
    assert_false(signer_sign(&world->ctx, fd, &bad, path, 0, &note, &why));
    bad = next;
    bad.height = 3;
    assert_false(signer_sign(&world->ctx, fd, &bad, path, 0, &note, &why));
    assert_true(signer_sign(&world->ctx, fd, &next, path, 0, &note, &why));
    assert_false(signer_adopt(&world->ctx, fd, note, path, 0, &why));
    close(fd);
}

static void a_signer_that_lost_its_file_takes_over_the_stored_heads(struct world *world)
{
    assert_ok(world, world_open_evidence(world, true, true));
    struct telling told = given_facts(world, FACT_ORDER_STATUS, 10);
    wait_receipt(world, told.last_event, false);
    world_close(world);
    assert_int_equal(unlink(world->state), 0);
    world_open_db(world);
    assert_ok(world, world_open_evidence(world, true, true));
    told = given_facts(world, FACT_ORDER_STATUS, 10);
    wait_receipt(world, told.last_event, false);
    assert_sound(world);
}

static void the_logs_keep_their_name_when_the_host_changes(struct world *world)
{
    assert_ok(world, world_open_evidence(world, true, true));
    struct telling told = given_facts(world, FACT_ORDER_STATUS, 3);
    struct vkeys *keys = pinned(world);
    wait_receipt(world, told.last_event, false);
    world_close(world);
    world->host = STR("elsewhere.example:81");
    world_open_db(world);
    assert_ok(world, world_open_evidence(world, true, true));
    told = given_facts(world, FACT_ORDER_STATUS, 3);
    assert_valid(world, keys, wait_receipt(world, told.last_event, false));
    /* Also the first head of a log that had none. */
    told = given_facts(world, FACT_PAY_VOUCHER, 3);
    assert_valid(world, keys, wait_receipt(world, told.last_event, false));
    assert_sound(world);
    vkeys_free(keys);
}

/* ---- several instances on one database ---- */
static struct world *given_twin(const struct world *world)
{
    const char *message = "";
    struct world *twin = calloc(1, sizeof *twin);
    *twin = *world;
    twin->platform = (struct platform){.ids = id_maker_new(2)};
    twin->platform.keys = keyring_open(world->dir, NULL, false, &message);
    assert_non_null(twin->platform.keys);
    snprintf(twin->state, sizeof twin->state, "%s/signer-state-2", world->dir);
    ctx_init(&twin->ctx, &twin->platform, clock_now());
    world_open_db(twin);
    assert_ok(twin, world_open_evidence(twin, true, true));
    return twin;
}

static void twin_free(struct world *twin)
{
    world_close(twin);
    ctx_done(&twin->ctx);
    keyring_free(twin->platform.keys);
    id_maker_free(twin->platform.ids);
    free(twin);
}

/* The lease is torn from whoever holds it, again and again, while both write and ask for receipts.
 */
static void two_instances_make_one_log_and_never_a_fork(struct world *world)
{
    char tear[] = "UPDATE evidence_lease SET until_ms = 0";
    assert_ok(world, world_open_evidence(world, true, true));
    struct world *twin = given_twin(world);
    struct vkeys *keys = pinned(world);
    int64_t told = 0;
    for (int i = 0; i < 40; i++) {
        struct world *who = i % 2 ? world : twin;
        for (int k = 0; k < 4; k++) {
            given_facts(world, FACT_ORDER_STATUS, 3);
            given_facts(twin, FACT_ORDER_STATUS, 3);
            told += 6;
        }
        assert_ok(who, WRITE(who, run_sql, tear));
        if (i % 4 == 3) {
            struct telling last = given_facts(who, FACT_ORDER_STATUS, 1);
            told++;
            str_t text = wait_receipt(who, last.last_event, true);
            assert_valid(who, keys, text);
        }
        usleep(60000);
    }
    wait_numbered(world);
    assert_int_equal(number_of(world, "SELECT count(*) FROM evidence_entry"), told);
    twin_free(twin);
    struct telling last = given_facts(world, FACT_ORDER_STATUS, 1);
    assert_valid(world, keys, wait_receipt(world, last.last_event, false));
    assert_sound(world);
    struct head_read read;
    assert_ok(world, READ(world, read_heads, &read));
    for (size_t i = 1; i < read.count; i++)
        assert_true(consistent(world, &read.rows[i - 1], &read.rows[i]));
    vkeys_free(keys);
}

#define EACH_TEST(X)                                                \
    X(all_heads_are_consistent_with_each_other)                     \
    X(a_signature_lost_between_signer_and_store_is_asked_for_again) \
    X(the_signer_refuses_whatever_does_not_follow)                  \
    X(a_signer_that_lost_its_file_takes_over_the_stored_heads)      \
    X(the_logs_keep_their_name_when_the_host_changes)
#define SQLITE_TEST(X)                                         \
    X(an_older_copy_of_the_database_is_refused_and_not_signed) \
    X(a_database_without_its_last_entries_is_refused)

int main(void)
{
    const struct CMUnitTest sqlite[] = {EACH_TEST(ON_SQLITE) SQLITE_TEST(ON_SQLITE)};
    const struct CMUnitTest pg[] = {EACH_TEST(ON_PG)
                                        ON_PG(two_instances_make_one_log_and_never_a_fork)};
    if (getenv("TEST_ONLY") != NULL)
        cmocka_set_test_filter(getenv("TEST_ONLY"));
    log_set_level(LOG_ERROR);
    int failed = 0;
    failed += cmocka_run_group_tests_name("sqlite", sqlite, NULL, NULL);
    if (getenv("SUANHE_TEST_PG") != NULL)
        failed += cmocka_run_group_tests_name("postgresql", pg, NULL, NULL);
    return failed;
}
