/* SPDX-License-Identifier: Apache-2.0 */
/* SM2 by the library's SM2 key type. A key made as a generic EC key would sign as ECDSA without a
 * word, and the library's own default user id is empty: so every key is checked to be SM2, every
 * signature sets the id, and every return value counts. */
#include <string.h>

#include "crypto_internal.h"

struct sm2_key {
    EVP_PKEY *pkey;
    uint8_t point[SM2_POINT_BYTES];
    uint8_t d[32];
    bool has_private;
};

/* The order n of the curve. */
static const uint8_t sm2_order[32] = {
    0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
    0x72, 0x03, 0xDF, 0x6B, 0x21, 0xC6, 0x05, 0x2B, 0x53, 0xBB, 0xF4, 0x09, 0x39, 0xD5, 0x41, 0x23};

static EVP_PKEY *pkey_of(const uint8_t point[SM2_POINT_BYTES], const uint8_t *d)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *secret = d != NULL ? BN_bin2bn(d, 32, BN_secure_new()) : NULL;
    ENSURE(build != NULL && (d == NULL || secret != NULL));
    ENSURE(OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "SM2", 0) == 1);
    ENSURE(OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point,
                                            SM2_POINT_BYTES) == 1);
    if (secret != NULL)
        ENSURE(OSSL_PARAM_BLD_push_BN_pad(build, OSSL_PKEY_PARAM_PRIV_KEY, secret, 32) == 1);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "SM2", NULL);
    ENSURE(params != NULL && maker != NULL && EVP_PKEY_fromdata_init(maker) == 1);
    EVP_PKEY *pkey = NULL;
    int selection = d != NULL ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
    if (EVP_PKEY_fromdata(maker, &pkey, selection, params) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(maker);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_clear_free(secret);
    ERR_clear_error();
    ENSURE(pkey == NULL || EVP_PKEY_is_a(pkey, "SM2"));
    return pkey;
}

static struct sm2_key *key_of(const uint8_t point[SM2_POINT_BYTES], const uint8_t *d)
{
    EVP_PKEY *pkey = point[0] == 0x04 ? pkey_of(point, d) : NULL;
    if (pkey == NULL)
        return NULL;
    struct sm2_key *key = OPENSSL_zalloc(sizeof *key);
    ENSURE(key != NULL);
    key->pkey = pkey;
    memcpy(key->point, point, SM2_POINT_BYTES);
    if (d != NULL)
        memcpy(key->d, d, 32);
    key->has_private = d != NULL;
    return key;
}

/* 1 <= d <= n - 2: n - 1 has no (1 + d)^-1 and cannot sign. */
static bool is_private(const uint8_t d[32])
{
    static const uint8_t zero[32];
    uint8_t top[32];
    memcpy(top, sm2_order, sizeof top);
    top[31] -= 1;
    return memcmp(d, zero, 32) != 0 && memcmp(d, top, 32) < 0;
}

struct sm2_key *sm2_from_private(const uint8_t d[32])
{
    if (!is_private(d))
        return NULL;
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_sm2);
    EC_POINT *public_point = group != NULL ? EC_POINT_new(group) : NULL;
    BIGNUM *secret = BN_bin2bn(d, 32, BN_secure_new());
    ENSURE(public_point != NULL && secret != NULL);
    BN_set_flags(secret, BN_FLG_CONSTTIME);
    ENSURE(EC_POINT_mul(group, public_point, secret, NULL, NULL, NULL) == 1);
    uint8_t point[SM2_POINT_BYTES];
    ENSURE(EC_POINT_point2oct(group, public_point, POINT_CONVERSION_UNCOMPRESSED, point,
                              sizeof point, NULL) == sizeof point);
    BN_clear_free(secret);
    EC_POINT_free(public_point);
    EC_GROUP_free(group);
    return key_of(point, d);
}

struct sm2_key *sm2_from_point(const uint8_t point[SM2_POINT_BYTES])
{
    return key_of(point, NULL);
}

struct sm2_key *sm2_generate(void)
{
    uint8_t d[32];
    do
        crypto_random(d, sizeof d);
    while (!is_private(d));
    struct sm2_key *key = sm2_from_private(d);
    crypto_wipe(d, sizeof d);
    ENSURE(key != NULL);
    return key;
}

void sm2_free(struct sm2_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->pkey);
    OPENSSL_clear_free(key, sizeof *key);
}

void sm2_point(const struct sm2_key *key, uint8_t out[SM2_POINT_BYTES])
{
    memcpy(out, key->point, SM2_POINT_BYTES);
}

void sm2_private(const struct sm2_key *key, uint8_t out[32])
{
    ENSURE(key->has_private);
    memcpy(out, key->d, 32);
}

/* A digest context bound to the key and to the user id, which the library hashes in front of the
 * message. */
static EVP_MD_CTX *signer_new(const struct sm2_key *key)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    ENSURE(digest != NULL && context != NULL);
    ENSURE(EVP_PKEY_CTX_set1_id(context, SM2_USER_ID, sizeof SM2_USER_ID - 1) == 1);
    EVP_MD_CTX_set_pkey_ctx(digest, context);
    return digest;
}

static void signer_free(EVP_MD_CTX *digest)
{
    EVP_PKEY_CTX *context = EVP_MD_CTX_get_pkey_ctx(digest);
    EVP_MD_CTX_free(digest);
    EVP_PKEY_CTX_free(context); /* set_pkey_ctx leaves it with the caller */
}

static const uint8_t *bytes_of(str_t text)
{
    return (const uint8_t *)(text.data != NULL ? text.data : "");
}

void sm2_sign(const struct sm2_key *key, str_t message, uint8_t out[SM2_SIG_MAX], size_t *out_len)
{
    ENSURE(key->has_private);
    EVP_MD_CTX *signer = signer_new(key);
    const EVP_MD *sm3_kind = crypto_algorithms()->sm3;
    ENSURE(EVP_DigestSignInit(signer, NULL, sm3_kind, NULL, key->pkey) == 1);
    size_t bytes = SM2_SIG_MAX;
    ENSURE(EVP_DigestSign(signer, out, &bytes, bytes_of(message), message.len) == 1);
    signer_free(signer);
    ENSURE(sm2_signature_is_strict(str_from(out, bytes)));
    *out_len = bytes;
}

/* A positive INTEGER in its shortest form, 1 <= value <= n - 1. */
static bool is_strict_scalar(str_t integer)
{
    const uint8_t *bytes = (const uint8_t *)integer.data;
    size_t len = integer.len;
    if (len == 0 || bytes[0] >= 0x80)
        return false;
    if (bytes[0] == 0) {
        if (len == 1 || bytes[1] < 0x80)
            return false;
        bytes++, len--;
    }
    return len < sizeof sm2_order || (len == sizeof sm2_order && memcmp(bytes, sm2_order, len) < 0);
}

bool sm2_signature_is_strict(str_t signature)
{
    struct der outer = {signature};
    str_t sequence, r, s;
    if (!der_next(&outer, 0x30, &sequence) || !der_done(&outer))
        return false;
    struct der inner = {sequence};
    return der_next(&inner, 0x02, &r) && der_next(&inner, 0x02, &s) && der_done(&inner) &&
           is_strict_scalar(r) && is_strict_scalar(s);
}

bool sm2_verify(const struct sm2_key *key, str_t message, str_t signature)
{
    if (!sm2_signature_is_strict(signature))
        return false;
    EVP_MD_CTX *verifier = signer_new(key);
    const EVP_MD *sm3_kind = crypto_algorithms()->sm3;
    ENSURE(EVP_DigestVerifyInit(verifier, NULL, sm3_kind, NULL, key->pkey) == 1);
    bool valid = EVP_DigestVerify(verifier, bytes_of(signature), signature.len, bytes_of(message),
                                  message.len) == 1;
    signer_free(verifier);
    ERR_clear_error();
    return valid;
}

/* Reads SM2Cipher strictly: two coordinates, the 32-byte hash, the hidden text, nothing behind. */
static bool cipher_text(str_t cipher, str_t *out_hidden)
{
    struct der outer = {cipher};
    str_t sequence, x, y, hash;
    if (!der_next(&outer, 0x30, &sequence) || !der_done(&outer))
        return false;
    struct der inner = {sequence};
    return der_next(&inner, 0x02, &x) && der_next(&inner, 0x02, &y) &&
           der_next(&inner, 0x04, &hash) && der_next(&inner, 0x04, out_hidden) &&
           der_done(&inner) && hash.len == SM3_BYTES && x.len <= 33 && y.len <= 33 &&
           out_hidden->len > 0;
}

enum { SM2_PLAIN_MAX = 64 * 1024, SM2_CIPHER_OVERHEAD = 160 };

bool sm2_encrypt(const struct sm2_key *key, str_t plain, struct buf *out)
{
    if (plain.len == 0 || plain.len > SM2_PLAIN_MAX)
        return false;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    ENSURE(context != NULL && EVP_PKEY_encrypt_init(context) == 1);
    size_t room = plain.len + SM2_CIPHER_OVERHEAD, bytes = room;
    uint8_t *cipher = OPENSSL_zalloc(room);
    str_t hidden;
    ENSURE(cipher != NULL);
    ENSURE(EVP_PKEY_encrypt(context, cipher, &bytes, bytes_of(plain), plain.len) == 1);
    ENSURE(cipher_text(str_from(cipher, bytes), &hidden) && hidden.len == plain.len);
    EVP_PKEY_CTX_free(context);
    buf_put(out, str_from(cipher, bytes));
    OPENSSL_free(cipher);
    return !out->overflow;
}

bool sm2_decrypt(const struct sm2_key *key, str_t cipher, struct buf *out)
{
    str_t hidden;
    if (!key->has_private || cipher.len > SM2_PLAIN_MAX + SM2_CIPHER_OVERHEAD ||
        !cipher_text(cipher, &hidden))
        return false;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    ENSURE(context != NULL && EVP_PKEY_decrypt_init(context) == 1);
    size_t room = cipher.len, bytes = room;
    uint8_t *plain = OPENSSL_zalloc(room);
    ENSURE(plain != NULL);
    bool ok = EVP_PKEY_decrypt(context, plain, &bytes, bytes_of(cipher), cipher.len) == 1 &&
              bytes == hidden.len;
    EVP_PKEY_CTX_free(context);
    ERR_clear_error();
    if (ok)
        buf_put(out, str_from(plain, bytes));
    OPENSSL_clear_free(plain, room);
    return ok && !out->overflow;
}
