/* SPDX-License-Identifier: Apache-2.0 */
/* What scheduling platforms tell us of orders: the fulfilment report (R17), and the twin by which
 * an unknown outcome resolves. A caller sees the child orders of its own store only. */
#include <inttypes.h>

#include "crypto/crypto.h"
#include "if2/if2.h"
#include "order/order.h"
#include "proof/proof.h"

err_t if2_caller_store(struct ctx *ctx, ref_t *out_store)
{
    return account_client_store(ctx, ctx->actor.client_id, out_store);
}

static err_t load_child(struct ctx *ctx, const struct request *request, struct order *out)
{
    ref_t id, store;
    struct order child = {0};
    if (request_ref(ctx, request, 0, "ord", &id) != OK) {
        problem_clear(ctx);
        return refuse(ctx, ERR_NOT_FOUND, "order_unknown", "not an order id");
    }
    TRY(if2_caller_store(ctx, &store));
    err_t err = order_load(ctx, id, &child);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    if (err == ERR_NOT_FOUND || child.kind != ORDER_CHILD || !ref_is(child.store_id, store)) {
        problem_clear(ctx);
        return refuse(ctx, ERR_NOT_FOUND, "order_unknown", "no such order of this store");
    }
    *out = child;
    return OK;
}

static err_t post_fulfilment(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct order child = {0}, after = {0};
    hash_t digest;
    TRY(load_child(ctx, request, &child));
    sm3(request->body, digest.bytes);
    TRY(order_report(ctx, child.m.id, request->input, &digest, &after));
    struct jw *w = &reply->json;
    jw_object(w);
    jw_put_ref(w, "order_id", "ord", after.m.id);
    jw_put_text(w, "state", str_of(names_of(&order_state_names, after.m.state)));
    jw_put_int(w, "version", after.m.version);
    jw_end_object(w);
    reply_etag(ctx, reply, after.m.version);
    return OK;
}

static err_t get_order(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct order child = {0};
    struct order_item *items;
    size_t count;
    TRY(load_child(ctx, request, &child));
    TRY(order_items(ctx, &child.m.id.value, 1, &items, &count));
    struct jw *w = &reply->json;
    jw_object(w);
    jw_put_ref(w, "order_id", "ord", child.m.id);
    jw_put_text(w, "order_no", order_no(ctx->arena, child.m.id));
    jw_put_text(w, "state", str_of(names_of(&order_state_names, child.m.state)));
    jw_put_int(w, "version", child.m.version);
    jw_put_int(w, "provider_sequence", child.provider_sequence);
    jw_put_int(w, "sequence", child.outbound_sequence);
    jw_key(w, "items");
    jw_array(w);
    for (size_t i = 0; i < count; i++) {
        jw_object(w);
        jw_put_ref(w, "item_id", "itm", items[i].m.id);
        jw_put_ref(w, "instance_id", "ins", items[i].instance_id);
        jw_put_text(w, "state", str_of(names_of(&item_state_names, items[i].m.state)));
        jw_put_int(w, "quantity", items[i].quantity);
        jw_end_object(w);
    }
    jw_end_array(w);
    jw_end_object(w);
    reply_etag(ctx, reply, child.m.version);
    return OK;
}

static const struct route routes[] = {
    {"POST", "/if2/v1/orders/{id}/fulfilments", PERM_IF2_ORDER_WRITE, TX_WRITE, &report_shape,
     post_fulfilment, 0},
    {"GET", "/if2/v1/orders/{id}", PERM_IF2_ORDER_READ, TX_READ, NULL, get_order, 0},
};
const struct route_table if2_order_routes = ROUTES(routes);
