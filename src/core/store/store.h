/* SPDX-License-Identifier: Apache-2.0 */
/* Stores: application, review, credentials, connection, opening. Only an open store sells. */
#ifndef SUANHE_STORE_H
#define SUANHE_STORE_H

#include "account/account.h"

enum store_state {
    STORE_DRAFT = 1,
    STORE_SUBMITTED,
    STORE_REVIEWING,
    STORE_CHANGES_REQUESTED,
    STORE_REJECTED,
    STORE_APPROVED,
    STORE_CONNECTED,
    STORE_OPEN,
    STORE_PAUSED,
    STORE_SUSPENDED,
    STORE_CLOSED,
};
enum store_event {
    STORE_SUBMIT = 1,
    STORE_TAKE,
    STORE_APPROVE,
    STORE_REQUEST_CHANGES,
    STORE_REJECT,
    STORE_CONNECT,
    STORE_OPEN_UP,
    STORE_PAUSE,
    STORE_SUSPEND,
    STORE_RESUME,
    STORE_CLOSE
};
extern const struct fsm store_fsm;
extern const struct names store_state_names;

struct store {
    struct moving m;
    ref_t org_id;
    str_t name, uscc, legal_name, description, contact_name, contact_phone, region_code,
        if2_base_url;
    bool auto_listing, demo;
    int32_t commission_bp;
    str_t review_reasons; /* JSON array */
    str_t rules_version;
    utc_t created_at, updated_at;
};
struct store_application {
    str_t name, uscc, legal_name, description, contact_name, contact_phone, region_code,
        if2_base_url, accepted_rules_version;
};
extern const struct shape store_shape, store_application_shape;

err_t store_apply(struct ctx *ctx, const struct store_application *in, struct store *out);
err_t store_update(struct ctx *ctx, ref_t id, int64_t version, const struct store_application *in,
                   struct store *out);
err_t store_load(struct ctx *ctx, ref_t id, struct store *out);
err_t store_of_org(struct ctx *ctx, ref_t org, struct store **out, size_t *out_count);
/* state 0: all; newest first. */
err_t store_list(struct ctx *ctx, int state, ref_t before, int limit, struct store **out,
                 size_t *out_count);
err_t store_find_many(struct ctx *ctx, const int64_t *ids, size_t count, struct store **out,
                      size_t *out_count);
/* A store of the demo market: made, and moved to open by the same rules as any other. Only the
 * system does this. */
err_t store_import_demo(struct ctx *ctx, ref_t org, const struct store_application *in,
                        struct store *out);
/* Submit, take, approve, …: guards and who may do it are in the rules; reasons for refusals. */
err_t store_fire(struct ctx *ctx, ref_t id, int event, const str_t *reasons, size_t reason_count,
                 struct store *out);
/* Credentials for both directions; a new set replaces the old one (valid 24 h more). The bearer is
 * kept encrypted. */
struct store_credentials {
    ref_t client_id;
    str_t client_secret, if2_bearer;
};
err_t store_make_credentials(struct ctx *ctx, ref_t id, struct store_credentials *out);
/* For outbound calls: base URL and bearer. */
err_t store_outbound(struct ctx *ctx, ref_t id, str_t *out_base_url, str_t *out_bearer);
err_t store_connected(struct ctx *ctx, ref_t id, struct store *out);

#endif
