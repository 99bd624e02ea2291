/* SPDX-License-Identifier: Apache-2.0 */
/* Products: their states, and reading one with its version and SKUs. */
#include "catalog_internal.h"

static const char *const state_name[] = {NULL,       "draft",  "reviewing", "listed",
                                         "rejected", "paused", "delisted"};
static const char *const event_name[] = {NULL,    "submit", "list",  "reject",
                                         "pause", "resume", "delist"};
static const char *const charge_name[] = {NULL,   "on_demand", "reserved",
                                          "spot", "one_off",   "trial"};
static const char *const unit_name[] = {NULL, "hour", "month", "year", "once"};
static const char *const usage_name[] = {NULL,  "interactive", "batch",
                                         "api", "dedicated",   "shared"};
const struct names product_state_names = NAMES(state_name);
static const struct names product_event_names = NAMES(event_name);
const struct names charge_mode_names = NAMES(charge_name);
const struct names price_unit_names = NAMES(unit_name);
const struct names usage_mode_names = NAMES(usage_name);

static const struct fsm_rule rules[] = {
    {-1, PRODUCT_SUBMIT, PRODUCT_REVIEWING, NULL},
    {-1, PRODUCT_LIST, PRODUCT_LISTED, NULL}, /* first import of a store that lists by itself */
    {PRODUCT_DRAFT, PRODUCT_SUBMIT, PRODUCT_REVIEWING, NULL},
    {PRODUCT_REVIEWING, PRODUCT_LIST, PRODUCT_LISTED, NULL},
    {PRODUCT_REVIEWING, PRODUCT_REJECT, PRODUCT_REJECTED, NULL},
    {PRODUCT_REJECTED, PRODUCT_SUBMIT, PRODUCT_REVIEWING, NULL},
    {PRODUCT_LISTED, PRODUCT_LIST, PRODUCT_LISTED, NULL}, /* a new version supersedes the old */
    {PRODUCT_LISTED, PRODUCT_PAUSE, PRODUCT_PAUSED, NULL},
    {PRODUCT_LISTED, PRODUCT_DELIST, PRODUCT_DELISTED, NULL},
    {PRODUCT_PAUSED, PRODUCT_RESUME, PRODUCT_LISTED, NULL},
    {PRODUCT_PAUSED, PRODUCT_LIST, PRODUCT_LISTED, NULL},
    {PRODUCT_PAUSED, PRODUCT_DELIST, PRODUCT_DELISTED, NULL},
    {PRODUCT_DELISTED, PRODUCT_SUBMIT, PRODUCT_REVIEWING, NULL},
};
const struct fsm product_fsm = {
    .name = "product",
    .table = "catalog_product",
    .states = &product_state_names,
    .events = &product_event_names,
    .rules = rules,
    .rule_count = (int)(sizeof(rules) / sizeof(rules[0])),
    .initial = PRODUCT_DRAFT,
};

static const struct field product_fields[] = {
    MOVING_FIELDS(struct product, "prd", &product_state_names),
    FIELD_REF(struct product, store_id, "sto", 0),
    FIELD_REF(struct product, org_id, "org", 0),
    FIELD_REF(struct product, listing_event_id, "evt", 0),
    FIELD(struct product, external_id, 1, 64, 0),
    FIELD(struct product, provider_version, 0, INT64_MAX, 0),
    FIELD(struct product, listed_version, 0, INT64_MAX, 0),
    FIELD(struct product, latest_version, 0, INT64_MAX, 0),
    FIELD(struct product, listed_at, 0, 0, 0),
    FIELD(struct product, created_at, 0, 0, 0),
    FIELD(struct product, updated_at, 0, 0, 0),
};
const struct shape product_shape = SHAPE(struct product, product_fields);

#define PRODUCT_COLUMNS                                                                          \
    "SELECT id, state, version, last_event_id, store_id, org_id, listing_event_id, external_id," \
    " provider_version, listed_version, latest_version, listed_at, created_at, updated_at"       \
    " FROM catalog_product"

err_t product_load(struct ctx *ctx, ref_t id, struct product *out)
{
    return db_one(ctx, PRODUCT_COLUMNS " WHERE id = $1 {for_update}", ARGS(A(id)), &product_shape,
                  out);
}

err_t product_find(struct ctx *ctx, ref_t store, str_t external_id, struct product *out,
                   bool *out_found)
{
    return db_find(ctx, PRODUCT_COLUMNS " WHERE store_id = $1 AND external_id = $2 {for_update}",
                   ARGS(A(store), A(external_id)), &product_shape, out, out_found);
}

err_t catalog_waiting(struct ctx *ctx, ref_t after, int limit, struct product **out,
                      size_t *out_count)
{
    return db_all(ctx,
                  PRODUCT_COLUMNS " WHERE latest_version > listed_version AND id > $1"
                                  " AND state <> 4 AND state <> 6 ORDER BY id LIMIT $2",
                  ARGS(A(after), A((int32_t)limit)), &product_shape, out, out_count);
}

struct version_row {
    str_t name, category, description, usage_guide, tool_url, delivery_mode, specs, source;
    int32_t usage_mode, sla_bp, norm_version;
    utc_t reported_at;
};
static const struct field version_fields[] = {
    FIELD(struct version_row, name, 0, 120, 0),
    FIELD(struct version_row, category, 0, 60, 0),
    FIELD(struct version_row, description, 0, 4000, 0),
    FIELD(struct version_row, usage_guide, 0, 4000, 0),
    FIELD(struct version_row, tool_url, 0, 400, 0),
    FIELD(struct version_row, delivery_mode, 0, 60, 0),
    FIELD_JSON(struct version_row, specs, 65536, 0),
    FIELD_JSON(struct version_row, source, 4096, 0),
    FIELD(struct version_row, usage_mode, 0, 5, 0),
    FIELD(struct version_row, sla_bp, 0, 10000, 0),
    FIELD(struct version_row, norm_version, 0, INT32_MAX, 0),
    FIELD(struct version_row, reported_at, 0, 0, 0),
};
static const struct shape version_shape = SHAPE(struct version_row, version_fields);

err_t catalog_product(struct ctx *ctx, ref_t id, int64_t number, struct product_view *out)
{
    struct product product = {0};
    struct version_row row = {0};
    bool found;
    TRY(db_find(ctx, PRODUCT_COLUMNS " WHERE id = $1", ARGS(A(id)), &product_shape, &product,
                &found));
    if (!found || product.listed_version == 0 || number > product.listed_version)
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such product on offer");
    int64_t wanted = number ? number : product.listed_version;
    TRY(db_one(ctx,
               "SELECT v.name AS name, v.category AS category, v.description AS description,"
               " v.usage_guide AS usage_guide, v.tool_url AS tool_url,"
               " v.delivery_mode AS delivery_mode, s.specs AS specs, v.source AS source,"
               " v.usage_mode AS usage_mode, v.sla_bp AS sla_bp, v.norm_version AS norm_version,"
               " v.reported_at AS reported_at FROM catalog_version v"
               " JOIN catalog_specs s ON s.id = v.specs_id"
               " WHERE v.product_id = $1 AND v.number = $2",
               ARGS(A(id), A(wanted)), &version_shape, &row));
    *out = (struct product_view){.product = product,
                                 .number = wanted,
                                 .name = row.name,
                                 .category = row.category,
                                 .description = row.description,
                                 .usage_guide = row.usage_guide,
                                 .tool_url = row.tool_url,
                                 .delivery_mode = row.delivery_mode,
                                 .specs = row.specs,
                                 .source = row.source,
                                 .usage_mode = row.usage_mode,
                                 .sla_bp = row.sla_bp,
                                 .norm_version = row.norm_version,
                                 .reported_at = row.reported_at};
    return catalog_skus_of(ctx, id, &out->skus, &out->sku_count);
}
