/* SPDX-License-Identifier: Apache-2.0 */
/* Users, organisations and their members, sessions, machine clients, permissions. Everything that
 * belongs to somebody belongs to an organisation; a person has one of their own. Deny by default.
 */
#ifndef SUANHE_ACCOUNT_H
#define SUANHE_ACCOUNT_H

#include "base/base.h"
#include "db/db.h"
#include "event/event.h"

enum org_kind { ORG_CONSUMER = 1, ORG_PROVIDER = 2, ORG_OPERATOR = 3 };
enum role { /* bits */
            ROLE_OWNER = 1,
            ROLE_ADMIN = 2,
            ROLE_FINANCE = 4,
            ROLE_OPERATIONS = 8,
            ROLE_MEMBER = 16,
            ROLE_VIEWER = 32,
            ROLE_AUDITOR = 64,
};
enum permission {
    PERM_NONE = 0,
    PERM_ACCOUNT_SELF, /* account.self: any signed-in user */
    PERM_ORG_READ,
    PERM_ORG_MANAGE,
    PERM_EVENTS_READ,
    PERM_EVIDENCE_READ,
    PERM_ORDER_CREATE, /* consumer */
    PERM_ORDER_READ,
    PERM_ORDER_PAY,
    PERM_ORDER_CANCEL,
    PERM_SERVICE_READ,
    PERM_BALANCE_READ,
    PERM_STORE_READ, /* provider */
    PERM_STORE_MANAGE,
    PERM_STORE_REVIEW, /* operator */
    PERM_CREDIT_BOOK,
    PERM_ADMIN_READ,
    PERM_ADMIN_SYNC,
    PERM_ADMIN_USER,
    PERM_IF2_PRODUCT_WRITE, /* machine clients */
    PERM_IF2_ORDER_WRITE,
    PERM_IF2_ORDER_READ,
    PERM_COUNT,
};
extern const struct names org_kind_names, role_names /* by bit number */,
    permission_names; /* "order.create" */
/* A machine client's scopes stand above the roles in actor.roles: permission PERM_IF2_x is bit
 * SCOPE_SHIFT + x's place. */
enum { SCOPE_SHIFT = 16, SCOPES_ALL = 7 };
extern const struct names scope_names; /* by bit number */
bool permission_allowed(int permission, const struct actor *actor);
void permission_write(struct jw *w, const struct actor *actor); /* array of names held */

struct user {
    ref_t id;
    str_t email, name, locale;
    int32_t state; /* 1 active, 2 disabled */
    utc_t created_at;
    int64_t version;
};
struct org {
    ref_t id;
    str_t name;
    int32_t kind;
    bool personal;
    ref_t created_by;
    utc_t created_at;
};
struct membership {
    ref_t org_id;
    str_t name;
    int32_t kind;
    bool personal;
    int32_t roles;
};

/* ---- registration and sessions; password work is done before the transaction, so these take a
 * verifier ---- */
struct registration {
    str_t email, password, name, consent_version;
};
extern const struct shape registration_shape;
/* Form and strength of a password, and not the e-mail; refuses naming the field. */
err_t account_check_password(struct ctx *ctx, str_t password, str_t email, const char *pointer);
err_t account_register(struct ctx *ctx, const struct registration *in, str_t verifier,
                       struct user *out, ref_t *out_org);
/* The verifier of an e-mail (a fixed one when unknown, so that time tells nothing). */
err_t account_verifier(struct ctx *ctx, str_t email, str_t *out_verifier, ref_t *out_user,
                       bool *out_known);
/* Throttle: refuses ERR_LIMIT `throttled` with retry_after when this (ip, e-mail) failed too often.
 */
err_t account_login_admit(struct ctx *ctx, str_t email, str_t ip);
err_t account_login_failed(struct ctx *ctx, str_t email, str_t ip);
struct session_new {
    ref_t session_id;
    str_t token; /* goes into the cookie; only its SM3 is stored */
    str_t csrf_token;
};
err_t account_session_open(struct ctx *ctx, ref_t user, str_t user_agent, str_t ip,
                           struct session_new *out);
err_t account_session_close(struct ctx *ctx, ref_t session);
/* Fills ctx->actor from a cookie token; wrong or expired leaves nobody. csrf NULL: not checked
 * (GET). x_org empty: personal. Refuses `csrf_failed` (403), `not_a_member` (403). */
err_t account_authenticate_cookie(struct ctx *ctx, str_t token, const str_t *csrf, str_t x_org);
/* ctx->actor goes on for another organisation of the same user (`not_a_member`). */
err_t account_act_for(struct ctx *ctx, ref_t org);
str_t account_csrf(struct ctx *ctx, ref_t session);

err_t account_user_load(struct ctx *ctx, ref_t id, struct user *out);
err_t account_user_by_email(struct ctx *ctx, str_t email, struct user *out, bool *out_found);
err_t account_user_names(struct ctx *ctx, const int64_t *ids, size_t count, struct user **out,
                         size_t *out_count);
err_t account_org_load(struct ctx *ctx, ref_t id, struct org *out);
err_t account_org_names(struct ctx *ctx, const int64_t *ids, size_t count, struct org **out,
                        size_t *out_count);
err_t account_memberships(struct ctx *ctx, ref_t user, struct membership **out, size_t *out_count);
err_t account_org_create(struct ctx *ctx, str_t name, int kind, struct org *out);
/* Nobody grants more than they hold (`role_too_high`); the last owner stays (`last_owner`). roles 0
 * removes. */
err_t account_member_set(struct ctx *ctx, ref_t org, ref_t user, int32_t roles);
err_t account_set_password(struct ctx *ctx, ref_t user, str_t verifier, ref_t keep_session);
err_t account_set_state(struct ctx *ctx, ref_t user, int state);
/* Commands and first start: the operator organisation exists once. */
err_t account_operator_org(struct ctx *ctx, ref_t *out_org);

/* The same without making it; *out_found says whether. */
err_t account_operator_find(struct ctx *ctx, ref_t *out_org, bool *out_found);
/* The operator organisation and an owner of it with this e-mail; a user known already only becomes
 * an owner. */
err_t account_bootstrap(struct ctx *ctx, str_t email, str_t verifier, struct user *out);
/* Lower case, one `@`, no blanks; false when it cannot be an address. */
bool account_normalise_email(struct arena *arena, str_t email, str_t *out);
/* Name and locale (zh, en); an empty one stays. */
err_t account_profile_set(struct ctx *ctx, ref_t user, str_t name, str_t locale);
/* By a part of e-mail or name (empty: all), newest first. */
err_t account_user_search(struct ctx *ctx, str_t part, ref_t before, int limit, struct user **out,
                          size_t *out_count);
err_t account_org_search(struct ctx *ctx, str_t part, ref_t before, int limit, struct org **out,
                         size_t *out_count);
struct member {
    ref_t user_id;
    str_t name, email;
    int32_t roles;
    utc_t joined_at;
};
err_t account_members(struct ctx *ctx, ref_t org, struct member **out, size_t *out_count);
void roles_write(struct jw *w, int32_t roles); /* array of names */
/* Bits of role names; refuses a name it does not know by its place under pointer. */
err_t roles_read(struct ctx *ctx, const str_t *names, size_t count, const char *pointer,
                 int32_t *out);
struct session {
    ref_t id;
    str_t user_agent, ip;
    utc_t created_at, last_seen_at;
};
err_t account_sessions(struct ctx *ctx, ref_t user, struct session **out, size_t *out_count);

/* ---- machine clients (scheduling platforms) ---- */
struct client_new {
    ref_t client_id;
    str_t secret;
};
err_t account_client_create(struct ctx *ctx, ref_t org, ref_t store, struct client_new *out);
/* Checks id and secret (constant time) and opens a token of 10 minutes for the scopes asked (empty:
 * all held). */
err_t account_token_open(struct ctx *ctx, str_t client_id, str_t secret, str_t scope,
                         str_t *out_token, str_t *out_scope);
/* Fills ctx->actor from a bearer; refuses `invalid_token`. */
err_t account_authenticate_bearer(struct ctx *ctx, str_t token);
/* The store a client acts for. */
err_t account_client_store(struct ctx *ctx, ref_t client, ref_t *out_store);
/* The pairwise subject of a user at a provider (random, kept from its first use). */
err_t account_subject(struct ctx *ctx, ref_t provider_org, ref_t user, str_t *out_subject);

#endif
