/* SPDX-License-Identifier: Apache-2.0 */
/* The cart of a person in an organisation: what is put aside, priced as it is now. */
#include "api/api.h"
#include "catalog/catalog.h"
#include "order/order.h"

static const char *cart_problem(struct ctx *ctx, const struct sku *sku, const struct store *store,
                                int32_t quantity)
{
    if (catalog_can_order(ctx, sku, store, quantity, STR("/quantity")) == OK)
        return NULL;
    const char *reason =
        ctx->problem.error_count ? ctx->problem.errors[0].code : ctx->problem.reason;
    problem_clear(ctx);
    return reason;
}

struct cart_view {
    struct cart_line *lines;
    struct sku *skus;
    struct store *stores;
    size_t line_count, sku_count, store_count;
};

static err_t cart_load(struct ctx *ctx, struct cart_view *v)
{
    TRY(cart_lines(ctx, &v->lines, &v->line_count));
    int64_t *ids = NEW_ARRAY(ctx, int64_t, v->line_count + 1),
            *stores = NEW_ARRAY(ctx, int64_t, v->line_count + 1);
    for (size_t i = 0; i < v->line_count; i++)
        ids[i] = v->lines[i].sku_id.value;
    TRY(catalog_skus(ctx, ids, v->line_count, &v->skus, &v->sku_count));
    for (size_t i = 0; i < v->sku_count; i++)
        stores[i] = v->skus[i].store_id.value;
    return store_find_many(ctx, stores, v->sku_count, &v->stores, &v->store_count);
}

static err_t write_cart_line(struct ctx *ctx, struct jw *w, const struct cart_view *v,
                             const struct cart_line *line, money_t *inout_total)
{
    const struct sku *sku = NULL;
    const struct store *store = NULL;
    for (size_t i = 0; i < v->sku_count; i++)
        if (ref_is(v->skus[i].id, line->sku_id))
            sku = &v->skus[i];
    for (size_t i = 0; sku && i < v->store_count; i++)
        if (ref_is(v->stores[i].m.id, sku->store_id))
            store = &v->stores[i];
    if (!sku || !store)
        return OK; /* no longer on offer and unknown: not shown, cleared with the cart */
    struct line_price price = {0};
    TRY(catalog_price(ctx, sku, line->quantity, &price));
    const char *problem = cart_problem(ctx, sku, store, line->quantity);
    jw_object(w);
    jw_put_ref(w, "line_id", "crt", line->id);
    jw_put_ref(w, "sku_id", "sku", line->sku_id);
    jw_put_int(w, "quantity", line->quantity);
    jw_put_ref(w, "product_id", "prd", sku->product_id);
    jw_put_text(w, "product_name", sku->product_name);
    jw_put_ref(w, "store_id", "sto", sku->store_id);
    jw_put_text(w, "store_name", store->name);
    jw_put_text(w, "region_code", sku->region_code);
    jw_put_text(w, "charge_mode", str_of(names_of(&charge_mode_names, sku->charge_mode)));
    jw_put_text_or_null(w, "term", sku->term);
    jw_key(w, "unit_price");
    jw_price(w, sku->unit_price);
    jw_put_text(w, "price_unit", str_of(names_of(&price_unit_names, sku->price_unit)));
    jw_put_int(w, "payable_fen", price.payable.fen);
    jw_put_int(w, "stock_available", sku->stock_available);
    jw_put_int(w, "min_qty", sku->min_qty);
    jw_put_int(w, "max_qty", sku->max_qty);
    jw_put_text_or_null(w, "problem", str_of(problem));
    jw_end_object(w);
    if (!problem && !money_add(*inout_total, price.payable, inout_total))
        return refuse(ctx, ERR_INPUT, "out_of_range", "the amount is too large");
    return OK;
}

static err_t get_cart(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct cart_view v = {0};
    struct jw *w = &reply->json;
    money_t total = {0};
    (void)request;
    TRY(cart_load(ctx, &v));
    jw_object(w);
    jw_key(w, "lines");
    jw_array(w);
    for (size_t i = 0; i < v.line_count; i++)
        TRY(write_cart_line(ctx, w, &v, &v.lines[i], &total));
    jw_end_array(w);
    jw_put_int(w, "payable_fen", total.fen);
    jw_end_object(w);
    return OK;
}

struct cart_body {
    int32_t quantity;
};
static const struct field cart_fields[] = {
    FIELD(struct cart_body, quantity, 0, 100000, FIELD_REQUIRED)};
static const struct shape cart_shape = SHAPE(struct cart_body, cart_fields);

static err_t put_cart_line(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    const struct cart_body *body = request->input;
    struct sku sku = {0};
    ref_t id;
    TRY(request_ref(ctx, request, 0, "sku", &id));
    if (body->quantity > 0)
        TRY(catalog_sku(ctx, id, &sku));
    TRY(cart_set(ctx, id, body->quantity));
    return get_cart(ctx, request, reply);
}

static err_t delete_cart_line(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    ref_t id;
    TRY(request_ref(ctx, request, 0, "sku", &id));
    TRY(cart_set(ctx, id, 0));
    return get_cart(ctx, request, reply);
}

static err_t delete_cart(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    TRY(cart_clear(ctx));
    return get_cart(ctx, request, reply);
}

static const struct route routes[] = {
    {"GET", "/api/v1/cart", PERM_ORDER_CREATE, TX_READ, NULL, get_cart, 0},
    {"DELETE", "/api/v1/cart", PERM_ORDER_CREATE, TX_WRITE, NULL, delete_cart, 0},
    {"PUT", "/api/v1/cart/lines/{id}", PERM_ORDER_CREATE, TX_WRITE, &cart_shape, put_cart_line, 0},
    {"DELETE", "/api/v1/cart/lines/{id}", PERM_ORDER_CREATE, TX_WRITE, NULL, delete_cart_line, 0},
};
const struct route_table cart_routes = ROUTES(routes);
