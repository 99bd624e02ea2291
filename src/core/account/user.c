/* SPDX-License-Identifier: Apache-2.0 */
/* People: how they register, what is kept of them, and how they are found. Passwords arrive as
 * verifiers. */
#include <inttypes.h>
#include <string.h>

#include "account_internal.h"

static const struct field registration_fields[] = {
    FIELD(struct registration, email, 3, 120, FIELD_REQUIRED),
    FIELD(struct registration, password, 10, 128, FIELD_REQUIRED),
    FIELD(struct registration, name, 1, 60, FIELD_REQUIRED),
    FIELD(struct registration, consent_version, 1, 40, FIELD_REQUIRED),
};
const struct shape registration_shape = SHAPE(struct registration, registration_fields);

static const struct field user_fields[] = {
    FIELD_REF(struct user, id, "usr", 0),         FIELD(struct user, email, 3, 120, 0),
    FIELD(struct user, name, 1, 60, 0),           FIELD(struct user, locale, 0, 8, 0),
    FIELD(struct user, state, 1, 2, 0),           FIELD(struct user, created_at, 0, INT64_MAX, 0),
    FIELD(struct user, version, 0, INT64_MAX, 0),
};
const struct shape user_shape = SHAPE(struct user, user_fields);

/* ---- facts ---- */
void telling_begin(struct ctx *ctx, struct telling *telling, int type, const char *prefix,
                   ref_t object)
{
    telling->fact =
        (struct fact){.type = type, .object_prefix = prefix, .object = object, .root = object};
    buf_init(&telling->payload, ctx->arena, 64 << 10);
    jw_init(&telling->w, &telling->payload);
    jw_object(&telling->w);
}

void telling_hears(struct telling *telling, ref_t org)
{
    if (org.value == 0)
        return;
    ENSURE(telling->fact.audience_count < FACT_AUDIENCE_MAX);
    telling->fact.audience[telling->fact.audience_count++] = org;
}

err_t telling_end(struct ctx *ctx, struct telling *telling, ref_t *out_event_id)
{
    jw_end_object(&telling->w);
    ENSURE(!telling->payload.overflow);
    telling->fact.payload = buf_str(&telling->payload);
    return evidence_append(ctx, &telling->fact, out_event_id);
}

/* ---- e-mail ---- */
bool account_normalise_email(struct arena *arena, str_t email, str_t *out)
{
    email = str_trim(email);
    if (email.len < 3 || email.len > 254)
        return false;
    char *text = arena_copy(arena, email.data, email.len);
    size_t at = 0, at_count = 0;
    for (size_t i = 0; i < email.len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c == 0x7f || c == '"' || c == '<' || c == '>' || c == ',')
            return false;
        if (c == '@') {
            at = i;
            at_count++;
        }
        if (c >= 'A' && c <= 'Z')
            text[i] = (char)(c + ('a' - 'A'));
    }
    if (at_count != 1 || at == 0 || at == email.len - 1 || text[at + 1] == '.' ||
        text[email.len - 1] == '.')
        return false;
    *out = str_from(text, email.len);
    return true;
}

/* ---- making ---- */
static err_t add_user(struct ctx *ctx, const struct user *user, ref_t personal, str_t verifier,
                      str_t consent)
{
    int64_t changed = 0;
    TRY(db_exec(
        ctx,
        "INSERT INTO account_user (id, email, name, locale, verifier, status, personal_org_id, "
        "consent_version, consent_at, created_at, version) "
        "VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8, $8, 1) ON CONFLICT (email) DO NOTHING",
        ARGS(A(user->id), A(user->email), A(user->name), A(user->locale), A(verifier), A(personal),
             A(consent), A(user->created_at)),
        &changed));
    if (changed == 1)
        return OK;
    return refuse(ctx, ERR_CONFLICT, "email_taken", "an account has this address already");
}

static err_t tell_registered(struct ctx *ctx, const struct user *user, ref_t personal,
                             str_t consent)
{
    struct telling telling;
    telling_begin(ctx, &telling, FACT_USER_REGISTER, "usr", user->id);
    telling.fact.owner_org = personal;
    telling_hears(&telling, personal);
    jw_put_ref(&telling.w, "user_id", "usr", user->id);
    jw_put_ref(&telling.w, "personal_org_id", "org", personal);
    jw_put_text(&telling.w, "consent_version", consent);
    return telling_end(ctx, &telling, NULL);
}

err_t account_register(struct ctx *ctx, const struct registration *in, str_t verifier,
                       struct user *out, ref_t *out_org)
{
    str_t email;
    if (!account_normalise_email(ctx->arena, in->email, &email))
        return refuse_field(ctx, STR("/email"), "bad_format", "no e-mail address");
    str_t name = str_trim(in->name);
    if (name.len == 0)
        return refuse_field(ctx, STR("/name"), "too_short", "a name");
    struct user user = {.id = id_make(ctx->platform->ids, ctx->now),
                        .email = email,
                        .name = name,
                        .locale = STR("zh"),
                        .state = USER_ACTIVE,
                        .created_at = ctx->now,
                        .version = 1};
    struct org org = {.id = id_make(ctx->platform->ids, ctx->now),
                      .name = name,
                      .kind = ORG_CONSUMER,
                      .personal = true,
                      .created_by = user.id,
                      .created_at = ctx->now};
    TRY(account_add_org(ctx, &org));
    TRY(add_user(ctx, &user, org.id, verifier, in->consent_version));
    TRY(account_add_member(ctx, org.id, user.id, ROLE_OWNER));
    /* Who registers is who acts. */
    struct actor before = ctx->actor;
    if (ctx->actor.org_id.value == 0)
        ctx->actor = (struct actor){
            .user_id = user.id, .org_id = org.id, .org_kind = org.kind, .roles = ROLE_OWNER};
    err_t err = tell_registered(ctx, &user, org.id, in->consent_version);
    ctx->actor = before;
    TRY(err);
    *out = user;
    *out_org = org.id;
    return OK;
}

err_t account_bootstrap(struct ctx *ctx, str_t email, str_t verifier, struct user *out)
{
    ref_t operator_org, personal;
    bool found = false;
    TRY(account_operator_org(ctx, &operator_org));
    TRY(account_user_by_email(ctx, email, out, &found));
    if (!found) {
        struct registration in = {
            .email = email, .name = STR("运营管理员"), .consent_version = STR("operator")};
        TRY(account_register(ctx, &in, verifier, out, &personal));
    }
    return account_add_member(ctx, operator_org, out->id, ROLE_OWNER);
}

/* ---- reading ---- */
err_t account_user_load(struct ctx *ctx, ref_t id, struct user *out)
{
    return db_one(ctx, "SELECT " USER_COLUMNS " FROM account_user WHERE id = $1", ARGS(A(id)),
                  &user_shape, out);
}

err_t account_user_by_email(struct ctx *ctx, str_t email, struct user *out, bool *out_found)
{
    str_t normal;
    *out_found = false;
    if (!account_normalise_email(ctx->arena, email, &normal))
        return OK;
    return db_find(ctx, "SELECT " USER_COLUMNS " FROM account_user WHERE email = $1",
                   ARGS(A(normal)), &user_shape, out, out_found);
}

err_t account_user_names(struct ctx *ctx, const int64_t *ids, size_t count, struct user **out,
                         size_t *out_count)
{
    return db_all(ctx, "SELECT " USER_COLUMNS " FROM account_user WHERE id IN ({ids}) ORDER BY id",
                  ARGS(A_IDS(ids, count)), &user_shape, out, out_count);
}

str_t account_like(struct ctx *ctx, str_t part)
{
    struct buf pattern;
    buf_init(&pattern, ctx->arena, 2 * part.len + 8);
    buf_putc(&pattern, '%');
    for (size_t i = 0; i < part.len; i++) {
        if (part.data[i] == '%' || part.data[i] == '_' || part.data[i] == '!')
            buf_putc(&pattern, '!');
        buf_putc(&pattern, part.data[i]);
    }
    buf_putc(&pattern, '%');
    return buf_str(&pattern);
}

err_t account_user_search(struct ctx *ctx, str_t part, ref_t before, int limit, struct user **out,
                          size_t *out_count)
{
    return db_all(
        ctx,
        "SELECT " USER_COLUMNS " FROM account_user WHERE id < $1 "
        "AND (email LIKE $2 ESCAPE '!' OR name LIKE $2 ESCAPE '!') ORDER BY id DESC LIMIT $3",
        ARGS(A(before.value ? before.value : INT64_MAX), A(account_like(ctx, part)), A(limit)),
        &user_shape, out, out_count);
}

/* ---- changing ---- */
err_t account_profile_set(struct ctx *ctx, ref_t user, str_t name, str_t locale)
{
    if (locale.len && !str_is(locale, "zh") && !str_is(locale, "en"))
        return refuse_field(ctx, STR("/locale"), "not_in_list", "zh or en");
    return db_exec_one(
        ctx,
        "UPDATE account_user SET name = CASE WHEN $1 = '' THEN name ELSE $1 END, "
        "locale = CASE WHEN $2 = '' THEN locale ELSE $2 END, version = version + 1 WHERE id = $3",
        ARGS(A(name), A(locale), A(user)));
}

static err_t load_personal(struct ctx *ctx, ref_t user, ref_t *out)
{
    out->value = 0;
    return db_int(ctx, "SELECT personal_org_id FROM account_user WHERE id = $1", ARGS(A(user)),
                  &out->value);
}

err_t account_set_password(struct ctx *ctx, ref_t user, str_t verifier, ref_t keep_session)
{
    ref_t personal;
    struct telling telling;
    TRY(load_personal(ctx, user, &personal));
    if (personal.value == 0)
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such user");
    TRY(db_exec_one(ctx,
                    "UPDATE account_user SET verifier = $1, version = version + 1 WHERE id = $2",
                    ARGS(A(verifier), A(user))));
    TRY(db_exec(ctx, "DELETE FROM account_session WHERE user_id = $1 AND id <> $2",
                ARGS(A(user), A(keep_session)), NULL));
    telling_begin(ctx, &telling, FACT_USER_PASSWORD, "usr", user);
    telling.fact.owner_org = personal;
    telling_hears(&telling, personal);
    jw_put_ref(&telling.w, "user_id", "usr", user);
    jw_put_bool(&telling.w, "by_self", ref_is(ctx->actor.user_id, user));
    return telling_end(ctx, &telling, NULL);
}

err_t account_set_state(struct ctx *ctx, ref_t user, int state)
{
    ref_t personal;
    struct telling telling;
    ENSURE(state == USER_ACTIVE || state == USER_DISABLED);
    if (ref_is(ctx->actor.user_id, user))
        return refuse(ctx, ERR_STATE, "own_account", "nobody locks themselves out");
    TRY(load_personal(ctx, user, &personal));
    if (personal.value == 0)
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such user");
    int64_t changed = 0;
    TRY(db_exec(
        ctx,
        "UPDATE account_user SET status = $1, version = version + 1 WHERE id = $2 AND status <> $1",
        ARGS(A(state), A(user)), &changed));
    if (changed == 0)
        return OK;
    if (state == USER_DISABLED)
        TRY(db_exec(ctx, "DELETE FROM account_session WHERE user_id = $1", ARGS(A(user)), NULL));
    telling_begin(ctx, &telling, FACT_USER_DISABLED, "usr", user);
    telling.fact.owner_org = personal;
    telling_hears(&telling, personal);
    telling_hears(&telling, ctx->actor.org_id);
    jw_put_ref(&telling.w, "user_id", "usr", user);
    jw_put_bool(&telling.w, "disabled", state == USER_DISABLED);
    return telling_end(ctx, &telling, NULL);
}
