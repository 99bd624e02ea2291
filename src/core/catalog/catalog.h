/* SPDX-License-Identifier: Apache-2.0 */
/* What is offered: taxonomy, norms, products and their versions, SKUs with price and stock, quotes,
 * and the index in memory that answers searches. Versions never change; stock and price live beside
 * them with their own history. */
#ifndef SUANHE_CATALOG_H
#define SUANHE_CATALOG_H

#include "store/store.h"

enum product_state {
    PRODUCT_DRAFT = 1,
    PRODUCT_REVIEWING,
    PRODUCT_LISTED,
    PRODUCT_REJECTED,
    PRODUCT_PAUSED,
    PRODUCT_DELISTED
};
enum charge_mode {
    CHARGE_ON_DEMAND = 1,
    CHARGE_RESERVED,
    CHARGE_SPOT,
    CHARGE_ONE_OFF,
    CHARGE_TRIAL
};
enum price_unit { PRICE_HOUR = 1, PRICE_MONTH, PRICE_YEAR, PRICE_ONCE };
enum usage_mode { USAGE_INTERACTIVE = 1, USAGE_BATCH, USAGE_API, USAGE_DEDICATED, USAGE_SHARED };
enum product_event {
    PRODUCT_SUBMIT = 1,
    PRODUCT_LIST,
    PRODUCT_REJECT,
    PRODUCT_PAUSE,
    PRODUCT_RESUME,
    PRODUCT_DELIST
};
enum product_class { CLASS_IAAS = 1, CLASS_PAAS, CLASS_SAAS };
extern const struct names product_state_names, charge_mode_names, price_unit_names,
    usage_mode_names, product_class_names;
extern const struct fsm product_fsm;

struct sku { /* joined with what an order line needs; one primary-key read */
    ref_t id, product_id, store_id, provider_org_id;
    str_t external_sku_id, external_product_id, product_name, category, specs /* JSON array */,
        region_code;
    int64_t product_version;
    int32_t product_state, charge_mode, price_unit, rate_bp, lead_h, sla_bp;
    int32_t min_qty, max_qty;
    price_t unit_price;
    money_t setup_fee;
    str_t term;              /* "P1M" or empty */
    int64_t stock_available; /* last reported less our reservations not yet seen by a report */
    int64_t stock_total;
    utc_t stock_as_of;
};
err_t catalog_sku(struct ctx *ctx, ref_t id, struct sku *out);
err_t catalog_skus(struct ctx *ctx, const int64_t *ids, size_t count, struct sku **out,
                   size_t *out_count);

/* Price of a line: unit rounded to fen once, then times quantity. */
struct line_price {
    money_t unit, list, discount, payable, tax;
};
err_t catalog_price(struct ctx *ctx, const struct sku *sku, int32_t quantity,
                    struct line_price *out);
/* Refuses unless this can be bought now: `sku_not_listed`, `store_not_open`,
 * `quantity_out_of_bounds`, `postpaid_not_offered`, `out_of_stock`. store may be NULL (then not
 * checked). */
err_t catalog_can_order(struct ctx *ctx, const struct sku *sku, const struct store *store,
                        int32_t quantity, str_t pointer);
/* Takes stock by compare-and-set; `out_of_stock` changes nothing. item: who holds it. */
err_t catalog_take(struct ctx *ctx, ref_t sku, ref_t item, int32_t quantity);
/* Gives it back (never delivered). */
err_t catalog_give_back(struct ctx *ctx, ref_t sku, ref_t item, int32_t quantity);
/* The provider acknowledged the item at `at`: a stock report with a later as_of contains it. */
err_t catalog_acknowledged(struct ctx *ctx, ref_t item, utc_t at);

struct quote_line {
    ref_t sku_id;
    int32_t quantity;
};
struct quote {
    ref_t id, org_id, user_id;
    utc_t valid_until;
    money_t payable;
    struct quote_line *lines;
    size_t line_count;
};
/* A stored quote that still holds, of ctx->actor's organisation; `quote_expired`, not found. Its
 * prices are those of its making: catalog_quote_price gives the frozen unit price of a SKU. */
err_t catalog_quote_load(struct ctx *ctx, ref_t id, struct quote *out);
err_t catalog_quote_price(struct ctx *ctx, ref_t quote, ref_t sku, price_t *out);
/* Prices lines, refusing what cannot be bought now (pointers /lines/n), and keeps the quote for 15
 * minutes when somebody is logged in (else out->id is none). */
struct quote_priced {
    struct sku sku;
    struct store store;
    int32_t quantity;
    struct line_price price;
};
err_t catalog_quote_make(struct ctx *ctx, const struct quote_line *lines, size_t count,
                         struct quote *out, struct quote_priced **out_lines);

/* ---- norms: what a product of a category says about itself ---- */
/* Writes the embedded norms, categories and regions that are missing; repeated at every start. */
err_t catalog_install(struct ctx *ctx);
/* The document of a category, newest version when version is 0; ERR_NOT_FOUND. */
err_t catalog_norm(struct ctx *ctx, str_t category, int64_t version, str_t *out_document);
struct catalog_code {
    int32_t kind, number, class;
    str_t code, name_zh, name_en;
};
enum catalog_code_kind { CODE_CATEGORY = 1, CODE_REGION, CODE_ACCELERATOR, CODE_SOURCE };
err_t catalog_codes(struct ctx *ctx, int kind, struct catalog_code **out, size_t *out_count);
struct spec {
    str_t code, value, unit;
};
/* Checks specifications against a norm; violations are gathered as fields of the pointer
 * (`/specs`), the reason is `norm_violation`; `unknown_category` when there is no such norm. */
err_t catalog_check_specs(struct ctx *ctx, str_t category, int64_t norm_version,
                          const struct spec *specs, size_t count);

/* ---- what providers report (R5) ---- */
struct inventory {
    int64_t available, total;
    utc_t as_of;
};
struct sku_report {
    str_t external_sku_id, term, tax_code, region_code;
    int32_t charge_mode, price_unit, rate_bp, lead_h, min_qty, max_qty;
    price_t unit_price;
    money_t setup_fen;
    struct inventory inventory;
};
struct product_source {
    str_t provider, region, instance_type, licence;
};
struct product_report {
    str_t external_product_id; /* in a batch; else from the path */
    int64_t provider_version, norm_version;
    str_t name, category_code, description, usage_guide, tool_url, delivery_mode;
    int32_t usage_mode, sla_bp;
    struct spec *specs;
    size_t spec_count;
    struct sku_report *skus;
    size_t sku_count;
    struct product_source source;
};
/* The second also takes external_product_id (rows of a batch). */
extern const struct shape product_report_shape, product_row_shape, inventory_shape;

struct product {
    struct moving m;
    ref_t store_id, org_id, listing_event_id;
    str_t external_id;
    int64_t provider_version, listed_version, latest_version;
    utc_t listed_at, created_at, updated_at;
};
struct sku_id {
    str_t external_id;
    ref_t id;
};
struct product_reported {
    struct product product;
    struct sku_id *skus;
    size_t sku_count;
    bool created;
};
/* Upsert by (store, external id) with a monotonic provider_version: the same report again changes
 * nothing, an older or an altered one refuses `version_stale`. Listed at once when the store lists
 * by itself, else reviewed first, while the version before stays on offer. `norm_violation`,
 * `unknown_category`, `store_not_open`. */
err_t catalog_report(struct ctx *ctx, ref_t store, str_t external_id,
                     const struct product_report *in, struct product_reported *out);
/* An older as_of refuses `version_stale`; the same one with the same numbers changes nothing. */
err_t catalog_report_inventory(struct ctx *ctx, ref_t store, str_t external_id,
                               str_t external_sku_id, const struct inventory *in);
err_t catalog_report_price(struct ctx *ctx, ref_t store, str_t external_id, str_t external_sku_id,
                           price_t unit_price, int64_t provider_version, struct product *out);
err_t catalog_delist(struct ctx *ctx, ref_t store, str_t external_id, struct product *out);
/* The operator's decision over the latest version of a product that waits for it. */
err_t catalog_review(struct ctx *ctx, ref_t product, bool approve, str_t reason,
                     struct product *out);
err_t catalog_waiting(struct ctx *ctx, ref_t after, int limit, struct product **out,
                      size_t *out_count);

/* Many products at once: kept, then worked off by the job JOB_PRODUCT_BATCH. products: JSON array,
 * already read once by product_row_shape. */
struct product_batch {
    ref_t id, store_id, client_id, org_id;
    int32_t status; /* 1 pending, 2 running, 3 succeeded, 4 failed */
    int32_t done, total, accepted;
    str_t rejected, products;
    utc_t created_at, updated_at;
};
err_t catalog_batch_open(struct ctx *ctx, ref_t store, str_t products, size_t count, ref_t *out_id);
err_t catalog_batch_load(struct ctx *ctx, ref_t store, ref_t id, struct product_batch *out);
struct job;
void catalog_batch_run(struct ctx *ctx, const struct job *job, void *state); /* the job's handler */

/* ---- reading one product ---- */
struct product_view {
    struct product product;
    int64_t number;
    str_t name, category, description, usage_guide, tool_url, delivery_mode, specs, source;
    int32_t usage_mode, sla_bp, norm_version;
    utc_t reported_at;
    struct sku *skus;
    size_t sku_count;
};
/* The listed version, or the given one. A product that was never listed is not found. */
err_t catalog_product(struct ctx *ctx, ref_t id, int64_t number, struct product_view *out);

/* What an hour costs, for comparing: a month has 730 hours, a year 12 months; what is paid once has
 * none. */
price_t catalog_price_hour(price_t price, int price_unit, str_t term);

/* ---- the index in memory ---- */
/* Builds the index from the database; platform->catalog is set by the caller. Opens a read
 * transaction by itself. */
err_t catalog_index_open(struct ctx *ctx, struct catalog_index **out);
void catalog_index_close(struct catalog_index *index);
/* Takes in what changed since; needs a transaction. Searches call it by themselves at most every 20
 * ms after a change made here, every second otherwise (changes of other instances). force: now. */
err_t catalog_index_refresh(struct ctx *ctx, bool force);

/* Forgets changes older than two hours and quotes older than two days; a cleaning job calls it. */
err_t catalog_clean(struct ctx *ctx);

enum facet {
    FACET_CATEGORY,
    FACET_CLASS,
    FACET_STORE,
    FACET_REGION,
    FACET_ACCELERATOR,
    FACET_CHARGE,
    FACET_COUNT
};
extern const char *const facet_names[FACET_COUNT];
enum search_sort { SORT_RELEVANCE, SORT_PRICE, SORT_PRICE_DESC, SORT_NAME, SORT_LEAD };
extern const struct names search_sort_names;
enum { SEARCH_VALUES_MAX = 32, SEARCH_LIMIT_MAX = 50 };
struct search {
    str_t text;
    str_t values[FACET_COUNT][SEARCH_VALUES_MAX]; /* codes; any of them */
    int value_count[FACET_COUNT];
    int64_t vcpus_min_milli, vcpus_max_milli, memory_min_mib, memory_max_mib,
        accelerator_count_min; /* 0: any */
    price_t price_max;         /* per hour; 0: any */
    bool in_stock;
    int sort, limit;
    bool after; /* go on after this place */
    int64_t after_key;
    ref_t after_id;
};
struct facet_value {
    str_t value, label_zh, label_en;
    int64_t count;
};
struct search_hit {
    ref_t product_id, store_id;
    str_t name, category, class, store_name, region_code, region_name, specs /* JSON array */;
    price_t price_from, price_hour;
    int32_t price_unit, charge_mode, lead_h, sla_bp;
    int64_t stock_available;
    str_t source_provider, source_region, source_type;
};
struct search_result {
    struct search_hit hits[SEARCH_LIMIT_MAX];
    int count;
    bool more;
    int64_t last_key;
    ref_t last_id;
    int64_t total;
    struct facet_value *facets[FACET_COUNT];
    size_t facet_count[FACET_COUNT];
};
/* Texts are copied into ctx->arena. */
err_t catalog_search(struct ctx *ctx, const struct search *search, struct search_result *out);
/* The summary of one product, when the index shows it. */
err_t catalog_summary(struct ctx *ctx, ref_t product, struct search_hit *out, bool *out_found);
struct store_count {
    ref_t store_id;
    int64_t products;
};
/* Listed products per open store, per category code (counts[i] belongs to codes[i] of
 * catalog_codes). */
err_t catalog_count_stores(struct ctx *ctx, struct store_count **out, size_t *out_count);
err_t catalog_count_category(struct ctx *ctx, str_t category, int64_t *out);

/* ---- first import ---- */
struct import_options {
    const char *data_dir; /* market.txt, demo-regions.csv, … */
    str_t agent_url;      /* "http://127.0.0.1:9090": demo stores answer at agent_url/p/CODE */
    int sample;           /* every nth offer only; 0 or 1: all */
    void (*progress)(void *state, const char *what, int64_t done);
    void *progress_state;
};
struct import_result {
    int64_t stores, products, skus;
};
/* Loads the demo market; runs its own write transactions (none may be open). A store that is there
 * already is left alone. */
err_t catalog_import_demo(struct ctx *ctx, const struct import_options *options,
                          struct import_result *out);

#endif
