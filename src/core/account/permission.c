/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what: one table from a permission to the kinds of organisation and the roles that hold
 * it. The owner holds every permission of its kind of organisation; what is not in the table is
 * nobody's. */
#include <assert.h>

#include "account_internal.h"

static const char *const org_kinds[] = {
    [ORG_CONSUMER] = "consumer", [ORG_PROVIDER] = "provider", [ORG_OPERATOR] = "operator"};
const struct names org_kind_names = NAMES(org_kinds);

static const char *const roles[] = {"owner",  "admin",  "finance", "operations",
                                    "member", "viewer", "auditor"};
const struct names role_names = NAMES(roles);

static const char *const scopes[] = {"if2.product.write", "if2.order.write", "if2.order.read"};
const struct names scope_names = NAMES(scopes);

static const char *const permissions[] = {
    [PERM_ACCOUNT_SELF] = "account.self",
    [PERM_ORG_READ] = "org.read",
    [PERM_ORG_MANAGE] = "org.manage",
    [PERM_EVENTS_READ] = "events.read",
    [PERM_EVIDENCE_READ] = "evidence.read",
    [PERM_ORDER_CREATE] = "order.create",
    [PERM_ORDER_READ] = "order.read",
    [PERM_ORDER_PAY] = "order.pay",
    [PERM_ORDER_CANCEL] = "order.cancel",
    [PERM_SERVICE_READ] = "service.read",
    [PERM_BALANCE_READ] = "balance.read",
    [PERM_STORE_READ] = "store.read",
    [PERM_STORE_MANAGE] = "store.manage",
    [PERM_STORE_REVIEW] = "store.review",
    [PERM_CREDIT_BOOK] = "credit.book",
    [PERM_ADMIN_READ] = "admin.read",
    [PERM_ADMIN_SYNC] = "admin.sync",
    [PERM_ADMIN_USER] = "admin.user",
    [PERM_IF2_PRODUCT_WRITE] = "if2.product.write",
    [PERM_IF2_ORDER_WRITE] = "if2.order.write",
    [PERM_IF2_ORDER_READ] = "if2.order.read",
};
const struct names permission_names = NAMES(permissions);
static_assert(sizeof permissions / sizeof permissions[0] == PERM_COUNT,
              "every permission has a name");

enum {
    CONSUMER = 1 << ORG_CONSUMER,
    PROVIDER = 1 << ORG_PROVIDER,
    OPERATOR = 1 << ORG_OPERATOR,
    ANY_ORG = CONSUMER | PROVIDER | OPERATOR,
    ANYBODY = ROLES_ALL,
};

struct grant {
    uint32_t org_kinds, roles;
    int scope_bit; /* of a machine client; 0: none */
};
static const struct grant grants[PERM_COUNT] = {
    [PERM_ACCOUNT_SELF] = {ANY_ORG, ANYBODY, 0},
    [PERM_ORG_READ] = {ANY_ORG, ANYBODY, 0},
    [PERM_ORG_MANAGE] = {ANY_ORG, ROLE_OWNER | ROLE_ADMIN, 0},
    [PERM_EVENTS_READ] = {ANY_ORG, ANYBODY, 0},
    [PERM_EVIDENCE_READ] = {ANY_ORG, ANYBODY, 0},
    [PERM_ORDER_CREATE] = {CONSUMER, ROLE_OWNER | ROLE_ADMIN | ROLE_MEMBER, 0},
    [PERM_ORDER_READ] = {CONSUMER, ANYBODY, 0},
    [PERM_ORDER_PAY] = {CONSUMER, ROLE_OWNER | ROLE_ADMIN | ROLE_FINANCE, 0},
    [PERM_ORDER_CANCEL] = {CONSUMER, ROLE_OWNER | ROLE_ADMIN | ROLE_MEMBER, 0},
    [PERM_SERVICE_READ] = {CONSUMER, ANYBODY, 0},
    [PERM_BALANCE_READ] = {CONSUMER, ANYBODY, 0},
    [PERM_STORE_READ] = {PROVIDER, ANYBODY, 0},
    [PERM_STORE_MANAGE] = {PROVIDER, ROLE_OWNER | ROLE_ADMIN, 0},
    [PERM_STORE_REVIEW] = {OPERATOR, ROLE_OWNER | ROLE_ADMIN | ROLE_OPERATIONS, 0},
    [PERM_CREDIT_BOOK] = {OPERATOR, ROLE_OWNER | ROLE_FINANCE, 0},
    [PERM_ADMIN_READ] = {OPERATOR, ANYBODY & ~ROLE_MEMBER, 0},
    [PERM_ADMIN_SYNC] = {OPERATOR, ROLE_OWNER | ROLE_ADMIN | ROLE_OPERATIONS, 0},
    [PERM_ADMIN_USER] = {OPERATOR, ROLE_OWNER | ROLE_ADMIN, 0},
    [PERM_IF2_PRODUCT_WRITE] = {0, 0, 1 << SCOPE_SHIFT},
    [PERM_IF2_ORDER_WRITE] = {0, 0, 2 << SCOPE_SHIFT},
    [PERM_IF2_ORDER_READ] = {0, 0, 4 << SCOPE_SHIFT},
};

bool permission_allowed(int permission, const struct actor *actor)
{
    if (permission <= PERM_NONE || permission >= PERM_COUNT)
        return false;
    const struct grant *grant = &grants[permission];
    if (actor->client_id.value != 0)
        return actor->user_id.value == 0 && (actor->roles & (uint32_t)grant->scope_bit) != 0;
    if (permission == PERM_ACCOUNT_SELF && actor->user_id.value == 0)
        return false;
    if (actor->org_id.value == 0 || actor->org_kind < ORG_CONSUMER ||
        actor->org_kind > ORG_OPERATOR)
        return false;
    return (grant->org_kinds & 1u << actor->org_kind) != 0 && (grant->roles & actor->roles) != 0;
}

void permission_write(struct jw *w, const struct actor *actor)
{
    jw_array(w);
    for (int permission = 1; permission < PERM_COUNT; permission++)
        if (permission_allowed(permission, actor))
            jw_text(w, str_of(permissions[permission]));
    jw_end_array(w);
}

void roles_write(struct jw *w, int32_t held)
{
    jw_array(w);
    for (int bit = 0; bit < role_names.count; bit++)
        if (held & 1 << bit)
            jw_text(w, str_of(roles[bit]));
    jw_end_array(w);
}

err_t roles_read(struct ctx *ctx, const str_t *names, size_t count, const char *pointer,
                 int32_t *out)
{
    int32_t bits = 0;
    for (size_t i = 0; i < count; i++) {
        int bit;
        if (!names_find(&role_names, names[i], &bit))
            return refuse_field(ctx, str_printf(ctx->arena, "%s/%zu", pointer, i), "not_in_list",
                                "no such role");
        bits |= 1 << bit;
    }
    *out = bits;
    return OK;
}
