/* SPDX-License-Identifier: Apache-2.0 */
/* Private to core/account: tokens (an id and a secret, of which SM3 is stored), and rows shared by
 * its files. */
#ifndef SUANHE_ACCOUNT_INTERNAL_H
#define SUANHE_ACCOUNT_INTERNAL_H

#include "account/account.h"
#include "crypto/crypto.h"

enum { SECRET_BYTES = 32, ROLES_ALL = 127 };
enum { USER_ACTIVE = 1, USER_DISABLED = 2 };

extern const struct shape user_shape;
#define USER_COLUMNS "id, email, name, locale, status AS state, created_at, version"

/* base64url of id (8 bytes, big-endian) and 32 random bytes; *out_digest is what to store. */
str_t account_token_make(struct ctx *ctx, ref_t id, str_t *out_digest);
/* false: not such a text. *out_digest is what the stored one has to equal. */
bool account_token_read(struct ctx *ctx, str_t token, ref_t *out_id, str_t *out_digest);
str_t account_digest(struct ctx *ctx, str_t secret);

/* Appends a fact whose payload was written by w into buf. */
struct telling {
    struct fact fact;
    struct buf payload;
    struct jw w;
};
void telling_begin(struct ctx *ctx, struct telling *telling, int type, const char *prefix,
                   ref_t object);
void telling_hears(struct telling *telling, ref_t org);
err_t telling_end(struct ctx *ctx, struct telling *telling, ref_t *out_event_id);

err_t account_add_member(struct ctx *ctx, ref_t org, ref_t user, int32_t roles);
err_t account_add_org(struct ctx *ctx, const struct org *org);
/* A LIKE pattern (ESCAPE '!') for texts that hold part. */
str_t account_like(struct ctx *ctx, str_t part);
/* Forgets failed logins after a good one. */
err_t account_login_forget(struct ctx *ctx, str_t email, str_t ip);

#endif
