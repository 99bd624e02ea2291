/* SPDX-License-Identifier: Apache-2.0 */
/* Making keys and their text. The maker's state is (milliseconds << 16 | counter) in one atomic:
 * the next key is the larger of "now, counter 0" and the last one plus 1, so a full counter runs
 * into the next millisecond and a clock that jumps back only makes the counter run on. */
#include "id.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

enum { COUNTER_BITS = 16, INSTANCE_BITS = 6, TIME_BITS = 41, CODE_DIGITS = 13 };

static const int64_t epoch_ms = INT64_C(1577836800000); /* 2020-01-01T00:00:00Z */
static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

struct id_maker {
    uint64_t instance;
    _Atomic uint64_t last;
};

static uint64_t ms_since_epoch(utc_t at)
{
    int64_t ms = at.ms - epoch_ms;
    int64_t end = (INT64_C(1) << TIME_BITS) - 1;
    return (uint64_t)(ms < 0 ? 0 : ms > end ? end : ms);
}

struct id_maker *id_maker_new(int instance)
{
    ENSURE(instance >= 0 && instance < 1 << INSTANCE_BITS);
    struct id_maker *maker = calloc(1, sizeof *maker);
    if (maker == NULL)
        log_die("out of memory");
    maker->instance = (uint64_t)instance;
    return maker;
}

void id_maker_free(struct id_maker *maker)
{
    free(maker);
}

ref_t id_make(struct id_maker *maker, utc_t now)
{
    uint64_t wished = ms_since_epoch(now) << COUNTER_BITS;
    uint64_t last = atomic_load_explicit(&maker->last, memory_order_relaxed), next;
    do {
        next = wished > last ? wished : last + 1;
    } while (!atomic_compare_exchange_weak_explicit(&maker->last, &last, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    uint64_t ms = next >> COUNTER_BITS, counter = next & ((1U << COUNTER_BITS) - 1);
    ENSURE(ms >> TIME_BITS == 0);
    return (ref_t){(int64_t)(ms << (INSTANCE_BITS + COUNTER_BITS) |
                             maker->instance << COUNTER_BITS | counter)};
}

ref_t id_floor(utc_t at)
{
    return (ref_t){(int64_t)(ms_since_epoch(at) << (INSTANCE_BITS + COUNTER_BITS))};
}

utc_t id_time(ref_t id)
{
    return (utc_t){(id.value >> (INSTANCE_BITS + COUNTER_BITS)) + epoch_ms};
}

void ref_write(struct buf *buf, const char *prefix, ref_t id)
{
    ENSURE(id.value >= 0 && strlen(prefix) == REF_TEXT_BYTES - CODE_DIGITS - 1);
    char text[REF_TEXT_BYTES];
    memcpy(text, prefix, REF_TEXT_BYTES - CODE_DIGITS - 1);
    text[REF_TEXT_BYTES - CODE_DIGITS - 1] = '_';
    uint64_t value = (uint64_t)id.value;
    for (size_t i = REF_TEXT_BYTES; i > REF_TEXT_BYTES - CODE_DIGITS; i--) {
        text[i - 1] = letters[value & 31];
        value >>= 5;
    }
    buf_put(buf, (str_t){text, sizeof text});
}

str_t ref_text(struct arena *arena, const char *prefix, ref_t id)
{
    struct buf buf;
    buf_init(&buf, arena, REF_TEXT_BYTES);
    ref_write(&buf, prefix, id);
    return buf_str(&buf);
}

/* Value of a Crockford digit (no I, L, O, U, no lower case), -1 for anything else. */
static int digit_value(char c)
{
    const char *at = c == '\0' ? NULL : strchr(letters, c);
    return at == NULL ? -1 : (int)(at - letters);
}

bool ref_read(str_t text, const char *prefix, ref_t *out)
{
    if (text.len != REF_TEXT_BYTES || !str_starts(text, str_of(prefix)) ||
        text.data[REF_TEXT_BYTES - CODE_DIGITS - 1] != '_' ||
        strlen(prefix) != REF_TEXT_BYTES - CODE_DIGITS - 1)
        return false;
    uint64_t value = 0;
    for (size_t i = REF_TEXT_BYTES - CODE_DIGITS; i < REF_TEXT_BYTES; i++) {
        int digit = digit_value(text.data[i]);
        if (digit < 0 || value >> 58 != 0)
            return false;
        value = value << 5 | (uint64_t)digit;
    }
    /* All zeros is "none", which nobody may name. */
    if (value == 0)
        return false;
    out->value = (int64_t)value;
    return true;
}
