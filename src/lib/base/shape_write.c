/* SPDX-License-Identifier: Apache-2.0 */
/* Writing structs as JSON by their tables. */
#include "shape.h"

static bool is_zero(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

static size_t count_of(const struct field *field, const char *in)
{
    return *(const size_t *)(const void *)(in + field->count_offset);
}

static str_t text_at(const char *member)
{
    return *(const str_t *)(const void *)member;
}

static bool is_empty(const struct field *field, const char *in)
{
    const char *member = in + field->offset;
    switch (field->type) {
    case FT_INT32:
    case FT_ENUM:
        return *(const int32_t *)(const void *)member == 0;
    case FT_BOOL:
        return !*(const bool *)(const void *)member;
    case FT_TEXT:
    case FT_BYTES:
    case FT_JSON:
        return text_at(member).len == 0;
    case FT_INT64:
    case FT_MONEY:
    case FT_RATE:
    case FT_PRICE:
    case FT_UTC:
    case FT_REF:
        return is_zero(member, sizeof(int64_t));
    case FT_ARRAY:
    case FT_TEXTS:
        return count_of(field, in) == 0;
    case FT_OBJECT:
        return is_zero(member, field->shape->size);
    }
    return false;
}

static void write_array(struct jw *w, const struct field *field, const char *in)
{
    const char *elements = *(const char *const *)(const void *)(in + field->offset);
    size_t count = count_of(field, in);
    jw_array(w);
    for (size_t i = 0; i < count; i++)
        shape_write(w, field->shape, elements + i * field->shape->size);
    jw_end_array(w);
}

static void write_texts(struct jw *w, const struct field *field, const char *in)
{
    const str_t *texts = *(const str_t *const *)(const void *)(in + field->offset);
    size_t count = count_of(field, in);
    jw_array(w);
    for (size_t i = 0; i < count; i++)
        jw_text(w, texts[i]);
    jw_end_array(w);
}

static void write_text_or_null(struct jw *w, str_t text)
{
    if (text.len == 0)
        jw_null(w);
    else
        jw_text(w, text);
}

static void write_bytes(struct jw *w, str_t bytes)
{
    if (bytes.len == 0)
        jw_null(w);
    else
        jw_text(w, base64_encode(w->buf->arena, bytes));
}

static void write_value(struct jw *w, const struct field *field, const char *in)
{
    const char *member = in + field->offset;
    switch (field->type) {
    case FT_INT32:
        jw_int(w, *(const int32_t *)(const void *)member);
        break;
    case FT_INT64:
    case FT_MONEY:
        jw_int(w, *(const int64_t *)(const void *)member);
        break;
    case FT_BOOL:
        jw_bool(w, *(const bool *)(const void *)member);
        break;
    case FT_TEXT:
        write_text_or_null(w, text_at(member));
        break;
    case FT_RATE:
        jw_rate(w, *(const rate_t *)(const void *)member);
        break;
    case FT_PRICE:
        jw_price(w, *(const price_t *)(const void *)member);
        break;
    case FT_UTC:
        jw_utc(w, *(const utc_t *)(const void *)member);
        break;
    case FT_REF:
        jw_ref(w, field->prefix, *(const ref_t *)(const void *)member);
        break;
    case FT_ENUM:
        write_text_or_null(w,
                           str_of(names_of(field->names, *(const int32_t *)(const void *)member)));
        break;
    case FT_BYTES:
        write_bytes(w, text_at(member));
        break;
    case FT_JSON:
        jw_raw(w, text_at(member));
        break;
    case FT_ARRAY:
        write_array(w, field, in);
        break;
    case FT_TEXTS:
        write_texts(w, field, in);
        break;
    case FT_OBJECT:
        shape_write(w, field->shape, member);
        break;
    }
}

void shape_write_members(struct jw *w, const struct shape *shape, const void *in)
{
    for (int i = 0; i < shape->count; i++) {
        const struct field *field = &shape->fields[i];
        if ((field->flags & FIELD_HIDDEN) != 0)
            continue;
        if ((field->flags & FIELD_OMIT_EMPTY) != 0 && is_empty(field, in))
            continue;
        jw_key(w, field->name);
        write_value(w, field, in);
    }
}

void shape_write(struct jw *w, const struct shape *shape, const void *in)
{
    jw_object(w);
    shape_write_members(w, shape, in);
    jw_end_object(w);
}
