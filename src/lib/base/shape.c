/* SPDX-License-Identifier: Apache-2.0 */
/* Reading structs from JSON by their tables. Members are taken in the order of the text; violations
 * are gathered with their pointers, which are only written when there is one. */
#include "shape_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

enum {
    FIELDS_MAX = 256,
    ELEMENTS_MAX = 1000,     /* of an array whose table sets no bound */
    TEXTS_EACH_MAX = 200,    /* code points of one text of FT_TEXTS */
    LONG_TEXT = 256,         /* texts that may be longer have lines */
    POINTER_KEY_BYTES = 120, /* of an unknown key shown to the caller */
};

/* Where the reader stands; the parents are on the stack. */
struct path {
    const struct path *parent;
    str_t key; /* data NULL: an index */
    size_t index;
};

struct reader {
    struct ctx *ctx;
    int faults;
};

const char *names_of(const struct names *names, int value)
{
    if (names == NULL || value < 0 || value >= names->count || names->name[value] == NULL)
        return "";
    return names->name[value];
}

bool names_find(const struct names *names, str_t text, int *out_value)
{
    for (int i = 0; i < names->count; i++) {
        if (names->name[i] != NULL && str_is(text, names->name[i])) {
            *out_value = i;
            return true;
        }
    }
    return false;
}

static void put_pointer(struct buf *buf, const struct path *path)
{
    if (path == NULL)
        return;
    put_pointer(buf, path->parent);
    buf_putc(buf, '/');
    if (path->key.data == NULL) {
        buf_printf(buf, "%zu", path->index);
        return;
    }
    size_t shown = path->key.len;
    if (shown > POINTER_KEY_BYTES) {
        shown = POINTER_KEY_BYTES;
        while (shown > 0 && ((unsigned char)path->key.data[shown] & 0xC0) == 0x80)
            shown--;
    }
    for (size_t i = 0; i < shown; i++) {
        char c = path->key.data[i];
        if (c == '~' || c == '/')
            buf_puts(buf, c == '~' ? "~0" : "~1");
        else
            buf_putc(buf, c);
    }
}

static void __attribute__((format(printf, 4, 5)))
fault(struct reader *reader, const struct path *path, const char *code, const char *detail, ...)
{
    struct buf pointer;
    buf_init(&pointer, reader->ctx->arena, 4096);
    put_pointer(&pointer, path);
    char text[200];
    va_list args;
    va_start(args, detail);
    vsnprintf(text, sizeof text, detail, args);
    va_end(args);
    (void)!refuse_field(reader->ctx, buf_str(&pointer), code, "%s", text);
    reader->faults++;
}

/* C0, DEL and C1, the last as C2 80 to C2 9F. */
static bool has_control(str_t text, bool lines)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < 0x20 && !(lines && (c == '\n' || c == '\t')))
            return true;
        if (c == 0x7F || (c == 0xC2 && i + 1 < text.len && (unsigned char)text.data[i + 1] < 0xA0))
            return true;
    }
    return false;
}

const char *text_fault(const struct field *field, str_t text)
{
    if (!str_is_utf8(text))
        return "bad_format";
    bool bounded = is_bounded(field);
    int64_t count = (int64_t)str_utf8_count(text);
    if (bounded && count < field->min)
        return "too_short";
    if (bounded && count > field->max)
        return "too_long";
    return has_control(text, !bounded || field->max > LONG_TEXT) ? "control_character" : NULL;
}

static bool expect(struct reader *reader, const struct path *path, const struct json *value,
                   enum json_kind kind)
{
    static const char *const words[] = {"null",     "a boolean", "an integer", "a number",
                                        "a string", "an array",  "an object"};
    if (json_kind(value) == kind)
        return true;
    fault(reader, path, "wrong_type", "expected %s", words[kind]);
    return false;
}

static bool in_range(struct reader *reader, const struct path *path, int64_t value, int64_t min,
                     int64_t max)
{
    if (value >= min && value <= max)
        return true;
    fault(reader, path, "out_of_range", "expected %" PRId64 " to %" PRId64, min, max);
    return false;
}

static bool in_bounds(struct reader *reader, const struct path *path, const struct field *field,
                      int64_t value)
{
    return !is_bounded(field) || in_range(reader, path, value, field->min, field->max);
}

static bool size_fits(struct reader *reader, const struct path *path, size_t size, int64_t min,
                      int64_t max)
{
    if ((int64_t)size < min)
        fault(reader, path, "too_short", "expected at least %" PRId64, min);
    else if ((int64_t)size > max)
        fault(reader, path, "too_long", "expected at most %" PRId64, max);
    else
        return true;
    return false;
}

static void read_integer(struct reader *reader, const struct path *path, const struct field *field,
                         const struct json *value, char *out)
{
    if (!expect(reader, path, value, JSON_INT))
        return;
    int64_t number = json_int(value);
    if (!in_bounds(reader, path, field, number))
        return;
    if (field->type == FT_INT32) {
        if (in_range(reader, path, number, INT32_MIN, INT32_MAX))
            *(int32_t *)(void *)out = (int32_t)number;
    } else if (field->type == FT_MONEY) {
        ((money_t *)(void *)out)->fen = number;
    } else {
        *(int64_t *)(void *)out = number;
    }
}

static void read_text(struct reader *reader, const struct path *path, const struct field *field,
                      const struct json *value, str_t *out)
{
    if (!expect(reader, path, value, JSON_STRING))
        return;
    const char *code = text_fault(field, json_text(value));
    if (code == NULL)
        *out = json_text(value);
    else if (strcmp(code, "control_character") == 0)
        fault(reader, path, code, "a control character stands in the text");
    else
        fault(reader, path, code, "expected %" PRId64 " to %" PRId64 " characters", field->min,
              field->max);
}

static void read_bytes(struct reader *reader, const struct path *path, const struct field *field,
                       const struct json *value, str_t *out)
{
    str_t bytes;
    if (!expect(reader, path, value, JSON_STRING))
        return;
    if (!base64_decode(reader->ctx->arena, json_text(value), &bytes))
        fault(reader, path, "bad_format", "expected base64 with padding");
    else if (!is_bounded(field) || size_fits(reader, path, bytes.len, field->min, field->max))
        *out = bytes;
}

static void read_raw_json(struct reader *reader, const struct path *path, const struct field *field,
                          const struct json *value, str_t *out)
{
    str_t text = json_print(reader->ctx->arena, value, false);
    if (!is_bounded(field) || size_fits(reader, path, text.len, field->min, field->max))
        *out = text;
}

/* The types that are a string in JSON with a form of their own. */
static void read_formed(struct reader *reader, const struct path *path, const struct field *field,
                        const struct json *value, char *out)
{
    if (!expect(reader, path, value, JSON_STRING))
        return;
    str_t text = json_text(value);
    int found;
    if (field->type == FT_REF) {
        if (!ref_read(text, field->prefix, (ref_t *)(void *)out))
            fault(reader, path, "bad_format", "expected an id that begins with %s_", field->prefix);
    } else if (field->type == FT_UTC) {
        if (!utc_read(text, (utc_t *)(void *)out))
            fault(reader, path, "bad_format", "expected a time in RFC 3339");
    } else if (field->type == FT_ENUM) {
        if (names_find(field->names, text, &found))
            *(int32_t *)(void *)out = found;
        else
            fault(reader, path, "not_in_list", "not one of the known values");
    } else if (field->type == FT_PRICE) {
        price_t price;
        if (!price_read(text, &price))
            fault(reader, path, "bad_format", "expected a decimal with at most 8 and 10 digits");
        else if (in_bounds(reader, path, field, price.e10))
            *(price_t *)(void *)out = price;
    } else {
        rate_t rate;
        if (!rate_read(text, &rate))
            fault(reader, path, "bad_format", "expected a decimal with at most 8 decimals");
        else if (in_bounds(reader, path, field, rate.e8))
            *(rate_t *)(void *)out = rate;
    }
}

static void read_struct(struct reader *reader, const struct path *path, const struct shape *shape,
                        const struct json *value, char *out);

/* Elements of `size` bytes for the array member; NULL when the value is refused. */
static char *begin_array(struct reader *reader, const struct path *path, const struct field *field,
                         const struct json *value, size_t size)
{
    if (!expect(reader, path, value, JSON_ARRAY))
        return NULL;
    int64_t max = is_bounded(field) ? field->max : ELEMENTS_MAX;
    if (!size_fits(reader, path, json_count(value), field->min, max))
        return NULL;
    return arena_alloc(reader->ctx->arena, json_count(value) * size);
}

static void read_array(struct reader *reader, const struct path *path, const struct field *field,
                       const struct json *value, char *out)
{
    char *elements = begin_array(reader, path, field, value, field->shape->size);
    if (elements == NULL)
        return;
    size_t count = json_count(value);
    for (size_t i = 0; i < count && reader->faults < PROBLEM_ERRORS_MAX; i++) {
        struct path here = {.parent = path, .index = i};
        read_struct(reader, &here, field->shape, json_at(value, i),
                    elements + i * field->shape->size);
    }
    *(void **)(void *)(out + field->offset) = elements;
    *(size_t *)(void *)(out + field->count_offset) = count;
}

static void read_texts(struct reader *reader, const struct path *path, const struct field *field,
                       const struct json *value, char *out)
{
    static const struct field each = {.type = FT_TEXT, .min = 0, .max = TEXTS_EACH_MAX};
    str_t *texts = (void *)begin_array(reader, path, field, value, sizeof *texts);
    if (texts == NULL)
        return;
    size_t count = json_count(value);
    for (size_t i = 0; i < count && reader->faults < PROBLEM_ERRORS_MAX; i++) {
        struct path here = {.parent = path, .index = i};
        read_text(reader, &here, &each, json_at(value, i), &texts[i]);
    }
    *(str_t **)(void *)(out + field->offset) = texts;
    *(size_t *)(void *)(out + field->count_offset) = count;
}

/* out is the struct, not the member: arrays have two. */
static void read_field(struct reader *reader, const struct path *path, const struct field *field,
                       const struct json *value, char *out)
{
    char *member = out + field->offset;
    switch (field->type) {
    case FT_INT32:
    case FT_INT64:
    case FT_MONEY:
        read_integer(reader, path, field, value, member);
        break;
    case FT_BOOL:
        if (expect(reader, path, value, JSON_BOOL))
            *(bool *)(void *)member = json_bool(value);
        break;
    case FT_TEXT:
        read_text(reader, path, field, value, (str_t *)(void *)member);
        break;
    case FT_RATE:
    case FT_PRICE:
    case FT_UTC:
    case FT_REF:
    case FT_ENUM:
        read_formed(reader, path, field, value, member);
        break;
    case FT_BYTES:
        read_bytes(reader, path, field, value, (str_t *)(void *)member);
        break;
    case FT_JSON:
        read_raw_json(reader, path, field, value, (str_t *)(void *)member);
        break;
    case FT_ARRAY:
        read_array(reader, path, field, value, out);
        break;
    case FT_TEXTS:
        read_texts(reader, path, field, value, out);
        break;
    case FT_OBJECT:
        read_struct(reader, path, field->shape, value, member);
        break;
    }
}

/* Index of the field that input may set under this name, or -1. */
static int find_input_field(const struct shape *shape, str_t name)
{
    for (int i = 0; i < shape->count; i++) {
        if ((shape->fields[i].flags & (FIELD_READ_ONLY | FIELD_HIDDEN)) == 0 &&
            str_is(name, shape->fields[i].name))
            return i;
    }
    return -1;
}

/* null stands for absent, as shape_write writes it for what is empty; only FT_JSON that is required
 * holds it. */
static bool is_absent(const struct field *field, const struct json *value)
{
    if (field->type == FT_JSON && (field->flags & FIELD_REQUIRED) != 0)
        return false;
    return json_kind(value) == JSON_NULL;
}

static void read_struct(struct reader *reader, const struct path *path, const struct shape *shape,
                        const struct json *value, char *out)
{
    if (!expect(reader, path, value, JSON_OBJECT))
        return;
    ENSURE(shape->count <= FIELDS_MAX);
    bool given[FIELDS_MAX] = {false};
    str_t key;
    const struct json *member;
    for (size_t i = 0; reader->faults < PROBLEM_ERRORS_MAX && json_member(value, i, &key, &member);
         i++) {
        struct path here = {.parent = path, .key = key};
        int index = find_input_field(shape, key);
        if (index < 0) {
            fault(reader, &here, "unknown_field", "there is no such field");
            continue;
        }
        if (is_absent(&shape->fields[index], member))
            continue;
        given[index] = true;
        read_field(reader, &here, &shape->fields[index], member, out);
    }
    for (int i = 0; i < shape->count; i++) {
        const struct field *field = &shape->fields[i];
        bool asked = (field->flags & (FIELD_READ_ONLY | FIELD_HIDDEN)) == 0;
        if (given[i] || !asked || (field->flags & FIELD_REQUIRED) == 0)
            continue;
        struct path here = {.parent = path, .key = str_of(field->name)};
        fault(reader, &here, "required", "the field is missing");
    }
}

err_t shape_read(struct ctx *ctx, const struct shape *shape, const struct json *value, void *out)
{
    struct reader reader = {.ctx = ctx};
    memset(out, 0, shape->size);
    read_struct(&reader, NULL, shape, value, out);
    return reader.faults == 0 ? OK : ERR_INPUT;
}
