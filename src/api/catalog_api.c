/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue for everybody: categories, norms, regions, stores, search, products, quotes; and
 * the review of products that wait for the operator. */
#include <inttypes.h>
#include <string.h>

#include "api/api.h"
#include "catalog/catalog.h"

/* ---- dictionaries ---- */
static err_t get_categories(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct catalog_code *codes;
    size_t count;
    struct jw *w = &reply->json;
    (void)request;
    TRY(catalog_codes(ctx, CODE_CATEGORY, &codes, &count));
    jw_object(w);
    jw_key(w, "data");
    jw_array(w);
    for (size_t i = 0; i < count; i++) {
        int64_t products = 0;
        TRY(catalog_count_category(ctx, codes[i].code, &products));
        jw_object(w);
        jw_put_text(w, "code", codes[i].code);
        jw_put_text(w, "class", str_of(names_of(&product_class_names, codes[i].class)));
        jw_put_text(w, "name_zh", codes[i].name_zh);
        jw_put_text(w, "name_en", codes[i].name_en);
        jw_put_int(w, "product_count", products);
        jw_end_object(w);
    }
    jw_end_array(w);
    jw_end_object(w);
    return OK;
}

static err_t get_norm(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    int64_t version;
    str_t document;
    TRY(request_known_query(ctx, request, "version"));
    TRY(request_query_int(ctx, request, "version", 1, 1000000, 0, &version));
    TRY(catalog_norm(ctx, request->params[0], version, &document));
    jw_raw(&reply->json, document);
    return OK;
}

static err_t get_regions(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct catalog_code *codes;
    size_t count;
    struct jw *w = &reply->json;
    (void)request;
    TRY(catalog_codes(ctx, CODE_REGION, &codes, &count));
    jw_object(w);
    jw_key(w, "data");
    jw_array(w);
    for (size_t i = 0; i < count; i++) {
        jw_object(w);
        jw_put_text(w, "region_code", codes[i].code);
        jw_put_text(w, "name_zh", codes[i].name_zh);
        jw_put_text(w, "name_en", codes[i].name_en);
        jw_end_object(w);
    }
    jw_end_array(w);
    jw_end_object(w);
    return OK;
}

static str_t region_name(const struct catalog_code *regions, size_t count, str_t code)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(regions[i].code, code))
            return regions[i].name_zh;
    return code;
}

/* ---- stores as buyers see them ---- */
struct store_list {
    struct store_count *counts;
    struct catalog_code *regions;
    size_t count, region_count;
};

static err_t load_store_list(struct ctx *ctx, struct store_list *out)
{
    TRY(catalog_count_stores(ctx, &out->counts, &out->count));
    return catalog_codes(ctx, CODE_REGION, &out->regions, &out->region_count);
}

static void write_store(struct jw *w, const struct store *store, const struct store_list *list,
                        bool whole)
{
    int64_t products = 0;
    for (size_t i = 0; i < list->count; i++)
        if (ref_is(list->counts[i].store_id, store->m.id))
            products = list->counts[i].products;
    jw_object(w);
    jw_put_ref(w, "store_id", "sto", store->m.id);
    jw_put_text(w, "name", store->name);
    jw_put_text(w, "region_code", store->region_code);
    jw_put_text(w, "region_name",
                region_name(list->regions, list->region_count, store->region_code));
    jw_put_int(w, "product_count", products);
    jw_put_text(w, "state", str_of(names_of(&store_state_names, store->m.state)));
    if (whole) {
        jw_put_text(w, "legal_name", store->legal_name);
        jw_put_text(w, "uscc", store->uscc);
        jw_put_text(w, "description", store->description);
        jw_put_bool(w, "demo", store->demo);
        jw_put_utc(w, "created_at", store->created_at);
    }
    jw_end_object(w);
}

static err_t get_stores(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct store_list list;
    struct store *stores;
    size_t count;
    (void)request;
    TRY(load_store_list(ctx, &list));
    TRY(store_list(ctx, STORE_OPEN, REF_NONE, 200, &stores, &count));
    jw_object(&reply->json);
    jw_key(&reply->json, "data");
    jw_array(&reply->json);
    for (size_t i = count; i-- > 0;)
        write_store(&reply->json, &stores[i], &list, false);
    jw_end_array(&reply->json);
    jw_end_object(&reply->json);
    return OK;
}

static err_t get_store(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct store_list list;
    struct store store = {0};
    ref_t id;
    TRY(request_ref(ctx, request, 0, "sto", &id));
    TRY(store_load(ctx, id, &store));
    if (store.m.state != STORE_OPEN)
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such open store");
    TRY(load_store_list(ctx, &list));
    write_store(&reply->json, &store, &list, true);
    return OK;
}

/* ---- search ---- */
static err_t read_facet(struct ctx *ctx, const struct request *request, int facet,
                        struct search *search)
{
    str_t rest = request_query(request, facet_names[facet]), value;
    while (str_next(&rest, ',', &value)) {
        if (value.len == 0)
            continue;
        if (search->value_count[facet] == SEARCH_VALUES_MAX)
            return refuse_field(ctx, str_printf(ctx->arena, "/query/%s", facet_names[facet]),
                                "out_of_range", "at most %d values", SEARCH_VALUES_MAX);
        search->values[facet][search->value_count[facet]++] = value;
    }
    return OK;
}

/* A decimal of the query at `scale` a unit; absent stays 0. */
static err_t read_decimal(struct ctx *ctx, const struct request *request, const char *name,
                          int64_t scale, int64_t *out)
{
    str_t text = request_query(request, name);
    price_t number;
    if (text.len == 0)
        return OK;
    if (!price_read(text, &number))
        return refuse_field(ctx, str_printf(ctx->arena, "/query/%s", name), "bad_format",
                            "a decimal number");
    price_t scaled;
    if (!price_scale(number, scale, 1, &scaled))
        return refuse_field(ctx, str_printf(ctx->arena, "/query/%s", name), "out_of_range",
                            "too large");
    *out = scaled.e10 / 10000000000;
    return OK;
}

static err_t read_price_max(struct ctx *ctx, const struct request *request, struct search *search)
{
    str_t text = request_query(request, "price_max");
    if (text.len && !price_read(text, &search->price_max))
        return refuse_field(ctx, STR("/query/price_max"), "bad_format", "a decimal price per hour");
    return OK;
}

static err_t read_order(struct ctx *ctx, const struct request *request, struct search *search)
{
    str_t sort = request_query(request, "sort"), stock = request_query(request, "in_stock");
    int64_t limit;
    if (sort.len && !names_find(&search_sort_names, sort, &search->sort))
        return refuse_field(ctx, STR("/query/sort"), "not_in_list",
                            "relevance, price, price_desc, name or lead");
    if (stock.len && !str_is(stock, "true") && !str_is(stock, "false"))
        return refuse_field(ctx, STR("/query/in_stock"), "not_in_list", "true or false");
    search->in_stock = str_is(stock, "true");
    TRY(request_query_int(ctx, request, "limit", 1, SEARCH_LIMIT_MAX, 20, &limit));
    search->limit = (int)limit;
    return OK;
}

enum { TEXT_MAX = 100 };
static err_t read_search(struct ctx *ctx, const struct request *request, struct search *search,
                         uint64_t *out_hash)
{
    TRY(request_known_query(ctx, request,
                            "q category class store region charge_mode accelerator vcpus_min "
                            "vcpus_max memory_min memory_max accelerator_count_min price_max "
                            "in_stock sort limit cursor"));
    search->text = request_query(request, "q");
    if (str_utf8_count(search->text) > TEXT_MAX)
        return refuse_field(ctx, STR("/query/q"), "too_long", "at most %d characters", TEXT_MAX);
    for (int f = 0; f < FACET_COUNT; f++)
        TRY(read_facet(ctx, request, f, search));
    TRY(read_decimal(ctx, request, "vcpus_min", 1000, &search->vcpus_min_milli));
    TRY(read_decimal(ctx, request, "vcpus_max", 1000, &search->vcpus_max_milli));
    TRY(read_decimal(ctx, request, "memory_min", 1024, &search->memory_min_mib));
    TRY(read_decimal(ctx, request, "memory_max", 1024, &search->memory_max_mib));
    TRY(request_query_int(ctx, request, "accelerator_count_min", 0, 1000000, 0,
                          &search->accelerator_count_min));
    TRY(read_price_max(ctx, request, search));
    TRY(read_order(ctx, request, search));
    uint64_t hash = 0;
    for (int i = 0; i < request->query_count; i++)
        if (!str_is(request->query_names[i], "cursor") && !str_is(request->query_names[i], "limit"))
            hash = hash * 31 +
                   (str_hash(request->query_names[i]) ^ (str_hash(request->query_values[i]) << 1));
    *out_hash = hash;
    str_t cursor = request_query(request, "cursor");
    if (cursor.len) {
        TRY(cursor_read(ctx, cursor, hash, &search->after_key, &search->after_id.value));
        search->after = true;
    }
    return OK;
}

static void write_price_from(struct jw *w, price_t price, int unit, int mode)
{
    jw_key(w, "price_from");
    jw_object(w);
    jw_key(w, "unit_price");
    jw_price(w, price);
    jw_put_text(w, "price_unit", str_of(names_of(&price_unit_names, unit)));
    jw_put_text(w, "charge_mode", str_of(names_of(&charge_mode_names, mode)));
    jw_end_object(w);
}

/* The members of a product_summary, into an object that the caller opened. */
static void write_summary(struct jw *w, const struct search_hit *hit)
{
    jw_put_ref(w, "product_id", "prd", hit->product_id);
    jw_put_text(w, "name", hit->name);
    jw_put_text(w, "category", hit->category);
    jw_put_text(w, "class", hit->class);
    jw_put_ref(w, "store_id", "sto", hit->store_id);
    jw_put_text(w, "store_name", hit->store_name);
    jw_put_text(w, "region_code", hit->region_code);
    jw_put_text(w, "region_name", hit->region_name);
    jw_key(w, "specs");
    jw_raw(w, hit->specs);
    write_price_from(w, hit->price_from, hit->price_unit, hit->charge_mode);
    jw_key(w, "price_hour");
    if (hit->price_hour.e10)
        jw_price(w, hit->price_hour);
    else
        jw_null(w);
    jw_put_int(w, "stock_available", hit->stock_available);
    jw_put_int(w, "lead_h", hit->lead_h);
    jw_put_int(w, "sla_bp", hit->sla_bp);
    jw_key(w, "source");
    if (hit->source_provider.len == 0) {
        jw_null(w);
        return;
    }
    jw_object(w);
    jw_put_text(w, "provider", hit->source_provider);
    jw_put_text(w, "region", hit->source_region);
    jw_put_text(w, "instance_type", hit->source_type);
    jw_end_object(w);
}

static void write_facets(struct jw *w, const struct search_result *result)
{
    jw_key(w, "facets");
    jw_object(w);
    for (int f = 0; f < FACET_COUNT; f++) {
        jw_key(w, facet_names[f]);
        jw_array(w);
        for (size_t i = 0; i < result->facet_count[f]; i++) {
            const struct facet_value *value = &result->facets[f][i];
            jw_object(w);
            jw_put_text(w, "value", value->value);
            jw_put_text(w, "label_zh", value->label_zh);
            jw_put_text(w, "label_en", value->label_en);
            jw_put_int(w, "count", value->count);
            jw_end_object(w);
        }
        jw_end_array(w);
    }
    jw_end_object(w);
}

static err_t get_products(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct search *search = NEW(ctx, struct search);
    struct search_result *result = NEW(ctx, struct search_result);
    uint64_t hash;
    struct jw *w = &reply->json;
    TRY(read_search(ctx, request, search, &hash));
    TRY(catalog_search(ctx, search, result));
    jw_object(w);
    jw_key(w, "data");
    jw_array(w);
    for (int i = 0; i < result->count; i++) {
        jw_object(w);
        write_summary(w, &result->hits[i]);
        jw_end_object(w);
    }
    jw_end_array(w);
    jw_key(w, "next_cursor");
    if (result->more)
        jw_text(w, cursor_make(ctx, result->last_key, result->last_id.value, hash));
    else
        jw_null(w);
    jw_put_int(w, "total", result->total);
    write_facets(w, result);
    jw_end_object(w);
    return OK;
}

/* ---- one product ---- */
static void write_sku(struct ctx *ctx, struct jw *w, const struct sku *sku,
                      const struct store *store)
{
    bool orderable = catalog_can_order(ctx, sku, store, sku->min_qty, STR("")) == OK;
    jw_object(w);
    jw_put_ref(w, "sku_id", "sku", sku->id);
    jw_put_text(w, "external_sku_id", sku->external_sku_id);
    jw_put_text(w, "charge_mode", str_of(names_of(&charge_mode_names, sku->charge_mode)));
    jw_key(w, "unit_price");
    jw_price(w, sku->unit_price);
    jw_put_text(w, "price_unit", str_of(names_of(&price_unit_names, sku->price_unit)));
    jw_key(w, "term");
    if (sku->term.len)
        jw_text(w, sku->term);
    else
        jw_null(w);
    jw_put_int(w, "setup_fen", sku->setup_fee.fen);
    jw_put_int(w, "rate_bp", sku->rate_bp);
    jw_put_int(w, "min_qty", sku->min_qty);
    jw_put_int(w, "max_qty", sku->max_qty);
    jw_put_int(w, "stock_available", sku->stock_available);
    jw_put_int(w, "stock_total", sku->stock_total);
    jw_put_utc(w, "stock_as_of", sku->stock_as_of);
    jw_put_int(w, "lead_h", sku->lead_h);
    jw_put_bool(w, "orderable", orderable);
    jw_key(w, "orderable_reason");
    if (orderable)
        jw_null(w);
    else
        jw_text(w, str_of(ctx->problem.reason));
    jw_end_object(w);
    problem_clear(ctx);
}

static void write_detail(struct jw *w, const struct product_view *view)
{
    jw_put_text(w, "external_product_id", view->product.external_id);
    jw_put_text(w, "description", view->description);
    jw_put_text(w, "usage_mode", str_of(names_of(&usage_mode_names, view->usage_mode)));
    jw_put_text(w, "usage_guide", view->usage_guide);
    jw_put_text(w, "tool_url", view->tool_url);
    jw_put_text(w, "delivery_mode", view->delivery_mode);
    jw_put_int(w, "norm_version", view->norm_version);
    jw_put_int(w, "version", view->number);
    jw_put_int(w, "latest_version", view->product.listed_version);
    jw_put_text(w, "state", str_of(names_of(&product_state_names, view->product.m.state)));
    jw_put_utc(w, "listed_at", view->product.listed_at);
    jw_put_utc(w, "reported_at", view->reported_at);
    jw_put_ref(w, "listing_event_id", "evt", view->product.listing_event_id);
}

/* An older version says what it said; what is dear and in stock is always of now. */
static void use_version(struct search_hit *hit, const struct product_view *view)
{
    hit->product_id = view->product.m.id;
    hit->store_id = view->product.store_id;
    hit->name = view->name;
    hit->category = view->category;
    hit->specs = view->specs;
    hit->sla_bp = view->sla_bp;
}

/* A product that the index does not show (just listed, paused, delisted, its store not open) says
 * the same of itself from its rows. */
static void use_rows(struct ctx *ctx, struct search_hit *hit, const struct product_view *view,
                     const struct store *store, const struct store_list *list)
{
    const char *why;
    const struct json *source = json_parse_text(ctx->arena, view->source, &why);
    str_t rest = view->category;
    (void)str_next(&rest, '.', &hit->class);
    hit->store_name = store->name;
    hit->source_provider = json_get_text(source, "provider");
    hit->source_region = json_get_text(source, "region");
    hit->source_type = json_get_text(source, "instance_type");
    for (size_t i = 0; i < view->sku_count; i++) {
        const struct sku *sku = &view->skus[i];
        price_t hour = catalog_price_hour(sku->unit_price, sku->price_unit, sku->term);
        if (sku->stock_available > hit->stock_available)
            hit->stock_available = sku->stock_available;
        if (i > 0 && hour.e10 >= hit->price_hour.e10)
            continue;
        hit->price_hour = hour;
        hit->price_from = sku->unit_price;
        hit->price_unit = sku->price_unit;
        hit->charge_mode = sku->charge_mode;
        hit->lead_h = sku->lead_h;
        hit->region_code = sku->region_code;
    }
    hit->region_name = region_name(list->regions, list->region_count, hit->region_code);
}

static err_t get_product(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct product_view *view = NEW(ctx, struct product_view);
    struct search_hit hit = {.specs = STR("[]")};
    struct store store = {0};
    struct store_list list;
    int64_t version;
    bool found;
    ref_t id;
    struct jw *w = &reply->json;
    TRY(request_ref(ctx, request, 0, "prd", &id));
    TRY(request_known_query(ctx, request, "version"));
    TRY(request_query_int(ctx, request, "version", 1, INT32_MAX, 0, &version));
    TRY(catalog_product(ctx, id, version, view));
    TRY(store_load(ctx, view->product.store_id, &store));
    TRY(catalog_summary(ctx, id, &hit, &found));
    TRY(load_store_list(ctx, &list));
    if (!found)
        use_rows(ctx, &hit, view, &store, &list);
    use_version(&hit, view);
    jw_object(w);
    write_summary(w, &hit);
    write_detail(w, view);
    jw_key(w, "store");
    write_store(w, &store, &list, true);
    jw_key(w, "skus");
    jw_array(w);
    for (size_t i = 0; i < view->sku_count; i++)
        write_sku(ctx, w, &view->skus[i], &store);
    jw_end_array(w);
    jw_end_object(w);
    return OK;
}

/* ---- quotes ---- */
struct quote_body {
    struct quote_line *lines;
    size_t count;
};
static const struct field quote_line_fields[] = {
    FIELD_REF(struct quote_line, sku_id, "sku", FIELD_REQUIRED),
    FIELD(struct quote_line, quantity, 1, 1000000, FIELD_REQUIRED),
};
static const struct shape quote_line_shape = SHAPE(struct quote_line, quote_line_fields);
static const struct field quote_body_fields[] = {
    FIELD_ARRAY(struct quote_body, lines, count, &quote_line_shape, 1, 50, FIELD_REQUIRED),
};
static const struct shape quote_body_shape = SHAPE(struct quote_body, quote_body_fields);

static void write_quote_line(struct jw *w, const struct quote_priced *line)
{
    jw_object(w);
    jw_put_ref(w, "sku_id", "sku", line->sku.id);
    jw_put_ref(w, "product_id", "prd", line->sku.product_id);
    jw_put_text(w, "product_name", line->sku.product_name);
    jw_put_ref(w, "store_id", "sto", line->sku.store_id);
    jw_put_text(w, "store_name", line->store.name);
    jw_put_int(w, "quantity", line->quantity);
    jw_key(w, "unit_price");
    jw_price(w, line->sku.unit_price);
    jw_put_text(w, "price_unit", str_of(names_of(&price_unit_names, line->sku.price_unit)));
    jw_put_int(w, "unit_rounded_fen", line->price.unit.fen);
    jw_put_int(w, "list_fen", line->price.list.fen);
    jw_put_int(w, "discount_fen", line->price.discount.fen);
    jw_put_int(w, "payable_fen", line->price.payable.fen);
    jw_put_int(w, "rate_bp", line->sku.rate_bp);
    jw_put_int(w, "tax_fen", line->price.tax.fen);
    jw_end_object(w);
}

static err_t post_quote(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    const struct quote_body *in = request->input;
    struct quote quote = {0};
    struct quote_priced *lines;
    struct jw *w = &reply->json;
    int64_t list = 0, discount = 0, tax = 0;
    TRY(catalog_quote_make(ctx, in->lines, in->count, &quote, &lines));
    reply->status = 201;
    jw_object(w);
    jw_put_ref(w, "quote_id", "quo", quote.id);
    jw_key(w, "lines");
    jw_array(w);
    for (size_t i = 0; i < in->count; i++) {
        write_quote_line(w, &lines[i]);
        list += lines[i].price.list.fen;
        discount += lines[i].price.discount.fen;
        tax += lines[i].price.tax.fen;
    }
    jw_end_array(w);
    jw_put_int(w, "list_fen", list);
    jw_put_int(w, "discount_fen", discount);
    jw_put_int(w, "payable_fen", quote.payable.fen);
    jw_put_int(w, "tax_fen", tax);
    jw_put_utc(w, "valid_until", quote.valid_until);
    jw_end_object(w);
    return OK;
}

/* ---- review ---- */
static void write_product_state(struct jw *w, const struct product *product)
{
    jw_object(w);
    jw_put_ref(w, "product_id", "prd", product->m.id);
    jw_put_ref(w, "store_id", "sto", product->store_id);
    jw_put_text(w, "external_product_id", product->external_id);
    jw_put_text(w, "state", str_of(names_of(&product_state_names, product->m.state)));
    jw_put_int(w, "listed_version", product->listed_version);
    jw_put_int(w, "latest_version", product->latest_version);
    jw_put_utc(w, "updated_at", product->updated_at);
    jw_end_object(w);
}

static err_t get_waiting(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct product *products;
    size_t count;
    (void)request;
    TRY(catalog_waiting(ctx, REF_NONE, 200, &products, &count));
    jw_object(&reply->json);
    jw_key(&reply->json, "data");
    jw_array(&reply->json);
    for (size_t i = 0; i < count; i++)
        write_product_state(&reply->json, &products[i]);
    jw_end_array(&reply->json);
    jw_end_object(&reply->json);
    return OK;
}

struct review_body {
    int32_t decision;
    str_t reason;
};
static const char *const decision_name[] = {NULL, "approve", "reject"};
static const struct names decision_names = NAMES(decision_name);
static const struct field review_fields[] = {
    FIELD_ENUM(struct review_body, decision, &decision_names, FIELD_REQUIRED),
    FIELD(struct review_body, reason, 0, 200, 0),
};
static const struct shape review_shape = SHAPE(struct review_body, review_fields);

static err_t post_review(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    const struct review_body *in = request->input;
    struct product product = {0};
    ref_t id;
    TRY(request_ref(ctx, request, 0, "prd", &id));
    TRY(catalog_review(ctx, id, in->decision == 1, in->reason, &product));
    write_product_state(&reply->json, &product);
    return OK;
}

#define BASE "/api/v1/catalog"
static const struct route routes[] = {
    {"GET", BASE "/categories", PERM_NONE, TX_READ, NULL, get_categories, ROUTE_PUBLIC},
    {"GET", BASE "/norms/{category}", PERM_NONE, TX_READ, NULL, get_norm, ROUTE_PUBLIC},
    {"GET", BASE "/regions", PERM_NONE, TX_READ, NULL, get_regions, ROUTE_PUBLIC},
    {"GET", BASE "/stores", PERM_NONE, TX_READ, NULL, get_stores, ROUTE_PUBLIC},
    {"GET", BASE "/stores/{store_id}", PERM_NONE, TX_READ, NULL, get_store, ROUTE_PUBLIC},
    {"GET", BASE "/products", PERM_NONE, TX_READ, NULL, get_products, ROUTE_PUBLIC},
    {"GET", BASE "/products/{product_id}", PERM_NONE, TX_READ, NULL, get_product, ROUTE_PUBLIC},
    {"POST", "/api/v1/quotes", PERM_NONE, TX_WRITE, &quote_body_shape, post_quote, ROUTE_PUBLIC},
    {"GET", "/api/v1/admin/products", PERM_STORE_REVIEW, TX_READ, NULL, get_waiting, 0},
    {"POST", "/api/v1/admin/products/{product_id}/review", PERM_STORE_REVIEW, TX_WRITE,
     &review_shape, post_review, 0},
};
const struct route_table catalog_routes = ROUTES(routes);
