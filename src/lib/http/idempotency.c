/* SPDX-License-Identifier: Apache-2.0 */
/* Idempotency-Key: effect and stored reply are one transaction, so a repeated request gets the
 * reply of the first, byte by byte, or runs because nothing happened. Only replies below 400 are
 * stored: a refusal left no effect, and its savepoint, rolled back, would have taken the stored row
 * along; the same request may well succeed later. With one instance (SQLite) the scopes of the last
 * 24 hours, 2 M at most, are found in memory; on PostgreSQL by a unique index. */
#include "http_internal.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"

enum { WINDOW_MAX = 1 << 20, WINDOW_FIRST = 1 << 12, KEY_MAX = 200, PURGE_ROWS = 2000 };

struct stored_reply {
    int64_t id, scope_hash;
    str_t scope, request_digest;
    int32_t status;
    str_t headers, body;
};
static const struct field stored_reply_fields[] = {
    FIELD(struct stored_reply, id, 0, INT64_MAX, 0),
    FIELD(struct stored_reply, scope_hash, INT64_MIN, INT64_MAX, 0),
    FIELD_BYTES(struct stored_reply, scope, 0, 32, 0),
    FIELD_BYTES(struct stored_reply, request_digest, 0, 32, 0),
    FIELD(struct stored_reply, status, 0, 999, 0),
    FIELD(struct stored_reply, headers, 0, 1 << 20, 0),
    FIELD_BYTES(struct stored_reply, body, 0, REPLY_BODY_MAX, 0),
};
static const struct shape stored_reply_shape = SHAPE(struct stored_reply, stored_reply_fields);

/* ---- the window: open addressing, only added to; the oldest of three is dropped whole ---- */
static void window_put(struct reply_window *window, uint64_t hash, int64_t row)
{
    size_t mask = window->capacity - 1, i = hash & mask;
    while (window->rows[i] && window->hashes[i] != hash)
        i = (i + 1) & mask;
    window->used += window->rows[i] == 0;
    window->hashes[i] = hash;
    window->rows[i] = row;
}

static void window_alloc(struct reply_window *window, size_t capacity)
{
    ENSURE(capacity > 0);
    window->capacity = capacity;
    window->used = 0;
    window->hashes = calloc(capacity, sizeof *window->hashes);
    window->rows = calloc(capacity, sizeof *window->rows);
    ENSURE(window->hashes && window->rows);
}

static void window_drop(struct reply_window *window)
{
    free(window->hashes);
    free(window->rows);
    *window = (struct reply_window){0};
}

static void window_grow(struct reply_window *window)
{
    struct reply_window old = *window;
    window_alloc(window, old.capacity * 2);
    for (size_t i = 0; i < old.capacity; i++)
        if (old.rows[i])
            window_put(window, old.hashes[i], old.rows[i]);
    window_drop(&old);
}

static void remember(struct idempotency *all, uint64_t hash, int64_t row)
{
    struct reply_window *window = &all->windows[0];
    utc_t at = id_time((ref_t){row});
    if (window->used >= WINDOW_MAX || (window->used && at.ms - window->since.ms > MS_DAY / 2)) {
        window_drop(&all->windows[WINDOWS - 1]);
        memmove(&all->windows[1], &all->windows[0], (WINDOWS - 1) * sizeof all->windows[0]);
        window_alloc(window, WINDOW_FIRST);
    }
    if (window->used == 0)
        window->since = at;
    if (window->used * 2 >= window->capacity)
        window_grow(window);
    window_put(window, hash, row);
}

static int64_t recall(const struct idempotency *all, uint64_t hash)
{
    for (int w = 0; w < WINDOWS; w++) {
        const struct reply_window *window = &all->windows[w];
        if (!window->used)
            continue;
        size_t mask = window->capacity - 1;
        for (size_t i = hash & mask; window->rows[i]; i = (i + 1) & mask)
            if (window->hashes[i] == hash)
                return window->rows[i];
    }
    return 0;
}

static err_t load_row(struct ctx *ctx, const void *row, void *arg)
{
    (void)ctx;
    const struct stored_reply *stored = row;
    remember(arg, (uint64_t)stored->scope_hash, stored->id);
    return OK;
}

static err_t load_window(struct ctx *ctx, void *arg)
{
    int64_t from = id_floor(utc_add(ctx->now, -(int64_t)MS_DAY)).value;
    return db_each(ctx, "SELECT id, scope_hash FROM http_reply WHERE id >= $1 ORDER BY id",
                   ARGS(A(from)), &stored_reply_shape, load_row, arg);
}

err_t idempotency_init(struct ctx *ctx, struct http_server *server)
{
    struct idempotency *all = &server->idempotency;
    pthread_mutex_init(&all->mutex, NULL);
    window_alloc(&all->windows[0], WINDOW_FIRST);
    struct db *db = server->platform ? server->platform->db : NULL;
    if (!db)
        return OK;
    all->shared = db_kind(db) == DB_POSTGRES;
    return all->shared ? OK : db_read(ctx, db, load_window, all);
}

void idempotency_free(struct idempotency *idempotency)
{
    for (int w = 0; w < WINDOWS; w++)
        window_drop(&idempotency->windows[w]);
    pthread_mutex_destroy(&idempotency->mutex);
}

/* ---- the key ---- */
static bool method_changes(str_t method)
{
    return str_is(method, "POST") || str_is(method, "PUT") || str_is(method, "PATCH") ||
           str_is(method, "DELETE");
}

err_t idempotency_key_check(struct ctx *ctx, struct exchange *x)
{
    const struct route *route = x->request.route;
    str_t key = x->request.idempotency_key;
    if (key.len >= 2 && key.data[0] == '"' && key.data[key.len - 1] == '"')
        key = str_from(key.data + 1, key.len - 2);
    x->request.idempotency_key = key;
    bool asked = key.data != NULL;
    if (!asked && (route->flags & ROUTE_KEY_REQUIRED))
        return refuse_status(ctx, 400, "idempotency_key_missing",
                             "this operation needs an Idempotency-Key");
    if (!asked)
        return OK;
    bool fine = key.len >= 1 && key.len <= KEY_MAX;
    for (size_t i = 0; fine && i < key.len; i++)
        fine =
            key.data[i] > 0x20 && key.data[i] < 0x7f && key.data[i] != '"' && key.data[i] != '\\';
    if (!fine)
        return refuse_status(ctx, 400, "idempotency_key_invalid",
                             "1 to %d visible ASCII characters", KEY_MAX);
    struct db *db = x->server->platform ? x->server->platform->db : NULL;
    x->keyed = db && !(route->flags & ROUTE_NO_KEY) && route->tx != TX_READ &&
               method_changes(x->request.method);
    if (x->keyed)
        sm3(x->request.body, x->body_digest);
    return OK;
}

/* ---- claims: what runs right now ---- */
static bool claim(struct exchange *x, int64_t *out_row)
{
    struct idempotency *all = &x->server->idempotency;
    struct exchange **bucket = &all->claims[x->scope_hash % CLAIM_BUCKETS];
    bool taken = false;
    pthread_mutex_lock(&all->mutex);
    for (struct exchange *other = *bucket; other; other = other->claim_next)
        taken = taken || other->scope_hash == x->scope_hash;
    if (!taken) {
        x->claim_next = *bucket;
        *bucket = x;
        x->claimed = true;
    }
    *out_row = recall(all, x->scope_hash);
    pthread_mutex_unlock(&all->mutex);
    return !taken;
}

void idempotency_done(struct exchange *x, bool committed)
{
    if (!x->claimed)
        return;
    struct idempotency *all = &x->server->idempotency;
    pthread_mutex_lock(&all->mutex);
    struct exchange **at = &all->claims[x->scope_hash % CLAIM_BUCKETS];
    while (*at != x)
        at = &(*at)->claim_next;
    *at = x->claim_next;
    if (committed && x->stored && !all->shared)
        remember(all, x->scope_hash, x->row_id.value);
    pthread_mutex_unlock(&all->mutex);
    x->claimed = false;
}

static void scope_of(const struct ctx *ctx, struct exchange *x)
{
    int64_t who[3] = {ctx->actor.user_id.value, ctx->actor.client_id.value,
                      ctx->actor.org_id.value};
    const struct request *request = &x->request;
    str_t parts[] = {
        str_from(who, sizeof who), request->method, STR("\n"), request->path, STR("\n"),
        request->idempotency_key};
    sm3_parts(parts, 6, x->scope);
    memcpy(&x->scope_hash, x->scope, sizeof x->scope_hash);
}

static err_t find_stored(struct ctx *ctx, const struct exchange *x, int64_t row,
                         struct stored_reply *stored, bool *out_found)
{
    *out_found = false;
    if (x->server->idempotency.shared)
        return db_find(ctx,
                       "SELECT id, scope, request_digest, status, headers, body FROM http_reply "
                       "WHERE scope_hash = $1",
                       ARGS(A((int64_t)x->scope_hash)), &stored_reply_shape, stored, out_found);
    if (row == 0)
        return OK;
    return db_find(ctx,
                   "SELECT id, scope, request_digest, status, headers, body FROM http_reply "
                   "WHERE id = $1",
                   ARGS(A(row)), &stored_reply_shape, stored, out_found);
}

static void replay(struct exchange *x, const struct stored_reply *stored)
{
    x->reply.status = stored->status;
    buf_put(&x->reply.body, stored->body);
    str_t rest = stored->headers, line = {0};
    while (str_next(&rest, '\n', &line)) {
        const char *colon = memchr(line.data, ':', line.len);
        str_t name = str_from(line.data, colon ? (size_t)(colon - line.data) : line.len);
        str_t value = str_cut(line, name.len + 1);
        if (str_is(name, "Content-Type"))
            x->reply.content_type = str_z(x->ctx.arena, value);
        else
            reply_header(&x->reply, str_z(x->ctx.arena, name), value);
    }
    x->replayed = true;
}

static err_t refuse_in_progress(struct ctx *ctx)
{
    err_t code = refuse(ctx, ERR_CONFLICT, "idempotency_in_progress",
                        "the first request with this key is still running");
    ctx->problem.retry_after_s = 1;
    return code;
}

err_t idempotency_begin(struct ctx *ctx, struct exchange *x, bool *out_replayed)
{
    *out_replayed = false;
    int64_t row = 0;
    if (!x->claimed) {
        scope_of(ctx, x);
        if (!claim(x, &row))
            return refuse_in_progress(ctx);
    }
    struct stored_reply stored = {0};
    bool found = false;
    TRY(find_stored(ctx, x, row, &stored, &found));
    if (found && !str_eq(stored.scope, str_from(x->scope, sizeof x->scope)))
        found = false;
    if (!found)
        return OK;
    if (id_time((ref_t){stored.id}).ms < ctx->now.ms - MS_DAY) {
        bool writes = x->request.route->tx == TX_WRITE;
        return writes
                   ? db_exec(ctx, "DELETE FROM http_reply WHERE id = $1", ARGS(A(stored.id)), NULL)
                   : OK;
    }
    if (!str_eq(stored.request_digest, str_from(x->body_digest, sizeof x->body_digest)))
        return refuse(ctx, ERR_INPUT, "idempotency_key_reused",
                      "this key was used with another body");
    replay(x, &stored);
    *out_replayed = true;
    return OK;
}

err_t idempotency_store(struct ctx *ctx, struct exchange *x)
{
    struct reply *reply = &x->reply;
    struct buf headers;
    buf_init(&headers, ctx->arena, 64 << 10);
    if (reply->content_type)
        buf_printf(&headers, "Content-Type:%s\n", reply->content_type);
    for (int i = 0; i < reply->header_count; i++)
        if (!str_is(reply->header_names[i], "Set-Cookie"))
            buf_printf(&headers, STR_FMT ":" STR_FMT "\n", STR_ARG(reply->header_names[i]),
                       STR_ARG(reply->header_values[i]));
    x->row_id = id_make(ctx->platform->ids, ctx->now);
    TRY(db_exec(
        ctx,
        "INSERT INTO http_reply (id, scope_hash, scope, request_digest, status, headers, body) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        ARGS(A(x->row_id), A((int64_t)x->scope_hash), A_BYTES(str_from(x->scope, sizeof x->scope)),
             A_BYTES(str_from(x->body_digest, sizeof x->body_digest)),
             A((int32_t)(reply->status ? reply->status : 200)), A(buf_str(&headers)),
             A_BYTES(buf_str(&reply->body))),
        NULL));
    x->stored = true;
    return OK;
}

/* The insert may be sent late (a pipeline), so its refusal is known by the index it names. */
bool idempotency_lost(const struct exchange *x)
{
    const struct problem *problem = &x->ctx.problem;
    return str_is(str_of(problem->reason), "db_duplicate") &&
           strstr(problem->detail, "http_reply_scope");
}

err_t idempotency_purge(struct ctx *ctx, void *deleted_int64)
{
    int64_t before = id_floor(utc_add(ctx->now, -(int64_t)MS_DAY)).value;
    return db_exec(ctx,
                   "DELETE FROM http_reply WHERE id IN (SELECT id FROM http_reply WHERE id < $1 "
                   "ORDER BY id LIMIT $2)",
                   ARGS(A(before), A((int64_t)PURGE_ROWS)), deleted_int64);
}
