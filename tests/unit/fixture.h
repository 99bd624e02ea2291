/* SPDX-License-Identifier: Apache-2.0 */
/* A whole small platform for the tests of core: a database of its own with all migrations (SQLite
 * in a file and, when SUANHE_TEST_PG names a server, PostgreSQL), a key ring, ids, and evidence
 * opened but not started (nothing is signed). f->ctx.now stands still until a test moves it. */
#ifndef SUANHE_TEST_FIXTURE_H
#define SUANHE_TEST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "account/account.h"
#include "crypto/crypto.h"
#include "evidence/evidence.h"
#define UNUSED __attribute__((unused))

struct fixture {
    bool pg;
    char dir[64], url[600], pg_name[64];
    struct platform platform;
    struct ctx ctx;
};

static UNUSED void fixture_pg_command(const char *verb, const char *name, const char *how)
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

static UNUSED void fixture_choose_db(struct fixture *f)
{
    if (!f->pg) {
        snprintf(f->url, sizeof f->url, "sqlite:%s/db", f->dir);
        return;
    }
    const char *base = getenv("SUANHE_TEST_PG"), *path = strstr(base, "://");
    assert_non_null(path);
    path = strchr(path + 3, '/');
    assert_non_null(path);
    const char *query = strchr(path, '?');
    snprintf(f->pg_name, sizeof f->pg_name, "suanhe_%ld_%" PRId64, (long)getpid(),
             clock_monotonic_us());
    fixture_pg_command("CREATE", f->pg_name, "");
    snprintf(f->url, sizeof f->url, "%.*s/%s%s", (int)(path - base), base, f->pg_name,
             query ? query : "");
}

static UNUSED void assert_ok(struct fixture *f, err_t err)
{
    if (err != OK)
        fail_msg("%s %s: %s", err_name(err), f->ctx.problem.reason, f->ctx.problem.detail);
}

static UNUSED void assert_refused(struct fixture *f, err_t err, const char *reason)
{
    if (err == OK)
        fail_msg("expected %s, was accepted", reason);
    if (!f->ctx.problem.reason || strcmp(f->ctx.problem.reason, reason) != 0)
        fail_msg("expected %s, got %s: %s", reason, f->ctx.problem.reason, f->ctx.problem.detail);
    problem_clear(&f->ctx);
}

static UNUSED struct fixture *fixture_new(bool pg)
{
    struct fixture *f = calloc(1, sizeof *f);
    const char *message = "";
    int applied;
    assert_non_null(f);
    f->pg = pg;
    snprintf(f->dir, sizeof f->dir, "/tmp/suanhe-test.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    fixture_choose_db(f);
    f->platform.ids = id_maker_new(1);
    f->platform.keys = keyring_open(f->dir, NULL, true, &message);
    if (f->platform.keys == NULL)
        fail_msg("%s", message);
    keyring_sm2(f->platform.keys, "head");
    ctx_init(&f->ctx, &f->platform, (utc_t){INT64_C(1790000000000)});
    const struct db_options options = {.url = str_of(f->url)};
    assert_ok(f, db_open(&f->ctx, &options, &f->platform.db));
    assert_ok(f, db_migrate(&f->ctx, f->platform.db, &applied));
    const struct evidence_options evidence = {.host = STR("op.example")};
    assert_ok(f, evidence_open(&f->ctx, &evidence, &f->platform.evidence));
    return f;
}

static UNUSED void fixture_free(struct fixture *f)
{
    char command[128];
    evidence_close(f->platform.evidence);
    db_close(f->platform.db);
    ctx_done(&f->ctx);
    keyring_free(f->platform.keys);
    id_maker_free(f->platform.ids);
    if (f->pg)
        fixture_pg_command("DROP", f->pg_name, " WITH (FORCE)");
    snprintf(command, sizeof command, "rm -r '%s'", f->dir);
    FILE *pipe = popen(command, "r");
    if (pipe)
        pclose(pipe);
    free(f);
}

static UNUSED int set_up_sqlite(void **state)
{
    *state = fixture_new(false);
    return 0;
}

static UNUSED int set_up_pg(void **state)
{
    *state = fixture_new(true);
    return 0;
}

static UNUSED int tear_down(void **state)
{
    fixture_free(*state);
    return 0;
}

#define WRITE(f, fn, arg) db_write(&(f)->ctx, (f)->platform.db, (fn), (arg))
#define READ(f, fn, arg) db_read(&(f)->ctx, (f)->platform.db, (fn), (arg))

/* A step that calls core inside a transaction, written where it is used:
 *     STEP(pay, struct payment) { return ledger_top_up(ctx, arg->ref, ...); }
 *     assert_ok(f, WRITE(f, pay, &payment)); */
#define STEP(name, type)                                          \
    static UNUSED err_t name##_typed(struct ctx *ctx, type *arg); \
    static UNUSED err_t name(struct ctx *ctx, void *arg)          \
    {                                                             \
        return name##_typed(ctx, arg);                            \
    }                                                             \
    static UNUSED err_t name##_typed(struct ctx *ctx, type *arg)

/* ---- people ---- */
struct person {
    struct user user;
    ref_t personal_org;
    const char *email;
};
static UNUSED err_t fixture_register(struct ctx *ctx, void *arg)
{
    struct person *person = arg;
    struct registration in = {
        .email = str_of(person->email), .name = STR("测试"), .consent_version = STR("1")};
    return account_register(ctx, &in, STR("no-verifier"), &person->user, &person->personal_org);
}
static UNUSED struct person given_person(struct fixture *f, const char *email)
{
    struct person person = {.email = email};
    f->ctx.actor = (struct actor){0};
    assert_ok(f, WRITE(f, fixture_register, &person));
    return person;
}

static UNUSED void act_as(struct fixture *f, ref_t user, ref_t org, int kind, uint32_t roles)
{
    f->ctx.actor = (struct actor){.user_id = user, .org_id = org, .org_kind = kind, .roles = roles};
}
static UNUSED void act_as_system(struct fixture *f)
{
    f->ctx.actor = (struct actor){0};
}

/* An organisation owned by the person, who acts for it from now on. */
static UNUSED err_t fixture_make_org(struct ctx *ctx, void *arg)
{
    struct org *org = arg;
    return account_org_create(ctx, org->name, org->kind, org);
}
static UNUSED ref_t given_org(struct fixture *f, const struct person *owner, int kind)
{
    struct org org = {.name = STR("某单位"), .kind = kind};
    act_as(f, owner->user.id, owner->personal_org, ORG_CONSUMER, ROLE_OWNER);
    assert_ok(f, WRITE(f, fixture_make_org, &org));
    act_as(f, owner->user.id, org.id, kind, ROLE_OWNER);
    return org.id;
}

static UNUSED err_t fixture_make_operator(struct ctx *ctx, void *arg)
{
    struct person *person = arg;
    TRY(account_bootstrap(ctx, str_of(person->email), STR("no-verifier"), &person->user));
    return account_operator_org(ctx, &person->personal_org);
}
/* The operator's organisation (in personal_org) and its owner; the actor stays who it was. */
static UNUSED struct person given_operator(struct fixture *f)
{
    struct person person = {.email = "operator@op.example"};
    struct actor before = f->ctx.actor;
    f->ctx.actor = (struct actor){0};
    assert_ok(f, WRITE(f, fixture_make_operator, &person));
    f->ctx.actor = before;
    return person;
}

struct fixture_number {
    const char *sql;
    int64_t value;
};
static UNUSED err_t fixture_read_number(struct ctx *ctx, void *arg)
{
    struct fixture_number *query = arg;
    return db_int(ctx, query->sql, NO_ARGS, &query->value);
}
static UNUSED int64_t number_of(struct fixture *f, const char *sql)
{
    struct fixture_number query = {sql, -1};
    assert_ok(f, READ(f, fixture_read_number, &query));
    return query.value;
}
/* Facts of a type told so far. */
static UNUSED int64_t facts_of(struct fixture *f, int type)
{
    char sql[160];
    snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM %s WHERE type = %d",
             f->pg ? "evidence_pending" : "evidence_entry", type);
    return number_of(f, sql);
}

static UNUSED void time_passes(struct fixture *f, int64_t ms)
{
    f->ctx.now = utc_add(f->ctx.now, ms);
}

/* Runs the tests on SQLite and, when there is a server, on PostgreSQL; the number of failures. */
static UNUSED int run_on_both(const struct CMUnitTest *tests, size_t count)
{
    struct CMUnitTest *own = calloc(count, sizeof *own);
    int failed = 0;
    for (int pg = 0; pg <= (getenv("SUANHE_TEST_PG") != NULL ? 1 : 0); pg++) {
        for (size_t i = 0; i < count; i++) {
            own[i] = tests[i];
            own[i].setup_func = pg ? set_up_pg : set_up_sqlite;
            own[i].teardown_func = tear_down;
        }
        failed += _cmocka_run_group_tests(pg ? "postgresql" : "sqlite", own, count, NULL, NULL);
    }
    free(own);
    return failed;
}
#define RUN_ON_BOTH(tests) run_on_both((tests), sizeof(tests) / sizeof((tests)[0]))

#endif
