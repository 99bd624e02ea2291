/* SPDX-License-Identifier: Apache-2.0 */
/* The strict text form: there is exactly one way to write each note and receipt, so every changed
 * byte is seen. */
#include <string.h>

#include "proof_internal.h"

bool text_is_strict(str_t text, const char **out_why)
{
    const char *why = NULL;
    if (text.len == 0 || text.data[text.len - 1] != '\n')
        why = "the last line does not end with a line feed";
    else if (str_starts(text, STR("\xEF\xBB\xBF")))
        why = "there is a byte order mark";
    else if (!str_is_utf8(text))
        why = "it is not UTF-8";
    for (size_t i = 0; why == NULL && i < text.len; i++)
        if ((uint8_t)text.data[i] < 0x20 && text.data[i] != '\n')
            why = "there is a control byte";
    if (why != NULL)
        *out_why = why;
    return why == NULL;
}

bool line_next(str_t *rest, str_t *out_line)
{
    const char *end = rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;
    if (end == NULL)
        return false;
    *out_line = str_from(rest->data, (size_t)(end - rest->data));
    *rest = str_cut(*rest, out_line->len + 1);
    return true;
}

bool line_field(str_t line, const char *word, str_t *out_field)
{
    size_t len = strlen(word);
    if (line.len < len + 1 || memcmp(line.data, word, len) != 0 || line.data[len] != ' ')
        return false;
    *out_field = str_cut(line, len + 1);
    return true;
}

bool number_read(str_t text, uint64_t limit, uint64_t *out)
{
    if (text.len == 0 || text.len > 20 || (text.len > 1 && text.data[0] == '0'))
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.data[i] - '0'), &value))
            return false;
    }
    if (value >= limit)
        return false;
    *out = value;
    return true;
}

bool hash_read(struct arena *arena, str_t text, hash_t *out)
{
    str_t bytes;
    if (text.len != 44 || !base64_decode(arena, text, &bytes) || bytes.len != HASH_BYTES)
        return false;
    memcpy(out->bytes, bytes.data, HASH_BYTES);
    return true;
}

void hash_write(struct buf *buf, const hash_t *hash)
{
    buf_put(buf, base64_encode(buf->arena, str_from(hash->bytes, HASH_BYTES)));
}

bool hash_is(const hash_t *a, const hash_t *b)
{
    return memcmp(a->bytes, b->bytes, HASH_BYTES) == 0;
}

bool hash_is_zero(const hash_t *hash)
{
    static const hash_t zero;
    return hash_is(hash, &zero);
}

static bool all_of(str_t text, const char *set)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] == '\0' || strchr(set, text.data[i]) == NULL)
            return false;
    return text.len > 0;
}

/* A host name, an IPv4 address or an IPv6 address in brackets, then perhaps a port. */
static bool is_authority(str_t text)
{
    static const char host_bytes[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    str_t host = text, port = {0};
    const char *bracket =
        text.len > 0 && text.data[0] == '[' ? memchr(text.data, ']', text.len) : NULL;
    size_t from = bracket != NULL ? (size_t)(bracket - text.data) : 0;
    const char *colon = text.len > 0 ? memchr(text.data + from, ':', text.len - from) : NULL;
    if (colon != NULL) {
        host = str_from(text.data, (size_t)(colon - text.data));
        port = str_cut(text, host.len + 1);
        uint64_t number;
        if (!number_read(port, 65536, &number) || number == 0)
            return false;
    }
    if (bracket == NULL)
        return all_of(host, host_bytes);
    return host.len == from + 1 &&
           all_of(str_from(host.data + 1, from - 1), "0123456789abcdefABCDEF:.");
}

int origin_log(str_t origin)
{
    const char *slash = origin.len > 0 ? memchr(origin.data, '/', origin.len) : NULL;
    if (slash == NULL || !is_authority(str_from(origin.data, (size_t)(slash - origin.data))))
        return 0;
    str_t path = str_cut(origin, (size_t)(slash - origin.data) + 1), epoch = {0};
    if (!str_starts(path, STR("evidence/")))
        return 0;
    str_t word = str_cut(path, strlen("evidence/"));
    slash = word.len > 0 ? memchr(word.data, '/', word.len) : NULL;
    if (slash != NULL) {
        uint64_t number;
        epoch = str_cut(word, (size_t)(slash - word.data) + 1);
        word = str_from(word.data, (size_t)(slash - word.data));
        if (!number_read(epoch, SIZE_LIMIT, &number) || number == 0)
            return 0;
    }
    for (int log = LOG_OPS; log <= LOG_COUNT; log++)
        if (str_is(word, evidence_log_word(log)))
            return log;
    return 0;
}

str_t proof_escape(struct arena *arena, str_t text)
{
    struct buf buf;
    buf_init(&buf, arena, text.len * 4 + 1);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c >= 0x20 && c < 0x7f && c != '\\')
            buf_putc(&buf, c);
        else
            buf_printf(&buf, "\\x%02x", (unsigned)(uint8_t)c);
    }
    return buf_str(&buf);
}
