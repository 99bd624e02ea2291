/* SPDX-License-Identifier: Apache-2.0 */
/* Text and bytes. str_t borrows (pointer and length, no NUL promised); struct buf owns and grows up
 * to the limit given at its birth. */
#ifndef SUANHE_BASE_STR_H
#define SUANHE_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"

typedef struct str {
    const char *data;
    size_t len;
} str_t;

#define STR(literal) ((str_t){"" literal, sizeof(literal) - 1})
#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).len, (s).data

str_t str_of(const char *text); /* NULL gives the empty string */
str_t str_from(const void *data, size_t len);
bool str_eq(str_t a, str_t b);
bool str_is(str_t a, const char *text);
int str_cmp(str_t a, str_t b); /* by bytes, shorter first */
bool str_starts(str_t text, str_t prefix);
bool str_ends(str_t text, str_t suffix);
str_t str_cut(str_t text, size_t from); /* the rest from byte `from`; empty beyond the end */
str_t str_trim(str_t text);             /* without ASCII space at both ends */
/* Cuts *rest at the next separator; false when nothing is left. */
bool str_next(str_t *rest, char separator, str_t *out_part);
str_t str_dup(struct arena *arena, str_t text);     /* NUL behind it */
const char *str_z(struct arena *arena, str_t text); /* a NUL-terminated copy */
str_t str_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Decimal, optional '-', no blanks, no leading zero but "0" itself; false when not a number or out
 * of range. */
bool str_to_int(str_t text, int64_t min, int64_t max, int64_t *out);
bool str_is_utf8(str_t text);      /* strict: no surrogates, no overlong forms */
size_t str_utf8_count(str_t text); /* code points of valid UTF-8 */
/* Equal in time that depends only on the lengths. */
bool str_eq_secret(str_t a, str_t b);
uint64_t str_hash(str_t text); /* FNV-1a, for in-memory tables */

str_t hex_encode(struct arena *arena, str_t bytes); /* lower case */
bool hex_decode(struct arena *arena, str_t text, str_t *out_bytes);
str_t base64_encode(struct arena *arena, str_t bytes); /* RFC 4648 section 4, padded */
bool base64_decode(struct arena *arena, str_t text, str_t *out_bytes); /* canonical only */
str_t base64url_encode(struct arena *arena, str_t bytes);              /* section 5, no padding */
bool base64url_decode(struct arena *arena, str_t text, str_t *out_bytes);

/* A growing text. A failed append (limit) sets `overflow`, and every later append does nothing. */
struct buf {
    struct arena *arena;
    char *data;
    size_t len, capacity, limit;
    bool overflow;
};

void buf_init(struct buf *buf, struct arena *arena, size_t limit_bytes);
void buf_put(struct buf *buf, str_t text);
void buf_puts(struct buf *buf, const char *text);
void buf_putc(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_put_int(struct buf *buf, int64_t value);
str_t buf_str(const struct buf *buf); /* borrowed; NUL behind it */

/* Big-endian integers for binary formats. */
void buf_put_u16(struct buf *buf, uint16_t value);
void buf_put_u32(struct buf *buf, uint32_t value);
void buf_put_u64(struct buf *buf, uint64_t value);

#endif
