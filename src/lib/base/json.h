/* SPDX-License-Identifier: Apache-2.0 */
/* JSON, strict (I-JSON): no duplicate keys, valid UTF-8, bounded depth, integers exact. Values live
 * in the arena they were parsed into. The JSON library is used in json.c only. */
#ifndef SUANHE_BASE_JSON_H
#define SUANHE_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "ctx.h"
#include "money.h"
#include "str.h"

enum { JSON_DEPTH_MAX = 32, JSON_INT_MAX_BITS = 53 };

struct json; /* one value, borrowed from the arena */

/* Refuses with 400 `invalid_request` and says where (syntax, duplicate key, bad UTF-8, NUL, depth,
 * an integer beyond 2^53 - 1). */
err_t json_parse(struct ctx *ctx, str_t text, const struct json **out);
/* The same without a context: NULL and a message on failure. */
const struct json *json_parse_text(struct arena *arena, str_t text, const char **out_error);

enum json_kind { JSON_NULL, JSON_BOOL, JSON_INT, JSON_REAL, JSON_STRING, JSON_ARRAY, JSON_OBJECT };
enum json_kind json_kind(const struct json *value); /* NULL pointer: JSON_NULL */
const struct json *json_get(const struct json *object, const char *key); /* NULL when absent */
str_t json_text(const struct json *value);                               /* empty when no string */
int64_t json_int(const struct json *value);                              /* 0 when no integer */
bool json_bool(const struct json *value);
size_t json_count(const struct json *value); /* members or elements */
const struct json *json_at(const struct json *array, size_t index);
/* Walks an object in its order. */
bool json_member(const struct json *object, size_t index, str_t *out_key,
                 const struct json **out_value);
/* Shortcuts: the text / integer of a member, or empty / the given default. */
str_t json_get_text(const struct json *object, const char *key);
int64_t json_get_int(const struct json *object, const char *key, int64_t otherwise);
/* Compact text; keys in their order, or sorted (canonical). */
str_t json_print(struct arena *arena, const struct json *value, bool sorted);

/* Writes JSON piece by piece; commas by itself. */
struct jw {
    struct buf *buf;
    bool comma;
};
void jw_init(struct jw *w, struct buf *buf);
void jw_object(struct jw *w);
void jw_array(struct jw *w);
void jw_end_object(struct jw *w);
void jw_end_array(struct jw *w);
void jw_key(struct jw *w, const char *key);
void jw_text(struct jw *w, str_t text);
void jw_int(struct jw *w, int64_t value);
void jw_bool(struct jw *w, bool value);
void jw_null(struct jw *w);
void jw_raw(struct jw *w, str_t json);                   /* JSON text as it is */
void jw_utc(struct jw *w, utc_t at);                     /* {0} writes null */
void jw_ref(struct jw *w, const char *prefix, ref_t id); /* REF_NONE writes null */
void jw_price(struct jw *w, price_t price);
void jw_rate(struct jw *w, rate_t rate);
/* key and value in one call */
void jw_put_text(struct jw *w, const char *key, str_t text);
/* An empty text is written as null. */
void jw_put_text_or_null(struct jw *w, const char *key, str_t text);
void jw_put_int(struct jw *w, const char *key, int64_t value);
void jw_put_bool(struct jw *w, const char *key, bool value);
void jw_put_utc(struct jw *w, const char *key, utc_t at);
void jw_put_ref(struct jw *w, const char *key, const char *prefix, ref_t id);

#endif
