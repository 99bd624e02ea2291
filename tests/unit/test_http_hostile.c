/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that want to be read in two ways, to be larger than allowed, or never to end. Each row
 * is sent as it stands; what counts is the status, that nothing but what the row says reached a
 * handler, and that the server goes on. */
#include "http_support.h"

#include <stdatomic.h>

static atomic_int hits;

struct hit_input {
    str_t text;
    int64_t number;
};
static const struct field hit_fields[] = {
    FIELD(struct hit_input, text, 0, 100, 0),
    FIELD(struct hit_input, number, 0, INT64_MAX, 0),
};
static const struct shape hit_shape = SHAPE(struct hit_input, hit_fields);

static err_t hit(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    (void)ctx;
    (void)request;
    atomic_fetch_add(&hits, 1);
    buf_puts(&reply->body, "{}");
    return OK;
}

static const struct route routes[] = {
    {"POST", "/api/hit", 0, TX_WRITE, &hit_shape, hit, ROUTE_PUBLIC},
    {"POST", "/api/raw", 0, TX_NONE, NULL, hit, ROUTE_PUBLIC | ROUTE_RAW_BODY},
    {"GET", "/api/hit", 0, TX_READ, NULL, hit, ROUTE_PUBLIC},
    {"GET", "/api/hit/{id}", 0, TX_READ, NULL, hit, ROUTE_PUBLIC},
};
static const struct route_table tables[] = {ROUTES(routes)};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    open_database(f);
    f->options = (struct http_options){
        .tables = tables, .table_count = 1, .timeout_s = 2, .body_max = 65536};
    assert_int_equal(http_start(&f->ctx, &f->platform, &f->options, &f->server), OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    http_stop(f->server);
    close_database(f);
    free(f);
    return 0;
}

struct row {
    const char *name, *bytes;
    size_t len;
    int status; /* 0: the connection ends without a reply */
    int hits;
};
#define ROW(name_, status_, hits_, bytes_)                                            \
    {                                                                                 \
        .name = name_, .bytes = bytes_, .len = sizeof(bytes_) - 1, .status = status_, \
        .hits = hits_                                                                 \
    }
#define HOST "Host: t\r\n"
#define JSON_TYPE "Content-Type: application/json\r\n"
#define END "Connection: close\r\n\r\n"
#define POST_LINE "POST /api/raw HTTP/1.1\r\n" HOST
#define GET_LINE "GET /api/hit HTTP/1.1\r\n" HOST
#define SMUGGLED "GET /api/hit HTTP/1.1\r\n" HOST "\r\n"
#define POST_JSON(json, len) \
    "POST /api/hit HTTP/1.1\r\n" HOST JSON_TYPE "Content-Length: " len "\r\n" END json

static const struct row rows[] = {
    /* Two lengths. */
    ROW("length and chunks", 400, 0,
        POST_LINE "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED),
    ROW("chunks and length", 400, 0,
        POST_LINE "Transfer-Encoding: chunked\r\nContent-Length: 43\r\n\r\n0\r\n\r\n" SMUGGLED),
    ROW("same length twice", 400, 0, POST_LINE "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}"),
    ROW("two lengths", 400, 0,
        POST_LINE "Content-Length: 0\r\nContent-Length: 40\r\n\r\n" SMUGGLED),
    ROW("length with plus", 400, 0, POST_LINE "Content-Length: +2\r\n\r\n{}"),
    ROW("length negative", 400, 0, POST_LINE "Content-Length: -1\r\n\r\n{}"),
    ROW("length as a list", 400, 0, POST_LINE "Content-Length: 2, 2\r\n\r\n{}"),
    ROW("length in hex", 400, 0, POST_LINE "Content-Length: 0x2\r\n\r\n{}"),
    ROW("length with leading zeros", 400, 0, POST_LINE "Content-Length: 0002\r\n\r\n{}"),
    ROW("length empty", 400, 0, POST_LINE "Content-Length: \r\n\r\n{}"),
    ROW("length beyond 64 bits", 413, 0,
        POST_LINE "Content-Length: 99999999999999999999\r\n\r\n{}"),
    ROW("length beyond the limit", 413, 0, POST_LINE "Content-Length: 65537\r\n\r\n{}"),
    ROW("length beyond the limit, waiting for leave", 413, 0,
        POST_LINE "Expect: 100-continue\r\nContent-Length: 65537\r\n\r\n"),
    /* Transfer codings. */
    ROW("another coding", 400, 0,
        POST_LINE "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" SMUGGLED),
    ROW("chunked, then identity", 400, 0,
        POST_LINE "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" SMUGGLED),
    ROW("gzip, then chunked", 400, 0,
        POST_LINE "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" SMUGGLED),
    ROW("chunked twice", 400, 0,
        POST_LINE "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ROW("chunked in HTTP/1.0", 400, 0,
        "POST /api/raw HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ROW("chunk size beyond 64 bits", 413, 0,
        POST_LINE "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nx"),
    ROW("chunk size negative", 400, 0,
        POST_LINE "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n"),
    ROW("chunk size with 0x", 400, 0,
        POST_LINE "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n"),
    ROW("chunk longer than its size", 400, 0,
        POST_LINE "Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n" SMUGGLED),
    /* Header syntax. */
    ROW("blank before the colon", 400, 0, POST_LINE "Content-Length : 2\r\n\r\n{}"),
    ROW("tab before the colon", 400, 0, POST_LINE "Content-Length\t: 2\r\n\r\n{}"),
    ROW("blank before the colon of the coding", 400, 0,
        POST_LINE "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" SMUGGLED),
    /* The library glues it to the name before: a header nobody knows. */
    ROW("folded line", 200, 1, GET_LINE "X-Long: a\r\n b\r\n" END),
    ROW("folded coding", 400, 0,
        POST_LINE "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" SMUGGLED),
    ROW("folded length", 400, 0, POST_LINE "Content-Length: 2\r\n 0\r\n\r\n{}"),
    ROW("length in a folded line", 400, 0,
        POST_LINE "X-Long: a\r\n Content-Length: 40\r\n\r\n" SMUGGLED),
    ROW("first header line indented", 400, 0, "GET /api/hit HTTP/1.1\r\n Host: t\r\n" END),
    ROW("no colon", 400, 0, GET_LINE "nonsense\r\n" END),
    /* The library takes it for the end of the head; what follows is then no request. */
    ROW("empty name", 200, 1, GET_LINE ": x\r\n" END),
    ROW("control character in a value", 400, 0,
        GET_LINE "X-A: a\x01"
                 "b\r\n" END),
    ROW("invalid UTF-8 in a value", 400, 0, GET_LINE "User-Agent: \xff\xfe\r\n" END),
    ROW("NUL in a value", 200, 1, GET_LINE "X-A: a\0b\r\n" END),
    ROW("NUL in a name", 400, 0, GET_LINE "X-\0A: a\r\n" END),
    ROW("bare carriage return in a value", 400, 0, GET_LINE "X-A: a\rX-B: b\r\n" END),
    ROW("bare line feeds", 200, 1, "GET /api/hit HTTP/1.1\nHost: t\nConnection: close\n\n"),
    ROW("no host", 400, 0, "GET /api/hit HTTP/1.1\r\n" END),
    ROW("two hosts", 400, 0, GET_LINE "Host: other\r\n" END),
    ROW("two authorisations", 400, 0, GET_LINE "Authorization: a\r\nAuthorization: b\r\n" END),
    ROW("a strange cookie", 200, 1, GET_LINE "Cookie: =;;;==\"a; b\r\n" END),
    /* Request lines. */
    ROW("method in lower case", 501, 0, "get /api/hit HTTP/1.1\r\n" HOST END),
    ROW("unknown method", 501, 0, "BREW /api/hit HTTP/1.1\r\n" HOST END),
    ROW("trace", 501, 0, "TRACE /api/hit HTTP/1.1\r\n" HOST END),
    ROW("connect", 400, 0, "CONNECT inside:22 HTTP/1.1\r\n" HOST END),
    ROW("HTTP/2 in clear", 505, 0, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ROW("HTTP/1.2", 505, 0, "GET /api/hit HTTP/1.2\r\n" HOST END),
    ROW("HTTP/0.9", 400, 0, "GET /api/hit\r\n\r\n"),
    ROW("whole address as target", 400, 0, "GET http://inside/api/hit HTTP/1.1\r\n" HOST END),
    ROW("blank in the target", 0, 0, "GET /api/hit x HTTP/1.1\r\n" HOST END),
    ROW("raw UTF-8 in the target", 400, 0, "GET /api/\xe7\xae\x97 HTTP/1.1\r\n" HOST END),
    ROW("fragment in the target", 400, 0, "GET /api/hit#x HTTP/1.1\r\n" HOST END),
    ROW("NUL in the target", 200, 1, /* cut there */
        "GET /api/hit\0x HTTP/1.1\r\n" HOST END),
    ROW("escaped NUL", 400, 0, "GET /api/hit/%00 HTTP/1.1\r\n" HOST END),
    ROW("escaped line break", 400, 0, "GET /api/hit/a%0d%0aX-A:%20b HTTP/1.1\r\n" HOST END),
    ROW("bad escape", 400, 0, "GET /api/hit/%zz HTTP/1.1\r\n" HOST END),
    ROW("escape cut off", 400, 0, "GET /api/hit/%4 HTTP/1.1\r\n" HOST END),
    ROW("overlong slash", 400, 0, "GET /api/hit/%c0%af HTTP/1.1\r\n" HOST END),
    ROW("escaped surrogate", 400, 0, "GET /api/hit/%ed%a0%80 HTTP/1.1\r\n" HOST END),
    ROW("dots to the root", 404, 0, "GET /api/hit/../../etc/passwd HTTP/1.1\r\n" HOST END),
    ROW("empty segment", 404, 0, "GET /api//hit HTTP/1.1\r\n" HOST END),
    ROW("empty parameter", 404, 0, "GET /api/hit/ HTTP/1.1\r\n" HOST END),
    ROW("parameter twice", 400, 0, "GET /api/hit?a=1&a=2 HTTP/1.1\r\n" HOST END),
    ROW("not HTTP", 0, 0, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    /* Bodies. */
    ROW("key twice", 400, 0, POST_JSON("{\"text\":\"a\",\"text\":\"b\"}", "23")),
    ROW("NUL in a text", 400, 0, POST_JSON("{\"text\":\"a\\u0000b\"}", "19")),
    ROW("invalid UTF-8 in a text", 400, 0, POST_JSON("{\"text\":\"\xff\"}", "12")),
    ROW("beyond 2^53", 400, 0, POST_JSON("{\"number\":9007199254740993}", "27")),
    ROW("not a number", 400, 0, POST_JSON("{\"number\":NaN}", "14")),
    ROW("two values", 400, 0, POST_JSON("{}{}", "4")),
    ROW("body of a GET", 400, 0, GET_LINE JSON_TYPE "Content-Length: 2\r\n" END "{}"),
    ROW("another charset", 415, 0,
        "POST /api/hit HTTP/1.1\r\n" HOST
        "Content-Type: application/json; charset=gbk\r\nContent-Length: 2\r\n" END "{}"),
    ROW("a good one, for comparison", 200, 1, POST_JSON("{\"number\":7}", "12")),
};

static int status_of(struct fixture *f, const char *bytes, size_t len)
{
    struct answer *got = malloc(sizeof *got);
    int fd = connect_port(http_port(f->server));
    assert_true(fd >= 0);
    send_bytes(fd, bytes, len);
    shutdown(fd, SHUT_WR);
    read_answer(fd, false, got);
    /* What follows on the same connection would be a request smuggled in. */
    char rest[4096];
    while (recv(fd, rest, sizeof rest, 0) > 0)
        ;
    int status = got->status;
    close(fd);
    free(got);
    return status;
}

static void hostile_requests_are_refused_and_harm_nothing(void **state)
{
    int wrong = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        atomic_store(&hits, 0);
        int status = status_of(*state, rows[i].bytes, rows[i].len);
        int hit_count = atomic_load(&hits);
        if (status == rows[i].status && hit_count == rows[i].hits)
            continue;
        print_error("%s: status %d, %d wanted; hits %d, %d wanted\n", rows[i].name, status,
                    rows[i].status, hit_count, rows[i].hits);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static void assert_still_answers(struct fixture *f)
{
    struct answer *got = malloc(sizeof *got);
    ask(f, "GET", "/api/hit", "", NULL, got);
    assert_int_equal(got->status, 200);
    free(got);
}

/* ---- sizes ---- */
static void long_paths_many_headers_and_parameters_are_refused(void **state)
{
    static char text[65536];
    size_t len = (size_t)snprintf(text, sizeof text, "GET /api/hit/");
    memset(text + len, 'a', 1024);
    snprintf(text + len + 1024, 200, " HTTP/1.1\r\n" HOST END);
    assert_int_equal(status_of(*state, text, strlen(text)), 414);

    len = (size_t)snprintf(text, sizeof text, GET_LINE);
    for (int i = 0; i < 65; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "X-%d: a\r\n", i);
    snprintf(text + len, sizeof text - len, END);
    assert_int_equal(status_of(*state, text, strlen(text)), 431);

    len = (size_t)snprintf(text, sizeof text, "GET /api/hit?");
    for (int i = 0; i < 33; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "p%d=1&", i);
    snprintf(text + len, sizeof text - len, "z=1 HTTP/1.1\r\n" HOST END);
    assert_int_equal(status_of(*state, text, strlen(text)), 400);

    static const size_t sizes[] = {15000, 17000, 20000, 24000, 28000, 31000, 33000, 40000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        len = (size_t)snprintf(text, sizeof text, GET_LINE "X-Huge: ");
        memset(text + len, 'a', sizes[i]);
        snprintf(text + len + sizes[i], 200, "\r\n" END);
        int status = status_of(*state, text, strlen(text));
        if (status != (sizes[i] < 16000 ? 200 : 431))
            fail_msg("a head of %zu bytes: %d", sizes[i], status);
    }

    memset(text, 'A', 60000);
    int status = status_of(*state, text, 60000);
    assert_true(status == 0 || status == 414);
    assert_still_answers(*state);
}

static void chunks_beyond_the_limit_are_refused(void **state)
{
    struct fixture *f = *state;
    static char text[200000];
    size_t len =
        (size_t)snprintf(text, sizeof text, POST_LINE "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 70; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "400\r\n");
        memset(text + len, 'x', 1024);
        len += 1024;
        len += (size_t)snprintf(text + len, sizeof text - len, "\r\n");
    }
    len += (size_t)snprintf(text + len, sizeof text - len, "0\r\n\r\n");
    atomic_store(&hits, 0);
    assert_int_equal(status_of(f, text, len), 413);
    assert_int_equal(atomic_load(&hits), 0);
    /* Chunks without end are cut off. */
    int fd = connect_port(http_port(f->server));
    const char *head = POST_LINE "Transfer-Encoding: chunked\r\n\r\n";
    send_bytes(fd, head, strlen(head));
    size_t sent = 0;
    memcpy(text, "10000\r\n", 7);
    memset(text + 7, 'x', 65536);
    memcpy(text + 7 + 65536, "\r\n", 2);
    while (sent < (64u << 20) && send_bytes(fd, text, 65536 + 9))
        sent += 65536;
    assert_true(sent < (64u << 20));
    close(fd);
    assert_still_answers(f);
}

static void deep_json_is_refused(void **state)
{
    static char text[4096], body[2048];
    memset(body, '[', 1000);
    memset(body + 1000, ']', 1000);
    snprintf(text, sizeof text,
             "POST /api/hit HTTP/1.1\r\n" HOST JSON_TYPE "Content-Length: 2009\r\n" END
             "{\"text\":%s}",
             body);
    assert_int_equal(status_of(*state, text, strlen(text)), 400);
}

/* ---- time ---- */
static int64_t trickle(struct fixture *f, const char *start, char more)
{
    int64_t from = clock_monotonic_us();
    int fd = connect_port(http_port(f->server));
    send_bytes(fd, start, strlen(start));
    char one;
    for (int i = 0; i < 60; i++) {
        if (!send_bytes(fd, &more, 1))
            break;
        struct timeval limit = {.tv_usec = 200000};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        if (recv(fd, &one, 1, 0) == 0)
            break;
    }
    close(fd);
    return (clock_monotonic_us() - from) / 1000;
}

static void a_trickled_request_is_cut(void **state)
{
    assert_true(trickle(*state, GET_LINE "X-Slow: ", 'a') < 8000);
    assert_true(trickle(*state, POST_LINE "Content-Length: 1000\r\n\r\n", 'a') < 8000);
    assert_true(trickle(*state, "", 'G') < 8000);
    assert_still_answers(*state);
}

static void silent_connections_do_not_stop_others(void **state)
{
    struct fixture *f = *state;
    int fds[100];
    for (int i = 0; i < 100; i++)
        fds[i] = connect_port(http_port(f->server));
    assert_still_answers(f);
    char one;
    for (int i = 0; i < 100; i++) {
        assert_true(recv(fds[i], &one, 1, 0) <= 0); /* the idle limit passed */
        close(fds[i]);
    }
    struct http_stats stats;
    for (int i = 0; i < 100; i++, sleep_ms(10)) {
        http_stats(f->server, &stats);
        if (stats.connections == 0)
            break;
    }
    assert_int_equal(stats.connections, 0);
    assert_int_equal(stats.in_flight, 0);
}

int main(void)
{
    log_set_level(LOG_WARN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_requests_are_refused_and_harm_nothing),
        cmocka_unit_test(long_paths_many_headers_and_parameters_are_refused),
        cmocka_unit_test(chunks_beyond_the_limit_are_refused),
        cmocka_unit_test(deep_json_is_refused),
        cmocka_unit_test(a_trickled_request_is_cut),
        cmocka_unit_test(silent_connections_do_not_stop_others),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
