/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to scheduling platforms, built from an order as it stands. Internal to if2. */
#ifndef SUANHE_IF2_OUTBOUND_H
#define SUANHE_IF2_OUTBOUND_H

#include "if2/if2.h"
#include "order/order.h"

struct outbound_content {
    struct order child;
    struct order_item *items;
    size_t item_count;
    str_t base_url, bearer, subject; /* subject: the buyer's pairwise name at this provider */
    utc_t occurred_at;
};
struct outbound_message {
    const char *method;
    str_t path, body;
};
/* R16 and R8 as JSON; message is the delivery's payload. */
str_t outbound_order(struct ctx *ctx, const struct outbound_content *content);
str_t outbound_change(struct ctx *ctx, const struct outbound_content *content,
                      const struct json *message);
/* The only place that calls a scheduling platform for orders. ERR_UPSTREAM without an answer. */
err_t outbound_send(struct ctx *ctx, struct http_client *client, const struct if2_outbound *options,
                    const struct outbound_content *content, const struct outbound_message *message,
                    struct http_answer *out);

#endif
