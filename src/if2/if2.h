/* SPDX-License-Identifier: Apache-2.0 */
/* The open interface with scheduling platforms, both directions: what they call (routes), what we
 * send (outbound), and the durable delivery between (sync). Holds no SQL and no business rule. */
#ifndef SUANHE_IF2_H
#define SUANHE_IF2_H

#include "account/account.h"
#include "http/http.h"
#include "job/job.h"

/* Inbound. */
extern const struct route_table if2_token_routes;   /* /oauth2/token */
extern const struct route_table if2_product_routes; /* R5 */
extern const struct route_table if2_order_routes;   /* R17 and its query twin */

/* The store of the calling machine client. */
err_t if2_caller_store(struct ctx *ctx, ref_t *out_store);

/* Outbound. */
struct if2_outbound {
    str_t plain_networks; /* to which plain http and private addresses are allowed */
};
struct if2_sync;
/* Handlers of the order jobs (delivery, timers, settlement) for job_start; state is an if2_sync. */
struct if2_sync *if2_sync_new(const struct if2_outbound *options);
void if2_sync_free(struct if2_sync *sync);
int if2_sync_handlers(struct if2_sync *sync, struct job_handler *out, int max);

#endif
