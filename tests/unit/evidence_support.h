/* SPDX-License-Identifier: Apache-2.0 */
/* A small platform for the tests of evidence, event and job: a database of its own (SQLite in a
 * file or, when SUANHE_TEST_PG names a server, PostgreSQL) with the migrations 0002 to 0004, a key
 * ring, a signer process. */
#ifndef SUANHE_TEST_EVIDENCE_SUPPORT_H
#define SUANHE_TEST_EVIDENCE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glob.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "event/event.h"
#include "evidence/evidence_internal.h"
#include "job/job.h"
#define UNUSED __attribute__((unused))

enum { TEXT = 600 };

struct world {
    bool pg;
    char dir[64], sql[96], state[96], url[TEXT], pg_name[64];
    struct platform platform;
    struct ctx ctx;
    int signer_fd, spare_fd; /* spare: forked before the database has threads, for whoever signs */
    str_t host;
};

static UNUSED void shell(const char *command)
{
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_int_equal(pclose(pipe), 0);
}

static UNUSED void pg_command(const char *verb, const char *name, const char *how)
{
    char sql[200];
    snprintf(sql, sizeof sql, "%s DATABASE %s%s", verb, name, how);
    PGconn *conn = PQconnectdb(getenv("SUANHE_TEST_PG"));
    PGresult *result = PQexec(conn, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(conn));
    PQclear(result);
    PQfinish(conn);
}

/* The server's address with another database name: postgresql:///NAME?... */
static UNUSED void pg_url(struct world *world)
{
    const char *base = getenv("SUANHE_TEST_PG");
    const char *path = strstr(base, "://");
    assert_non_null(path);
    path = strchr(path + 3, '/');
    assert_non_null(path);
    const char *query = strchr(path, '?');
    snprintf(world->url, sizeof world->url, "%.*s/%s%s", (int)(path - base), base, world->pg_name,
             query ? query : "");
}

static UNUSED void world_open_db(struct world *world)
{
    struct db_options options = {.url = str_of(world->url), .sql_dir = world->sql};
    int applied;
    if (world->spare_fd < 0)
        world->spare_fd = evidence_signer_spawn(world->dir, NULL, world->state);
    err_t err = db_open(&world->ctx, &options, &world->platform.db);
    if (err != OK)
        fail_msg("%s: %s", world->ctx.problem.reason, world->ctx.problem.detail);
    err = db_migrate(&world->ctx, world->platform.db, &applied);
    if (err != OK)
        fail_msg("%s: %s", world->ctx.problem.reason, world->ctx.problem.detail);
}

/* Opens evidence; with sign, heads are made quickly by a signer of its own process. */
static UNUSED err_t world_open_evidence(struct world *world, bool sign, bool knows_state)
{
    struct evidence_options options = {
        .host = world->host, .interval_ms = 1, .idle_interval_ms = 20, .sign = sign};
    options.signer_state = knows_state ? world->state : NULL;
    err_t err = evidence_open(&world->ctx, &options, &world->platform.evidence);
    if (err != OK)
        return err;
    if (sign) {
        assert_true(world->spare_fd >= 0);
        evidence_use_signer(world->platform.evidence, world->spare_fd);
        world->signer_fd = world->spare_fd;
        world->spare_fd = -1;
    }
    return evidence_start(world->platform.evidence);
}

static UNUSED struct world *world_new(bool pg)
{
    static int serial;
    const char *message = "";
    struct world *world = calloc(1, sizeof *world);
    world->pg = pg;
    world->signer_fd = world->spare_fd = -1;
    world->host = STR("op.example");
    snprintf(world->dir, sizeof world->dir, "/tmp/suanhe-evidence.XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    snprintf(world->sql, sizeof world->sql, "%s/sql", world->dir);
    snprintf(world->state, sizeof world->state, "%s/signer-state", world->dir);
    char command[TEXT];
    snprintf(command, sizeof command, "mkdir %s && cp sql/0002_* sql/0003_* sql/0004_* %s",
             world->sql, world->sql);
    shell(command);
    snprintf(world->url, sizeof world->url, "sqlite:%s/db", world->dir);
    if (pg) {
        snprintf(world->pg_name, sizeof world->pg_name, "evidence_%d_%d", (int)getpid(), serial++);
        pg_command("CREATE", world->pg_name, "");
        pg_url(world);
    }
    world->platform.ids = id_maker_new(1);
    world->platform.keys = keyring_open(world->dir, NULL, true, &message);
    if (world->platform.keys == NULL)
        fail_msg("%s", message);
    keyring_sm2(world->platform.keys, "head");
    ctx_init(&world->ctx, &world->platform, clock_now());
    world_open_db(world);
    return world;
}

static UNUSED void world_close(struct world *world)
{
    event_close(world->platform.events);
    world->platform.events = NULL;
    evidence_close(world->platform.evidence);
    world->platform.evidence = NULL;
    if (world->signer_fd >= 0)
        close(world->signer_fd);
    if (world->spare_fd >= 0)
        close(world->spare_fd);
    world->signer_fd = world->spare_fd = -1;
    if (world->platform.db != NULL)
        db_close(world->platform.db);
    world->platform.db = NULL;
}

static UNUSED void world_free(struct world *world)
{
    world_close(world);
    ctx_done(&world->ctx);
    keyring_free(world->platform.keys);
    id_maker_free(world->platform.ids);
    if (world->pg)
        pg_command("DROP", world->pg_name, " WITH (FORCE)");
    char command[TEXT];
    snprintf(command, sizeof command, "rm -rf %s", world->dir);
    shell(command);
    free(world);
}

static UNUSED void world_forget(struct world *world)
{
    arena_reset(world->ctx.arena);
    world->ctx.facts = NULL;
    problem_clear(&world->ctx);
}

static UNUSED void assert_ok(struct world *world, err_t err)
{
    if (err != OK)
        fail_msg("%s %s: %s", err_name(err), world->ctx.problem.reason, world->ctx.problem.detail);
}

static UNUSED void assert_refused(struct world *world, err_t err, const char *reason)
{
    assert_int_not_equal(err, OK);
    assert_non_null(world->ctx.problem.reason);
    assert_string_equal(world->ctx.problem.reason, reason);
}

#define WRITE(world, fn, arg) db_write(&(world)->ctx, (world)->platform.db, (fn), (arg))
#define READ(world, fn, arg) db_read(&(world)->ctx, (world)->platform.db, (fn), (arg))

/* One integer by SQL. */
struct number_query {
    const char *sql;
    int64_t value;
};
static UNUSED err_t run_number_query(struct ctx *ctx, void *arg)
{
    struct number_query *query = arg;
    return db_int(ctx, query->sql, NO_ARGS, &query->value);
}
static UNUSED int64_t number_of(struct world *world, const char *sql)
{
    struct number_query query = {sql, -1};
    assert_ok(world, READ(world, run_number_query, &query));
    return query.value;
}

/* Facts: `count` of one type, each of an object of its own unless `object` is given. */
struct telling {
    int type, count;
    ref_t object, root, org;
    ref_t last_event, last_object;
    bool refuse;
};
static UNUSED err_t tell(struct ctx *ctx, void *arg)
{
    struct telling *telling = arg;
    for (int i = 0; i < telling->count; i++) {
        struct fact fact = {.type = telling->type, .object_prefix = "ord", .root = telling->root};
        fact.object =
            telling->object.value != 0 ? telling->object : id_make(ctx->platform->ids, ctx->now);
        fact.owner_org = telling->org;
        fact.payload = str_printf(ctx->arena, "{\"n\":%d}", i);
        if (telling->org.value != 0)
            fact.audience[fact.audience_count++] = telling->org;
        TRY(evidence_append(ctx, &fact, &telling->last_event));
        telling->last_object = fact.object;
    }
    return telling->refuse ? refuse(ctx, ERR_STATE, "not_today", "refused on purpose") : OK;
}
static UNUSED struct telling given_facts(struct world *world, int type, int count)
{
    struct telling telling = {.type = type, .count = count, .org = {77}};
    assert_ok(world, WRITE(world, tell, &telling));
    return telling;
}

/* Waits until all facts told so far have their numbers (PostgreSQL's sequencer works behind). */
static UNUSED void wait_numbered(struct world *world)
{
    for (int i = 0; world->pg && number_of(world, "SELECT count(*) FROM evidence_pending") > 0;
         i++) {
        assert_true(i < 2000);
        usleep(5000);
    }
}

struct fsck_run {
    struct buf report;
};
static UNUSED err_t run_fsck(struct ctx *ctx, void *arg)
{
    struct fsck_run *run = arg;
    return evidence_fsck(ctx, &run->report);
}
static UNUSED void assert_sound(struct world *world)
{
    struct fsck_run run;
    wait_numbered(world);
    buf_init(&run.report, world->ctx.arena, 1 << 20);
    err_t err = READ(world, run_fsck, &run);
    if (err != OK)
        fail_msg("%s %s\n%.*s", err_name(err), world->ctx.problem.detail,
                 STR_ARG(buf_str(&run.report)));
}

/* ---- receipts ---- */
struct asking {
    ref_t event;
    bool with_payload;
    str_t text;
};
static UNUSED err_t ask(struct ctx *ctx, void *arg)
{
    struct asking *asking = arg;
    return evidence_receipt(ctx, asking->event, asking->with_payload, &asking->text);
}

static UNUSED str_t wait_receipt(struct world *world, ref_t event, bool with_payload)
{
    struct asking asking = {event, with_payload, {0}};
    for (int i = 0;; i++) {
        err_t err = READ(world, ask, &asking);
        if (err == OK)
            return asking.text;
        assert_refused(world, err, "receipt_pending");
        assert_true(world->ctx.problem.retry_after_s > 0);
        assert_true(i < 2000);
        usleep(2000);
    }
}

static UNUSED struct vkeys *pinned(struct world *world)
{
    struct vkeys *keys = NEW(&world->ctx, struct vkeys);
    struct buf file;
    const char *why = "";
    buf_init(&file, world->ctx.arena, 4096);
    evidence_keys(world->platform.evidence, &file);
    assert_true(vkeys_read(world->ctx.arena, buf_str(&file), keys, &why));
    return keys;
}

static UNUSED void assert_valid(struct world *world, const struct vkeys *keys, str_t text)
{
    struct receipt_report report;
    receipt_verify(world->ctx.arena, text, keys, NULL, &report);
    if (!report.valid)
        fail_msg("%.*s\n%.*s", STR_ARG(report.reason), STR_ARG(text));
}

static UNUSED err_t run_sql(struct ctx *ctx, void *arg)
{
    return db_exec(ctx, arg, NO_ARGS, NULL);
}

/* ---- each test on each database ---- */
typedef void (*world_test)(struct world *world);
struct placed {
    world_test test;
    bool pg;
};
static UNUSED void run_placed(void **state)
{
    struct placed *placed = *state;
    struct world *world = world_new(placed->pg);
    placed->test(world);
    world_free(world);
}

#define ON_SQLITE(name) {#name, run_placed, NULL, NULL, &(struct placed){name, false}},
#define ON_PG(name) {#name "_on_postgresql", run_placed, NULL, NULL, &(struct placed){name, true}},

#endif
