/* SPDX-License-Identifier: Apache-2.0 */
/* Runs due jobs on threads of its own. A thread looks when it is poked, when the next known job
 * falls due, and at least once a second (another instance may have scheduled one). Looking is a
 * read; only what is due costs a write. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "job/job.h"

enum {
    RUNNER_THREADS_MAX = 16,
    NICE = 10,
    LOOK_MS = 1000,
    AGAIN_MS = 50,
    LEASE_MS = 2 * MS_MINUTE
};

struct job_runner {
    struct platform *platform;
    struct job_handler *handlers;
    int count, thread_count;
    pthread_t threads[RUNNER_THREADS_MAX];
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int64_t pokes;
    bool stopping;
};

struct looking {
    const struct job_handler *handler;
    utc_t due;
    struct job *jobs;
    size_t count;
};

static err_t look(struct ctx *ctx, void *arg)
{
    struct looking *looking = arg;
    return job_next_due(ctx, looking->handler->kind, &looking->due);
}

static err_t take(struct ctx *ctx, void *arg)
{
    struct looking *looking = arg;
    return job_take(ctx, looking->handler->kind, LEASE_MS, 1, &looking->jobs, &looking->count);
}

static void log_failed(const struct ctx *ctx, const char *what, err_t err)
{
    log_at(LOG_ERROR, "job_runner", "what=%s err=%s reason=%s", what, err_name(err),
           ctx->problem.reason == NULL ? "" : ctx->problem.reason);
}

/* Runs one job of the kind if one is due. *next_ms: how long until another look is worth it. */
static bool run_one(struct job_runner *runner, const struct job_handler *handler, int64_t *next_ms)
{
    struct ctx ctx;
    struct looking looking = {.handler = handler};
    ctx_init(&ctx, runner->platform, clock_now());
    err_t err = db_read(&ctx, runner->platform->db, look, &looking);
    int64_t wait_ms = looking.due.ms - ctx.now.ms;
    bool is_due = err == OK && looking.due.ms != 0 && wait_ms <= 0;
    if (err == OK && looking.due.ms != 0 && wait_ms > 0 && wait_ms < *next_ms)
        *next_ms = wait_ms;
    if (is_due)
        err = db_write(&ctx, runner->platform->db, take, &looking);
    if (err != OK)
        log_failed(&ctx, "take", err);
    bool ran = err == OK && looking.count > 0;
    if (is_due && !ran)
        *next_ms = AGAIN_MS;
    if (ran) {
        problem_clear(&ctx);
        handler->run(&ctx, &looking.jobs[0], handler->state);
    }
    ctx_done(&ctx);
    return ran;
}

static void wait_ms(struct job_runner *runner, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&runner->wake, &runner->lock, &until);
}

static void *run_thread(void *arg)
{
    struct job_runner *runner = arg;
    /* Nobody waits for a job as people wait for an answer. On Linux this is of the thread alone. */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    pthread_mutex_lock(&runner->lock);
    while (!runner->stopping) {
        int64_t pokes = runner->pokes, next_ms = LOOK_MS;
        bool ran = false;
        for (int i = 0; i < runner->count && !runner->stopping; i++) {
            pthread_mutex_unlock(&runner->lock);
            ran = run_one(runner, &runner->handlers[i], &next_ms) || ran;
            pthread_mutex_lock(&runner->lock);
        }
        if (!ran && !runner->stopping && pokes == runner->pokes)
            wait_ms(runner, next_ms);
    }
    pthread_mutex_unlock(&runner->lock);
    return NULL;
}

struct job_runner *job_start(struct platform *platform, const struct job_handler *handlers,
                             int count, int threads)
{
    struct job_runner *runner = calloc(1, sizeof *runner);
    ENSURE(runner != NULL && count > 0 && threads > 0);
    runner->platform = platform;
    runner->handlers = calloc((size_t)count, sizeof *handlers);
    ENSURE(runner->handlers != NULL);
    memcpy(runner->handlers, handlers, (size_t)count * sizeof *handlers);
    runner->count = count;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&runner->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&runner->lock, NULL);
    for (int i = 0; i < threads && i < RUNNER_THREADS_MAX; i++)
        if (pthread_create(&runner->threads[runner->thread_count], NULL, run_thread, runner) == 0)
            runner->thread_count++;
    ENSURE(runner->thread_count > 0);
    return runner;
}

void job_poke(struct job_runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    runner->pokes++;
    pthread_cond_broadcast(&runner->wake);
    pthread_mutex_unlock(&runner->lock);
}

void job_stop(struct job_runner *runner)
{
    if (runner == NULL)
        return;
    pthread_mutex_lock(&runner->lock);
    runner->stopping = true;
    pthread_cond_broadcast(&runner->wake);
    pthread_mutex_unlock(&runner->lock);
    for (int i = 0; i < runner->thread_count; i++)
        pthread_join(runner->threads[i], NULL);
    pthread_cond_destroy(&runner->wake);
    pthread_mutex_destroy(&runner->lock);
    free(runner->handlers);
    free(runner);
}
