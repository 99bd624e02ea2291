/* SPDX-License-Identifier: Apache-2.0 */
/* Password verifiers: `pbkdf2-sm3$<iterations>$<base64 salt>$<base64 hash>`, or argon2id's own text
 * form. A verifier that cannot be read refuses every password. */
#include <string.h>

#include <argon2.h>

#include "crypto/crypto.h"

enum {
    PBKDF2_ITERATIONS = 60000,
    PBKDF2_ITERATIONS_MAX = 10 * 1000 * 1000,
    SALT_BYTES = 16,
    SALT_MIN = 8,
    SALT_MAX = 64,
    VERIFIER_MAX = 512,
    PASSWORD_MAX = 4096
};

struct verifier {
    int iterations;
    str_t salt, hash;
};

str_t password_hash(struct arena *arena, str_t password)
{
    uint8_t salt[SALT_BYTES], hash[SM3_BYTES];
    crypto_random(salt, sizeof salt);
    pbkdf2_sm3(password, str_from(salt, sizeof salt), PBKDF2_ITERATIONS, hash, sizeof hash);
    str_t salt_text = base64_encode(arena, str_from(salt, sizeof salt));
    str_t hash_text = base64_encode(arena, str_from(hash, sizeof hash));
    return str_printf(arena, "pbkdf2-sm3$%d$" STR_FMT "$" STR_FMT, PBKDF2_ITERATIONS,
                      STR_ARG(salt_text), STR_ARG(hash_text));
}

static bool read_pbkdf2(struct arena *arena, str_t text, struct verifier *out)
{
    str_t name, iterations, salt;
    int64_t count;
    if (text.len > VERIFIER_MAX || !str_next(&text, '$', &name) || !str_is(name, "pbkdf2-sm3"))
        return false;
    if (!str_next(&text, '$', &iterations) || !str_next(&text, '$', &salt))
        return false;
    if (!str_to_int(iterations, 1, PBKDF2_ITERATIONS_MAX, &count))
        return false;
    out->iterations = (int)count;
    return base64_decode(arena, salt, &out->salt) && base64_decode(arena, text, &out->hash) &&
           out->salt.len >= SALT_MIN && out->salt.len <= SALT_MAX && out->hash.len == SM3_BYTES;
}

static bool is_argon2id(str_t verifier)
{
    return str_starts(verifier, STR("$argon2id$")) && verifier.len <= VERIFIER_MAX;
}

bool password_verify(str_t verifier, str_t password)
{
    if (password.len > PASSWORD_MAX)
        return false;
    struct arena *arena = arena_new(0);
    struct verifier read;
    bool same = false;
    if (is_argon2id(verifier)) {
        const char *secret = password.data != NULL ? password.data : "";
        same = argon2id_verify(str_z(arena, verifier), secret, password.len) == ARGON2_OK;
    } else if (read_pbkdf2(arena, verifier, &read)) {
        uint8_t hash[SM3_BYTES];
        pbkdf2_sm3(password, read.salt, read.iterations, hash, sizeof hash);
        same = str_eq_secret(str_from(hash, sizeof hash), read.hash);
    }
    arena_free(arena);
    return same;
}

bool password_needs_rehash(str_t verifier)
{
    if (is_argon2id(verifier))
        return false;
    struct arena *arena = arena_new(0);
    struct verifier read;
    bool stale = !read_pbkdf2(arena, verifier, &read) || read.iterations < PBKDF2_ITERATIONS;
    arena_free(arena);
    return stale;
}
