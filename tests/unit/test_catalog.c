/* SPDX-License-Identifier: Apache-2.0 */
/* Products as providers report them, their stock and prices, and quotes. */
#include "catalog_support.h"
#include "job/job.h"

/* ---- reports ---- */
static void a_report_of_a_store_that_lists_by_itself_is_on_offer_at_once(void **state)
{
    struct shop shop = given_shop(*state, false);
    struct sample s = given_product(&shop, "p-1");
    assert_true(s.out.created);
    assert_int_equal(s.out.product.m.state, PRODUCT_LISTED);
    assert_int_equal(s.out.sku_count, 2);
    struct sku sku = sku_now(shop.f, s.out.skus[0].id);
    assert_int_equal(sku.product_state, PRODUCT_LISTED);
    assert_int_equal(sku.stock_available, 10);
    assert_int_equal(sku.unit_price.e10, INT64_C(1234500000000));
    assert_true(str_is(sku.external_product_id, "p-1"));
    assert_int_equal(facts_of(shop.f, FACT_PRODUCT_LIST), 1);
}

static void the_same_report_again_changes_nothing(void **state)
{
    struct shop shop = given_shop(*state, false);
    struct sample s = given_product(&shop, "p-1");
    int64_t version = s.out.product.m.version;
    assert_ok(shop.f, WRITE(shop.f, send_report, &s));
    assert_false(s.out.created);
    assert_int_equal(s.out.product.m.version, version);
    assert_int_equal(number_of(shop.f, "SELECT COUNT(*) FROM catalog_version"), 1);
    assert_int_equal(facts_of(shop.f, FACT_PRODUCT_LIST), 1);
}

static void an_older_or_altered_report_is_stale(void **state)
{
    struct shop shop = given_shop(*state, false);
    struct sample s;
    fill_sample(&s, &shop, "p-1");
    s.in.provider_version = 5;
    assert_ok(shop.f, WRITE(shop.f, send_report, &s));
    s.in.provider_version = 4;
    assert_refused(shop.f, WRITE(shop.f, send_report, &s), "version_stale");
    s.in.provider_version = 5;
    s.in.name = STR("换了名字");
    assert_refused(shop.f, WRITE(shop.f, send_report, &s), "version_stale");
}

static void a_new_version_supersedes_and_the_old_one_stays_readable(void **state)
{
    struct shop shop = given_shop(*state, false);
    struct sample s = given_product(&shop, "p-1");
    ref_t kept = s.out.skus[0].id, dropped = s.out.skus[1].id;
    s.in.provider_version = 2;
    s.in.name = STR("新名字");
    s.in.sku_count = 1;
    s.skus[0].unit_price.e10 *= 2;
    assert_ok(shop.f, WRITE(shop.f, send_report, &s));
    assert_int_equal(s.out.product.listed_version, 2);
    assert_int_equal(s.out.sku_count, 1);
    assert_true(ref_is(s.out.skus[0].id, kept));
    assert_int_equal(sku_now(shop.f, kept).unit_price.e10, INT64_C(2469000000000));
    assert_int_equal(sku_now(shop.f, dropped).product_state, PRODUCT_DELISTED);
    assert_int_equal(number_of(shop.f, "SELECT COUNT(*) FROM catalog_price_history"), 1);
    assert_int_equal(number_of(shop.f, "SELECT COUNT(*) FROM catalog_version WHERE number = 1"), 1);
}

STEP(approve, struct sample)
{
    return catalog_review(ctx, arg->out.product.m.id, true, STR(""), &arg->out.product);
}
STEP(reject, struct sample)
{
    return catalog_review(ctx, arg->out.product.m.id, false, STR("看不清"), &arg->out.product);
}

static void
without_automatic_listing_the_operator_decides_and_the_old_version_sells_on(void **state)
{
    struct shop shop = given_shop(*state, true);
    struct sample s = given_product(&shop, "p-1");
    assert_int_equal(s.out.product.m.state, PRODUCT_REVIEWING);
    assert_int_equal(s.out.sku_count, 0);
    assert_ok(shop.f, WRITE(shop.f, approve, &s));
    assert_int_equal(s.out.product.m.state, PRODUCT_LISTED);
    assert_refused(shop.f, WRITE(shop.f, approve, &s), "illegal_transition");
    s.in.provider_version = 2;
    s.in.name = STR("第二版");
    assert_ok(shop.f, WRITE(shop.f, send_report, &s));
    assert_int_equal(s.out.product.m.state, PRODUCT_LISTED);
    assert_int_equal(s.out.product.listed_version, 1);
    assert_true(str_is(sku_now(shop.f, s.out.skus[0].id).product_name, "试验主机 t1.large"));
    assert_ok(shop.f, WRITE(shop.f, approve, &s));
    assert_int_equal(s.out.product.listed_version, 2);
}

static void a_rejected_product_may_be_reported_again(void **state)
{
    struct shop shop = given_shop(*state, true);
    struct sample s = given_product(&shop, "p-1");
    assert_ok(shop.f, WRITE(shop.f, reject, &s));
    assert_int_equal(s.out.product.m.state, PRODUCT_REJECTED);
    s.in.provider_version = 2;
    s.in.name = STR("看得清");
    assert_ok(shop.f, WRITE(shop.f, send_report, &s));
    assert_int_equal(s.out.product.m.state, PRODUCT_REVIEWING);
}

STEP(delist, struct sample)
{
    return catalog_delist(ctx, arg->store, str_of(arg->external_id), &arg->out.product);
}

static void a_delisted_product_is_not_sold_until_reported_anew(void **state)
{
    struct shop shop = given_shop(*state, false);
    struct sample s = given_product(&shop, "p-1");
    ref_t sku = s.out.skus[0].id;
    assert_ok(shop.f, WRITE(shop.f, delist, &s));
    assert_int_equal(sku_now(shop.f, sku).product_state, PRODUCT_DELISTED);
    s.in.provider_version = 2;
    assert_ok(shop.f, WRITE(shop.f, send_report, &s));
    assert_int_equal(sku_now(shop.f, sku).product_state, PRODUCT_LISTED);
}

/* ---- norms ---- */
struct violation {
    const char *what;
    int spec;
    struct spec put;
    const char *reason, *pointer, *code;
};
static const struct violation violations[] = {
    {"unknown",
     2,
     {STR("color"), STR("red"), STR("")},
     "norm_violation",
     "/specs/2/code",
     "unknown_spec"},
    {"unit",
     1,
     {STR("memory"), STR("32"), STR("GB")},
     "norm_violation",
     "/specs/1/unit",
     "wrong_unit"},
    {"above",
     0,
     {STR("vcpus"), STR("99999"), STR("core")},
     "norm_violation",
     "/specs/0/value",
     "out_of_range"},
    {"below",
     0,
     {STR("vcpus"), STR("0"), STR("core")},
     "norm_violation",
     "/specs/0/value",
     "out_of_range"},
    {"number",
     0,
     {STR("vcpus"), STR("many"), STR("core")},
     "norm_violation",
     "/specs/0/value",
     "wrong_type"},
    {"list",
     2,
     {STR("arch"), STR("z80"), STR("")},
     "norm_violation",
     "/specs/2/value",
     "not_in_list"},
    {"twice",
     2,
     {STR("vcpus"), STR("8"), STR("core")},
     "norm_violation",
     "/specs/2/code",
     "duplicate_spec"},
    {"missing", 1, {STR("family"), STR("t1"), STR("")}, "norm_violation", "/specs", "missing_spec"},
};

static void each_violation_of_the_norm_names_its_field(void **state)
{
    const struct violation *table = violations;
    struct shop shop = given_shop(*state, false);
    for (size_t i = 0; i < sizeof(violations) / sizeof(violations[0]); i++) {
        struct sample s;
        fill_sample(&s, &shop, "p-1");
        s.specs[table[i].spec] = table[i].put;
        assert_int_equal(WRITE(shop.f, send_report, &s), ERR_INPUT);
        const struct problem *problem = &shop.f->ctx.problem;
        assert_string_equal(problem->reason, table[i].reason);
        assert_int_equal(problem->error_count, 1);
        assert_true(str_is(problem->errors[0].pointer, table[i].pointer));
        assert_string_equal(problem->errors[0].code, table[i].code);
        problem_clear(&shop.f->ctx);
    }
    assert_int_equal(number_of(shop.f, "SELECT COUNT(*) FROM catalog_product"), 0);
}

static void an_unknown_category_region_or_norm_version_is_refused(void **state)
{
    struct shop shop = given_shop(*state, false);
    struct sample s;
    fill_sample(&s, &shop, "p-1");
    s.in.category_code = STR("iaas.magic");
    assert_refused(shop.f, WRITE(shop.f, send_report, &s), "unknown_category");
    fill_sample(&s, &shop, "p-1");
    s.in.norm_version = 9;
    assert_refused(shop.f, WRITE(shop.f, send_report, &s), "unknown_category");
    fill_sample(&s, &shop, "p-1");
    s.skus[1].region_code = STR("999999");
    assert_refused(shop.f, WRITE(shop.f, send_report, &s), "validation_failed");
}

/* ---- stock ---- */
struct hold_step {
    ref_t sku, item;
    int32_t quantity;
    utc_t at;
};
STEP(take, struct hold_step)
{
    return catalog_take(ctx, arg->sku, arg->item, arg->quantity);
}
STEP(give_back, struct hold_step)
{
    return catalog_give_back(ctx, arg->sku, arg->item, arg->quantity);
}
STEP(acknowledge, struct hold_step)
{
    return catalog_acknowledged(ctx, arg->item, arg->at);
}
struct inventory_step {
    ref_t store;
    const char *product, *sku;
    struct inventory in;
};
STEP(report_stock, struct inventory_step)
{
    return catalog_report_inventory(ctx, arg->store, str_of(arg->product), str_of(arg->sku),
                                    &arg->in);
}

static struct hold_step taken(struct fixture *f, ref_t sku, int32_t quantity)
{
    struct hold_step step = {sku, id_make(f->platform.ids, f->ctx.now), quantity, f->ctx.now};
    assert_ok(f, WRITE(f, take, &step));
    return step;
}

static void taking_more_than_is_there_is_refused_and_changes_nothing(void **state)
{
    struct shop shop = given_shop(*state, false);
    struct sample s = given_product(&shop, "p-1");
    ref_t sku = s.out.skus[0].id;
    taken(shop.f, sku, 7);
    struct hold_step more = {sku, id_make(shop.f->platform.ids, shop.f->ctx.now), 4, {0}};
    assert_refused(shop.f, WRITE(shop.f, take, &more), "out_of_stock");
    assert_int_equal(sku_now(shop.f, sku).stock_available, 3);
    assert_int_equal(number_of(shop.f, "SELECT COUNT(*) FROM catalog_hold"), 1);
}

static void stock_given_back_is_there_again_once(void **state)
{
    struct shop shop = given_shop(*state, false);
    struct sample s = given_product(&shop, "p-1");
    ref_t sku = s.out.skus[0].id;
    struct hold_step hold = taken(shop.f, sku, 4);
    assert_ok(shop.f, WRITE(shop.f, give_back, &hold));
    assert_ok(shop.f, WRITE(shop.f, give_back, &hold));
    assert_int_equal(sku_now(shop.f, sku).stock_available, 10);
}

static void a_report_contains_only_what_was_acknowledged_before_it(void **state)
{
    struct shop shop = given_shop(*state, false);
    struct sample s = given_product(&shop, "p-1");
    struct fixture *f = shop.f;
    ref_t sku = s.out.skus[0].id;
    struct hold_step first = taken(f, sku, 1), second = taken(f, sku, 2), third = taken(f, sku, 4);
    time_passes(f, MS_MINUTE);
    first.at = third.at = f->ctx.now;
    assert_ok(f, WRITE(f, acknowledge, &first));
    time_passes(f, MS_MINUTE);
    struct inventory_step report = {shop.store.m.id, "p-1", "m1", {9, 20, f->ctx.now}};
    assert_ok(f, WRITE(f, report_stock, &report));
    assert_int_equal(sku_now(f, sku).stock_available, 9 - 6); /* the first is in the nine */
    time_passes(f, MS_MINUTE);
    second.at = f->ctx.now;
    assert_ok(f, WRITE(f, acknowledge, &second));
    time_passes(f, MS_MINUTE);
    report.in = (struct inventory){7, 20, f->ctx.now};
    assert_ok(f, WRITE(f, report_stock, &report));
    assert_int_equal(sku_now(f, sku).stock_available,
                     7 - 4);                   /* the third is not acknowledged yet */
    assert_ok(f, WRITE(f, give_back, &first)); /* contained: only the provider frees it */
    assert_int_equal(sku_now(f, sku).stock_available, 3);
    assert_ok(f, WRITE(f, give_back, &third));
    assert_int_equal(sku_now(f, sku).stock_available, 7);
    taken(f, sku, 5);
    assert_int_equal(sku_now(f, sku).stock_available, 2);
}

static void an_older_stock_report_is_stale_and_the_same_one_is_not(void **state)
{
    struct shop shop = given_shop(*state, false);
    given_product(&shop, "p-1");
    struct inventory_step report = {shop.store.m.id, "p-1", "m1", {10, 20, shop.f->ctx.now}};
    assert_ok(shop.f, WRITE(shop.f, report_stock, &report));
    report.in.available = 11;
    assert_refused(shop.f, WRITE(shop.f, report_stock, &report), "version_stale");
    report.in.as_of.ms -= 1;
    assert_refused(shop.f, WRITE(shop.f, report_stock, &report), "version_stale");
    report.in = (struct inventory){30, 20, utc_add(shop.f->ctx.now, 5)};
    assert_refused(shop.f, WRITE(shop.f, report_stock, &report), "validation_failed");
    report.sku = "none";
    assert_refused(shop.f, WRITE(shop.f, report_stock, &report), "not_found");
}

/* ---- prices and quotes ---- */
struct price_step {
    ref_t store;
    price_t price;
    int64_t version;
    struct product out;
};
STEP(report_price, struct price_step)
{
    return catalog_report_price(ctx, arg->store, STR("p-1"), STR("m1"), arg->price, arg->version,
                                &arg->out);
}

struct quote_step {
    struct quote_line line;
    struct quote quote;
    struct quote_priced *priced;
    price_t price;
};
STEP(make_quote, struct quote_step)
{
    return catalog_quote_make(ctx, &arg->line, 1, &arg->quote, &arg->priced);
}
STEP(load_quote, struct quote_step)
{
    TRY(catalog_quote_load(ctx, arg->quote.id, &arg->quote));
    return catalog_quote_price(ctx, arg->quote.id, arg->line.sku_id, &arg->price);
}

static void a_line_is_rounded_per_unit_once_and_then_multiplied(void **state)
{
    struct fixture *f = *state;
    struct sku sku = {.unit_price = {INT64_C(10049999999)}, .rate_bp = 600}; /* 1.0049999999 */
    struct line_price price;
    assert_ok(f, catalog_price(&f->ctx, &sku, 1000, &price));
    assert_int_equal(price.unit.fen, 100);
    assert_int_equal(price.payable.fen, 100000);
    assert_int_equal(price.tax.fen, 100000 - 94340);
    sku.unit_price.e10 = INT64_C(10050000000);
    assert_ok(f, catalog_price(&f->ctx, &sku, 1000, &price));
    assert_int_equal(price.payable.fen, 101000);
}

static void a_quote_keeps_its_price_for_fifteen_minutes_and_its_owner(void **state)
{
    struct shop shop = given_shop(*state, false);
    struct fixture *f = shop.f;
    struct sample s = given_product(&shop, "p-1");
    struct person buyer = given_person(f, "a@b.example");
    struct quote_step step = {.line = {s.out.skus[0].id, 3}};
    act_as(f, buyer.user.id, buyer.personal_org, ORG_CONSUMER, ROLE_OWNER);
    assert_ok(f, WRITE(f, make_quote, &step));
    assert_int_equal(step.quote.payable.fen, 3 * 12345);
    act_as_system(f);
    struct price_step dearer = {
        .store = shop.store.m.id, .price = {INT64_C(9990000000000)}, .version = 2};
    assert_ok(f, WRITE(f, report_price, &dearer));
    dearer.version = 1;
    assert_refused(f, WRITE(f, report_price, &dearer), "version_stale");
    assert_int_equal(sku_now(f, step.line.sku_id).unit_price.e10, INT64_C(9990000000000));
    act_as(f, buyer.user.id, buyer.personal_org, ORG_CONSUMER, ROLE_OWNER);
    assert_ok(f, READ(f, load_quote, &step));
    assert_int_equal(step.price.e10, INT64_C(1234500000000));
    assert_int_equal(step.quote.lines[0].quantity, 3);
    act_as(f, buyer.user.id, id_make(f->platform.ids, f->ctx.now), ORG_CONSUMER, ROLE_OWNER);
    assert_refused(f, READ(f, load_quote, &step), "not_found");
    act_as(f, buyer.user.id, buyer.personal_org, ORG_CONSUMER, ROLE_OWNER);
    time_passes(f, 15 * MS_MINUTE);
    assert_refused(f, READ(f, load_quote, &step), "quote_expired");
}

static void a_quote_of_nobody_is_priced_but_not_kept(void **state)
{
    struct shop shop = given_shop(*state, false);
    struct sample s = given_product(&shop, "p-1");
    struct quote_step step = {.line = {s.out.skus[0].id, 1}};
    assert_ok(shop.f, WRITE(shop.f, make_quote, &step));
    assert_int_equal(step.quote.id.value, 0);
    assert_int_equal(number_of(shop.f, "SELECT COUNT(*) FROM catalog_quote"), 0);
}

static void what_cannot_be_bought_now_is_refused_by_its_reason(void **state)
{
    struct shop shop = given_shop(*state, false);
    struct fixture *f = shop.f;
    struct sample s = given_product(&shop, "p-1");
    struct quote_step step = {.line = {s.out.skus[0].id, 101}};
    assert_refused(f, WRITE(f, make_quote, &step), "quantity_out_of_bounds");
    step.line.quantity = 11;
    assert_refused(f, WRITE(f, make_quote, &step), "out_of_stock");
    step.line = (struct quote_line){s.out.skus[1].id, 1};
    assert_refused(f, WRITE(f, make_quote, &step), "postpaid_not_offered");
    step.line = (struct quote_line){{1234}, 1};
    assert_refused(f, WRITE(f, make_quote, &step), "sku_not_listed");
    assert_ok(f, WRITE(f, delist, &s));
    step.line = (struct quote_line){s.out.skus[0].id, 1};
    assert_refused(f, WRITE(f, make_quote, &step), "sku_not_listed");
}

/* ---- batches ---- */
struct batch_step {
    ref_t store, id;
    str_t products;
    size_t count;
    struct product_batch batch;
    struct job job;
};
STEP(open_batch, struct batch_step)
{
    return catalog_batch_open(ctx, arg->store, arg->products, arg->count, &arg->id);
}
STEP(find_batch, struct batch_step)
{
    bool found;
    TRY(catalog_batch_load(ctx, arg->store, arg->id, &arg->batch));
    TRY(job_find_by_subject(ctx, JOB_PRODUCT_BATCH, arg->id, &arg->job, &found));
    return found ? OK : refuse(ctx, ERR_NOT_FOUND, "not_found", "no job");
}

#define ROW(id, memory)                                                                           \
    "{\"external_product_id\":\"" id "\",\"provider_version\":1,\"name\":\"批量主机\","       \
    "\"category_code\":\"iaas.compute.vm\",\"norm_version\":1,\"specs\":[{\"code\":\"vcpus\","    \
    "\"value\":\"4\","                                                                            \
    "\"unit\":\"core\"},{\"code\":\"memory\",\"value\":\"" memory                                 \
    "\",\"unit\":\"GiB\"}],\"usage_mode\":\"batch\","                                             \
    "\"skus\":[{\"external_sku_id\":\"m1\",\"charge_mode\":\"reserved\",\"unit_price\":\"10.5\"," \
    "\"price_unit\":"                                                                             \
    "\"month\",\"term\":\"P1M\",\"rate_bp\":600,\"min_qty\":1,\"max_qty\":5,\"region_code\":"     \
    "\"340200\","                                                                                 \
    "\"inventory\":{\"available\":3,\"total\":3,\"as_of\":\"2026-09-21T00:00:00Z\"}}]}"

static void a_batch_reports_what_is_right_and_names_what_is_not(void **state)
{
    struct shop shop = given_shop(*state, false);
    struct fixture *f = shop.f;
    struct batch_step step = {.store = shop.store.m.id,
                              .products = STR("[" ROW("b-1", "8") "," ROW(
                                  "b-2", "0") ",{\"name\":1}," ROW("b-3", "16") "]"),
                              .count = 4};
    assert_ok(f, WRITE(f, open_batch, &step));
    assert_ok(f, READ(f, find_batch, &step));
    assert_int_equal(step.batch.status, 1);
    catalog_batch_run(&f->ctx, &step.job, NULL);
    assert_ok(f, READ(f, find_batch, &step));
    assert_int_equal(step.batch.status, 3);
    assert_int_equal(step.batch.done, 4);
    assert_int_equal(step.batch.accepted, 2);
    assert_int_equal(number_of(f, "SELECT COUNT(*) FROM catalog_product"), 2);
    const struct json *rejected;
    assert_ok(f, json_parse(&f->ctx,
                            str_printf(f->ctx.arena, "[" STR_FMT "]", STR_ARG(step.batch.rejected)),
                            &rejected));
    assert_int_equal(json_count(rejected), 2);
    assert_true(str_is(json_get_text(json_at(rejected, 0), "code"), "norm_violation"));
    assert_int_equal(json_get_int(json_at(rejected, 0), "index", -1), 1);
    assert_true(str_is(json_get_text(json_at(rejected, 1), "code"), "validation_failed"));
    catalog_batch_run(&f->ctx, &step.job,
                      NULL); /* once more after a crash: nothing is done twice */
    assert_ok(f, READ(f, find_batch, &step));
    assert_int_equal(step.batch.accepted, 2);
}

static void the_rules_of_products_are_sound(void **state)
{
    const char *message = "";
    (void)state;
    if (!fsm_check(&product_fsm, &message))
        fail_msg("%s", message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_of_a_store_that_lists_by_itself_is_on_offer_at_once),
        cmocka_unit_test(the_same_report_again_changes_nothing),
        cmocka_unit_test(an_older_or_altered_report_is_stale),
        cmocka_unit_test(a_new_version_supersedes_and_the_old_one_stays_readable),
        cmocka_unit_test(
            without_automatic_listing_the_operator_decides_and_the_old_version_sells_on),
        cmocka_unit_test(a_rejected_product_may_be_reported_again),
        cmocka_unit_test(a_delisted_product_is_not_sold_until_reported_anew),
        cmocka_unit_test(each_violation_of_the_norm_names_its_field),
        cmocka_unit_test(an_unknown_category_region_or_norm_version_is_refused),
        cmocka_unit_test(taking_more_than_is_there_is_refused_and_changes_nothing),
        cmocka_unit_test(stock_given_back_is_there_again_once),
        cmocka_unit_test(a_report_contains_only_what_was_acknowledged_before_it),
        cmocka_unit_test(an_older_stock_report_is_stale_and_the_same_one_is_not),
        cmocka_unit_test(a_line_is_rounded_per_unit_once_and_then_multiplied),
        cmocka_unit_test(a_quote_keeps_its_price_for_fifteen_minutes_and_its_owner),
        cmocka_unit_test(a_quote_of_nobody_is_priced_but_not_kept),
        cmocka_unit_test(what_cannot_be_bought_now_is_refused_by_its_reason),
        cmocka_unit_test(a_batch_reports_what_is_right_and_names_what_is_not),
        cmocka_unit_test(the_rules_of_products_are_sound),
    };
    return RUN_ON_BOTH(tests);
}
