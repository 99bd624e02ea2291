/* SPDX-License-Identifier: Apache-2.0 */
/* Replies that go on (SSE). One thread asks every stream for news when something happened or a
 * second passed; a connection sleeps (suspended) until there is something to send. A stream is
 * freed by whoever lets go last: its connection or that thread. */
#include "http_internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct stream {
    struct stream *previous, *next;
    struct exchange *x;
    struct MHD_Connection *connection;
    struct arena *arena;
    struct buf out;
    size_t sent;
    bool suspended, ended, busy, gone, give_exchange;
    int64_t last_us;
};

static struct stream_hub *hub_of(const struct stream *stream)
{
    return &stream->x->server->hub;
}

/* ---- who may have one ---- */
static uint64_t owner_of(const struct exchange *x)
{
    const struct actor *actor = &x->ctx.actor;
    if (actor->user_id.value)
        return (uint64_t)actor->user_id.value;
    if (actor->client_id.value)
        return (uint64_t)actor->client_id.value;
    return str_hash(x->request.client_ip) | 1;
}

err_t stream_admit(struct ctx *ctx, struct exchange *x)
{
    struct stream_hub *hub = &x->server->hub;
    uint64_t owner = owner_of(x);
    int same = 0;
    pthread_mutex_lock(&hub->mutex);
    for (int i = 0; i < hub->count; i++)
        same += hub->owners[i] == owner;
    bool room = hub->count < STREAMS_MAX && same < STREAMS_PER_ACTOR;
    if (room) {
        hub->owners[hub->count++] = owner;
        x->stream_owner = owner;
        x->stream_admitted = true;
    }
    pthread_mutex_unlock(&hub->mutex);
    if (room)
        return OK;
    err_t code =
        refuse(ctx, ERR_LIMIT, "too_many_streams", "at most %d at a time", STREAMS_PER_ACTOR);
    ctx->problem.retry_after_s = 5;
    return code;
}

static void release_locked(struct stream_hub *hub, struct exchange *x)
{
    if (!x->stream_admitted)
        return;
    x->stream_admitted = false;
    for (int i = 0; i < hub->count; i++)
        if (hub->owners[i] == x->stream_owner) {
            hub->owners[i] = hub->owners[--hub->count];
            return;
        }
}

void stream_release(struct exchange *x)
{
    if (!x->stream_admitted)
        return;
    pthread_mutex_lock(&x->server->hub.mutex);
    release_locked(&x->server->hub, x);
    pthread_mutex_unlock(&x->server->hub.mutex);
}

int64_t streams_count(struct http_server *server)
{
    pthread_mutex_lock(&server->hub.mutex);
    int64_t count = server->hub.count;
    pthread_mutex_unlock(&server->hub.mutex);
    return count;
}

/* ---- the connection's side ---- */
static void unlink_locked(struct stream_hub *hub, struct stream *stream)
{
    if (stream->previous)
        stream->previous->next = stream->next;
    else
        hub->streams = stream->next;
    if (stream->next)
        stream->next->previous = stream->previous;
    release_locked(hub, stream->x);
}

/* Not under the lock: close() is foreign code. */
static void dispose(struct stream *stream)
{
    struct exchange *x = stream->x;
    if (x->reply.stream.close)
        x->reply.stream.close(x->reply.stream.state);
    x->reply.stream = (struct http_stream){0};
    pthread_mutex_lock(&x->server->hub.mutex);
    bool give = stream->give_exchange;
    x->stream = NULL;
    pthread_mutex_unlock(&x->server->hub.mutex);
    arena_free(stream->arena);
    free(stream);
    if (give)
        exchange_give(x);
}

static void on_response_freed(void *cls)
{
    struct stream *stream = cls;
    struct stream_hub *hub = hub_of(stream);
    pthread_mutex_lock(&hub->mutex);
    stream->gone = true;
    bool mine = !stream->busy;
    if (mine)
        unlink_locked(hub, stream);
    pthread_mutex_unlock(&hub->mutex);
    if (mine)
        dispose(stream);
}

bool stream_keeps(struct exchange *x)
{
    if (!x->request.route || !(x->request.route->flags & ROUTE_STREAM))
        return false;
    pthread_mutex_lock(&x->server->hub.mutex);
    bool keeps = x->stream != NULL;
    if (keeps)
        x->stream->give_exchange = true;
    pthread_mutex_unlock(&x->server->hub.mutex);
    return keeps;
}

static void rewind_locked(struct stream *stream)
{
    arena_reset(stream->arena);
    buf_init(&stream->out, stream->arena, STREAM_BUFFER_MAX);
    stream->sent = 0;
}

static ssize_t on_read(void *cls, uint64_t position, char *to, size_t max)
{
    (void)position;
    struct stream *stream = cls;
    struct stream_hub *hub = hub_of(stream);
    ssize_t result = 0;
    pthread_mutex_lock(&hub->mutex);
    size_t waiting = stream->busy ? 0 : stream->out.len - stream->sent;
    if (waiting) {
        size_t now = waiting < max ? waiting : max;
        memcpy(to, stream->out.data + stream->sent, now);
        stream->sent += now;
        if (now == waiting)
            rewind_locked(stream);
        result = (ssize_t)now;
    } else if ((stream->ended && !stream->busy) || hub->stopping) {
        result = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        stream->suspended = true;
        MHD_suspend_connection(stream->connection);
    }
    pthread_mutex_unlock(&hub->mutex);
    return result;
}

struct MHD_Response *stream_response(struct exchange *x)
{
    struct stream *stream = calloc(1, sizeof *stream);
    ENSURE(stream);
    stream->x = x;
    stream->connection = x->connection;
    stream->arena = arena_new(0);
    stream->last_us = clock_monotonic_us();
    rewind_locked(stream);
    buf_puts(&stream->out, ": open\n\n");
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, 4096, on_read, stream, on_response_freed);
    ENSURE(response);
    struct stream_hub *hub = &x->server->hub;
    pthread_mutex_lock(&hub->mutex);
    x->stream = stream;
    stream->next = hub->streams;
    if (stream->next)
        stream->next->previous = stream;
    hub->streams = stream;
    hub->awake = true;
    pthread_cond_signal(&hub->news);
    pthread_mutex_unlock(&hub->mutex);
    return response;
}

/* ---- the asking side ---- */
static void resume_locked(struct stream *stream)
{
    if (!stream->suspended)
        return;
    stream->suspended = false;
    MHD_resume_connection(stream->connection);
}

/* Returns with the lock held again; *out_next is who follows. */
static void ask_locked(struct stream_hub *hub, struct stream *stream, struct stream **out_next)
{
    *out_next = stream->next;
    if (stream->ended || stream->gone || stream->out.len > stream->sent)
        return;
    stream->busy = true;
    pthread_mutex_unlock(&hub->mutex);
    struct http_stream *source = &stream->x->reply.stream;
    bool more = source->next(source->state, &stream->out);
    pthread_mutex_lock(&hub->mutex);
    stream->busy = false;
    *out_next = stream->next;
    if (stream->gone) {
        unlink_locked(hub, stream);
        pthread_mutex_unlock(&hub->mutex);
        dispose(stream);
        pthread_mutex_lock(&hub->mutex);
        /* The follower may have gone meanwhile: the next round begins at the head. */
        *out_next = NULL;
        hub->awake = true;
        return;
    }
    stream->ended = !more || stream->out.overflow;
    int64_t now = clock_monotonic_us();
    if (stream->out.len == 0 && now - stream->last_us >= HEARTBEAT_S * INT64_C(1000000))
        buf_puts(&stream->out, ": \n\n");
    if (stream->out.len || stream->ended) {
        stream->last_us = now;
        resume_locked(stream);
    }
}

static void wait_for_news(struct stream_hub *hub)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 1;
    while (!hub->awake && !hub->stopping)
        if (pthread_cond_timedwait(&hub->news, &hub->mutex, &until) != 0)
            break;
    hub->awake = false;
}

static void *ask_all(void *arg)
{
    struct stream_hub *hub = &((struct http_server *)arg)->hub;
    pthread_mutex_lock(&hub->mutex);
    while (!hub->stopping) {
        wait_for_news(hub);
        struct stream *stream = hub->streams;
        while (stream && !hub->stopping) {
            struct stream *next = NULL;
            ask_locked(hub, stream, &next);
            stream = next;
        }
        /* News in quick succession are told together. */
        pthread_mutex_unlock(&hub->mutex);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        pthread_mutex_lock(&hub->mutex);
    }
    pthread_mutex_unlock(&hub->mutex);
    return NULL;
}

bool streams_start(struct http_server *server)
{
    struct stream_hub *hub = &server->hub;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&hub->mutex, NULL);
    pthread_cond_init(&hub->news, &monotonic);
    pthread_condattr_destroy(&monotonic);
    hub->started = pthread_create(&hub->thread, NULL, ask_all, server) == 0;
    return hub->started;
}

void streams_end(struct http_server *server)
{
    struct stream_hub *hub = &server->hub;
    if (!hub->started)
        return;
    pthread_mutex_lock(&hub->mutex);
    hub->stopping = true;
    for (struct stream *stream = hub->streams; stream; stream = stream->next)
        resume_locked(stream);
    pthread_cond_signal(&hub->news);
    pthread_mutex_unlock(&hub->mutex);
}

void streams_stop(struct http_server *server)
{
    if (!server->hub.started)
        return;
    pthread_join(server->hub.thread, NULL);
    pthread_cond_destroy(&server->hub.news);
    pthread_mutex_destroy(&server->hub.mutex);
}

void http_wake_streams(struct http_server *server)
{
    pthread_mutex_lock(&server->hub.mutex);
    server->hub.awake = true;
    pthread_cond_signal(&server->hub.news);
    pthread_mutex_unlock(&server->hub.mutex);
}
