/* SPDX-License-Identifier: Apache-2.0 */
/* Reads market.txt (form: tools/make-data.mjs), demo-stores.csv and demo-regions.csv. */
#include <stdio.h>
#include <string.h>

#include "market_internal.h"

enum { FIELDS_MAX = 16, USD_IN_CNY_E1 = 71, FILE_MAX = 64 << 20 };

static err_t read_file(struct ctx *ctx, const char *dir, const char *name, str_t *out)
{
    const char *path = str_z(ctx->arena, str_printf(ctx->arena, "%s/%s", dir, name));
    FILE *file = fopen(path, "rb");
    if (!file)
        return refuse(ctx, ERR_NOT_FOUND, "demo_data_missing", "cannot read %s", path);
    struct buf text;
    buf_init(&text, ctx->arena, FILE_MAX);
    char *block = arena_alloc(ctx->arena, 1 << 16);
    for (size_t n; (n = fread(block, 1, 1 << 16, file)) > 0;)
        buf_put(&text, str_from(block, n));
    bool bad = ferror(file) != 0 || text.overflow;
    fclose(file);
    if (bad)
        return refuse(ctx, ERR_INTERNAL, "demo_data_damaged", "cannot read %s to its end", path);
    *out = buf_str(&text);
    return OK;
}

static int split(str_t line, char separator, str_t out[FIELDS_MAX])
{
    int count = 0;
    const char *at = line.data, *end = line.data + line.len;
    for (const char *start = at; at <= end && count < FIELDS_MAX; at++) {
        if (at == end || *at == separator) {
            out[count++] = str_from(start, (size_t)(at - start));
            start = at + 1;
        }
    }
    for (int i = count; i < FIELDS_MAX; i++)
        out[i] = STR("");
    return count;
}

static price_t in_cny(str_t text, str_t currency)
{
    price_t price = {0};
    if (!price_read(text, &price))
        return (price_t){0};
    if (str_is(currency, "USD") && !price_scale(price, USD_IN_CNY_E1, 10, &price))
        return (price_t){0};
    return price;
}

static void read_region(struct market *m, const str_t *f)
{
    m->regions[m->region_count++] = (struct market_region){.provider = f[1],
                                                           .region = f[2],
                                                           .city = f[5],
                                                           .currency = f[6],
                                                           .price_source = f[7],
                                                           .price_date = f[8],
                                                           .store = -1};
}

static void read_type(struct market *m, const str_t *f)
{
    struct market_type type = {.provider = f[1],
                               .name = f[2],
                               .family = str_trim(f[3]),
                               .arch = f[4],
                               .cpu_allocation = f[5],
                               .vcpus = f[6],
                               .memory = f[7],
                               .accelerator = f[8],
                               .accelerator_memory = f[10],
                               .storage = f[11],
                               .network = f[12]};
    (void)str_to_int(f[9], 0, 1024, &type.accelerator_count);
    m->types[m->type_count++] = type;
}

static bool read_offer(struct market *m, const str_t *f)
{
    int64_t region;
    if (!str_to_int(f[0], 0, (int64_t)m->region_count - 1, &region) || m->type_count == 0)
        return false;
    str_t currency = m->regions[region].currency;
    m->offers[m->offer_count++] =
        (struct market_offer){(uint32_t)m->type_count - 1, (uint32_t)region, in_cny(f[1], currency),
                              in_cny(f[3], currency), in_cny(f[4], currency)};
    return true;
}

static bool read_storage(struct market *m, const str_t *f)
{
    int64_t region;
    if (!str_to_int(f[3], 0, (int64_t)m->region_count - 1, &region))
        return false;
    m->storage[m->storage_count++] = (struct market_storage){
        f[1], f[2], (uint32_t)region, in_cny(f[4], m->regions[region].currency)};
    return true;
}

static err_t read_market(struct ctx *ctx, str_t text, struct market *m)
{
    size_t lines = 1;
    for (size_t i = 0; i < text.len; i++)
        lines += text.data[i] == '\n';
    m->offers = NEW_ARRAY(ctx, struct market_offer, lines);
    m->types = NEW_ARRAY(ctx, struct market_type, 20000);
    m->regions = NEW_ARRAY(ctx, struct market_region, 1000);
    m->storage = NEW_ARRAY(ctx, struct market_storage, 10000);
    str_t line, f[FIELDS_MAX];
    for (size_t number = 1; str_next(&text, '\n', &line); number++) {
        bool good = m->type_count < 20000 && m->region_count < 1000 && m->storage_count < 10000;
        if (line.len == 0 || line.data[0] == '#')
            continue;
        split(line, '\t', f);
        if (str_is(f[0], "R"))
            read_region(m, f);
        else if (str_is(f[0], "T"))
            read_type(m, f);
        else if (str_is(f[0], "S"))
            good = good && read_storage(m, f);
        else
            good = good && read_offer(m, f);
        if (!good)
            return refuse(ctx, ERR_INTERNAL, "demo_data_damaged", "market.txt line %zu", number);
    }
    return OK;
}

static err_t read_stores(struct ctx *ctx, str_t text, struct market *m)
{
    str_t line, f[FIELDS_MAX];
    m->stores = NEW_ARRAY(ctx, struct market_store, 200);
    (void)str_next(&text, '\n', &line);
    while (str_next(&text, '\n', &line) && m->store_count < 200)
        if (line.len && split(line, ',', f) >= 6)
            m->stores[m->store_count++] = (struct market_store){f[0], f[1], f[2], f[3], f[4], f[5]};
    return OK;
}

static err_t map_regions(struct ctx *ctx, str_t text, struct market *m)
{
    str_t line, f[FIELDS_MAX];
    (void)str_next(&text, '\n', &line);
    while (str_next(&text, '\n', &line)) {
        if (line.len == 0)
            continue;
        split(line, ',', f);
        int store = -1;
        for (size_t i = 0; i < m->store_count; i++)
            if (str_eq(m->stores[i].code, f[2]))
                store = (int)i;
        if (store < 0)
            return refuse(ctx, ERR_INTERNAL, "demo_data_damaged", "demo-regions.csv: " STR_FMT,
                          STR_ARG(line));
        for (size_t i = 0; i < m->region_count; i++)
            if (str_eq(m->regions[i].provider, f[0]) && str_eq(m->regions[i].region, f[1]))
                m->regions[i].store = store;
    }
    return OK;
}

err_t market_read(struct ctx *ctx, const char *data_dir, struct market *out)
{
    str_t market, stores, regions;
    *out = (struct market){0};
    TRY(read_file(ctx, data_dir, "market.txt", &market));
    TRY(read_file(ctx, data_dir, "demo-stores.csv", &stores));
    TRY(read_file(ctx, data_dir, "demo-regions.csv", &regions));
    TRY(read_market(ctx, market, out));
    TRY(read_stores(ctx, stores, out));
    return map_regions(ctx, regions, out);
}

uint64_t dice_next(struct dice *dice)
{
    uint64_t z = dice->state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

uint32_t dice_below(struct dice *dice, uint32_t bound)
{
    return (uint32_t)(dice_next(dice) >> 32) % bound;
}
