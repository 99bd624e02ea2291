/* SPDX-License-Identifier: Apache-2.0 */
/* Reading orders, and what every step shares: the shapes of the rows, the fold of a parent, order
 * numbers. */
#include "order/order_internal.h"

#include <inttypes.h>
#include <string.h>

#define MONEY_FIELD(type, member, name) FIELD_AS(type, member, name, 0, MONEY_MAX_FEN, 0)

static const struct field order_fields[] = {
    MOVING_FIELDS(struct order, "ord", &order_state_names),
    FIELD(struct order, kind, 1, 2, 0),
    FIELD_REF(struct order, parent_id, "ord", 0),
    FIELD_REF(struct order, buyer_org_id, "org", 0),
    FIELD_REF(struct order, buyer_user_id, "usr", 0),
    FIELD_REF(struct order, store_id, "sto", 0),
    FIELD_REF(struct order, provider_org_id, "org", 0),
    MONEY_FIELD(struct order, list, "list_fen"),
    MONEY_FIELD(struct order, discount, "discount_fen"),
    MONEY_FIELD(struct order, payable, "payable_fen"),
    MONEY_FIELD(struct order, tax, "tax_fen"),
    MONEY_FIELD(struct order, paid, "paid_fen"),
    MONEY_FIELD(struct order, refunded, "refunded_fen"),
    FIELD(struct order, commission_bp, 0, 10000, 0),
    FIELD(struct order, cancel_from, 0, 100, 0),
    FIELD(struct order, pay_deadline, 0, 0, 0),
    FIELD(struct order, paid_at, 0, 0, 0),
    FIELD(struct order, acknowledged_at, 0, 0, 0),
    FIELD(struct order, created_at, 0, 0, 0),
    FIELD(struct order, updated_at, 0, 0, 0),
    FIELD(struct order, external_order_id, 0, 200, 0),
    FIELD(struct order, title, 0, 300, 0),
    FIELD(struct order, cost_centre, 0, 60, 0),
    FIELD(struct order, purchase_order_no, 0, 60, 0),
    FIELD(struct order, note, 0, 200, 0),
    FIELD(struct order, provider_sequence, 0, INT64_MAX, 0),
    FIELD(struct order, outbound_sequence, 0, INT64_MAX, 0),
    FIELD(struct order, item_count, 0, 100, 0),
};
const struct shape order_shape = SHAPE(struct order, order_fields);
#define ORDER_COLUMNS                                                                              \
    "id, state, version, last_event_id, kind, parent_id, buyer_org_id, buyer_user_id, store_id, "  \
    "provider_org_id, list_fen, discount_fen, payable_fen, tax_fen, paid_fen, refunded_fen, "      \
    "commission_bp, cancel_from, pay_deadline, paid_at, acknowledged_at, created_at, updated_at, " \
    "external_order_id, title, cost_centre, purchase_order_no, note, provider_sequence, "          \
    "outbound_sequence, item_count"

static const struct field order_item_fields[] = {
    MOVING_FIELDS(struct order_item, "itm", &item_state_names),
    FIELD_REF(struct order_item, order_id, "ord", 0),
    FIELD_REF(struct order_item, sku_id, "sku", 0),
    FIELD_REF(struct order_item, product_id, "prd", 0),
    FIELD_REF(struct order_item, instance_id, "ins", 0),
    FIELD_REF(struct order_item, refund_id, "ref", 0),
    FIELD(struct order_item, product_version, 0, INT64_MAX, 0),
    FIELD(struct order_item, product_name, 0, 200, 0),
    FIELD(struct order_item, category, 0, 100, 0),
    FIELD(struct order_item, external_product_id, 0, 100, 0),
    FIELD(struct order_item, external_sku_id, 0, 100, 0),
    FIELD(struct order_item, region_code, 0, 60, 0),
    FIELD(struct order_item, term, 0, 20, 0),
    FIELD_JSON(struct order_item, specs, 65536, 0),
    FIELD_JSON(struct order_item, config, 65536, 0),
    FIELD(struct order_item, charge_mode, 0, 10, 0),
    FIELD(struct order_item, price_unit, 0, 10, 0),
    FIELD(struct order_item, quantity, 0, INT32_MAX, 0),
    FIELD(struct order_item, rate_bp, 0, 10000, 0),
    FIELD(struct order_item, lead_h, 0, 100000, 0),
    FIELD(struct order_item, unit_price, 0, INT64_MAX, 0),
    MONEY_FIELD(struct order_item, list, "list_fen"),
    MONEY_FIELD(struct order_item, discount, "discount_fen"),
    MONEY_FIELD(struct order_item, payable, "payable_fen"),
    MONEY_FIELD(struct order_item, tax, "tax_fen"),
};
const struct shape order_item_shape = SHAPE(struct order_item, order_item_fields);

static const struct field instance_fields[] = {
    MOVING_FIELDS(struct instance, "ins", &instance_state_names),
    FIELD_REF(struct instance, item_id, "itm", 0),
    FIELD_REF(struct instance, order_id, "ord", 0),
    FIELD_REF(struct instance, parent_id, "ord", 0),
    FIELD_REF(struct instance, buyer_org_id, "org", 0),
    FIELD_REF(struct instance, store_id, "sto", 0),
    FIELD(struct instance, external_instance_id, 0, 200, 0),
    FIELD_JSON(struct instance, units, 1 << 20, 0),
    FIELD(struct instance, tool_url, 0, 2000, 0),
    FIELD(struct instance, error, 0, 1000, 0),
    FIELD(struct instance, started_at, 0, 0, 0),
    FIELD(struct instance, expires_at, 0, 0, 0),
    FIELD(struct instance, created_at, 0, 0, 0),
    FIELD(struct instance, updated_at, 0, 0, 0),
};
const struct shape instance_shape = SHAPE(struct instance, instance_fields);
#define INSTANCE_COLUMNS                                                                        \
    "id, state, version, last_event_id, item_id, order_id, parent_id, buyer_org_id, store_id, " \
    "external_instance_id, units, tool_url, error, started_at, expires_at, created_at, updated_at"

static const struct field payment_fields[] = {
    MOVING_FIELDS(struct payment, "pay", &payment_state_names),
    FIELD_REF(struct payment, order_id, "ord", 0),
    FIELD_REF(struct payment, buyer_org_id, "org", 0),
    FIELD_REF(struct payment, user_id, "usr", 0),
    MONEY_FIELD(struct payment, amount, "amount_fen"),
    FIELD(struct payment, channel, 0, 100, 0),
    FIELD(struct payment, paid_at, 0, 0, 0),
    FIELD(struct payment, created_at, 0, 0, 0),
};
const struct shape payment_shape = SHAPE(struct payment, payment_fields);

static const struct field refund_fields[] = {
    MOVING_FIELDS(struct refund, "ref", &refund_state_names),
    FIELD_REF(struct refund, item_id, "itm", 0),
    FIELD_REF(struct refund, order_id, "ord", 0),
    FIELD_REF(struct refund, parent_id, "ord", 0),
    FIELD_REF(struct refund, buyer_org_id, "org", 0),
    MONEY_FIELD(struct refund, amount, "amount_fen"),
    FIELD(struct refund, reason, 0, 100, 0),
    FIELD(struct refund, created_at, 0, 0, 0),
    FIELD(struct refund, done_at, 0, 0, 0),
};
const struct shape refund_shape = SHAPE(struct refund, refund_fields);

err_t order_load(struct ctx *ctx, ref_t id, struct order *out)
{
    return db_one(ctx, "SELECT " ORDER_COLUMNS " FROM order_head WHERE id = $1", ARGS(A(id)),
                  &order_shape, out);
}

err_t order_load_own(struct ctx *ctx, ref_t id, struct order *out)
{
    struct order order = {0};
    TRY(order_load(ctx, id, &order));
    if (!ref_is(order.buyer_org_id, ctx->actor.org_id))
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such order");
    *out = order;
    return OK;
}

err_t order_children(struct ctx *ctx, ref_t parent, struct order **out, size_t *out_count)
{
    return db_all(ctx,
                  "SELECT " ORDER_COLUMNS
                  " FROM order_head WHERE parent_id = $1 AND parent_id > 0 ORDER BY id LIMIT 101",
                  ARGS(A(parent)), &order_shape, out, out_count);
}

#define ITEM_SELECT                                                                          \
    "SELECT id, state, version, last_event_id, order_id, sku_id, product_id, instance_id, "  \
    "refund_id, product_version, product_name, category, external_product_id, "              \
    "external_sku_id, region_code, term, specs, config, charge_mode, price_unit, quantity, " \
    "rate_bp, lead_h, unit_price, list_fen, discount_fen, payable_fen, tax_fen FROM order_item "

err_t order_items(struct ctx *ctx, const int64_t *orders, size_t count, struct order_item **out,
                  size_t *out_count)
{
    return db_all(ctx, ITEM_SELECT "WHERE order_id IN ({ids}) ORDER BY id LIMIT 1000",
                  ARGS(A_IDS(orders, count)), &order_item_shape, out, out_count);
}

err_t order_items_by_id(struct ctx *ctx, const int64_t *ids, size_t count, struct order_item **out,
                        size_t *out_count)
{
    return db_all(ctx, ITEM_SELECT "WHERE id IN ({ids}) ORDER BY id LIMIT 1000",
                  ARGS(A_IDS(ids, count)), &order_item_shape, out, out_count);
}

err_t order_instances(struct ctx *ctx, const int64_t *orders, size_t count, struct instance **out,
                      size_t *out_count)
{
    return db_all(ctx,
                  "SELECT " INSTANCE_COLUMNS
                  " FROM order_instance WHERE order_id IN ({ids}) ORDER BY id LIMIT 1000",
                  ARGS(A_IDS(orders, count)), &instance_shape, out, out_count);
}

err_t order_refunds(struct ctx *ctx, const int64_t *orders, size_t count, struct refund **out,
                    size_t *out_count)
{
    return db_all(
        ctx,
        "SELECT id, state, version, last_event_id, item_id, order_id, parent_id, buyer_org_id, "
        "amount_fen, reason, created_at, done_at FROM order_refund WHERE order_id IN ({ids}) "
        "ORDER BY id LIMIT 1000",
        ARGS(A_IDS(orders, count)), &refund_shape, out, out_count);
}

err_t order_payments(struct ctx *ctx, ref_t parent, struct payment **out, size_t *out_count)
{
    return db_all(
        ctx,
        "SELECT id, state, version, last_event_id, order_id, buyer_org_id, user_id, amount_fen, "
        "channel, paid_at, created_at FROM order_payment WHERE order_id = $1 ORDER BY id LIMIT 100",
        ARGS(A(parent)), &payment_shape, out, out_count);
}

err_t order_instance(struct ctx *ctx, ref_t id, struct instance *out)
{
    return db_one(ctx, "SELECT " INSTANCE_COLUMNS " FROM order_instance WHERE id = $1", ARGS(A(id)),
                  &instance_shape, out);
}

err_t order_services(struct ctx *ctx, ref_t org, int32_t state, ref_t before, int limit,
                     struct instance **out, size_t *out_count)
{
    return db_all(
        ctx,
        "SELECT " INSTANCE_COLUMNS " FROM order_instance WHERE id IN (SELECT instance_id FROM "
        "order_service WHERE org_id = $1 AND instance_id < $2) "
        "AND (CAST($3 AS BIGINT) = 0 OR state = CAST($3 AS BIGINT)) ORDER BY id DESC LIMIT $4",
        ARGS(A(org), A(before.value ? before.value : INT64_MAX), A(state), A((int64_t)limit)),
        &instance_shape, out, out_count);
}

/* ---- lists ---- */
static err_t order_list_of_all(struct ctx *ctx, const struct order_filter *f, int64_t from,
                               int64_t to, str_t like, struct order **out, size_t *out_count)
{
    return db_all(ctx,
                  "SELECT " ORDER_COLUMNS
                  " FROM order_head WHERE kind = 1 AND id < $1 AND id >= $2 "
                  "AND (CAST($3 AS BIGINT) = 0 OR state = CAST($3 AS BIGINT)) "
                  "AND ($4 = '' OR lower(title) LIKE $4) ORDER BY id DESC LIMIT $5",
                  ARGS(A(to), A(from), A(f->state), A(like), A((int64_t)f->limit)), &order_shape,
                  out, out_count);
}

static err_t order_list_of_org(struct ctx *ctx, const struct order_filter *f, int64_t from,
                               int64_t to, str_t like, struct order **out, size_t *out_count)
{
    return db_all(ctx,
                  "SELECT " ORDER_COLUMNS
                  " FROM order_head WHERE id IN (SELECT order_id FROM order_of_org "
                  "WHERE org_id = $1 AND order_id < $2 AND order_id >= $3) "
                  "AND (CAST($4 AS BIGINT) = 0 OR state = CAST($4 AS BIGINT)) "
                  "AND ($5 = '' OR lower(title) LIKE $5) ORDER BY id DESC LIMIT $6",
                  ARGS(A(f->org), A(to), A(from), A(f->state), A(like), A((int64_t)f->limit)),
                  &order_shape, out, out_count);
}

/* `%text%` in lower case, with the wildcards of the user's own text taken out. */
static str_t like_pattern(struct ctx *ctx, str_t q)
{
    struct buf buf;
    buf_init(&buf, ctx->arena, 1024);
    buf_putc(&buf, '%');
    for (size_t i = 0; i < q.len && i < 300; i++) {
        char c = q.data[i];
        if (c != '%' && c != '_')
            buf_putc(&buf, c >= 'A' && c <= 'Z' ? (char)(c + 32) : c);
    }
    buf_putc(&buf, '%');
    return buf_str(&buf);
}

err_t order_list(struct ctx *ctx, const struct order_filter *f, struct order **out,
                 size_t *out_count)
{
    int64_t to = f->before.value ? f->before.value : INT64_MAX;
    int64_t from = f->created_gte.ms > 0 ? id_floor(f->created_gte).value : 0;
    str_t like = STR("");
    ref_t first, last;
    if (order_no_read(f->q, &first, &last)) {
        from = first.value > from ? first.value : from;
        to = last.value + 1 < to ? last.value + 1 : to;
    } else if (ref_read(f->q, "ord", &first)) {
        from = first.value > from ? first.value : from;
        to = first.value + 1 < to ? first.value + 1 : to;
    } else if (f->q.len > 0) {
        like = like_pattern(ctx, f->q);
    }
    if (f->org.value)
        return order_list_of_org(ctx, f, from, to, like, out, out_count);
    return order_list_of_all(ctx, f, from, to, like, out, out_count);
}

/* ---- order numbers ---- */
static int mod97(str_t digits)
{
    int rest = 0;
    for (size_t i = 0; i < digits.len; i++)
        rest = (rest * 10 + (digits.data[i] - '0')) % 97;
    return rest;
}

str_t order_no(struct arena *arena, ref_t order_id)
{
    struct shanghai at = utc_shanghai(id_time(order_id));
    int instance = (int)(order_id.value >> 16) & 63, counter = (int)(order_id.value & 0xFFFF);
    str_t body = str_printf(arena, "%04d%02d%02d%08" PRId64 "%02d%05d", at.year, at.month, at.day,
                            at.ms_of_day, instance, counter);
    str_t open = str_printf(arena, STR_FMT "00", STR_ARG(body));
    return str_printf(arena, STR_FMT "%02d", STR_ARG(body), 98 - mod97(open));
}

static bool digits_at(str_t text, size_t from, size_t count, int64_t max, int64_t *out)
{
    int64_t value = 0;
    for (size_t i = from; i < from + count; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (text.data[i] - '0');
    }
    *out = value;
    return value <= max;
}

bool order_no_read(str_t text, ref_t *out_first, ref_t *out_last)
{
    int64_t year, month, day, ms, instance, counter, check;
    if (text.len != 25 || !digits_at(text, 0, 4, 2999, &year) ||
        !digits_at(text, 4, 2, 12, &month) || !digits_at(text, 6, 2, 31, &day) ||
        !digits_at(text, 8, 8, MS_DAY - 1, &ms) || !digits_at(text, 16, 2, 63, &instance) ||
        !digits_at(text, 18, 5, 65535, &counter) || !digits_at(text, 23, 2, 99, &check) ||
        mod97(text) != 1 || month < 1 || day < 1 || year < 2020)
        return false;
    utc_t at = utc_add(utc_of_shanghai((int)year, (int)month, (int)day), ms);
    struct shanghai day_of = utc_shanghai(at);
    if (day_of.month != month || day_of.day != day)
        return false; /* no such day, such as 31 February */
    *out_first = *out_last = (ref_t){id_floor(at).value | (instance << 16) | counter};
    return true;
}

/* ---- the fold of a parent ---- */
static bool any_is(const struct order *children, size_t count, int state)
{
    for (size_t i = 0; i < count; i++)
        if (children[i].m.state == state)
            return true;
    return false;
}

int order_fold(const struct order *children, size_t count)
{
    ENSURE(count > 0);
    if (any_is(children, count, ORDER_HELD))
        return ORDER_HELD;
    if (any_is(children, count, ORDER_PENDING_PAYMENT))
        return ORDER_PENDING_PAYMENT;
    bool same = true;
    for (size_t i = 1; i < count; i++)
        same = same && children[i].m.state == children[0].m.state;
    if (same && children[0].m.state != ORDER_CANCELLING)
        return children[0].m.state;
    if (any_is(children, count, ORDER_ACCEPTING) || any_is(children, count, ORDER_PROVISIONING) ||
        any_is(children, count, ORDER_CANCELLING))
        return ORDER_PROVISIONING;
    return ORDER_PARTIALLY_COMPLETED;
}

err_t order_fold_parent(struct ctx *ctx, struct order_whole *whole, ref_t event_id)
{
    int state = order_fold(whole->children, whole->child_count);
    if (state == whole->parent.m.state)
        return OK;
    return fsm_fire(ctx, &order_parent_fsm, &whole->parent.m, state, event_id);
}

err_t order_whole_load(struct ctx *ctx, ref_t parent, struct order_whole *out)
{
    struct order_whole whole = {0};
    TRY(db_one(ctx, "SELECT " ORDER_COLUMNS " FROM order_head WHERE id = $1 {for_update}",
               ARGS(A(parent)), &order_shape, &whole.parent));
    TRY(order_children(ctx, parent, &whole.children, &whole.child_count));
    *out = whole;
    return OK;
}

struct order *order_whole_child(struct order_whole *whole, ref_t child)
{
    for (size_t i = 0; i < whole->child_count; i++)
        if (ref_is(whole->children[i].m.id, child))
            return &whole->children[i];
    return NULL;
}

static void order_fact_audience(struct fact *fact, ref_t org)
{
    for (int i = 0; i < fact->audience_count; i++)
        if (ref_is(fact->audience[i], org))
            return;
    ENSURE(fact->audience_count < FACT_AUDIENCE_MAX);
    fact->audience[fact->audience_count++] = org;
}

void order_fact(struct fact *fact, int type, const struct order *object, const struct order *parent)
{
    memset(fact, 0, sizeof(*fact));
    fact->type = type;
    fact->object_prefix = "ord";
    fact->object = object->m.id;
    fact->root = parent->m.id;
    fact->owner_org = parent->buyer_org_id;
    order_fact_audience(fact, parent->buyer_org_id);
    if (object->provider_org_id.value)
        order_fact_audience(fact, object->provider_org_id);
}

static void write_item(struct jw *w, const struct order_item *item)
{
    jw_object(w);
    jw_put_ref(w, "item_id", "itm", item->m.id);
    jw_put_ref(w, "instance_id", "ins", item->instance_id);
    jw_put_ref(w, "sku_id", "sku", item->sku_id);
    jw_put_ref(w, "product_id", "prd", item->product_id);
    jw_put_int(w, "product_version", item->product_version);
    jw_put_text(w, "product_name", item->product_name);
    jw_put_int(w, "quantity", item->quantity);
    jw_key(w, "unit_price");
    jw_price(w, item->unit_price);
    jw_put_int(w, "payable_fen", item->payable.fen);
    jw_end_object(w);
}

void order_write_content(struct ctx *ctx, struct jw *w, const struct order_whole *whole,
                         const struct order_item *items, size_t item_count)
{
    const struct order *parent = &whole->parent;
    jw_put_ref(w, "order_id", "ord", parent->m.id);
    jw_put_text(w, "order_no", order_no(ctx->arena, parent->m.id));
    jw_put_ref(w, "buyer_org_id", "org", parent->buyer_org_id);
    jw_put_int(w, "payable_fen", parent->payable.fen);
    jw_put_text(w, "state", str_of(names_of(&order_state_names, parent->m.state)));
    jw_key(w, "children");
    jw_array(w);
    for (size_t i = 0; i < whole->child_count; i++) {
        const struct order *child = &whole->children[i];
        jw_object(w);
        jw_put_ref(w, "order_id", "ord", child->m.id);
        jw_put_ref(w, "store_id", "sto", child->store_id);
        jw_put_int(w, "payable_fen", child->payable.fen);
        jw_key(w, "items");
        jw_array(w);
        for (size_t k = 0; k < item_count; k++)
            if (ref_is(items[k].order_id, child->m.id))
                write_item(w, &items[k]);
        jw_end_array(w);
        jw_end_object(w);
    }
    jw_end_array(w);
}
