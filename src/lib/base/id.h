/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: 63-bit time-ordered integers (41 bits milliseconds since 2020-01-01 UTC, 6 bits instance,
 * 16 bits counter). Outside they are text: a prefix that names the kind and 13 characters of
 * Crockford base32. */
#ifndef SUANHE_BASE_ID_H
#define SUANHE_BASE_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "str.h"

typedef struct ref {
    int64_t value;
} ref_t;

#define REF_NONE ((ref_t){0})
static inline bool ref_is(ref_t a, ref_t b)
{
    return a.value == b.value;
}

enum { REF_TEXT_BYTES = 17 }; /* "ord_" and 13 characters; every prefix has 3 letters */

/* Makes keys; safe for many threads. One per process. */
struct id_maker;
struct id_maker *id_maker_new(int instance); /* 0 to 63; freed by id_maker_free */
void id_maker_free(struct id_maker *maker);
/* Strictly rising within the process, also when `now` stands still or jumps back. */
ref_t id_make(struct id_maker *maker, utc_t now);
/* The smallest key of a moment, for key ranges. */
ref_t id_floor(utc_t at);
utc_t id_time(ref_t id);

/* Writes `prefix_` and 13 characters. prefix is three letters, such as "ord". */
void ref_write(struct buf *buf, const char *prefix, ref_t id);
str_t ref_text(struct arena *arena, const char *prefix, ref_t id);
/* Reads the exact form only (upper-case Crockford, no look-alikes); another prefix is refused. */
bool ref_read(str_t text, const char *prefix, ref_t *out);

#endif
