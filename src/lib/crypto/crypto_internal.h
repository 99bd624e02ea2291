/* SPDX-License-Identifier: Apache-2.0 */
/* Shared inside the crypto module: algorithms fetched once for the process, and what each thread
 * keeps to hand. */
#ifndef SUANHE_CRYPTO_INTERNAL_H
#define SUANHE_CRYPTO_INTERNAL_H

/* The library has a type of the name that an error code of this product has. */
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#undef ERR_STATE

#include "crypto/crypto.h"

/* The user id that every SM2 signature of this product is made with. */
#define SM2_USER_ID "1234567812345678"

enum { BOX_CACHE = 8 };

/* Keys derived from one data key; deriving costs as much as sealing several entries. */
struct box_keys {
    uint8_t data_key[32];
    uint8_t enc[SM4_KEY_BYTES];
    uint8_t mac[SM3_BYTES];
    uint64_t used; /* 0: empty slot; else the thread's counter at the last use */
};

/* A data key that keyring_data_key made, of the secret it was made from. */
struct data_key {
    uint8_t secret[32], key[32];
    int64_t org;
};

/* One per thread, made at the first use, wiped and freed when the thread ends. */
struct crypto_thread {
    EVP_MD_CTX *digest;
    EVP_CIPHER_CTX *cipher;
    struct box_keys box[BOX_CACHE];
    uint64_t box_counter;
    struct data_key data[BOX_CACHE];
    unsigned data_next;
};
struct crypto_thread *crypto_thread(void);

/* Fetched once; fetching anew for every call would cost more than the hash. */
struct crypto_algorithms {
    EVP_MD *sm3;
    EVP_CIPHER *sm4[SM4_CFB + 1]; /* by enum sm4_mode */
    EVP_KDF *hkdf;
    EVP_MAC *cmac;
};
const struct crypto_algorithms *crypto_algorithms(void);

#endif
