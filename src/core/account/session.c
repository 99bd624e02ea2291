/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of people: idle for 30 minutes or 12 hours old they are over. A token names its row by a
 * number in the open, so no random value is ever indexed; only SM3 of its secret half is stored. */
#include <stdlib.h>

#include "account_internal.h"

enum {
    IDLE_MS = 30 * MS_MINUTE,
    LIFE_MS = 12 * MS_HOUR,
    TOUCH_MS = MS_MINUTE,
    CSRF_BYTES = 16,
    ID_BYTES = 8
};

/* ---- tokens ---- */

str_t account_digest(struct ctx *ctx, str_t secret)
{
    uint8_t *digest = arena_alloc(ctx->arena, SM3_BYTES);
    sm3(secret, digest);
    return str_from(digest, SM3_BYTES);
}

str_t account_token_make(struct ctx *ctx, ref_t id, str_t *out_digest)
{
    uint8_t bytes[ID_BYTES + SECRET_BYTES];
    for (int i = 0; i < ID_BYTES; i++)
        bytes[i] = (uint8_t)((uint64_t)id.value >> (56 - 8 * i));
    crypto_random(bytes + ID_BYTES, SECRET_BYTES);
    *out_digest = account_digest(ctx, str_from(bytes + ID_BYTES, SECRET_BYTES));
    str_t token = base64url_encode(ctx->arena, str_from(bytes, sizeof bytes));
    crypto_wipe(bytes, sizeof bytes);
    return token;
}

bool account_token_read(struct ctx *ctx, str_t token, ref_t *out_id, str_t *out_digest)
{
    str_t bytes;
    uint64_t id = 0;
    if (token.len > 64 || !base64url_decode(ctx->arena, token, &bytes) ||
        bytes.len != ID_BYTES + SECRET_BYTES)
        return false;
    for (int i = 0; i < ID_BYTES; i++)
        id = id << 8 | (uint8_t)bytes.data[i];
    if (id == 0 || id > INT64_MAX)
        return false;
    *out_id = (ref_t){(int64_t)id};
    *out_digest = account_digest(ctx, str_cut(bytes, ID_BYTES));
    return true;
}

/* ---- opening and closing ---- */
str_t account_csrf(struct ctx *ctx, ref_t session)
{
    uint8_t key[32], mac[SM3_BYTES];
    keyring_secret(ctx->platform->keys, "csrf", key);
    hmac_sm3(str_from(key, sizeof key), ref_text(ctx->arena, "ses", session), mac);
    crypto_wipe(key, sizeof key);
    return base64url_encode(ctx->arena, str_from(mac, CSRF_BYTES));
}

static str_t cut_to(str_t text, size_t max)
{
    if (text.len <= max)
        return text;
    /* Not inside a code point. */
    while (max > 0 && ((unsigned char)text.data[max] & 0xC0) == 0x80)
        max--;
    return str_from(text.data, max);
}

static err_t tell_login(struct ctx *ctx, ref_t user, ref_t personal, ref_t session)
{
    struct telling telling;
    telling_begin(ctx, &telling, FACT_USER_LOGIN, "usr", user);
    telling.fact.owner_org = personal;
    telling_hears(&telling, personal);
    jw_put_ref(&telling.w, "user_id", "usr", user);
    jw_put_ref(&telling.w, "session_id", "ses", session);
    struct actor before = ctx->actor;
    ctx->actor = (struct actor){
        .user_id = user, .org_id = personal, .org_kind = ORG_CONSUMER, .roles = ROLE_OWNER};
    err_t err = telling_end(ctx, &telling, NULL);
    ctx->actor = before;
    return err;
}

err_t account_session_open(struct ctx *ctx, ref_t user, str_t user_agent, str_t ip,
                           struct session_new *out)
{
    struct user owner;
    ref_t personal = REF_NONE;
    TRY(account_user_load(ctx, user, &owner));
    if (owner.state != USER_ACTIVE)
        return refuse(ctx, ERR_DENIED, "account_disabled", "the operator disabled this account");
    TRY(db_int(ctx, "SELECT personal_org_id FROM account_user WHERE id = $1", ARGS(A(user)),
               &personal.value));
    struct session_new made = {.session_id = id_make(ctx->platform->ids, ctx->now)};
    str_t digest;
    made.token = account_token_make(ctx, made.session_id, &digest);
    made.csrf_token = account_csrf(ctx, made.session_id);
    if (!str_is_utf8(user_agent))
        user_agent = STR("");
    TRY(db_exec_one(ctx,
                    "INSERT INTO account_session (id, user_id, digest, user_agent, ip, created_at, "
                    "last_seen_at, "
                    "expires_at) VALUES ($1, $2, $3, $4, $5, $6, $6, $7)",
                    ARGS(A(made.session_id), A(user), A_BYTES(digest), A(cut_to(user_agent, 200)),
                         A(cut_to(ip, 64)), A(ctx->now), A(utc_add(ctx->now, LIFE_MS)))));
    TRY(db_exec(ctx,
                "DELETE FROM account_session WHERE user_id = $1 AND (expires_at <= $2 OR "
                "last_seen_at <= $3)",
                ARGS(A(user), A(ctx->now), A(utc_add(ctx->now, -(int64_t)IDLE_MS))), NULL));
    TRY(account_login_forget(ctx, owner.email, ip));
    TRY(tell_login(ctx, user, personal, made.session_id));
    *out = made;
    return OK;
}

err_t account_session_close(struct ctx *ctx, ref_t session)
{
    return db_exec(ctx, "DELETE FROM account_session WHERE id = $1", ARGS(A(session)), NULL);
}

/* ---- listing ---- */
static const struct field session_fields[] = {
    FIELD_REF(struct session, id, "ses", 0),
    FIELD(struct session, user_agent, 0, 200, 0),
    FIELD(struct session, ip, 0, 64, 0),
    FIELD(struct session, created_at, 0, INT64_MAX, 0),
    FIELD(struct session, last_seen_at, 0, INT64_MAX, 0),
};
static const struct shape session_shape = SHAPE(struct session, session_fields);

err_t account_sessions(struct ctx *ctx, ref_t user, struct session **out, size_t *out_count)
{
    return db_all(
        ctx,
        "SELECT id, user_agent, ip, created_at, last_seen_at FROM account_session "
        "WHERE user_id = $1 AND expires_at > $2 AND last_seen_at > $3 ORDER BY id DESC LIMIT 200",
        ARGS(A(user), A(ctx->now), A(utc_add(ctx->now, -(int64_t)IDLE_MS))), &session_shape, out,
        out_count);
}

/* ---- who is it ---- */
struct live_row {
    ref_t user_id, personal_org_id;
    str_t digest;
    utc_t last_seen_at, expires_at;
    int32_t status;
    int32_t kind, roles; /* in the organisation asked for; 0: no member */
};
static const struct field live_fields[] = {
    FIELD_REF(struct live_row, user_id, "usr", 0),
    FIELD_REF(struct live_row, personal_org_id, "org", 0),
    FIELD_BYTES(struct live_row, digest, 0, 32, 0),
    FIELD(struct live_row, last_seen_at, 0, INT64_MAX, 0),
    FIELD(struct live_row, expires_at, 0, INT64_MAX, 0),
    FIELD(struct live_row, status, 1, 2, 0),
    FIELD(struct live_row, kind, 0, 3, 0),
    FIELD(struct live_row, roles, 0, ROLES_ALL, 0),
};
static const struct shape live_shape = SHAPE(struct live_row, live_fields);

struct role_row {
    int32_t kind, roles;
};
static const struct field role_fields[] = {
    FIELD(struct role_row, kind, 1, 3, 0),
    FIELD(struct role_row, roles, 0, ROLES_ALL, 0),
};
static const struct shape role_shape = SHAPE(struct role_row, role_fields);

static err_t act_for(struct ctx *ctx, ref_t user, ref_t session, ref_t org)
{
    struct role_row row = {0};
    bool found = false;
    TRY(db_find(ctx,
                "SELECT account_org.kind, account_member.roles FROM account_member "
                "JOIN account_org ON account_org.id = account_member.org_id WHERE org_id = $1 AND "
                "user_id = $2",
                ARGS(A(org), A(user)), &role_shape, &row, &found));
    if (!found)
        return refuse(ctx, ERR_DENIED, "not_a_member", "not a member of that organisation");
    ctx->actor = (struct actor){.user_id = user,
                                .org_id = org,
                                .session_id = session,
                                .org_kind = row.kind,
                                .roles = (uint32_t)row.roles};
    return OK;
}

err_t account_act_for(struct ctx *ctx, ref_t org)
{
    return act_for(ctx, ctx->actor.user_id, ctx->actor.session_id, org);
}

/* ---- last seen ---- */
struct touch {
    struct ctx ctx;
    ref_t session;
};

static err_t write_touch(struct ctx *ctx, void *arg)
{
    struct touch *touch = arg;
    return db_exec(
        ctx, "UPDATE account_session SET last_seen_at = $1 WHERE id = $2 AND last_seen_at < $1",
        ARGS(A(ctx->now), A(touch->session)), NULL);
}

static void end_touch(struct ctx *ctx, void *arg, err_t result)
{
    (void)ctx;
    (void)result;
    struct touch *touch = arg;
    ctx_done(&touch->ctx);
    free(touch);
}

/* A request that only reads may not write; so the note of it is a small piece of its own that
 * nobody waits for. When the queue is full it is left out: the next request brings it again. */
static void touch_later(struct ctx *ctx, ref_t session)
{
    struct touch *touch = calloc(1, sizeof *touch);
    ENSURE(touch != NULL);
    ctx_init(&touch->ctx, ctx->platform, ctx->now);
    touch->session = session;
    if (!db_write_async(&touch->ctx, ctx->platform->db, write_touch, touch, end_touch))
        end_touch(&touch->ctx, touch, OK);
}

err_t account_authenticate_cookie(struct ctx *ctx, str_t token, const str_t *csrf, str_t x_org)
{
    ref_t session, org = REF_NONE;
    str_t digest;
    struct live_row live = {0};
    bool found = false, readable = x_org.len == 0 || ref_read(x_org, "org", &org);
    ctx->actor = (struct actor){0};
    if (!account_token_read(ctx, token, &session, &digest))
        return OK;
    TRY(db_find(
        ctx,
        "SELECT s.user_id AS user_id, u.personal_org_id AS personal_org_id, s.digest AS digest, "
        "s.last_seen_at AS last_seen_at, s.expires_at AS expires_at, u.status AS status, "
        "o.kind AS kind, m.roles AS roles FROM account_session s "
        "JOIN account_user u ON u.id = s.user_id "
        "LEFT JOIN account_member m ON m.user_id = u.id AND m.org_id = "
        "CASE WHEN $2 = 0 THEN u.personal_org_id ELSE $2 END "
        "LEFT JOIN account_org o ON o.id = m.org_id WHERE s.id = $1",
        ARGS(A(session), A(org)), &live_shape, &live, &found));
    if (!found || !str_eq_secret(live.digest, digest) || live.status != USER_ACTIVE ||
        ctx->now.ms >= live.expires_at.ms || ctx->now.ms - live.last_seen_at.ms >= IDLE_MS)
        return OK;
    if (csrf != NULL && !str_eq_secret(*csrf, account_csrf(ctx, session)))
        return refuse(ctx, ERR_DENIED, "csrf_failed",
                      "X-CSRF-Token is missing or of another session");
    if (!readable)
        return refuse(ctx, ERR_DENIED, "not_a_member", "X-Org names no organisation");
    if (live.roles == 0)
        return refuse(ctx, ERR_DENIED, "not_a_member", "not a member of that organisation");
    ctx->actor = (struct actor){.user_id = live.user_id,
                                .org_id = org.value ? org : live.personal_org_id,
                                .session_id = session,
                                .org_kind = live.kind,
                                .roles = (uint32_t)live.roles};
    if (ctx->now.ms - live.last_seen_at.ms >= TOUCH_MS)
        touch_later(ctx, session);
    return OK;
}
