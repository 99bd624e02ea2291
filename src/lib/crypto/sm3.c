/* SPDX-License-Identifier: Apache-2.0 */
/* SM3 and what is built on it: HMAC (two passes over the reused context, cheap enough for every
 * entry), HKDF, PBKDF2. */
#include <string.h>

#include "crypto_internal.h"

enum { SM3_BLOCK_BYTES = 64 };

static void digest_start(EVP_MD_CTX *digest)
{
    ENSURE(EVP_DigestInit_ex2(digest, crypto_algorithms()->sm3, NULL) == 1);
}

static void digest_add(EVP_MD_CTX *digest, const void *data, size_t bytes)
{
    if (bytes > 0)
        ENSURE(EVP_DigestUpdate(digest, data, bytes) == 1);
}

static void digest_end(EVP_MD_CTX *digest, uint8_t out[SM3_BYTES])
{
    unsigned int bytes = 0;
    ENSURE(EVP_DigestFinal_ex(digest, out, &bytes) == 1 && bytes == SM3_BYTES);
}

void sm3_parts(const str_t *parts, int count, uint8_t out[SM3_BYTES])
{
    EVP_MD_CTX *digest = crypto_thread()->digest;
    digest_start(digest);
    for (int i = 0; i < count; i++)
        digest_add(digest, parts[i].data, parts[i].len);
    digest_end(digest, out);
}

void sm3(str_t data, uint8_t out[SM3_BYTES])
{
    sm3_parts(&data, 1, out);
}

void hmac_sm3_parts(str_t key, const str_t *parts, int count, uint8_t out[SM3_BYTES])
{
    uint8_t short_key[SM3_BYTES];
    if (key.len > SM3_BLOCK_BYTES) {
        sm3(key, short_key);
        key = str_from(short_key, sizeof short_key);
    }
    uint8_t inner_pad[SM3_BLOCK_BYTES], outer_pad[SM3_BLOCK_BYTES];
    for (size_t i = 0; i < SM3_BLOCK_BYTES; i++) {
        uint8_t byte = i < key.len ? (uint8_t)key.data[i] : 0;
        inner_pad[i] = byte ^ 0x36;
        outer_pad[i] = byte ^ 0x5c;
    }
    EVP_MD_CTX *digest = crypto_thread()->digest;
    digest_start(digest);
    digest_add(digest, inner_pad, sizeof inner_pad);
    for (int i = 0; i < count; i++)
        digest_add(digest, parts[i].data, parts[i].len);
    uint8_t inner[SM3_BYTES];
    digest_end(digest, inner);
    digest_start(digest);
    digest_add(digest, outer_pad, sizeof outer_pad);
    digest_add(digest, inner, sizeof inner);
    digest_end(digest, out);
    crypto_wipe(inner_pad, sizeof inner_pad);
    crypto_wipe(outer_pad, sizeof outer_pad);
    crypto_wipe(short_key, sizeof short_key);
}

void hmac_sm3(str_t key, str_t data, uint8_t out[SM3_BYTES])
{
    hmac_sm3_parts(key, &data, 1, out);
}

/* The library takes parameters as mutable pointers but only reads them; an absent text is handed
 * over as "". */
static OSSL_PARAM octets(const char *name, str_t text)
{
    union {
        const char *in;
        void *out;
    } borrowed = {.in = text.data != NULL ? text.data : ""};
    return OSSL_PARAM_construct_octet_string(name, borrowed.out, text.len);
}

void hkdf_sm3(str_t secret, str_t salt, str_t info, uint8_t *out, size_t bytes)
{
    EVP_KDF_CTX *kdf = EVP_KDF_CTX_new(crypto_algorithms()->hkdf);
    ENSURE(kdf != NULL);
    char digest_name[] = "SM3";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest_name, 0),
        octets(OSSL_KDF_PARAM_KEY, secret),
        octets(OSSL_KDF_PARAM_INFO, info),
        OSSL_PARAM_construct_end(),
        OSSL_PARAM_construct_end(),
    };
    if (salt.len > 0)
        params[3] = octets(OSSL_KDF_PARAM_SALT, salt);
    ENSURE(EVP_KDF_derive(kdf, out, bytes, params) == 1);
    EVP_KDF_CTX_free(kdf);
}

void pbkdf2_sm3(str_t password, str_t salt, int iterations, uint8_t *out, size_t bytes)
{
    ENSURE(password.len <= INT32_MAX && salt.len <= INT32_MAX && bytes <= INT32_MAX);
    const char *text = password.data != NULL ? password.data : "";
    const unsigned char *salt_bytes = (const unsigned char *)(salt.data != NULL ? salt.data : "");
    ENSURE(PKCS5_PBKDF2_HMAC(text, (int)password.len, salt_bytes, (int)salt.len, iterations,
                             crypto_algorithms()->sm3, (int)bytes, out) == 1);
}
