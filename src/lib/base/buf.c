/* SPDX-License-Identifier: Apache-2.0 */
/* A growing text in an arena. data[len] is a NUL whenever there is data; nothing is appended in
 * part. */
#include "arena_internal.h"
#include "str.h"

#include <stdio.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

void buf_init(struct buf *buf, struct arena *arena, size_t limit_bytes)
{
    *buf = (struct buf){.arena = arena, .limit = limit_bytes};
}

/* Room for `more` bytes and the NUL. */
static bool buf_reserve(struct buf *buf, size_t more)
{
    if (buf->overflow || more > buf->limit - buf->len) {
        buf->overflow = true;
        return false;
    }
    size_t need = buf->len + more + 1;
    if (need <= buf->capacity)
        return true;
    size_t capacity = buf->capacity == 0 ? FIRST_CAPACITY : buf->capacity;
    while (capacity < need)
        capacity *= 2;
    buf->data = arena_grow(buf->arena, buf->data, buf->capacity, capacity);
    buf->capacity = capacity;
    return true;
}

void buf_put(struct buf *buf, str_t text)
{
    if (text.len == 0 || !buf_reserve(buf, text.len))
        return;
    memcpy(buf->data + buf->len, text.data, text.len);
    buf->len += text.len;
    buf->data[buf->len] = '\0';
}

void buf_puts(struct buf *buf, const char *text)
{
    buf_put(buf, str_of(text));
}

void buf_putc(struct buf *buf, char c)
{
    if (!buf_reserve(buf, 1))
        return;
    buf->data[buf->len++] = c;
    buf->data[buf->len] = '\0';
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    if (buf->overflow)
        return;
    size_t room = buf->capacity - buf->len;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(room == 0 ? NULL : buf->data + buf->len, room, format, args);
    va_end(args);
    if (len < 0 || !buf_reserve(buf, (size_t)len)) {
        buf->overflow = true;
        if (buf->data != NULL)
            buf->data[buf->len] = '\0';
        return;
    }
    if ((size_t)len >= room) {
        va_start(args, format);
        vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
        va_end(args);
    }
    buf->len += (size_t)len;
}

void buf_put_int(struct buf *buf, int64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude > 0);
    if (value < 0)
        digits[--at] = '-';
    buf_put(buf, (str_t){digits + at, sizeof digits - at});
}

str_t buf_str(const struct buf *buf)
{
    return buf->data == NULL ? (str_t){"", 0} : (str_t){buf->data, buf->len};
}

static void put_big_endian(struct buf *buf, uint64_t value, size_t bytes)
{
    char out[8];
    for (size_t i = 0; i < bytes; i++)
        out[i] = (char)(value >> (8 * (bytes - 1 - i)) & 255);
    buf_put(buf, (str_t){out, bytes});
}

void buf_put_u16(struct buf *buf, uint16_t value)
{
    put_big_endian(buf, value, 2);
}

void buf_put_u32(struct buf *buf, uint32_t value)
{
    put_big_endian(buf, value, 4);
}

void buf_put_u64(struct buf *buf, uint64_t value)
{
    put_big_endian(buf, value, 8);
}
