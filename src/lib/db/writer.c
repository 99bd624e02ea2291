/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of write pieces and those who empty it. SQLite: one thread, many pieces in one commit.
 * PostgreSQL: several threads, each piece a transaction of its own. A piece is answered only after
 * its commit or rollback, and always exactly once. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "db_internal.h"

static err_t refuse_concurrent(struct ctx *ctx)
{
    return refuse(ctx, ERR_CONFLICT, "concurrent_change", "another change came first, each time");
}

static void count_commit(struct db *db, int64_t started_us, int pieces)
{
    struct db_figures *figures = &db->figures;
    int64_t us = clock_monotonic_us() - started_us;
    atomic_fetch_add(&figures->commits, 1);
    atomic_fetch_add(&figures->pieces, pieces);
    atomic_fetch_add(&figures->commit_us_total, us);
    int64_t max = atomic_load(&figures->commit_us_max);
    while (us > max && !atomic_compare_exchange_weak(&figures->commit_us_max, &max, us)) {
    }
}

/* One run of a piece in the open transaction. */
static err_t run_piece(struct db_conn *conn, struct db_piece *piece)
{
    struct ctx *ctx = piece->ctx;
    problem_clear(ctx);
    ctx->facts = NULL;
    conn->tx.broken = false;
    ctx->tx = &conn->tx;
    err_t err = piece->fn(ctx, piece->arg);
    ctx->tx = NULL;
    if (err == OK)
        err = db_conn_flush(ctx, conn);
    if (err == OK && conn->tx.broken)
        err = refuse(ctx, ERR_INTERNAL, "db_transaction_broken",
                     "a refused statement was passed over");
    return err;
}

/* Lets the participant add its rows; afterwards it waits for `after`. */
static err_t run_participant(struct db_conn *conn, struct ctx **members, int count)
{
    struct db_participant *participant = &conn->db->participant;
    if (participant->before_commit == NULL)
        return OK;
    conn->tx.broken = false;
    for (int i = 0; i < count; i++)
        members[i]->tx = &conn->tx;
    err_t err = participant->before_commit(participant->state, members, count);
    for (int i = 0; i < count; i++)
        members[i]->tx = NULL;
    if (err == OK)
        err = db_conn_flush(members[0], conn);
    if (err == OK && conn->tx.broken)
        err = refuse(members[0], ERR_INTERNAL, "db_transaction_broken",
                     "a refused statement was passed over");
    return err;
}

static void tell_participant(struct db *db, bool committed)
{
    if (db->participant.before_commit != NULL && db->participant.after != NULL)
        db->participant.after(db->participant.state, committed);
}

/* ---- queue ---- */

static bool take_piece(struct db_queue *queue, bool wait, struct db_piece *out)
{
    pthread_mutex_lock(&queue->lock);
    while (wait && queue->count == 0 && !queue->stopping)
        pthread_cond_wait(&queue->wake, &queue->lock);
    bool has_piece = queue->count > 0;
    if (has_piece) {
        *out = queue->ring[queue->head];
        queue->head = (queue->head + 1) % queue->capacity;
        queue->count--;
    }
    pthread_mutex_unlock(&queue->lock);
    return has_piece;
}

bool db_write_async(struct ctx *ctx, struct db *db, db_work_fn fn, void *arg,
                    void (*done)(struct ctx *ctx, void *arg, err_t result))
{
    ENSURE(ctx->tx == NULL);
    struct db_queue *queue = &db->queue;
    pthread_mutex_lock(&queue->lock);
    ENSURE(!queue->stopping);
    bool has_room = queue->count < queue->capacity;
    if (has_room) {
        int at = (queue->head + queue->count) % queue->capacity;
        queue->ring[at] = (struct db_piece){.ctx = ctx, .fn = fn, .arg = arg, .done = done};
        queue->count++;
        pthread_cond_signal(&queue->wake);
    }
    pthread_mutex_unlock(&queue->lock);
    return has_room;
}

struct waiter {
    db_work_fn fn;
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool is_done;
    err_t result;
};

static err_t run_waiter(struct ctx *ctx, void *arg)
{
    struct waiter *waiter = arg;
    return waiter->fn(ctx, waiter->arg);
}

static void wake_waiter(struct ctx *ctx, void *arg, err_t result)
{
    (void)ctx;
    struct waiter *waiter = arg;
    pthread_mutex_lock(&waiter->lock);
    waiter->result = result;
    waiter->is_done = true;
    pthread_cond_signal(&waiter->answered);
    pthread_mutex_unlock(&waiter->lock);
}

err_t db_write(struct ctx *ctx, struct db *db, db_work_fn fn, void *arg)
{
    for (int i = 0; i < db->queue.thread_count; i++)
        ENSURE(!pthread_equal(pthread_self(), db->queue.threads[i]));
    struct waiter waiter = {.fn = fn, .arg = arg};
    pthread_mutex_init(&waiter.lock, NULL);
    pthread_cond_init(&waiter.answered, NULL);
    err_t result = OK;
    if (db_write_async(ctx, db, run_waiter, &waiter, wake_waiter)) {
        pthread_mutex_lock(&waiter.lock);
        while (!waiter.is_done)
            pthread_cond_wait(&waiter.answered, &waiter.lock);
        pthread_mutex_unlock(&waiter.lock);
        result = waiter.result;
    } else {
        result = refuse_status(ctx, 503, "queue_full", "too many changes are waiting");
        ctx->problem.retry_after_s = 1;
    }
    pthread_cond_destroy(&waiter.answered);
    pthread_mutex_destroy(&waiter.lock);
    return result;
}

static void answer(struct db *db, struct db_piece *piece)
{
    if (piece->result == ERR_INTERNAL || piece->result == ERR_UPSTREAM)
        atomic_fetch_add(&db->figures.failed, 1);
    piece->done(piece->ctx, piece->arg, piece->result);
}

/* ---- SQLite: group commit ---- */

/* Most pieces succeed, and most refusals come before anything was changed: neither needs a
 * savepoint, which costs a copy of every page that a piece touches. So a batch runs without; only
 * when a piece changed something and then refused, the batch is rolled back and run again with a
 * savepoint for each piece, and so are the next few, since such refusals come in swarms. */
struct batch {
    struct db_piece piece[DB_BATCH_MAX];
    struct ctx *member[DB_BATCH_MAX];
    int count, member_count;
    bool is_spoilt;  /* something is in the transaction that must not be committed */
    struct ctx self; /* problems that belong to no single piece */
};

/* false: the transaction is gone, or holds what a refused piece left behind. */
static bool run_bare(struct db_conn *conn, struct batch *batch, struct db_piece *piece)
{
    const struct db_engine *engine = conn->db->engine;
    int64_t changes = engine->changes(conn);
    for (int run = 0; run < 2; run++) {
        piece->result = run_piece(conn, piece);
        if (!engine->is_open(conn))
            return false;
        if (piece->result == OK)
            return true;
        batch->is_spoilt = engine->changes(conn) != changes;
        if (batch->is_spoilt)
            return false;
        if (piece->result != ERR_AGAIN)
            return true;
        atomic_fetch_add(&conn->db->figures.repeated, run == 0);
    }
    piece->result = refuse_concurrent(piece->ctx);
    return true;
}

/* A refused piece is undone alone. false: the whole transaction is gone. */
static bool run_in_savepoint(struct db_conn *conn, struct batch *batch, struct db_piece *piece)
{
    const struct db_engine *engine = conn->db->engine;
    for (int run = 0; run < 2; run++) {
        if (engine->savepoint(&batch->self, conn, DB_SAVEPOINT) != OK)
            return false;
        piece->result = run_piece(conn, piece);
        if (!engine->is_open(conn))
            return false;
        if (piece->result != OK && engine->savepoint(&batch->self, conn, DB_ROLLBACK_TO) != OK)
            return false;
        if (engine->savepoint(&batch->self, conn, DB_RELEASE) != OK)
            return false;
        if (piece->result != ERR_AGAIN)
            return true;
        atomic_fetch_add(&conn->db->figures.repeated, run == 0);
    }
    piece->result = refuse_concurrent(piece->ctx);
    return true;
}

static bool run_and_join(struct db_conn *conn, struct batch *batch, struct db_piece *piece)
{
    bool is_careful = conn->db->careful_batches > 0;
    bool is_good = is_careful ? run_in_savepoint(conn, batch, piece) : run_bare(conn, batch, piece);
    if (is_good && piece->result == OK)
        batch->member[batch->member_count++] = piece->ctx;
    return is_good;
}

/* Ends the transaction of the batch; *out_err says why it was not committed. */
static bool commit_batch(struct db_conn *conn, struct batch *batch, err_t *out_err)
{
    struct db *db = conn->db;
    if (batch->member_count == 0) {
        db->engine->rollback(conn);
        return true;
    }
    struct ctx *first = batch->member[0];
    *out_err = run_participant(conn, batch->member, batch->member_count);
    if (*out_err == OK) {
        int64_t started_us = clock_monotonic_us();
        *out_err = db_conn_commit(first, conn);
        if (*out_err == OK)
            count_commit(db, started_us, batch->member_count);
    }
    if (*out_err != OK)
        db->engine->rollback(conn);
    tell_participant(db, *out_err == OK);
    return *out_err == OK;
}

/* Runs the pieces of a spoilt batch again, each in a savepoint. */
static bool refill_batch(struct db_conn *conn, struct batch *batch)
{
    conn->db->engine->rollback(conn);
    conn->db->careful_batches = DB_CAREFUL_BATCHES;
    batch->is_spoilt = false;
    batch->member_count = 0;
    if (conn->db->engine->begin(&batch->self, conn, DB_ROLE_WRITE) != OK)
        return false;
    for (int i = 0; i < batch->count; i++)
        if (!run_and_join(conn, batch, &batch->piece[i]))
            return false;
    return true;
}

/* A piece whose batch was lost runs alone: begin, piece, commit. What fails now is its answer. */
static void run_single(struct db_conn *conn, struct batch *batch, struct db_piece *piece)
{
    const struct db_engine *engine = conn->db->engine;
    batch->member_count = 0;
    atomic_fetch_add(&conn->db->figures.repeated, 1);
    problem_clear(piece->ctx);
    piece->result = engine->begin(piece->ctx, conn, DB_ROLE_WRITE);
    if (piece->result != OK)
        return;
    bool is_open = run_and_join(conn, batch, piece);
    err_t err = OK;
    if (is_open && !commit_batch(conn, batch, &err)) {
        piece->result = err == ERR_AGAIN ? refuse_concurrent(piece->ctx) : err;
        return;
    }
    engine->rollback(conn);
    if (!is_open && (piece->result == OK || piece->result == ERR_AGAIN))
        piece->result = refuse(piece->ctx, ERR_INTERNAL, "storage_failed",
                               "the transaction was lost: %s", batch->self.problem.detail);
}

/* Begins, then takes what is queued until the batch is full or has worked long enough. */
static bool fill_batch(struct db_conn *conn, struct batch *batch)
{
    struct db *db = conn->db;
    int64_t started_us = clock_monotonic_us();
    if (db->engine->begin(&batch->self, conn, DB_ROLE_WRITE) != OK)
        return false;
    bool is_open = run_and_join(conn, batch, &batch->piece[0]);
    while (is_open && batch->count < DB_BATCH_MAX &&
           clock_monotonic_us() - started_us < DB_BATCH_US) {
        if (!take_piece(&db->queue, false, &batch->piece[batch->count]))
            break;
        is_open = run_and_join(conn, batch, &batch->piece[batch->count++]);
    }
    return is_open;
}

static void run_batch(struct db_conn *conn, struct batch *batch)
{
    if (conn->statement_count > DB_STATEMENTS_MAX)
        db_statements_forget(conn);
    problem_clear(&batch->self);
    batch->is_spoilt = false;
    batch->member_count = 0;
    batch->count = 1;
    err_t err = OK;
    if (conn->db->careful_batches > 0)
        conn->db->careful_batches--;
    bool is_filled = fill_batch(conn, batch);
    if (batch->is_spoilt && batch->count == 1 && batch->piece[0].result != ERR_AGAIN) {
        conn->db->engine->rollback(conn); /* nobody else is in it, so its answer stands */
        return;
    }
    if (batch->is_spoilt)
        is_filled = refill_batch(conn, batch);
    if (is_filled && commit_batch(conn, batch, &err))
        return;
    conn->db->engine->rollback(conn);
    conn->db->careful_batches = DB_CAREFUL_BATCHES;
    for (int i = 0; i < batch->count; i++)
        run_single(conn, batch, &batch->piece[i]);
}

static void *run_group_writer(void *arg)
{
    struct db *db = arg;
    struct batch *batch = calloc(1, sizeof *batch);
    ENSURE(batch != NULL);
    while (take_piece(&db->queue, true, &batch->piece[0])) {
        if (db->single != NULL)
            pthread_mutex_lock(&db->single_lock);
        run_batch(db->writer, batch);
        if (db->single != NULL)
            pthread_mutex_unlock(&db->single_lock);
        for (int i = 0; i < batch->count; i++)
            answer(db, &batch->piece[i]);
    }
    free(batch);
    return NULL;
}

/* ---- PostgreSQL: a transaction per piece ---- */

/* Begins; a connection that died while idle is replaced once, since nothing has run on it yet. */
static err_t begin_alive(struct ctx *ctx, struct db *db, struct db_conn **conn)
{
    for (int run = 0;; run++) {
        if (*conn != NULL && !db->engine->is_alive(*conn)) {
            db_conn_free(*conn);
            *conn = NULL;
        }
        if (*conn == NULL)
            TRY(db_conn_open(ctx, db, DB_ROLE_WRITE, conn));
        if ((*conn)->statement_count > DB_STATEMENTS_MAX)
            db_statements_forget(*conn);
        err_t err = db->engine->begin(ctx, *conn, DB_ROLE_WRITE);
        if (err == OK || run > 0 || db->engine->is_alive(*conn))
            return err;
        problem_clear(ctx);
    }
}

static err_t run_transaction(struct db *db, struct db_conn **conn, struct db_piece *piece)
{
    struct ctx *ctx = piece->ctx;
    problem_clear(ctx);
    TRY(begin_alive(ctx, db, conn));
    err_t err = run_piece(*conn, piece);
    if (err != OK) {
        db->engine->rollback(*conn);
        return err;
    }
    err = run_participant(*conn, &ctx, 1);
    if (err == OK) {
        int64_t started_us = clock_monotonic_us();
        err = db_conn_commit(ctx, *conn);
        if (err == OK)
            count_commit(db, started_us, 1);
    } else {
        db->engine->rollback(*conn);
    }
    tell_participant(db, err == OK);
    return err;
}

/* Those who lost against each other should not meet again. */
static void pause_before_repeat(int run)
{
    uint64_t spread = (uint64_t)clock_monotonic_us() * 0x9e3779b97f4a7c15u >> 40;
    struct timespec time = {.tv_nsec = (long)(spread % (1000u << run)) * 1000};
    nanosleep(&time, NULL);
}

static void run_repeatedly(struct db *db, struct db_conn **conn, struct db_piece *piece)
{
    piece->result = run_transaction(db, conn, piece);
    for (int run = 0; piece->result == ERR_AGAIN && run < DB_REPEAT_MAX; run++) {
        atomic_fetch_add(&db->figures.repeated, 1);
        pause_before_repeat(run);
        piece->result = run_transaction(db, conn, piece);
    }
    if (piece->result == ERR_AGAIN)
        piece->result = refuse_concurrent(piece->ctx);
}

static void *run_worker(void *arg)
{
    struct db *db = arg;
    struct db_conn *conn = NULL;
    struct db_piece piece = {0};
    while (take_piece(&db->queue, true, &piece)) {
        run_repeatedly(db, &conn, &piece);
        answer(db, &piece);
    }
    db_conn_free(conn);
    return NULL;
}

err_t db_queue_start(struct ctx *ctx, struct db *db, int queue_max, int threads)
{
    struct db_queue *queue = &db->queue;
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->wake, NULL);
    queue->capacity = queue_max;
    queue->ring = calloc((size_t)queue_max, sizeof(struct db_piece));
    queue->threads = calloc((size_t)threads, sizeof(pthread_t));
    ENSURE(queue->ring != NULL && queue->threads != NULL);
    void *(*run)(void *) = db->engine->kind == DB_SQLITE ? run_group_writer : run_worker;
    for (int i = 0; i < threads; i++) {
        if (pthread_create(&queue->threads[i], NULL, run, db) != 0) {
            db_queue_stop(db);
            return refuse(ctx, ERR_INTERNAL, "db_open_failed", "no thread for writing");
        }
        queue->thread_count++;
    }
    return OK;
}

void db_queue_stop(struct db *db)
{
    struct db_queue *queue = &db->queue;
    pthread_mutex_lock(&queue->lock);
    queue->stopping = true;
    pthread_cond_broadcast(&queue->wake);
    pthread_mutex_unlock(&queue->lock);
    for (int i = 0; i < queue->thread_count; i++)
        pthread_join(queue->threads[i], NULL);
    free(queue->ring);
    free(queue->threads);
    pthread_cond_destroy(&queue->wake);
    pthread_mutex_destroy(&queue->lock);
}
