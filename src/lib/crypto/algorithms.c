/* SPDX-License-Identifier: Apache-2.0 */
/* What the process and each thread hold of the library: fetched algorithms and reusable contexts.
 * Without the algorithms nothing of the product works, so their absence stops the process. */
#include <pthread.h>

#include "crypto_internal.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_key;
static struct crypto_algorithms algorithms;
static _Thread_local struct crypto_thread *this_thread;

static void thread_end(void *state)
{
    struct crypto_thread *thread = state;
    EVP_MD_CTX_free(thread->digest);
    EVP_CIPHER_CTX_free(thread->cipher);
    OPENSSL_clear_free(thread, sizeof *thread);
    this_thread = NULL;
}

static void fetch_all(void)
{
    static const char *const sm4_names[] = {"SM4-ECB", "SM4-CBC", "SM4-CTR", "SM4-OFB", "SM4-CFB"};
    _Static_assert(sizeof sm4_names / sizeof sm4_names[0] == SM4_CFB + 1, "one name a mode");
    algorithms.sm3 = EVP_MD_fetch(NULL, "SM3", NULL);
    ENSURE(algorithms.sm3 != NULL);
    for (int mode = 0; mode <= SM4_CFB; mode++) {
        algorithms.sm4[mode] = EVP_CIPHER_fetch(NULL, sm4_names[mode], NULL);
        ENSURE(algorithms.sm4[mode] != NULL);
    }
    algorithms.hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    ENSURE(algorithms.hkdf != NULL);
    algorithms.cmac = EVP_MAC_fetch(NULL, "CMAC", NULL);
    ENSURE(algorithms.cmac != NULL);
    ENSURE(pthread_key_create(&thread_key, thread_end) == 0);
}

const struct crypto_algorithms *crypto_algorithms(void)
{
    ENSURE(pthread_once(&once, fetch_all) == 0);
    return &algorithms;
}

struct crypto_thread *crypto_thread(void)
{
    if (this_thread != NULL)
        return this_thread;
    crypto_algorithms();
    struct crypto_thread *thread = OPENSSL_zalloc(sizeof *thread);
    ENSURE(thread != NULL);
    thread->digest = EVP_MD_CTX_new();
    thread->cipher = EVP_CIPHER_CTX_new();
    ENSURE(thread->digest != NULL && thread->cipher != NULL);
    ENSURE(pthread_setspecific(thread_key, thread) == 0);
    this_thread = thread;
    return thread;
}

void crypto_random(void *out, size_t bytes)
{
    ENSURE(bytes <= INT32_MAX);
    if (RAND_bytes(out, (int)bytes) != 1)
        log_die("the random generator failed");
}

void crypto_wipe(void *data, size_t bytes)
{
    OPENSSL_cleanse(data, bytes);
}
