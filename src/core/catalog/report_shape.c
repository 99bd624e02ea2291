/* SPDX-License-Identifier: Apache-2.0 */
/* The form of what providers report (R5). */
#include "catalog_internal.h"

static const struct field spec_fields[] = {
    FIELD(struct spec, code, 1, 60, FIELD_REQUIRED),
    FIELD(struct spec, value, 1, 200, FIELD_REQUIRED),
    FIELD(struct spec, unit, 0, 20, FIELD_OMIT_EMPTY),
};
const struct shape spec_shape = SHAPE(struct spec, spec_fields);

static const struct field inventory_fields[] = {
    FIELD(struct inventory, available, 0, 1000000000, FIELD_REQUIRED),
    FIELD(struct inventory, total, 0, 1000000000, FIELD_REQUIRED),
    FIELD(struct inventory, as_of, 0, 0, FIELD_REQUIRED),
};
const struct shape inventory_shape = SHAPE(struct inventory, inventory_fields);

#define PRICE_MAX_E10 ((int64_t)99999999 * 10000000000)
static const struct field sku_report_fields[] = {
    FIELD(struct sku_report, external_sku_id, 1, 64, FIELD_REQUIRED),
    FIELD_ENUM(struct sku_report, charge_mode, &charge_mode_names, FIELD_REQUIRED),
    FIELD(struct sku_report, unit_price, 0, PRICE_MAX_E10, FIELD_REQUIRED),
    FIELD_ENUM(struct sku_report, price_unit, &price_unit_names, FIELD_REQUIRED),
    FIELD(struct sku_report, term, 0, 20, FIELD_OMIT_EMPTY),
    FIELD(struct sku_report, setup_fen, 0, 100000000000, 0),
    FIELD(struct sku_report, lead_h, 0, 8760, 0),
    FIELD(struct sku_report, tax_code, 0, 19, FIELD_OMIT_EMPTY),
    FIELD(struct sku_report, rate_bp, 0, 10000, FIELD_REQUIRED),
    FIELD(struct sku_report, min_qty, 1, 1000000, FIELD_REQUIRED),
    FIELD(struct sku_report, max_qty, 1, 1000000, FIELD_REQUIRED),
    FIELD(struct sku_report, region_code, 1, 40, FIELD_REQUIRED),
    FIELD_OBJECT(struct sku_report, inventory, &inventory_shape, FIELD_REQUIRED),
};
const struct shape sku_report_shape = SHAPE(struct sku_report, sku_report_fields);

static const struct field source_fields[] = {
    FIELD(struct product_source, provider, 0, 60, FIELD_OMIT_EMPTY),
    FIELD(struct product_source, region, 0, 60, FIELD_OMIT_EMPTY),
    FIELD(struct product_source, instance_type, 0, 80, FIELD_OMIT_EMPTY),
    FIELD(struct product_source, licence, 0, 200, FIELD_OMIT_EMPTY),
};
const struct shape source_shape = SHAPE(struct product_source, source_fields);

#define REPORT_FIELDS                                                                       \
    FIELD(struct product_report, provider_version, 1, INT64_MAX, FIELD_REQUIRED),           \
        FIELD(struct product_report, name, 1, 120, FIELD_REQUIRED),                         \
        FIELD(struct product_report, category_code, 1, 60, FIELD_REQUIRED),                 \
        FIELD(struct product_report, norm_version, 1, 1000000, FIELD_REQUIRED),             \
        FIELD_ARRAY(struct product_report, specs, spec_count, &spec_shape, 0, SPECS_MAX,    \
                    FIELD_REQUIRED),                                                        \
        FIELD(struct product_report, description, 0, 4000, 0),                              \
        FIELD_ENUM(struct product_report, usage_mode, &usage_mode_names, FIELD_REQUIRED),   \
        FIELD(struct product_report, usage_guide, 0, 4000, 0),                              \
        FIELD(struct product_report, tool_url, 0, 400, 0),                                  \
        FIELD(struct product_report, delivery_mode, 0, 60, 0),                              \
        FIELD(struct product_report, sla_bp, 0, 10000, 0),                                  \
        FIELD_ARRAY(struct product_report, skus, sku_count, &sku_report_shape, 1, SKUS_MAX, \
                    FIELD_REQUIRED),                                                        \
        FIELD_OBJECT(struct product_report, source, &source_shape, 0)

static const struct field product_report_fields[] = {REPORT_FIELDS};
const struct shape product_report_shape = SHAPE(struct product_report, product_report_fields);

static const struct field product_row_fields[] = {
    FIELD(struct product_report, external_product_id, 1, 64, FIELD_REQUIRED), REPORT_FIELDS};
const struct shape product_row_shape = SHAPE(struct product_report, product_row_fields);
