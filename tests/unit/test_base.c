/* SPDX-License-Identifier: Apache-2.0 */
/* Memory, text, encodings, refusals, log lines and rule tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"

static struct arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = arena_new(0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

/* ---- arena ---- */

static void allocations_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    char *last = NULL;
    for (size_t bytes = 0; bytes < 5000; bytes += 7) {
        char *memory = arena_alloc(arena, bytes);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 16, 0);
        assert_ptr_not_equal(memory, last);
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(memory[i], 0);
        memset(memory, 0xAA, bytes);
        last = memory;
    }
    char *large = arena_alloc(arena, 5 << 20);
    assert_int_equal(large[(5 << 20) - 1], 0);
}

static void memory_is_zeroed_again_after_a_reset(void **state)
{
    (void)state;
    char *first = arena_alloc(arena, 100);
    memset(first, 0xAA, 100);
    arena_alloc(arena, 100000);
    arena_reset(arena);
    char *again = arena_alloc(arena, 100);
    assert_ptr_equal(again, first);
    for (int i = 0; i < 100; i++)
        assert_int_equal(again[i], 0);
}

static char order[8];

static void note(void *letter)
{
    strncat(order, letter, 1);
}

static void deferred_closes_run_newest_first(void **state)
{
    (void)state;
    char a[] = "a", b[] = "b", c[] = "c";
    order[0] = '\0';
    arena_defer(arena, note, a);
    arena_defer(arena, note, b);
    arena_reset(arena);
    assert_string_equal(order, "ba");
    arena_defer(arena, note, c);
    arena_free(arena);
    assert_string_equal(order, "bac");
    arena = NULL;
    arena_free(NULL);
}

static void a_copy_ends_with_a_nul(void **state)
{
    (void)state;
    char *copy = arena_copy(arena, "abcdef", 3);
    assert_string_equal(copy, "abc");
    assert_string_equal(arena_copy(arena, NULL, 0), "");
}

/* Runs what must stop the process in a child, and tells whether it did. */
static bool stops(void (*action)(void))
{
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        action();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void go_over_the_cap(void)
{
    struct arena *small = arena_new(1000);
    arena_alloc(small, 600);
    arena_alloc(small, 401);
}

static void stay_within_the_cap(void)
{
    struct arena *small = arena_new(1000);
    arena_alloc(small, 600);
    arena_alloc(small, 400);
    arena_reset(small);
    arena_alloc(small, 1000);
    arena_free(small);
}

static void ask_for_everything(void)
{
    arena_alloc(arena, SIZE_MAX - 8);
}

static void break_a_promise(void)
{
    ENSURE(1 + 1 == 3);
}

static void the_process_stops_beyond_the_cap(void **state)
{
    (void)state;
    assert_true(stops(go_over_the_cap));
    assert_false(stops(stay_within_the_cap));
    assert_true(stops(ask_for_everything));
    assert_true(stops(break_a_promise));
}

/* ---- text ---- */

static void texts_compare_cut_and_split(void **state)
{
    (void)state;
    str_t nothing = {NULL, 0};
    assert_true(str_eq(nothing, STR("")));
    assert_true(str_is(str_of(NULL), ""));
    assert_true(str_eq(str_from("a\0b", 3), STR("a\0b")));
    assert_false(str_eq(STR("ab"), STR("abc")));
    assert_true(str_cmp(STR("ab"), STR("abc")) < 0 && str_cmp(STR("b"), STR("abc")) > 0);
    assert_true(str_cmp(STR("\x7f"), STR("\x80")) < 0 && str_cmp(nothing, STR("")) == 0);
    assert_true(str_starts(STR("order"), STR("ord")) && !str_starts(STR("or"), STR("ord")));
    assert_true(str_ends(STR("a.sql"), STR(".sql")) && !str_ends(STR("sql"), STR(".sql")));
    assert_true(str_is(str_cut(STR("abc"), 1), "bc") && str_cut(STR("abc"), 9).len == 0);
    assert_true(str_is(str_trim(STR(" \t a b\r\n")), "a b") && str_trim(STR("  ")).len == 0);
    str_t rest = STR("a,,b,"), part;
    assert_true(str_next(&rest, ',', &part) && str_is(part, "a"));
    assert_true(str_next(&rest, ',', &part) && part.len == 0);
    assert_true(str_next(&rest, ',', &part) && str_is(part, "b"));
    assert_false(str_next(&rest, ',', &part));
    assert_string_equal(str_dup(arena, str_from("xyz", 2)).data, "xy");
    assert_string_equal(str_z(arena, str_from("xyz", 2)), "xy");
    str_t printed = str_printf(arena, "%d-%300s", 7, "end");
    assert_int_equal(printed.len, 302);
    assert_true(str_starts(printed, STR("7-")) && str_ends(printed, STR(" end")));
    assert_true(str_eq_secret(STR("abc"), STR("abc")) && !str_eq_secret(STR("abc"), STR("abd")));
    assert_false(str_eq_secret(STR("abc"), STR("ab")));
    assert_true(str_hash(STR("")) == UINT64_C(0xcbf29ce484222325));
    assert_true(str_hash(STR("foobar")) == UINT64_C(0x85944171f73967e8));
}

static void integers_are_read_in_their_one_form(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "-",
                                      "01",
                                      "-0",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "1e3",
                                      "0x1",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999",
                                      "00",
                                      "--1"};
    int64_t value = 5;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(str_to_int(str_of(bad[i]), INT64_MIN, INT64_MAX, &value));
    assert_int_equal(value, 5);
    assert_true(str_to_int(STR("-9223372036854775808"), INT64_MIN, INT64_MAX, &value));
    assert_true(value == INT64_MIN);
    assert_true(str_to_int(STR("9223372036854775807"), INT64_MIN, INT64_MAX, &value));
    assert_true(value == INT64_MAX);
    assert_true(str_to_int(STR("0"), 0, 0, &value) && value == 0);
    assert_false(str_to_int(STR("11"), 1, 10, &value));
    assert_false(str_to_int(STR("0"), 1, 10, &value));
}

static void utf8_is_checked_strictly(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "plain ascii, longer than a word",
                                       "算合",
                                       "\xc2\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "12345678算"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xe7\xae",
                                      "\xc2",
                                      "\xc2"
                                      "a",
                                      "\xe7\xae"
                                      "a",
                                      "12345678\xff",
                                      "\xf0\x9f\x98"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(str_is_utf8(str_of(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(str_is_utf8(str_of(bad[i])));
    assert_int_equal(str_utf8_count(STR("a算\xf0\x9f\x98\x80")), 3);
}

static void bytes_go_through_hex_and_back(void **state)
{
    (void)state;
    str_t bytes;
    assert_string_equal(hex_encode(arena, STR("\x00\x9f\xff")).data, "009fff");
    assert_true(hex_decode(arena, STR("009fFF"), &bytes) && str_eq(bytes, STR("\x00\x9f\xff")));
    assert_true(hex_decode(arena, STR(""), &bytes) && bytes.len == 0);
    assert_false(hex_decode(arena, STR("0"), &bytes));
    assert_false(hex_decode(arena, STR("0g"), &bytes));
    assert_false(hex_decode(arena, STR(" 0"), &bytes));
}

static void bytes_go_through_base64_and_back(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *text, *url;
    } cases[] = {{"", "", ""},
                 {"f", "Zg==", "Zg"},
                 {"fo", "Zm8=", "Zm8"},
                 {"foo", "Zm9v", "Zm9v"},
                 {"foob", "Zm9vYg==", "Zm9vYg"},
                 {"\xfb\xff\xfe", "+//+", "-__-"}};
    str_t bytes;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(base64_encode(arena, str_of(cases[i].bytes)).data, cases[i].text);
        assert_string_equal(base64url_encode(arena, str_of(cases[i].bytes)).data, cases[i].url);
        assert_true(base64_decode(arena, str_of(cases[i].text), &bytes));
        assert_true(str_is(bytes, cases[i].bytes));
        assert_true(base64url_decode(arena, str_of(cases[i].url), &bytes));
        assert_true(str_is(bytes, cases[i].bytes));
    }
    char all[256];
    for (size_t len = 0; len < sizeof all; len++) {
        all[len] = (char)(len * 37);
        str_t in = str_from(all, len + 1);
        assert_true(base64_decode(arena, base64_encode(arena, in), &bytes) && str_eq(bytes, in));
        assert_true(base64url_decode(arena, base64url_encode(arena, in), &bytes) &&
                    str_eq(bytes, in));
    }
}

static void base64_that_is_not_canonical_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"Zg",   "Zg=",  "Zh==",  "Zm9=",  "Zg==Zg==",
                                      "=Zg=", "====", "===",   "Z===",  "Zm9v\n",
                                      "Zm 9", "-__-", "Zm9v=", "Zm9vZ", "\xff\xff\xff\xff"};
    static const char *const bad_url[] = {"Zg==", "Zh",    "Zm9",   "Z",
                                          "+//+", "Zm9vZ", "Zm9v ", "Zm8="};
    str_t bytes = STR("kept");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(base64_decode(arena, str_of(bad[i]), &bytes));
    for (size_t i = 0; i < sizeof bad_url / sizeof bad_url[0]; i++)
        assert_false(base64url_decode(arena, str_of(bad_url[i]), &bytes));
    assert_true(str_is(bytes, "kept"));
}

/* ---- buf ---- */

static void a_buffer_grows_up_to_its_limit(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, arena, 10000);
    assert_string_equal(buf_str(&buf).data, "");
    for (int i = 0; i < 1000; i++) {
        buf_puts(&buf, "0123456789");
        if (i % 100 == 50)
            arena_alloc(arena, 10); /* so that it cannot grow in place */
    }
    assert_false(buf.overflow);
    assert_int_equal(buf_str(&buf).len, 10000);
    for (size_t i = 0; i < 10000; i++)
        assert_int_equal(buf.data[i], '0' + i % 10);
    buf_putc(&buf, 'x');
    assert_true(buf.overflow);
    assert_int_equal(buf_str(&buf).len, 10000);
    buf_put(&buf, STR(""));
    assert_int_equal(strlen(buf_str(&buf).data), 10000);
}

static void nothing_is_appended_in_part(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, arena, 5);
    buf_puts(&buf, "abc");
    buf_puts(&buf, "def");
    assert_true(buf.overflow);
    buf_puts(&buf, "d");
    assert_string_equal(buf_str(&buf).data, "abc");
    buf_init(&buf, arena, 5);
    buf_puts(&buf, "abc");
    buf_printf(&buf, "%d", 1234);
    assert_true(buf.overflow);
    assert_string_equal(buf_str(&buf).data, "abc");
    buf_printf(&buf, "%d", 1);
    assert_string_equal(buf_str(&buf).data, "abc");
}

static void numbers_are_appended(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, arena, 10000);
    buf_put_int(&buf, 0);
    buf_putc(&buf, ' ');
    buf_put_int(&buf, INT64_MIN);
    buf_putc(&buf, ' ');
    buf_put_int(&buf, INT64_MAX);
    buf_printf(&buf, "%c%s%300d", ' ', "x", 5);
    assert_true(str_starts(buf_str(&buf), STR("0 -9223372036854775808 9223372036854775807 x   ")));
    assert_int_equal(buf.len, strlen("0 -9223372036854775808 9223372036854775807 x") + 300);
    buf_init(&buf, arena, 14);
    buf_put_u16(&buf, 0x0102);
    buf_put_u32(&buf, 0x03040506);
    buf_put_u64(&buf, UINT64_C(0x0708090a0b0c0dff));
    assert_true(str_eq(buf_str(&buf), STR("\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xff")));
}

/* ---- refusals ---- */

static void a_refusal_is_recorded(void **state)
{
    (void)state;
    struct ctx ctx;
    ctx_init(&ctx, NULL, (utc_t){5});
    assert_int_equal(refuse(&ctx, ERR_STATE, "order_closed", "order %d", 7), ERR_STATE);
    assert_int_equal(ctx.problem.code, ERR_STATE);
    assert_int_equal(ctx.problem.status, 0);
    assert_string_equal(ctx.problem.reason, "order_closed");
    assert_string_equal(ctx.problem.detail, "order 7");
    assert_int_equal(refuse(&ctx, ERR_DENIED, "other", "was: %s", ctx.problem.detail), ERR_DENIED);
    assert_string_equal(ctx.problem.detail, "was: order 7");
    static const struct {
        int status;
        err_t code;
    } statuses[] = {{400, ERR_INPUT}, {405, ERR_INPUT}, {413, ERR_INPUT},    {415, ERR_INPUT},
                    {428, ERR_INPUT}, {429, ERR_LIMIT}, {503, ERR_UPSTREAM}, {404, ERR_NOT_FOUND}};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        assert_int_equal(refuse_status(&ctx, statuses[i].status, "edge", "x"), statuses[i].code);
        assert_int_equal(ctx.problem.status, statuses[i].status);
    }
    problem_clear(&ctx);
    assert_int_equal(ctx.problem.code, OK);
    assert_null(ctx.problem.reason);
    ctx_done(&ctx);
}

static void refused_fields_add_up(void **state)
{
    (void)state;
    struct ctx ctx;
    ctx_init(&ctx, NULL, (utc_t){5});
    assert_int_equal(refuse(&ctx, ERR_STATE, "older", "older"), ERR_STATE);
    char pointer[] = "/a";
    for (int i = 0; i < PROBLEM_ERRORS_MAX + 3; i++) {
        pointer[1] = (char)('a' + i % 26);
        assert_int_equal(refuse_field(&ctx, str_of(pointer), "bad_format", "value %d", i),
                         ERR_INPUT);
    }
    assert_int_equal(ctx.problem.error_count, PROBLEM_ERRORS_MAX);
    assert_string_equal(ctx.problem.reason, "validation_failed");
    assert_string_equal(ctx.problem.detail, "/a: value 0");
    assert_true(str_is(ctx.problem.errors[1].pointer, "/b"));
    assert_true(str_is(ctx.problem.errors[1].detail, "value 1"));
    assert_int_equal(refuse(&ctx, ERR_STATE, "newer", "newer"), ERR_STATE);
    assert_int_equal(ctx.problem.error_count, 0);
    ctx_done(&ctx);
}

static void a_long_detail_is_cut_between_code_points(void **state)
{
    (void)state;
    struct ctx ctx;
    ctx_init(&ctx, NULL, (utc_t){5});
    for (size_t lead = 0; lead < 5; lead++) {
        struct buf buf;
        buf_init(&buf, arena, 5000);
        buf_put(&buf, str_from("xxxxx", lead));
        for (int i = 0; i < 300; i++)
            buf_puts(&buf, i % 2 ? "算" : "\xf0\x9f\x98\x80");
        assert_int_equal(refuse(&ctx, ERR_STATE, "long", "%s", buf_str(&buf).data), ERR_STATE);
        assert_true(str_is_utf8(str_of(ctx.problem.detail)));
        assert_true(strlen(ctx.problem.detail) > 310);
    }
    ctx_done(&ctx);
}

static void each_code_has_a_status_and_a_name(void **state)
{
    (void)state;
    static const int statuses[] = {200, 422, 401, 403, 404, 409, 409, 410, 412, 429, 503, 500};
    for (int code = OK; code <= ERR_INTERNAL; code++) {
        assert_int_equal(err_status((err_t)code), statuses[code]);
        assert_true(strlen(err_name((err_t)code)) > 1);
    }
    assert_string_equal(err_name(ERR_NOT_FOUND), "not_found");
    assert_string_equal(err_name((err_t)99), "unknown");
    assert_int_equal(err_status((err_t)99), 500);
}

/* ---- log ---- */

static str_t logged(void (*action)(void))
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int kept = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    action();
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(ends[1]);
    char *text = arena_alloc(arena, 20000);
    ssize_t len = read(ends[0], text, 19999);
    close(ends[0]);
    return str_from(text, len < 0 ? 0 : (size_t)len);
}

static void log_something(void)
{
    log_line("order_sent", "order=%s attempt=%d", "ord_1\nfake line\x1b[2J", 2);
    log_at(LOG_DEBUG, "unseen", "x=%d", 1);
}

static void log_a_long_line(void)
{
    log_line("long", "%9000d", 1);
}

static void log_quietly(void)
{
    log_set_level(LOG_WARN);
    log_line("unseen", "x=%d", 1);
    log_at(LOG_ERROR, "seen", "x=%d", 2);
    log_set_level(LOG_INFO);
}

static void a_log_line_is_one_line(void **state)
{
    (void)state;
    str_t line = logged(log_something);
    assert_true(line.len > 25 && line.data[10] == 'T' && line.data[23] == 'Z');
    assert_string_equal(line.data + 24, " order_sent order=ord_1 fake line [2J attempt=2\n");
    line = logged(log_a_long_line);
    assert_true(line.len <= 4096 && line.data[line.len - 1] == '\n');
    assert_ptr_equal(memchr(line.data, '\n', line.len), line.data + line.len - 1);
    assert_string_equal(logged(log_quietly).data + 24, " seen x=2\n");
}

/* ---- rule tables ---- */

static const char *const door_state_names[] = {"open", "shut", "gone"};
static const char *const door_event_names[] = {"close", "open", "remove"};
static const struct names door_states = NAMES(door_state_names),
                          door_events = NAMES(door_event_names);

static struct fsm door(const struct fsm_rule *rules, int count)
{
    return (struct fsm){"door", "door", &door_states, &door_events, rules, count, 0};
}

static void rules_are_found(void **state)
{
    (void)state;
    static const struct fsm_rule rules[] = {{0, 0, 1, NULL}, {1, 1, 0, NULL}, {1, 2, 2, NULL}};
    struct fsm fsm = door(rules, 3);
    const char *message = NULL;
    assert_true(fsm_check(&fsm, &message));
    assert_ptr_equal(fsm_find(&fsm, 1, 2), &rules[2]);
    assert_null(fsm_find(&fsm, 0, 2));
    assert_null(fsm_find(&fsm, 2, 0));
    assert_true(fsm_is_terminal(&fsm, 2));
    assert_false(fsm_is_terminal(&fsm, 1));
}

static void assert_fsm_refused(const struct fsm_rule *rules, int count, int initial,
                               const char *expected)
{
    struct fsm fsm = door(rules, count);
    fsm.initial = initial;
    const char *message = "";
    assert_false(fsm_check(&fsm, &message));
    assert_non_null(strstr(message, expected));
}

static void bad_rule_tables_are_found_out(void **state)
{
    (void)state;
    static const struct fsm_rule lost[] = {{0, 0, 1, NULL}, {2, 1, 0, NULL}};
    static const struct fsm_rule twice[] = {{0, 0, 1, NULL}, {0, 0, 2, NULL}};
    static const struct fsm_rule to_nowhere[] = {{0, 0, 3, NULL}};
    static const struct fsm_rule from_nowhere[] = {{-2, 0, 1, NULL}};
    static const struct fsm_rule no_event[] = {{0, 3, 1, NULL}};
    static const struct fsm_rule born[] = {{-1, 0, 1, NULL}, {1, 2, 2, NULL}};
    assert_fsm_refused(lost, 2, 0, "never reached");
    assert_fsm_refused(twice, 2, 0, "two rules");
    assert_fsm_refused(to_nowhere, 1, 0, "to an unknown state");
    assert_fsm_refused(from_nowhere, 1, 0, "from an unknown state");
    assert_fsm_refused(no_event, 1, 0, "unknown event");
    assert_fsm_refused(born, 2, 7, "initial");
    assert_fsm_refused(born, 2, 1, "never reached");
    struct fsm fsm = door(born, 2);
    const char *message = NULL;
    assert_true(fsm_check(&fsm, &message));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(allocations_are_zeroed_aligned_and_apart),
        CASE(memory_is_zeroed_again_after_a_reset),
        CASE(deferred_closes_run_newest_first),
        CASE(a_copy_ends_with_a_nul),
        CASE(the_process_stops_beyond_the_cap),
        CASE(texts_compare_cut_and_split),
        CASE(integers_are_read_in_their_one_form),
        CASE(utf8_is_checked_strictly),
        CASE(bytes_go_through_hex_and_back),
        CASE(bytes_go_through_base64_and_back),
        CASE(base64_that_is_not_canonical_is_refused),
        CASE(a_buffer_grows_up_to_its_limit),
        CASE(nothing_is_appended_in_part),
        CASE(numbers_are_appended),
        CASE(a_refusal_is_recorded),
        CASE(refused_fields_add_up),
        CASE(a_long_detail_is_cut_between_code_points),
        CASE(each_code_has_a_status_and_a_name),
        CASE(a_log_line_is_one_line),
        CASE(rules_are_found),
        CASE(bad_rule_tables_are_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
