/* SPDX-License-Identifier: Apache-2.0 */
/* Products as providers report them: versions are written once, provider_version only rises, the
 * SKUs, prices and stock of the listed version are brought up to date with it. */
#include "catalog_internal.h"
#include "crypto/crypto.h"

/* ---- versions ---- */
static str_t report_text(struct ctx *ctx, const struct product_report *in)
{
    struct buf text;
    struct jw w;
    buf_init(&text, ctx->arena, 1 << 20);
    jw_init(&w, &text);
    shape_write(&w, &product_report_shape, in);
    return buf_str(&text);
}

/* What makes two reports the same: all but the provider's own number of it, and stock, which has
 * its own time. */
static void report_digest(struct ctx *ctx, const struct product_report *in, uint8_t out[SM3_BYTES])
{
    struct product_report same = *in;
    same.provider_version = 1;
    same.skus = NEW_ARRAY(ctx, struct sku_report, in->sku_count + 1);
    for (size_t i = 0; i < in->sku_count; i++) {
        same.skus[i] = in->skus[i];
        same.skus[i].inventory = (struct inventory){0};
    }
    sm3(report_text(ctx, &same), out);
}

str_t catalog_source_json(struct ctx *ctx, const struct product_source *source)
{
    struct buf text;
    struct jw w;
    if (!source->provider.len)
        return STR("");
    buf_init(&text, ctx->arena, 4096);
    jw_init(&w, &text);
    shape_write(&w, &source_shape, source);
    return buf_str(&text);
}

err_t catalog_version_insert(struct ctx *ctx, ref_t product, int64_t number,
                             const struct product_report *in, str_t digest, str_t report,
                             ref_t specs)
{
    return db_exec(ctx,
                   "INSERT INTO catalog_version (product_id, number, digest, name, category,"
                   " norm_version, specs_id, description, usage_mode, usage_guide, tool_url,"
                   " delivery_mode, sla_bp, source, report, reported_at) VALUES ($1, $2, $3, $4,"
                   " $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
                   ARGS(A(product), A(number), A_BYTES(digest), A(in->name), A(in->category_code),
                        A(in->norm_version), A(specs), A(in->description), A(in->usage_mode),
                        A(in->usage_guide), A(in->tool_url), A(in->delivery_mode), A(in->sla_bp),
                        A(catalog_source_json(ctx, &in->source)), A(report), A(ctx->now)),
                   NULL);
}

struct version_head {
    str_t digest, report;
};
static const struct field version_head_fields[] = {
    FIELD_BYTES(struct version_head, digest, 0, 64, 0),
    FIELD_JSON(struct version_head, report, 1 << 20, 0),
};
static const struct shape version_head_shape = SHAPE(struct version_head, version_head_fields);

static err_t load_version(struct ctx *ctx, ref_t product, int64_t number, struct version_head *out)
{
    return db_one(
        ctx, "SELECT digest, report FROM catalog_version WHERE product_id = $1 AND number = $2",
        ARGS(A(product), A(number)), &version_head_shape, out);
}

/* ---- facts ---- */
struct news {
    int type;
    const char *state, *reason;
    const struct product_report *in; /* with its digest, or NULL */
    str_t digest;
};

static err_t tell(struct ctx *ctx, const struct product *product, const struct news *news,
                  ref_t *out_event)
{
    const struct product_report *in = news->in;
    struct buf text;
    struct jw w;
    buf_init(&text, ctx->arena, 4096);
    jw_init(&w, &text);
    jw_object(&w);
    jw_put_ref(&w, "product_id", "prd", product->m.id);
    jw_put_ref(&w, "store_id", "sto", product->store_id);
    jw_put_text(&w, "external_product_id", product->external_id);
    jw_put_int(&w, "product_version", product->latest_version);
    jw_put_text(&w, "state", str_of(news->state));
    if (in) {
        jw_put_text(&w, "name", in->name);
        jw_put_text(&w, "category", in->category_code);
        jw_put_text(&w, "digest_sm3", hex_encode(ctx->arena, news->digest));
    }
    if (news->reason)
        jw_put_text(&w, "reason", str_of(news->reason));
    jw_end_object(&w);
    struct fact fact = {.type = news->type,
                        .object_prefix = "prd",
                        .object = product->m.id,
                        .root = product->store_id,
                        .payload = buf_str(&text),
                        .audience = {product->org_id},
                        .audience_count = 1};
    return evidence_append(ctx, &fact, out_event);
}

/* ---- listing ---- */
/* The latest version becomes the one on offer. */
static err_t list_version(struct ctx *ctx, struct product *product, const struct product_report *in,
                          str_t digest)
{
    ref_t event;
    const struct news news = {FACT_PRODUCT_LIST, "listed", NULL, in, digest};
    TRY(tell(ctx, product, &news, &event));
    TRY(fsm_fire(ctx, &product_fsm, &product->m, PRODUCT_LIST, event));
    product->listed_version = product->latest_version;
    product->listed_at = ctx->now;
    product->listing_event_id = event;
    TRY(db_exec_one(ctx,
                    "UPDATE catalog_product SET listed_version = $2, listed_at = $3,"
                    " listing_event_id = $4 WHERE id = $1",
                    ARGS(A(product->m.id), A(product->listed_version), A(ctx->now), A(event))));
    TRY(catalog_skus_apply(ctx, product->m.id, in->skus, in->sku_count));
    return catalog_entry_rebuild(ctx, product->m.id);
}

static err_t move(struct ctx *ctx, struct product *product, int event, int state,
                  const char *reason)
{
    ref_t fact;
    const struct news news = {
        FACT_PRODUCT_STATE, names_of(&product_state_names, state), reason, NULL, {0}};
    TRY(tell(ctx, product, &news, &fact));
    TRY(fsm_fire(ctx, &product_fsm, &product->m, event, fact));
    return product->listed_version ? catalog_entry_rebuild(ctx, product->m.id) : OK;
}

/* ---- a report ---- */
static err_t check_report(struct ctx *ctx, const struct product_report *in)
{
    TRY(catalog_check_specs(ctx, in->category_code, in->norm_version, in->specs, in->spec_count));
    for (size_t i = 0; i < in->sku_count; i++) {
        const struct sku_report *sku = &in->skus[i];
        int64_t number = 0;
        if (sku->min_qty > sku->max_qty)
            (void)refuse_field(ctx, str_printf(ctx->arena, "/skus/%zu/max_qty", i), "out_of_range",
                               "below min_qty");
        if (sku->inventory.available > sku->inventory.total)
            (void)refuse_field(ctx, str_printf(ctx->arena, "/skus/%zu/inventory/available", i),
                               "out_of_range", "more than the total");
        if (sku->charge_mode == CHARGE_RESERVED && sku->term.len == 0)
            (void)refuse_field(ctx, str_printf(ctx->arena, "/skus/%zu/term", i), "required",
                               "a reserved SKU names its term");
        if (sku->term.len && !catalog_term_is_valid(sku->term))
            (void)refuse_field(ctx, str_printf(ctx->arena, "/skus/%zu/term", i), "bad_format",
                               "PnM or PnY");
        TRY(db_int(ctx, "SELECT number FROM catalog_code WHERE kind = 2 AND code = $1",
                   ARGS(A(sku->region_code)), &number));
        if (number == 0)
            (void)refuse_field(ctx, str_printf(ctx->arena, "/skus/%zu/region_code", i),
                               "not_in_list", "no such region");
        for (size_t k = 0; k < i; k++)
            if (str_eq(sku->external_sku_id, in->skus[k].external_sku_id))
                (void)refuse_field(ctx, str_printf(ctx->arena, "/skus/%zu/external_sku_id", i),
                                   "duplicate_line", "stands twice");
    }
    return ctx->problem.code;
}

static err_t insert_product(struct ctx *ctx, const struct store *store, str_t external_id,
                            const struct product_report *in, struct product *out)
{
    *out = (struct product){.m = {.id = id_make(ctx->platform->ids, ctx->now),
                                  .state = PRODUCT_REVIEWING,
                                  .version = 1},
                            .store_id = store->m.id,
                            .org_id = store->org_id,
                            .external_id = external_id,
                            .provider_version = in->provider_version,
                            .latest_version = 1,
                            .created_at = ctx->now,
                            .updated_at = ctx->now};
    return db_exec(ctx,
                   "INSERT INTO catalog_product (id, store_id, org_id, external_id, state, version,"
                   " last_event_id, provider_version, listed_version, latest_version, listed_at,"
                   " listing_event_id, created_at, updated_at)"
                   " VALUES ($1, $2, $3, $4, $5, 1, 0, $6, 0, 1, 0, 0, $7, $7)",
                   ARGS(A(out->m.id), A(out->store_id), A(out->org_id), A(external_id),
                        A(out->m.state), A(in->provider_version), A(ctx->now)),
                   NULL);
}

static err_t bump(struct ctx *ctx, struct product *product, int64_t provider_version,
                  int64_t latest)
{
    TRY(db_exec_one(ctx,
                    "UPDATE catalog_product SET provider_version = $2, latest_version = $3,"
                    " updated_at = $4 WHERE id = $1 AND provider_version = $5",
                    ARGS(A(product->m.id), A(provider_version), A(latest), A(ctx->now),
                         A(product->provider_version))));
    product->provider_version = provider_version;
    product->latest_version = latest;
    return OK;
}

/* What the report says of stock, for SKUs on offer, when it is newer. */
static err_t take_inventories(struct ctx *ctx, const struct product *product,
                              const struct product_report *in)
{
    for (size_t i = 0; i < in->sku_count && product->listed_version; i++) {
        err_t err = catalog_report_inventory(ctx, product->store_id, product->external_id,
                                             in->skus[i].external_sku_id, &in->skus[i].inventory);
        if (err == ERR_NOT_FOUND || err == ERR_CONFLICT)
            problem_clear(ctx);
        else
            TRY(err);
    }
    return OK;
}

static bool has_price(const struct sku *skus, size_t count, const struct sku_report *in)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(skus[i].external_sku_id, in->external_sku_id))
            return skus[i].unit_price.e10 == in->unit_price.e10;
    return false;
}

/* The same content under a later number: its prices count again where a patch changed them since.
 */
static err_t say_again(struct ctx *ctx, struct product *product, const struct product_report *in)
{
    struct sku *skus;
    size_t count;
    bool all = true;
    TRY(bump(ctx, product, in->provider_version, product->latest_version));
    if (product->listed_version != product->latest_version)
        return OK;
    TRY(catalog_skus_of(ctx, product->m.id, &skus, &count));
    for (size_t i = 0; i < in->sku_count; i++)
        all = all && has_price(skus, count, &in->skus[i]);
    if (all)
        return OK;
    TRY(catalog_skus_apply(ctx, product->m.id, in->skus, in->sku_count));
    return catalog_entry_rebuild(ctx, product->m.id);
}

static err_t add_version(struct ctx *ctx, const struct store *store, struct product *product,
                         const struct product_report *in, str_t digest, bool created)
{
    ref_t specs;
    if (!created)
        TRY(bump(ctx, product, in->provider_version, product->latest_version + 1));
    TRY(catalog_specs_id(ctx, catalog_specs_json(ctx, in->specs, in->spec_count), &specs));
    TRY(catalog_version_insert(ctx, product->m.id, product->latest_version, in, digest,
                               report_text(ctx, in), specs));
    if (product->m.state == PRODUCT_DELISTED || product->m.state == PRODUCT_REJECTED)
        TRY(move(ctx, product, PRODUCT_SUBMIT, PRODUCT_REVIEWING, NULL));
    if (store->auto_listing)
        return list_version(ctx, product, in, digest);
    ref_t event;
    const struct news news = {FACT_PRODUCT_STATE, "reviewing", NULL, in, digest};
    return tell(ctx, product, &news, &event);
}

static err_t give_skus(struct ctx *ctx, const struct product *product, struct product_reported *out)
{
    struct sku *skus;
    out->product = *product;
    if (product->listed_version == 0)
        return OK;
    TRY(catalog_skus_of(ctx, product->m.id, &skus, &out->sku_count));
    out->skus = NEW_ARRAY(ctx, struct sku_id, out->sku_count + 1);
    for (size_t i = 0; i < out->sku_count; i++)
        out->skus[i] = (struct sku_id){skus[i].external_sku_id, skus[i].id};
    return OK;
}

err_t catalog_report(struct ctx *ctx, ref_t store_id, str_t external_id,
                     const struct product_report *in, struct product_reported *out)
{
    struct store store = {0};
    struct product product = {0};
    uint8_t digest[SM3_BYTES];
    bool found;
    TRY(store_load(ctx, store_id, &store));
    if (store.m.state < STORE_APPROVED || store.m.state > STORE_PAUSED)
        return refuse(ctx, ERR_DENIED, "store_not_open", "the store is %s",
                      names_of(&store_state_names, store.m.state));
    TRY(check_report(ctx, in));
    report_digest(ctx, in, digest);
    str_t text = str_from(digest, sizeof(digest));
    *out = (struct product_reported){0};
    TRY(product_find(ctx, store_id, external_id, &product, &found));
    if (!found) {
        out->created = true;
        TRY(insert_product(ctx, &store, external_id, in, &product));
        TRY(add_version(ctx, &store, &product, in, text, true));
        return give_skus(ctx, &product, out);
    }
    struct version_head head = {0};
    TRY(load_version(ctx, product.m.id, product.latest_version, &head));
    bool same = str_eq(head.digest, text);
    if (in->provider_version < product.provider_version ||
        (in->provider_version == product.provider_version && !same))
        return refuse(ctx, ERR_CONFLICT, "version_stale", "version %" PRId64 " is known",
                      product.provider_version);
    if (same && product.m.state != PRODUCT_DELISTED) {
        if (in->provider_version > product.provider_version)
            TRY(say_again(ctx, &product, in));
        TRY(take_inventories(ctx, &product, in));
    } else {
        TRY(add_version(ctx, &store, &product, in, text, false));
    }
    return give_skus(ctx, &product, out);
}

err_t catalog_delist(struct ctx *ctx, ref_t store, str_t external_id, struct product *out)
{
    bool found;
    TRY(product_find(ctx, store, external_id, out, &found));
    if (!found)
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such product");
    if (out->m.state == PRODUCT_DELISTED)
        return OK;
    return move(ctx, out, PRODUCT_DELIST, PRODUCT_DELISTED, "by the provider");
}

err_t catalog_review(struct ctx *ctx, ref_t id, bool approve, str_t reason, struct product *out)
{
    struct version_head head = {0};
    struct product_report in = {0};
    const struct json *json;
    TRY(product_load(ctx, id, out));
    if (out->latest_version == out->listed_version)
        return refuse(ctx, ERR_STATE, "illegal_transition", "nothing waits for a review");
    if (!approve && out->m.state == PRODUCT_REVIEWING)
        return move(ctx, out, PRODUCT_REJECT, PRODUCT_REJECTED,
                    reason.len ? str_z(ctx->arena, reason) : NULL);
    if (!approve)
        return refuse(ctx, ERR_STATE, "illegal_transition", "the product is %s",
                      names_of(&product_state_names, out->m.state));
    TRY(load_version(ctx, id, out->latest_version, &head));
    TRY(json_parse(ctx, head.report, &json));
    TRY(shape_read(ctx, &product_report_shape, json, &in));
    return list_version(ctx, out, &in, head.digest);
}
