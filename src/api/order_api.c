/* SPDX-License-Identifier: Apache-2.0 */
/* Buying and what became of it, for people: cart, orders, payment, cancel, services. */
#include <inttypes.h>
#include <string.h>

#include "api/api.h"
#include "catalog/catalog.h"
#include "order/order.h"

/* ---- one order whole ---- */
struct view {
    struct order parent;
    struct order *children;
    struct order_item *items;
    struct instance *instances;
    struct refund *refunds;
    struct payment *payments;
    struct store *stores;
    struct job *jobs; /* the newest delivery of each child, same index */
    bool *job_found;
    size_t child_count, item_count, instance_count, refund_count, payment_count, store_count;
};

static err_t view_load(struct ctx *ctx, const struct order *parent, struct view *v)
{
    v->parent = *parent;
    TRY(order_children(ctx, parent->m.id, &v->children, &v->child_count));
    int64_t *ids = NEW_ARRAY(ctx, int64_t, v->child_count + 1);
    int64_t *stores = NEW_ARRAY(ctx, int64_t, v->child_count + 1);
    v->jobs = NEW_ARRAY(ctx, struct job, v->child_count + 1);
    v->job_found = NEW_ARRAY(ctx, bool, v->child_count + 1);
    for (size_t i = 0; i < v->child_count; i++) {
        ids[i] = v->children[i].m.id.value;
        stores[i] = v->children[i].store_id.value;
    }
    TRY(job_find_many(ctx, JOB_ORDER_DELIVERY, ids, v->child_count, v->jobs, v->job_found));
    TRY(order_items(ctx, ids, v->child_count, &v->items, &v->item_count));
    TRY(order_instances(ctx, ids, v->child_count, &v->instances, &v->instance_count));
    TRY(order_refunds(ctx, ids, v->child_count, &v->refunds, &v->refund_count));
    TRY(order_payments(ctx, parent->m.id, &v->payments, &v->payment_count));
    return store_find_many(ctx, stores, v->child_count, &v->stores, &v->store_count);
}

static void write_refund(struct jw *w, const struct view *v, const struct order_item *item)
{
    jw_key(w, "refund");
    for (size_t i = 0; i < v->refund_count; i++) {
        const struct refund *refund = &v->refunds[i];
        if (!ref_is(refund->item_id, item->m.id))
            continue;
        jw_object(w);
        jw_put_ref(w, "refund_id", "ref", refund->m.id);
        jw_put_text(w, "state", str_of(names_of(&refund_state_names, refund->m.state)));
        jw_put_int(w, "amount_fen", refund->amount.fen);
        jw_put_text(w, "reason", str_of(names_of(&refund_reason_names, refund->reason)));
        jw_put_utc(w, "done_at", refund->done_at);
        jw_end_object(w);
        return;
    }
    jw_null(w);
}

static void write_item(struct jw *w, const struct view *v, const struct order_item *item)
{
    const struct instance *instance = NULL;
    for (size_t i = 0; i < v->instance_count; i++)
        if (ref_is(v->instances[i].item_id, item->m.id))
            instance = &v->instances[i];
    jw_object(w);
    jw_put_ref(w, "item_id", "itm", item->m.id);
    jw_put_text(w, "state", str_of(names_of(&item_state_names, item->m.state)));
    jw_put_ref(w, "product_id", "prd", item->product_id);
    jw_put_int(w, "product_version", item->product_version);
    jw_put_text(w, "product_name", item->product_name);
    jw_put_ref(w, "sku_id", "sku", item->sku_id);
    jw_put_text(w, "charge_mode", str_of(names_of(&charge_mode_names, item->charge_mode)));
    jw_put_text_or_null(w, "term", item->term);
    jw_put_text(w, "region_code", item->region_code);
    jw_put_int(w, "quantity", item->quantity);
    jw_key(w, "unit_price");
    jw_price(w, item->unit_price);
    jw_put_text(w, "price_unit", str_of(names_of(&price_unit_names, item->price_unit)));
    jw_put_int(w, "list_fen", item->list.fen);
    jw_put_int(w, "discount_fen", item->discount.fen);
    jw_put_int(w, "payable_fen", item->payable.fen);
    jw_put_int(w, "rate_bp", item->rate_bp);
    jw_put_int(w, "tax_fen", item->tax.fen);
    jw_key(w, "specs");
    jw_raw(w, item->specs.len ? item->specs : STR("[]"));
    jw_put_ref(w, "instance_id", "ins", item->instance_id);
    jw_put_text(w, "instance_state",
                str_of(instance ? names_of(&instance_state_names, instance->m.state) : ""));
    jw_put_text_or_null(w, "error", instance ? instance->error : STR(""));
    write_refund(w, v, item);
    jw_end_object(w);
}

static const char *sync_state(const struct order *child, const struct job *job, bool found)
{
    if (!found)
        return child->acknowledged_at.ms ? "delivered" : "none";
    if (job->state == JOB_DEAD)
        return "dead";
    if (job->state == JOB_DONE)
        return "delivered";
    return job->attempts > 0 ? "retrying" : "pending";
}

static void write_sync(struct jw *w, const struct order *child, const struct job *job, bool found)
{
    jw_key(w, "sync");
    jw_object(w);
    jw_put_text(w, "state", str_of(sync_state(child, job, found)));
    jw_put_int(w, "attempts", found ? job->attempts : 0);
    jw_put_text_or_null(w, "last_error", found ? job->last_error : STR(""));
    jw_put_utc(w, "next_at", found && job->state == JOB_PENDING ? job->due_at : (utc_t){0});
    jw_put_utc(w, "acknowledged_at", child->acknowledged_at);
    jw_end_object(w);
}

static void write_money(struct jw *w, const struct order *order)
{
    jw_put_int(w, "list_fen", order->list.fen);
    jw_put_int(w, "discount_fen", order->discount.fen);
    jw_put_int(w, "payable_fen", order->payable.fen);
    jw_put_int(w, "tax_fen", order->tax.fen);
    jw_put_int(w, "paid_fen", order->paid.fen);
    jw_put_int(w, "refunded_fen", order->refunded.fen);
}

static void write_head(struct ctx *ctx, struct jw *w, const struct order *order)
{
    jw_put_ref(w, "order_id", "ord", order->m.id);
    jw_put_text(w, "order_no", order_no(ctx->arena, order->m.id));
    jw_put_text(w, "kind", order->kind == ORDER_PARENT ? STR("parent") : STR("child"));
    jw_put_text(w, "state", str_of(names_of(&order_state_names, order->m.state)));
    jw_put_int(w, "version", order->m.version);
    jw_put_text(w, "title", order->title);
    write_money(w, order);
    jw_put_utc(w, "created_at", order->created_at);
}

static void write_child(struct ctx *ctx, struct jw *w, const struct view *v, size_t index)
{
    const struct order *child = &v->children[index];
    jw_object(w);
    write_head(ctx, w, child);
    jw_put_ref(w, "store_id", "sto", child->store_id);
    jw_put_text(w, "store_name", api_store_name(v->stores, v->store_count, child->store_id));
    jw_put_text_or_null(w, "external_order_id", child->external_order_id);
    write_sync(w, child, &v->jobs[index], v->job_found[index]);
    jw_key(w, "items");
    jw_array(w);
    for (size_t i = 0; i < v->item_count; i++)
        if (ref_is(v->items[i].order_id, child->m.id))
            write_item(w, v, &v->items[i]);
    jw_end_array(w);
    jw_end_object(w);
}

static void write_payments(struct jw *w, const struct view *v)
{
    jw_key(w, "payments");
    jw_array(w);
    for (size_t i = 0; i < v->payment_count; i++) {
        const struct payment *payment = &v->payments[i];
        jw_object(w);
        jw_put_ref(w, "payment_id", "pay", payment->m.id);
        jw_put_int(w, "amount_fen", payment->amount.fen);
        jw_put_text(w, "channel", STR("balance"));
        jw_put_text(w, "state", str_of(names_of(&payment_state_names, payment->m.state)));
        jw_put_utc(w, "paid_at", payment->paid_at);
        jw_put_ref(w, "event_id", "evt", payment->m.last_event_id);
        jw_end_object(w);
    }
    jw_end_array(w);
}

/* What the buyer may do now; the page shows just these. */
static void write_actions(struct ctx *ctx, struct jw *w, const struct view *v)
{
    bool cancel = v->parent.m.state == ORDER_PENDING_PAYMENT;
    for (size_t i = 0; i < v->child_count && !cancel; i++) {
        int state = v->children[i].m.state;
        bool live = state == ORDER_ACCEPTING || state == ORDER_PROVISIONING;
        for (size_t k = 0; live && k < v->item_count; k++)
            cancel =
                cancel ||
                (ref_is(v->items[k].order_id, v->children[i].m.id) &&
                 (v->items[k].m.state == ITEM_PENDING || v->items[k].m.state == ITEM_PROVISIONING));
    }
    jw_key(w, "actions");
    jw_array(w);
    if (v->parent.m.state == ORDER_PENDING_PAYMENT &&
        permission_allowed(PERM_ORDER_PAY, &ctx->actor))
        jw_text(w, STR("pay"));
    if (cancel && permission_allowed(PERM_ORDER_CANCEL, &ctx->actor))
        jw_text(w, STR("cancel"));
    jw_end_array(w);
}

static void write_order(struct ctx *ctx, struct reply *reply, const struct view *v)
{
    struct jw *w = &reply->json;
    const struct order *parent = &v->parent;
    jw_object(w);
    write_head(ctx, w, parent);
    jw_put_ref(w, "buyer_org_id", "org", parent->buyer_org_id);
    jw_put_utc(w, "pay_deadline", parent->pay_deadline);
    jw_put_utc(w, "paid_at", parent->paid_at);
    jw_put_text(w, "cost_centre", parent->cost_centre);
    jw_put_text(w, "purchase_order_no", parent->purchase_order_no);
    jw_put_text(w, "note", parent->note);
    jw_put_ref(w, "last_event_id", "evt", parent->m.last_event_id);
    jw_key(w, "children");
    jw_array(w);
    for (size_t i = 0; i < v->child_count; i++)
        write_child(ctx, w, v, i);
    jw_end_array(w);
    write_payments(w, v);
    write_actions(ctx, w, v);
    jw_end_object(w);
    reply_etag(ctx, reply, parent->m.version);
}

static err_t reply_order(struct ctx *ctx, struct reply *reply, const struct order *parent)
{
    struct view v = {0};
    TRY(view_load(ctx, parent, &v));
    write_order(ctx, reply, &v);
    return OK;
}

/* What was made a moment ago need not be read again. */
static void reply_made(struct ctx *ctx, struct reply *reply, struct order_made *made)
{
    struct view v = {.parent = made->parent,
                     .children = made->children,
                     .child_count = made->child_count,
                     .items = made->items,
                     .item_count = made->item_count,
                     .instances = made->instances,
                     .instance_count = made->item_count,
                     .payments = &made->payment,
                     .payment_count = made->payment.m.id.value != 0};
    v.jobs = NEW_ARRAY(ctx, struct job, v.child_count);
    v.job_found = NEW_ARRAY(ctx, bool, v.child_count);
    v.stores = NEW_ARRAY(ctx, struct store, v.child_count);
    v.store_count = v.child_count;
    for (size_t i = 0; i < v.child_count; i++) {
        v.stores[i] = *made->stores[i];
        v.job_found[i] = v.children[i].m.state == ORDER_ACCEPTING;
        v.jobs[i] = (struct job){.state = JOB_PENDING, .due_at = ctx->now};
    }
    write_order(ctx, reply, &v);
}

/* A created or moved order is shown from the rows as they now are. */
static err_t reply_moved(struct ctx *ctx, struct reply *reply, ref_t parent_id)
{
    struct order parent = {0};
    TRY(order_load(ctx, parent_id, &parent));
    return reply_order(ctx, reply, &parent);
}

/* ---- handlers: orders ---- */
static err_t post_order(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    const struct order_submit *in = request->input;
    struct order_made made;
    /* Buying and paying are two rights; a balance is spent only with the second. */
    if (in->pay_from_balance && !permission_allowed(PERM_ORDER_PAY, &ctx->actor))
        return refuse(ctx, ERR_DENIED, "permission_denied", "order.pay is needed to pay");
    TRY(order_submit_whole(ctx, request->input, &made));
    reply->status = 201;
    str_t id = ref_text(ctx->arena, "ord", made.parent.m.id);
    reply_header(reply, "Location", str_printf(ctx->arena, "/api/v1/orders/" STR_FMT, STR_ARG(id)));
    reply_made(ctx, reply, &made);
    return OK;
}

struct pay_body {
    money_t expected_payable_fen;
};
static const struct field pay_fields[] = {
    FIELD(struct pay_body, expected_payable_fen, 0, MONEY_MAX_FEN, FIELD_REQUIRED),
};
static const struct shape pay_shape = SHAPE(struct pay_body, pay_fields);

static err_t post_pay(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    const struct pay_body *body = request->input;
    struct order parent = {0};
    ref_t id;
    TRY(request_ref(ctx, request, 0, "ord", &id));
    TRY(order_pay(ctx, id, body->expected_payable_fen, &parent));
    return reply_moved(ctx, reply, id);
}

struct cancel_body {
    str_t *item_ids;
    size_t item_count;
    str_t reason;
};
static const struct field cancel_fields[] = {
    {.name = "item_ids",
     .type = FT_TEXTS,
     .offset = offsetof(struct cancel_body, item_ids),
     .count_offset = offsetof(struct cancel_body, item_count),
     .min = 0,
     .max = 100},
    FIELD(struct cancel_body, reason, 0, 200, 0),
};
static const struct shape cancel_shape = SHAPE(struct cancel_body, cancel_fields);

static err_t post_cancel(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    const struct cancel_body *body = request->input;
    struct order_cancel cancel = {.item_count = body->item_count, .reason = body->reason};
    TRY(request_ref(ctx, request, 0, "ord", &cancel.order_id));
    ref_t *items = NEW_ARRAY(ctx, ref_t, body->item_count + 1);
    for (size_t i = 0; i < body->item_count; i++)
        if (!ref_read(body->item_ids[i], "itm", &items[i]))
            return refuse_field(ctx, str_printf(ctx->arena, "/item_ids/%zu", i), "bad_format",
                                "not an item id");
    cancel.items = items;
    struct order parent = {0};
    TRY(order_cancel(ctx, &cancel, &parent));
    reply->status = parent.m.state == ORDER_CLOSED ? 200 : 202;
    return reply_moved(ctx, reply, parent.m.id);
}

static err_t get_order(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct order order = {0};
    ref_t id;
    TRY(request_ref(ctx, request, 0, "ord", &id));
    TRY(order_load_own(ctx, id, &order));
    if (order.kind == ORDER_CHILD) /* a child's link shows the whole purchase */
        TRY(order_load_own(ctx, order.parent_id, &order));
    return reply_order(ctx, reply, &order);
}

static err_t get_timeline(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct order order = {0};
    ref_t id;
    int64_t limit, before = 0, tie;
    TRY(request_known_query(ctx, request, "limit cursor"));
    TRY(request_ref(ctx, request, 0, "ord", &id));
    TRY(request_query_int(ctx, request, "limit", 1, 200, 50, &limit));
    TRY(order_load_own(ctx, id, &order));
    ref_t root = order.kind == ORDER_PARENT ? order.m.id : order.parent_id;
    str_t cursor = request_query(request, "cursor");
    if (cursor.len)
        TRY(cursor_read(ctx, cursor, (uint64_t)root.value, &before, &tie));
    struct event_page page = {0};
    TRY(event_timeline(ctx, root, ctx->actor.org_id, before, (int)limit, &page));
    return api_reply_events(ctx, reply, &page, (uint64_t)root.value);
}

static err_t read_filter(struct ctx *ctx, const struct request *request, struct order_filter *f,
                         uint64_t *out_hash)
{
    int64_t limit, tie;
    str_t state = request_query(request, "state"), since = request_query(request, "created_gte");
    TRY(request_known_query(ctx, request, "state q created_gte limit cursor"));
    TRY(request_query_int(ctx, request, "limit", 1, 200, 50, &limit));
    f->limit = (int)limit;
    f->q = request_query(request, "q");
    if (f->q.len > 100)
        return refuse_field(ctx, STR("/query/q"), "too_long", "at most 100 bytes");
    if (state.len && !names_find(&order_state_names, state, &f->state))
        return refuse_field(ctx, STR("/query/state"), "not_in_list", "no such state");
    if (since.len && !utc_read(since, &f->created_gte))
        return refuse_field(ctx, STR("/query/created_gte"), "bad_format", "RFC 3339 expected");
    *out_hash = str_hash(str_printf(ctx->arena, "%d|" STR_FMT "|%" PRId64 "|%" PRId64, f->state,
                                    STR_ARG(f->q), f->created_gte.ms, f->org.value));
    str_t cursor = request_query(request, "cursor");
    if (cursor.len)
        TRY(cursor_read(ctx, cursor, *out_hash, &f->before.value, &tie));
    return OK;
}

static void write_summary(struct ctx *ctx, struct jw *w, const struct order *order)
{
    jw_object(w);
    write_head(ctx, w, order);
    jw_put_int(w, "item_count", order->item_count);
    jw_put_utc(w, "pay_deadline", order->pay_deadline);
    jw_put_ref(w, "buyer_org_id", "org", order->buyer_org_id);
    jw_end_object(w);
}

static err_t reply_list(struct ctx *ctx, struct reply *reply, struct order_filter *f, uint64_t hash)
{
    struct order *orders;
    size_t count;
    int limit = f->limit;
    f->limit = limit + 1;
    TRY(order_list(ctx, f, &orders, &count));
    bool more = count > (size_t)limit;
    if (more)
        count = (size_t)limit;
    struct jw *w = &reply->json;
    jw_object(w);
    jw_key(w, "data");
    jw_array(w);
    for (size_t i = 0; i < count; i++)
        write_summary(ctx, w, &orders[i]);
    jw_end_array(w);
    jw_key(w, "next_cursor");
    if (more)
        jw_text(w, cursor_make(ctx, orders[count - 1].m.id.value, 0, hash));
    else
        jw_null(w);
    jw_end_object(w);
    return OK;
}

static err_t get_orders(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct order_filter f = {.org = ctx->actor.org_id};
    uint64_t hash;
    TRY(read_filter(ctx, request, &f, &hash));
    return reply_list(ctx, reply, &f, hash);
}

static err_t get_all_orders(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct order_filter f = {0};
    uint64_t hash;
    TRY(read_filter(ctx, request, &f, &hash));
    return reply_list(ctx, reply, &f, hash);
}

static const struct route routes[] = {
    {"POST", "/api/v1/orders", PERM_ORDER_CREATE, TX_WRITE, &order_submit_shape, post_order,
     ROUTE_KEY_REQUIRED},
    {"GET", "/api/v1/orders", PERM_ORDER_READ, TX_READ, NULL, get_orders, 0},
    {"GET", "/api/v1/orders/{id}", PERM_ORDER_READ, TX_READ, NULL, get_order, 0},
    {"GET", "/api/v1/orders/{id}/timeline", PERM_ORDER_READ, TX_READ, NULL, get_timeline, 0},
    {"POST", "/api/v1/orders/{id}/pay", PERM_ORDER_PAY, TX_WRITE, &pay_shape, post_pay,
     ROUTE_KEY_REQUIRED},
    {"POST", "/api/v1/orders/{id}/cancel", PERM_ORDER_CANCEL, TX_WRITE, &cancel_shape, post_cancel,
     ROUTE_KEY_REQUIRED},
};
const struct route_table order_routes = ROUTES(routes);

static const struct route admin_routes[] = {
    {"GET", "/api/v1/admin/orders", PERM_ADMIN_READ, TX_READ, NULL, get_all_orders, 0},
};
const struct route_table admin_orders_routes = ROUTES(admin_routes);
