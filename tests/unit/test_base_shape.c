/* SPDX-License-Identifier: Apache-2.0 */
/* Field tables: each way to refuse a field with its pointer, bounds, and reading back what was
 * written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/base.h"

static const char *const colour_names[] = {"red", NULL, "blue"};
static const struct names colours = NAMES(colour_names);

struct item {
    ref_t product_id;
    int32_t quantity;
    str_t note;
};
static const struct field item_fields[] = {
    FIELD_REF(struct item, product_id, "prd", 0),
    FIELD(struct item, quantity, 1, 10000, FIELD_REQUIRED),
    FIELD(struct item, note, 0, 5, FIELD_OMIT_EMPTY),
};
static const struct shape item_shape = SHAPE(struct item, item_fields);

struct whole {
    int32_t small;
    int64_t large, free_number;
    bool flag;
    str_t name, story, photo, extra, password;
    money_t amount;
    rate_t rated;
    price_t price;
    utc_t at;
    ref_t id;
    int32_t colour, narrow;
    struct item *items, one;
    size_t item_count, tag_count;
    str_t *tags;
    int64_t version;
};
static const struct field whole_fields[] = {
    FIELD(struct whole, small, -5, 5, FIELD_OMIT_EMPTY),
    FIELD(struct whole, large, 0, 9007199254740991, 0),
    FIELD(struct whole, free_number, 0, 0, FIELD_OMIT_EMPTY),
    FIELD(struct whole, flag, 0, 0, 0),
    FIELD(struct whole, name, 2, 4, FIELD_REQUIRED),
    FIELD(struct whole, story, 0, 1000, 0),
    FIELD_BYTES(struct whole, photo, 2, 4, 0),
    FIELD_JSON(struct whole, extra, 12, 0),
    FIELD(struct whole, password, 0, 100, FIELD_HIDDEN),
    FIELD_AS(struct whole, amount, "amount_fen", 1, 100, 0),
    FIELD(struct whole, rated, 0, 200000000, 0),
    FIELD(struct whole, price, 1, 20000000000, 0),
    FIELD(struct whole, at, 0, 0, 0),
    FIELD_REF(struct whole, id, "ord", 0),
    FIELD_ENUM(struct whole, colour, &colours, 0),
    FIELD_AS(struct whole, narrow, "na/r~w", 0, 0, FIELD_OMIT_EMPTY),
    FIELD_ARRAY(struct whole, items, item_count, &item_shape, 0, 3, 0),
    FIELD_OBJECT(struct whole, one, &item_shape, FIELD_OMIT_EMPTY),
    FIELD_TEXTS(struct whole, tags, tag_count, 0, 2, 0),
    FIELD(struct whole, version, 0, 0, FIELD_READ_ONLY),
};
static const struct shape whole_shape = SHAPE(struct whole, whole_fields);

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

static err_t read_text(struct ctx *ctx, str_t text, struct whole *out)
{
    const struct json *value = NULL;
    problem_clear(ctx);
    assert_int_equal(json_parse(ctx, text, &value), OK);
    return shape_read(ctx, &whole_shape, value, out);
}

static struct whole assert_read(struct ctx *ctx, const char *members)
{
    struct whole out;
    str_t text = str_printf(ctx->arena, "{\"name\":\"ab\"%s%s}", members[0] ? "," : "", members);
    if (read_text(ctx, text, &out) != OK)
        fail_msg("%s: %s", text.data, ctx->problem.detail);
    return out;
}

/* One violation, with this pointer and code. */
static void assert_field_refused(struct ctx *ctx, const char *members, const char *pointer,
                                 const char *code)
{
    struct whole out;
    str_t text = str_printf(ctx->arena, "{\"name\":\"ab\",%s}", members);
    assert_int_equal(read_text(ctx, text, &out), ERR_INPUT);
    assert_string_equal(ctx->problem.reason, "validation_failed");
    assert_int_equal(ctx->problem.code, ERR_INPUT);
    assert_int_equal(ctx->problem.status, 0);
    if (ctx->problem.error_count != 1 || !str_is(ctx->problem.errors[0].pointer, pointer) ||
        strcmp(ctx->problem.errors[0].code, code) != 0)
        fail_msg("%s: %d errors, first " STR_FMT " %s", text.data, ctx->problem.error_count,
                 STR_ARG(ctx->problem.errors[0].pointer), ctx->problem.errors[0].code);
    assert_true(ctx->problem.errors[0].detail.len > 0);
}

static const struct {
    const char *members, *pointer, *code;
} violations[] = {
    {"\"nothing\":1", "/nothing", "unknown_field"},
    {"\"version\":1", "/version", "unknown_field"},
    {"\"password\":\"x\"", "/password", "unknown_field"},
    {"\"a/b~c\":1", "/a~1b~0c", "unknown_field"},
    {"\"na/r~w\":true", "/na~1r~0w", "wrong_type"},
    {"\"small\":\"1\"", "/small", "wrong_type"},
    {"\"small\":1.0", "/small", "wrong_type"},
    {"\"flag\":1", "/flag", "wrong_type"},
    {"\"story\":7", "/story", "wrong_type"},
    {"\"photo\":7", "/photo", "wrong_type"},
    {"\"amount_fen\":\"1\"", "/amount_fen", "wrong_type"},
    {"\"price\":1", "/price", "wrong_type"},
    {"\"rated\":1.5", "/rated", "wrong_type"},
    {"\"at\":0", "/at", "wrong_type"},
    {"\"id\":1", "/id", "wrong_type"},
    {"\"colour\":0", "/colour", "wrong_type"},
    {"\"items\":{}", "/items", "wrong_type"},
    {"\"items\":[1]", "/items/0", "wrong_type"},
    {"\"one\":[]", "/one", "wrong_type"},
    {"\"tags\":[\"a\",1]", "/tags/1", "wrong_type"},
    {"\"small\":6", "/small", "out_of_range"},
    {"\"small\":-6", "/small", "out_of_range"},
    {"\"large\":-1", "/large", "out_of_range"},
    {"\"na/r~w\":2147483648", "/na~1r~0w", "out_of_range"},
    {"\"na/r~w\":-2147483649", "/na~1r~0w", "out_of_range"},
    {"\"amount_fen\":0", "/amount_fen", "out_of_range"},
    {"\"amount_fen\":101", "/amount_fen", "out_of_range"},
    {"\"price\":\"0\"", "/price", "out_of_range"},
    {"\"price\":\"2.0000000001\"", "/price", "out_of_range"},
    {"\"rated\":\"2.00000001\"", "/rated", "out_of_range"},
    {"\"price\":\"-1\"", "/price", "bad_format"},
    {"\"rated\":\"0.123456789\"", "/rated", "bad_format"},
    {"\"at\":\"2026-11-24\"", "/at", "bad_format"},
    {"\"id\":\"prd_0000000000010\"", "/id", "bad_format"},
    {"\"id\":\"\"", "/id", "bad_format"},
    {"\"photo\":\"abc\"", "/photo", "bad_format"},
    {"\"photo\":\"AB==\"", "/photo", "bad_format"},
    {"\"photo\":\"AA==\"", "/photo", "too_short"},
    {"\"photo\":\"AAAAAAA=\"", "/photo", "too_long"},
    {"\"extra\":[123,456,789]", "/extra", "too_long"},
    {"\"colour\":\"green\"", "/colour", "not_in_list"},
    {"\"colour\":\"\"", "/colour", "not_in_list"},
    {"\"story\":\"a\\rb\"", "/story", "control_character"},
    {"\"story\":\"a\\u007fb\"", "/story", "control_character"},
    {"\"story\":\"a\\u0080b\"", "/story", "control_character"},
    {"\"story\":\"a\\u009fb\"", "/story", "control_character"},
    {"\"items\":[{\"quantity\":0}]", "/items/0/quantity", "out_of_range"},
    {"\"items\":[{\"quantity\":1},{\"quantity\":10001}]", "/items/1/quantity", "out_of_range"},
    {"\"items\":[{\"quantity\":1,\"x\":1}]", "/items/0/x", "unknown_field"},
    {"\"items\":[{}]", "/items/0/quantity", "required"},
    {"\"items\":[{\"quantity\":null}]", "/items/0/quantity", "required"},
    {"\"items\":[{\"quantity\":1,\"note\":\"a\\nb\"}]", "/items/0/note", "control_character"},
    {"\"items\":[{\"quantity\":1},{\"quantity\":1},{\"quantity\":1},{\"quantity\":1}]", "/items",
     "too_long"},
    {"\"one\":{\"note\":\"x\"}", "/one/quantity", "required"},
    {"\"one\":{\"quantity\":1,\"note\":\"123456\"}", "/one/note", "too_long"},
    {"\"tags\":[\"a\",\"b\",\"c\"]", "/tags", "too_long"},
    {"\"tags\":[\"a\\u0001\"]", "/tags/0", "control_character"},
};

static void each_violation_has_its_pointer_and_code(void **state)
{
    for (size_t i = 0; i < sizeof violations / sizeof violations[0]; i++)
        assert_field_refused(*state, violations[i].members, violations[i].pointer,
                             violations[i].code);
}

static void values_on_the_bounds_are_read(void **state)
{
    struct ctx *ctx = *state;
    assert_int_equal(assert_read(ctx, "\"small\":5").small, 5);
    assert_int_equal(assert_read(ctx, "\"small\":-5").small, -5);
    assert_int_equal(assert_read(ctx, "\"large\":9007199254740991").large, 9007199254740991);
    assert_int_equal(assert_read(ctx, "\"free_number\":-7").free_number, -7);
    assert_int_equal(assert_read(ctx, "\"na/r~w\":-2147483648").narrow, INT32_MIN);
    assert_int_equal(assert_read(ctx, "\"amount_fen\":100").amount.fen, 100);
    assert_int_equal(assert_read(ctx, "\"price\":\"2.00\"").price.e10, 20000000000);
    assert_int_equal(assert_read(ctx, "\"price\":\"0.0000000001\"").price.e10, 1);
    assert_int_equal(assert_read(ctx, "\"rated\":\"2\"").rated.e8, 200000000);
    assert_int_equal(assert_read(ctx, "\"photo\":\"AAAAAA==\"").photo.len, 4);
    assert_true(str_is(assert_read(ctx, "\"extra\": [123, 456, 7]").extra, "[123,456,7]"));
    assert_true(str_is(assert_read(ctx, "\"story\":\"a\\n\\tb\"").story, "a\n\tb"));
    assert_int_equal(assert_read(ctx, "\"story\":\"\\u00a0\"").story.len, 2);
    assert_int_equal(assert_read(ctx, "\"colour\":\"blue\"").colour, 2);
    assert_int_equal(assert_read(ctx, "\"id\":\"ord_0000000000010\"").id.value, 32);
    assert_int_equal(assert_read(ctx, "\"at\":\"1970-01-01T08:00:01+08:00\"").at.ms, 1000);
    assert_true(assert_read(ctx, "\"flag\":true").flag);
}

static void texts_are_counted_in_code_points(void **state)
{
    struct ctx *ctx = *state;
    struct whole out;
    assert_int_equal(read_text(ctx, STR("{\"name\":\"算合算合\"}"), &out), OK);
    assert_int_equal(out.name.len, 12);
    assert_int_equal(read_text(ctx, STR("{\"name\":\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\"}"), &out),
                     OK);
    assert_int_equal(read_text(ctx, STR("{\"name\":\"算合算合算\"}"), &out), ERR_INPUT);
    assert_string_equal(ctx->problem.errors[0].code, "too_long");
    assert_int_equal(read_text(ctx, STR("{\"name\":\"算\"}"), &out), ERR_INPUT);
    assert_string_equal(ctx->problem.errors[0].code, "too_short");
    assert_int_equal(read_text(ctx, STR("{\"name\":\"\"}"), &out), ERR_INPUT);
    assert_string_equal(ctx->problem.errors[0].code, "too_short");
    struct buf buf;
    buf_init(&buf, ctx->arena, 10000);
    buf_puts(&buf, "{\"name\":\"ab\",\"tags\":[\"");
    for (int i = 0; i < 200; i++)
        buf_puts(&buf, "算");
    struct buf longer = buf;
    longer.data = arena_copy(ctx->arena, buf.data, buf.len);
    longer.capacity = buf.len + 1;
    buf_puts(&buf, "\"]}");
    buf_puts(&longer, "算\"]}");
    assert_int_equal(read_text(ctx, buf_str(&buf), &out), OK);
    assert_int_equal(read_text(ctx, buf_str(&longer), &out), ERR_INPUT);
    assert_string_equal(ctx->problem.errors[0].code, "too_long");
}

static void absent_and_null_members_stay_zero(void **state)
{
    struct whole out = assert_read(
        *state, "\"small\":null,\"story\":null,\"items\":null,\"extra\":null,\"id\":null");
    assert_int_equal(out.small, 0);
    assert_int_equal(out.story.len, 0);
    assert_null(out.items);
    assert_int_equal(out.extra.len, 0);
    assert_int_equal(out.at.ms, 0);
}

static void a_missing_field_is_required(void **state)
{
    struct ctx *ctx = *state;
    struct whole out;
    assert_int_equal(read_text(ctx, STR("{}"), &out), ERR_INPUT);
    assert_int_equal(ctx->problem.error_count, 1);
    assert_true(str_is(ctx->problem.errors[0].pointer, "/name"));
    assert_string_equal(ctx->problem.errors[0].code, "required");
    assert_int_equal(read_text(ctx, STR("{\"name\":null}"), &out), ERR_INPUT);
    assert_string_equal(ctx->problem.errors[0].code, "required");
    assert_int_equal(read_text(ctx, STR("[]"), &out), ERR_INPUT);
    assert_true(str_is(ctx->problem.errors[0].pointer, ""));
    assert_string_equal(ctx->problem.errors[0].code, "wrong_type");
    problem_clear(ctx);
    assert_int_equal(shape_read(ctx, &whole_shape, NULL, &out), ERR_INPUT);
}

static void all_violations_are_gathered(void **state)
{
    struct ctx *ctx = *state;
    struct whole out;
    assert_int_equal(
        read_text(
            ctx,
            STR("{\"x\":1,\"small\":9,\"items\":[{\"quantity\":0},{\"note\":5}],\"price\":\"?\"}"),
            &out),
        ERR_INPUT);
    static const char *const expected[] = {"/x unknown_field",
                                           "/small out_of_range",
                                           "/items/0/quantity out_of_range",
                                           "/items/1/note wrong_type",
                                           "/items/1/quantity required",
                                           "/price bad_format",
                                           "/name required"};
    assert_int_equal(ctx->problem.error_count, 7);
    for (int i = 0; i < 7; i++) {
        const struct problem_error *error = &ctx->problem.errors[i];
        assert_string_equal(
            str_printf(ctx->arena, STR_FMT " %s", STR_ARG(error->pointer), error->code).data,
            expected[i]);
    }
    assert_non_null(strstr(ctx->problem.detail, "/x"));
}

static void gathering_stops_at_the_limit(void **state)
{
    struct ctx *ctx = *state;
    struct buf buf;
    struct whole out;
    buf_init(&buf, ctx->arena, 2 << 20);
    buf_putc(&buf, '{');
    for (int i = 0; i < 50000; i++)
        buf_printf(&buf, "\"k%d\":1,", i);
    buf_puts(&buf, "\"name\":\"ab\"}");
    int64_t began = clock_monotonic_us();
    assert_int_equal(read_text(ctx, buf_str(&buf), &out), ERR_INPUT);
    assert_int_equal(ctx->problem.error_count, PROBLEM_ERRORS_MAX);
    assert_true(clock_monotonic_us() - began < 2000000);
}

static void a_long_unknown_key_is_shown_in_part(void **state)
{
    struct ctx *ctx = *state;
    struct buf buf;
    struct whole out;
    buf_init(&buf, ctx->arena, 100000);
    buf_puts(&buf, "{\"name\":\"ab\",\"");
    for (int i = 0; i < 10000; i++)
        buf_puts(&buf, "算");
    buf_puts(&buf, "\":1}");
    assert_int_equal(read_text(ctx, buf_str(&buf), &out), ERR_INPUT);
    assert_int_equal(ctx->problem.errors[0].pointer.len, 121);
    assert_true(str_is_utf8(ctx->problem.errors[0].pointer));
    assert_true(str_is_utf8(str_of(ctx->problem.detail)));
}

static str_t written(struct ctx *ctx, const struct whole *in)
{
    struct buf buf;
    struct jw w;
    buf_init(&buf, ctx->arena, 10000);
    jw_init(&w, &buf);
    shape_write(&w, &whole_shape, in);
    return buf_str(&buf);
}

static void what_is_written_reads_back_the_same(void **state)
{
    struct ctx *ctx = *state;
    const char *text =
        "{\"small\":-3,\"large\":12,\"flag\":true,\"name\":\"算合\",\"story\":\"l1\\nl2\","
        "\"photo\":\"AAEC\","
        "\"extra\":{\"a\":[1]},\"amount_fen\":100,\"rated\":\"0.00599822\",\"price\":\"0.0104\","
        "\"at\":\"2026-11-24T15:30:00.123Z\",\"id\":\"ord_0000000000010\",\"colour\":\"blue\","
        "\"items\":[{\"product_id\":\"prd_0000000000011\",\"quantity\":2,\"note\":\"n\"},"
        "{\"product_id\":null,\"quantity\":10000}],"
        "\"one\":{\"product_id\":null,\"quantity\":7},\"tags\":[\"a\",\"\"]";
    struct whole out;
    assert_int_equal(read_text(ctx, str_printf(ctx->arena, "%s}", text), &out), OK);
    assert_int_equal(out.item_count, 2);
    assert_int_equal(out.items[0].product_id.value, 33);
    assert_int_equal(out.items[1].quantity, 10000);
    assert_int_equal(out.one.quantity, 7);
    assert_int_equal(out.tag_count, 2);
    assert_true(str_eq(out.photo, str_from("\0\1\2", 3)));
    out.version = 4;
    out.password = STR("secret");
    assert_string_equal(written(ctx, &out).data,
                        str_printf(ctx->arena, "%s,\"version\":4}", text).data);
}

static void what_is_empty_is_written_as_null_or_left_out(void **state)
{
    struct whole nothing = {0};
    assert_string_equal(
        written(*state, &nothing).data,
        "{\"large\":0,\"flag\":false,\"name\":null,\"story\":null,\"photo\":null,"
        "\"extra\":null,\"amount_fen\":0,\"rated\":\"0\",\"price\":\"0\",\"at\":null,"
        "\"id\":null,\"colour\":\"red\",\"items\":[],\"tags\":[],\"version\":0}");
    nothing.colour = 1;
    assert_non_null(strstr(written(*state, &nothing).data, "\"colour\":null"));
}

static void members_are_written_into_an_open_object(void **state)
{
    struct ctx *ctx = *state;
    struct item item = {.quantity = 3};
    struct buf buf;
    struct jw w;
    buf_init(&buf, ctx->arena, 1000);
    jw_init(&w, &buf);
    jw_object(&w);
    jw_put_int(&w, "before", 1);
    shape_write_members(&w, &item_shape, &item);
    jw_put_int(&w, "after", 2);
    jw_end_object(&w);
    assert_string_equal(buf_str(&buf).data,
                        "{\"before\":1,\"product_id\":null,\"quantity\":3,\"after\":2}");
}

static void names_go_there_and_back(void **state)
{
    (void)state;
    int value = 9;
    assert_string_equal(names_of(&colours, 2), "blue");
    assert_string_equal(names_of(&colours, 1), "");
    assert_string_equal(names_of(&colours, 3), "");
    assert_string_equal(names_of(&colours, -1), "");
    assert_true(names_find(&colours, STR("red"), &value));
    assert_int_equal(value, 0);
    assert_false(names_find(&colours, STR("re"), &value));
    assert_false(names_find(&colours, STR(""), &value));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_violation_has_its_pointer_and_code),
        CASE(values_on_the_bounds_are_read),
        CASE(texts_are_counted_in_code_points),
        CASE(absent_and_null_members_stay_zero),
        CASE(a_missing_field_is_required),
        CASE(all_violations_are_gathered),
        CASE(gathering_stops_at_the_limit),
        CASE(a_long_unknown_key_is_shown_in_part),
        CASE(what_is_written_reads_back_the_same),
        CASE(what_is_empty_is_written_as_null_or_left_out),
        CASE(members_are_written_into_an_open_object),
        CASE(names_go_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
