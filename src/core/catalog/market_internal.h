/* SPDX-License-Identifier: Apache-2.0 */
/* The data files of the demo market, read once into the arena. */
#ifndef SUANHE_CATALOG_MARKET_INTERNAL_H
#define SUANHE_CATALOG_MARKET_INTERNAL_H

#include "catalog_internal.h"

struct market_region {
    str_t provider, region, city, currency, price_source, price_date;
    int store; /* index of the demo store that sells it, or -1 */
};
struct market_type {
    str_t provider, name, family, arch, cpu_allocation, vcpus, memory, accelerator,
        accelerator_memory, storage, network;
    int64_t accelerator_count;
    ref_t specs_id;             /* once stored */
    struct catalog_entry entry; /* what the specifications give */
};
struct market_offer {
    uint32_t type, region;
    price_t hour, year1, year3; /* CNY an hour; 0: not offered */
};
struct market_storage {
    str_t kind, class;
    uint32_t region;
    price_t gib_month;
};
struct market_store {
    str_t code, name, legal_name, uscc, region_code, description;
};
struct market {
    struct market_region *regions;
    size_t region_count;
    struct market_type *types;
    size_t type_count;
    struct market_offer *offers;
    size_t offer_count;
    struct market_storage *storage;
    size_t storage_count;
    struct market_store *stores;
    size_t store_count;
};
err_t market_read(struct ctx *ctx, const char *data_dir, struct market *out);

/* What is generated: a stream of numbers from a fixed seed. */
struct dice {
    uint64_t state;
};
uint64_t dice_next(struct dice *dice);
uint32_t dice_below(struct dice *dice, uint32_t bound);

/* One product of the import with everything that hangs on it. */
struct import_product {
    struct product_report report;
    struct spec specs[16];
    struct sku_report skus[4];
    struct catalog_entry entry; /* codes already known; prices are added here */
    ref_t specs_id;
    char space[1024];
};
struct import {
    struct ctx *ctx;
    const struct market *market;
    const struct import_options *options;
    struct import_result *result;
    struct store store;
    const struct market_store *demo;
    int store_index;
    ref_t event_id;
    int32_t region_number;
    struct dice dice;
    hash_t digest; /* running, over the products in order */
    int64_t products, skus;
};
err_t import_put(struct import *import, struct import_product *product);
/* PaaS and SaaS products of a store. */
err_t import_generated(struct import *import);
void import_offer_terms(struct import *import, struct import_product *product);
void import_add_sku(struct import_product *product, const char *id, int charge, price_t price,
                    int unit, const char *term);

#endif
