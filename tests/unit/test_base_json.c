/* SPDX-License-Identifier: Apache-2.0 */
/* JSON: what is refused, how values are reached, and how they are written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/base.h"

static int set_up(void **state)
{
    static struct ctx ctx;
    ctx_init(&ctx, NULL, (utc_t){1});
    *state = &ctx;
    return 0;
}

static int tear_down(void **state)
{
    ctx_done(*state);
    return 0;
}

static const struct json *given_json(struct ctx *ctx, const char *text)
{
    const struct json *value = NULL;
    assert_int_equal(json_parse(ctx, str_of(text), &value), OK);
    return value;
}

static void assert_syntax_refused(struct ctx *ctx, str_t text, const char *word)
{
    const struct json *value = NULL;
    problem_clear(ctx);
    assert_int_equal(json_parse(ctx, text, &value), ERR_INPUT);
    assert_null(value);
    assert_int_equal(ctx->problem.status, 400);
    assert_string_equal(ctx->problem.reason, "invalid_request");
    if (strstr(ctx->problem.detail, word) == NULL)
        fail_msg("'%s' does not say '%s'", ctx->problem.detail, word);
}

static void what_is_not_strict_json_is_refused(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"", "ends too early"},
        {"{", "ends too early"},
        {"{\"a\":1,\"a\":2}", "stands twice"},
        {"{\"b\":{\"a\":1,\"\\u0061\":2}}", "stands twice"},
        {"\"\xff\"", "UTF-8"},
        {"\"\xed\xa0\x80\"", "UTF-8"},
        {"\"\xc0\xaf\"", "UTF-8"},
        {"\"\\u0000\"", "NUL"},
        {"{\"\\u0000\":1}", "NUL"},
        {"9007199254740992", "2^53"},
        {"-9007199254740992", "2^53"},
        {"[1,{\"a\":123456789012345678901234567890}]", "2^53"},
        {"1 2", "more text"},
        {"{}x", "more text"},
        {"[1,]", "syntax"},
        {"{'a':1}", "syntax"},
        {"01", "at byte"},
        {"+1", "syntax"},
        {"NaN", "syntax"},
        {"// c\n1", "syntax"},
        {"\"\\ud800\"", "syntax"},
        {"\"a\nb\"", "syntax"},
        {"\"\\x\"", "syntax"},
        {"\"abc", "at byte"},
        {"\"abc\\", "at byte"},
        {"1e999", "out of range"},
        {"\xef\xbb\xbf{}", "syntax"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_syntax_refused(ctx, str_of(cases[i].text), cases[i].word);
    assert_syntax_refused(ctx, str_from("[1,\0 2]", 7), "at byte");
    assert_syntax_refused(ctx, str_from("\"a\0b\"", 5), "at byte");
    assert_syntax_refused(ctx, (str_t){NULL, 0}, "ends too early");
}

static str_t nested(struct ctx *ctx, size_t levels, const char *open, const char *close)
{
    struct buf buf;
    buf_init(&buf, ctx->arena, 1 << 20);
    for (size_t i = 0; i < levels; i++)
        buf_puts(&buf, open);
    buf_puts(&buf, "0");
    for (size_t i = 0; i < levels; i++)
        buf_puts(&buf, close);
    return buf_str(&buf);
}

static void more_than_32_levels_are_refused(void **state)
{
    struct ctx *ctx = *state;
    const struct json *value;
    assert_int_equal(json_parse(ctx, nested(ctx, 32, "[", "]"), &value), OK);
    assert_int_equal(json_parse(ctx, nested(ctx, 32, "{\"a\":", "}"), &value), OK);
    assert_syntax_refused(ctx, nested(ctx, 33, "[", "]"), "32 levels");
    assert_syntax_refused(ctx, nested(ctx, 33, "{\"a\":", "}"), "32 levels");
    assert_syntax_refused(ctx, nested(ctx, 100000, "[", ""), "32 levels");
    /* Brackets inside a text, behind escaped quotes too, and siblings are no levels. */
    value = given_json(ctx, "[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[\\\\\",[],[]]");
    assert_int_equal(json_count(value), 3);
}

static void values_are_reached_by_key_and_index(void **state)
{
    struct ctx *ctx = *state;
    const struct json *v = given_json(
        ctx, " {\"text\":\"\\u7b97\\ud83d\\ude00\\n\",\"int\":-9007199254740991,\"real\":1.0,"
             "\"yes\":true,\"no\":false,\"nil\":null,\"list\":[1,\"2\",[3]],\"empty\":{}} ");
    assert_int_equal(json_kind(v), JSON_OBJECT);
    assert_int_equal(json_count(v), 8);
    assert_true(str_is(json_get_text(v, "text"), "\xe7\xae\x97\xf0\x9f\x98\x80\n"));
    assert_int_equal(json_get_int(v, "int", 0), -9007199254740991);
    assert_int_equal(json_kind(json_get(v, "real")), JSON_REAL);
    assert_int_equal(json_get_int(v, "real", 5), 5);
    assert_int_equal(json_get_int(v, "absent", 6), 6);
    assert_true(json_bool(json_get(v, "yes")));
    assert_false(json_bool(json_get(v, "no")));
    assert_false(json_bool(json_get(v, "int")));
    assert_non_null(json_get(v, "nil"));
    assert_int_equal(json_kind(json_get(v, "nil")), JSON_NULL);
    assert_null(json_get(v, "absent"));
    assert_int_equal(json_kind(NULL), JSON_NULL);
    const struct json *list = json_get(v, "list");
    assert_int_equal(json_count(list), 3);
    assert_int_equal(json_int(json_at(list, 0)), 1);
    assert_true(str_is(json_text(json_at(list, 1)), "2"));
    assert_int_equal(json_int(json_at(json_at(list, 2), 0)), 3);
    assert_null(json_at(list, 3));
    assert_null(json_at(v, 0));
    assert_null(json_get(list, "text"));
    assert_int_equal(json_text(list).len, 0);
    assert_int_equal(json_int(json_get(v, "text")), 0);
    assert_int_equal(json_count(json_get(v, "text")), 0);
}

static void members_are_walked_in_their_order(void **state)
{
    struct ctx *ctx = *state;
    const struct json *v = given_json(ctx, "{\"z\":1,\"a\":2,\"m\":3}"), *member;
    static const char *const keys[] = {"z", "a", "m"};
    str_t key;
    for (size_t i = 0; i < 3; i++) {
        assert_true(json_member(v, i, &key, &member));
        assert_true(str_is(key, keys[i]));
        assert_int_equal(json_int(member), (int64_t)i + 1);
    }
    assert_false(json_member(v, 3, &key, &member));
    assert_false(json_member(NULL, 0, &key, &member));
}

static void values_print_compact_and_sorted(void **state)
{
    struct ctx *ctx = *state;
    const struct json *v = given_json(
        ctx, "{ \"b\" : [1, 2.5, 100.0, null], \"a\\n\" : {\"y\":true,\"x\":\"\\u00e9\\u001f/\"}, "
             "\"B\":-0.1, \"\":[] }");
    assert_string_equal(
        json_print(ctx->arena, v, false).data,
        "{\"b\":[1,2.5,1e+02,null],\"a\\n\":{\"y\":true,\"x\":\"\xc3\xa9\\u001f/\"},"
        "\"B\":-0.1,\"\":[]}");
    assert_string_equal(json_print(ctx->arena, v, true).data,
                        "{\"\":[],\"B\":-0.1,\"a\\n\":{\"x\":\"\xc3\xa9\\u001f/\",\"y\":true},"
                        "\"b\":[1,2.5,1e+02,null]}");
    v = given_json(ctx, "5");
    assert_string_equal(json_print(ctx->arena, v, true).data, "5");
    v = given_json(ctx, "[1.0,-0,3e0]");
    assert_string_equal(json_print(ctx->arena, v, true).data, "[1.0,0,3.0]");
}

static void parsing_without_a_context_gives_a_message(void **state)
{
    struct ctx *ctx = *state;
    const char *message = NULL;
    assert_null(json_parse_text(ctx->arena, STR("{\"a\":"), &message));
    assert_non_null(strstr(message, "at byte"));
    assert_non_null(json_parse_text(ctx->arena, STR("{\"a\":1}"), &message));
}

static void a_large_object_is_walked_quickly(void **state)
{
    struct ctx *ctx = *state;
    struct buf buf;
    buf_init(&buf, ctx->arena, 4 << 20);
    buf_putc(&buf, '{');
    for (int i = 0; i < 100000; i++)
        buf_printf(&buf, "%s\"k%d\":%d", i == 0 ? "" : ",", i, i);
    buf_putc(&buf, '}');
    const struct json *v, *member;
    str_t key;
    assert_int_equal(json_parse(ctx, buf_str(&buf), &v), OK);
    int64_t began = clock_monotonic_us(), sum = 0;
    for (size_t i = 0; json_member(v, i, &key, &member); i++)
        sum += json_int(member);
    assert_int_equal(sum, 4999950000);
    assert_true(clock_monotonic_us() - began < 1000000);
}

static void commas_and_escapes_are_written(void **state)
{
    struct ctx *ctx = *state;
    struct buf buf;
    struct jw w;
    buf_init(&buf, ctx->arena, 1000);
    jw_init(&w, &buf);
    jw_object(&w);
    jw_put_text(&w, "t", STR("\"\\\b\f\n\r\t\x01\x7f/\xe7\xae\x97"));
    jw_put_int(&w, "i", INT64_MIN);
    jw_put_bool(&w, "b", true);
    jw_put_utc(&w, "at", (utc_t){1795534200123});
    jw_put_utc(&w, "never", (utc_t){0});
    jw_put_ref(&w, "id", "ord", (ref_t){32});
    jw_put_ref(&w, "none", "ord", REF_NONE);
    jw_key(&w, "list");
    jw_array(&w);
    jw_price(&w, (price_t){247500000000});
    jw_rate(&w, (rate_t){1});
    jw_null(&w);
    jw_raw(&w, STR("{\"x\":1}"));
    jw_raw(&w, STR(""));
    jw_object(&w);
    jw_end_object(&w);
    jw_array(&w);
    jw_end_array(&w);
    jw_end_array(&w);
    jw_put_text(&w, "", (str_t){NULL, 0});
    jw_end_object(&w);
    assert_string_equal(buf_str(&buf).data,
                        "{\"t\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\x7f/\xe7\xae\x97\","
                        "\"i\":-9223372036854775808,\"b\":true,\"at\":\"2026-11-24T15:30:00.123Z\","
                        "\"never\":null,\"id\":\"ord_0000000000010\",\"none\":null,"
                        "\"list\":[\"24.75\",\"0.00000001\",null,{\"x\":1},null,{},[]],\"\":\"\"}");
    (void)ctx;
}

static void bad_utf8_is_repaired_when_written(void **state)
{
    struct ctx *ctx = *state;
    struct buf buf;
    struct jw w;
    buf_init(&buf, ctx->arena, 1000);
    jw_init(&w, &buf);
    jw_text(&w, STR("a\xff\"\xe7\xae\x97\xe7\xae"));
    assert_string_equal(buf_str(&buf).data,
                        "\"a\xef\xbf\xbd\\\"\xe7\xae\x97\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_true(str_is_utf8(buf_str(&buf)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_not_strict_json_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_than_32_levels_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values_are_reached_by_key_and_index, set_up, tear_down),
        cmocka_unit_test_setup_teardown(members_are_walked_in_their_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values_print_compact_and_sorted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parsing_without_a_context_gives_a_message, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_large_object_is_walked_quickly, set_up, tear_down),
        cmocka_unit_test_setup_teardown(commas_and_escapes_are_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_utf8_is_repaired_when_written, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
