/* SPDX-License-Identifier: Apache-2.0 */
/* Replies: the problem document of a refusal (RFC 9457), ETag and 304, the headers that every reply
 * carries, and the one log line of a request. */
#include "http_internal.h"

#include <inttypes.h>
#include <string.h>

static const char page_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types vue default";

struct status_title {
    int status;
    const char *english, *chinese;
};
static const struct status_title status_titles[] = {
    {400, "Bad Request", "请求有误"},
    {401, "Unauthorized", "请先登录"},
    {403, "Forbidden", "没有权限"},
    {404, "Not Found", "未找到"},
    {405, "Method Not Allowed", "不支持该方法"},
    {409, "Conflict", "与当前状态冲突"},
    {410, "Gone", "已失效"},
    {412, "Precondition Failed", "内容已被修改"},
    {413, "Content Too Large", "内容过大"},
    {414, "URI Too Long", "地址过长"},
    {415, "Unsupported Media Type", "不支持的内容类型"},
    {422, "Unprocessable Content", "内容未通过校验"},
    {428, "Precondition Required", "缺少前置条件"},
    {429, "Too Many Requests", "请求过于频繁"},
    {431, "Request Header Fields Too Large", "请求头过大"},
    {500, "Internal Server Error", "系统内部错误"},
    {501, "Not Implemented", "未实现"},
    {502, "Bad Gateway", "上游无响应"},
    {503, "Service Unavailable", "服务暂不可用"},
    {505, "HTTP Version Not Supported", "不支持的协议版本"},
};

void reply_init(struct exchange *x)
{
    if (x->reply.stream.close)
        x->reply.stream.close(x->reply.stream.state);
    x->reply = (struct reply){0};
    buf_init(&x->reply.body, x->ctx.arena, REPLY_BODY_MAX);
    jw_init(&x->reply.json, &x->reply.body);
}

void reply_header(struct reply *reply, const char *name, str_t value)
{
    ENSURE(reply->header_count < REPLY_HEADERS_MAX);
    char *safe = arena_copy(reply->body.arena, value.data, value.len);
    /* A line break in a value would begin another header. */
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)safe[i] < 0x20 || safe[i] == 0x7f)
            safe[i] = '?';
    int at = reply->header_count++;
    reply->header_names[at] = str_of(name);
    reply->header_values[at] = str_from(safe, value.len);
}

void reply_etag(struct ctx *ctx, struct reply *reply, int64_t version)
{
    reply_header(reply, "ETag", str_printf(ctx->arena, "\"v%" PRId64 "\"", version));
}

/* ---- language ---- */
static int quality(str_t part)
{
    const char *mark = memmem(part.data, part.len, "q=", 2);
    if (!mark)
        return 1000;
    int value = 0, scale = 1000;
    for (const char *c = mark + 2; c < part.data + part.len; c++) {
        if (*c == '.')
            continue;
        if (*c < '0' || *c > '9' || scale == 0)
            break;
        value += (*c - '0') * scale;
        scale /= 10;
    }
    return value;
}

bool prefers_chinese(str_t accept_language)
{
    int chinese = 0, other = 0;
    str_t rest = accept_language, part = {0};
    while (str_next(&rest, ',', &part)) {
        part = str_trim(part);
        int q = quality(part);
        if (str_starts(part, STR("zh")) || str_starts(part, STR("ZH"))) {
            chinese = q > chinese ? q : chinese;
        } else if (part.len && part.data[0] != '*') {
            other = q > other ? q : other;
        }
    }
    return chinese > 0 && chinese >= other;
}

/* ---- problems ---- */
static const char *title_of(int status, bool chinese)
{
    for (size_t i = 0; i < sizeof status_titles / sizeof status_titles[0]; i++)
        if (status_titles[i].status == status)
            return chinese ? status_titles[i].chinese : status_titles[i].english;
    return chinese ? "请求未成功" : "Error";
}

static bool is_retryable(int status, str_t code)
{
    return status == 429 || status == 502 || status == 503 || status == 504 ||
           str_is(code, "idempotency_in_progress") || str_is(code, "concurrent_change");
}

static void write_errors(struct jw *w, const struct problem *problem)
{
    jw_key(w, "errors");
    jw_array(w);
    for (int i = 0; i < problem->error_count; i++) {
        jw_object(w);
        jw_put_text(w, "pointer", problem->errors[i].pointer);
        jw_put_text(w, "code", str_of(problem->errors[i].code));
        jw_put_text(w, "detail", problem->errors[i].detail);
        jw_end_object(w);
    }
    jw_end_array(w);
}

static const char *reason_of(const struct problem *problem, int status)
{
    if (problem->reason && problem->reason[0])
        return problem->reason;
    return status >= 500 ? "internal" : "refused";
}

void problem_write(struct exchange *x)
{
    struct problem *problem = &x->ctx.problem;
    int status = problem->status ? problem->status : err_status(x->result);
    if (status < 400)
        status = 500;
    str_t code = str_of(reason_of(problem, status));
    str_t detail = str_of(problem->detail);
    if (status == 500) {
        /* The inside of a fault is for the log, not for the caller. */
        log_at(LOG_ERROR, "fault", "id=" STR_FMT " code=" STR_FMT " detail=" STR_FMT,
               STR_ARG(x->ctx.request_id), STR_ARG(code), STR_ARG(detail));
        detail = STR("an internal error; the log names it by the request id");
    } else if (status == 404 && str_is(code, "not_found")) {
        /* What is not there and what is another's read alike. */
        detail = STR("there is nothing here, or nothing for this caller");
    }
    struct reply kept = x->reply;
    if (kept.stream.close)
        kept.stream.close(kept.stream.state);
    x->reply = (struct reply){0};
    buf_init(&x->reply.body, x->ctx.arena, REPLY_BODY_MAX);
    for (int i = 0; i < kept.header_count; i++)
        if (str_is(kept.header_names[i], "Allow"))
            reply_header(&x->reply, "Allow", kept.header_values[i]);
    x->reply.status = status;
    x->reply.content_type = "application/problem+json";
    struct jw w;
    jw_init(&w, &x->reply.body);
    jw_object(&w);
    jw_put_text(&w, "type", str_printf(x->ctx.arena, "urn:suanhe:problem:" STR_FMT, STR_ARG(code)));
    bool chinese = prefers_chinese(x->request.accept_language);
    jw_put_text(&w, "title", str_of(title_of(status, chinese)));
    jw_put_int(&w, "status", status);
    jw_put_text(&w, "detail", detail);
    /* An undecodable path is told as it came. */
    bool readable = str_is_utf8(x->request.path);
    jw_put_text(&w, "instance", readable ? x->request.path : x->request.raw_path);
    jw_put_text(&w, "code", code);
    jw_put_text(&w, "request_id", x->ctx.request_id);
    jw_put_bool(&w, "retryable", is_retryable(status, code));
    if (problem->error_count)
        write_errors(&w, problem);
    if (problem->extension.len) {
        buf_putc(&x->reply.body, ',');
        buf_put(&x->reply.body, problem->extension);
    }
    jw_end_object(&w);
    int retry = problem->retry_after_s;
    if (retry == 0 && (status == 429 || status == 503))
        retry = 1;
    if (retry > 0)
        reply_header(&x->reply, "Retry-After", str_printf(x->ctx.arena, "%d", retry));
    if (status == 401)
        reply_header(&x->reply, "WWW-Authenticate", STR("Bearer"));
}

/* ---- sending ---- */
static void add(struct MHD_Response *response, const char *name, const char *value)
{
    ENSURE(MHD_add_response_header(response, name, value) == MHD_YES);
}

void reply_security_headers(struct MHD_Response *response, const struct exchange *x, bool page)
{
    add(response, "Content-Security-Policy",
        page ? page_policy : "default-src 'none'; frame-ancestors 'none'");
    add(response, "X-Content-Type-Options", "nosniff");
    add(response, "Referrer-Policy", "same-origin");
    add(response, "Cross-Origin-Opener-Policy", "same-origin");
    if (x->request.secure)
        add(response, "Strict-Transport-Security", "max-age=31536000");
    add(response, "X-Request-Id", str_z(x->ctx.arena, x->ctx.request_id));
}

bool tag_matches(str_t list, str_t etag)
{
    if (str_is(str_trim(list), "*"))
        return true;
    str_t part = {0};
    while (str_next(&list, ',', &part)) {
        part = str_trim(part);
        if (str_starts(part, STR("W/")))
            part = str_cut(part, 2);
        if (str_eq(part, etag))
            return true;
    }
    return false;
}

static str_t header_of(const struct reply *reply, const char *name)
{
    for (int i = 0; i < reply->header_count; i++)
        if (str_is(reply->header_names[i], name))
            return reply->header_values[i];
    return (str_t){0};
}

static void apply_not_modified(struct exchange *x)
{
    str_t etag = header_of(&x->reply, "ETag");
    bool fresh = x->result == OK && x->reply.status == 200 && etag.len &&
                 str_is(x->request.method, "GET") && x->request.if_none_match.len &&
                 tag_matches(x->request.if_none_match, etag);
    if (!fresh)
        return;
    x->reply.status = 304;
    x->reply.body.len = 0;
}

static struct MHD_Response *make_response(struct exchange *x)
{
    struct reply *reply = &x->reply;
    if (reply->stream.next)
        return stream_response(x);
    return MHD_create_response_from_buffer(reply->body.len, reply->body.data,
                                           MHD_RESPMEM_PERSISTENT);
}

static void log_request(const struct exchange *x)
{
    const struct actor *actor = &x->ctx.actor;
    int64_t id = actor->user_id.value ? actor->user_id.value : actor->client_id.value;
    const char *path = x->request.route ? x->request.route->path : x->from_asset ? "portal" : "-";
    log_line("request",
             "method=" STR_FMT " path=%s status=%d us=%" PRId64 " id=" STR_FMT " actor=%" PRId64,
             STR_ARG(x->request.method), path, x->reply.status, clock_monotonic_us() - x->start_us,
             STR_ARG(x->ctx.request_id), id);
}

static void count(struct exchange *x)
{
    int class = x->reply.status / 100;
    if (class >= 1 && class <= 5)
        atomic_fetch_add_explicit(&x->server->by_class[class], 1, memory_order_relaxed);
    if (x->reply.status >= 400)
        atomic_fetch_add_explicit(&x->server->refused, 1, memory_order_relaxed);
}

static void describe_stream(struct reply *reply)
{
    if (!reply->content_type)
        reply->content_type = "text/event-stream; charset=utf-8";
    reply_header(reply, "X-Accel-Buffering", STR("no")); /* a proxy hands on every event at once */
}

enum MHD_Result reply_send(struct exchange *x)
{
    struct reply *reply = &x->reply;
    if (x->result != OK) {
        stream_release(x);
        problem_write(x);
    }
    if (reply->status == 0)
        reply->status = 200;
    if (reply->stream.next)
        describe_stream(reply);
    apply_not_modified(x);
    bool page = x->from_asset;
    struct MHD_Response *response = make_response(x);
    if (!response)
        return MHD_NO;
    reply_security_headers(response, x, page);
    if (reply->status != 304 && reply->status != 204)
        add(response, "Content-Type",
            reply->content_type ? reply->content_type : "application/json; charset=utf-8");
    if (!header_of(reply, "Cache-Control").data)
        add(response, "Cache-Control", "no-store");
    if (x->replayed)
        add(response, "Idempotent-Replayed", "true");
    if (x->close_after || atomic_load(&x->server->stopping))
        add(response, "Connection", "close");
    for (int i = 0; i < reply->header_count; i++)
        add(response, reply->header_names[i].data, reply->header_values[i].data);
    enum MHD_Result queued =
        MHD_queue_response(x->connection, (unsigned int)reply->status, response);
    MHD_destroy_response(response);
    x->state = EX_SENT;
    count(x);
    log_request(x);
    return queued;
}
