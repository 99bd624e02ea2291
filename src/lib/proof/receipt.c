/* SPDX-License-Identifier: Apache-2.0 */
/* The text form of receipts, bundles and consistency proofs. */
#include <inttypes.h>
#include <string.h>

#include "proof_internal.h"

static const char receipt_line[] = "evd-proof/v1 sm3";

enum {
    PAYLOAD_MAX = 1 << 20,
    TOKEN_MAX = 64 << 10,
    SALT_BYTES = 32,
    RECEIPT_MAX = 4 << 20, /* more than all limits together come to */
    CONSISTENCY_TEXT_MAX = CONSISTENCY_MAX * 45
};

static void put_field(struct buf *buf, const char *word, str_t bytes)
{
    if (bytes.data == NULL)
        return;
    buf_puts(buf, word);
    buf_putc(buf, ' ');
    buf_put(buf, base64_encode(buf->arena, bytes));
    buf_putc(buf, '\n');
}

void receipt_write(struct buf *buf, const struct receipt *receipt)
{
    buf_puts(buf, receipt_line);
    buf_putc(buf, '\n');
    put_field(buf, "extra", receipt->extra);
    put_field(buf, "payload", receipt->payload);
    put_field(buf, "salt", receipt->salt);
    put_field(buf, "ts", receipt->ts);
    buf_printf(buf, "index %" PRIu64 "\n", receipt->index);
    consistency_write(buf, receipt->path, receipt->path_count);
    buf_putc(buf, '\n');
    buf_put(buf, receipt->note_text);
}

/* Reads `word <base64>` from the front when the next line is that; a wrong form leaves out->data
 * NULL and the line where it is, so that the reader of the following line refuses it. */
static void take_field(struct arena *arena, str_t *rest, const char *word, str_t *out)
{
    str_t after = *rest, line, field;
    *out = (str_t){0};
    if (line_next(&after, &line) && line_field(line, word, &field) && field.len > 0 &&
        base64_decode(arena, field, out))
        *rest = after;
    else
        *out = (str_t){0};
}

static bool read_fields(struct arena *arena, str_t *rest, struct receipt *out, const char **out_why)
{
    str_t line;
    *out_why = "it does not begin with `evd-proof/v1 sm3`";
    if (!line_next(rest, &line) || !str_is(line, receipt_line))
        return false;
    take_field(arena, rest, "extra", &out->extra);
    *out_why = "the line `extra` with the entry is missing or malformed";
    if (out->extra.data == NULL)
        return false;
    take_field(arena, rest, "payload", &out->payload);
    take_field(arena, rest, "salt", &out->salt);
    take_field(arena, rest, "ts", &out->ts);
    *out_why = "payload and salt come together or not at all";
    if ((out->payload.data == NULL) != (out->salt.data == NULL))
        return false;
    *out_why = "the salt is not 32 bytes";
    if (out->salt.data != NULL && out->salt.len != SALT_BYTES)
        return false;
    *out_why = "the payload is longer than 1 MiB or the token than 64 KiB";
    return out->payload.len <= PAYLOAD_MAX && out->ts.len <= TOKEN_MAX;
}

/* Hash lines up to the empty line. */
static bool read_path(struct arena *arena, str_t *rest, struct receipt *out, const char **out_why)
{
    str_t line, field;
    *out_why = "a line is unknown, malformed or out of order where `index` belongs";
    if (!line_next(rest, &line) || !line_field(line, "index", &field) ||
        !number_read(field, SIZE_LIMIT, &out->index))
        return false;
    while (line_next(rest, &line)) {
        if (line.len == 0)
            return true;
        *out_why = "the path has more than 56 hashes";
        if (out->path_count == INCLUSION_MAX)
            return false;
        *out_why = "a hash of the path is malformed";
        if (!hash_read(arena, line, &out->path[out->path_count++]))
            return false;
    }
    *out_why = "no empty line ends the path";
    return false;
}

bool receipt_read(struct arena *arena, str_t text, struct receipt *out, const char **out_why)
{
    *out = (struct receipt){0};
    *out_why = "it is longer than a receipt can be";
    if (text.len > RECEIPT_MAX)
        return false;
    if (!text_is_strict(text, out_why) || !read_fields(arena, &text, out, out_why) ||
        !read_path(arena, &text, out, out_why))
        return false;
    out->note_text = text;
    return note_read(arena, text, &out->note, out_why) &&
           entry_read(out->extra, &out->entry, out_why);
}

bool receipt_next(struct receipt_cursor *cursor, str_t file, str_t *out_receipt,
                  const char **out_why)
{
    str_t line, count;
    if (!cursor->started) {
        *cursor = (struct receipt_cursor){.rest = file, .left = 1, .started = true};
        str_t after = file;
        if (line_next(&after, &line) && line_field(line, "evd-bundle/v1", &count)) {
            *out_why = "the bundle's count is malformed";
            if (!number_read(count, SIZE_LIMIT, &cursor->left))
                return false;
            *out_why = "a bundle holds at least one receipt";
            if (cursor->left == 0)
                return false;
            cursor->bundle = true;
            cursor->rest = after;
        }
    }
    *out_why = cursor->rest.len > 0 ? "more follows than the bundle counts" : NULL;
    if (cursor->left == 0)
        return false;
    cursor->left--;
    str_t rest = cursor->rest;
    if (!cursor->bundle || !line_next(&rest, &line)) {
        *out_why = cursor->bundle ? "the bundle holds fewer receipts than it counts" : NULL;
        *out_receipt = cursor->rest;
        cursor->rest = (str_t){0};
        return !cursor->bundle;
    }
    size_t end =
        cursor->rest.len - rest.len; /* the first line belongs to this receipt in any case */
    while (line_next(&rest, &line) && !str_is(line, receipt_line))
        end += line.len + 1;
    bool another = str_is(line, receipt_line) && end < cursor->rest.len;
    if (!another)
        end = cursor->rest.len;
    *out_why = NULL;
    *out_receipt = str_from(cursor->rest.data, end);
    cursor->rest = str_cut(cursor->rest, end);
    return true;
}

void consistency_write(struct buf *buf, const hash_t *path, int count)
{
    for (int i = 0; i < count; i++) {
        hash_write(buf, &path[i]);
        buf_putc(buf, '\n');
    }
}

bool consistency_read(struct arena *arena, str_t text, hash_t *out_path, int *out_count,
                      const char **out_why)
{
    *out_count = 0;
    if (text.len == 0)
        return true;
    *out_why = "there are more than 63 hashes";
    if (text.len > CONSISTENCY_TEXT_MAX)
        return false;
    str_t line;
    while (line_next(&text, &line)) {
        *out_why = "a line is not one hash";
        if (!hash_read(arena, line, &out_path[(*out_count)++]))
            return false;
    }
    *out_why = "the last line does not end with a line feed";
    return text.len == 0;
}
