/* SPDX-License-Identifier: Apache-2.0 */
/* application/x-www-form-urlencoded, turned into the JSON that the same field table reads.
 * Parameters that the table does not know are passed over, as RFC 6749 wants of token endpoints; a
 * doubled one is refused. */
#include "http_internal.h"

#include <string.h>

enum { FORM_FIELDS_MAX = 64 };

static const struct field *field_named(const struct shape *shape, str_t name)
{
    for (int i = 0; i < shape->count; i++)
        if (str_is(name, shape->fields[i].name))
            return &shape->fields[i];
    return NULL;
}

static void write_value(struct jw *w, const struct field *field, str_t value)
{
    int64_t number = 0;
    bool is_number = field->type == FT_INT32 || field->type == FT_INT64 || field->type == FT_MONEY;
    if (is_number && str_to_int(value, INT64_MIN, INT64_MAX, &number))
        jw_int(w, number);
    else if (field->type == FT_BOOL && (str_is(value, "true") || str_is(value, "false")))
        jw_bool(w, str_is(value, "true"));
    else
        jw_text(w, value);
}

err_t form_to_json(struct ctx *ctx, const struct shape *shape, str_t body, const struct json **out)
{
    struct buf text;
    buf_init(&text, ctx->arena, body.len * 6 + 4096);
    struct jw w;
    jw_init(&w, &text);
    jw_object(&w);
    const struct field *seen[FORM_FIELDS_MAX];
    int count = 0;
    str_t part = {0};
    while (str_next(&body, '&', &part)) {
        const char *equals = memchr(part.data, '=', part.len);
        str_t raw = equals ? str_from(part.data, (size_t)(equals - part.data)) : part;
        str_t name = {0}, value = {0};
        if (!percent_decode(ctx->arena, raw, true, &name) ||
            !percent_decode(ctx->arena, equals ? str_cut(part, raw.len + 1) : STR(""), true,
                            &value))
            return refuse_status(ctx, 400, "invalid_request", "bad escape in the form");
        const struct field *field = field_named(shape, name);
        if (!field)
            continue;
        for (int i = 0; i < count; i++)
            if (seen[i] == field)
                return refuse_status(ctx, 400, "invalid_request", "%s stands twice", field->name);
        if (count == FORM_FIELDS_MAX)
            return refuse_status(ctx, 400, "invalid_request", "too many fields");
        seen[count++] = field;
        jw_key(&w, field->name);
        write_value(&w, field, value);
    }
    jw_end_object(&w);
    return json_parse(ctx, buf_str(&text), out);
}
