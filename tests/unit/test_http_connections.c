/* SPDX-License-Identifier: Apache-2.0 */
/* Connections, the portal's files, streams, the administration socket, the client, cursors. */
#include "http_routes.h"

/* ---- connections ---- */
static void one_connection_carries_many_requests(void **state)
{
    struct fixture *f = *state;
    struct answer got;
    int fd = connect_port(http_port(f->server));
    for (int i = 0; i < 50; i++) {
        ask_on(fd, "POST", "/api/v1/drafts", ALICE, "{\"text\":\"a\"}", &got);
        assert_int_equal(got.status, 201);
        ask_on(fd, "GET", "/api/v1/nothing", "", NULL, &got);
        assert_int_equal(got.status, 404);
        ask_on(fd, "POST", "/api/v1/nothing", "", "{}", &got);
        assert_int_equal(got.status, 404);
        ask_on(fd, "POST", "/api/v1/notes", BOB, "{}", &got);
        assert_int_equal(got.status, 403);
        ask_on(fd, "HEAD", "/api/v1/notes/7", ALICE, NULL, &got);
        assert_int_equal(got.status, 200);
        assert_header(&got, "Content-Length", "10");
    }
    close(fd);
    assert_notes(f, 50);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct fixture *f = *state;
    static char all[16384];
    size_t len = 0;
    for (int i = 0; i < 20; i++)
        len += (size_t)snprintf(all + len, sizeof all - len,
                                "GET /api/v1/notes/n%d HTTP/1.1\r\nHost: t\r\n" ALICE "\r\n", i);
    int fd = connect_port(http_port(f->server));
    assert_true(send_bytes(fd, all, len));
    struct answer got;
    for (int i = 0; i < 20; i++) {
        char wanted[32];
        read_answer(fd, false, &got);
        assert_int_equal(got.status, 200);
        snprintf(wanted, sizeof wanted, "{\"id\":\"n%d\"}", i);
        assert_string_equal(got.body, wanted);
    }
    close(fd);
}

static void *many_writes(void *arg)
{
    struct fixture *f = arg;
    struct answer *got = malloc(sizeof *got);
    int fd = connect_port(http_port(f->server));
    intptr_t good = 0;
    for (int i = 0; i < 100; i++) {
        ask_on(fd, "POST", "/api/v1/drafts", ALICE, "{\"text\":\"a\"}", got);
        good += got->status == 201;
    }
    close(fd);
    free(got);
    return (void *)good;
}

static void many_connections_write_at_once(void **state)
{
    pthread_t threads[8];
    intptr_t total = 0;
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, many_writes, *state);
    for (int i = 0; i < 8; i++) {
        void *good = NULL;
        pthread_join(threads[i], &good);
        total += (intptr_t)good;
    }
    assert_int_equal(total, 800);
    assert_notes(*state, 800);
    struct http_stats stats;
    http_stats(((struct fixture *)*state)->server, &stats);
    assert_true(stats.requests >= 801);
    assert_true(stats.by_class[2] >= 800);
}

static void stopping_lets_what_runs_finish(void **state)
{
    struct fixture *f = *state;
    struct call call = {.f = f, .path = "/api/v1/slow", .headers = ALICE};
    pthread_t thread;
    pthread_create(&thread, NULL, call_thread, &call);
    sleep_ms(100);
    int port = http_port(f->server);
    restart(f);
    pthread_join(thread, NULL);
    assert_int_equal(call.got.status, 200);
    assert_header(&call.got, "Connection", "close");
    if (port != http_port(f->server))
        assert_int_equal(connect_port(port), -1);
}

static void a_client_that_leaves_breaks_nothing(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 10; i++) {
        int fd = connect_port(http_port(f->server));
        const char *request = "POST /api/v1/slow HTTP/1.1\r\nHost: t\r\n" ALICE "\r\n";
        send_bytes(fd, request, strlen(request));
        close(fd);
    }
    assert_notes(f, 0);
}

static void a_large_body_arrives_whole_and_a_larger_one_is_refused(void **state)
{
    struct fixture *f = *state;
    static char body[200001];
    memset(body, 'x', 200000);
    struct answer *got = malloc(sizeof *got);
    int fd = connect_port(http_port(f->server));
    char head[128];
    snprintf(head, sizeof head,
             "POST /api/v1/echo HTTP/1.1\r\nHost: t\r\nContent-Length: 200000\r\n\r\n");
    assert_true(send_bytes(fd, head, strlen(head)) && send_bytes(fd, body, 200000));
    read_answer(fd, false, got);
    assert_int_equal(got->status, 200);
    assert_string_equal(got->body, body);
    const char *chunked =
        "POST /api/v1/echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
    send_bytes(fd, chunked, strlen(chunked));
    send_bytes(fd, "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", 27);
    read_answer(fd, false, got);
    assert_string_equal(got->body, "hello world");
    close(fd);
    fd = connect_port(http_port(f->server));
    snprintf(head, sizeof head,
             "POST /api/v1/echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1048577\r\n\r\n");
    send_bytes(fd, head, strlen(head));
    read_answer(fd, false, got);
    assert_problem(got, 413, "body_too_large");
    close(fd);
    free(got);
}

/* ---- portal ---- */
static void assets_are_chosen_by_encoding(void **state)
{
    struct answer got;
    const char *path = "/assets/app-1a2b.js";
    ask(*state, "GET", path, "", NULL, &got);
    assert_string_equal(got.body, "raw app");
    assert_header(&got, "ETag", "\"e1\"");
    assert_header(&got, "Vary", "Accept-Encoding");
    assert_header(&got, "Cache-Control", "public, max-age=31536000, immutable");
    ask(*state, "GET", path, "Accept-Encoding: gzip, deflate, br\r\n", NULL, &got);
    assert_string_equal(got.body, "br");
    assert_header(&got, "Content-Encoding", "br");
    assert_header(&got, "ETag", "\"e1-br\"");
    ask(*state, "GET", path, "Accept-Encoding: br;q=0, gzip\r\n", NULL, &got);
    assert_string_equal(got.body, "gzip");
    assert_header(&got, "Content-Encoding", "gzip");
    ask(*state, "GET", path, "Accept-Encoding: br\r\nIf-None-Match: \"e1-br\"\r\n", NULL, &got);
    assert_int_equal(got.status, 304);
    ask(*state, "HEAD", path, "", NULL, &got);
    assert_header(&got, "Content-Length", "7");
}

static void pages_fall_back_to_the_index_and_missing_assets_do_not(void **state)
{
    struct answer got;
    static const char *const pages[] = {"/", "/index.html", "/orders/17", "/p/stores?x=1"};
    for (size_t i = 0; i < 4; i++) {
        ask(*state, "GET", pages[i], "", NULL, &got);
        assert_int_equal(got.status, 200);
        assert_string_equal(got.body, "<!doctype html>raw");
        assert_header(&got, "Cache-Control", "no-cache");
        assert_header(&got, "ETag", "\"e2\"");
        assert_has(&got, "trusted-types vue default");
    }
    static const char *const missing[] = {"/assets/gone.js", "/api/x",   "/if2/v1/x", "/metrics",
                                          "/.well-known/x",  "/scim/v2", "/oauth2"};
    for (size_t i = 0; i < 7; i++) {
        ask(*state, "GET", missing[i], "", NULL, &got);
        assert_problem(&got, 404, "not_found");
    }
    ask(*state, "POST", "/orders", "", "{}", &got);
    assert_problem(&got, 405, "method_not_allowed");
}

static void a_portal_folder_is_served_without_leaving_it(void **state)
{
    struct fixture *f = *state;
    mkdir(in_dir(f, "portal"), 0700);
    f->options.portal_dir = str_z(f->ctx.arena, str_of(f->path));
    write_file(in_dir(f, "portal/index.html"), "from folder");
    f->options.docs_index_fallback = false;
    restart(f);
    struct answer got;
    ask(f, "GET", "/", "", NULL, &got);
    assert_string_equal(got.body, "from folder");
    assert_header(&got, "Content-Type", "text/html; charset=utf-8");
    static const char *const outside[] = {"/../db", "/%2e%2e/db", "/..%2fdb", "/./index.html",
                                          "/sub/../../db"};
    for (size_t i = 0; i < 5; i++) {
        ask(f, "GET", outside[i], "", NULL, &got);
        assert_int_equal(got.status, 404);
    }
}

/* ---- streams ---- */
static void a_stream_tells_until_it_ends(void **state)
{
    struct fixture *f = *state;
    int fd = connect_port(http_port(f->server));
    const char *request =
        "GET /api/v1/ticks?max=3 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    send_bytes(fd, request, strlen(request));
    static char all[8192];
    size_t len = 0;
    ssize_t now = 0;
    while ((now = recv(fd, all + len, sizeof all - 1 - len, 0)) > 0) {
        len += (size_t)now;
        http_wake_streams(f->server);
    }
    all[len] = '\0';
    close(fd);
    assert_non_null(strstr(all, "text/event-stream"));
    assert_non_null(strstr(all, "id: 1\ndata: tick"));
    assert_non_null(strstr(all, "id: 3\ndata: tick"));
    for (int i = 0; i < 100 && atomic_load(&stream_closes) == 0; i++)
        sleep_ms(10);
    assert_int_equal(atomic_load(&stream_closes), 1);
}

static void streams_are_counted_per_actor_and_closed_on_stop(void **state)
{
    struct fixture *f = *state;
    enum { PER_ACTOR = 16 };
    int fds[PER_ACTOR];
    const char *request = "GET /api/v1/ticks?max=1000 HTTP/1.1\r\nHost: t\r\n\r\n";
    struct answer got;
    for (int i = 0; i < PER_ACTOR; i++) {
        fds[i] = connect_port(http_port(f->server));
        send_bytes(fds[i], request, strlen(request));
        read_answer(fds[i], true, &got);
        assert_int_equal(got.status, 200);
    }
    ask(f, "GET", "/api/v1/ticks", "", NULL, &got);
    assert_problem(&got, 429, "too_many_streams");
    struct http_stats stats;
    http_stats(f->server, &stats);
    assert_int_equal(stats.streams, PER_ACTOR);
    close(fds[0]); /* left without a word: noticed at the next write */
    for (int i = 0; i < 500 && atomic_load(&stream_closes) == 0; i++) {
        http_wake_streams(f->server);
        sleep_ms(10);
    }
    assert_int_equal(atomic_load(&stream_closes), 1);
    restart(f);
    assert_int_equal(atomic_load(&stream_closes), PER_ACTOR);
    for (int i = 1; i < PER_ACTOR; i++)
        close(fds[i]);
}

/* ---- administration socket ---- */
static void administration_is_only_over_its_socket(void **state)
{
    struct fixture *f = *state;
    struct answer got;
    ask(f, "GET", "/admin/where", ALICE, NULL, &got);
    assert_problem(&got, 404, "not_found");
    struct stat info;
    assert_int_equal(stat(f->options.unix_socket, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    struct http_client *client = http_client_new();
    struct http_call call = {.method = "GET",
                             .url = STR("http://local/admin/where"),
                             .unix_socket = f->options.unix_socket,
                             .allow_plain_http = true};
    struct http_answer answer;
    assert_int_equal(http_send(&f->ctx, client, &call, &answer), OK);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body.data, "\"admin\":true"));
    http_client_free(client);
}

/* ---- client ---- */
static void the_client_sends_and_reads(void **state)
{
    struct fixture *f = *state;
    struct http_client *client = http_client_new();
    struct http_answer answer;
    struct http_call call = {
        .method = "POST",
        .url = str_printf(f->ctx.arena, "http://127.0.0.1:%d/api/v1/notes", http_port(f->server)),
        .body = STR("{\"text\":\"a\"}"),
        .bearer = STR("alice"),
        .header_names = {STR("Idempotency-Key")},
        .header_values = {STR("k")},
        .header_count = 1,
        .allow_plain_http = true,
        .allow_private = true,
    };
    assert_int_equal(http_send(&f->ctx, client, &call, &answer), OK);
    assert_int_equal(answer.status, 201);
    assert_true(str_is(answer.etag, "\"v1\""));
    assert_true(str_is(answer.location, "/api/v1/notes/17"));
    call.bearer = STR("nobody");
    assert_int_equal(http_send(&f->ctx, client, &call, &answer), OK);
    assert_int_equal(answer.status, 401);
    /* A kept connection does not outlive the permission to reach it. */
    call.allow_private = false;
    assert_int_equal(http_send(&f->ctx, client, &call, &answer), ERR_UPSTREAM);
    assert_true(answer.unreachable);
    assert_string_equal(f->ctx.problem.reason, "address_not_allowed");
    call.allow_private = true;
    call.allow_plain_http = false;
    assert_int_equal(http_send(&f->ctx, client, &call, &answer), ERR_UPSTREAM);
    assert_true(answer.unreachable);
    /* Networks that the operator named are allowed, others not. */
    call.allow_private = false;
    call.plain_networks = STR("10.0.0.0/8, 127.0.0.0/8");
    assert_int_equal(http_send(&f->ctx, client, &call, &answer), OK);
    call.plain_networks = STR("10.0.0.0/8,nonsense,127.0.0.0/40");
    assert_int_equal(http_send(&f->ctx, client, &call, &answer), ERR_UPSTREAM);
    assert_string_equal(f->ctx.problem.reason, "address_not_allowed");
    call.plain_networks = STR("");
    call.allow_private = true;
    call.allow_plain_http = true;
    call.reply_max = 10;
    assert_int_equal(http_send(&f->ctx, client, &call, &answer), ERR_UPSTREAM);
    assert_false(answer.unreachable);
    http_client_free(client);
}

static void the_client_tells_unreachable_from_slow(void **state)
{
    struct fixture *f = *state;
    struct http_client *client = http_client_new();
    struct http_answer answer;
    struct http_call call = {
        .method = "POST",
        .url = str_printf(f->ctx.arena, "http://127.0.0.1:%d/api/v1/slow", http_port(f->server)),
        .bearer = STR("alice"),
        .timeout_ms = 100,
        .allow_plain_http = true,
        .allow_private = true,
    };
    assert_int_equal(http_send(&f->ctx, client, &call, &answer), ERR_UPSTREAM);
    assert_true(answer.timed_out);
    assert_false(answer.unreachable);
    call.url = STR("http://127.0.0.1:1/");
    assert_int_equal(http_send(&f->ctx, client, &call, &answer), ERR_UPSTREAM);
    assert_false(answer.timed_out);
    assert_true(answer.unreachable);
    call.allow_private = false;
    static const char *const closed[] = {
        "http://127.0.0.1:1/",       "http://[::1]:1/",    "http://10.1.2.3/",
        "http://192.168.0.1/",       "http://172.31.0.1/", "http://169.254.169.254/",
        "http://[::ffff:10.0.0.1]/", "http://[fe80::1]/",  "http://[fd00::1]/",
        "http://100.64.0.1/",        "http://0.0.0.0/",    "http://localhost:1/"};
    for (size_t i = 0; i < sizeof closed / sizeof closed[0]; i++) {
        call.url = str_of(closed[i]);
        assert_int_equal(http_send(&f->ctx, client, &call, &answer), ERR_UPSTREAM);
        assert_true(answer.unreachable);
        if (strcmp(f->ctx.problem.reason, "address_not_allowed") != 0)
            fail_msg("%s: %s %s", closed[i], f->ctx.problem.reason, f->ctx.problem.detail);
    }
    http_client_free(client);
}

/* ---- without a server ---- */
static void cursors_come_back_only_to_their_list(void **state)
{
    struct fixture *f = *state;
    uint8_t key[32] = {1, 2, 3};
    cursor_set_key(key);
    str_t cursor = cursor_make(&f->ctx, INT64_C(123456789012), -5, 42);
    int64_t position = 0, tie = 0;
    assert_int_equal(cursor_read(&f->ctx, cursor, 42, &position, &tie), OK);
    assert_int_equal(position, INT64_C(123456789012));
    assert_int_equal(tie, -5);
    assert_int_equal(cursor_read(&f->ctx, cursor, 43, &position, &tie), ERR_INPUT);
    char changed[128] = "";
    memcpy(changed, cursor.data, cursor.len);
    changed[3] = changed[3] == 'A' ? 'B' : 'A';
    problem_clear(&f->ctx);
    assert_int_equal(cursor_read(&f->ctx, str_of(changed), 42, &position, &tie), ERR_INPUT);
    problem_clear(&f->ctx);
    assert_int_equal(cursor_read(&f->ctx, STR("x"), 42, &position, &tie), ERR_INPUT);
}

static void a_route_twice_stops_the_start(void **state)
{
    struct fixture *f = *state;
    static const struct route twice[] = {
        {"GET", "/a/{x}", 0, TX_NONE, NULL, get_where, ROUTE_PUBLIC},
        {"GET", "/a/{y}", 0, TX_NONE, NULL, get_where, ROUTE_PUBLIC},
    };
    static const struct route_table table[] = {ROUTES(twice)};
    struct http_options options = {.tables = table, .table_count = 1};
    struct http_server *server = NULL;
    assert_int_equal(http_start(&f->ctx, &f->platform, &options, &server), ERR_INTERNAL);
    assert_string_equal(f->ctx.problem.reason, "route_table");
}

static void routes_are_printed_with_their_fields(void **state)
{
    struct fixture *f = *state;
    struct buf out;
    buf_init(&out, f->ctx.arena, 1 << 16);
    http_print_routes(&out, tables, 2, NULL);
    const char *error = NULL;
    const struct json *all = json_parse_text(f->ctx.arena, str_trim(buf_str(&out)), &error);
    assert_non_null(all);
    const struct json *first = json_at(json_get(all, "routes"), 0);
    assert_true(str_is(json_get_text(first, "path"), "/api/v1/notes"));
    const struct json *field = json_at(json_get(first, "body"), 0);
    assert_true(str_is(json_get_text(field, "name"), "text"));
    assert_true(str_is(json_get_text(field, "type"), "string"));
    assert_int_equal(json_get_int(field, "max", 0), 50);
    assert_true(json_bool(json_get(field, "required")));
}

int main(void)
{
    log_set_level(LOG_WARN);
    const struct CMUnitTest tests[] = {
        CASE(one_connection_carries_many_requests),
        CASE(pipelined_requests_are_answered_in_order),
        CASE(many_connections_write_at_once),
        CASE(stopping_lets_what_runs_finish),
        CASE(a_client_that_leaves_breaks_nothing),
        CASE(a_large_body_arrives_whole_and_a_larger_one_is_refused),
        CASE(assets_are_chosen_by_encoding),
        CASE(pages_fall_back_to_the_index_and_missing_assets_do_not),
        CASE(a_portal_folder_is_served_without_leaving_it),
        CASE(a_stream_tells_until_it_ends),
        CASE(streams_are_counted_per_actor_and_closed_on_stop),
        CASE(administration_is_only_over_its_socket),
        CASE(the_client_sends_and_reads),
        CASE(the_client_tells_unreachable_from_slow),
        CASE(cursors_come_back_only_to_their_list),
        CASE(a_route_twice_stops_the_start),
        CASE(routes_are_printed_with_their_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
