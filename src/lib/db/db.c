/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, the connections and read transactions. Connections for reading are made when first
 * needed and handed out to one thread at a time; SQLite in memory has a single connection, so that
 * reading and writing take turns under a lock. */
#include "db_internal.h"

#include <stdlib.h>
#include <string.h>

enum { READERS_DEFAULT = 4, WRITERS_DEFAULT = 8, QUEUE_DEFAULT = 4096 };

struct db_conn *db_conn_new(struct db *db)
{
    struct db_conn *conn = calloc(1, sizeof *conn);
    ENSURE(conn != NULL);
    conn->db = db;
    conn->tx = (struct db_tx){.db = db, .conn = conn};
    return conn;
}

void db_conn_free(struct db_conn *conn)
{
    if (conn == NULL)
        return;
    db_statements_forget(conn);
    conn->db->engine->disconnect(conn);
    free(conn);
}

err_t db_conn_open(struct ctx *ctx, struct db *db, enum db_role role, struct db_conn **out_conn)
{
    struct db_conn *conn = db_conn_new(db);
    err_t err = db->engine->connect(ctx, db, role, conn);
    if (err != OK) {
        db_conn_free(conn);
        return err;
    }
    *out_conn = conn;
    return OK;
}

err_t db_admin_take(struct ctx *ctx, struct db *db, struct db_conn **out_conn)
{
    if (db->single == NULL)
        return db_conn_open(ctx, db, DB_ROLE_WRITE, out_conn);
    pthread_mutex_lock(&db->single_lock);
    *out_conn = db->single;
    return OK;
}

void db_admin_give(struct db *db, struct db_conn *conn)
{
    if (conn == db->single)
        pthread_mutex_unlock(&db->single_lock);
    else
        db_conn_free(conn);
}

bool db_fault(struct ctx *ctx, struct db *db)
{
    int64_t call = atomic_fetch_add(&db->calls, 1) + 1;
    if (call != atomic_load(&db->fail_at))
        return false;
    (void)!refuse(ctx, ERR_INTERNAL, "storage_failed", "call %lld was made to fail",
                  (long long)call);
    return true;
}

int64_t db_fail_nth(struct db *db, int64_t n)
{
    atomic_store(&db->fail_at, 0);
    int64_t calls = atomic_exchange(&db->calls, 0);
    atomic_store(&db->fail_at, n);
    return calls;
}

err_t db_conn_commit(struct ctx *ctx, struct db_conn *conn)
{
    const struct db_engine *engine = conn->db->engine;
    err_t err = db_fault(ctx, conn->db) ? ERR_INTERNAL : engine->commit(ctx, conn);
    if (err != OK)
        engine->rollback(conn);
    return err;
}

err_t db_conn_flush(struct ctx *ctx, struct db_conn *conn)
{
    return conn->db->engine->flush == NULL ? OK : conn->db->engine->flush(ctx, conn);
}

static err_t run_begun(struct ctx *ctx, struct db_conn *conn, enum db_role role, db_work_fn fn,
                       void *arg)
{
    conn->tx.broken = false;
    ctx->tx = &conn->tx;
    err_t err = fn(ctx, arg);
    ctx->tx = NULL;
    if (err == OK)
        err = db_conn_flush(ctx, conn);
    if (err == OK && role == DB_ROLE_WRITE)
        return db_conn_commit(ctx, conn);
    conn->db->engine->rollback(conn);
    return err;
}

err_t db_conn_run(struct ctx *ctx, struct db_conn *conn, enum db_role role, db_work_fn fn,
                  void *arg)
{
    TRY(conn->db->engine->begin(ctx, conn, role));
    return run_begun(ctx, conn, role, fn, arg);
}

/* ---- read pool ---- */

static void pool_init(struct db_pool *pool, int max)
{
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->freed, NULL);
    pool->max = max;
    pool->idle = calloc((size_t)max, sizeof(struct db_conn *));
    ENSURE(pool->idle != NULL);
}

static void pool_done(struct db_pool *pool)
{
    ENSURE(pool->idle_count == pool->open_count);
    for (int i = 0; i < pool->idle_count; i++)
        db_conn_free(pool->idle[i]);
    free(pool->idle);
    pthread_cond_destroy(&pool->freed);
    pthread_mutex_destroy(&pool->lock);
}

static void pool_lost(struct db_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->open_count--;
    pthread_cond_signal(&pool->freed);
    pthread_mutex_unlock(&pool->lock);
}

static err_t pool_take(struct ctx *ctx, struct db *db, struct db_conn **out_conn)
{
    struct db_pool *pool = &db->readers;
    struct db_conn *conn = NULL;
    pthread_mutex_lock(&pool->lock);
    while (pool->idle_count == 0 && pool->open_count == pool->max)
        pthread_cond_wait(&pool->freed, &pool->lock);
    if (pool->idle_count > 0)
        conn = pool->idle[--pool->idle_count];
    else
        pool->open_count++;
    pthread_mutex_unlock(&pool->lock);
    if (conn == NULL) {
        err_t err = db_conn_open(ctx, db, DB_ROLE_READ, &conn);
        if (err != OK) {
            pool_lost(pool);
            return err;
        }
    }
    *out_conn = conn;
    return OK;
}

static void pool_give(struct db *db, struct db_conn *conn)
{
    struct db_pool *pool = &db->readers;
    if (!db->engine->is_alive(conn)) {
        db_conn_free(conn);
        pool_lost(pool);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->idle[pool->idle_count++] = conn;
    pthread_cond_signal(&pool->freed);
    pthread_mutex_unlock(&pool->lock);
}

/* A connection that died while idle says so at its BEGIN; nothing has run by then, so another is
 * tried. */
static err_t pool_read(struct ctx *ctx, struct db *db, db_work_fn fn, void *arg)
{
    for (int left = db->readers.max;; left--) {
        struct db_conn *conn = NULL;
        TRY(pool_take(ctx, db, &conn));
        if (conn->statement_count > DB_STATEMENTS_MAX)
            db_statements_forget(conn);
        err_t err = db->engine->begin(ctx, conn, DB_ROLE_READ);
        bool is_begun = err == OK;
        if (is_begun)
            err = run_begun(ctx, conn, DB_ROLE_READ, fn, arg);
        bool is_alive = db->engine->is_alive(conn);
        pool_give(db, conn);
        if (is_begun || is_alive || left == 0)
            return err;
        problem_clear(ctx);
    }
}

err_t db_read(struct ctx *ctx, struct db *db, db_work_fn fn, void *arg)
{
    if (ctx->tx != NULL)
        return fn(ctx, arg);
    if (db->single == NULL)
        return pool_read(ctx, db, fn, arg);
    pthread_mutex_lock(&db->single_lock);
    err_t err = db_conn_run(ctx, db->single, DB_ROLE_READ, fn, arg);
    pthread_mutex_unlock(&db->single_lock);
    return err;
}

/* ---- opening ---- */

static bool read_url(struct db *db, str_t url)
{
    const str_t memory = STR("sqlite::memory:"), file = STR("sqlite:");
    bool is_pg = str_starts(url, STR("postgresql://")) || str_starts(url, STR("postgres://"));
    bool is_file =
        str_starts(url, file) && url.len > file.len && memchr(url.data, '\0', url.len) == NULL;
    db->engine = is_pg ? &db_pg_engine : &db_sqlite_engine;
    db->url = strndup(url.data, url.len);
    str_t path = str_eq(url, memory) || !is_file ? STR("") : str_cut(url, file.len);
    db->path = strndup(path.data, path.len);
    ENSURE(db->url != NULL && db->path != NULL);
    return is_pg || is_file;
}

static void free_parts(struct db *db)
{
    pool_done(&db->readers);
    db_conn_free(db->single != NULL ? db->single : db->writer);
    pthread_mutex_destroy(&db->single_lock);
    free(db->url);
    free(db->path);
    free(db->sql_dir);
    free(db);
}

static err_t open_failed(struct ctx *ctx)
{
    if (ctx->problem.reason != NULL && strcmp(ctx->problem.reason, "db_damaged") == 0)
        return ERR_INTERNAL;
    char detail[sizeof ctx->problem.detail];
    memcpy(detail, ctx->problem.detail, sizeof detail);
    problem_clear(ctx);
    return refuse(ctx, ERR_UPSTREAM, "db_open_failed", "the database does not open: %s", detail);
}

static err_t open_parts(struct ctx *ctx, struct db *db, const struct db_options *options)
{
    struct db_conn *conn = NULL;
    if (db_conn_open(ctx, db, DB_ROLE_WRITE, &conn) != OK)
        return open_failed(ctx);
    if (db->engine->kind == DB_SQLITE)
        db->writer = conn;
    else
        db_conn_free(conn);
    if (db->engine->kind == DB_SQLITE && db->path[0] == '\0')
        db->single = conn;
    TRY(db_refuse_newer(ctx, db));
    int writers = options->writers > 0 ? options->writers : WRITERS_DEFAULT;
    return db_queue_start(ctx, db, options->queue_max > 0 ? options->queue_max : QUEUE_DEFAULT,
                          db->engine->kind == DB_SQLITE ? 1 : writers);
}

err_t db_open(struct ctx *ctx, const struct db_options *options, struct db **out_db)
{
    struct db *db = calloc(1, sizeof *db);
    ENSURE(db != NULL);
    pthread_mutex_init(&db->single_lock, NULL);
    pool_init(&db->readers, options->readers > 0 ? options->readers : READERS_DEFAULT);
    if (options->sql_dir != NULL) {
        db->sql_dir = strdup(options->sql_dir);
        ENSURE(db->sql_dir != NULL);
    }
    err_t err = OK;
    if (!read_url(db, options->url))
        err = refuse(ctx, ERR_INPUT, "db_open_failed",
                     "a database is sqlite:PATH or postgresql://..., not this: " STR_FMT,
                     STR_ARG(options->url));
    else
        err = open_parts(ctx, db, options);
    if (err != OK) {
        free_parts(db);
        return err;
    }
    *out_db = db;
    return OK;
}

void db_close(struct db *db)
{
    if (db == NULL)
        return;
    db_queue_stop(db);
    free_parts(db);
}

enum db_kind db_kind(const struct db *db)
{
    return db->engine->kind;
}

void db_set_participant(struct db *db, const struct db_participant *participant)
{
    db->participant = *participant;
}

void db_stats(struct db *db, struct db_stats *out)
{
    struct db_figures *figures = &db->figures;
    pthread_mutex_lock(&db->queue.lock);
    int depth = db->queue.count;
    pthread_mutex_unlock(&db->queue.lock);
    *out = (struct db_stats){
        .queue_depth = depth,
        .commits = atomic_load(&figures->commits),
        .pieces = atomic_load(&figures->pieces),
        .commit_us_total = atomic_load(&figures->commit_us_total),
        .commit_us_max = atomic_load(&figures->commit_us_max),
        .repeated = atomic_load(&figures->repeated),
        .failed = atomic_load(&figures->failed),
    };
}
