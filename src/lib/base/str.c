/* SPDX-License-Identifier: Apache-2.0 */
/* Borrowed text: comparing, cutting, numbers and UTF-8. An empty text may have a NULL pointer,
 * which never reaches a mem function. */
#include "str.h"

#include <stdio.h>
#include <string.h>

str_t str_of(const char *text)
{
    return text == NULL ? (str_t){"", 0} : (str_t){text, strlen(text)};
}

str_t str_from(const void *data, size_t len)
{
    return (str_t){data, len};
}

bool str_eq(str_t a, str_t b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool str_is(str_t a, const char *text)
{
    return str_eq(a, str_of(text));
}

int str_cmp(str_t a, str_t b)
{
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);
    if (order != 0)
        return order < 0 ? -1 : 1;
    return (a.len > b.len) - (a.len < b.len);
}

bool str_starts(str_t text, str_t prefix)
{
    return text.len >= prefix.len && str_eq((str_t){text.data, prefix.len}, prefix);
}

bool str_ends(str_t text, str_t suffix)
{
    return text.len >= suffix.len && str_eq(str_cut(text, text.len - suffix.len), suffix);
}

str_t str_cut(str_t text, size_t from)
{
    return from >= text.len ? (str_t){"", 0} : (str_t){text.data + from, text.len - from};
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

str_t str_trim(str_t text)
{
    while (text.len > 0 && is_space(text.data[0]))
        text = str_cut(text, 1);
    while (text.len > 0 && is_space(text.data[text.len - 1]))
        text.len--;
    return text;
}

bool str_next(str_t *rest, char separator, str_t *out_part)
{
    if (rest->len == 0)
        return false;
    const char *at = memchr(rest->data, separator, rest->len);
    size_t len = at == NULL ? rest->len : (size_t)(at - rest->data);
    *out_part = (str_t){rest->data, len};
    *rest = str_cut(*rest, len + 1);
    return true;
}

str_t str_dup(struct arena *arena, str_t text)
{
    return (str_t){arena_copy(arena, text.data, text.len), text.len};
}

const char *str_z(struct arena *arena, str_t text)
{
    return arena_copy(arena, text.data, text.len);
}

str_t str_printf(struct arena *arena, const char *format, ...)
{
    char small[256];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (len < 0)
        return (str_t){"", 0};
    if ((size_t)len < sizeof small)
        return str_dup(arena, (str_t){small, (size_t)len});
    char *large = arena_alloc(arena, (size_t)len + 1);
    va_start(args, format);
    vsnprintf(large, (size_t)len + 1, format, args);
    va_end(args);
    return (str_t){large, (size_t)len};
}

bool str_to_int(str_t text, int64_t min, int64_t max, int64_t *out)
{
    bool negative = text.len > 0 && text.data[0] == '-';
    str_t digits = negative ? str_cut(text, 1) : text;
    if (digits.len == 0 || digits.len > 19)
        return false;
    if (digits.data[0] == '0' && (digits.len > 1 || negative))
        return false;
    uint64_t magnitude = 0; /* 19 digits stay below 2^64 */
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return false;
        magnitude = magnitude * 10 + (uint64_t)(digits.data[i] - '0');
    }
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    int64_t value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    if (value < min || value > max)
        return false;
    *out = value;
    return true;
}

/* Length of the sequence at p, 0 when it is malformed (Unicode table 3-7). */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xC2 || p[0] > 0xF4)
        return 0;
    size_t len = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (left < len)
        return 0;
    unsigned char low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    }
    return len;
}

static size_t ascii_run(const unsigned char *p, size_t left)
{
    size_t i = 0;
    for (uint64_t word; i + sizeof word <= left; i += sizeof word) {
        memcpy(&word, p + i, sizeof word);
        if ((word & UINT64_C(0x8080808080808080)) != 0)
            break;
    }
    while (i < left && p[i] < 0x80)
        i++;
    return i;
}

bool str_is_utf8(str_t text)
{
    const unsigned char *p = (const unsigned char *)text.data;
    for (size_t i = 0; i < text.len;) {
        i += ascii_run(p + i, text.len - i);
        if (i == text.len)
            break;
        size_t len = utf8_sequence(p + i, text.len - i);
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

size_t str_utf8_count(str_t text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    return count;
}

bool str_eq_secret(str_t a, str_t b)
{
    if (a.len != b.len)
        return false;
    volatile unsigned char difference = 0;
    for (size_t i = 0; i < a.len; i++)
        difference =
            (unsigned char)(difference | ((unsigned char)a.data[i] ^ (unsigned char)b.data[i]));
    return difference == 0;
}

uint64_t str_hash(str_t text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.data[i]) * UINT64_C(0x100000001b3);
    return hash;
}
