/* SPDX-License-Identifier: Apache-2.0 */
/* A struct is described once: its table of fields reads it from JSON (refusing what is unknown,
 * missing, of the wrong type or out of range, by field), writes it as JSON, and reads it from a
 * database row (lib/db).
 *
 *     struct order_create { ref_t product_id; int32_t quantity; str_t note; };
 *     static const struct field order_create_fields[] = {
 *         FIELD_REF(struct order_create, product_id, "prd", FIELD_REQUIRED),
 *         FIELD(struct order_create, quantity, 1, 10000, FIELD_REQUIRED),
 *         FIELD(struct order_create, note, 0, 200, 0),
 *     };
 *     const struct shape order_create_shape = SHAPE(struct order_create, order_create_fields);
 *
 * FIELD picks the type by the member (int32_t, int64_t, bool, str_t, money_t, rate_t, price_t,
 * utc_t), so an unsupported member does not compile. min and max bound integers and money (fen) by
 * value, text by code points (control characters refused but \n and \t in texts longer than 256),
 * prices by 10^-10 yuan. min = max = 0 sets no bounds (arrays then hold at most 1000). Absent
 * optional members stay zero, and null is absent. */
#ifndef SUANHE_BASE_SHAPE_H
#define SUANHE_BASE_SHAPE_H

#include <stddef.h>

#include "ctx.h"
#include "json.h"
#include "money.h"

enum field_type {
    FT_INT32,
    FT_INT64,
    FT_BOOL,
    FT_TEXT,
    FT_MONEY,
    FT_RATE,
    FT_PRICE,
    FT_UTC,
    FT_REF,    /* prefix in `prefix` */
    FT_ENUM,   /* int32_t member, names in `names` */
    FT_BYTES,  /* str_t; base64 in JSON, BYTES in a row */
    FT_JSON,   /* str_t holding JSON text (any value; `max` bounds its bytes) */
    FT_ARRAY,  /* pointer member to structs of `shape`, count member at `count_offset` (size_t) */
    FT_TEXTS,  /* pointer member to str_t, count member (size_t); min/max bound the count, texts are
                  <= 200 */
    FT_OBJECT, /* embedded struct of `shape` */
};

enum field_flag {
    FIELD_REQUIRED = 1,
    FIELD_HIDDEN = 2,    /* never written to JSON (row only) */
    FIELD_READ_ONLY = 4, /* written to JSON, refused as unknown on input */
    FIELD_OMIT_EMPTY =
        8, /* not written when zero or empty (otherwise null for texts, times and refs) */
};

/* Names of an enum: index = value, NULL where a value has no name. */
struct names {
    const char *const *name;
    int count;
};
#define NAMES(array)                                       \
    {                                                      \
        (array), (int)(sizeof(array) / sizeof((array)[0])) \
    }
const char *names_of(const struct names *names, int value); /* "" when unknown */
bool names_find(const struct names *names, str_t text, int *out_value);

struct shape;
struct field {
    const char *name;
    enum field_type type;
    size_t offset, count_offset;
    int64_t min, max;
    int flags;
    const char *prefix;
    const struct names *names;
    const struct shape *shape;
};
struct shape {
    size_t size;
    const struct field *fields;
    int count;
};
#define SHAPE(type, table)                                               \
    {                                                                    \
        sizeof(type), (table), (int)(sizeof(table) / sizeof((table)[0])) \
    }

#define FIELD_TYPE_OF(member)    \
    _Generic((member), int32_t   \
             : FT_INT32, int64_t \
             : FT_INT64, bool    \
             : FT_BOOL, str_t    \
             : FT_TEXT, money_t  \
             : FT_MONEY, rate_t  \
             : FT_RATE, price_t  \
             : FT_PRICE, utc_t   \
             : FT_UTC)
#define FIELD(T, member, min_, max_, flags_)                                                     \
    {                                                                                            \
        .name = #member, .type = FIELD_TYPE_OF(((T *)0)->member), .offset = offsetof(T, member), \
        .min = (min_), .max = (max_), .flags = (flags_)                                          \
    }
#define FIELD_REF(T, member, prefix_, flags_)                                                \
    {                                                                                        \
        .name = #member, .type = FT_REF, .offset = offsetof(T, member), .prefix = (prefix_), \
        .flags = (flags_)                                                                    \
    }
#define FIELD_ENUM(T, member, names_, flags_)                                               \
    {                                                                                       \
        .name = #member, .type = FT_ENUM, .offset = offsetof(T, member), .names = (names_), \
        .flags = (flags_)                                                                   \
    }
#define FIELD_BYTES(T, member, min_, max_, flags_)                                       \
    {                                                                                    \
        .name = #member, .type = FT_BYTES, .offset = offsetof(T, member), .min = (min_), \
        .max = (max_), .flags = (flags_)                                                 \
    }
#define FIELD_JSON(T, member, max_, flags_)                                             \
    {                                                                                   \
        .name = #member, .type = FT_JSON, .offset = offsetof(T, member), .max = (max_), \
        .flags = (flags_)                                                               \
    }
#define FIELD_ARRAY(T, member, count_member, shape_, min_, max_, flags_)             \
    {                                                                                \
        .name = #member, .type = FT_ARRAY, .offset = offsetof(T, member),            \
        .count_offset = offsetof(T, count_member), .shape = (shape_), .min = (min_), \
        .max = (max_), .flags = (flags_)                                             \
    }
#define FIELD_TEXTS(T, member, count_member, min_, max_, flags_)                                   \
    {                                                                                              \
        .name = #member, .type = FT_TEXTS, .offset = offsetof(T, member),                          \
        .count_offset = offsetof(T, count_member), .min = (min_), .max = (max_), .flags = (flags_) \
    }
#define FIELD_OBJECT(T, member, shape_, flags_)                                               \
    {                                                                                         \
        .name = #member, .type = FT_OBJECT, .offset = offsetof(T, member), .shape = (shape_), \
        .flags = (flags_)                                                                     \
    }
/* The same field under another name in JSON and rows. */
#define FIELD_AS(T, member, name_, min_, max_, flags_)                                           \
    {                                                                                            \
        .name = (name_), .type = FIELD_TYPE_OF(((T *)0)->member), .offset = offsetof(T, member), \
        .min = (min_), .max = (max_), .flags = (flags_)                                          \
    }

/* Codes of refused fields: unknown_field, required, wrong_type, out_of_range, too_short, too_long,
 * not_in_list, bad_format, control_character. Texts are borrowed from the parsed JSON. All
 * violations are gathered (up to PROBLEM_ERRORS_MAX) before the refusal. */
err_t shape_read(struct ctx *ctx, const struct shape *shape, const struct json *value, void *out);
/* Writes the struct as one JSON object. */
void shape_write(struct jw *w, const struct shape *shape, const void *in);
/* Writes only the members, into an object that the caller opened. */
void shape_write_members(struct jw *w, const struct shape *shape, const void *in);

#endif
