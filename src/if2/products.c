/* SPDX-License-Identifier: Apache-2.0 */
/* R5: scheduling platforms report products, stock, prices and delistings, one by one or in batches.
 */
#include "catalog/catalog.h"
#include "if2/if2.h"

static void write_state(struct ctx *ctx, struct reply *reply, const struct product *product)
{
    struct jw *w = &reply->json;
    jw_put_ref(w, "product_id", "prd", product->m.id);
    jw_put_text(w, "state", str_of(names_of(&product_state_names, product->m.state)));
    jw_put_int(w, "version", product->m.version);
    jw_put_int(w, "provider_version", product->provider_version);
    reply_etag(ctx, reply, product->m.version);
}

static err_t put_product(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    ref_t store;
    struct product_reported out = {0};
    TRY(if2_caller_store(ctx, &store));
    if (request->params[0].len == 0 || request->params[0].len > 64)
        return refuse_field(ctx, STR("/external_product_id"), "too_long", "1 to 64 characters");
    TRY(catalog_report(ctx, store, request->params[0], request->input, &out));
    reply->status = out.created ? 201 : 200;
    struct jw *w = &reply->json;
    jw_object(w);
    write_state(ctx, reply, &out.product);
    jw_key(w, "sku_ids");
    jw_array(w);
    for (size_t i = 0; i < out.sku_count; i++) {
        jw_object(w);
        jw_put_text(w, "external_sku_id", out.skus[i].external_id);
        jw_put_ref(w, "sku_id", "sku", out.skus[i].id);
        jw_end_object(w);
    }
    jw_end_array(w);
    jw_key(w, "violations");
    jw_array(w);
    jw_end_array(w);
    jw_end_object(w);
    return OK;
}

static err_t patch_inventory(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    ref_t store;
    const struct inventory *in = request->input;
    TRY(if2_caller_store(ctx, &store));
    TRY(catalog_report_inventory(ctx, store, request->params[0], request->params[1], in));
    jw_object(&reply->json);
    jw_put_int(&reply->json, "available", in->available);
    jw_put_int(&reply->json, "total", in->total);
    jw_put_utc(&reply->json, "as_of", in->as_of);
    jw_end_object(&reply->json);
    return OK;
}

struct price_patch {
    price_t unit_price;
    int64_t provider_version;
};
static const struct field price_patch_fields[] = {
    FIELD(struct price_patch, unit_price, 0, (int64_t)99999999 * 10000000000, FIELD_REQUIRED),
    FIELD(struct price_patch, provider_version, 1, INT64_MAX, FIELD_REQUIRED),
};
static const struct shape price_patch_shape = SHAPE(struct price_patch, price_patch_fields);

static err_t patch_price(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    ref_t store;
    struct product product = {0};
    const struct price_patch *in = request->input;
    TRY(if2_caller_store(ctx, &store));
    TRY(catalog_report_price(ctx, store, request->params[0], request->params[1], in->unit_price,
                             in->provider_version, &product));
    jw_object(&reply->json);
    write_state(ctx, reply, &product);
    jw_key(&reply->json, "unit_price");
    jw_price(&reply->json, in->unit_price);
    jw_end_object(&reply->json);
    return OK;
}

static err_t post_delist(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    ref_t store;
    struct product product = {0};
    TRY(if2_caller_store(ctx, &store));
    TRY(catalog_delist(ctx, store, request->params[0], &product));
    jw_object(&reply->json);
    write_state(ctx, reply, &product);
    jw_end_object(&reply->json);
    return OK;
}

/* ---- batches ---- */
struct batch_body {
    str_t products;
};
static const struct field batch_body_fields[] = {
    FIELD_JSON(struct batch_body, products, 1 << 20, FIELD_REQUIRED),
};
static const struct shape batch_body_shape = SHAPE(struct batch_body, batch_body_fields);
enum { BATCH_MAX = 500 };

static void write_operation(struct reply *reply, const struct product_batch *batch)
{
    static const char *const state[] = {"", "pending", "running", "succeeded", "failed"};
    struct jw *w = &reply->json;
    jw_object(w);
    jw_put_ref(w, "operation_id", "opn", batch->id);
    jw_put_text(w, "state", str_of(state[batch->status]));
    jw_key(w, "progress");
    jw_object(w);
    jw_put_int(w, "done", batch->done);
    jw_put_int(w, "total", batch->total);
    jw_end_object(w);
    jw_key(w, "result");
    jw_object(w);
    jw_put_int(w, "accepted", batch->accepted);
    jw_key(w, "rejected");
    jw_array(w);
    if (batch->rejected.len)
        jw_raw(w, batch->rejected);
    jw_end_array(w);
    jw_end_object(w);
    jw_end_object(w);
}

static err_t post_batch(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    const struct batch_body *in = request->input;
    const struct json *rows;
    struct product_batch batch = {0};
    ref_t store;
    TRY(if2_caller_store(ctx, &store));
    TRY(json_parse(ctx, in->products, &rows));
    size_t count = json_count(rows);
    if (json_kind(rows) != JSON_ARRAY)
        return refuse_field(ctx, STR("/products"), "wrong_type", "a list");
    if (count < 1 || count > BATCH_MAX)
        return refuse_field(ctx, STR("/products"), "out_of_range", "1 to 500 products");
    TRY(catalog_batch_open(ctx, store, in->products, count, &batch.id));
    TRY(catalog_batch_load(ctx, store, batch.id, &batch));
    reply->status = 202;
    reply_header(reply, "Location",
                 str_printf(ctx->arena, "/if2/v1/operations/" STR_FMT,
                            STR_ARG(ref_text(ctx->arena, "opn", batch.id))));
    write_operation(reply, &batch);
    return OK;
}

static err_t get_operation(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    ref_t id, store;
    struct product_batch batch = {0};
    TRY(request_ref(ctx, request, 0, "opn", &id));
    TRY(if2_caller_store(ctx, &store));
    TRY(catalog_batch_load(ctx, store, id, &batch));
    write_operation(reply, &batch);
    return OK;
}

#define PRODUCT "/if2/v1/products/{external_product_id}"
static const struct route routes[] = {
    {"PUT", PRODUCT, PERM_IF2_PRODUCT_WRITE, TX_WRITE, &product_report_shape, put_product, 0},
    {"PATCH", PRODUCT "/skus/{external_sku_id}/inventory", PERM_IF2_PRODUCT_WRITE, TX_WRITE,
     &inventory_shape, patch_inventory, 0},
    {"PATCH", PRODUCT "/skus/{external_sku_id}/price", PERM_IF2_PRODUCT_WRITE, TX_WRITE,
     &price_patch_shape, patch_price, 0},
    {"POST", PRODUCT "/delist", PERM_IF2_PRODUCT_WRITE, TX_WRITE, NULL, post_delist, 0},
    {"POST", "/if2/v1/product-batches", PERM_IF2_PRODUCT_WRITE, TX_WRITE, &batch_body_shape,
     post_batch, ROUTE_KEY_REQUIRED},
    {"GET", "/if2/v1/operations/{operation_id}", PERM_IF2_PRODUCT_WRITE, TX_READ, NULL,
     get_operation, 0},
};
const struct route_table if2_product_routes = ROUTES(routes);
