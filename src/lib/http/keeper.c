/* SPDX-License-Identifier: Apache-2.0 */
/* Once a second: cuts connections whose request does not arrive in time (the HTTP library only sees
 * silence, not a trickle). Every ten minutes: deletes stored replies older than 24 hours. */
#include "http_internal.h"

#include <sys/socket.h>
#include <time.h>

enum { PURGE_EVERY_S = 600 };

static void cut_late(struct http_server *server)
{
    int64_t now = clock_monotonic_us();
    pthread_mutex_lock(&server->conns_mutex);
    for (struct conn *conn = server->conns; conn; conn = conn->next)
        if (atomic_load(&conn->deadline_us) < now)
            shutdown(conn->fd, SHUT_RDWR);
    pthread_mutex_unlock(&server->conns_mutex);
}

static bool is_stopping(struct http_server *server)
{
    pthread_mutex_lock(&server->keeper_mutex);
    bool stopping = server->keeper_stop;
    pthread_mutex_unlock(&server->keeper_mutex);
    return stopping || atomic_load(&server->stopping);
}

static void purge(struct http_server *server)
{
    struct db *db = server->platform ? server->platform->db : NULL;
    int64_t deleted = db ? 1 : 0;
    while (deleted > 0 && !is_stopping(server)) {
        struct ctx ctx;
        ctx_init(&ctx, server->platform, clock_now());
        deleted = 0;
        if (db_write(&ctx, db, idempotency_purge, &deleted) != OK) {
            log_at(LOG_WARN, "reply_purge", "reason=%s", ctx.problem.reason);
            deleted = 0;
        }
        ctx_done(&ctx);
        cut_late(server);
    }
}

static void *keep(void *arg)
{
    struct http_server *server = arg;
    int seconds = 0;
    pthread_mutex_lock(&server->keeper_mutex);
    while (!server->keeper_stop) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += 1;
        pthread_cond_timedwait(&server->keeper_wake, &server->keeper_mutex, &until);
        if (server->keeper_stop)
            break;
        pthread_mutex_unlock(&server->keeper_mutex);
        cut_late(server);
        if (seconds++ % PURGE_EVERY_S == 0)
            purge(server);
        pthread_mutex_lock(&server->keeper_mutex);
    }
    pthread_mutex_unlock(&server->keeper_mutex);
    return NULL;
}

bool keeper_start(struct http_server *server)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&server->keeper_mutex, NULL);
    pthread_cond_init(&server->keeper_wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    server->keeper_started = pthread_create(&server->keeper, NULL, keep, server) == 0;
    return server->keeper_started;
}

void keeper_stop(struct http_server *server)
{
    if (!server->keeper_started)
        return;
    pthread_mutex_lock(&server->keeper_mutex);
    server->keeper_stop = true;
    pthread_cond_signal(&server->keeper_wake);
    pthread_mutex_unlock(&server->keeper_mutex);
    pthread_join(server->keeper, NULL);
    pthread_cond_destroy(&server->keeper_wake);
    pthread_mutex_destroy(&server->keeper_mutex);
}
