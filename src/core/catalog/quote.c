/* SPDX-License-Identifier: Apache-2.0 */
/* Quotes: prices frozen for 15 minutes under an id. Taking stock happens at submit only. */
#include "catalog_internal.h"

struct quote_row {
    ref_t id, org_id, user_id;
    utc_t valid_until;
    money_t payable;
    str_t lines;
};
static const struct field quote_fields[] = {
    FIELD_REF(struct quote_row, id, "quo", 0),
    FIELD_REF(struct quote_row, org_id, "org", 0),
    FIELD_REF(struct quote_row, user_id, "usr", 0),
    FIELD(struct quote_row, valid_until, 0, 0, 0),
    FIELD(struct quote_row, payable, 0, INT64_MAX, 0),
    FIELD_JSON(struct quote_row, lines, 65536, 0),
};
static const struct shape quote_shape = SHAPE(struct quote_row, quote_fields);

static err_t load_row(struct ctx *ctx, ref_t id, struct quote_row *out)
{
    bool found;
    TRY(db_find(ctx,
                "SELECT id, org_id, user_id, valid_until, payable, lines FROM catalog_quote"
                " WHERE id = $1",
                ARGS(A(id)), &quote_shape, out, &found));
    if (!found || !ref_is(out->org_id, ctx->actor.org_id))
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such quote");
    if (out->valid_until.ms <= ctx->now.ms)
        return refuse(ctx, ERR_CONFLICT, "quote_expired", "the quote ended at %" PRId64,
                      out->valid_until.ms);
    return OK;
}

err_t catalog_quote_load(struct ctx *ctx, ref_t id, struct quote *out)
{
    struct quote_row row = {0};
    TRY(load_row(ctx, id, &row));
    const struct json *lines;
    TRY(json_parse(ctx, row.lines, &lines));
    size_t count = json_count(lines);
    struct quote quote = {.id = row.id,
                          .org_id = row.org_id,
                          .user_id = row.user_id,
                          .valid_until = row.valid_until,
                          .payable = row.payable,
                          .lines = NEW_ARRAY(ctx, struct quote_line, count),
                          .line_count = count};
    for (size_t i = 0; i < count; i++) {
        const struct json *line = json_at(lines, i);
        if (!ref_read(json_get_text(line, "sku"), "sku", &quote.lines[i].sku_id))
            return refuse(ctx, ERR_INTERNAL, "quote_damaged", "line %zu names no SKU", i);
        quote.lines[i].quantity = (int32_t)json_get_int(line, "quantity", 0);
    }
    *out = quote;
    return OK;
}

err_t catalog_quote_price(struct ctx *ctx, ref_t quote, ref_t sku, price_t *out)
{
    struct quote_row row = {0};
    TRY(load_row(ctx, quote, &row));
    const struct json *lines;
    TRY(json_parse(ctx, row.lines, &lines));
    for (size_t i = 0; i < json_count(lines); i++) {
        const struct json *line = json_at(lines, i);
        ref_t id = {0};
        if (ref_read(json_get_text(line, "sku"), "sku", &id) && ref_is(id, sku) &&
            price_read(json_get_text(line, "unit_price"), out))
            return OK;
    }
    return refuse(ctx, ERR_NOT_FOUND, "not_found", "the quote does not hold this SKU");
}

static err_t find_store(struct ctx *ctx, struct store *stores, size_t count, ref_t id,
                        struct store *out)
{
    for (size_t i = 0; i < count; i++) {
        if (ref_is(stores[i].m.id, id)) {
            *out = stores[i];
            return OK;
        }
    }
    return refuse(ctx, ERR_CONFLICT, "store_not_open", "the store is gone");
}

static err_t price_lines(struct ctx *ctx, const struct quote_line *lines, size_t count,
                         struct quote_priced *out, money_t *out_payable)
{
    int64_t *ids = NEW_ARRAY(ctx, int64_t, count + 1);
    for (size_t i = 0; i < count; i++)
        ids[i] = lines[i].sku_id.value;
    struct sku *skus;
    struct store *stores;
    size_t sku_count, store_count;
    TRY(catalog_skus(ctx, ids, count, &skus, &sku_count));
    for (size_t i = 0; i < sku_count; i++)
        ids[i] = skus[i].store_id.value;
    TRY(store_find_many(ctx, ids, sku_count, &stores, &store_count));
    *out_payable = (money_t){0};
    for (size_t i = 0; i < count; i++) {
        str_t pointer = str_printf(ctx->arena, "/lines/%zu", i);
        const struct sku *sku = NULL;
        for (size_t k = 0; k < sku_count; k++)
            if (ref_is(skus[k].id, lines[i].sku_id))
                sku = &skus[k];
        if (!sku)
            return refuse(ctx, ERR_CONFLICT, "sku_not_listed", STR_FMT ": no such SKU on offer",
                          STR_ARG(pointer));
        out[i].sku = *sku;
        out[i].quantity = lines[i].quantity;
        TRY(find_store(ctx, stores, store_count, sku->store_id, &out[i].store));
        TRY(catalog_can_order(ctx, sku, &out[i].store, lines[i].quantity, pointer));
        TRY(catalog_price(ctx, sku, lines[i].quantity, &out[i].price));
        if (!money_add(*out_payable, out[i].price.payable, out_payable))
            return refuse(ctx, ERR_INPUT, "amount_too_large",
                          "the sum is beyond what can be priced");
    }
    return OK;
}

err_t catalog_quote_make(struct ctx *ctx, const struct quote_line *lines, size_t count,
                         struct quote *out, struct quote_priced **out_lines)
{
    struct quote_priced *priced = NEW_ARRAY(ctx, struct quote_priced, count + 1);
    struct quote quote = {.org_id = ctx->actor.org_id,
                          .user_id = ctx->actor.user_id,
                          .valid_until = utc_add(ctx->now, QUOTE_MINUTES * MS_MINUTE),
                          .line_count = count};
    TRY(price_lines(ctx, lines, count, priced, &quote.payable));
    *out_lines = priced;
    if (ctx->actor.user_id.value == 0) {
        *out = quote;
        return OK;
    }
    quote.id = id_make(ctx->platform->ids, ctx->now);
    struct buf text;
    struct jw w;
    buf_init(&text, ctx->arena, 65536);
    jw_init(&w, &text);
    jw_array(&w);
    for (size_t i = 0; i < count; i++) {
        jw_object(&w);
        jw_put_ref(&w, "sku", "sku", priced[i].sku.id);
        jw_put_int(&w, "quantity", priced[i].quantity);
        jw_key(&w, "unit_price");
        jw_price(&w, priced[i].sku.unit_price);
        jw_end_object(&w);
    }
    jw_end_array(&w);
    TRY(db_exec(ctx,
                "INSERT INTO catalog_quote (id, org_id, user_id, valid_until, payable, lines)"
                " VALUES ($1, $2, $3, $4, $5, $6)",
                ARGS(A(quote.id), A(quote.org_id), A(quote.user_id), A(quote.valid_until),
                     A(quote.payable), A(buf_str(&text))),
                NULL));
    *out = quote;
    return OK;
}
