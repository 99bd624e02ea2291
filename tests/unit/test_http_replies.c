/* SPDX-License-Identifier: Apache-2.0 */
/* Stored replies where it hurts: after a day, with failing databases, with a full queue, with two
 * instances on one PostgreSQL (when SUANHE_TEST_PG names a server). */
#include "http_support.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>

struct note_input {
    str_t text;
};
static const struct field note_fields[] = {
    FIELD(struct note_input, text, 1, 50, FIELD_REQUIRED),
};
static const struct shape note_shape = SHAPE(struct note_input, note_fields);

static atomic_int write_ms;

static err_t post_note(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    const struct note_input *input = request->input;
    ref_t id = id_make(ctx->platform->ids, ctx->now);
    TRY(db_exec(ctx, "INSERT INTO note (id, text) VALUES ($1, $2)", ARGS(A(id), A(input->text)),
                NULL));
    if (atomic_load(&write_ms))
        sleep_ms(atomic_load(&write_ms));
    reply->status = 201;
    jw_object(&reply->json);
    jw_put_ref(&reply->json, "note_id", "evt", id);
    jw_end_object(&reply->json);
    return OK;
}

static const struct route routes[] = {
    {"POST", "/api/notes", 1, TX_WRITE, &note_shape, post_note, ROUTE_KEY_REQUIRED},
    {"POST", "/api/open", 0, TX_WRITE, &note_shape, post_note, ROUTE_PUBLIC},
};
static const struct route_table tables[] = {ROUTES(routes)};

static err_t authenticate(struct ctx *ctx, const struct request *request)
{
    if (str_is(request->authorization, "Bearer alice"))
        ctx->actor.user_id = (ref_t){1};
    return OK;
}

static err_t authorise(struct ctx *ctx, const struct request *request)
{
    (void)ctx;
    (void)request;
    return OK;
}

static void start(struct fixture *f)
{
    f->options = (struct http_options){
        .tables = tables, .table_count = 1, .hooks = {authenticate, authorise, NULL}};
    if (http_start(&f->ctx, &f->platform, &f->options, &f->server) != OK)
        fail_msg("%s: %s", f->ctx.problem.reason, f->ctx.problem.detail);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    open_database(f);
    start(f);
    atomic_store(&write_ms, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    http_stop(f->server);
    close_database(f);
    free(f);
    return 0;
}

static err_t count_rows(struct ctx *ctx, void *arg)
{
    int64_t *counts = arg;
    TRY(db_int(ctx, "SELECT COUNT(*) FROM note", NO_ARGS, &counts[0]));
    return db_int(ctx, "SELECT COUNT(*) FROM http_reply", NO_ARGS, &counts[1]);
}

static void assert_rows(struct fixture *f, int64_t notes, int64_t replies)
{
    int64_t counts[2] = {-1, -1};
    assert_int_equal(db_read(&f->ctx, f->platform.db, count_rows, counts), OK);
    assert_int_equal(counts[0], notes);
    assert_int_equal(counts[1], replies);
}

static void post(struct fixture *f, const char *path, const char *headers, struct answer *got)
{
    ask(f, "POST", path, headers, "{\"text\":\"a\"}", got);
}

static bool is_replay(const struct answer *got)
{
    return strstr(got->head, "Idempotent-Replayed: true") != NULL;
}

static err_t age_by_a_day(struct ctx *ctx, void *arg)
{
    (void)arg;
    int64_t day = id_floor((utc_t){INT64_C(1700000000000) + MS_DAY + MS_HOUR}).value -
                  id_floor((utc_t){INT64_C(1700000000000)}).value;
    return db_exec(ctx, "UPDATE http_reply SET id = id - $1", ARGS(A(day)), NULL);
}

static void a_key_older_than_a_day_counts_anew(void **state)
{
    struct fixture *f = *state;
    struct answer got;
    post(f, "/api/notes", ALICE KEY("k"), &got);
    post(f, "/api/notes", ALICE KEY("k"), &got);
    assert_true(is_replay(&got));
    assert_rows(f, 1, 1);
    assert_int_equal(db_write(&f->ctx, f->platform.db, age_by_a_day, NULL), OK);
    http_stop(f->server);
    start(f);
    post(f, "/api/notes", ALICE KEY("k"), &got);
    assert_int_equal(got.status, 201);
    assert_false(is_replay(&got));
    /* The old reply is deleted soon after the start. */
    int64_t counts[2] = {0, 2};
    for (int i = 0; i < 500 && counts[1] != 1; i++, sleep_ms(10))
        assert_int_equal(db_read(&f->ctx, f->platform.db, count_rows, counts), OK);
    assert_rows(f, 2, 1);
}

static void strangers_share_no_replies(void **state)
{
    struct answer got;
    post(*state, "/api/open", KEY("k"), &got);
    post(*state, "/api/open", KEY("k"), &got);
    assert_int_equal(got.status, 201);
    assert_false(is_replay(&got));
    assert_rows(*state, 2, 0);
}

static void a_failing_database_leaves_all_or_nothing(void **state)
{
    struct fixture *f = *state;
    struct answer got;
    int64_t notes = 0;
    bool failed_once = false;
    for (int nth = 1; nth < 20; nth++) {
        char headers[128];
        snprintf(headers, sizeof headers, ALICE "Idempotency-Key: fault-%d\r\n", nth);
        db_fail_nth(f->platform.db, nth);
        post(f, "/api/notes", headers, &got);
        db_fail_nth(f->platform.db, 0);
        bool failed = got.status != 201;
        failed_once = failed_once || failed;
        if (failed) {
            assert_true(got.status >= 500);
            assert_rows(f, notes, notes);
        }
        post(f, "/api/notes", headers, &got);
        assert_int_equal(got.status, 201);
        assert_int_equal(is_replay(&got), !failed);
        notes++;
        assert_rows(f, notes, notes);
    }
    assert_true(failed_once);
}

struct call {
    struct fixture *f;
    const char *headers;
    struct answer got;
};

static void *call_thread(void *arg)
{
    struct call *call = arg;
    post(call->f, "/api/notes", call->headers, &call->got);
    return NULL;
}

enum { CALLS = 10 };
static struct call calls[CALLS];

static void run_calls(struct fixture *first, struct fixture *second, bool same_key)
{
    static char headers[CALLS][128];
    pthread_t threads[CALLS];
    for (int i = 0; i < CALLS; i++) {
        snprintf(headers[i], sizeof headers[i], ALICE "Idempotency-Key: call-%d\r\n",
                 same_key ? 0 : i);
        calls[i].f = i % 2 ? first : second;
        calls[i].headers = headers[i];
        pthread_create(&threads[i], NULL, call_thread, &calls[i]);
    }
    for (int i = 0; i < CALLS; i++)
        pthread_join(threads[i], NULL);
}

static void a_full_queue_is_told_and_nothing_is_lost(void **state)
{
    struct fixture *f = *state;
    http_stop(f->server);
    db_close(f->platform.db);
    struct db_options options = {
        .url = str_printf(f->ctx.arena, "sqlite:%s/db", f->dir),
        .queue_max = 2,
        .sql_dir = str_printf(f->ctx.arena, "%s/sql", f->dir).data,
    };
    assert_int_equal(db_open(&f->ctx, &options, &f->platform.db), OK);
    start(f);
    atomic_store(&write_ms, 200);
    run_calls(f, f, false);
    int done = 0, busy = 0;
    for (int i = 0; i < CALLS; i++) {
        done += calls[i].got.status == 201;
        busy += calls[i].got.status == 503;
        if (calls[i].got.status == 503) {
            assert_problem(&calls[i].got, 503, "server_busy");
            assert_header(&calls[i].got, "Retry-After", "1");
            assert_has(&calls[i].got, "\"retryable\":true");
        }
    }
    assert_int_equal(done + busy, CALLS);
    assert_true(busy > 0);
    assert_true(done > 0);
    assert_rows(f, done, done);
}

/* ---- two instances on one PostgreSQL ---- */
static void run_on_pg(const char *sql)
{
    PGconn *conn = PQconnectdb(getenv("SUANHE_TEST_PG"));
    PGresult *result = PQexec(conn, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(conn));
    PQclear(result);
    PQfinish(conn);
}

static void open_instance(struct fixture *f, struct fixture *migrated, const char *name, int number)
{
    const char *server = getenv("SUANHE_TEST_PG");
    const char *options = strchr(server, '?');
    const char *slash = strchr(server + strlen("postgresql://"), '/');
    ctx_init(&f->ctx, &f->platform, clock_now());
    f->platform.ids = id_maker_new(number);
    struct db_options db_options = {
        .url = str_printf(f->ctx.arena, "%.*s/%s%s", (int)(slash - server), server, name,
                          options ? options : ""),
        .sql_dir = str_printf(migrated->ctx.arena, "%s/sql", migrated->dir).data,
    };
    int applied = 0;
    if (db_open(&f->ctx, &db_options, &f->platform.db) != OK ||
        db_migrate(&f->ctx, f->platform.db, &applied) != OK)
        fail_msg("%s: %s", f->ctx.problem.reason, f->ctx.problem.detail);
    start(f);
}

static void close_instance(struct fixture *f)
{
    http_stop(f->server);
    db_close(f->platform.db);
    id_maker_free(f->platform.ids);
    ctx_done(&f->ctx);
}

static void two_instances_let_one_twin_through(void **state)
{
    if (!getenv("SUANHE_TEST_PG"))
        skip();
    char name[64], sql[128];
    snprintf(name, sizeof name, "suanhe_http_%ld", (long)getpid());
    snprintf(sql, sizeof sql, "CREATE DATABASE %s", name);
    run_on_pg(sql);
    static struct fixture one, two;
    open_instance(&one, *state, name, 1);
    open_instance(&two, *state, name, 2);
    struct answer got;
    post(&one, "/api/notes", ALICE KEY("k"), &got);
    assert_int_equal(got.status, 201);
    post(&two, "/api/notes", ALICE KEY("k"), &got);
    assert_int_equal(got.status, 201);
    assert_true(is_replay(&got));
    ask(&two, "POST", "/api/notes", ALICE KEY("k"), "{\"text\":\"b\"}", &got);
    assert_problem(&got, 422, "idempotency_key_reused");
    atomic_store(&write_ms, 50);
    run_calls(&one, &two, true);
    int done = 0;
    for (int i = 0; i < CALLS; i++) {
        done += calls[i].got.status == 201;
        if (calls[i].got.status != 201)
            assert_problem(&calls[i].got, 409, "idempotency_in_progress");
    }
    assert_true(done >= 1);
    assert_rows(&one, 2, 2);
    assert_int_equal(db_write(&one.ctx, one.platform.db, age_by_a_day, NULL), OK);
    post(&two, "/api/notes", ALICE KEY("k"), &got);
    assert_int_equal(got.status, 201);
    assert_false(is_replay(&got));
    close_instance(&one);
    close_instance(&two);
    snprintf(sql, sizeof sql, "DROP DATABASE %s WITH (FORCE)", name);
    run_on_pg(sql);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
int main(void)
{
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        CASE(a_key_older_than_a_day_counts_anew),
        CASE(strangers_share_no_replies),
        CASE(a_failing_database_leaves_all_or_nothing),
        CASE(a_full_queue_is_told_and_nothing_is_lost),
        CASE(two_instances_let_one_twin_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
