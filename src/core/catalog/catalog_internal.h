/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the catalogue share among themselves. */
#ifndef SUANHE_CATALOG_INTERNAL_H
#define SUANHE_CATALOG_INTERNAL_H

#include <inttypes.h>

#include "catalog/catalog.h"

enum hold_phase { HOLD_OPEN = 1, HOLD_RETURNED = 2, HOLD_CONTAINED = 3 };
enum { QUOTE_MINUTES = 15, SPECS_MAX = 64, SKUS_MAX = 20, HOURS_A_MONTH = 730 };

extern const struct shape product_shape;

/* Tells the change sequence, and hurries the index of this process. */
err_t catalog_touch(struct ctx *ctx, ref_t product);
/* core/catalog/index: a change was written by this process (maybe not committed yet). */
void catalog_index_poke(struct catalog_index *index);

/* The number of a dictionary code, made when new (names: the code itself). */
err_t catalog_code_number(struct ctx *ctx, int kind, str_t code, int32_t *out);
err_t catalog_code_add(struct ctx *ctx, const struct catalog_code *code, int32_t *out);
/* The id of a list of specifications given as JSON text, made when new. */
/* A decimal of at most 6 places, times 10^6; false when it is none (or beyond 10^12). */
bool spec_decimal(str_t text, int64_t *out_e6);
err_t catalog_specs_id(struct ctx *ctx, str_t specs, ref_t *out);
str_t catalog_specs_json(struct ctx *ctx, const struct spec *specs, size_t count);

err_t product_load(struct ctx *ctx, ref_t id, struct product *out);
err_t product_find(struct ctx *ctx, ref_t store, str_t external_id, struct product *out,
                   bool *out_found);
err_t catalog_skus_of(struct ctx *ctx, ref_t product, struct sku **out, size_t *out_count);

extern const struct shape sku_report_shape, source_shape, spec_shape;
err_t catalog_skus_apply(struct ctx *ctx, ref_t product, const struct sku_report *skus,
                         size_t count);
err_t catalog_sku_insert(struct ctx *ctx, ref_t product, const struct sku_report *in, ref_t *out);
err_t catalog_version_insert(struct ctx *ctx, ref_t product, int64_t number,
                             const struct product_report *in, str_t digest, str_t report,
                             ref_t specs);
str_t catalog_source_json(struct ctx *ctx, const struct product_source *source);
/* The row of the index from what the database holds, and a change told. */
err_t catalog_entry_rebuild(struct ctx *ctx, ref_t product);
bool catalog_term_is_valid(str_t term); /* PnM or PnY */

/* Stock. */
err_t catalog_stock_insert(struct ctx *ctx, ref_t sku, ref_t product, const struct inventory *in);
/* older: as_of is before the last report (changes nothing). */
err_t catalog_stock_report(struct ctx *ctx, ref_t sku, ref_t product, const struct inventory *in,
                           bool *out_older);

/* The typed codes of a product, as catalog_entry keeps them. */
struct catalog_entry {
    ref_t product_id, store_id, specs_id;
    int32_t category, region, accelerator, source, charge_mask, listed;
    int64_t vcpus_milli, memory_mib, accelerator_count;
    price_t price_hour, price_from;
    int32_t price_unit, charge_mode, lead_h, sla_bp;
    str_t name, source_type;
};
void entry_pack(const struct catalog_entry *entry, struct buf *out);
bool entry_unpack(str_t codes, struct catalog_entry *out);
/* Folds one SKU into charge_mask, cheapest price and lead time. */
void entry_add_sku(struct catalog_entry *entry, int charge_mode, price_t price, int price_unit,
                   str_t term, int lead_h);
/* Fills what the specifications say: processors, memory, accelerators. */
err_t entry_add_specs(struct ctx *ctx, struct catalog_entry *entry, const struct spec *specs,
                      size_t count);
/* Writes or replaces the row. */
err_t entry_store(struct ctx *ctx, const struct catalog_entry *entry);

/* Embedded at build: the norm documents of spec/norms. */
struct norm_text {
    const char *name, *document;
};
extern const struct norm_text catalog_norms[];
extern const int catalog_norm_count;

#endif
