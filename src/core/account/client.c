/* SPDX-License-Identifier: Apache-2.0 */
/* Machine clients: one store's scheduling platform, which holds scopes instead of roles, and its
 * tokens of ten minutes. */
#include "account_internal.h"

enum { TOKEN_MS = 10 * MS_MINUTE, OVERLAP_MS = MS_DAY };

err_t account_client_create(struct ctx *ctx, ref_t org, ref_t store, struct client_new *out)
{
    uint8_t secret[SECRET_BYTES];
    crypto_random(secret, sizeof secret);
    struct client_new made = {.client_id = id_make(ctx->platform->ids, ctx->now),
                              .secret =
                                  base64url_encode(ctx->arena, str_from(secret, sizeof secret))};
    crypto_wipe(secret, sizeof secret);
    /* Those before it die a day later, so that the other side can change over without a gap. */
    TRY(db_exec(ctx,
                "UPDATE account_client SET expires_at = $1 WHERE store_id = $2 AND expires_at = 0",
                ARGS(A(utc_add(ctx->now, OVERLAP_MS)), A(store)), NULL));
    TRY(db_exec_one(
        ctx,
        "INSERT INTO account_client (id, org_id, store_id, digest, scopes, created_at, expires_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, 0)",
        ARGS(A(made.client_id), A(org), A(store), A_BYTES(account_digest(ctx, made.secret)),
             A(SCOPES_ALL), A(ctx->now))));
    *out = made;
    return OK;
}

struct client_row {
    ref_t org_id, client_id;
    str_t digest;
    int32_t scopes;
    utc_t expires_at, client_expires_at;
};
static const struct field client_fields[] = {
    FIELD_REF(struct client_row, org_id, "org", 0),
    FIELD_REF(struct client_row, client_id, "cli", 0),
    FIELD_BYTES(struct client_row, digest, 0, 32, 0),
    FIELD(struct client_row, scopes, 0, SCOPES_ALL, 0),
    FIELD(struct client_row, expires_at, 0, INT64_MAX, 0),
    FIELD(struct client_row, client_expires_at, 0, INT64_MAX, 0),
};
static const struct shape client_shape = SHAPE(struct client_row, client_fields);

static bool is_over(struct ctx *ctx, utc_t expires_at)
{
    return expires_at.ms != 0 && ctx->now.ms >= expires_at.ms;
}

static err_t read_scopes(struct ctx *ctx, str_t text, int32_t held, int32_t *out)
{
    int32_t asked = 0;
    str_t word;
    while (str_next(&text, ' ', &word)) {
        int bit;
        if (word.len == 0)
            continue;
        if (!names_find(&scope_names, word, &bit) || !(held & 1 << bit))
            return refuse(ctx, ERR_INPUT, "invalid_scope", "a scope that is not held");
        asked |= 1 << bit;
    }
    *out = asked ? asked : held;
    return OK;
}

static str_t write_scopes(struct ctx *ctx, int32_t scopes)
{
    struct buf text;
    buf_init(&text, ctx->arena, 500);
    for (int bit = 0; bit < scope_names.count; bit++) {
        if (!(scopes & 1 << bit))
            continue;
        if (text.len)
            buf_putc(&text, ' ');
        buf_puts(&text, names_of(&scope_names, bit));
    }
    return buf_str(&text);
}

err_t account_token_open(struct ctx *ctx, str_t client_id, str_t secret, str_t scope,
                         str_t *out_token, str_t *out_scope)
{
    ref_t client = REF_NONE;
    struct client_row row = {0};
    bool found = false;
    if (ref_read(client_id, "cli", &client))
        TRY(db_find(ctx,
                    "SELECT org_id, digest, scopes, expires_at FROM account_client WHERE id = $1",
                    ARGS(A(client)), &client_shape, &row, &found));
    if (!found || !str_eq_secret(row.digest, account_digest(ctx, secret)) ||
        is_over(ctx, row.expires_at))
        return refuse(ctx, ERR_AUTH, "invalid_client", "no such client, or another secret");
    int32_t scopes;
    TRY(read_scopes(ctx, scope, row.scopes, &scopes));
    ref_t id = id_make(ctx->platform->ids, ctx->now);
    str_t digest, token = account_token_make(ctx, id, &digest);
    TRY(db_exec(ctx, "DELETE FROM account_token WHERE id < $1",
                ARGS(A(id_floor(utc_add(ctx->now, -(int64_t)MS_HOUR)))), NULL));
    TRY(db_exec_one(
        ctx,
        "INSERT INTO account_token (id, client_id, digest, scopes, expires_at) VALUES ($1, $2, $3, "
        "$4, $5)",
        ARGS(A(id), A(client), A_BYTES(digest), A(scopes), A(utc_add(ctx->now, TOKEN_MS)))));
    *out_token = token;
    *out_scope = write_scopes(ctx, scopes);
    return OK;
}

err_t account_authenticate_bearer(struct ctx *ctx, str_t token)
{
    ref_t id;
    str_t digest;
    struct client_row row = {0};
    bool found = false;
    ctx->actor = (struct actor){0};
    if (account_token_read(ctx, token, &id, &digest))
        TRY(db_find(ctx,
                    "SELECT account_client.org_id, account_token.client_id, account_token.digest, "
                    "account_token.scopes, "
                    "account_token.expires_at, account_client.expires_at AS client_expires_at FROM "
                    "account_token "
                    "JOIN account_client ON account_client.id = account_token.client_id WHERE "
                    "account_token.id = $1",
                    ARGS(A(id)), &client_shape, &row, &found));
    if (!found || !str_eq_secret(row.digest, digest) || is_over(ctx, row.expires_at) ||
        is_over(ctx, row.client_expires_at))
        return refuse(ctx, ERR_AUTH, "invalid_token", "no such token, or it is over");
    ctx->actor = (struct actor){.client_id = row.client_id,
                                .org_id = row.org_id,
                                .org_kind = ORG_PROVIDER,
                                .roles = (uint32_t)row.scopes << SCOPE_SHIFT};
    return OK;
}

err_t account_client_store(struct ctx *ctx, ref_t client, ref_t *out_store)
{
    ref_t store = REF_NONE;
    TRY(db_int(ctx, "SELECT store_id FROM account_client WHERE id = $1", ARGS(A(client)),
               &store.value));
    if (store.value == 0)
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such client");
    *out_store = store;
    return OK;
}

struct subject_row {
    str_t subject;
};
static const struct field subject_fields[] = {FIELD(struct subject_row, subject, 0, 64, 0)};
static const struct shape subject_shape = SHAPE(struct subject_row, subject_fields);

err_t account_subject(struct ctx *ctx, ref_t provider_org, ref_t user, str_t *out_subject)
{
    uint8_t random[16];
    struct subject_row row = {0};
    bool found = false;
    static const char find[] =
        "SELECT subject FROM account_subject WHERE provider_org_id = $1 AND user_id = $2";
    TRY(db_find(ctx, find, ARGS(A(provider_org), A(user)), &subject_shape, &row, &found));
    if (!found) {
        crypto_random(random, sizeof random);
        str_t made = base64url_encode(ctx->arena, str_from(random, sizeof random));
        TRY(db_exec(
            ctx,
            "INSERT INTO account_subject (provider_org_id, user_id, subject) VALUES ($1, $2, $3) "
            "ON CONFLICT (provider_org_id, user_id) DO NOTHING",
            ARGS(A(provider_org), A(user), A(made)), NULL));
        TRY(db_one(ctx, find, ARGS(A(provider_org), A(user)), &subject_shape, &row));
    }
    *out_subject = row.subject;
    return OK;
}
