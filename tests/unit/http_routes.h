/* SPDX-License-Identifier: Apache-2.0 */
/* A small API with one route of every kind, for the tests of lib/http. */
#ifndef SUANHE_TEST_HTTP_ROUTES_H
#define SUANHE_TEST_HTTP_ROUTES_H

#include "http_support.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- routes ---- */
struct note_input {
    str_t text;
    bool refused;
};
static const struct field note_fields[] = {
    FIELD(struct note_input, text, 1, 50, FIELD_REQUIRED),
    FIELD(struct note_input, refused, 0, 1, 0),
};
static const struct shape note_shape = SHAPE(struct note_input, note_fields);

static atomic_int handler_runs;
static atomic_int stream_closes;

static err_t post_note(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    const struct note_input *input = request->input;
    atomic_fetch_add(&handler_runs, 1);
    ref_t id = id_make(ctx->platform->ids, ctx->now);
    TRY(db_exec(ctx, "INSERT INTO note (id, text) VALUES ($1, $2)", ARGS(A(id), A(input->text)),
                NULL));
    if (input->refused)
        return refuse(ctx, ERR_STATE, "note_refused", "as asked");
    reply->status = 201;
    reply_header(reply, "Location", str_printf(ctx->arena, "/api/v1/notes/%d", 17));
    reply_etag(ctx, reply, 1);
    jw_object(&reply->json);
    jw_put_ref(&reply->json, "note_id", "evt", id);
    jw_put_text(&reply->json, "text", input->text);
    jw_end_object(&reply->json);
    return OK;
}

static err_t get_count(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    TRY(request_known_query(ctx, request, "limit cursor"));
    int64_t limit = 0, count = 0;
    TRY(request_query_int(ctx, request, "limit", 1, 200, 50, &limit));
    TRY(db_int(ctx, "SELECT COUNT(*) FROM note", NO_ARGS, &count));
    jw_object(&reply->json);
    jw_put_int(&reply->json, "count", count);
    jw_put_int(&reply->json, "limit", limit);
    jw_end_object(&reply->json);
    return OK;
}

static err_t get_note(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    reply_etag(ctx, reply, 17);
    jw_object(&reply->json);
    jw_put_text(&reply->json, "id", request->params[0]);
    jw_end_object(&reply->json);
    return OK;
}

static err_t put_note(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    TRY(request_if_match(ctx, request, 17));
    reply->status = 204;
    return OK;
}

static err_t post_slow(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    (void)ctx;
    (void)request;
    atomic_fetch_add(&handler_runs, 1);
    sleep_ms(300);
    jw_object(&reply->json);
    jw_put_bool(&reply->json, "slow", true);
    jw_end_object(&reply->json);
    return OK;
}

struct token_input {
    str_t grant_type;
    int32_t number;
};
static const struct field token_fields[] = {
    FIELD(struct token_input, grant_type, 1, 40, FIELD_REQUIRED),
    FIELD(struct token_input, number, 1, 9, 0),
};
static const struct shape token_shape = SHAPE(struct token_input, token_fields);

static err_t post_token(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    (void)ctx;
    const struct token_input *input = request->input;
    jw_object(&reply->json);
    jw_put_text(&reply->json, "grant_type", input->grant_type);
    jw_put_int(&reply->json, "number", input->number);
    jw_end_object(&reply->json);
    return OK;
}

static err_t post_echo(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    (void)ctx;
    reply->content_type = "application/octet-stream";
    buf_put(&reply->body, request->body);
    return OK;
}

static err_t get_fault(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    (void)request;
    (void)reply;
    return refuse(ctx, ERR_INTERNAL, "disk_broken", "secret inside");
}

static err_t get_where(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    (void)ctx;
    jw_object(&reply->json);
    jw_put_text(&reply->json, "ip", request->client_ip);
    jw_put_bool(&reply->json, "secure", request->secure);
    jw_put_bool(&reply->json, "admin", request->over_admin_socket);
    jw_put_text(&reply->json, "q", request_query(request, "q"));
    jw_put_text(&reply->json, "cookie", request_cookie(request, "suanhe"));
    jw_put_int(&reply->json, "wait", request->prefer_wait_s);
    jw_end_object(&reply->json);
    return OK;
}

struct ticks {
    int sent, max;
};

static bool next_tick(void *state, struct buf *out)
{
    struct ticks *ticks = state;
    buf_printf(out, "id: %d\ndata: tick\n\n", ++ticks->sent);
    return ticks->sent < ticks->max;
}

static void close_ticks(void *state)
{
    (void)state;
    atomic_fetch_add(&stream_closes, 1);
}

static err_t get_ticks(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct ticks *ticks = NEW(ctx, struct ticks);
    int64_t max = 0;
    TRY(request_query_int(ctx, request, "max", 1, 1000, 3, &max));
    ticks->max = (int)max;
    reply->content_type = "text/event-stream";
    reply->stream = (struct http_stream){ticks, next_tick, close_ticks};
    return OK;
}

static const struct route api_routes[] = {
    {"POST", "/api/v1/notes", 1, TX_WRITE, &note_shape, post_note, ROUTE_KEY_REQUIRED},
    {"POST", "/api/v1/drafts", 1, TX_WRITE, &note_shape, post_note, 0},
    {"GET", "/api/v1/notes/count", 0, TX_READ, NULL, get_count, ROUTE_PUBLIC},
    {"GET", "/api/v1/notes/{id}", 1, TX_READ, NULL, get_note, 0},
    {"PUT", "/api/v1/notes/{id}", 1, TX_WRITE, NULL, put_note, ROUTE_IF_MATCH},
    {"POST", "/api/v1/slow", 1, TX_NONE, NULL, post_slow, 0},
    {"GET", "/api/v1/fault", 0, TX_READ, NULL, get_fault, ROUTE_PUBLIC},
    {"GET", "/api/v1/where", 0, TX_NONE, NULL, get_where, ROUTE_PUBLIC},
    {"GET", "/api/v1/ticks", 0, TX_NONE, NULL, get_ticks, ROUTE_PUBLIC | ROUTE_STREAM},
};
static const struct route other_routes[] = {
    {"POST", "/oauth2/token", 0, TX_NONE, &token_shape, post_token,
     ROUTE_PUBLIC | ROUTE_FORM | ROUTE_NO_KEY},
    {"POST", "/api/v1/echo", 0, TX_NONE, NULL, post_echo, ROUTE_PUBLIC | ROUTE_RAW_BODY},
    {"GET", "/admin/where", 1, TX_NONE, NULL, get_where, ROUTE_ADMIN_SOCKET},
};
static const struct route_table tables[] = {ROUTES(api_routes), ROUTES(other_routes)};

static const uint8_t index_raw[] = "<!doctype html>raw";
static const uint8_t app_raw[] = "raw app", app_br[] = "br", app_gz[] = "gzip";
static const struct http_asset assets[] = {
    {"/assets/app-1a2b.js", "text/javascript", "e1", true, app_raw, app_br, app_gz, 7, 2, 4},
    {"/index.html", "text/html; charset=utf-8", "e2", false, index_raw, NULL, NULL, 18, 0, 0},
};

/* ---- hooks ---- */
static err_t authenticate(struct ctx *ctx, const struct request *request)
{
    if (str_is(request->authorization, "Bearer alice"))
        ctx->actor.user_id = (ref_t){1};
    else if (str_is(request->authorization, "Bearer bob"))
        ctx->actor.user_id = (ref_t){2};
    else if (request->authorization.len || request->cookie.len)
        return refuse(ctx, ERR_AUTH, "token_invalid", "unknown token");
    return OK;
}

static err_t authorise(struct ctx *ctx, const struct request *request)
{
    if (request->over_admin_socket || ctx->actor.user_id.value == 1)
        return OK;
    return refuse(ctx, ERR_DENIED, "permission_denied", "only alice may");
}

static err_t admit(struct ctx *ctx, const struct request *request)
{
    if (!str_is(request->user_agent, "greedy"))
        return OK;
    err_t code = refuse(ctx, ERR_LIMIT, "throttled", "too fast");
    ctx->problem.retry_after_s = 7;
    return code;
}

UNUSED static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    open_database(f);
    f->options = (struct http_options){
        .tables = tables,
        .table_count = 2,
        .hooks = {authenticate, authorise, admit},
        .assets = assets,
        .asset_count = 2,
        .docs_index_fallback = true,
        .trusted_proxy = "127.0.0.1",
        .unix_socket = str_z(f->ctx.arena, str_of(in_dir(f, "admin.sock"))),
    };
    if (http_start(&f->ctx, &f->platform, &f->options, &f->server) != OK)
        fail_msg("%s: %s", f->ctx.problem.reason, f->ctx.problem.detail);
    atomic_store(&handler_runs, 0);
    atomic_store(&stream_closes, 0);
    *state = f;
    return 0;
}

UNUSED static int tear_down(void **state)
{
    struct fixture *f = *state;
    http_stop(f->server);
    close_database(f);
    free(f);
    return 0;
}

UNUSED static void restart(struct fixture *f)
{
    http_stop(f->server);
    assert_int_equal(http_start(&f->ctx, &f->platform, &f->options, &f->server), OK);
}

UNUSED static void assert_notes(struct fixture *f, int count)
{
    struct answer got;
    char wanted[32];
    ask(f, "GET", "/api/v1/notes/count", "", NULL, &got);
    assert_int_equal(got.status, 200);
    snprintf(wanted, sizeof wanted, "\"count\":%d,", count);
    assert_has(&got, wanted);
}

struct call {
    struct fixture *f;
    const char *path, *headers, *body;
    struct answer got;
};

UNUSED static void *call_thread(void *arg)
{
    struct call *call = arg;
    ask(call->f, "POST", call->path, call->headers, call->body, &call->got);
    return NULL;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
