/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal and base64. Decoding base64 takes the one canonical form only, so that bytes have
 * exactly one text: right padding, no blanks, spare bits zero. */
#include "str.h"

#include <string.h>

static const char base64_letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

str_t hex_encode(struct arena *arena, str_t bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *text = arena_alloc(arena, bytes.len * 2 + 1);
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char byte = (unsigned char)bytes.data[i];
        text[2 * i] = digits[byte >> 4];
        text[2 * i + 1] = digits[byte & 15];
    }
    return (str_t){text, bytes.len * 2};
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool hex_decode(struct arena *arena, str_t text, str_t *out_bytes)
{
    if (text.len % 2 != 0)
        return false;
    char *bytes = arena_alloc(arena, text.len / 2 + 1);
    for (size_t i = 0; i < text.len / 2; i++) {
        int high = hex_value(text.data[2 * i]), low = hex_value(text.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (char)(high << 4 | low);
    }
    *out_bytes = (str_t){bytes, text.len / 2};
    return true;
}

static str_t encode(struct arena *arena, str_t bytes, const char *letters, bool padded)
{
    char *text = arena_alloc(arena, bytes.len / 3 * 4 + 5);
    const unsigned char *p = (const unsigned char *)bytes.data;
    size_t len = 0;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t group = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t bits = (uint32_t)p[i] << 16;
        bits |= group > 1 ? (uint32_t)p[i + 1] << 8 : 0;
        bits |= group > 2 ? p[i + 2] : 0;
        for (size_t k = 0; k <= group; k++)
            text[len++] = letters[bits >> (18 - 6 * k) & 63];
        for (size_t k = group; padded && k < 3; k++)
            text[len++] = '=';
    }
    return (str_t){text, len};
}

static int base64_value(char c, const char *letters)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == letters[62])
        return 62;
    return c == letters[63] ? 63 : -1;
}

/* text: letters only, the padding already taken off. */
static bool decode(struct arena *arena, str_t text, const char *letters, str_t *out_bytes)
{
    if (text.len % 4 == 1)
        return false;
    char *bytes = arena_alloc(arena, text.len / 4 * 3 + 4);
    uint32_t bits = 0;
    int held = 0;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = base64_value(text.data[i], letters);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            bytes[len++] = (char)(bits >> held & 255);
            bits &= (UINT32_C(1) << held) - 1;
        }
    }
    if (bits != 0)
        return false;
    *out_bytes = (str_t){bytes, len};
    return true;
}

str_t base64_encode(struct arena *arena, str_t bytes)
{
    return encode(arena, bytes, base64_letters, true);
}

bool base64_decode(struct arena *arena, str_t text, str_t *out_bytes)
{
    if (text.len % 4 != 0)
        return false;
    for (int i = 0; i < 2 && text.len > 0 && text.data[text.len - 1] == '='; i++)
        text.len--;
    return decode(arena, text, base64_letters, out_bytes);
}

str_t base64url_encode(struct arena *arena, str_t bytes)
{
    return encode(arena, bytes, base64url_letters, false);
}

bool base64url_decode(struct arena *arena, str_t text, str_t *out_bytes)
{
    return decode(arena, text, base64url_letters, out_bytes);
}
