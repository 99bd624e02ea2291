/* SPDX-License-Identifier: Apache-2.0 */
/* The messages that go down: the order (R16), the change of its state (R8), and the question that
 * resolves an unknown outcome. Message signatures will be added where `send` builds the call:
 * nothing else makes one. */
#include "if2/outbound.h"

#include <inttypes.h>

static void write_item(struct jw *w, const struct order_item *item)
{
    jw_object(w);
    jw_put_ref(w, "item_id", "itm", item->m.id);
    jw_put_ref(w, "instance_id", "ins", item->instance_id);
    jw_put_ref(w, "sku_id", "sku", item->sku_id);
    jw_put_text(w, "external_product_id", item->external_product_id);
    jw_put_text(w, "external_sku_id", item->external_sku_id);
    jw_put_int(w, "quantity", item->quantity);
    jw_put_text(w, "charge_mode", str_of(names_of(&charge_mode_names, item->charge_mode)));
    jw_key(w, "term");
    if (item->term.len)
        jw_text(w, item->term);
    else
        jw_null(w);
    jw_key(w, "unit_price");
    jw_price(w, item->unit_price);
    jw_put_text(w, "price_unit", str_of(names_of(&price_unit_names, item->price_unit)));
    jw_put_int(w, "payable_fen", item->payable.fen);
    jw_put_int(w, "lead_h", item->lead_h);
    jw_key(w, "specs");
    jw_raw(w, item->specs.len ? item->specs : STR("[]"));
    jw_key(w, "config");
    jw_raw(w, item->config.len ? item->config : STR("{}"));
    jw_end_object(w);
}

str_t outbound_order(struct ctx *ctx, const struct outbound_content *content)
{
    struct buf buf;
    struct jw w;
    buf_init(&buf, ctx->arena, 1 << 20);
    jw_init(&w, &buf);
    jw_object(&w);
    jw_put_ref(&w, "order_id", "ord", content->child.m.id);
    jw_put_text(&w, "order_no", order_no(ctx->arena, content->child.m.id));
    jw_put_int(&w, "sequence", 1);
    jw_put_text(&w, "order_type", STR("new"));
    jw_put_utc(&w, "created_at", content->child.created_at);
    jw_key(&w, "buyer");
    jw_object(&w);
    jw_put_text(&w, "sub", content->subject);
    jw_put_ref(&w, "org_id", "org", content->child.buyer_org_id);
    jw_end_object(&w);
    jw_put_int(&w, "payable_fen", content->child.payable.fen);
    jw_put_int(&w, "paid_fen", content->child.paid.fen);
    jw_put_text(&w, "currency", STR("CNY"));
    jw_key(&w, "items");
    jw_array(&w);
    for (size_t i = 0; i < content->item_count; i++)
        write_item(&w, &content->items[i]);
    jw_end_array(&w);
    jw_end_object(&w);
    return buf_str(&buf);
}

str_t outbound_change(struct ctx *ctx, const struct outbound_content *content,
                      const struct json *message)
{
    struct buf buf;
    struct jw w;
    const struct json *items = json_get(message, "items");
    buf_init(&buf, ctx->arena, 1 << 20);
    jw_init(&w, &buf);
    jw_object(&w);
    jw_put_text(&w, "change_id", json_get_text(message, "change_id"));
    if (content->child.external_order_id.len)
        jw_put_text(&w, "external_order_id", content->child.external_order_id);
    jw_put_int(&w, "sequence", json_get_int(message, "sequence", 0));
    jw_put_text(&w, "command", json_get_text(message, "command"));
    jw_put_text(&w, "reason_code", json_get_text(message, "reason_code"));
    jw_put_utc(&w, "occurred_at", content->occurred_at);
    jw_key(&w, "items");
    jw_array(&w);
    for (size_t i = 0; i < json_count(items); i++) {
        str_t id = json_text(json_at(items, i));
        for (size_t k = 0; k < content->item_count; k++)
            if (str_eq(id, ref_text(ctx->arena, "itm", content->items[k].m.id))) {
                jw_object(&w);
                jw_put_text(&w, "item_id", id);
                jw_put_ref(&w, "instance_id", "ins", content->items[k].instance_id);
                jw_end_object(&w);
            }
    }
    jw_end_array(&w);
    jw_end_object(&w);
    return buf_str(&buf);
}

err_t outbound_send(struct ctx *ctx, struct http_client *client, const struct if2_outbound *options,
                    const struct outbound_content *content, const struct outbound_message *message,
                    struct http_answer *out)
{
    str_t base = content->base_url;
    while (base.len && base.data[base.len - 1] == '/')
        base.len--;
    const struct http_call call = {
        .method = message->method,
        .url = str_printf(ctx->arena, STR_FMT STR_FMT, STR_ARG(base), STR_ARG(message->path)),
        .body = message->body,
        .bearer = content->bearer,
        .header_names = {STR("X-Request-Id")},
        .header_values = {ctx->request_id},
        .header_count = ctx->request_id.len ? 1 : 0,
        .plain_networks = options->plain_networks,
    };
    return http_send(ctx, client, &call, out);
}
