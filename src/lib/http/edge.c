/* SPDX-License-Identifier: Apache-2.0 */
/* What is checked before anything runs: the request line, the headers, the framing, the limits. The
 * HTTP library accepts doubled lengths, a length beside chunks and blanks before a colon; whatever
 * could be read in two ways is refused here and the connection closed. */
#include "http_internal.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* ---- escapes ---- */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool percent_decode(struct arena *arena, str_t in, bool plus_is_space, str_t *out)
{
    bool plain = !memchr(in.data, '%', in.len) && !(plus_is_space && memchr(in.data, '+', in.len));
    if (in.len == 0 || plain) {
        *out = in;
        return str_is_utf8(in);
    }
    char *to = arena_alloc(arena, in.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.data[i];
        if (c == '+' && plus_is_space) {
            c = ' ';
        } else if (c == '%') {
            int high = in.len - i > 2 ? hex_digit(in.data[i + 1]) : -1;
            int low = in.len - i > 2 ? hex_digit(in.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0')
            return false;
        to[n++] = c;
    }
    *out = str_from(to, n);
    return str_is_utf8(*out);
}

static bool has_control(str_t text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
            return true;
    return false;
}

/* ---- headers ---- */
/* NOLINTBEGIN(bugprone-macro-parentheses): a member cannot stand in parentheses */
struct known_header {
    const char *name;
    size_t len, offset;
    bool list; /* several lines are joined; otherwise a second one is refused */
};
#define KNOWN(name_, member_, list_)                                                           \
    {                                                                                          \
        .name = name_, .len = sizeof(name_) - 1, .offset = offsetof(struct exchange, member_), \
        .list = list_                                                                          \
    }
static const struct known_header known_headers[] = {
    KNOWN("Host", heads.host, false),
    KNOWN("Content-Length", heads.content_length, false),
    KNOWN("Transfer-Encoding", heads.transfer_encoding, false),
    KNOWN("Content-Type", heads.content_type, false),
    KNOWN("Accept-Encoding", heads.accept_encoding, true),
    KNOWN("X-Request-Id", heads.request_id, false),
    KNOWN("If-Match", heads.if_match, false),
    KNOWN("Prefer", heads.prefer, true),
    KNOWN("X-Forwarded-For", heads.forwarded_for, true),
    KNOWN("X-Forwarded-Proto", heads.forwarded_proto, false),
    KNOWN("Expect", heads.expect, false),
    KNOWN("Authorization", request.authorization, false),
    KNOWN("Cookie", request.cookie, false),
    KNOWN("X-CSRF-Token", request.csrf_token, false),
    KNOWN("X-Org", request.x_org, false),
    KNOWN("Sec-Fetch-Site", request.sec_fetch_site, false),
    KNOWN("User-Agent", request.user_agent, false),
    KNOWN("Accept-Language", request.accept_language, true),
    KNOWN("Idempotency-Key", request.idempotency_key, false),
    KNOWN("If-None-Match", request.if_none_match, true),
    KNOWN("Last-Event-ID", request.last_event_id, false),
    KNOWN("X-Nonce", request.nonce, false),
};
/* NOLINTEND(bugprone-macro-parentheses) */

static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alnum && (c == 0 || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return len > 0;
}

/* The library glues a folded line to the name of the header before it, so a folded length would
 * vanish. */
static bool hides_framing(const char *name, size_t len)
{
    return (len > 14 && strncasecmp(name, "Content-Length", 14) == 0) ||
           (len > 17 && strncasecmp(name, "Transfer-Encoding", 17) == 0);
}

static bool is_field_value(str_t value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return str_is_utf8(value);
}

static enum MHD_Result take_header(void *cls, enum MHD_ValueKind kind, const char *key,
                                   size_t key_len, const char *value, size_t value_len)
{
    (void)kind;
    struct exchange *x = cls;
    str_t text = str_from(value ? value : "", value ? value_len : 0);
    x->heads.bytes += key_len + text.len + 4;
    if (++x->heads.count > HEADERS_MAX || x->heads.bytes > HEAD_BYTES_MAX)
        return MHD_NO;
    if (!is_token(key, key_len) || hides_framing(key, key_len) || !is_field_value(text)) {
        x->heads.malformed = true;
        return MHD_YES;
    }
    for (size_t i = 0; i < sizeof known_headers / sizeof known_headers[0]; i++) {
        const struct known_header *known = &known_headers[i];
        if (known->len != key_len || strncasecmp(known->name, key, key_len) != 0)
            continue;
        str_t *into = (str_t *)(void *)((char *)x + known->offset);
        if (into->data && !known->list) {
            x->heads.duplicate = true;
            x->heads.malformed_name = known->name;
        } else if (into->data) {
            *into = str_printf(x->ctx.arena, STR_FMT ", " STR_FMT, STR_ARG(*into), STR_ARG(text));
        } else {
            *into = str_dup(x->ctx.arena, str_trim(text));
        }
        break;
    }
    return MHD_YES;
}

/* ---- request id ---- */
static bool request_id_is_fine(str_t id)
{
    if (id.len < 8 || id.len > 64)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.data[i];
        bool fine = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    c == '.' || c == '_' || c == '-';
        if (!fine)
            return false;
    }
    return true;
}

/* Distinct within the process and hard to guess across; no generator call per request. */
static str_t mint_request_id(struct exchange *x)
{
    static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
    uint64_t z = x->server->id_seed +
                 atomic_fetch_add(&x->server->id_counter, 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    char text[13] = "rq-";
    for (int i = 0; i < 10; i++, z >>= 5)
        text[3 + i] = letters[z & 31];
    return str_from(arena_copy(x->ctx.arena, text, sizeof text), sizeof text);
}

/* ---- framing ---- */
static err_t refuse_framing(struct exchange *x, const char *detail)
{
    x->close_after = true;
    return refuse_status(&x->ctx, 400, "invalid_request", "%s", detail);
}

static err_t check_framing(struct exchange *x, const char *version)
{
    const struct edge_heads *heads = &x->heads;
    bool http_11 = strcmp(version, "HTTP/1.1") == 0;
    if (heads->count > HEADERS_MAX || heads->bytes > HEAD_BYTES_MAX) {
        x->close_after = true;
        return refuse_status(&x->ctx, 431, "headers_too_large", "at most %d headers, %d bytes",
                             HEADERS_MAX, HEAD_BYTES_MAX);
    }
    if (!http_11 && strcmp(version, "HTTP/1.0") != 0) {
        x->close_after = true;
        return refuse_status(&x->ctx, 505, "http_version", "HTTP/1.1 or HTTP/1.0");
    }
    if (heads->malformed)
        return refuse_framing(x, "a header is malformed");
    if (heads->duplicate) {
        x->close_after = true;
        return refuse_status(&x->ctx, 400, "duplicate_header", "%s stands twice",
                             heads->malformed_name);
    }
    if (heads->transfer_encoding.data) {
        if (heads->content_length.data)
            return refuse_framing(x, "Content-Length beside Transfer-Encoding");
        if (!http_11 || heads->transfer_encoding.len != 7 ||
            strncasecmp(heads->transfer_encoding.data, "chunked", 7) != 0)
            return refuse_framing(x, "the only transfer encoding is chunked, in HTTP/1.1");
    }
    int64_t length = 0;
    if (heads->content_length.data && !str_to_int(heads->content_length, 0, INT64_MAX, &length))
        return refuse_framing(x, "Content-Length is no number");
    if ((uint64_t)length > x->server->options.body_max) {
        x->close_after = true;
        return refuse_status(&x->ctx, 413, "body_too_large", "at most %zu bytes",
                             x->server->options.body_max);
    }
    if (length > 0) {
        x->body = arena_alloc(x->ctx.arena, (size_t)length + 1);
        x->body_capacity = (size_t)length;
    }
    return OK;
}

/* ---- target ---- */
static err_t read_query(struct exchange *x, str_t query)
{
    struct request *request = &x->request;
    str_t part = {0};
    while (str_next(&query, '&', &part)) {
        if (part.len == 0)
            continue;
        if (request->query_count == QUERY_MAX)
            return refuse_status(&x->ctx, 400, "too_many_parameters", "at most %d", QUERY_MAX);
        const char *equals = memchr(part.data, '=', part.len);
        str_t name = equals ? str_from(part.data, (size_t)(equals - part.data)) : part;
        str_t value = equals ? str_cut(part, name.len + 1) : STR("");
        int at = request->query_count;
        if (!percent_decode(x->ctx.arena, name, true, &request->query_names[at]) ||
            !percent_decode(x->ctx.arena, value, true, &request->query_values[at]))
            return refuse_status(&x->ctx, 400, "invalid_query", "bad escape in the query");
        for (int i = 0; i < at; i++)
            if (str_eq(request->query_names[i], request->query_names[at]))
                return refuse_status(&x->ctx, 400, "duplicate_parameter", STR_FMT " stands twice",
                                     STR_ARG(request->query_names[at]));
        request->query_count++;
    }
    return OK;
}

static err_t read_target(struct exchange *x, str_t segments[SEGMENTS_MAX + 1], int *out_count)
{
    struct request *request = &x->request;
    str_t raw = request->raw_path; /* with the query, until here */
    for (size_t i = 0; i < raw.len; i++)
        if ((unsigned char)raw.data[i] <= 0x20 || (unsigned char)raw.data[i] >= 0x7f ||
            raw.data[i] == '#')
            return refuse_framing(x, "a character that may not stand in a request target");
    const char *mark = memchr(raw.data, '?', raw.len);
    str_t path = mark ? str_from(raw.data, (size_t)(mark - raw.data)) : raw;
    request->raw_path = path;
    request->path = path;
    if (path.len > PATH_MAX_BYTES)
        return refuse_status(&x->ctx, 414, "path_too_long", "at most %d bytes", PATH_MAX_BYTES);
    if (path.len == 0 || path.data[0] != '/')
        return refuse_framing(x, "the request target must begin with /");
    if (!percent_decode(x->ctx.arena, path, false, &request->path) || has_control(request->path))
        return refuse_status(&x->ctx, 400, "invalid_path", "bad escape in the path");
    TRY(read_query(x, mark ? str_cut(raw, path.len + 1) : STR("")));
    /* Cut first, then decoded: an escaped slash is part of its segment. */
    str_t rest = str_cut(path, 1), part = {0};
    int count = 0;
    while (str_next(&rest, '/', &part) && count <= SEGMENTS_MAX)
        if (!percent_decode(x->ctx.arena, part, false, &segments[count++]))
            return refuse_status(&x->ctx, 400, "invalid_path", "bad escape in the path");
    if (path.len > 1 && path.data[path.len - 1] == '/' && count <= SEGMENTS_MAX)
        segments[count++] = STR("");
    *out_count = count;
    return OK;
}

bool path_is_server(str_t path)
{
    static const char *const prefixes[] = {"/api/",         "/if2/",         "/oauth2/",
                                           "/scim/",        "/evidence/v1/", "/witness/",
                                           "/.well-known/", "/admin/"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        str_t prefix = str_of(prefixes[i]);
        if (str_starts(path, prefix) || str_eq(path, str_from(prefix.data, prefix.len - 1)))
            return true;
    }
    return str_is(path, "/openapi.json") || str_is(path, "/healthz") || str_is(path, "/readyz") ||
           str_is(path, "/metrics");
}

/* ---- header meanings ---- */
static void read_proxy(struct exchange *x)
{
    struct request *request = &x->request;
    request->client_ip = str_of(x->conn->ip);
    const char *proxy = x->server->options.trusted_proxy;
    if (!proxy || !str_is(request->client_ip, proxy))
        return;
    str_t list = x->heads.forwarded_for, part = {0}, last = {0};
    while (str_next(&list, ',', &part))
        last = str_trim(part); /* the last is what the proxy itself saw */
    char text[INET6_ADDRSTRLEN] = "";
    uint8_t address[16];
    if (last.len > 0 && last.len < sizeof text) {
        memcpy(text, last.data, last.len);
        if (inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1)
            request->client_ip = last;
    }
    request->secure = str_is(x->heads.forwarded_proto, "https");
}

static err_t read_if_match(struct exchange *x)
{
    str_t text = x->heads.if_match;
    if (!text.data)
        return OK;
    int64_t version = 0;
    if (str_is(text, "*")) {
        version = -1;
    } else {
        bool weak = str_starts(text, STR("W/"));
        str_t tag = weak ? str_cut(text, 2) : text;
        if (tag.len < 2 || tag.data[0] != '"' || tag.data[tag.len - 1] != '"')
            return refuse_status(&x->ctx, 400, "invalid_if_match",
                                 "If-Match is \"v\" and a number, quoted");
        str_t inside = str_from(tag.data + 1, tag.len - 2);
        /* A foreign tag is well formed but never ours: no version matches it. */
        if (weak || !str_starts(inside, STR("v")) ||
            !str_to_int(str_cut(inside, 1), 1, INT64_MAX - 1, &version))
            version = INT64_MAX;
    }
    x->request.if_match_version = version;
    return OK;
}

static void read_prefer(struct exchange *x)
{
    str_t list = x->heads.prefer, part = {0};
    while (str_next(&list, ',', &part)) {
        part = str_trim(part);
        int64_t seconds = 0;
        if (str_starts(part, STR("wait=")) && str_to_int(str_cut(part, 5), 0, 60, &seconds))
            x->request.prefer_wait_s = seconds;
    }
}

static bool media_is(str_t content_type, const char *want)
{
    const char *semicolon = memchr(content_type.data, ';', content_type.len);
    str_t media =
        str_trim(semicolon ? str_from(content_type.data, (size_t)(semicolon - content_type.data))
                           : content_type);
    size_t len = strlen(want);
    if (want[0] == '+')
        return media.len > len && strncasecmp(media.data + media.len - len, want, len) == 0;
    return media.len == len && strncasecmp(media.data, want, len) == 0;
}

static bool charset_is_utf8(str_t content_type)
{
    str_t rest = content_type, part = {0};
    while (str_next(&rest, ';', &part)) {
        part = str_trim(part);
        if (part.len > 8 && strncasecmp(part.data, "charset=", 8) == 0) {
            str_t value = str_cut(part, 8);
            return (value.len == 5 && strncasecmp(value.data, "utf-8", 5) == 0) ||
                   (value.len == 7 && strncasecmp(value.data, "\"utf-8\"", 7) == 0);
        }
    }
    return true;
}

static err_t check_media(struct exchange *x)
{
    const struct route *route = x->request.route;
    bool has_body = x->body_capacity > 0 || x->heads.transfer_encoding.data;
    if (!route || (route->flags & ROUTE_RAW_BODY) || !has_body)
        return OK;
    if (!route->body)
        return refuse_status(&x->ctx, 400, "body_not_allowed", "this operation takes no body");
    str_t type = x->heads.content_type;
    bool form = route->flags & ROUTE_FORM;
    bool fits = type.data && (form ? media_is(type, "application/x-www-form-urlencoded")
                                   : media_is(type, "application/json") || media_is(type, "+json"));
    if (!fits || !charset_is_utf8(type))
        return refuse_status(&x->ctx, 415, "unsupported_media_type", "send %s in UTF-8",
                             form ? "application/x-www-form-urlencoded" : "application/json");
    return OK;
}

static err_t find_route(struct exchange *x, const str_t *segments, int count)
{
    struct request *request = &x->request;
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    bool known = false;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        known = known || str_is(request->method, methods[i]);
    if (!known)
        return refuse_status(&x->ctx, 501, "unknown_method", "this method is not known here");
    str_t allow = {0};
    request->route =
        router_find(&x->server->router, x->ctx.arena, segments, count, request, &allow);
    if (request->route)
        return OK;
    if (allow.len) {
        reply_header(&x->reply, "Allow", allow);
        return refuse_status(&x->ctx, 405, "method_not_allowed", "allowed: " STR_FMT,
                             STR_ARG(allow));
    }
    if ((path_is_server(request->path) && !asset_is_there(x)) || request->over_admin_socket)
        return refuse(&x->ctx, ERR_NOT_FOUND, "not_found", "no such path");
    if (!str_is(request->method, "GET")) {
        reply_header(&x->reply, "Allow", STR("GET, HEAD"));
        return refuse_status(&x->ctx, 405, "method_not_allowed", "allowed: GET, HEAD");
    }
    return OK; /* the portal may have it */
}

err_t edge_begin(struct exchange *x, const char *method, const char *version)
{
    struct request *request = &x->request;
    MHD_get_connection_values_n(x->connection, MHD_HEADER_KIND, take_header, x);
    x->ctx.request_id =
        request_id_is_fine(x->heads.request_id) ? x->heads.request_id : mint_request_id(x);
    x->head = strcmp(method, "HEAD") == 0;
    request->method = x->head ? STR("GET") : str_dup(x->ctx.arena, str_of(method));
    request->over_admin_socket = x->conn->admin;
    read_proxy(x);
    TRY(check_framing(x, version));
    str_t segments[SEGMENTS_MAX + 2] = {0};
    int count = 0;
    TRY(read_target(x, segments, &count));
    TRY(find_route(x, segments, count));
    TRY(read_if_match(x));
    read_prefer(x);
    return check_media(x);
}

bool edge_take_body(struct exchange *x, const char *data, size_t len)
{
    size_t max = x->server->options.body_max;
    if (len > max - x->body_len || x->body_too_large) {
        /* Reading on costs nothing and lets the refusal reach the client; not without end. */
        x->body_too_large = true;
        x->body_capacity += len;
        return x->body_capacity <= 4 * max + (1u << 20);
    }
    if (x->body_len + len > x->body_capacity) {
        size_t capacity = x->body_capacity ? x->body_capacity * 2 : 4096;
        while (capacity < x->body_len + len)
            capacity *= 2;
        char *grown = arena_alloc(x->ctx.arena, capacity + 1);
        if (x->body_len)
            memcpy(grown, x->body, x->body_len);
        x->body = grown;
        x->body_capacity = capacity;
    }
    memcpy(x->body + x->body_len, data, len);
    x->body_len += len;
    return true;
}

/* ---- body ---- */
static void hold(struct exchange *x, err_t code)
{
    if (x->held != OK)
        return;
    x->held = code;
    x->held_problem = NEW(&x->ctx, struct problem);
    *x->held_problem = x->ctx.problem;
    problem_clear(&x->ctx);
}

static err_t read_json(struct exchange *x, const struct json **out)
{
    const struct route *route = x->request.route;
    str_t body = x->request.body;
    if (route->flags & ROUTE_FORM)
        return form_to_json(&x->ctx, route->body, body, out);
    if (body.len == 0)
        body = STR("{}"); /* nothing said: what is required will be missed by name */
    return json_parse(&x->ctx, body, out);
}

err_t edge_body(struct exchange *x)
{
    const struct route *route = x->request.route;
    if (x->body_too_large)
        return refuse_status(&x->ctx, 413, "body_too_large", "at most %zu bytes",
                             x->server->options.body_max);
    x->request.body = str_from(x->body ? x->body : "", x->body_len);
    if (route->body && !(route->flags & ROUTE_RAW_BODY)) {
        TRY(read_json(x, &x->request.json));
        if (json_kind(x->request.json) != JSON_OBJECT)
            return refuse_status(&x->ctx, 400, "invalid_request", "the body must be an object");
    }
    err_t key = idempotency_key_check(&x->ctx, x);
    if (key != OK)
        hold(x, key);
    if ((route->flags & ROUTE_IF_MATCH) && x->request.if_match_version == 0) {
        err_t missing = refuse_status(&x->ctx, 428, "precondition_required",
                                      "send If-Match with the version you saw");
        hold(x, missing);
    }
    if (x->request.json && route->body) {
        void *input = arena_alloc(x->ctx.arena, route->body->size);
        err_t shape = shape_read(&x->ctx, route->body, x->request.json, input);
        if (shape != OK)
            hold(x, shape);
        x->request.input = input;
    }
    return OK;
}
