/* SPDX-License-Identifier: Apache-2.0 */
/* The follower: walks the entries by position and notes for each who hears of it and whose timeline
 * shows it, in the same transaction as its cursor. Several instances may follow; the cursor row is
 * locked, so each entry is noted once. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "event/event.h"

enum { FOLLOW_BATCH = 500, FOLLOW_IDLE_MS = 500 };

struct event_hub {
    struct platform *platform;
    void (*wake)(void *state);
    void *wake_state;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t poked;
    int64_t position, pokes;
    bool runs, stopping;
};

struct step {
    int64_t position;
    size_t count;
};

static err_t note_audience(struct ctx *ctx, const struct event *event)
{
    for (size_t at = 0; at + 8 <= event->audience.len; at += 8) {
        uint64_t org = 0;
        for (size_t i = 0; i < 8; i++)
            org = org << 8 | (uint8_t)event->audience.data[at + i];
        TRY(db_exec_one(ctx, "INSERT INTO event_audience (org_id, position) VALUES ($1, $2)",
                        ARGS(A(org), A(event->position))));
    }
    return OK;
}

static err_t follow(struct ctx *ctx, void *arg)
{
    struct step *step = arg;
    struct event *events;
    step->position = 0;
    TRY(db_int(ctx, "SELECT position FROM event_cursor WHERE id = 1 {for_update}", NO_ARGS,
               &step->position));
    TRY(evidence_after(ctx, step->position, FOLLOW_BATCH, &events, &step->count));
    int64_t from = step->position;
    for (size_t i = 0; i < step->count; i++) {
        TRY(note_audience(ctx, &events[i]));
        TRY(db_exec_one(ctx, "INSERT INTO event_root (root_id, position) VALUES ($1, $2)",
                        ARGS(A(events[i].root), A(events[i].position))));
        step->position = events[i].position;
    }
    if (step->count == 0)
        return OK;
    return db_exec_one(ctx, "UPDATE event_cursor SET position = $1 WHERE id = 1 AND position = $2",
                       ARGS(A(step->position), A(from)));
}

static err_t read_position(struct ctx *ctx, void *arg)
{
    return db_int(ctx, "SELECT position FROM event_cursor WHERE id = 1", NO_ARGS, arg);
}

static err_t read_news(struct ctx *ctx, void *arg)
{
    struct event *events;
    struct step *step = arg;
    TRY(read_position(ctx, &step->position));
    return evidence_after(ctx, step->position, 1, &events, &step->count);
}

/* Another instance may have moved the cursor, too: that is news as well. */
static void set_position(struct event_hub *hub, int64_t position)
{
    pthread_mutex_lock(&hub->lock);
    bool news = position > hub->position;
    if (news)
        hub->position = position;
    pthread_mutex_unlock(&hub->lock);
    if (news && hub->wake != NULL)
        hub->wake(hub->wake_state);
}

/* One batch. *out_more: it was full. Nothing new costs a read only. */
static err_t follow_once(struct event_hub *hub, bool *out_more)
{
    struct ctx ctx;
    struct step step = {0};
    *out_more = false;
    ctx_init(&ctx, hub->platform, clock_now());
    err_t err = db_read(&ctx, hub->platform->db, read_news, &step);
    if (err == OK && step.count > 0)
        err = db_write(&ctx, hub->platform->db, follow, &step);
    if (err == OK) {
        set_position(hub, step.position);
        *out_more = step.count == FOLLOW_BATCH;
    } else {
        log_at(LOG_ERROR, "event_follower", "err=%s reason=%s", err_name(err),
               ctx.problem.reason == NULL ? "" : ctx.problem.reason);
    }
    ctx_done(&ctx);
    return err;
}

err_t event_catch_up(struct ctx *ctx)
{
    ENSURE(ctx->tx == NULL);
    struct step step;
    do {
        TRY(db_write(ctx, ctx->platform->db, follow, &step));
    } while (step.count == FOLLOW_BATCH);
    if (ctx->platform->events != NULL)
        set_position(ctx->platform->events, step.position);
    return OK;
}

static void poke_hub(void *hub)
{
    event_poke(hub);
}

err_t event_open(struct ctx *ctx, void (*wake)(void *state), void *wake_state,
                 struct event_hub **out)
{
    struct event_hub *hub = calloc(1, sizeof *hub);
    ENSURE(hub != NULL);
    hub->platform = ctx->platform;
    hub->wake = wake;
    hub->wake_state = wake_state;
    err_t err = db_read(ctx, ctx->platform->db, read_position, &hub->position);
    if (err != OK) {
        free(hub);
        return err;
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&hub->poked, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&hub->lock, NULL);
    if (ctx->platform->evidence != NULL)
        evidence_on_commit(ctx->platform->evidence, poke_hub, hub);
    *out = hub;
    return OK;
}

static void wait_poked(struct event_hub *hub)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += FOLLOW_IDLE_MS * 1000000L;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&hub->poked, &hub->lock, &until);
}

static void *follow_main(void *arg)
{
    struct event_hub *hub = arg;
    pthread_mutex_lock(&hub->lock);
    while (!hub->stopping) {
        int64_t pokes = hub->pokes;
        bool more;
        pthread_mutex_unlock(&hub->lock);
        err_t err = follow_once(hub, &more);
        pthread_mutex_lock(&hub->lock);
        if (!hub->stopping && (err != OK || (!more && pokes == hub->pokes)))
            wait_poked(hub);
    }
    pthread_mutex_unlock(&hub->lock);
    return NULL;
}

void event_start(struct event_hub *hub)
{
    hub->runs = pthread_create(&hub->thread, NULL, follow_main, hub) == 0;
    ENSURE(hub->runs);
}

void event_close(struct event_hub *hub)
{
    if (hub == NULL)
        return;
    if (hub->platform->evidence != NULL)
        evidence_on_commit(hub->platform->evidence, NULL, NULL);
    pthread_mutex_lock(&hub->lock);
    hub->stopping = true;
    pthread_cond_broadcast(&hub->poked);
    pthread_mutex_unlock(&hub->lock);
    if (hub->runs)
        pthread_join(hub->thread, NULL);
    pthread_cond_destroy(&hub->poked);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

void event_poke(struct event_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    hub->pokes++;
    pthread_cond_signal(&hub->poked);
    pthread_mutex_unlock(&hub->lock);
}

int64_t event_position(struct event_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    int64_t position = hub->position;
    pthread_mutex_unlock(&hub->lock);
    return position;
}
