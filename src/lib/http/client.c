/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP calls out (libcurl): TLS 1.2 at least, no redirects, no proxy from the environment, answers
 * bounded. Where a call may not reach into the own network, every address is judged after it was
 * resolved, when the socket is opened and again before the request is sent, so neither a name that
 * changes its mind nor a kept connection gets around it. */
#include "http_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

enum { REPLY_MAX = 1 << 20, HEADER_VALUE_MAX = 8 << 10 };

struct http_client {
    CURL *curl;
    const struct http_call *call; /* under way */
    bool allow_private;
    bool refused_address;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void curl_start(void)
{
    ENSURE(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

struct http_client *http_client_new(void)
{
    pthread_once(&curl_once, curl_start);
    struct http_client *client = calloc(1, sizeof *client);
    ENSURE(client);
    client->curl = curl_easy_init();
    ENSURE(client->curl);
    return client;
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    curl_easy_cleanup(client->curl);
    free(client);
}

/* ---- addresses ---- */
struct network {
    uint32_t base;
    int bits;
};
/* Own host, private, shared, link-local, benchmark, documentation, multicast, reserved. */
static const struct network closed_networks[] = {
    {0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},  {0xa9fe0000, 16},
    {0xac100000, 12}, {0xc0000000, 24}, {0xc0000200, 24}, {0xc0a80000, 16}, {0xc6120000, 15},
    {0xc6336400, 24}, {0xcb007100, 24}, {0xe0000000, 3},
};

static bool v4_is_closed(uint32_t address)
{
    for (size_t i = 0; i < sizeof closed_networks / sizeof closed_networks[0]; i++) {
        uint32_t mask = UINT32_MAX << (32 - closed_networks[i].bits);
        if ((address & mask) == closed_networks[i].base)
            return true;
    }
    return false;
}

static uint32_t v4_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* "127.0.0.0/8": whether the address lies in it; what is no network holds nothing. */
static bool network_has(struct arena *arena, str_t network, uint32_t address)
{
    str_t rest = network, base;
    uint8_t bytes[4];
    int64_t bits;
    if (!str_next(&rest, '/', &base) || !str_to_int(rest, 1, 32, &bits) ||
        inet_pton(AF_INET, str_z(arena, base), bytes) != 1)
        return false;
    uint32_t mask = UINT32_MAX << (32 - bits);
    return (address & mask) == (v4_at(bytes) & mask);
}

static bool is_listed(const struct http_client *client, uint32_t address)
{
    str_t rest = client->call->plain_networks, network;
    struct arena *arena = arena_new(65536);
    bool listed = false;
    while (!listed && str_next(&rest, ',', &network))
        listed = network_has(arena, str_trim(network), address);
    arena_free(arena);
    return listed;
}

static bool v6_is_closed(const uint8_t a[16])
{
    static const uint8_t zero[12] = {0};
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    if (memcmp(a, mapped, 12) == 0 || memcmp(a, nat64, 12) == 0)
        return v4_is_closed(v4_at(a + 12));
    if (memcmp(a, zero, 12) == 0)
        return true; /* unspecified, loopback, v4-compatible */
    if (a[0] == 0x20 && a[1] == 0x02)
        return v4_is_closed(v4_at(a + 2)); /* 6to4 */
    return (a[0] & 0xe0) != 0x20 || (a[0] == 0x20 && a[1] == 0x01 && a[2] == 0x0d && a[3] == 0xb8);
}

/* The one decision about where a call may go. v4 is 0 for an IPv6 address. */
static bool may_reach(struct http_client *client, bool closed, uint32_t v4)
{
    bool plain = str_starts(client->call->url, STR("http://"));
    bool listed = v4 != 0 && client->call->plain_networks.len > 0 && is_listed(client, v4);
    if (listed ||
        ((!closed || client->allow_private) && (!plain || client->call->allow_plain_http)))
        return true;
    client->refused_address = true;
    return false;
}

static bool may_reach_address(struct http_client *client, const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        uint32_t number = ntohl(v4.sin_addr.s_addr);
        return may_reach(client, v4_is_closed(number), number);
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        return may_reach(client, v6_is_closed(v6.sin6_addr.s6_addr), 0);
    }
    return false;
}

static curl_socket_t on_open_socket(void *cls, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    if (!may_reach_address(cls, &address->addr)) {
        errno = EACCES;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* A kept connection does not open a socket: its address is judged again. */
static int on_before_request(void *cls, char *ip, char *local_ip, int port, int local_port)
{
    (void)local_ip;
    (void)port;
    (void)local_port;
    uint8_t bytes[16];
    bool good = false;
    if (inet_pton(AF_INET, ip, bytes) == 1)
        good = may_reach(cls, v4_is_closed(v4_at(bytes)), v4_at(bytes));
    else if (inet_pton(AF_INET6, ip, bytes) == 1)
        good = may_reach(cls, v6_is_closed(bytes), 0);
    return good ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

/* ---- the answer ---- */
struct receiving {
    struct ctx *ctx;
    struct http_answer *answer;
    struct buf body;
};

static size_t on_body(char *data, size_t one, size_t len, void *cls)
{
    struct receiving *receiving = cls;
    buf_put(&receiving->body, str_from(data, one * len));
    return receiving->body.overflow ? 0 : one * len;
}

static bool take_named(struct ctx *ctx, str_t line, const char *name, str_t *out)
{
    size_t len = strlen(name);
    if (line.len <= len || line.data[len] != ':' || strncasecmp(line.data, name, len) != 0)
        return false;
    str_t value = str_trim(str_cut(line, len + 1));
    if (value.len <= HEADER_VALUE_MAX)
        *out = str_dup(ctx->arena, value);
    return true;
}

static size_t on_header(char *data, size_t one, size_t len, void *cls)
{
    struct receiving *receiving = cls;
    struct http_answer *answer = receiving->answer;
    str_t line = str_from(data, one * len), retry = {0};
    if (str_starts(line, STR("HTTP/"))) {
        /* A new head (after 100 Continue) forgets the one before. */
        answer->content_type = answer->etag = answer->location = (str_t){0};
        answer->retry_after_s = 0;
        return one * len;
    }
    bool taken = take_named(receiving->ctx, line, "Content-Type", &answer->content_type) ||
                 take_named(receiving->ctx, line, "ETag", &answer->etag) ||
                 take_named(receiving->ctx, line, "Location", &answer->location);
    if (!taken && take_named(receiving->ctx, line, "Retry-After", &retry) &&
        !str_to_int(retry, 0, 86400 * 7, &answer->retry_after_s)) {
        time_t at = curl_getdate(retry.data, NULL);
        int64_t wait = at < 0 ? 0 : (int64_t)at - receiving->ctx->now.ms / MS_SECOND;
        answer->retry_after_s = wait > 0 ? wait : 0;
    }
    return one * len;
}

/* ---- the call ---- */
static struct curl_slist *add_header(struct ctx *ctx, struct curl_slist *list, const char *name,
                                     str_t value)
{
    str_t line = str_printf(ctx->arena, "%s: " STR_FMT, name, STR_ARG(value));
    struct curl_slist *longer = curl_slist_append(list, line.data);
    ENSURE(longer);
    return longer;
}

static struct curl_slist *set_headers(struct ctx *ctx, const struct http_call *call, bool has_body)
{
    struct curl_slist *list = NULL;
    if (has_body)
        list = add_header(ctx, list, "Content-Type",
                          call->content_type.len ? call->content_type : STR("application/json"));
    if (call->bearer.len)
        list = add_header(ctx, list, "Authorization",
                          str_printf(ctx->arena, "Bearer " STR_FMT, STR_ARG(call->bearer)));
    for (int i = 0; i < call->header_count; i++)
        list =
            add_header(ctx, list, str_z(ctx->arena, call->header_names[i]), call->header_values[i]);
    list = curl_slist_append(list, "Expect:");
    ENSURE(list);
    return list;
}

/* A line break would begin another header. */
static bool value_is_clean(str_t value)
{
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.data[i] < 0x20 || value.data[i] == 0x7f)
            return false;
    return true;
}

static err_t check_headers(struct ctx *ctx, const struct http_call *call)
{
    bool clean = value_is_clean(call->content_type) && value_is_clean(call->bearer);
    for (int i = 0; i < call->header_count; i++)
        clean = clean && value_is_clean(call->header_names[i]) &&
                value_is_clean(call->header_values[i]);
    return clean ? OK
                 : refuse(ctx, ERR_UPSTREAM, "header_invalid", "a control character in a header");
}

static void set_method(CURL *curl, const struct http_call *call, bool has_body)
{
    const char *method = call->method ? call->method : "GET";
    if (has_body) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body.data ? call->body.data : "");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
    } else if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    } else {
        curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
}

static void set_options(struct ctx *ctx, struct http_client *client, const struct http_call *call)
{
    CURL *curl = client->curl;
    curl_easy_setopt(curl, CURLOPT_URL, str_z(ctx->arena, call->url));
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR,
                     call->allow_plain_http || call->plain_networks.len > 0 ? "http,https"
                                                                            : "https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "suanhe/" SUANHE_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(call->connect_timeout_ms ? call->connect_timeout_ms : 3000));
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(call->timeout_ms ? call->timeout_ms : 10000));
    if (call->unix_socket) {
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, call->unix_socket);
    } else {
        curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
        curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, client);
        curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, on_before_request);
        curl_easy_setopt(curl, CURLOPT_PREREQDATA, client);
    }
    if (call->basic_user.len) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERNAME, str_z(ctx->arena, call->basic_user));
        curl_easy_setopt(curl, CURLOPT_PASSWORD, str_z(ctx->arena, call->basic_password));
    }
}

/* Nothing of the request went out: the other side cannot have seen it. */
static bool nothing_sent(CURL *curl, CURLcode code)
{
    long sent = 0;
    curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &sent);
    return sent == 0 || code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT ||
           code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION;
}

static err_t no_answer(struct ctx *ctx, struct http_client *client, const struct http_call *call,
                       CURLcode code, const char *message, struct http_answer *out)
{
    out->timed_out = code == CURLE_OPERATION_TIMEDOUT;
    out->unreachable = nothing_sent(client->curl, code);
    const char *reason = out->timed_out ? "upstream_timeout" : "upstream_failed";
    if (out->unreachable)
        reason = "upstream_unreachable";
    if (code == CURLE_WRITE_ERROR)
        message = "the answer is too large";
    if (client->refused_address) {
        reason = "address_not_allowed";
        message = "the address is private, local or reserved, or plain http is not allowed to it";
    }
    if (!message[0])
        message = curl_easy_strerror(code);
    out->error = str_dup(ctx->arena, str_of(message));
    return refuse(ctx, ERR_UPSTREAM, reason, STR_FMT ": %s", STR_ARG(call->url), message);
}

err_t http_send(struct ctx *ctx, struct http_client *client, const struct http_call *call,
                struct http_answer *out)
{
    *out = (struct http_answer){.unreachable = true};
    TRY(check_headers(ctx, call));
    *out = (struct http_answer){0};
    CURL *curl = client->curl;
    char message[CURL_ERROR_SIZE] = "";
    struct receiving receiving = {.ctx = ctx, .answer = out};
    buf_init(&receiving.body, ctx->arena, call->reply_max ? call->reply_max : REPLY_MAX);
    bool has_body = call->body.len > 0 || (call->method && (strcmp(call->method, "POST") == 0 ||
                                                            strcmp(call->method, "PUT") == 0 ||
                                                            strcmp(call->method, "PATCH") == 0));
    client->call = call;
    client->allow_private = call->allow_private || call->unix_socket;
    client->refused_address = false;
    curl_easy_reset(curl); /* keeps connections */
    set_options(ctx, client, call);
    set_method(curl, call, has_body);
    struct curl_slist *headers = set_headers(ctx, call, has_body);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &receiving);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &receiving);
    CURLcode code = curl_easy_perform(curl);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    err_t result = OK;
    if (code == CURLE_OK) {
        out->status = (int)status;
        out->body = buf_str(&receiving.body);
    } else {
        result = no_answer(ctx, client, call, code, message, out);
    }
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    curl_slist_free_all(headers);
    return result;
}
