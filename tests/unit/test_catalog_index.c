/* SPDX-License-Identifier: Apache-2.0 */
/* The demo market and the index in memory: its answers are those of a plain look at every row of
 * the database, before and after changes. */
#include "catalog_support.h"

enum { SAMPLE = 40 };

/* ---- a plain look ---- */
struct plain {
    ref_t product_id, store_id;
    str_t name, category, region_code, specs, source_type;
    int32_t store_state;
    /* computed */
    int64_t vcpus_e3, memory_mib, accelerators, price_hour, stock;
    str_t accelerator;
    unsigned charge;
};
static const struct field plain_fields[] = {
    FIELD_REF(struct plain, product_id, "prd", 0), FIELD_REF(struct plain, store_id, "sto", 0),
    FIELD(struct plain, name, 0, 200, 0),          FIELD(struct plain, category, 0, 60, 0),
    FIELD_JSON(struct plain, specs, 65536, 0),     FIELD_JSON(struct plain, source_type, 4096, 0),
    FIELD(struct plain, store_state, 0, 20, 0),
};
static const struct shape plain_shape = SHAPE(struct plain, plain_fields);

struct plain_sku {
    ref_t product_id;
    int32_t charge_mode, price_unit;
    price_t unit_price;
    str_t term, region_code;
    int64_t sellable;
};
static const struct field plain_sku_fields[] = {
    FIELD_REF(struct plain_sku, product_id, "prd", 0),
    FIELD(struct plain_sku, charge_mode, 0, 9, 0),
    FIELD(struct plain_sku, price_unit, 0, 9, 0),
    FIELD(struct plain_sku, unit_price, 0, INT64_MAX, 0),
    FIELD(struct plain_sku, term, 0, 20, 0),
    FIELD(struct plain_sku, region_code, 0, 40, 0),
    FIELD(struct plain_sku, sellable, 0, INT64_MAX, 0),
};
static const struct shape plain_sku_shape = SHAPE(struct plain_sku, plain_sku_fields);

struct look {
    struct plain *rows;
    size_t count;
};

static void look_at_specs(struct ctx *ctx, struct plain *row)
{
    const struct json *specs;
    assert_int_equal(json_parse(ctx, row->specs, &specs), OK);
    for (size_t i = 0; i < json_count(specs); i++) {
        str_t code = json_get_text(json_at(specs, i), "code"),
              value = json_get_text(json_at(specs, i), "value");
        price_t number = {0};
        (void)price_read(value, &number);
        if (str_is(code, "vcpus"))
            row->vcpus_e3 = number.e10 / 10000000;
        if (str_is(code, "memory"))
            row->memory_mib = number.e10 / 10000 * 1024 / 1000000;
        if (str_is(code, "accelerator_count"))
            row->accelerators = number.e10 / 10000000000;
        if (str_is(code, "accelerator_model"))
            row->accelerator = value;
    }
    if (row->source_type.len) {
        const struct json *source;
        assert_int_equal(json_parse(ctx, row->source_type, &source), OK);
        row->source_type = json_get_text(source, "instance_type");
    }
}

static void look_at_sku(struct plain *row, const struct plain_sku *sku)
{
    int64_t hours = sku->price_unit == PRICE_HOUR ? 1
                    : str_is(sku->term, "P1M")    ? 730
                    : str_is(sku->term, "P1Y")    ? 730 * 12
                    : str_is(sku->term, "P3Y")    ? 730 * 36
                                                  : 0;
    int64_t hour = hours ? (sku->unit_price.e10 + hours / 2) / hours : 0;
    row->charge |= 1u << sku->charge_mode;
    row->region_code = row->region_code.len ? row->region_code : sku->region_code;
    if (hour && (!row->price_hour || hour < row->price_hour))
        row->price_hour = hour;
    if (sku->sellable > row->stock)
        row->stock = sku->sellable;
}

STEP(look_at_all, struct look)
{
    struct plain_sku *skus;
    size_t sku_count, at = 0;
    TRY(db_all(
        ctx,
        "SELECT p.id AS product_id, p.store_id AS store_id, v.name AS name, v.category AS category,"
        " s.specs AS specs, v.source AS source_type, h.state AS store_state FROM catalog_product p"
        " JOIN catalog_version v ON v.product_id = p.id AND v.number = p.listed_version"
        " JOIN catalog_specs s ON s.id = v.specs_id JOIN store_head h ON h.id = p.store_id"
        " WHERE p.state = 3 ORDER BY p.id",
        NO_ARGS, &plain_shape, &arg->rows, &arg->count));
    TRY(db_all(
        ctx,
        "SELECT k.product_id AS product_id, charge_mode, price_unit, unit_price, term, region_code,"
        " available - held AS sellable FROM catalog_sku k JOIN catalog_stock t ON t.sku_id = k.id"
        " WHERE active = 1 ORDER BY k.product_id, k.id",
        NO_ARGS, &plain_sku_shape, &skus, &sku_count));
    for (size_t i = 0; i < arg->count; i++) {
        look_at_specs(ctx, &arg->rows[i]);
        while (at < sku_count && skus[at].product_id.value < arg->rows[i].product_id.value)
            at++;
        for (size_t k = at; k < sku_count && ref_is(skus[k].product_id, arg->rows[i].product_id);
             k++)
            look_at_sku(&arg->rows[i], &skus[k]);
    }
    return OK;
}

static bool has_value(const struct search *s, int facet, str_t value)
{
    for (int i = 0; i < s->value_count[facet]; i++)
        if (str_eq(s->values[facet][i], value))
            return true;
    return s->value_count[facet] == 0;
}

static bool contains(str_t name, str_t text)
{
    for (size_t i = 0; i + text.len <= name.len; i++)
        if (strncasecmp(name.data + i, text.data, text.len) == 0)
            return true;
    return false;
}

static bool plain_has_text(const struct plain *row, str_t text)
{
    return text.len == 0 || contains(row->name, text) || contains(row->accelerator, text);
}

static bool plain_ranges(const struct search *s, const struct plain *row)
{
    return row->store_state == STORE_OPEN &&
           (!s->vcpus_min_milli || row->vcpus_e3 >= s->vcpus_min_milli) &&
           (!s->vcpus_max_milli || row->vcpus_e3 <= s->vcpus_max_milli) &&
           (!s->memory_min_mib || row->memory_mib >= s->memory_min_mib) &&
           (!s->memory_max_mib || row->memory_mib <= s->memory_max_mib) &&
           row->accelerators >= s->accelerator_count_min &&
           (!s->price_max.e10 || (row->price_hour && row->price_hour <= s->price_max.e10)) &&
           (!s->in_stock || row->stock > 0) && plain_has_text(row, s->text);
}

/* Which facets the row fails, as bits. */
static unsigned plain_fails(struct ctx *ctx, const struct search *s, const struct plain *row)
{
    unsigned fail = 0;
    bool charge = s->value_count[FACET_CHARGE] == 0;
    for (int mode = 1; mode < 6; mode++)
        charge = charge || ((row->charge >> mode & 1) &&
                            has_value(s, FACET_CHARGE, str_of(names_of(&charge_mode_names, mode))));
    str_t class = str_from(row->category.data, 4);
    fail |= (unsigned)!has_value(s, FACET_CATEGORY, row->category) << FACET_CATEGORY;
    fail |= (unsigned)!has_value(s, FACET_CLASS, class) << FACET_CLASS;
    fail |= (unsigned)!has_value(s, FACET_STORE, ref_text(ctx->arena, "sto", row->store_id))
            << FACET_STORE;
    fail |= (unsigned)!has_value(s, FACET_REGION, row->region_code) << FACET_REGION;
    fail |= (unsigned)!has_value(s, FACET_ACCELERATOR, row->accelerator) << FACET_ACCELERATOR;
    return fail | (unsigned)!charge << FACET_CHARGE;
}

static int64_t facet_count(const struct search_result *r, int facet, const char *value)
{
    for (size_t i = 0; i < r->facet_count[facet]; i++)
        if (str_is(r->facets[facet][i].value, value))
            return r->facets[facet][i].count;
    return 0;
}

struct search_step {
    struct search search;
    struct search_result result;
    bool refresh;
};
STEP(run_search, struct search_step)
{
    if (arg->refresh)
        TRY(catalog_index_refresh(ctx, true));
    return catalog_search(ctx, &arg->search, &arg->result);
}

/* Total, facets and every page against the plain look. */
static void assert_answers_alike(struct fixture *f, const struct search *search)
{
    struct look look = {0};
    struct search_step *step = calloc(1, sizeof *step);
    int64_t total = 0, by_region = 0, by_vm = 0, by_reserved = 0, seen = 0, last = INT64_MIN;
    assert_ok(f, READ(f, look_at_all, &look));
    for (size_t i = 0; i < look.count; i++) {
        const struct plain *row = &look.rows[i];
        if (!plain_ranges(search, row))
            continue;
        unsigned fail = plain_fails(&f->ctx, search, row);
        total += fail == 0;
        by_region += (fail & ~(1u << FACET_REGION)) == 0 && str_is(row->region_code, "340200");
        by_vm += (fail & ~(1u << FACET_CATEGORY)) == 0 && str_is(row->category, "iaas.compute.vm");
        by_reserved += (fail & ~(1u << FACET_CHARGE)) == 0 && (row->charge >> CHARGE_RESERVED & 1);
    }
    step->search = *search;
    step->search.limit = 50;
    step->refresh = true;
    do {
        assert_ok(f, READ(f, run_search, step));
        assert_int_equal(step->result.total, total);
        assert_int_equal(facet_count(&step->result, FACET_REGION, "340200"), by_region);
        assert_int_equal(facet_count(&step->result, FACET_CATEGORY, "iaas.compute.vm"), by_vm);
        assert_int_equal(facet_count(&step->result, FACET_CHARGE, "reserved"), by_reserved);
        for (int i = 0; i < step->result.count; i++, seen++) {
            int64_t price = step->result.hits[i].price_hour.e10;
            if (search->sort == SORT_PRICE && price)
                assert_true(price >= last);
            last = price ? price : last;
        }
        step->search.after = true;
        step->search.after_key = step->result.last_key;
        step->search.after_id = step->result.last_id;
    } while (step->result.more);
    assert_int_equal(seen, total);
    free(step);
}

/* ---- building ---- */
static void given_market(struct fixture *f)
{
    struct import_options options = {.data_dir = "data", .sample = SAMPLE};
    struct import_result result;
    act_as_system(f);
    assert_ok(f, WRITE(f, install_norms, NULL));
    assert_ok(f, catalog_import_demo(&f->ctx, &options, &result));
    assert_int_equal(result.stores, 10);
    assert_true(result.products > 87371 / SAMPLE);
    assert_ok(f, catalog_index_open(&f->ctx, &f->platform.catalog));
}

static void close_index(struct fixture *f)
{
    catalog_index_close(f->platform.catalog);
    f->platform.catalog = NULL;
}

static void searches_answer_as_a_plain_look_does(void **state)
{
    struct fixture *f = *state;
    given_market(f);
    const struct search table[] = {
        {.limit = 50},
        {.sort = SORT_PRICE},
        {.sort = SORT_NAME, .text = STR("gib")},
        {.in_stock = true, .sort = SORT_PRICE_DESC},
        {.values = {[FACET_REGION] = {STR("340200")}}, .value_count = {[FACET_REGION] = 1}},
        {.values = {[FACET_REGION] = {STR("340200"), STR("640500")},
                    [FACET_CATEGORY] = {STR("iaas.compute.vm")}},
         .value_count = {[FACET_REGION] = 2, [FACET_CATEGORY] = 1},
         .sort = SORT_PRICE},
        {.values = {[FACET_ACCELERATOR] = {STR("NVIDIA A100"), STR("NVIDIA H100")}},
         .value_count = {[FACET_ACCELERATOR] = 2},
         .accelerator_count_min = 2},
        {.values = {[FACET_CLASS] = {STR("paas")}, [FACET_CHARGE] = {STR("reserved")}},
         .value_count = {[FACET_CLASS] = 1, [FACET_CHARGE] = 1}},
        {.values = {[FACET_CATEGORY] = {STR("no.such")}}, .value_count = {[FACET_CATEGORY] = 1}},
        {.vcpus_min_milli = 8000,
         .vcpus_max_milli = 16000,
         .memory_min_mib = 65536,
         .sort = SORT_LEAD},
        {.price_max = {INT64_C(5000000000)}, .memory_max_mib = 4096, .sort = SORT_PRICE},
        {.text = STR("主机"), .in_stock = true, .sort = SORT_PRICE},
        {.text = STR("存储")},
        {.text = STR("储")},
        {.text = STR("NVIDIA"), .sort = SORT_PRICE},
        {.text = STR("没有这个词")},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct search search = table[i];
        assert_answers_alike(f, &search);
        assert_answers_alike(f, &search); /* and again, remembered */
    }
    close_index(f);
}

static struct search_hit first_hit(struct fixture *f, const char *text)
{
    struct search_step *step = calloc(1, sizeof *step);
    step->search.text = str_of(text);
    step->search.limit = 1;
    step->refresh = true;
    assert_ok(f, READ(f, run_search, step));
    struct search_hit hit = step->result.count ? step->result.hits[0] : (struct search_hit){0};
    free(step);
    return hit;
}

static int64_t total_of(struct fixture *f, const char *text)
{
    struct search_step *step = calloc(1, sizeof *step);
    step->search.text = str_of(text);
    step->search.limit = 1;
    step->refresh = true;
    assert_ok(f, READ(f, run_search, step));
    int64_t total = step->result.total;
    free(step);
    return total;
}

static void several_words_all_count_and_a_whole_word_comes_before_a_prefix(void **state)
{
    struct shop shop = given_shop(*state, false);
    struct fixture *f = shop.f;
    struct sample s;
    const char *names[] = {"云主机 t1.large 甲", "云主机 t1.large2 乙", "智算主机 t9.large 丙"};
    for (int i = 0; i < 3; i++) {
        fill_sample(&s, &shop, names[i] + 12);
        s.in.name = str_of(names[i]);
        s.skus[1].unit_price.e10 -= i * 1000000000; /* the later are cheaper */
        assert_ok(f, WRITE(f, send_report, &s));
    }
    assert_ok(f, catalog_index_open(&f->ctx, &f->platform.catalog));
    assert_int_equal(total_of(f, "t1.large"), 2);
    assert_true(str_is(first_hit(f, "t1.large").name, names[0]));
    assert_int_equal(total_of(f, "云主机 t1"), 2);
    assert_int_equal(total_of(f, "主机 large"), 3); /* parts of words count, large2 by its prefix */
    close_index(f);
}

static void a_change_is_found_after_its_commit(void **state)
{
    struct shop shop = given_shop(*state, false);
    struct fixture *f = shop.f;
    assert_ok(f, catalog_index_open(&f->ctx, &f->platform.catalog));
    assert_int_equal(total_of(f, "t1.large"), 0);
    struct sample s = given_product(&shop, "p-1");
    assert_int_equal(total_of(f, "t1.large"), 1);
    assert_int_equal(first_hit(f, "t1").price_hour.e10, (INT64_C(1234500000000) + 365) / 730);
    s.in.provider_version = 2;
    s.in.name = STR("改名主机 t2.small");
    s.skus[0].inventory = (struct inventory){3, 20, utc_add(f->ctx.now, 1)};
    s.skus[1].inventory = (struct inventory){4, 20, utc_add(f->ctx.now, 1)};
    assert_ok(f, WRITE(f, send_report, &s));
    assert_int_equal(total_of(f, "t1.large"), 0);
    assert_int_equal(total_of(f, "改名"), 1);
    assert_int_equal(first_hit(f, "t2").stock_available, 4);
    struct search all = {.sort = SORT_PRICE};
    assert_answers_alike(f, &all);
    close_index(f);
}

STEP(pause_store, struct shop)
{
    return store_fire(ctx, arg->store.m.id, STORE_PAUSE, NULL, 0, &arg->store);
}

static void products_of_a_store_that_is_not_open_are_never_found(void **state)
{
    struct shop shop = given_shop(*state, false);
    struct fixture *f = shop.f;
    given_product(&shop, "p-1");
    assert_ok(f, catalog_index_open(&f->ctx, &f->platform.catalog));
    assert_int_equal(total_of(f, ""), 1);
    assert_ok(f, WRITE(f, pause_store, &shop));
    assert_int_equal(total_of(f, ""), 0);
    close_index(f);
}

/* ---- the market itself ---- */
STEP(check_every_specs, int64_t)
{
    struct look look = {0};
    TRY(look_at_all(ctx, &look));
    *arg = 0;
    for (size_t i = 0; i < look.count; i++) {
        const struct json *json;
        struct spec specs[64];
        TRY(json_parse(ctx, look.rows[i].specs, &json));
        for (size_t k = 0; k < json_count(json); k++)
            specs[k] = (struct spec){json_get_text(json_at(json, k), "code"),
                                     json_get_text(json_at(json, k), "value"),
                                     json_get_text(json_at(json, k), "unit")};
        TRY(catalog_check_specs(ctx, look.rows[i].category, 1, specs, json_count(json)));
        (*arg)++;
    }
    return OK;
}

static void every_imported_product_keeps_its_norm(void **state)
{
    struct fixture *f = *state;
    int64_t checked = 0;
    given_market(f);
    assert_ok(f, READ(f, check_every_specs, &checked));
    assert_true(checked > 87371 / SAMPLE);
    close_index(f);
}

static void a_second_import_changes_nothing_and_each_store_told_one_fact(void **state)
{
    struct fixture *f = *state;
    struct import_options options = {.data_dir = "data", .sample = SAMPLE};
    struct import_result result;
    given_market(f);
    assert_int_equal(facts_of(f, FACT_PRODUCT_IMPORT), 10);
    assert_ok(f, catalog_import_demo(&f->ctx, &options, &result));
    assert_int_equal(result.stores, 0);
    assert_int_equal(facts_of(f, FACT_PRODUCT_IMPORT), 10);
    close_index(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(searches_answer_as_a_plain_look_does),
        cmocka_unit_test(several_words_all_count_and_a_whole_word_comes_before_a_prefix),
        cmocka_unit_test(a_change_is_found_after_its_commit),
        cmocka_unit_test(products_of_a_store_that_is_not_open_are_never_found),
        cmocka_unit_test(every_imported_product_keeps_its_norm),
        cmocka_unit_test(a_second_import_changes_nothing_and_each_store_told_one_fact),
    };
    return RUN_ON_BOTH(tests);
}
