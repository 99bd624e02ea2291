/* SPDX-License-Identifier: Apache-2.0 */
/* SKUs as an order line needs them, what a line costs, and whether it can be bought now. */
#include "catalog_internal.h"

static const struct field sku_fields[] = {
    FIELD_REF(struct sku, id, "sku", 0),
    FIELD_REF(struct sku, product_id, "prd", 0),
    FIELD_REF(struct sku, store_id, "sto", 0),
    FIELD_REF(struct sku, provider_org_id, "org", 0),
    FIELD(struct sku, external_sku_id, 0, 64, 0),
    FIELD(struct sku, external_product_id, 0, 64, 0),
    FIELD(struct sku, product_name, 0, 120, 0),
    FIELD(struct sku, category, 0, 60, 0),
    FIELD_JSON(struct sku, specs, 65536, 0),
    FIELD(struct sku, region_code, 0, 40, 0),
    FIELD(struct sku, product_version, 0, INT64_MAX, 0),
    FIELD_ENUM(struct sku, product_state, &product_state_names, 0),
    FIELD_ENUM(struct sku, charge_mode, &charge_mode_names, 0),
    FIELD_ENUM(struct sku, price_unit, &price_unit_names, 0),
    FIELD(struct sku, rate_bp, 0, 10000, 0),
    FIELD(struct sku, lead_h, 0, 8760, 0),
    FIELD(struct sku, sla_bp, 0, 10000, 0),
    FIELD(struct sku, min_qty, 1, INT32_MAX, 0),
    FIELD(struct sku, max_qty, 1, INT32_MAX, 0),
    FIELD(struct sku, unit_price, 0, INT64_MAX, 0),
    FIELD(struct sku, setup_fee, 0, INT64_MAX, 0),
    FIELD(struct sku, term, 0, 20, 0),
    FIELD(struct sku, stock_available, 0, INT64_MAX, 0),
    FIELD(struct sku, stock_total, 0, INT64_MAX, 0),
    FIELD(struct sku, stock_as_of, 0, 0, 0),
};
static const struct shape sku_shape = SHAPE(struct sku, sku_fields);

/* A listed version whose SKU was taken away reads as delisted: nobody buys it. */
#define SKU_COLUMNS                                                                            \
    "SELECT k.id AS id, k.product_id AS product_id, p.store_id AS store_id,"                   \
    " p.org_id AS provider_org_id, k.external_id AS external_sku_id,"                          \
    " p.external_id AS external_product_id, v.name AS product_name, v.category AS category,"   \
    " s.specs AS specs, k.region_code AS region_code, p.listed_version AS product_version,"    \
    " CASE WHEN k.active = 1 THEN p.state ELSE 6 END AS product_state,"                        \
    " k.charge_mode AS charge_mode, k.price_unit AS price_unit, k.rate_bp AS rate_bp,"         \
    " k.lead_h AS lead_h, v.sla_bp AS sla_bp, k.min_qty AS min_qty, k.max_qty AS max_qty,"     \
    " k.unit_price AS unit_price, k.setup_fee AS setup_fee, k.term AS term,"                   \
    " CASE WHEN t.available > t.held THEN t.available - t.held ELSE 0 END AS stock_available," \
    " t.total AS stock_total, t.as_of AS stock_as_of"                                          \
    " FROM catalog_sku k JOIN catalog_product p ON p.id = k.product_id"                        \
    " JOIN catalog_version v ON v.product_id = p.id AND v.number = p.listed_version"           \
    " JOIN catalog_specs s ON s.id = v.specs_id JOIN catalog_stock t ON t.sku_id = k.id"

err_t catalog_sku(struct ctx *ctx, ref_t id, struct sku *out)
{
    return db_one(ctx, SKU_COLUMNS " WHERE k.id = $1", ARGS(A(id)), &sku_shape, out);
}

err_t catalog_skus(struct ctx *ctx, const int64_t *ids, size_t count, struct sku **out,
                   size_t *out_count)
{
    if (count == 0) {
        *out = NULL;
        *out_count = 0;
        return OK;
    }
    return db_all(ctx, SKU_COLUMNS " WHERE k.id IN ({ids}) ORDER BY k.id", ARGS(A_IDS(ids, count)),
                  &sku_shape, out, out_count);
}

err_t catalog_skus_of(struct ctx *ctx, ref_t product, struct sku **out, size_t *out_count)
{
    return db_all(ctx, SKU_COLUMNS " WHERE k.product_id = $1 AND k.active = 1 ORDER BY k.id",
                  ARGS(A(product)), &sku_shape, out, out_count);
}

err_t catalog_price(struct ctx *ctx, const struct sku *sku, int32_t quantity,
                    struct line_price *out)
{
    struct line_price price = {0};
    money_t net;
    bool fits = quantity > 0 && price_to_money(sku->unit_price, &price.unit) &&
                money_times(price.unit, quantity, &price.list);
    if (fits && sku->setup_fee.fen > 0) {
        money_t setup;
        fits = money_times(sku->setup_fee, quantity, &setup) &&
               money_add(price.list, setup, &price.list);
    }
    price.payable = price.list;
    fits = fits && price.list.fen <= MONEY_MAX_FEN &&
           money_tax(price.payable, sku->rate_bp, &net, &price.tax);
    if (!fits)
        return refuse(ctx, ERR_INPUT, "amount_too_large", "%d units are beyond what can be priced",
                      quantity);
    *out = price;
    return OK;
}

err_t catalog_can_order(struct ctx *ctx, const struct sku *sku, const struct store *store,
                        int32_t quantity, str_t pointer)
{
    if (sku->product_state != PRODUCT_LISTED)
        return refuse(ctx, ERR_CONFLICT, "sku_not_listed", STR_FMT ": product is %s",
                      STR_ARG(pointer), names_of(&product_state_names, sku->product_state));
    if (store && store->m.state != STORE_OPEN)
        return refuse(ctx, ERR_CONFLICT, "store_not_open", STR_FMT ": the store is %s",
                      STR_ARG(pointer), names_of(&store_state_names, store->m.state));
    if (quantity < sku->min_qty || quantity > sku->max_qty) {
        (void)refuse_field(ctx, str_printf(ctx->arena, STR_FMT "/quantity", STR_ARG(pointer)),
                           "out_of_range", "%d is not within %d and %d", quantity, sku->min_qty,
                           sku->max_qty);
        ctx->problem.reason = "quantity_out_of_bounds";
        return ERR_INPUT;
    }
    /* What is paid after use needs bills, which do not exist yet. */
    if (sku->charge_mode == CHARGE_ON_DEMAND || sku->charge_mode == CHARGE_SPOT)
        return refuse(ctx, ERR_CONFLICT, "postpaid_not_offered", STR_FMT ": paid after use",
                      STR_ARG(pointer));
    if (sku->stock_available < quantity)
        return refuse(ctx, ERR_CONFLICT, "out_of_stock", STR_FMT ": %" PRId64 " of %d available",
                      STR_ARG(pointer), sku->stock_available, quantity);
    return OK;
}

/* Months of an ISO 8601 term of months or years; 0 when it is none. */
static int64_t months_of(str_t term)
{
    int64_t n = 0;
    if (term.len < 3 || term.data[0] != 'P' ||
        !str_to_int(str_from(term.data + 1, term.len - 2), 1, 120, &n))
        return 0;
    char unit = term.data[term.len - 1];
    return unit == 'M' ? n : unit == 'Y' ? 12 * n : 0;
}

bool catalog_term_is_valid(str_t term)
{
    return months_of(term) > 0;
}

price_t catalog_price_hour(price_t price, int price_unit, str_t term)
{
    int64_t months = months_of(term);
    int64_t hours = 1;
    if (price_unit == PRICE_MONTH)
        hours = HOURS_A_MONTH * (months ? months : 1);
    else if (price_unit == PRICE_YEAR)
        hours = HOURS_A_MONTH * (months ? months : 12);
    else if (price_unit == PRICE_ONCE)
        hours = months ? HOURS_A_MONTH * months : 0;
    price_t out = {0};
    if (hours == 0 || !price_scale(price, 1, hours, &out))
        return (price_t){0};
    return out;
}
