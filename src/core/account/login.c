/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords and the throttle before them. Failed logins are counted per address and e-mail, and per
 * address; whether an e-mail is known changes neither the answers nor the time they take. */
#include <string.h>

#include "account_internal.h"

enum { FREE_FAILURES = 5, FREE_FAILURES_ADDRESS = 30, DELAY_MAX_S = 900, MEMORY_MS = MS_HOUR };

/* ---- passwords ---- */
static bool is_one_letter(str_t password)
{
    for (size_t i = 1; i < password.len; i++)
        if (password.data[i] != password.data[0])
            return false;
    return true;
}

static bool is_run(str_t password)
{
    for (size_t i = 1; i < password.len; i++) {
        int step = (unsigned char)password.data[i] - (unsigned char)password.data[i - 1];
        if (step != 1 && !(password.data[i - 1] == '9' && password.data[i] == '0'))
            return false;
    }
    return true;
}

static bool is_common(str_t lower)
{
    static const char *const words[] = {"password", "passw0rd", "qwerty",  "letmein",
                                        "iloveyou", "admin",    "welcome", "woaini",
                                        "suanhe",   "123456",   "111111",  "abc123"};
    /* A common word with a few characters around it is as weak as the word. */
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (memmem(lower.data, lower.len, words[i], strlen(words[i])) &&
            lower.len < strlen(words[i]) + 6)
            return true;
    return false;
}

static str_t lower_of(struct ctx *ctx, str_t text)
{
    char *copy = arena_copy(ctx->arena, text.data, text.len);
    for (size_t i = 0; i < text.len; i++)
        if (copy[i] >= 'A' && copy[i] <= 'Z')
            copy[i] = (char)(copy[i] + ('a' - 'A'));
    return str_from(copy, text.len);
}

static err_t weak(struct ctx *ctx, const char *pointer, const char *why)
{
    err_t err = refuse_field(ctx, str_of(pointer), "password_weak", "%s", why);
    ctx->problem.reason = "password_weak";
    return err;
}

err_t account_check_password(struct ctx *ctx, str_t password, str_t email, const char *pointer)
{
    if (!str_is_utf8(password))
        return weak(ctx, pointer, "not UTF-8");
    size_t count = str_utf8_count(password);
    if (count < 10 || count > 128)
        return weak(ctx, pointer, "10 to 128 characters");
    str_t lower = lower_of(ctx, password), mail = lower_of(ctx, str_trim(email)), local = mail;
    if (is_one_letter(lower) || is_run(lower))
        return weak(ctx, pointer, "one repeated or counted-up character");
    const char *at = mail.len ? memchr(mail.data, '@', mail.len) : NULL;
    if (at != NULL)
        local.len = (size_t)(at - mail.data);
    if (str_eq(lower, mail) ||
        (local.len >= 4 && memmem(lower.data, lower.len, local.data, local.len) &&
         lower.len < local.len + 6))
        return weak(ctx, pointer, "made from the e-mail address");
    if (is_common(lower))
        return weak(ctx, pointer, "too common");
    return OK;
}

struct verifier_row {
    ref_t id;
    str_t verifier;
};
static const struct field verifier_fields[] = {
    FIELD_REF(struct verifier_row, id, "usr", 0),
    FIELD(struct verifier_row, verifier, 0, 512, 0),
};
static const struct shape verifier_shape = SHAPE(struct verifier_row, verifier_fields);

err_t account_verifier(struct ctx *ctx, str_t email, str_t *out_verifier, ref_t *out_user,
                       bool *out_known)
{
    struct verifier_row row = {0};
    str_t normal;
    *out_known = false;
    if (account_normalise_email(ctx->arena, email, &normal))
        TRY(db_find(ctx, "SELECT id, verifier FROM account_user WHERE email = $1", ARGS(A(normal)),
                    &verifier_shape, &row, out_known));
    /* Of the cost of password_hash; its hash is of no password. */
    static const char nobody[] =
        "pbkdf2-sm3$60000$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    *out_verifier = *out_known ? row.verifier : str_of(nobody);
    *out_user = row.id;
    return OK;
}

/* ---- throttle ---- */
static int64_t throttle_key(struct ctx *ctx, str_t ip, str_t email)
{
    uint8_t secret[32], mac[SM3_BYTES];
    uint64_t key = 0;
    const str_t parts[] = {ip, STR("\n"), email};
    keyring_secret(ctx->platform->keys, "throttle", secret);
    hmac_sm3_parts(str_from(secret, sizeof secret), parts, 3, mac);
    crypto_wipe(secret, sizeof secret);
    for (int i = 0; i < 8; i++)
        key = key << 8 | mac[i];
    key &= (uint64_t)INT64_MAX;
    return key == 0 ? 1 : (int64_t)key;
}

static str_t lookup_email(struct ctx *ctx, str_t email)
{
    str_t normal;
    return account_normalise_email(ctx->arena, email, &normal) ? normal : email;
}

err_t account_login_admit(struct ctx *ctx, str_t email, str_t ip)
{
    int64_t until = 0;
    const int64_t keys[] = {throttle_key(ctx, ip, lookup_email(ctx, email)),
                            throttle_key(ctx, ip, STR(""))};
    TRY(db_int(ctx, "SELECT MAX(blocked_until) FROM account_throttle WHERE id IN ({ids})",
               ARGS(A_IDS(keys, 2)), &until));
    if (until <= ctx->now.ms)
        return OK;
    err_t err = refuse(ctx, ERR_LIMIT, "throttled", "too many failed logins");
    ctx->problem.retry_after_s = (int)((until - ctx->now.ms + MS_SECOND - 1) / MS_SECOND);
    return err;
}

struct failure_row {
    int32_t failures;
    utc_t failed_at;
};
static const struct field failure_fields[] = {
    FIELD(struct failure_row, failures, 0, INT32_MAX, 0),
    FIELD(struct failure_row, failed_at, 0, INT64_MAX, 0),
};
static const struct shape failure_shape = SHAPE(struct failure_row, failure_fields);

static err_t count_failure(struct ctx *ctx, int64_t key, int free_failures)
{
    struct failure_row row = {0};
    bool found = false;
    TRY(db_find(ctx, "SELECT failures, failed_at FROM account_throttle WHERE id = $1 {for_update}",
                ARGS(A(key)), &failure_shape, &row, &found));
    int32_t failures = ctx->now.ms - row.failed_at.ms >= MEMORY_MS ? 1 : row.failures + 1;
    int64_t delay_s = 0;
    if (failures >= free_failures) {
        int doublings = failures - free_failures;
        delay_s = doublings > 9 ? DELAY_MAX_S : (int64_t)2 << doublings;
        delay_s = delay_s > DELAY_MAX_S ? DELAY_MAX_S : delay_s;
    }
    return db_exec_one(
        ctx,
        "INSERT INTO account_throttle (id, failures, failed_at, blocked_until) VALUES ($1, $2, $3, "
        "$4) "
        "ON CONFLICT (id) DO UPDATE SET failures = excluded.failures, failed_at = "
        "excluded.failed_at, "
        "blocked_until = excluded.blocked_until",
        ARGS(A(key), A(failures), A(ctx->now), A(utc_add(ctx->now, delay_s * MS_SECOND))));
}

err_t account_login_failed(struct ctx *ctx, str_t email, str_t ip)
{
    TRY(db_exec(ctx, "DELETE FROM account_throttle WHERE failed_at < $1",
                ARGS(A(utc_add(ctx->now, -(int64_t)MEMORY_MS))), NULL));
    TRY(count_failure(ctx, throttle_key(ctx, ip, lookup_email(ctx, email)), FREE_FAILURES));
    return count_failure(ctx, throttle_key(ctx, ip, STR("")), FREE_FAILURES_ADDRESS);
}

err_t account_login_forget(struct ctx *ctx, str_t email, str_t ip)
{
    return db_exec(ctx, "DELETE FROM account_throttle WHERE id = $1",
                   ARGS(A(throttle_key(ctx, ip, lookup_email(ctx, email)))), NULL);
}
