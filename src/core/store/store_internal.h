/* SPDX-License-Identifier: Apache-2.0 */
/* Private to core/store. */
#ifndef SUANHE_STORE_INTERNAL_H
#define SUANHE_STORE_INTERNAL_H

#include "store/store.h"

enum { COMMISSION_BP = 500 };

#define STORE_COLUMNS                                                                             \
    "id, state, version, last_event_id, org_id, name, uscc, legal_name, description, "            \
    "contact_name, contact_phone, region_code, if2_base_url, auto_listing, demo, commission_bp, " \
    "review_reasons, rules_version, created_at, updated_at"

/* Checks the code, the address and the form of the rest; names the field. */
err_t store_check_application(struct ctx *ctx, const struct store_application *in);
/* The acting organisation owns the store, or nobody acts (the system); another's store is not
 * found. */
err_t store_own(struct ctx *ctx, const struct store *store);
/* Appends a fact that the store's organisation and the operator hear. */
err_t store_tell(struct ctx *ctx, const struct store *store, int type, str_t payload,
                 ref_t *out_event_id);

#endif
