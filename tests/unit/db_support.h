/* SPDX-License-Identifier: Apache-2.0 */
/* Databases for the tests of lib/db: SQLite in a file, SQLite in memory and, when SUANHE_TEST_PG
 * names a server, PostgreSQL in a database of each test's own; items to write, crowds of pieces, a
 * participant that counts. */
#ifndef SUANHE_TEST_DB_SUPPORT_H
#define SUANHE_TEST_DB_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/db_internal.h"
#define UNUSED __attribute__((unused))

enum engine { FILE_DB, MEMORY_DB, PG_DB };
enum { TEXT_MAX = 400 };

/* Where the tests of one group run. */
struct place {
    enum engine engine;
};

struct fixture {
    enum engine engine;
    char folder[64], sql[96], url[TEXT_MAX], pg_name[64];
    struct ctx ctx;
    struct db *db;
};

struct item {
    ref_t id;
    str_t name;
    int64_t amount;
    money_t price;
    int32_t version;
    bool active;
    str_t body;
    int32_t kind;
    utc_t made_at;
    str_t *tags;
    size_t tag_count;
};
static const char *const kind_name[] = {"plain", "fancy"};
static const struct names kinds = NAMES(kind_name);
static const struct field item_fields[] = {
    FIELD_REF(struct item, id, "itm", 0),      FIELD(struct item, name, 0, 100, 0),
    FIELD(struct item, amount, 0, 1000000, 0), FIELD(struct item, price, 0, 1000000, 0),
    FIELD(struct item, version, 0, 1000, 0),   FIELD(struct item, active, 0, 1, 0),
    FIELD_BYTES(struct item, body, 0, 100, 0), FIELD_ENUM(struct item, kind, &kinds, 0),
    FIELD(struct item, made_at, 0, 0, 0),      FIELD_TEXTS(struct item, tags, tag_count, 0, 10, 0),
};
static const UNUSED struct shape item_shape = SHAPE(struct item, item_fields);

static const UNUSED char create_items[] =
    "-- an INT in a comment, a 'quote\n"
    "CREATE TABLE item (\n"
    "    id KEY,\n"
    "    name TEXT NOT NULL UNIQUE,\n"
    "    amount INT NOT NULL CHECK (amount >= 0),\n"
    "    price INT NOT NULL DEFAULT 0,\n"
    "    version INT NOT NULL DEFAULT 1,\n"
    "    active INT NOT NULL DEFAULT 1,\n"
    "    body BYTES,\n"
    "    kind INT NOT NULL DEFAULT 0,\n"
    "    made_at INT,\n"
    "    tags TEXT NOT NULL DEFAULT '[]'\n"
    ");\n"
    "CREATE TABLE part (item_id INT NOT NULL REFERENCES item (id),"
    " number INT NOT NULL, PRIMARY KEY (item_id, number));\n"
    "CREATE TABLE seen (id KEY, total INT NOT NULL);\n";

/* ---- given ---- */

static UNUSED void given_file(struct fixture *f, const char *name, const char *text)
{
    char path[TEXT_MAX];
    snprintf(path, sizeof path, "%s/%s", f->sql, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static UNUSED void run_on_server(const char *sql)
{
    PGconn *conn = PQconnectdb(getenv("SUANHE_TEST_PG"));
    assert_int_equal(PQstatus(conn), CONNECTION_OK);
    PGresult *result = PQexec(conn, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(conn));
    PQclear(result);
    PQfinish(conn);
}

/* The address of the test server with another database: .../postgres?host=... */
static UNUSED void make_pg(struct fixture *f)
{
    const char *server = getenv("SUANHE_TEST_PG");
    snprintf(f->pg_name, sizeof f->pg_name, "suanhe_%ld_%" PRId64, (long)getpid(),
             clock_monotonic_us());
    char sql[160];
    snprintf(sql, sizeof sql, "CREATE DATABASE %s", f->pg_name);
    run_on_server(sql);
    const char *options = strchr(server, '?');
    const char *name = strchr(server + strlen("postgresql://"), '/');
    size_t base = name != NULL ? (size_t)(name - server) : strcspn(server, "?");
    snprintf(f->url, sizeof f->url, "%.*s/%s%s", (int)base, server, f->pg_name,
             options != NULL ? options : "");
}

static UNUSED struct db_options options_of(struct fixture *f)
{
    return (struct db_options){.url = str_of(f->url), .sql_dir = f->sql};
}

static UNUSED void open_db(struct fixture *f, struct db_options options)
{
    err_t err = db_open(&f->ctx, &options, &f->db);
    if (err != OK)
        fail_msg("%s: %s", f->ctx.problem.reason, f->ctx.problem.detail);
}

static UNUSED void migrate_db(struct fixture *f)
{
    int applied = 0;
    if (db_migrate(&f->ctx, f->db, &applied) != OK)
        fail_msg("%s: %s", f->ctx.problem.reason, f->ctx.problem.detail);
}

static UNUSED int set_up_empty(void **state)
{
    struct place *place = *state;
    struct fixture *f = calloc(1, sizeof *f);
    f->engine = place->engine;
    snprintf(f->folder, sizeof f->folder, "/tmp/suanhe-db.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->sql, sizeof f->sql, "%s/sql", f->folder);
    assert_int_equal(mkdir(f->sql, 0700), 0);
    if (f->engine == PG_DB)
        make_pg(f);
    else if (f->engine == FILE_DB)
        snprintf(f->url, sizeof f->url, "sqlite:%s/test.db", f->folder);
    else
        snprintf(f->url, sizeof f->url, "sqlite::memory:");
    ctx_init(&f->ctx, NULL, (utc_t){1790000000000});
    *state = f;
    return 0;
}

static UNUSED int set_up(void **state)
{
    set_up_empty(state);
    struct fixture *f = *state;
    given_file(f, "0001_item.sql", create_items);
    open_db(f, options_of(f));
    migrate_db(f);
    return 0;
}

static UNUSED void remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry = NULL; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char path[TEXT_MAX];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        struct stat about;
        if (lstat(path, &about) == 0 && S_ISDIR(about.st_mode))
            remove_folder(path);
        else
            unlink(path);
    }
    closedir(dir);
    rmdir(folder);
}

static UNUSED int tear_down(void **state)
{
    struct fixture *f = *state;
    db_close(f->db);
    ctx_done(&f->ctx);
    if (f->engine == PG_DB) {
        char sql[160];
        snprintf(sql, sizeof sql, "DROP DATABASE %s WITH (FORCE)", f->pg_name);
        run_on_server(sql);
    }
    remove_folder(f->folder);
    free(f);
    return 0;
}

static UNUSED void assert_refused(struct ctx *ctx, err_t got, err_t want, const char *reason)
{
    assert_int_equal(got, want);
    assert_non_null(ctx->problem.reason);
    if (strcmp(ctx->problem.reason, reason) != 0)
        fail_msg("wanted %s, got %s: %s", reason, ctx->problem.reason, ctx->problem.detail);
    problem_clear(ctx);
}

#define ASSERT_OK(ctx, call)                                                             \
    do {                                                                                 \
        if ((call) != OK)                                                                \
            fail_msg("%s: %s: %s", #call, (ctx)->problem.reason, (ctx)->problem.detail); \
    } while (0)

/* A piece: adds an item, then does what the test asks for. */
struct adding {
    int64_t id;
    const char *name;
    int64_t amount;
    err_t end;
    int runs, again, lost;
};

static UNUSED err_t add_item(struct ctx *ctx, void *arg)
{
    struct adding *adding = arg;
    adding->runs++;
    TRY(db_exec(ctx, "INSERT INTO item (id, name, amount, made_at) VALUES ($1, $2, $3, $4)",
                ARGS(A(adding->id), A(adding->name), A(adding->amount), A(ctx->now)), NULL));
    if (adding->runs <= adding->again)
        return refuse(ctx, ERR_AGAIN, "concurrent_change", "asked for");
    return adding->end == OK ? OK : refuse(ctx, adding->end, "asked_for", "asked for");
}

static UNUSED void given_item(struct fixture *f, int64_t id, const char *name, int64_t amount)
{
    struct adding adding = {.id = id, .name = name, .amount = amount};
    ASSERT_OK(&f->ctx, db_write(&f->ctx, f->db, add_item, &adding));
}

static UNUSED err_t count_items(struct ctx *ctx, void *arg)
{
    return db_int(ctx, "SELECT count(*) FROM item", NO_ARGS, arg);
}

static UNUSED int64_t items(struct fixture *f)
{
    int64_t count = -1;
    ASSERT_OK(&f->ctx, db_read(&f->ctx, f->db, count_items, &count));
    return count;
}

static UNUSED err_t run_sql(struct ctx *ctx, void *arg)
{
    return db_exec(ctx, arg, NO_ARGS, NULL);
}
static UNUSED err_t read_stock(struct ctx *ctx, void *arg)
{
    return db_int(ctx, "SELECT amount FROM item WHERE id = 1", NO_ARGS, arg);
}

/* ---- many pieces ---- */

enum { MANY = 600 };

struct crowd;
struct member {
    struct ctx ctx;
    struct crowd *crowd;
    struct adding adding;
    char name[16];
    int answers, order;
    err_t result;
};
struct crowd {
    struct member member[MANY];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int answered, count;
    bool is_held, is_holding;
};

static UNUSED void count_answer(struct ctx *ctx, void *arg, err_t result)
{
    struct adding *adding = arg;
    struct member *member =
        (struct member *)(void *)((char *)adding - offsetof(struct member, adding));
    struct crowd *crowd = member->crowd;
    assert_ptr_equal(ctx, &member->ctx);
    pthread_mutex_lock(&crowd->lock);
    member->result = result;
    member->answers++;
    member->order = crowd->answered++;
    pthread_cond_broadcast(&crowd->changed);
    pthread_mutex_unlock(&crowd->lock);
}

static UNUSED struct crowd *given_crowd(int count)
{
    struct crowd *crowd = calloc(1, sizeof *crowd);
    pthread_mutex_init(&crowd->lock, NULL);
    pthread_cond_init(&crowd->changed, NULL);
    crowd->count = count;
    for (int i = 0; i < count; i++) {
        struct member *member = &crowd->member[i];
        ctx_init(&member->ctx, NULL, (utc_t){1790000000000 + i});
        member->crowd = crowd;
        snprintf(member->name, sizeof member->name, "m%d", i);
        member->adding = (struct adding){.id = i + 1, .name = member->name, .amount = i};
    }
    return crowd;
}

static UNUSED void end_crowd(struct crowd *crowd)
{
    for (int i = 0; i < crowd->count; i++)
        ctx_done(&crowd->member[i].ctx);
    pthread_cond_destroy(&crowd->changed);
    pthread_mutex_destroy(&crowd->lock);
    free(crowd);
}

static UNUSED void send_crowd(struct fixture *f, struct crowd *crowd)
{
    for (int i = 0; i < crowd->count; i++)
        assert_true(db_write_async(&crowd->member[i].ctx, f->db, add_item, &crowd->member[i].adding,
                                   count_answer));
}

static UNUSED void wait_answered(struct crowd *crowd, int count)
{
    pthread_mutex_lock(&crowd->lock);
    while (crowd->answered < count)
        pthread_cond_wait(&crowd->changed, &crowd->lock);
    pthread_mutex_unlock(&crowd->lock);
}

/* A piece that keeps its writer until the test lets go. */
static UNUSED err_t hold(struct ctx *ctx, void *arg)
{
    (void)ctx;
    struct crowd *crowd = arg;
    pthread_mutex_lock(&crowd->lock);
    crowd->is_holding = true;
    pthread_cond_broadcast(&crowd->changed);
    while (crowd->is_held)
        pthread_cond_wait(&crowd->changed, &crowd->lock);
    pthread_mutex_unlock(&crowd->lock);
    return OK;
}

static UNUSED void ignore_answer(struct ctx *ctx, void *arg, err_t result)
{
    (void)ctx;
    (void)arg;
    assert_int_equal(result, OK);
}

static UNUSED void hold_writer(struct fixture *f, struct crowd *crowd)
{
    crowd->is_held = true;
    assert_true(db_write_async(&f->ctx, f->db, hold, crowd, ignore_answer));
    pthread_mutex_lock(&crowd->lock);
    while (!crowd->is_holding)
        pthread_cond_wait(&crowd->changed, &crowd->lock);
    pthread_mutex_unlock(&crowd->lock);
}

static UNUSED void let_go(struct crowd *crowd)
{
    pthread_mutex_lock(&crowd->lock);
    crowd->is_held = false;
    pthread_cond_broadcast(&crowd->changed);
    pthread_mutex_unlock(&crowd->lock);
}

static UNUSED void reopen(struct fixture *f, int writers, int queue_max)
{
    db_close(f->db);
    f->db = NULL;
    struct db_options options = options_of(f);
    options.writers = writers;
    options.queue_max = queue_max;
    open_db(f, options);
    migrate_db(f);
}
struct witness {
    pthread_mutex_t lock;
    int64_t next_id, told, before, committed, undone;
    int fail, fail_from; /* so many runs of before_commit with so many members fail */
};

static UNUSED err_t note_members(void *state, struct ctx **members, int count)
{
    struct witness *witness = state;
    pthread_mutex_lock(&witness->lock);
    witness->before++;
    bool is_failing = witness->fail > 0 && count >= witness->fail_from && witness->fail-- > 0;
    int64_t id = ++witness->next_id;
    witness->told += count;
    pthread_mutex_unlock(&witness->lock);
    for (int i = 0; i < count; i++)
        assert_true(members[i]->tx != NULL && members[i]->problem.reason == NULL);
    TRY(db_exec(members[0], "INSERT INTO seen (id, total) VALUES ($1, $2)", ARGS(A(id), A(count)),
                NULL));
    return is_failing ? refuse(members[0], ERR_INTERNAL, "witness_failed", "asked for") : OK;
}

static UNUSED void note_end(void *state, bool committed)
{
    struct witness *witness = state;
    pthread_mutex_lock(&witness->lock);
    witness->committed += committed;
    witness->undone += !committed;
    pthread_mutex_unlock(&witness->lock);
}

static UNUSED struct witness *given_witness(struct fixture *f, struct witness *witness)
{
    *witness = (struct witness){.lock = PTHREAD_MUTEX_INITIALIZER};
    struct db_participant participant = {witness, note_members, note_end};
    db_set_participant(f->db, &participant);
    return witness;
}

static UNUSED err_t sum_seen(struct ctx *ctx, void *arg)
{
    return db_int(ctx, "SELECT sum(total) FROM seen", NO_ARGS, arg);
}

static UNUSED int64_t seen(struct fixture *f)
{
    int64_t sum = 0;
    ASSERT_OK(&f->ctx, db_read(&f->ctx, f->db, sum_seen, &sum));
    return sum;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_EMPTY(name) cmocka_unit_test_setup_teardown(name, set_up_empty, tear_down)

/* Runs the tests once per engine; the number of failures. */
static UNUSED int run_everywhere(struct CMUnitTest *tests, size_t count)
{
    static const char *const title[] = {"sqlite file", "sqlite memory", "postgresql"};
    static struct place place[] = {{FILE_DB}, {MEMORY_DB}, {PG_DB}};
    int failed = 0;
    for (int engine = FILE_DB; engine <= PG_DB; engine++) {
        if (engine == PG_DB && getenv("SUANHE_TEST_PG") == NULL)
            continue;
        for (size_t i = 0; i < count; i++)
            tests[i].initial_state = &place[engine];
        failed += _cmocka_run_group_tests(title[engine], tests, count, NULL, NULL);
    }
    return failed;
}

#endif
