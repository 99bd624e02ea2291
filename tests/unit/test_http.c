/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, refusals, versions and stored replies as a client sees them: a real server, real
 * sockets, a real database. */
#include "http_routes.h"

/* ---- requests and refusals ---- */
static void a_write_is_answered_and_kept(void **state)
{
    struct answer got;
    ask(*state, "POST", "/api/v1/notes", ALICE KEY("k1"), "{\"text\":\"你好\"}", &got);
    assert_int_equal(got.status, 201);
    assert_header(&got, "Content-Type", "application/json; charset=utf-8");
    assert_header(&got, "Location", "/api/v1/notes/17");
    assert_header(&got, "ETag", "\"v1\"");
    assert_header(&got, "Cache-Control", "no-store");
    assert_has(&got, "\"text\":\"你好\"");
    assert_notes(*state, 1);
}

static void a_refused_handler_leaves_nothing(void **state)
{
    struct answer got;
    ask(*state, "POST", "/api/v1/notes", ALICE KEY("k1"), "{\"text\":\"a\",\"refused\":true}",
        &got);
    assert_problem(&got, 409, "note_refused");
    assert_has(&got, "\"instance\":\"/api/v1/notes\"");
    assert_has(&got, "\"retryable\":false");
    assert_has(&got, "\"type\":\"urn:suanhe:problem:note_refused\"");
    assert_notes(*state, 0);
    ask(*state, "POST", "/api/v1/notes", ALICE KEY("k1"), "{\"text\":\"a\"}", &got);
    assert_int_equal(got.status, 201);
    assert_notes(*state, 1);
}

static void every_reply_carries_the_security_headers(void **state)
{
    struct answer got;
    static const char *const paths[] = {"/api/v1/where", "/api/v1/nothing", "/", "/assets/none"};
    for (size_t i = 0; i < 4; i++) {
        ask(*state, "GET", paths[i], "", NULL, &got);
        assert_header(&got, "X-Content-Type-Options", "nosniff");
        assert_header(&got, "Referrer-Policy", "same-origin");
        assert_header(&got, "Cross-Origin-Opener-Policy", "same-origin");
        assert_has(&got, "Content-Security-Policy: default-src 'none'");
        assert_has(&got, "X-Request-Id: rq-");
        assert_null(strstr(got.head, "Strict-Transport-Security"));
    }
    ask(*state, "GET", "/", "X-Forwarded-Proto: https\r\n", NULL, &got);
    assert_has(&got, "Strict-Transport-Security: max-age=");
}

static void a_request_id_is_taken_when_well_formed(void **state)
{
    struct answer got;
    ask(*state, "GET", "/api/v1/nothing", "X-Request-Id: from-client.01\r\n", NULL, &got);
    assert_problem(&got, 404, "not_found");
    assert_header(&got, "X-Request-Id", "from-client.01");
    assert_has(&got, "\"request_id\":\"from-client.01\"");
    ask(*state, "GET", "/api/v1/nothing", "X-Request-Id: a\"b<script>\r\n", NULL, &got);
    assert_has(&got, "X-Request-Id: rq-");
}

static void titles_follow_the_language(void **state)
{
    struct answer got;
    ask(*state, "GET", "/api/v1/nothing", "Accept-Language: zh-CN,en;q=0.8\r\n", NULL, &got);
    assert_has(&got, "\"title\":\"未找到\"");
    ask(*state, "GET", "/api/v1/nothing", "Accept-Language: en,zh;q=0.8\r\n", NULL, &got);
    assert_has(&got, "\"title\":\"Not Found\"");
}

static void who_may_not_act_learns_nothing_about_the_body(void **state)
{
    struct answer got;
    ask(*state, "POST", "/api/v1/notes", KEY("k"), "{\"bad\":1}", &got);
    assert_problem(&got, 401, "unauthenticated");
    assert_header(&got, "WWW-Authenticate", "Bearer");
    ask(*state, "POST", "/api/v1/notes", BOB, "{\"bad\":1}", &got);
    assert_problem(&got, 403, "permission_denied");
    ask(*state, "POST", "/api/v1/notes", "Authorization: Bearer x\r\n", "{}", &got);
    assert_problem(&got, 401, "token_invalid");
    ask(*state, "POST", "/api/v1/notes", ALICE KEY("k"), "{\"bad\":1}", &got);
    assert_problem(&got, 422, "validation_failed");
    assert_has(&got, "\"pointer\":\"/bad\"");
    assert_has(&got, "\"pointer\":\"/text\"");
    ask(*state, "PUT", "/api/v1/notes/1", BOB, NULL, &got);
    assert_problem(&got, 403, "permission_denied");
}

static void an_old_cookie_does_not_close_public_routes(void **state)
{
    struct answer got;
    ask(*state, "GET", "/api/v1/where", "Cookie: suanhe=old\r\n", NULL, &got);
    assert_int_equal(got.status, 200);
    assert_has(&got, "\"cookie\":\"old\"");
    ask(*state, "GET", "/api/v1/where", "Authorization: Bearer x\r\n", NULL, &got);
    assert_problem(&got, 401, "token_invalid");
}

static void the_edge_refuses_by_its_own_codes(void **state)
{
    struct answer got;
    ask(*state, "DELETE", "/api/v1/notes/1", ALICE, NULL, &got);
    assert_problem(&got, 405, "method_not_allowed");
    assert_header(&got, "Allow", "GET, HEAD, PUT");
    ask(*state, "POST", "/api/v1/notes", ALICE KEY("k") "Content-Type: text/plain\r\n", "x", &got);
    assert_problem(&got, 415, "unsupported_media_type");
    ask(*state, "POST", "/api/v1/notes", ALICE KEY("k"), "{\"text\":", &got);
    assert_problem(&got, 400, "invalid_request");
    ask(*state, "POST", "/api/v1/notes", ALICE KEY("k"), "[1]", &got);
    assert_problem(&got, 400, "invalid_request");
    ask(*state, "POST", "/api/v1/slow", ALICE, "{}", &got);
    assert_problem(&got, 400, "body_not_allowed");
    ask(*state, "POST", "/api/v1/notes", ALICE, "{\"text\":\"a\"}", &got);
    assert_problem(&got, 400, "idempotency_key_missing");
    ask(*state, "POST", "/api/v1/notes", ALICE "Idempotency-Key: a b\r\n", "{\"text\":\"a\"}",
        &got);
    assert_problem(&got, 400, "idempotency_key_invalid");
    ask(*state, "GET", "/api/v1/where", "User-Agent: greedy\r\n", NULL, &got);
    assert_problem(&got, 429, "throttled");
    assert_header(&got, "Retry-After", "7");
    ask(*state, "GET", "/api/v1/fault", "", NULL, &got);
    assert_problem(&got, 500, "disk_broken");
    assert_null(strstr(got.body, "secret"));
}

static void an_empty_body_misses_what_is_required(void **state)
{
    struct answer got;
    ask(*state, "POST", "/api/v1/notes", ALICE KEY("k"), NULL, &got);
    assert_problem(&got, 422, "validation_failed");
    assert_has(&got, "\"code\":\"required\"");
}

static void query_parameters_are_known_and_bounded(void **state)
{
    struct answer got;
    ask(*state, "GET", "/api/v1/notes/count?limit=20", "", NULL, &got);
    assert_has(&got, "\"limit\":20");
    ask(*state, "GET", "/api/v1/notes/count?limit=201", "", NULL, &got);
    assert_problem(&got, 422, "validation_failed");
    assert_has(&got, "/query/limit");
    ask(*state, "GET", "/api/v1/notes/count?limit=x", "", NULL, &got);
    assert_has(&got, "wrong_type");
    ask(*state, "GET", "/api/v1/notes/count?other=1", "", NULL, &got);
    assert_has(&got, "unknown_field");
    ask(*state, "GET", "/api/v1/where?q=%E7%AE%97+%E5%90%88%26", "Prefer: wait=30\r\n", NULL, &got);
    assert_has(&got, "\"q\":\"算 合&\"");
    assert_has(&got, "\"wait\":30");
}

static void an_escaped_slash_stays_in_its_segment(void **state)
{
    struct answer got;
    ask(*state, "GET", "/api/v1/notes/a%2Fb", ALICE, NULL, &got);
    assert_int_equal(got.status, 200);
    assert_has(&got, "\"id\":\"a/b\"");
}

static void a_literal_wins_over_a_parameter(void **state)
{
    struct answer got;
    ask(*state, "GET", "/api/v1/notes/count", "", NULL, &got);
    assert_has(&got, "\"count\":0");
    ask(*state, "GET", "/api/v1/notes/counts", ALICE, NULL, &got);
    assert_has(&got, "\"id\":\"counts\"");
}

static void a_form_is_read_by_the_same_table(void **state)
{
    const char *form = "Content-Type: application/x-www-form-urlencoded\r\n";
    struct answer got;
    ask(*state, "POST", "/oauth2/token", form, "grant_type=a+b%21&number=7&unknown=1", &got);
    assert_int_equal(got.status, 200);
    assert_has(&got, "\"grant_type\":\"a b!\"");
    assert_has(&got, "\"number\":7");
    ask(*state, "POST", "/oauth2/token", form, "number=70", &got);
    assert_problem(&got, 422, "validation_failed");
    ask(*state, "POST", "/oauth2/token", form, "grant_type=a&grant_type=b", &got);
    assert_problem(&got, 400, "invalid_request");
    ask(*state, "POST", "/oauth2/token", "", "{}", &got);
    assert_problem(&got, 415, "unsupported_media_type");
}

static void forwarded_addresses_count_only_from_the_proxy(void **state)
{
    struct fixture *f = *state;
    struct answer got;
    ask(f, "GET", "/api/v1/where", "X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\n", NULL, &got);
    assert_has(&got, "\"ip\":\"2.2.2.2\"");
    f->options.trusted_proxy = "10.0.0.1";
    restart(f);
    ask(f, "GET", "/api/v1/where", "X-Forwarded-For: 2.2.2.2\r\nX-Forwarded-Proto: https\r\n", NULL,
        &got);
    assert_has(&got, "\"ip\":\"127.0.0.1\",\"secure\":false");
}

/* ---- versions ---- */
static void a_known_version_is_not_sent_again(void **state)
{
    struct answer got;
    ask(*state, "GET", "/api/v1/notes/1", ALICE "If-None-Match: \"v17\"\r\n", NULL, &got);
    assert_int_equal(got.status, 304);
    assert_header(&got, "ETag", "\"v17\"");
    assert_int_equal(got.body_len, 0);
    ask(*state, "GET", "/api/v1/notes/1", ALICE "If-None-Match: W/\"v3\", W/\"v17\"\r\n", NULL,
        &got);
    assert_int_equal(got.status, 304);
    ask(*state, "GET", "/api/v1/notes/1", ALICE "If-None-Match: \"v16\"\r\n", NULL, &got);
    assert_int_equal(got.status, 200);
}

static void a_change_names_the_version_it_saw(void **state)
{
    struct answer got;
    ask(*state, "PUT", "/api/v1/notes/1", ALICE, NULL, &got);
    assert_problem(&got, 428, "precondition_required");
    ask(*state, "PUT", "/api/v1/notes/1", ALICE "If-Match: \"v16\"\r\n", NULL, &got);
    assert_problem(&got, 412, "version_mismatch");
    ask(*state, "PUT", "/api/v1/notes/1", ALICE "If-Match: W/\"v17\"\r\n", NULL, &got);
    assert_problem(&got, 412, "version_mismatch");
    ask(*state, "PUT", "/api/v1/notes/1", ALICE "If-Match: v17\r\n", NULL, &got);
    assert_problem(&got, 400, "invalid_if_match");
    ask(*state, "PUT", "/api/v1/notes/1", ALICE "If-Match: \"v17\"\r\n", NULL, &got);
    assert_int_equal(got.status, 204);
    ask(*state, "PUT", "/api/v1/notes/1", ALICE "If-Match: *\r\n", NULL, &got);
    assert_int_equal(got.status, 204);
}

/* ---- idempotency ---- */
static void a_repeated_request_gets_the_first_reply(void **state)
{
    struct fixture *f = *state;
    struct answer first, again;
    ask(f, "POST", "/api/v1/notes", ALICE KEY("\"key 1\""), "{\"text\":\"a\"}", &first);
    assert_problem(&first, 400, "idempotency_key_invalid");
    ask(f, "POST", "/api/v1/notes", ALICE KEY("\"key-1\""), "{\"text\":\"a\"}", &first);
    assert_int_equal(first.status, 201);
    for (int i = 0; i < 3; i++) {
        if (i == 2)
            restart(f); /* the window is loaded again */
        ask(f, "POST", "/api/v1/notes", ALICE KEY("key-1"), "{\"text\":\"a\"}", &again);
        assert_int_equal(again.status, 201);
        assert_string_equal(again.body, first.body);
        assert_header(&again, "Idempotent-Replayed", "true");
        assert_header(&again, "Location", "/api/v1/notes/17");
        assert_header(&again, "ETag", "\"v1\"");
        assert_header(&again, "Content-Type", "application/json; charset=utf-8");
    }
    assert_null(strstr(first.head, "Idempotent-Replayed"));
    assert_int_equal(atomic_load(&handler_runs), 1);
    assert_notes(f, 1);
}

static void a_key_with_another_body_is_refused(void **state)
{
    struct answer got;
    ask(*state, "POST", "/api/v1/notes", ALICE KEY("k"), "{\"text\":\"a\"}", &got);
    ask(*state, "POST", "/api/v1/notes", ALICE KEY("k"), "{\"text\":\"b\"}", &got);
    assert_problem(&got, 422, "idempotency_key_reused");
    assert_notes(*state, 1);
}

static void a_key_belongs_to_its_path(void **state)
{
    struct answer got;
    ask(*state, "POST", "/api/v1/notes", ALICE KEY("k"), "{\"text\":\"a\"}", &got);
    ask(*state, "POST", "/api/v1/drafts", ALICE KEY("k"), "{\"text\":\"a\"}", &got);
    assert_int_equal(got.status, 201);
    assert_null(strstr(got.head, "Idempotent-Replayed"));
    assert_notes(*state, 2);
}

static void without_a_key_every_request_counts(void **state)
{
    struct answer got;
    for (int i = 0; i < 3; i++)
        ask(*state, "POST", "/api/v1/drafts", ALICE, "{\"text\":\"a\"}", &got);
    assert_notes(*state, 3);
}

static void a_twin_in_flight_waits_or_is_told_to(void **state)
{
    struct call first = {.f = *state, .path = "/api/v1/slow", .headers = ALICE KEY("k")};
    pthread_t thread;
    pthread_create(&thread, NULL, call_thread, &first);
    sleep_ms(100);
    struct answer got;
    ask(*state, "POST", "/api/v1/slow", ALICE KEY("k"), NULL, &got);
    assert_problem(&got, 409, "idempotency_in_progress");
    assert_header(&got, "Retry-After", "1");
    assert_has(&got, "\"retryable\":true");
    pthread_join(thread, NULL);
    assert_int_equal(first.got.status, 200);
    ask(*state, "POST", "/api/v1/slow", ALICE KEY("k"), NULL, &got);
    assert_int_equal(got.status, 200);
    assert_header(&got, "Idempotent-Replayed", "true");
    assert_int_equal(atomic_load(&handler_runs), 1);
}

static void many_twins_at_once_have_one_effect(void **state)
{
    enum { TWINS = 12 };
    static struct call calls[TWINS];
    pthread_t threads[TWINS];
    for (int i = 0; i < TWINS; i++) {
        calls[i] = (struct call){.f = *state,
                                 .path = "/api/v1/notes",
                                 .headers = ALICE KEY("twin"),
                                 .body = "{\"text\":\"once\"}"};
        pthread_create(&threads[i], NULL, call_thread, &calls[i]);
    }
    int done = 0;
    for (int i = 0; i < TWINS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(calls[i].got.status == 201 || calls[i].got.status == 409);
        done += calls[i].got.status == 201;
    }
    assert_true(done >= 1);
    assert_notes(*state, 1);
}

int main(void)
{
    log_set_level(LOG_WARN);
    const struct CMUnitTest tests[] = {
        CASE(a_write_is_answered_and_kept),
        CASE(a_refused_handler_leaves_nothing),
        CASE(every_reply_carries_the_security_headers),
        CASE(a_request_id_is_taken_when_well_formed),
        CASE(titles_follow_the_language),
        CASE(who_may_not_act_learns_nothing_about_the_body),
        CASE(an_old_cookie_does_not_close_public_routes),
        CASE(the_edge_refuses_by_its_own_codes),
        CASE(an_empty_body_misses_what_is_required),
        CASE(query_parameters_are_known_and_bounded),
        CASE(an_escaped_slash_stays_in_its_segment),
        CASE(a_literal_wins_over_a_parameter),
        CASE(a_form_is_read_by_the_same_table),
        CASE(forwarded_addresses_count_only_from_the_proxy),
        CASE(a_known_version_is_not_sent_again),
        CASE(a_change_names_the_version_it_saw),
        CASE(a_repeated_request_gets_the_first_reply),
        CASE(a_key_with_another_body_is_refused),
        CASE(a_key_belongs_to_its_path),
        CASE(without_a_key_every_request_counts),
        CASE(a_twin_in_flight_waits_or_is_told_to),
        CASE(many_twins_at_once_have_one_effect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
