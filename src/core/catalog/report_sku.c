/* SPDX-License-Identifier: Apache-2.0 */
/* SKUs of the listed version, brought up to date by reports: terms, price with its history, stock;
 * and the product's row in the index's table. */
#include "catalog_internal.h"

/* ---- SKUs of the version that is listed ---- */
struct sku_head {
    ref_t id;
    str_t external_id;
    int32_t active;
    price_t unit_price;
    utc_t price_since;
};
static const struct field sku_head_fields[] = {
    FIELD_REF(struct sku_head, id, "sku", 0),
    FIELD(struct sku_head, external_id, 1, 64, 0),
    FIELD(struct sku_head, active, 0, 1, 0),
    FIELD(struct sku_head, unit_price, 0, INT64_MAX, 0),
    FIELD(struct sku_head, price_since, 0, 0, 0),
};
static const struct shape sku_head_shape = SHAPE(struct sku_head, sku_head_fields);

static err_t find_heads(struct ctx *ctx, ref_t product, struct sku_head **out, size_t *out_count)
{
    return db_all(ctx,
                  "SELECT id, external_id, active, unit_price, price_since FROM catalog_sku"
                  " WHERE product_id = $1 ORDER BY id",
                  ARGS(A(product)), &sku_head_shape, out, out_count);
}

err_t catalog_sku_insert(struct ctx *ctx, ref_t product, const struct sku_report *in, ref_t *out)
{
    *out = id_make(ctx->platform->ids, ctx->now);
    TRY(db_exec(ctx,
                "INSERT INTO catalog_sku (id, product_id, external_id, active, charge_mode,"
                " price_unit, unit_price, price_since, setup_fee, term, lead_h, rate_bp, tax_code,"
                " min_qty, max_qty, region_code) VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9,"
                " $10, $11, $12, $13, $14, $15)",
                ARGS(A(*out), A(product), A(in->external_sku_id), A(in->charge_mode),
                     A(in->price_unit), A(in->unit_price), A(ctx->now), A(in->setup_fen),
                     A(in->term), A(in->lead_h), A(in->rate_bp), A(in->tax_code), A(in->min_qty),
                     A(in->max_qty), A(in->region_code)),
                NULL));
    return catalog_stock_insert(ctx, *out, product, &in->inventory);
}

static err_t set_price(struct ctx *ctx, const struct sku_head *sku, price_t price)
{
    if (sku->unit_price.e10 == price.e10)
        return OK;
    TRY(db_exec(ctx,
                "INSERT INTO catalog_price_history (id, sku_id, unit_price, valid_from, valid_to)"
                " VALUES ($1, $2, $3, $4, $5)",
                ARGS(A(id_make(ctx->platform->ids, ctx->now)), A(sku->id), A(sku->unit_price),
                     A(sku->price_since), A(ctx->now)),
                NULL));
    return db_exec_one(ctx,
                       "UPDATE catalog_sku SET unit_price = $2, price_since = $3"
                       " WHERE id = $1 AND unit_price = $4",
                       ARGS(A(sku->id), A(price), A(ctx->now), A(sku->unit_price)));
}

static err_t update_sku(struct ctx *ctx, ref_t product, const struct sku_head *head,
                        const struct sku_report *in)
{
    bool older;
    TRY(set_price(ctx, head, in->unit_price));
    TRY(db_exec_one(ctx,
                    "UPDATE catalog_sku SET active = 1, charge_mode = $2, price_unit = $3,"
                    " setup_fee = $4, term = $5, lead_h = $6, rate_bp = $7, tax_code = $8,"
                    " min_qty = $9, max_qty = $10, region_code = $11 WHERE id = $1",
                    ARGS(A(head->id), A(in->charge_mode), A(in->price_unit), A(in->setup_fen),
                         A(in->term), A(in->lead_h), A(in->rate_bp), A(in->tax_code),
                         A(in->min_qty), A(in->max_qty), A(in->region_code))));
    return catalog_stock_report(ctx, head->id, product, &in->inventory, &older);
}

err_t catalog_skus_apply(struct ctx *ctx, ref_t product, const struct sku_report *skus,
                         size_t count)
{
    struct sku_head *heads;
    size_t head_count;
    TRY(find_heads(ctx, product, &heads, &head_count));
    for (size_t k = 0; k < head_count; k++) {
        bool kept = !heads[k].active;
        for (size_t i = 0; i < count && !kept; i++)
            kept = str_eq(heads[k].external_id, skus[i].external_sku_id);
        if (kept)
            continue;
        TRY(db_exec_one(ctx, "UPDATE catalog_sku SET active = 0 WHERE id = $1",
                        ARGS(A(heads[k].id))));
        /* as_of 0: offered again later, its next report counts whatever its time. */
        TRY(db_exec_one(ctx,
                        "UPDATE catalog_stock SET available = 0, total = 0, as_of = 0"
                        " WHERE sku_id = $1",
                        ARGS(A(heads[k].id))));
    }
    for (size_t i = 0; i < count; i++) {
        const struct sku_head *head = NULL;
        ref_t id;
        for (size_t k = 0; k < head_count && !head; k++)
            if (str_eq(heads[k].external_id, skus[i].external_sku_id))
                head = &heads[k];
        if (head)
            TRY(update_sku(ctx, product, head, &skus[i]));
        else
            TRY(catalog_sku_insert(ctx, product, &skus[i], &id));
    }
    return OK;
}

/* ---- the row of the index ---- */
static err_t read_specs(struct ctx *ctx, str_t text, struct spec **out, size_t *out_count)
{
    const struct json *json;
    TRY(json_parse(ctx, text, &json));
    *out_count = json_count(json);
    *out = NEW_ARRAY(ctx, struct spec, *out_count + 1);
    for (size_t i = 0; i < *out_count; i++) {
        const struct json *spec = json_at(json, i);
        (*out)[i] = (struct spec){json_get_text(spec, "code"), json_get_text(spec, "value"),
                                  json_get_text(spec, "unit")};
    }
    return OK;
}

static err_t add_source(struct ctx *ctx, str_t text, struct catalog_entry *entry)
{
    const struct json *json;
    if (text.len == 0)
        return OK;
    TRY(json_parse(ctx, text, &json));
    entry->source_type = json_get_text(json, "instance_type");
    return catalog_code_number(ctx, CODE_SOURCE,
                               str_printf(ctx->arena, STR_FMT "/" STR_FMT,
                                          STR_ARG(json_get_text(json, "provider")),
                                          STR_ARG(json_get_text(json, "region"))),
                               &entry->source);
}

err_t catalog_entry_rebuild(struct ctx *ctx, ref_t product)
{
    struct product_view view = {0};
    struct spec *specs;
    size_t spec_count;
    TRY(catalog_product(ctx, product, 0, &view));
    TRY(read_specs(ctx, view.specs, &specs, &spec_count));
    struct catalog_entry entry = {.product_id = product,
                                  .store_id = view.product.store_id,
                                  .listed = view.product.m.state == PRODUCT_LISTED,
                                  .sla_bp = view.sla_bp,
                                  .name = view.name};
    TRY(catalog_specs_id(ctx, view.specs, &entry.specs_id));
    TRY(catalog_code_number(ctx, CODE_CATEGORY, view.category, &entry.category));
    TRY(add_source(ctx, view.source, &entry));
    TRY(entry_add_specs(ctx, &entry, specs, spec_count));
    if (view.sku_count)
        TRY(catalog_code_number(ctx, CODE_REGION, view.skus[0].region_code, &entry.region));
    for (size_t i = 0; i < view.sku_count; i++)
        entry_add_sku(&entry, view.skus[i].charge_mode, view.skus[i].unit_price,
                      view.skus[i].price_unit, view.skus[i].term, view.skus[i].lead_h);
    TRY(entry_store(ctx, &entry));
    return catalog_touch(ctx, product);
}

/* ---- patches ---- */
static err_t find_sku(struct ctx *ctx, ref_t store, str_t external_id, str_t external_sku_id,
                      struct product *out_product, struct sku_head *out)
{
    bool found;
    TRY(product_find(ctx, store, external_id, out_product, &found));
    if (!found)
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such product");
    TRY(db_find(ctx,
                "SELECT id, external_id, active, unit_price, price_since FROM catalog_sku"
                " WHERE product_id = $1 AND external_id = $2",
                ARGS(A(out_product->m.id), A(external_sku_id)), &sku_head_shape, out, &found));
    if (!found || !out->active)
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such SKU");
    return OK;
}

err_t catalog_report_inventory(struct ctx *ctx, ref_t store, str_t external_id,
                               str_t external_sku_id, const struct inventory *in)
{
    struct product product = {0};
    struct sku_head sku = {0};
    bool older;
    TRY(find_sku(ctx, store, external_id, external_sku_id, &product, &sku));
    if (in->available > in->total)
        return refuse_field(ctx, STR("/available"), "out_of_range", "more than the total");
    TRY(catalog_stock_report(ctx, sku.id, product.m.id, in, &older));
    if (older)
        return refuse(ctx, ERR_CONFLICT, "version_stale", "a later report is known");
    return OK;
}

err_t catalog_report_price(struct ctx *ctx, ref_t store, str_t external_id, str_t external_sku_id,
                           price_t unit_price, int64_t provider_version, struct product *out)
{
    struct product product = {0};
    struct sku_head sku = {0};
    TRY(find_sku(ctx, store, external_id, external_sku_id, &product, &sku));
    if (provider_version < product.provider_version ||
        (provider_version == product.provider_version && unit_price.e10 != sku.unit_price.e10))
        return refuse(ctx, ERR_CONFLICT, "version_stale", "version %" PRId64 " is known",
                      product.provider_version);
    if (provider_version > product.provider_version) {
        TRY(set_price(ctx, &sku, unit_price));
        TRY(db_exec_one(
            ctx,
            "UPDATE catalog_product SET provider_version = $2, updated_at = $3"
            " WHERE id = $1 AND provider_version = $4",
            ARGS(A(product.m.id), A(provider_version), A(ctx->now), A(product.provider_version))));
        product.provider_version = provider_version;
        if (product.listed_version)
            TRY(catalog_entry_rebuild(ctx, product.m.id));
    }
    *out = product;
    return OK;
}
