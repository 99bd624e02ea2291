/* SPDX-License-Identifier: Apache-2.0 */
/* An open store and reported products for tests of the catalogue. */
#ifndef SUANHE_TEST_CATALOG_SUPPORT_H
#define SUANHE_TEST_CATALOG_SUPPORT_H

#include "catalog/catalog.h"
#include "fixture.h"

struct shop {
    struct fixture *f;
    struct store store;
    bool review_first;
};

STEP(install_norms, int)
{
    (void)arg;
    return catalog_install(ctx);
}

STEP(open_shop, struct shop)
{
    struct org org = {0};
    struct store_application in = {.name = STR("试验算力"),
                                   .uscc = STR("91110000600037341L"),
                                   .legal_name = STR("试验算力有限公司"),
                                   .contact_name = STR("某人"),
                                   .region_code = STR("340200"),
                                   .if2_base_url = STR("http://127.0.0.1:9/p/test"),
                                   .accepted_rules_version = STR("1")};
    TRY(account_org_create(ctx, STR("试验单位"), ORG_PROVIDER, &org));
    TRY(store_import_demo(ctx, org.id, &in, &arg->store));
    if (arg->review_first)
        TRY(db_exec(ctx, "UPDATE store_head SET auto_listing = 0", NO_ARGS, NULL));
    return OK;
}

static UNUSED struct shop given_shop(struct fixture *f, bool review_first)
{
    struct shop shop = {.f = f, .review_first = review_first};
    act_as_system(f);
    assert_ok(f, WRITE(f, install_norms, NULL));
    assert_ok(f, WRITE(f, open_shop, &shop));
    return shop;
}

/* A report that may be altered before it is sent. */
struct sample {
    struct product_report in;
    struct spec specs[8];
    struct sku_report skus[4];
    const char *external_id;
    ref_t store;
    struct product_reported out;
};

static UNUSED void fill_sample(struct sample *s, const struct shop *shop, const char *external_id)
{
    *s = (struct sample){.external_id = external_id, .store = shop->store.m.id};
    s->specs[0] = (struct spec){STR("vcpus"), STR("8"), STR("core")};
    s->specs[1] = (struct spec){STR("memory"), STR("32"), STR("GiB")};
    s->specs[2] = (struct spec){STR("arch"), STR("x86_64"), STR("")};
    s->skus[0] = (struct sku_report){.external_sku_id = STR("m1"),
                                     .charge_mode = CHARGE_RESERVED,
                                     .price_unit = PRICE_MONTH,
                                     .term = STR("P1M"),
                                     .unit_price = {INT64_C(1234500000000)}, /* 123.45 */
                                     .rate_bp = 600,
                                     .min_qty = 1,
                                     .max_qty = 100,
                                     .region_code = STR("340200"),
                                     .inventory = {10, 20, shop->f->ctx.now}};
    s->skus[1] = s->skus[0];
    s->skus[1].external_sku_id = STR("od");
    s->skus[1].charge_mode = CHARGE_ON_DEMAND;
    s->skus[1].price_unit = PRICE_HOUR;
    s->skus[1].term = STR("");
    s->skus[1].unit_price = (price_t){INT64_C(3000000000)};
    s->in = (struct product_report){.provider_version = 1,
                                    .norm_version = 1,
                                    .name = STR("试验主机 t1.large"),
                                    .category_code = STR("iaas.compute.vm"),
                                    .usage_mode = USAGE_INTERACTIVE,
                                    .sla_bp = 9990,
                                    .specs = s->specs,
                                    .spec_count = 3,
                                    .skus = s->skus,
                                    .sku_count = 2};
}

STEP(send_report, struct sample)
{
    arg->in.specs = arg->specs;
    arg->in.skus = arg->skus;
    return catalog_report(ctx, arg->store, str_of(arg->external_id), &arg->in, &arg->out);
}

static UNUSED struct sample given_product(struct shop *shop, const char *external_id)
{
    struct sample s;
    fill_sample(&s, shop, external_id);
    assert_ok(shop->f, WRITE(shop->f, send_report, &s));
    return s;
}

struct sku_read {
    ref_t id;
    struct sku sku;
};
STEP(read_sku, struct sku_read)
{
    return catalog_sku(ctx, arg->id, &arg->sku);
}
static UNUSED struct sku sku_now(struct fixture *f, ref_t id)
{
    struct sku_read read = {.id = id};
    assert_ok(f, READ(f, read_sku, &read));
    return read.sku;
}

#endif
