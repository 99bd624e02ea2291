/* SPDX-License-Identifier: Apache-2.0 */
/* SM4 modes and CMAC. OFB and CFB feed back whole blocks (128 bits). Authenticity is never the
 * cipher's: seal boxes with box_seal where bytes can be changed by others. */
#include "crypto_internal.h"

bool sm4_crypt(const struct sm4_use *use, bool encrypt, str_t in, uint8_t *out, size_t *out_len)
{
    enum sm4_mode mode = use->mode;
    const uint8_t *key = use->key, *iv = use->iv;
    ENSURE(mode <= SM4_CFB && (iv != NULL || mode == SM4_ECB));
    bool pads = mode == SM4_ECB || mode == SM4_CBC;
    if (in.len > INT32_MAX - SM4_BLOCK_BYTES)
        return false;
    if (!encrypt && pads && (in.len == 0 || in.len % SM4_BLOCK_BYTES != 0))
        return false;
    EVP_CIPHER_CTX *cipher = crypto_thread()->cipher;
    const EVP_CIPHER *kind = crypto_algorithms()->sm4[mode];
    ENSURE(EVP_CipherInit_ex2(cipher, kind, key, mode == SM4_ECB ? NULL : iv, encrypt, NULL) == 1);
    ENSURE(EVP_CIPHER_CTX_set_padding(cipher, pads) == 1);
    int written = 0, last = 0;
    if (in.len > 0)
        ENSURE(EVP_CipherUpdate(cipher, out, &written, (const uint8_t *)in.data, (int)in.len) == 1);
    if (EVP_CipherFinal_ex(cipher, out + written, &last) != 1) {
        ERR_clear_error();
        return false;
    }
    *out_len = (size_t)written + (size_t)last;
    return true;
}

void cmac_sm4(const uint8_t key[16], str_t data, uint8_t out[16])
{
    EVP_MAC_CTX *mac = EVP_MAC_CTX_new(crypto_algorithms()->cmac);
    ENSURE(mac != NULL);
    char cipher_name[] = "SM4-CBC";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher_name, 0),
        OSSL_PARAM_construct_end(),
    };
    size_t bytes = 0;
    ENSURE(EVP_MAC_init(mac, key, SM4_KEY_BYTES, params) == 1);
    if (data.len > 0)
        ENSURE(EVP_MAC_update(mac, (const uint8_t *)data.data, data.len) == 1);
    ENSURE(EVP_MAC_final(mac, out, &bytes, 16) == 1 && bytes == 16);
    EVP_MAC_CTX_free(mac);
}
