/* SPDX-License-Identifier: Apache-2.0 */
/* The demo market: ten fictitious stores that sell real offers at their real list prices. Stock,
 * lead times, service levels and monthly prices come from a fixed seed. A store with its products
 * and its one fact is one transaction, so that an interrupted import goes on with the store that is
 * missing. */
#include <stdio.h>

#include "crypto/crypto.h"
#include "market_internal.h"

enum { TAX_SERVICES_BP = 600, QUANTITY_MAX = 1000 };

/* ---- generated terms ---- */
/* Lead time, service level and stock, the same for all SKUs of a product. */
void import_offer_terms(struct import *import, struct import_product *product)
{
    static const int16_t lead[] = {0, 0, 0, 0, 0, 0,  0,  0,  0,  1,
                                   1, 1, 4, 4, 4, 24, 24, 24, 72, 168};
    static const int16_t sla[] = {9900, 9950, 9990, 9995, 9999};
    /* Quantiles of a log-normal distribution around 30. */
    static const uint16_t stock[] = {4,  7,  10, 13, 16, 20, 24,  28,
                                     32, 38, 46, 56, 70, 92, 130, 230};
    bool scarce = product->entry.accelerator_count > 0;
    int64_t available = dice_below(&import->dice, 100) < 8
                            ? 0
                            : stock[dice_below(&import->dice, 16)] + dice_below(&import->dice, 4);
    if (scarce && available > 4)
        available /= 4;
    int32_t hours = lead[dice_below(&import->dice, 20)];
    product->report.sla_bp = sla[dice_below(&import->dice, 5)];
    for (size_t i = 0; i < product->report.sku_count; i++) {
        product->skus[i].lead_h = hours;
        product->skus[i].inventory =
            (struct inventory){available, available + available / 2 + 1, import->ctx->now};
    }
}

void import_add_sku(struct import_product *product, const char *id, int charge, price_t price,
                    int unit, const char *term)
{
    if (price.e10 <= 0)
        return;
    product->skus[product->report.sku_count++] = (struct sku_report){.external_sku_id = str_of(id),
                                                                     .charge_mode = charge,
                                                                     .price_unit = unit,
                                                                     .unit_price = price,
                                                                     .term = str_of(term),
                                                                     .rate_bp = TAX_SERVICES_BP,
                                                                     .min_qty = 1,
                                                                     .max_qty = QUANTITY_MAX};
}

static price_t scaled(price_t price, int64_t num, int64_t den)
{
    price_t out = {0};
    return price_scale(price, num, den, &out) ? out : (price_t){0};
}

/* To whole fen: what a buyer pays for a term is a sum of money. */
static price_t in_fen(price_t price)
{
    money_t fen;
    return price_to_money(price, &fen) ? (price_t){fen.fen * 100000000} : (price_t){0};
}

/* ---- writing ---- */
static err_t insert_product(struct import *import, const struct import_product *p, ref_t id)
{
    struct ctx *ctx = import->ctx;
    return db_exec(ctx,
                   "INSERT INTO catalog_product (id, store_id, org_id, external_id, state, version,"
                   " last_event_id, provider_version, listed_version, latest_version, listed_at,"
                   " listing_event_id, created_at, updated_at)"
                   " VALUES ($1, $2, $3, $4, 3, 1, $5, 1, 1, 1, $6, $5, $6, $6)",
                   ARGS(A(id), A(import->store.m.id), A(import->store.org_id),
                        A(p->report.external_product_id), A(import->event_id), A(ctx->now)),
                   NULL);
}

err_t import_put(struct import *import, struct import_product *p)
{
    struct ctx *ctx = import->ctx;
    ref_t id = id_make(ctx->platform->ids, ctx->now), sku;
    hash_t digest;
    p->report.skus = p->skus;
    p->report.provider_version = p->report.norm_version = 1;
    import_offer_terms(import, p);
    char space[512];
    int len = snprintf(space, sizeof(space), STR_FMT "\n" STR_FMT "\n%" PRId64 "\n%" PRId64,
                       STR_ARG(p->report.external_product_id), STR_ARG(p->report.name),
                       p->specs_id.value, p->skus[0].unit_price.e10);
    sm3_parts((str_t[]){str_from(import->digest.bytes, sizeof(import->digest.bytes)),
                        str_from(space, (size_t)len)},
              2, digest.bytes);
    import->digest = digest;
    TRY(insert_product(import, p, id));
    TRY(catalog_version_insert(ctx, id, 1, &p->report, str_from(digest.bytes, sizeof(digest.bytes)),
                               STR(""), p->specs_id));
    p->entry.product_id = id;
    p->entry.store_id = import->store.m.id;
    p->entry.specs_id = p->specs_id;
    p->entry.region = import->region_number;
    p->entry.listed = 1;
    p->entry.sla_bp = p->report.sla_bp;
    p->entry.name = p->report.name;
    p->entry.source_type = p->report.source.instance_type;
    for (size_t i = 0; i < p->report.sku_count; i++) {
        struct sku_report *in = &p->skus[i];
        in->region_code = import->demo->region_code;
        TRY(catalog_sku_insert(ctx, id, in, &sku));
        entry_add_sku(&p->entry, in->charge_mode, in->unit_price, in->price_unit, in->term,
                      in->lead_h);
    }
    TRY(entry_store(ctx, &p->entry));
    import->products++;
    import->skus += (int64_t)p->report.sku_count;
    return OK;
}

/* ---- specifications of a type ---- */
static void add_spec(struct spec *specs, size_t *count, const char *code, str_t value,
                     const char *unit)
{
    if (value.len == 0 || str_is(value, "0"))
        return;
    specs[(*count)++] = (struct spec){str_of(code), value, str_of(unit)};
}

static err_t prepare_type(struct ctx *ctx, struct market_type *type)
{
    struct spec specs[16];
    size_t count = 0;
    bool accelerated = type->accelerator_count > 0;
    add_spec(specs, &count, "vcpus", type->vcpus, "core");
    add_spec(specs, &count, "memory", type->memory, "GiB");
    if (accelerated) {
        add_spec(specs, &count, "accelerator_model",
                 type->accelerator.len ? type->accelerator : STR("other"), "");
        add_spec(specs, &count, "accelerator_count",
                 str_printf(ctx->arena, "%" PRId64, type->accelerator_count), "card");
        add_spec(specs, &count, "accelerator_memory", type->accelerator_memory, "GiB");
    }
    add_spec(specs, &count, "arch", type->arch, "");
    add_spec(specs, &count, "cpu_allocation", type->cpu_allocation, "");
    add_spec(specs, &count, "family", type->family, "");
    add_spec(specs, &count, "local_storage", type->storage, "GB");
    add_spec(specs, &count, "network_bandwidth", type->network, "Gbit/s");
    str_t category = accelerated ? STR("iaas.compute.accelerator") : STR("iaas.compute.vm");
    TRY(catalog_specs_id(ctx, catalog_specs_json(ctx, specs, count), &type->specs_id));
    TRY(catalog_code_number(ctx, CODE_CATEGORY, category, &type->entry.category));
    return entry_add_specs(ctx, &type->entry, specs, count);
}

static err_t source_number(struct import *import, const struct market_region *region, int32_t *out)
{
    return catalog_code_number(import->ctx, CODE_SOURCE,
                               str_printf(import->ctx->arena, STR_FMT "/" STR_FMT,
                                          STR_ARG(region->provider), STR_ARG(region->region)),
                               out);
}

static str_t name_of(const struct market_type *type, char *space, size_t size)
{
    int len = type->accelerator_count > 0
                  ? snprintf(space, size, "智算主机 " STR_FMT " %" PRId64 "×" STR_FMT,
                             STR_ARG(type->name), type->accelerator_count,
                             STR_ARG(type->accelerator.len ? type->accelerator : STR("GPU")))
                  : snprintf(space, size, "云主机 " STR_FMT " " STR_FMT " vCPU " STR_FMT " GiB",
                             STR_ARG(type->name), STR_ARG(type->vcpus), STR_ARG(type->memory));
    return str_from(space, len < 0 ? 0 : (size_t)len < size ? (size_t)len : size - 1);
}

#define LICENCE "CC BY-SA 4.0"
#define MARKED "包月价、库存、交付时间和服务等级为演示数据，由固定种子生成。"
static err_t put_offer(struct import *import, const struct market_offer *offer, int32_t source)
{
    const struct market *m = import->market;
    const struct market_type *type = &m->types[offer->type];
    const struct market_region *region = &m->regions[offer->region];
    struct import_product p = {.entry = type->entry, .specs_id = type->specs_id};
    char *external = p.space, *name = p.space + 256;
    int len = snprintf(external, 256, STR_FMT ":" STR_FMT ":" STR_FMT, STR_ARG(region->provider),
                       STR_ARG(region->region), STR_ARG(type->name));
    p.report.external_product_id = str_from(external, (size_t)len);
    p.report.name = name_of(type, name, 256);
    p.report.category_code =
        type->accelerator_count > 0 ? STR("iaas.compute.accelerator") : STR("iaas.compute.vm");
    p.report.usage_mode = USAGE_INTERACTIVE;
    p.report.description = STR("规格与按量目录价来自公开数据；" MARKED);
    p.report.source =
        (struct product_source){region->provider, region->region, type->name, STR(LICENCE)};
    p.entry.source = source;
    price_t month = scaled(offer->hour, HOURS_A_MONTH, 1);
    import_add_sku(&p, "od", CHARGE_ON_DEMAND, offer->hour, PRICE_HOUR, "");
    import_add_sku(&p, "m1", CHARGE_RESERVED,
                   in_fen(scaled(month, 720 + dice_below(&import->dice, 181), 1000)), PRICE_MONTH,
                   "P1M");
    import_add_sku(&p, "y1", CHARGE_RESERVED, in_fen(scaled(offer->year1, HOURS_A_MONTH * 12, 1)),
                   PRICE_YEAR, "P1Y");
    import_add_sku(&p, "y3", CHARGE_RESERVED, in_fen(scaled(offer->year3, HOURS_A_MONTH * 36, 1)),
                   PRICE_YEAR, "P3Y");
    return import_put(import, &p);
}

static err_t put_offers(struct import *import)
{
    const struct market *m = import->market;
    int sample = import->options->sample > 1 ? import->options->sample : 1;
    int32_t *sources = NEW_ARRAY(import->ctx, int32_t, m->region_count);
    for (size_t i = 0; i < m->offer_count; i += (size_t)sample) {
        uint32_t region = m->offers[i].region;
        struct market_type *type = &m->types[m->offers[i].type];
        if (m->regions[region].store != import->store_index)
            continue;
        if (sources[region] == 0)
            TRY(source_number(import, &m->regions[region], &sources[region]));
        if (type->specs_id.value == 0)
            TRY(prepare_type(import->ctx, type));
        TRY(put_offer(import, &m->offers[i], sources[region]));
    }
    return OK;
}

/* ---- storage: one unit is a TiB ---- */
static str_t redundancy_of(str_t class)
{
    if (str_ends(class, STR("-replicated")))
        return STR("replicated");
    if (str_ends(class, STR("-multi")))
        return STR("multi_region");
    return str_ends(class, STR("-dual")) ? STR("dual_region") : STR("single");
}

static err_t put_storage(struct import *import, const struct market_storage *in)
{
    struct ctx *ctx = import->ctx;
    const struct market_region *region = &import->market->regions[in->region];
    struct import_product p = {0};
    size_t count = 0;
    bool object = str_is(in->kind, "object");
    p.report.external_product_id = str_printf(
        ctx->arena, STR_FMT ":" STR_FMT ":" STR_FMT ":" STR_FMT, STR_ARG(region->provider),
        STR_ARG(region->region), STR_ARG(in->kind), STR_ARG(in->class));
    p.report.name = str_printf(ctx->arena, "%s " STR_FMT " 1 TiB", object ? "对象存储" : "块存储",
                               STR_ARG(in->class));
    p.report.category_code = STR("iaas.storage");
    p.report.usage_mode = USAGE_API;
    p.report.description = STR("目录价来自公开数据；" MARKED);
    p.report.source =
        (struct product_source){region->provider, region->region, in->class, STR(LICENCE)};
    add_spec(p.specs, &count, "storage_kind", in->kind, "");
    add_spec(p.specs, &count, "storage_class", in->class, "");
    add_spec(p.specs, &count, "redundancy", redundancy_of(in->class), "");
    add_spec(p.specs, &count, "capacity", STR("1"), "TiB");
    TRY(catalog_specs_id(ctx, catalog_specs_json(ctx, p.specs, count), &p.specs_id));
    TRY(catalog_code_number(ctx, CODE_CATEGORY, p.report.category_code, &p.entry.category));
    TRY(source_number(import, region, &p.entry.source));
    import_add_sku(&p, "od", CHARGE_ON_DEMAND, scaled(in->gib_month, 1024, HOURS_A_MONTH),
                   PRICE_HOUR, "");
    import_add_sku(&p, "m1", CHARGE_RESERVED, in_fen(scaled(in->gib_month, 1024 * 9, 10)),
                   PRICE_MONTH, "P1M");
    return p.report.sku_count ? import_put(import, &p) : OK;
}

/* ---- one store ---- */
static err_t tell_import(struct import *import)
{
    struct ctx *ctx = import->ctx;
    struct buf text;
    struct jw w;
    buf_init(&text, ctx->arena, 4096);
    jw_init(&w, &text);
    jw_object(&w);
    jw_put_ref(&w, "store_id", "sto", import->store.m.id);
    jw_put_int(&w, "products", import->products);
    jw_put_int(&w, "skus", import->skus);
    jw_put_text(
        &w, "digest_sm3",
        hex_encode(ctx->arena, str_from(import->digest.bytes, sizeof(import->digest.bytes))));
    jw_end_object(&w);
    struct fact fact = {.type = FACT_PRODUCT_IMPORT,
                        .object_prefix = "sto",
                        .object = import->store.m.id,
                        .root = import->store.m.id,
                        .payload = buf_str(&text),
                        .audience = {import->store.org_id},
                        .audience_count = 1,
                        .event_id = import->event_id};
    return evidence_append(ctx, &fact, NULL);
}

static err_t make_store(struct import *import)
{
    struct ctx *ctx = import->ctx;
    const struct market_store *demo = import->demo;
    struct org org = {0};
    struct store_application in = {.name = demo->name,
                                   .uscc = demo->uscc,
                                   .legal_name = demo->legal_name,
                                   .description = demo->description,
                                   .contact_name = STR("演示联系人"),
                                   .region_code = demo->region_code,
                                   .accepted_rules_version = STR("1")};
    str_t base =
        import->options->agent_url.len ? import->options->agent_url : STR("http://127.0.0.1:9090");
    in.if2_base_url =
        str_printf(ctx->arena, STR_FMT "/p/" STR_FMT, STR_ARG(base), STR_ARG(demo->code));
    TRY(account_org_create(ctx, demo->legal_name, ORG_PROVIDER, &org));
    TRY(store_import_demo(ctx, org.id, &in, &import->store));
    return catalog_code_number(ctx, CODE_REGION, demo->region_code, &import->region_number);
}

/* May run again when the transaction does: begins from nothing. */
static err_t import_store(struct ctx *ctx, void *arg)
{
    struct import *import = arg;
    const struct market *m = import->market;
    import->ctx = ctx;
    import->products = import->skus = 0;
    import->digest = (hash_t){0};
    import->dice = (struct dice){20260101u + (uint64_t)import->store_index};
    import->event_id = id_make(ctx->platform->ids, ctx->now);
    for (size_t i = 0; i < m->type_count; i++)
        m->types[i].specs_id = REF_NONE;
    TRY(make_store(import));
    TRY(put_offers(import));
    for (size_t i = 0; i < m->storage_count; i++)
        if (m->regions[m->storage[i].region].store == import->store_index)
            TRY(put_storage(import, &m->storage[i]));
    TRY(import_generated(import));
    return tell_import(import);
}

struct known_stores {
    const struct market *market;
    bool known[200];
};

static err_t find_known(struct ctx *ctx, void *arg)
{
    struct known_stores *known = arg;
    struct store *stores;
    size_t count;
    TRY(store_list(ctx, 0, REF_NONE, 200, &stores, &count));
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < known->market->store_count; k++)
            if (str_eq(stores[i].uscc, known->market->stores[k].uscc))
                known->known[k] = true;
    return OK;
}

err_t catalog_import_demo(struct ctx *ctx, const struct import_options *options,
                          struct import_result *out)
{
    struct market market;
    *out = (struct import_result){0};
    TRY(market_read(ctx, options->data_dir, &market));
    struct known_stores *known = NEW(ctx, struct known_stores);
    known->market = &market;
    TRY(db_read(ctx, ctx->platform->db, find_known, known));
    for (size_t i = 0; i < market.store_count; i++) {
        if (known->known[i])
            continue;
        struct import import = {.market = &market,
                                .options = options,
                                .demo = &market.stores[i],
                                .store_index = (int)i};
        struct ctx own;
        ctx_init(&own, ctx->platform, ctx->now);
        err_t err = db_write(&own, ctx->platform->db, import_store, &import);
        if (err != OK) {
            err_t told = refuse(ctx, err, own.problem.reason, "%s", own.problem.detail);
            ctx_done(&own);
            return told;
        }
        ctx_done(&own);
        out->stores++;
        out->products += import.products;
        out->skus += import.skus;
        if (options->progress)
            options->progress(options->progress_state, "products", out->products);
    }
    return OK;
}
