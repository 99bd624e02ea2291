/* SPDX-License-Identifier: Apache-2.0 */
/* Runs an exchange while its connection is suspended: on the database's writer (TX_WRITE) or on a
 * worker. The order is always actor, permission, held refusals, stored reply, handler: who may not
 * act learns nothing about the body. */
#include "http_internal.h"

#include <stdlib.h>

static struct db *db_of(const struct exchange *x)
{
    return x->server->platform ? x->server->platform->db : NULL;
}

static bool is_nobody(const struct actor *actor)
{
    return actor->user_id.value == 0 && actor->client_id.value == 0;
}

static err_t establish_actor(struct ctx *ctx, struct exchange *x)
{
    const struct http_hooks *hooks = &x->server->options.hooks;
    const struct request *request = &x->request;
    bool is_public = request->route->flags & ROUTE_PUBLIC;
    ctx->actor = (struct actor){0};
    err_t known = hooks->authenticate ? hooks->authenticate(ctx, request) : OK;
    if (known == ERR_AUTH && is_public && !request->authorization.data) {
        /* An old cookie does not lock anyone out of what is open to all. */
        problem_clear(ctx);
        ctx->actor = (struct actor){0};
        known = OK;
    }
    TRY(known);
    if (is_public)
        return OK;
    if (is_nobody(&ctx->actor) && !request->over_admin_socket)
        return refuse(ctx, ERR_AUTH, "unauthenticated", "log in, or send a token");
    if (!hooks->authorise)
        return refuse(ctx, ERR_DENIED, "permission_denied", "nobody decides who may do this");
    return hooks->authorise(ctx, request);
}

err_t check_held(struct exchange *x)
{
    if (x->held != OK)
        x->ctx.problem = *x->held_problem;
    return x->held;
}

static err_t enter(struct ctx *ctx, struct exchange *x, bool *out_replayed)
{
    *out_replayed = false;
    reply_init(x);
    ctx->facts = NULL;
    x->stored = x->replayed = false;
    x->row_id = REF_NONE;
    TRY(establish_actor(ctx, x));
    TRY(check_held(x));
    /* Strangers share no scope: one must not get another's reply by guessing a key. */
    if (is_nobody(&ctx->actor) && !x->request.over_admin_socket)
        x->keyed = false;
    if (x->keyed)
        TRY(idempotency_begin(ctx, x, out_replayed));
    if ((x->request.route->flags & ROUTE_STREAM) && !x->stream_admitted)
        TRY(stream_admit(ctx, x));
    return OK;
}

static err_t handle(struct ctx *ctx, struct exchange *x)
{
    TRY(x->request.route->handler(ctx, &x->request, &x->reply));
    if (x->reply.body.overflow)
        return refuse(ctx, ERR_INTERNAL, "reply_too_large", "more than %d bytes", REPLY_BODY_MAX);
    return OK;
}

static bool is_stored(const struct exchange *x)
{
    return x->keyed && !x->replayed && x->reply.status < 400;
}

static err_t run_in_tx(struct ctx *ctx, void *arg)
{
    struct exchange *x = arg;
    bool replayed = false;
    TRY(enter(ctx, x, &replayed));
    if (replayed)
        return OK;
    TRY(handle(ctx, x));
    return is_stored(x) && x->request.route->tx == TX_WRITE ? idempotency_store(ctx, x) : OK;
}

static err_t run_enter_only(struct ctx *ctx, void *arg)
{
    struct exchange *x = arg;
    bool replayed = false;
    return enter(ctx, x, &replayed);
}

static err_t run_store_only(struct ctx *ctx, void *arg)
{
    return idempotency_store(ctx, arg);
}

/* The handler opens what transactions it needs; actor and stored reply are read in a short one
 * before it. */
static err_t run_without_tx(struct ctx *ctx, struct exchange *x)
{
    struct db *db = db_of(x);
    TRY(db ? db_read(ctx, db, run_enter_only, x) : run_enter_only(ctx, x));
    if (x->replayed)
        return OK;
    TRY(handle(ctx, x));
    if (!is_stored(x) || !db)
        return OK;
    /* What the handler did is done: a reply that cannot be stored is still the reply. */
    if (db_write(ctx, db, run_store_only, x) != OK) {
        x->stored = false;
        problem_clear(ctx);
    }
    return OK;
}

static void finished(struct ctx *ctx, void *arg, err_t result)
{
    (void)ctx;
    struct exchange *x = arg;
    idempotency_done(x, result == OK);
    if (result != OK && x->keyed && idempotency_lost(x)) {
        /* Another instance stored this key first: the next try gets its reply. */
        problem_clear(&x->ctx);
        result = refuse(&x->ctx, ERR_CONFLICT, "idempotency_in_progress",
                        "the first request with this key is still running");
        x->ctx.problem.retry_after_s = 1;
    }
    x->result = result;
    x->state = EX_READY;
    MHD_resume_connection(x->connection);
}

static void run_on_worker(struct exchange *x)
{
    struct db *db = db_of(x);
    err_t result = OK;
    if (x->request.route->tx == TX_NONE)
        result = run_without_tx(&x->ctx, x);
    else if (db)
        result = db_read(&x->ctx, db, run_in_tx, x);
    else
        result = run_in_tx(&x->ctx, x);
    finished(&x->ctx, x, result);
}

static void *worker(void *arg)
{
    struct work_pool *pool = &((struct http_server *)arg)->pool;
    pthread_mutex_lock(&pool->mutex);
    while (true) {
        while (!pool->head && !pool->stopping)
            pthread_cond_wait(&pool->filled, &pool->mutex);
        struct exchange *x = pool->head;
        if (!x)
            break;
        pool->head = x->next;
        if (!pool->head)
            pool->tail = NULL;
        pool->depth--;
        pthread_mutex_unlock(&pool->mutex);
        run_on_worker(x);
        pthread_mutex_lock(&pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

static bool pool_put(struct work_pool *pool, struct exchange *x)
{
    pthread_mutex_lock(&pool->mutex);
    bool taken = pool->depth < WORK_QUEUE_MAX && !pool->stopping;
    if (taken) {
        x->next = NULL;
        if (pool->tail)
            pool->tail->next = x;
        else
            pool->head = x;
        pool->tail = x;
        pool->depth++;
        pthread_cond_signal(&pool->filled);
    }
    pthread_mutex_unlock(&pool->mutex);
    return taken;
}

bool pool_start(struct http_server *server, int threads)
{
    struct work_pool *pool = &server->pool;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->filled, NULL);
    pool->threads = calloc((size_t)threads, sizeof *pool->threads);
    ENSURE(pool->threads);
    for (int i = 0; i < threads; i++) {
        if (pthread_create(&pool->threads[i], NULL, worker, server) != 0)
            return false;
        pool->thread_count++;
    }
    return true;
}

void pool_stop(struct http_server *server)
{
    struct work_pool *pool = &server->pool;
    if (!pool->threads)
        return;
    pthread_mutex_lock(&pool->mutex);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->filled);
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    free(pool->threads);
    pthread_cond_destroy(&pool->filled);
    pthread_mutex_destroy(&pool->mutex);
}

bool run_exchange(struct exchange *x)
{
    struct db *db = db_of(x);
    if (x->request.route->tx == TX_WRITE && db)
        return db_write_async(&x->ctx, db, run_in_tx, x, finished);
    return pool_put(&x->server->pool, x);
}
