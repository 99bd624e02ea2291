/* SPDX-License-Identifier: Apache-2.0 */
/* Buying: the cart; lines become one parent, a child per store, an item and an instance per line;
 * the stock is taken and, when asked, the balance pays, all in the caller's transaction. */
#include "order/order_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LINES_MAX = 50 };

static const struct field order_line_fields[] = {
    FIELD_REF(struct order_line, sku_id, "sku", FIELD_REQUIRED),
    FIELD(struct order_line, quantity, 1, 100000, FIELD_REQUIRED),
    FIELD_JSON(struct order_line, config, 8192, 0),
};
static const struct shape order_line_shape = SHAPE(struct order_line, order_line_fields);

static const struct field order_submit_fields[] = {
    FIELD_REF(struct order_submit, quote_id, "quo", 0),
    FIELD_ARRAY(struct order_submit, lines, line_count, &order_line_shape, 1, LINES_MAX, 0),
    FIELD(struct order_submit, expected_payable_fen, 0, MONEY_MAX_FEN, FIELD_REQUIRED),
    FIELD(struct order_submit, pay_from_balance, 0, 1, FIELD_REQUIRED),
    FIELD(struct order_submit, from_cart, 0, 1, 0),
    FIELD(struct order_submit, cost_centre, 0, 60, 0),
    FIELD(struct order_submit, purchase_order_no, 0, 60, 0),
    FIELD(struct order_submit, note, 0, 200, 0),
};
const struct shape order_submit_shape = SHAPE(struct order_submit, order_submit_fields);

/* ---- the cart: what a user has put aside; prices are asked for when it is shown ---- */
enum { CART_LINES_MAX = 50 };

static const struct field cart_line_fields[] = {
    FIELD_REF(struct cart_line, id, "crt", 0),
    FIELD_REF(struct cart_line, sku_id, "sku", 0),
    FIELD(struct cart_line, quantity, 1, 100000, 0),
    FIELD(struct cart_line, updated_at, 0, 0, 0),
};
static const struct shape cart_line_shape = SHAPE(struct cart_line, cart_line_fields);

err_t cart_lines(struct ctx *ctx, struct cart_line **out, size_t *out_count)
{
    return db_all(ctx,
                  "SELECT id, sku_id, quantity, updated_at FROM order_cart WHERE org_id = $1 AND "
                  "user_id = $2 ORDER BY "
                  "id LIMIT 50",
                  ARGS(A(ctx->actor.org_id), A(ctx->actor.user_id)), &cart_line_shape, out,
                  out_count);
}

static err_t cart_add(struct ctx *ctx, ref_t sku, int32_t quantity)
{
    int64_t count = 0;
    TRY(db_int(ctx, "SELECT COUNT(*) FROM order_cart WHERE org_id = $1 AND user_id = $2",
               ARGS(A(ctx->actor.org_id), A(ctx->actor.user_id)), &count));
    if (count >= CART_LINES_MAX)
        return refuse(ctx, ERR_STATE, "cart_full", "a cart holds at most %d lines", CART_LINES_MAX);
    return db_exec_one(ctx,
                       "INSERT INTO order_cart (id, org_id, user_id, sku_id, quantity, updated_at) "
                       "VALUES ($1, $2, $3, "
                       "$4, $5, $6) ON CONFLICT (org_id, user_id, sku_id) DO UPDATE SET quantity = "
                       "excluded.quantity, updated_at = excluded.updated_at",
                       ARGS(A(id_make(ctx->platform->ids, ctx->now)), A(ctx->actor.org_id),
                            A(ctx->actor.user_id), A(sku), A(quantity), A(ctx->now)));
}

err_t cart_set(struct ctx *ctx, ref_t sku, int32_t quantity)
{
    int64_t changed;
    if (quantity == 0)
        return db_exec(ctx,
                       "DELETE FROM order_cart WHERE org_id = $1 AND user_id = $2 AND sku_id = $3",
                       ARGS(A(ctx->actor.org_id), A(ctx->actor.user_id), A(sku)), &changed);
    TRY(db_exec(ctx,
                "UPDATE order_cart SET quantity = $1, updated_at = $2 WHERE org_id = $3 AND "
                "user_id = $4 AND sku_id = $5",
                ARGS(A(quantity), A(ctx->now), A(ctx->actor.org_id), A(ctx->actor.user_id), A(sku)),
                &changed));
    return changed == 1 ? OK : cart_add(ctx, sku, quantity);
}

err_t cart_clear(struct ctx *ctx)
{
    int64_t changed;
    return db_exec(ctx, "DELETE FROM order_cart WHERE org_id = $1 AND user_id = $2",
                   ARGS(A(ctx->actor.org_id), A(ctx->actor.user_id)), &changed);
}

/* One line with all that is known of it. */
struct draft_line {
    struct sku sku;
    const struct store *store;
    struct line_price price;
    int32_t quantity;
    str_t config, pointer;
};
struct draft {
    struct draft_line *lines;
    size_t count;
    struct order_whole whole;
    struct order_item *items;
    struct instance *instances;
};

/* ---- from lines or a quote to priced lines ---- */
static err_t lines_of_quote(struct ctx *ctx, const struct order_submit *in, struct order_line **out,
                            size_t *out_count)
{
    struct quote quote = {0};
    TRY(catalog_quote_load(ctx, in->quote_id, &quote));
    struct order_line *lines = NEW_ARRAY(ctx, struct order_line, quote.line_count);
    for (size_t i = 0; i < quote.line_count; i++) {
        lines[i].sku_id = quote.lines[i].sku_id;
        lines[i].quantity = quote.lines[i].quantity;
    }
    *out = lines;
    *out_count = quote.line_count;
    return OK;
}

static err_t refuse_twice(struct ctx *ctx, const struct order_line *lines, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++)
            if (ref_is(lines[i].sku_id, lines[k].sku_id))
                return refuse_field(ctx, str_printf(ctx->arena, "/lines/%zu/sku_id", i),
                                    "duplicate_line", "the SKU stands in line %zu already", k);
    return OK;
}

static const struct sku *sku_of(const struct sku *skus, size_t count, ref_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ref_is(skus[i].id, id))
            return &skus[i];
    return NULL;
}

static const struct store *store_of(const struct store *stores, size_t count, ref_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ref_is(stores[i].m.id, id))
            return &stores[i];
    return NULL;
}

static err_t stores_of_lines(struct ctx *ctx, struct draft *draft)
{
    int64_t *ids = NEW_ARRAY(ctx, int64_t, draft->count);
    size_t count = 0;
    for (size_t i = 0; i < draft->count; i++) {
        bool known = false;
        for (size_t k = 0; k < count; k++)
            known = known || ids[k] == draft->lines[i].sku.store_id.value;
        if (!known)
            ids[count++] = draft->lines[i].sku.store_id.value;
    }
    struct store *stores;
    size_t store_count;
    TRY(store_find_many(ctx, ids, count, &stores, &store_count));
    for (size_t i = 0; i < draft->count; i++) {
        draft->lines[i].store = store_of(stores, store_count, draft->lines[i].sku.store_id);
        ENSURE(draft->lines[i].store != NULL);
    }
    return OK;
}

static int by_store(const void *a, const void *b)
{
    const struct draft_line *x = a, *y = b;
    if (x->sku.store_id.value != y->sku.store_id.value)
        return x->sku.store_id.value < y->sku.store_id.value ? -1 : 1;
    return x->sku.id.value < y->sku.id.value ? -1 : 1;
}

/* Loads SKUs and stores of the lines, freezes prices, checks that each may be bought. Lines end up
 * sorted by store, then SKU: that is also the order in which stock rows are locked. */
static err_t draft_lines(struct ctx *ctx, const struct order_submit *in,
                         const struct order_line *lines, size_t count, struct draft *draft)
{
    int64_t ids[LINES_MAX];
    for (size_t i = 0; i < count; i++)
        ids[i] = lines[i].sku_id.value;
    struct sku *skus;
    size_t sku_count;
    TRY(catalog_skus(ctx, ids, count, &skus, &sku_count));
    draft->lines = NEW_ARRAY(ctx, struct draft_line, count);
    draft->count = count;
    for (size_t i = 0; i < count; i++) {
        struct draft_line *line = &draft->lines[i];
        const struct sku *sku = sku_of(skus, sku_count, lines[i].sku_id);
        line->pointer = str_printf(ctx->arena, "/lines/%zu", i);
        if (!sku)
            return refuse(ctx, ERR_CONFLICT, "sku_not_listed", "line %zu: no such SKU is on offer",
                          i);
        line->sku = *sku;
        line->quantity = lines[i].quantity;
        line->config = lines[i].config.len ? lines[i].config : STR("{}");
        if (in->quote_id.value)
            TRY(catalog_quote_price(ctx, in->quote_id, sku->id, &line->sku.unit_price));
        TRY(catalog_price(ctx, &line->sku, line->quantity, &line->price));
    }
    TRY(stores_of_lines(ctx, draft));
    for (size_t i = 0; i < count; i++)
        TRY(catalog_can_order(ctx, &draft->lines[i].sku, draft->lines[i].store,
                              draft->lines[i].quantity, draft->lines[i].pointer));
    qsort(draft->lines, count, sizeof(*draft->lines), by_store);
    return OK;
}

/* ---- from priced lines to rows in memory ---- */
/* Tax is computed once per child and rate and shared out to its lines, as on the invoice that
 * follows. */
static bool share_tax(struct draft *draft, size_t from, size_t to, int32_t rate_bp)
{
    money_t total = {0}, net, tax, parts[LINES_MAX];
    int64_t weights[LINES_MAX];
    size_t at[LINES_MAX], count = 0;
    for (size_t i = from; i < to; i++) {
        if (draft->lines[i].sku.rate_bp != rate_bp)
            continue;
        weights[count] = draft->lines[i].price.payable.fen;
        at[count++] = i;
        if (!money_add(total, draft->lines[i].price.payable, &total))
            return false;
    }
    if (total.fen == 0)
        return true;
    if (!money_tax(total, rate_bp, &net, &tax) || !money_allocate(tax, weights, count, parts))
        return false;
    for (size_t i = 0; i < count; i++)
        draft->lines[at[i]].price.tax = parts[i];
    return true;
}

static bool share_taxes(struct draft *draft)
{
    for (size_t from = 0, to = 0; from < draft->count; from = to) {
        while (to < draft->count &&
               ref_is(draft->lines[to].sku.store_id, draft->lines[from].sku.store_id))
            to++;
        for (size_t i = from; i < to; i++)
            if (!share_tax(draft, from, to, draft->lines[i].sku.rate_bp))
                return false;
    }
    return true;
}

static bool add_line(struct order *order, const struct line_price *price)
{
    order->item_count++;
    return money_add(order->list, price->list, &order->list) &&
           money_add(order->discount, price->discount, &order->discount) &&
           money_add(order->payable, price->payable, &order->payable) &&
           money_add(order->tax, price->tax, &order->tax);
}

static void start_order(struct ctx *ctx, const struct order_submit *in, struct order *order,
                        int kind)
{
    order->m.id = id_make(ctx->platform->ids, ctx->now);
    order->m.version = 1;
    order->kind = kind;
    order->buyer_org_id = ctx->actor.org_id;
    order->buyer_user_id = ctx->actor.user_id;
    order->created_at = order->updated_at = ctx->now;
    order->cost_centre = in->cost_centre;
    order->purchase_order_no = in->purchase_order_no;
    order->note = in->note;
}

static void start_item(struct ctx *ctx, const struct draft_line *line, const struct order *child,
                       struct order_item *item, struct instance *instance)
{
    const struct sku *sku = &line->sku;
    *item = (struct order_item){
        .m = {.id = id_make(ctx->platform->ids, ctx->now), .state = ITEM_PENDING, .version = 1},
        .order_id = child->m.id,
        .sku_id = sku->id,
        .product_id = sku->product_id,
        .product_version = sku->product_version,
        .product_name = sku->product_name,
        .category = sku->category,
        .external_product_id = sku->external_product_id,
        .external_sku_id = sku->external_sku_id,
        .region_code = sku->region_code,
        .term = sku->term,
        .specs = sku->specs,
        .config = line->config,
        .charge_mode = sku->charge_mode,
        .price_unit = sku->price_unit,
        .quantity = line->quantity,
        .rate_bp = sku->rate_bp,
        .lead_h = sku->lead_h,
        .unit_price = sku->unit_price,
        .list = line->price.list,
        .discount = line->price.discount,
        .payable = line->price.payable,
        .tax = line->price.tax,
    };
    *instance = (struct instance){
        .m = {.id = id_make(ctx->platform->ids, ctx->now),
              .state = INSTANCE_CREATING,
              .version = 1},
        .item_id = item->m.id,
        .order_id = child->m.id,
        .parent_id = child->parent_id,
        .buyer_org_id = child->buyer_org_id,
        .store_id = child->store_id,
        .units = STR("[]"),
        .created_at = ctx->now,
        .updated_at = ctx->now,
    };
    item->instance_id = instance->m.id;
}

static str_t draft_title(struct ctx *ctx, const struct draft *draft)
{
    str_t name = draft->lines[0].sku.product_name;
    if (draft->count == 1)
        return name;
    return str_printf(ctx->arena, STR_FMT " +%zu", STR_ARG(name), draft->count - 1);
}

static err_t draft_orders(struct ctx *ctx, const struct order_submit *in, struct draft *draft)
{
    struct order_whole *whole = &draft->whole;
    start_order(ctx, in, &whole->parent, ORDER_PARENT);
    whole->parent.title = draft_title(ctx, draft);
    whole->children = NEW_ARRAY(ctx, struct order, draft->count);
    draft->items = NEW_ARRAY(ctx, struct order_item, draft->count);
    draft->instances = NEW_ARRAY(ctx, struct instance, draft->count);
    struct order *child = NULL;
    if (!share_taxes(draft))
        return refuse_field(ctx, STR("/lines"), "out_of_range", "the amount is too large");
    for (size_t i = 0; i < draft->count; i++) {
        const struct draft_line *line = &draft->lines[i];
        if (!child || !ref_is(child->store_id, line->sku.store_id)) {
            child = &whole->children[whole->child_count++];
            start_order(ctx, in, child, ORDER_CHILD);
            child->parent_id = whole->parent.m.id;
            child->store_id = line->sku.store_id;
            child->provider_org_id = line->sku.provider_org_id;
            child->commission_bp = line->store->commission_bp;
            child->title = line->sku.product_name;
        }
        start_item(ctx, line, child, &draft->items[i], &draft->instances[i]);
        if (!add_line(child, &line->price) || !add_line(&whole->parent, &line->price))
            return refuse_field(ctx, line->pointer, "out_of_range", "the amount is too large");
    }
    return OK;
}

/* Where the orders are born: paid at once or free, they wait for the provider; else for the money.
 */
static void set_birth_state(struct ctx *ctx, const struct order_submit *in,
                            struct order_whole *whole)
{
    bool paid = in->pay_from_balance || whole->parent.payable.fen == 0;
    struct order *each[1 + LINES_MAX];
    size_t count = 0;
    each[count++] = &whole->parent;
    for (size_t i = 0; i < whole->child_count; i++)
        each[count++] = &whole->children[i];
    for (size_t i = 0; i < count; i++) {
        struct order *order = each[i];
        order->m.state = paid ? ORDER_ACCEPTING : ORDER_PENDING_PAYMENT;
        if (paid) {
            order->paid = order->payable;
            order->paid_at = ctx->now;
            order->outbound_sequence = order->kind == ORDER_CHILD ? 1 : 0;
        } else {
            order->pay_deadline = utc_add(ctx->now, ORDER_PAY_MS);
        }
    }
}

/* ---- rows ---- */
static err_t insert_order(struct ctx *ctx, const struct order *o)
{
    return db_exec_one(
        ctx,
        "INSERT INTO order_head (id, kind, parent_id, buyer_org_id, buyer_user_id, store_id, "
        "provider_org_id, "
        "state, version, last_event_id, list_fen, discount_fen, payable_fen, tax_fen, paid_fen, "
        "refunded_fen, "
        "commission_bp, cancel_from, pay_deadline, paid_at, acknowledged_at, external_order_id, "
        "provider_sequence, outbound_sequence, item_count, title, cost_centre, purchase_order_no, "
        "note, "
        "created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, "
        "$14, $15, 0, "
        "$16, 0, $17, $18, 0, '', 0, $19, $20, $21, $22, $23, $24, $25, $25)",
        ARGS(A(o->m.id), A(o->kind), A(o->parent_id), A(o->buyer_org_id), A(o->buyer_user_id),
             A(o->store_id), A(o->provider_org_id), A(o->m.state), A(o->m.version),
             A(o->m.last_event_id), A(o->list), A(o->discount), A(o->payable), A(o->tax),
             A(o->paid), A(o->commission_bp), A(o->pay_deadline), A(o->paid_at),
             A(o->outbound_sequence), A(o->item_count), A(o->title), A(o->cost_centre),
             A(o->purchase_order_no), A(o->note), A(o->created_at)));
}

static err_t insert_item(struct ctx *ctx, const struct order_item *i)
{
    return db_exec_one(
        ctx,
        "INSERT INTO order_item (id, order_id, state, version, last_event_id, sku_id, product_id, "
        "product_version, instance_id, refund_id, product_name, category, external_product_id, "
        "external_sku_id, region_code, term, specs, config, charge_mode, price_unit, quantity, "
        "rate_bp, lead_h, "
        "unit_price, list_fen, discount_fen, payable_fen, tax_fen, updated_at) VALUES ($1, $2, $3, "
        "1, $4, $5, "
        "$6, $7, $8, 0, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, "
        "$24, $25, "
        "$26, $27)",
        ARGS(A(i->m.id), A(i->order_id), A(i->m.state), A(i->m.last_event_id), A(i->sku_id),
             A(i->product_id), A(i->product_version), A(i->instance_id), A(i->product_name),
             A(i->category), A(i->external_product_id), A(i->external_sku_id), A(i->region_code),
             A(i->term), A(i->specs), A(i->config), A(i->charge_mode), A(i->price_unit),
             A(i->quantity), A(i->rate_bp), A(i->lead_h), A(i->unit_price), A(i->list),
             A(i->discount), A(i->payable), A(i->tax), A(ctx->now)));
}

static err_t insert_instance(struct ctx *ctx, const struct instance *i)
{
    return db_exec_one(
        ctx,
        "INSERT INTO order_instance (id, item_id, order_id, parent_id, buyer_org_id, store_id, "
        "state, version, "
        "last_event_id, external_instance_id, units, tool_url, error, started_at, expires_at, "
        "created_at, "
        "updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, '', '[]', '', '', 0, 0, $9, $9)",
        ARGS(A(i->m.id), A(i->item_id), A(i->order_id), A(i->parent_id), A(i->buyer_org_id),
             A(i->store_id), A(i->m.state), A(i->m.last_event_id), A(i->created_at)));
}

static err_t insert_rows(struct ctx *ctx, struct draft *draft, ref_t event_id)
{
    struct order_whole *whole = &draft->whole;
    whole->parent.m.last_event_id = event_id;
    TRY(insert_order(ctx, &whole->parent));
    for (size_t i = 0; i < whole->child_count; i++) {
        whole->children[i].m.last_event_id = event_id;
        TRY(insert_order(ctx, &whole->children[i]));
    }
    for (size_t i = 0; i < draft->count; i++) {
        draft->items[i].m.last_event_id = event_id;
        draft->instances[i].m.last_event_id = event_id;
        TRY(insert_item(ctx, &draft->items[i]));
        TRY(insert_instance(ctx, &draft->instances[i]));
    }
    return db_exec_one(ctx, "INSERT INTO order_of_org (org_id, order_id) VALUES ($1, $2)",
                       ARGS(A(whole->parent.buyer_org_id), A(whole->parent.m.id)));
}

/* ---- facts ---- */
static err_t tell_birth(struct ctx *ctx, const struct draft *draft, int type, ref_t *out_event)
{
    struct fact fact;
    /* Only the buyer hears of the whole: a provider would read what its rivals sell. */
    order_fact(&fact, type, &draft->whole.parent, &draft->whole.parent);
    struct buf buf;
    struct jw w;
    buf_init(&buf, ctx->arena, 256 * 1024);
    jw_init(&w, &buf);
    jw_object(&w);
    order_write_content(ctx, &w, &draft->whole, draft->items, draft->count);
    jw_end_object(&w);
    fact.payload = buf_str(&buf);
    return evidence_append(ctx, &fact, out_event);
}

/* ---- the whole ---- */
static err_t remove_from_cart(struct ctx *ctx, const struct draft *draft)
{
    for (size_t i = 0; i < draft->count; i++)
        TRY(cart_set(ctx, draft->lines[i].sku.id, 0));
    return OK;
}

static err_t born_paid(struct ctx *ctx, struct draft *draft, struct payment *out_payment)
{
    struct order_payment_told told = {.payment_id = id_make(ctx->platform->ids, ctx->now)};
    TRY(order_take_money(ctx, &draft->whole, &told.digest));
    TRY(tell_birth(ctx, draft, FACT_ORDER_PAID, &told.paid_event_id));
    TRY(insert_rows(ctx, draft, told.paid_event_id));
    if (draft->whole.parent.payable.fen > 0)
        TRY(order_tell_payment(ctx, &draft->whole, &told, out_payment));
    for (size_t i = 0; i < draft->whole.child_count; i++)
        TRY(order_send(ctx, &draft->whole.children[i]));
    return OK;
}

static err_t born_unpaid(struct ctx *ctx, struct draft *draft)
{
    ref_t event_id;
    TRY(tell_birth(ctx, draft, FACT_ORDER_CREATE, &event_id));
    TRY(insert_rows(ctx, draft, event_id));
    const struct order *parent = &draft->whole.parent;
    return job_schedule(ctx, JOB_ORDER_PAY_TIMEOUT, parent->m.id, REF_NONE, STR("{}"),
                        parent->pay_deadline, NULL);
}

static void hand_over(struct ctx *ctx, const struct draft *draft, struct order_made *made)
{
    const struct order_whole *whole = &draft->whole;
    made->parent = whole->parent;
    made->children = whole->children;
    made->child_count = whole->child_count;
    made->items = draft->items;
    made->instances = draft->instances;
    made->item_count = draft->count;
    made->stores = NEW_ARRAY(ctx, const struct store *, whole->child_count);
    for (size_t i = 0; i < whole->child_count; i++)
        for (size_t k = 0; k < draft->count; k++)
            if (ref_is(draft->lines[k].store->m.id, whole->children[i].store_id))
                made->stores[i] = draft->lines[k].store;
}

err_t order_submit_whole(struct ctx *ctx, const struct order_submit *in, struct order_made *out)
{
    struct order_line *lines = in->lines;
    size_t count = in->line_count;
    if ((in->quote_id.value != 0) == (count > 0))
        return refuse_field(ctx, STR("/lines"), "required", "either quote_id or lines");
    if (in->quote_id.value)
        TRY(lines_of_quote(ctx, in, &lines, &count));
    if (count == 0 || count > LINES_MAX)
        return refuse_field(ctx, STR("/lines"), "out_of_range", "1 to %d lines", LINES_MAX);
    TRY(refuse_twice(ctx, lines, count));
    struct draft draft = {0};
    struct order_made made = {0};
    TRY(draft_lines(ctx, in, lines, count, &draft));
    TRY(draft_orders(ctx, in, &draft));
    TRY(order_check_price(ctx, &draft.whole.parent, in->expected_payable_fen));
    set_birth_state(ctx, in, &draft.whole);
    for (size_t i = 0; i < draft.count; i++)
        TRY(catalog_take(ctx, draft.lines[i].sku.id, draft.items[i].m.id, draft.lines[i].quantity));
    if (draft.whole.parent.m.state == ORDER_ACCEPTING)
        TRY(born_paid(ctx, &draft, &made.payment));
    else
        TRY(born_unpaid(ctx, &draft));
    if (in->from_cart)
        TRY(remove_from_cart(ctx, &draft));
    hand_over(ctx, &draft, &made);
    *out = made;
    return OK;
}

err_t order_submit(struct ctx *ctx, const struct order_submit *in, struct order *out_parent)
{
    struct order_made made;
    TRY(order_submit_whole(ctx, in, &made));
    *out_parent = made.parent;
    return OK;
}
