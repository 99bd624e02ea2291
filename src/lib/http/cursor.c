/* SPDX-License-Identifier: Apache-2.0 */
/* Cursors of lists: position and tie of the last row and the hash of the filter, under a MAC, so
 * that a cursor can neither be made up nor moved to another filter. The key is set once, before the
 * server starts. */
#include "http_internal.h"

#include <string.h>

#include "crypto/crypto.h"

enum { MAC_BYTES = 12, PLAIN_BYTES = 24 };

static uint8_t cursor_key[32];

void cursor_set_key(const uint8_t key[32])
{
    memcpy(cursor_key, key, sizeof cursor_key);
}

static void cursor_mac(const void *plain, uint8_t out[SM3_BYTES])
{
    hmac_sm3(str_from(cursor_key, sizeof cursor_key), str_from(plain, PLAIN_BYTES), out);
}

str_t cursor_make(struct ctx *ctx, int64_t position, int64_t tie, uint64_t filter_hash)
{
    struct buf buf;
    buf_init(&buf, ctx->arena, PLAIN_BYTES + MAC_BYTES + 1);
    buf_put_u64(&buf, (uint64_t)position);
    buf_put_u64(&buf, (uint64_t)tie);
    buf_put_u64(&buf, filter_hash);
    uint8_t mac[SM3_BYTES];
    cursor_mac(buf.data, mac);
    buf_put(&buf, str_from(mac, MAC_BYTES));
    return base64url_encode(ctx->arena, buf_str(&buf));
}

static uint64_t read_u64(const char *from)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | (unsigned char)from[i];
    return value;
}

err_t cursor_read(struct ctx *ctx, str_t cursor, uint64_t filter_hash, int64_t *out_position,
                  int64_t *out_tie)
{
    str_t bytes = {0};
    uint8_t mac[SM3_BYTES];
    bool good =
        base64url_decode(ctx->arena, cursor, &bytes) && bytes.len == PLAIN_BYTES + MAC_BYTES;
    if (good) {
        cursor_mac(bytes.data, mac);
        good = str_eq_secret(str_cut(bytes, PLAIN_BYTES), str_from(mac, MAC_BYTES)) &&
               read_u64(bytes.data + 16) == filter_hash;
    }
    if (!good)
        return refuse_field(ctx, STR("/query/cursor"), "bad_format",
                            "not a cursor of this list and filter");
    *out_position = (int64_t)read_u64(bytes.data);
    *out_tie = (int64_t)read_u64(bytes.data + 8);
    return OK;
}
