/* SPDX-License-Identifier: Apache-2.0 */
/* Strict JSON. A first pass over the text bounds depth and integers, because the library recurses
 * and would take 64-bit integers; then the library parses, and its tree is laid out in the arena,
 * so that members and elements are found by index at once. Texts stay in the library's tree, which
 * is let go with the arena. */
/* The library's enum has the names of ours, with other values. */
#define JSON_OBJECT LIB_OBJECT
#define JSON_ARRAY LIB_ARRAY
#define JSON_STRING LIB_STRING
#define JSON_INTEGER LIB_INTEGER
#define JSON_REAL LIB_REAL
#define JSON_TRUE LIB_TRUE
#define JSON_FALSE LIB_FALSE
#define JSON_NULL LIB_NULL
#include <jansson.h>
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_INTEGER
#undef JSON_REAL
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL

#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

struct json {
    enum json_kind kind;
    size_t count; /* members, elements, or bytes of a text */
    union {
        bool truth;
        int64_t integer;
        double real;
        const char *text;
        struct json *elements;
        struct json_member *members;
    };
};

struct json_member {
    str_t key;
    struct json value;
};

/* What one text may cost in memory: a container takes some 250 bytes when parsed. */
enum { CONTAINERS_MAX = 50000 };

struct scan {
    str_t text;
    size_t at;
    int depth, containers;
    const char *fault;
};

static bool is_number_byte(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static void skip_string(struct scan *scan)
{
    for (scan->at++; scan->at < scan->text.len && scan->text.data[scan->at] != '"'; scan->at++) {
        if (scan->text.data[scan->at] == '\\')
            scan->at++;
    }
    scan->at++;
}

static void check_number(struct scan *scan)
{
    size_t start = scan->at;
    while (scan->at < scan->text.len && is_number_byte(scan->text.data[scan->at]))
        scan->at++;
    str_t number = str_from(scan->text.data + start, scan->at - start);
    if (number.data[0] == '-')
        number = str_cut(number, 1);
    for (size_t i = 0; i < number.len; i++) {
        if (number.data[i] < '0' || number.data[i] > '9')
            return; /* a real, or nonsense that the parser refuses */
    }
    int64_t value;
    int64_t largest = (INT64_C(1) << JSON_INT_MAX_BITS) - 1;
    if (number.len > 15 && !str_to_int(number, 0, largest, &value)) {
        scan->fault = "an integer beyond 2^53 - 1";
        scan->at = start;
    }
}

/* What the parser would do badly or not at all. */
static void scan_bounds(struct scan *scan)
{
    while (scan->at < scan->text.len && scan->fault == NULL) {
        char c = scan->text.data[scan->at];
        if (c == '"') {
            skip_string(scan);
        } else if (c == '-' || (c >= '0' && c <= '9')) {
            check_number(scan);
        } else {
            if ((c == '[' || c == '{') && ++scan->containers > CONTAINERS_MAX) {
                scan->fault = "more than 50000 objects and arrays";
                return;
            }
            if ((c == '[' || c == '{') && ++scan->depth > JSON_DEPTH_MAX) {
                scan->fault = "more than 32 levels";
                return;
            }
            if (c == ']' || c == '}')
                scan->depth--;
            scan->at++;
        }
    }
}

static void lay_out(struct arena *arena, json_t *from, struct json *to);

static void lay_out_object(struct arena *arena, json_t *from, struct json *to)
{
    to->kind = JSON_OBJECT;
    to->count = json_object_size(from);
    to->members = arena_alloc(arena, to->count * sizeof *to->members);
    size_t i = 0;
    for (void *at = json_object_iter(from); at != NULL; at = json_object_iter_next(from, at), i++) {
        to->members[i].key = str_from(json_object_iter_key(at), json_object_iter_key_len(at));
        lay_out(arena, json_object_iter_value(at), &to->members[i].value);
    }
}

static void lay_out_array(struct arena *arena, json_t *from, struct json *to)
{
    to->kind = JSON_ARRAY;
    to->count = json_array_size(from);
    to->elements = arena_alloc(arena, to->count * sizeof *to->elements);
    for (size_t i = 0; i < to->count; i++)
        lay_out(arena, json_array_get(from, i), &to->elements[i]);
}

static void lay_out(struct arena *arena, json_t *from, struct json *to)
{
    switch (json_typeof(from)) {
    case LIB_OBJECT:
        lay_out_object(arena, from, to);
        break;
    case LIB_ARRAY:
        lay_out_array(arena, from, to);
        break;
    case LIB_STRING:
        to->kind = JSON_STRING;
        to->text = json_string_value(from);
        to->count = json_string_length(from);
        break;
    case LIB_INTEGER:
        to->kind = JSON_INT;
        to->integer = json_integer_value(from);
        break;
    case LIB_REAL:
        to->kind = JSON_REAL;
        to->real = json_real_value(from);
        break;
    case LIB_TRUE:
    case LIB_FALSE:
        to->kind = JSON_BOOL;
        to->truth = json_typeof(from) == LIB_TRUE;
        break;
    case LIB_NULL:
        to->kind = JSON_NULL;
        break;
    }
}

static void release(void *tree)
{
    json_decref(tree);
}

static const char *fault_name(const json_error_t *error)
{
    int code = (int)json_error_code(error);
    if (code == json_error_duplicate_key)
        return "a key stands twice";
    if (code == json_error_invalid_utf8)
        return "bad UTF-8";
    if (code == json_error_null_character || code == json_error_null_byte_in_key)
        return "a NUL character";
    if (code == json_error_numeric_overflow)
        return "a number out of range";
    if (code == json_error_premature_end_of_input)
        return "the text ends too early";
    if (code == json_error_end_of_input_expected)
        return "more text after the value";
    return "bad syntax";
}

const struct json *json_parse_text(struct arena *arena, str_t text, const char **out_error)
{
    struct scan scan = {.text = text};
    scan_bounds(&scan);
    if (scan.fault != NULL) {
        *out_error = str_printf(arena, "%s at byte %zu", scan.fault, scan.at).data;
        return NULL;
    }
    json_error_t error;
    const char *data = text.len == 0 ? "" : text.data;
    json_t *tree = json_loadb(data, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (tree == NULL) {
        *out_error = str_printf(arena, "%s at byte %d", fault_name(&error), error.position).data;
        return NULL;
    }
    arena_defer(arena, release, tree);
    struct json *value = arena_alloc(arena, sizeof *value);
    lay_out(arena, tree, value);
    return value;
}

err_t json_parse(struct ctx *ctx, str_t text, const struct json **out)
{
    const char *fault = NULL;
    const struct json *value = json_parse_text(ctx->arena, text, &fault);
    if (value == NULL)
        return refuse_status(ctx, 400, "invalid_request", "JSON refused: %s", fault);
    *out = value;
    return OK;
}

enum json_kind json_kind(const struct json *value)
{
    return value == NULL ? JSON_NULL : value->kind;
}

const struct json *json_get(const struct json *object, const char *key)
{
    if (json_kind(object) != JSON_OBJECT)
        return NULL;
    str_t wanted = str_of(key);
    for (size_t i = 0; i < object->count; i++) {
        if (str_eq(object->members[i].key, wanted))
            return &object->members[i].value;
    }
    return NULL;
}

str_t json_text(const struct json *value)
{
    return json_kind(value) == JSON_STRING ? str_from(value->text, value->count) : str_of("");
}

int64_t json_int(const struct json *value)
{
    return json_kind(value) == JSON_INT ? value->integer : 0;
}

bool json_bool(const struct json *value)
{
    return json_kind(value) == JSON_BOOL && value->truth;
}

size_t json_count(const struct json *value)
{
    enum json_kind kind = json_kind(value);
    return kind == JSON_ARRAY || kind == JSON_OBJECT ? value->count : 0;
}

const struct json *json_at(const struct json *array, size_t index)
{
    return json_kind(array) == JSON_ARRAY && index < array->count ? &array->elements[index] : NULL;
}

bool json_member(const struct json *object, size_t index, str_t *out_key,
                 const struct json **out_value)
{
    if (json_kind(object) != JSON_OBJECT || index >= object->count)
        return false;
    *out_key = object->members[index].key;
    *out_value = &object->members[index].value;
    return true;
}

str_t json_get_text(const struct json *object, const char *key)
{
    return json_text(json_get(object, key));
}

int64_t json_get_int(const struct json *object, const char *key, int64_t otherwise)
{
    const struct json *value = json_get(object, key);
    return json_kind(value) == JSON_INT ? value->integer : otherwise;
}

/* The shortest text that reads back as the same number; with a point or an exponent, so it stays a
 * real. */
static void print_real(struct jw *w, double real)
{
    char text[40] = "";
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, real);
        double back = strtod(text, NULL);
        /* the same bits: NaN is never parsed, and -0.0 stays -0.0 */
        if (memcmp(&back, &real, sizeof real) == 0) // NOLINT
            break;
    }
    jw_raw(w, str_of(text));
    if (strpbrk(text, ".e") == NULL)
        buf_puts(w->buf, ".0");
}

static int compare_members(const void *a, const void *b)
{
    return str_cmp((*(const struct json_member *const *)a)->key,
                   (*(const struct json_member *const *)b)->key);
}

static void print(struct jw *w, const struct json *value, bool sorted);

static void print_object(struct jw *w, const struct json *value, bool sorted)
{
    const struct json_member **order = NULL;
    if (sorted) {
        order = arena_alloc(w->buf->arena, value->count * sizeof *order);
        for (size_t i = 0; i < value->count; i++)
            order[i] = &value->members[i];
        qsort(order, value->count, sizeof *order, compare_members);
    }
    jw_object(w);
    for (size_t i = 0; i < value->count; i++) {
        const struct json_member *member = sorted ? order[i] : &value->members[i];
        jw_text(w, member->key);
        buf_putc(w->buf, ':');
        w->comma = false;
        print(w, &member->value, sorted);
    }
    jw_end_object(w);
}

static void print(struct jw *w, const struct json *value, bool sorted)
{
    switch (json_kind(value)) {
    case JSON_NULL:
        jw_null(w);
        break;
    case JSON_BOOL:
        jw_bool(w, value->truth);
        break;
    case JSON_INT:
        jw_int(w, value->integer);
        break;
    case JSON_REAL:
        print_real(w, value->real);
        break;
    case JSON_STRING:
        jw_text(w, json_text(value));
        break;
    case JSON_ARRAY:
        jw_array(w);
        for (size_t i = 0; i < value->count; i++)
            print(w, &value->elements[i], sorted);
        jw_end_array(w);
        break;
    case JSON_OBJECT:
        print_object(w, value, sorted);
        break;
    }
}

str_t json_print(struct arena *arena, const struct json *value, bool sorted)
{
    struct buf buf;
    struct jw w;
    buf_init(&buf, arena, ARENA_CAP_BYTES);
    jw_init(&w, &buf);
    print(&w, value, sorted);
    return buf_str(&buf);
}
