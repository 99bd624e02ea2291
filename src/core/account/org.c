/* SPDX-License-Identifier: Apache-2.0 */
/* Organisations and their members. Nobody grants more than they hold; an organisation never loses
 * its last owner. */
#include <inttypes.h>

#include "account_internal.h"

static const struct field org_fields[] = {
    FIELD_REF(struct org, id, "org", 0),
    FIELD(struct org, name, 1, 80, 0),
    FIELD_ENUM(struct org, kind, &org_kind_names, 0),
    FIELD(struct org, personal, 0, 1, 0),
    FIELD_REF(struct org, created_by, "usr", 0),
    FIELD(struct org, created_at, 0, INT64_MAX, 0),
};
static const struct shape org_shape = SHAPE(struct org, org_fields);
#define ORG_COLUMNS "id, name, kind, personal, created_by, created_at"

err_t account_add_org(struct ctx *ctx, const struct org *org)
{
    return db_exec_one(ctx,
                       "INSERT INTO account_org (id, name, kind, personal, created_by, created_at) "
                       "VALUES ($1, $2, $3, $4, $5, $6)",
                       ARGS(A(org->id), A(org->name), A(org->kind), A(org->personal),
                            A(org->created_by), A(org->created_at)));
}

err_t account_add_member(struct ctx *ctx, ref_t org, ref_t user, int32_t roles)
{
    return db_exec_one(
        ctx,
        "INSERT INTO account_member (org_id, user_id, roles, joined_at) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (org_id, user_id) DO UPDATE SET roles = excluded.roles",
        ARGS(A(org), A(user), A(roles), A(ctx->now)));
}

static err_t tell_org(struct ctx *ctx, const struct org *org)
{
    struct telling telling;
    telling_begin(ctx, &telling, FACT_ORG_CREATE, "org", org->id);
    telling.fact.owner_org = org->id;
    telling_hears(&telling, org->id);
    jw_put_ref(&telling.w, "org_id", "org", org->id);
    jw_put_text(&telling.w, "kind", str_of(names_of(&org_kind_names, org->kind)));
    return telling_end(ctx, &telling, NULL);
}

err_t account_org_create(struct ctx *ctx, str_t name, int kind, struct org *out)
{
    name = str_trim(name);
    if (kind != ORG_CONSUMER && kind != ORG_PROVIDER)
        return refuse_field(ctx, STR("/kind"), "not_in_list", "consumer or provider");
    if (str_utf8_count(name) < 2)
        return refuse_field(ctx, STR("/name"), "too_short", "at least 2 characters");
    struct org org = {.id = id_make(ctx->platform->ids, ctx->now),
                      .name = name,
                      .kind = kind,
                      .created_by = ctx->actor.user_id,
                      .created_at = ctx->now};
    TRY(account_add_org(ctx, &org));
    if (ctx->actor.user_id.value != 0)
        TRY(account_add_member(ctx, org.id, ctx->actor.user_id, ROLE_OWNER));
    TRY(tell_org(ctx, &org));
    *out = org;
    return OK;
}

err_t account_operator_find(struct ctx *ctx, ref_t *out_org, bool *out_found)
{
    out_org->value = 0;
    TRY(db_int(ctx, "SELECT id FROM account_org WHERE kind = 3", NO_ARGS, &out_org->value));
    *out_found = out_org->value != 0;
    return OK;
}

err_t account_operator_org(struct ctx *ctx, ref_t *out_org)
{
    bool found = false;
    TRY(account_operator_find(ctx, out_org, &found));
    if (found)
        return OK;
    struct org org = {.id = id_make(ctx->platform->ids, ctx->now),
                      .name = STR("平台运营方"),
                      .kind = ORG_OPERATOR,
                      .created_at = ctx->now};
    TRY(account_add_org(ctx, &org));
    *out_org = org.id;
    return tell_org(ctx, &org);
}

/* ---- reading ---- */
err_t account_org_load(struct ctx *ctx, ref_t id, struct org *out)
{
    return db_one(ctx, "SELECT " ORG_COLUMNS " FROM account_org WHERE id = $1", ARGS(A(id)),
                  &org_shape, out);
}

err_t account_org_names(struct ctx *ctx, const int64_t *ids, size_t count, struct org **out,
                        size_t *out_count)
{
    return db_all(ctx, "SELECT " ORG_COLUMNS " FROM account_org WHERE id IN ({ids}) ORDER BY id",
                  ARGS(A_IDS(ids, count)), &org_shape, out, out_count);
}

err_t account_org_search(struct ctx *ctx, str_t part, ref_t before, int limit, struct org **out,
                         size_t *out_count)
{
    return db_all(
        ctx,
        "SELECT " ORG_COLUMNS " FROM account_org WHERE id < $1 AND name LIKE $2 ESCAPE '!' "
        "ORDER BY id DESC LIMIT $3",
        ARGS(A(before.value ? before.value : INT64_MAX), A(account_like(ctx, part)), A(limit)),
        &org_shape, out, out_count);
}

static const struct field membership_fields[] = {
    FIELD_REF(struct membership, org_id, "org", 0),
    FIELD(struct membership, name, 1, 80, 0),
    FIELD_ENUM(struct membership, kind, &org_kind_names, 0),
    FIELD(struct membership, personal, 0, 1, 0),
    FIELD(struct membership, roles, 0, ROLES_ALL, 0),
};
static const struct shape membership_shape = SHAPE(struct membership, membership_fields);

err_t account_memberships(struct ctx *ctx, ref_t user, struct membership **out, size_t *out_count)
{
    return db_all(ctx,
                  "SELECT account_org.id AS org_id, account_org.name, account_org.kind, "
                  "account_org.personal, "
                  "account_member.roles FROM account_member JOIN account_org ON account_org.id = "
                  "account_member.org_id "
                  "WHERE account_member.user_id = $1 ORDER BY account_org.id LIMIT 200",
                  ARGS(A(user)), &membership_shape, out, out_count);
}

static const struct field member_fields[] = {
    FIELD_REF(struct member, user_id, "usr", 0),      FIELD(struct member, name, 0, 80, 0),
    FIELD(struct member, email, 0, 254, 0),           FIELD(struct member, roles, 0, ROLES_ALL, 0),
    FIELD(struct member, joined_at, 0, INT64_MAX, 0),
};
static const struct shape member_shape = SHAPE(struct member, member_fields);

err_t account_members(struct ctx *ctx, ref_t org, struct member **out, size_t *out_count)
{
    return db_all(ctx,
                  "SELECT account_member.user_id, account_user.name, account_user.email, "
                  "account_member.roles, "
                  "account_member.joined_at FROM account_member "
                  "JOIN account_user ON account_user.id = account_member.user_id "
                  "WHERE account_member.org_id = $1 ORDER BY account_member.user_id LIMIT 1000",
                  ARGS(A(org)), &member_shape, out, out_count);
}

/* ---- members ---- */
/* What somebody may hand on: an owner everything, an admin also the working roles below. */
static int32_t grantable(uint32_t roles)
{
    if (roles & ROLE_OWNER)
        return ROLES_ALL;
    int32_t held = (int32_t)(roles & ROLES_ALL);
    if (roles & ROLE_ADMIN)
        held |= ROLE_OPERATIONS | ROLE_MEMBER | ROLE_VIEWER;
    return held;
}

/* The organisation's row stands for its list of members: two changes wait for each other. */
static err_t lock_org(struct ctx *ctx, ref_t org_id, struct org *out)
{
    return db_one(ctx, "SELECT " ORG_COLUMNS " FROM account_org WHERE id = $1 {for_update}",
                  ARGS(A(org_id)), &org_shape, out);
}

static err_t check_last_owner(struct ctx *ctx, ref_t org, ref_t user)
{
    int64_t others = 0;
    TRY(db_int(ctx,
               "SELECT COUNT(*) FROM account_member JOIN account_user ON account_user.id = "
               "account_member.user_id "
               "WHERE org_id = $1 AND user_id <> $2 AND status = 1 AND (roles & 1) = 1",
               ARGS(A(org), A(user)), &others));
    if (others == 0)
        return refuse(ctx, ERR_STATE, "last_owner", "somebody has to own the organisation");
    return OK;
}

static err_t tell_member(struct ctx *ctx, ref_t org, ref_t user, int32_t roles)
{
    struct telling telling;
    telling_begin(ctx, &telling, FACT_MEMBER_CHANGE, "org", org);
    telling.fact.owner_org = org;
    telling_hears(&telling, org);
    jw_put_ref(&telling.w, "org_id", "org", org);
    jw_put_ref(&telling.w, "user_id", "usr", user);
    jw_key(&telling.w, "roles");
    roles_write(&telling.w, roles);
    return telling_end(ctx, &telling, NULL);
}

err_t account_member_set(struct ctx *ctx, ref_t org_id, ref_t user, int32_t roles)
{
    struct org org = {0};
    int64_t before = 0;
    ENSURE(roles >= 0 && roles <= ROLES_ALL);
    TRY(lock_org(ctx, org_id, &org));
    if (org.personal)
        return refuse(ctx, ERR_STATE, "personal_org", "a personal organisation has one member");
    TRY(db_int(ctx, "SELECT roles FROM account_member WHERE org_id = $1 AND user_id = $2",
               ARGS(A(org_id), A(user)), &before));
    if (before == 0 && roles == 0)
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such member");
    int32_t may = grantable(ctx->actor.roles);
    if ((roles & ~may) != 0 || ((int32_t)before & ~may) != 0)
        return refuse(ctx, ERR_DENIED, "role_too_high",
                      "nobody grants or takes more than they hold");
    if ((before & ROLE_OWNER) && !(roles & ROLE_OWNER))
        TRY(check_last_owner(ctx, org_id, user));
    if (roles == before)
        return OK;
    if (roles == 0)
        TRY(db_exec_one(ctx, "DELETE FROM account_member WHERE org_id = $1 AND user_id = $2",
                        ARGS(A(org_id), A(user))));
    else
        TRY(account_add_member(ctx, org_id, user, roles));
    return tell_member(ctx, org_id, user, roles);
}
