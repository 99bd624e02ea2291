/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed boxes at rest: encrypt, then authenticate all bytes. Both keys are derived from the data
 * key; each thread remembers the last few derivations. */
#include <string.h>

#include "crypto_internal.h"

enum {
    BOX_VERSION = 1,
    BOX_HEAD = 1 + 4 + SM4_BLOCK_BYTES,
    BOX_MIN = BOX_HEAD + SM3_BYTES,
    BOX_CHUNK = 1024
};

static const struct box_keys *keys_of(const uint8_t data_key[32])
{
    struct crypto_thread *thread = crypto_thread();
    struct box_keys *oldest = &thread->box[0];
    uint64_t now = ++thread->box_counter;
    for (int i = 0; i < BOX_CACHE; i++) {
        struct box_keys *slot = &thread->box[i];
        if (slot->used != 0 && memcmp(slot->data_key, data_key, 32) == 0) {
            slot->used = now;
            return slot;
        }
        if (slot->used < oldest->used)
            oldest = slot;
    }
    uint8_t both[SM4_KEY_BYTES + SM3_BYTES];
    hkdf_sm3(str_from(data_key, 32), (str_t){0}, STR("suanhe box v1"), both, sizeof both);
    memcpy(oldest->data_key, data_key, 32);
    memcpy(oldest->enc, both, SM4_KEY_BYTES);
    memcpy(oldest->mac, both + SM4_KEY_BYTES, SM3_BYTES);
    oldest->used = now;
    crypto_wipe(both, sizeof both);
    return oldest;
}

/* CTR in pieces, so that no copy of the whole text is needed. */
static void ctr_into(const struct box_keys *keys, const uint8_t iv[SM4_BLOCK_BYTES], str_t in,
                     struct buf *out)
{
    EVP_CIPHER_CTX *cipher = crypto_thread()->cipher;
    const EVP_CIPHER *ctr = crypto_algorithms()->sm4[SM4_CTR];
    ENSURE(EVP_CipherInit_ex2(cipher, ctr, keys->enc, iv, 1, NULL) == 1);
    uint8_t piece[BOX_CHUNK];
    while (in.len > 0) {
        int take = in.len < BOX_CHUNK ? (int)in.len : BOX_CHUNK, written = 0;
        ENSURE(EVP_CipherUpdate(cipher, piece, &written, (const uint8_t *)in.data, take) == 1);
        ENSURE(written == take);
        buf_put(out, str_from(piece, (size_t)take));
        in = str_cut(in, (size_t)take);
    }
    crypto_wipe(piece, sizeof piece);
}

void box_seal(const uint8_t data_key[32], uint32_t key_id, str_t plain, struct buf *out)
{
    const struct box_keys *keys = keys_of(data_key);
    uint8_t iv[SM4_BLOCK_BYTES], mac[SM3_BYTES];
    crypto_random(iv, sizeof iv);
    size_t start = out->len;
    buf_putc(out, BOX_VERSION);
    buf_put_u32(out, key_id);
    buf_put(out, str_from(iv, sizeof iv));
    ctr_into(keys, iv, plain, out);
    if (out->overflow)
        return;
    hmac_sm3(str_from(keys->mac, SM3_BYTES), str_cut(buf_str(out), start), mac);
    buf_put(out, str_from(mac, sizeof mac));
}

bool box_open(const uint8_t data_key[32], str_t box, struct buf *out)
{
    if (box.len < BOX_MIN || box.data[0] != BOX_VERSION)
        return false;
    const struct box_keys *keys = keys_of(data_key);
    str_t body = str_from(box.data, box.len - SM3_BYTES);
    uint8_t mac[SM3_BYTES];
    hmac_sm3(str_from(keys->mac, SM3_BYTES), body, mac);
    if (!str_eq_secret(str_from(mac, sizeof mac), str_cut(box, body.len)))
        return false;
    uint8_t iv[SM4_BLOCK_BYTES];
    memcpy(iv, box.data + 5, sizeof iv);
    ctr_into(keys, iv, str_cut(body, BOX_HEAD), out);
    return !out->overflow;
}

uint32_t box_key_id(str_t box)
{
    if (box.len < 5)
        return 0;
    const uint8_t *bytes = (const uint8_t *)box.data;
    return (uint32_t)bytes[1] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 8 | bytes[4];
}
