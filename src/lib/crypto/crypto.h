/* SPDX-License-Identifier: Apache-2.0 */
/* National cryptography over one library: SM2 (GB/T 32918), SM3 (GB/T 32905), SM4 (GB/T 32907),
 * HMAC, HKDF and PBKDF2 with SM3, CMAC-SM4; and the key ring that wraps keys at rest. No algorithm
 * is implemented here; the traps of the library are closed here and each has a test. SM2 always
 * uses the user id "1234567812345678". */
#ifndef SUANHE_CRYPTO_H
#define SUANHE_CRYPTO_H

#include "base/base.h"

enum {
    SM3_BYTES = 32,
    SM4_KEY_BYTES = 16,
    SM4_BLOCK_BYTES = 16,
    SM2_POINT_BYTES = 65,
    SM2_SIG_MAX = 72
};

/* Known answers of every algorithm; false and its name if one fails. Run at start. */
bool crypto_self_test(const char **out_failed);
void crypto_random(void *out, size_t bytes); /* stops the process when the generator fails */
void crypto_wipe(void *data, size_t bytes);

/* SM3. Contexts are reused per thread; safe for many threads. */
void sm3(str_t data, uint8_t out[SM3_BYTES]);
void sm3_parts(const str_t *parts, int count, uint8_t out[SM3_BYTES]);
void hmac_sm3(str_t key, str_t data, uint8_t out[SM3_BYTES]);
void hmac_sm3_parts(str_t key, const str_t *parts, int count, uint8_t out[SM3_BYTES]);
void hkdf_sm3(str_t secret, str_t salt, str_t info, uint8_t *out, size_t bytes);
void pbkdf2_sm3(str_t password, str_t salt, int iterations, uint8_t *out, size_t bytes);

/* SM4. */
enum sm4_mode { SM4_ECB, SM4_CBC, SM4_CTR, SM4_OFB, SM4_CFB };
struct sm4_use {
    enum sm4_mode mode;
    const uint8_t *key, *iv; /* 16 bytes each; ECB has no iv */
};
/* out has room for in.len + 16 bytes (CBC and ECB pad, PKCS#7). false: bad padding or length. */
bool sm4_crypt(const struct sm4_use *use, bool encrypt, str_t in, uint8_t *out, size_t *out_len);
void cmac_sm4(const uint8_t key[16], str_t data, uint8_t out[16]);

/* SM2. */
struct sm2_key; /* a private key with its public point, or a public key only */
struct sm2_key *sm2_generate(void);
struct sm2_key *sm2_from_private(const uint8_t d[32]); /* NULL: not a key */
struct sm2_key *
sm2_from_point(const uint8_t point[SM2_POINT_BYTES]); /* NULL: not on the curve, or infinity */
void sm2_free(struct sm2_key *key);
void sm2_point(const struct sm2_key *key, uint8_t out[SM2_POINT_BYTES]); /* 04 X Y */
void sm2_private(const struct sm2_key *key, uint8_t out[32]); /* asserts that there is one */
/* DER SM2Signature (GM/T 0009). */
void sm2_sign(const struct sm2_key *key, str_t message, uint8_t out[SM2_SIG_MAX], size_t *out_len);
/* Strict DER only: minimal lengths and INTEGERs, 1 <= r, s <= n-1, nothing behind. */
bool sm2_verify(const struct sm2_key *key, str_t message, str_t signature);
bool sm2_signature_is_strict(str_t signature);
bool sm2_encrypt(const struct sm2_key *key, str_t plain, struct buf *out); /* GM/T 0009 SM2Cipher */
bool sm2_decrypt(const struct sm2_key *key, str_t cipher, struct buf *out);

/* Passwords: PBKDF2-SM3 (national profile) or argon2id. The verifier text names its algorithm and
 * cost. Slow on purpose: never inside a transaction. */
str_t password_hash(struct arena *arena, str_t password);
bool password_verify(str_t verifier, str_t password);
bool password_needs_rehash(str_t verifier);

/* Sealed boxes at rest: ver(1) key_id(4) iv(16) SM4-CTR, then HMAC-SM3(32) over all of it; keys by
 * HKDF from the data key. */
void box_seal(const uint8_t data_key[32], uint32_t key_id, str_t plain, struct buf *out);
bool box_open(const uint8_t data_key[32], str_t box, struct buf *out);
uint32_t box_key_id(str_t box);

/* The key ring: files in the data folder, mode 0600, wrapped by a key-encryption key (KEK). */
struct keyring;
/* Opens (or with create makes) DIR/keys. kek_file: 32 bytes as hex; NULL: DIR/kek is made by
 * itself, for development. NULL and a message on failure. */
struct keyring *keyring_open(const char *dir, const char *kek_file, bool create,
                             const char **out_message);
void keyring_free(struct keyring *keyring);
/* A named 32-byte secret, made at the first use and kept for ever: "pseudonym", "cursor", "csrf",
 * "row_mac", ... */
void keyring_secret(struct keyring *keyring, const char *name, uint8_t out[32]);
/* A data key per organisation (0: the platform's), derived from the secret "data" and the
 * organisation's id. */
void keyring_data_key(struct keyring *keyring, ref_t org_id, uint8_t out[32]);
/* A named SM2 key pair ("head"), made at the first use. Owned by the ring. */
const struct sm2_key *keyring_sm2(struct keyring *keyring, const char *name);

/* Strict DER reading of what receipts and signatures need. */
struct der {
    str_t rest;
};
bool der_next(struct der *der, int tag,
              str_t *out_content); /* false: other tag, bad length, trailing cut */
bool der_done(const struct der *der);

/* GB 32100 unified social credit code: 0 = valid; else the 1-based position of the digit that is
 * wrong (18: the check digit; 17: the organisation code's check digit; -1: wrong length).
 * `expected` gets the right check character where the position is a check digit, else '\0'. */
int uscc_check(str_t code, char *out_expected);

#endif
