/* SPDX-License-Identifier: Apache-2.0 */
/* Orders: a parent with one child per store, items, the instances they become, payments from
 * balance, refunds before delivery, and what is agreed with the provider's scheduling platform.
 * State tables: COMMERCE in docs/states.md. Money, states, facts and deliveries of one step are one
 * transaction. */
#ifndef SUANHE_ORDER_H
#define SUANHE_ORDER_H

#include "catalog/catalog.h"
#include "event/event.h"
#include "job/job.h"
#include "ledger/ledger.h"

enum order_kind { ORDER_PARENT = 1, ORDER_CHILD = 2 };
enum order_state {
    ORDER_DRAFT = 1,
    ORDER_PENDING_PAYMENT,
    ORDER_ACCEPTING,
    ORDER_PROVISIONING,
    ORDER_CANCELLING,
    ORDER_HELD,
    ORDER_CLOSED,
    ORDER_REJECTED,
    ORDER_CANCELLED,
    ORDER_FAILED,
    ORDER_COMPLETED,
    ORDER_PARTIALLY_COMPLETED,
    ORDER_STATE_COUNT,
};
enum order_event {
    ORDER_SUBMIT = 1,
    ORDER_SUBMIT_FREE,
    ORDER_DISCARD,
    ORDER_PAY,
    ORDER_EXPIRE,
    ORDER_ACK,
    ORDER_NACK,
    ORDER_CANCEL,
    ORDER_BACK_TO_ACCEPTING,
    ORDER_BACK_TO_PROVISIONING,
    ORDER_ALL_ACTIVE,
    ORDER_SOME_ACTIVE,
    ORDER_NONE_ACTIVE,
    ORDER_ALL_CANCELLED,
    ORDER_HOLD,
    ORDER_RESUME_PAYMENT,
    ORDER_RESUME_ACCEPTING,
    ORDER_RESUME_PROVISIONING,
    ORDER_RESUME_CANCELLING,
    ORDER_EVENT_COUNT,
};
enum item_state {
    ITEM_PENDING = 1,
    ITEM_PROVISIONING,
    ITEM_ACTIVE,
    ITEM_FAILED,
    ITEM_CANCELLING,
    ITEM_CANCELLED
};
enum item_event {
    ITEM_PROVISION = 1,
    ITEM_ACTIVATE,
    ITEM_FAIL,
    ITEM_CANCEL,
    ITEM_CANCEL_DONE,
    ITEM_BACK_TO_PENDING,
    ITEM_BACK_TO_PROVISIONING,
    ITEM_DROP,
};
enum instance_state {
    INSTANCE_CREATING = 1,
    INSTANCE_ACTIVE,
    INSTANCE_FAILED,
    INSTANCE_GRACE,
    INSTANCE_FROZEN,
    INSTANCE_SUSPENDED,
    INSTANCE_CHANGING,
    INSTANCE_RELEASING,
    INSTANCE_RELEASED,
};
enum instance_event {
    INSTANCE_ACTIVATE = 1,
    INSTANCE_FAIL,
    INSTANCE_DROP,
    INSTANCE_EXPIRE,
    INSTANCE_FREEZE,
    INSTANCE_RENEW,
    INSTANCE_SUSPEND,
    INSTANCE_RESUME,
    INSTANCE_CHANGE,
    INSTANCE_CHANGED,
    INSTANCE_RELEASE,
    INSTANCE_RELEASE_DONE,
};
enum payment_state {
    PAYMENT_CREATED = 1,
    PAYMENT_PROCESSING,
    PAYMENT_SUCCEEDED,
    PAYMENT_FAILED,
    PAYMENT_CLOSED,
    PAYMENT_UNKNOWN
};
enum refund_state {
    REFUND_REQUESTED = 1,
    REFUND_QUOTING,
    REFUND_QUOTED,
    REFUND_APPROVING,
    REFUND_APPROVED,
    REFUND_REJECTED,
    REFUND_CANCELLED,
    REFUND_GATED,
    REFUND_RELEASING,
    REFUND_PROCESSING,
    REFUND_SUCCEEDED,
    REFUND_FAILED,
    REFUND_MANUAL,
};
enum refund_event {
    REFUND_QUOTE = 1,
    REFUND_QUOTE_DONE,
    REFUND_ASK,
    REFUND_APPROVE,
    REFUND_REJECT,
    REFUND_CANCEL,
    REFUND_REQUOTE,
    REFUND_GATE,
    REFUND_RELEASE,
    REFUND_PAY_OUT,
    REFUND_DONE,
    REFUND_FAIL,
    REFUND_GIVE_UP,
};
enum refund_reason {
    REFUND_REASON_CANCELLED = 1,
    REFUND_REASON_REJECTED,
    REFUND_REASON_FAILED,
    REFUND_REASON_SILENCE
};
extern const struct fsm order_fsm, order_parent_fsm, item_fsm, instance_fsm, payment_fsm,
    refund_fsm;
extern const struct names order_state_names, item_state_names, instance_state_names,
    payment_state_names, refund_state_names, refund_reason_names;

struct order {
    struct moving m;
    int32_t kind;
    ref_t parent_id; /* none for a parent */
    ref_t buyer_org_id, buyer_user_id, store_id, provider_org_id;
    money_t list, discount, payable, tax, paid, refunded;
    int32_t commission_bp;
    int32_t cancel_from; /* state to go back to when a cancel is refused */
    utc_t pay_deadline, paid_at, acknowledged_at, created_at, updated_at;
    str_t external_order_id, title, cost_centre, purchase_order_no, note;
    int64_t provider_sequence; /* last R17 applied */
    int64_t outbound_sequence; /* last message queued: R16 is 1 */
    int32_t item_count;
};
struct order_item {
    struct moving m;
    ref_t order_id, sku_id, product_id, instance_id, refund_id;
    int64_t product_version;
    str_t product_name, category, external_product_id, external_sku_id, region_code, term, specs,
        config;
    int32_t charge_mode, price_unit, quantity, rate_bp, lead_h;
    price_t unit_price;
    money_t list, discount, payable, tax;
};
struct instance {
    struct moving m;
    ref_t item_id, order_id, parent_id, buyer_org_id, store_id;
    str_t external_instance_id, units, tool_url, error;
    utc_t started_at, expires_at, created_at, updated_at;
};
struct payment {
    struct moving m;
    ref_t order_id, buyer_org_id, user_id;
    money_t amount;
    int32_t channel; /* 1 balance */
    utc_t paid_at, created_at;
};
struct refund {
    struct moving m;
    ref_t item_id, order_id, parent_id, buyer_org_id;
    money_t amount;
    int32_t reason;
    utc_t created_at, done_at;
};

/* 单号: Shanghai date (8), ms of the day (8), instance (2), counter (5), ISO 7064 mod 97-10 (2);
 * found again by key range. */
str_t order_no(struct arena *arena, ref_t order_id);
bool order_no_read(str_t text, ref_t *out_first, ref_t *out_last);

/* ---- buying ---- */
struct order_line {
    ref_t sku_id;
    int32_t quantity;
    str_t config;
};
struct order_submit {
    ref_t quote_id;
    struct order_line *lines;
    size_t line_count;
    money_t expected_payable_fen;
    bool pay_from_balance, from_cart;
    str_t cost_centre, purchase_order_no, note;
};
extern const struct shape order_submit_shape;
/* Creates the parent, one child per store, items and instances, takes the stock, and pays when
 * asked to. Refuses price_changed, out_of_stock, insufficient_funds, …; nothing is changed then. */
err_t order_submit(struct ctx *ctx, const struct order_submit *in, struct order *out_parent);
/* The same; hands back all that was made, as reading it again would show it. */
struct order_made {
    struct order parent;
    struct order *children;
    const struct store **stores; /* of the children, same index */
    struct order_item *items;
    struct instance *instances; /* of the items, same index */
    struct payment payment;     /* without id: none was made */
    size_t child_count, item_count;
};
err_t order_submit_whole(struct ctx *ctx, const struct order_submit *in, struct order_made *out);
err_t order_pay(struct ctx *ctx, ref_t parent, money_t expected, struct order *out);
struct order_cancel {
    ref_t order_id;     /* parent or child */
    const ref_t *items; /* none: all that can be */
    size_t item_count;
    str_t reason;
};
err_t order_cancel(struct ctx *ctx, const struct order_cancel *in, struct order *out_parent);

/* ---- cart: its own table, of a user in an organisation ---- */
struct cart_line {
    ref_t id, sku_id;
    int32_t quantity;
    utc_t updated_at;
};
err_t cart_lines(struct ctx *ctx, struct cart_line **out, size_t *out_count);
err_t cart_set(struct ctx *ctx, ref_t sku,
               int32_t quantity); /* 0 removes; at most 50 lines: `cart_full` */
err_t cart_clear(struct ctx *ctx);

/* ---- reading ---- */
err_t order_load(struct ctx *ctx, ref_t id, struct order *out);
/* Of ctx->actor's organisation, or not found. */
err_t order_load_own(struct ctx *ctx, ref_t id, struct order *out);
err_t order_children(struct ctx *ctx, ref_t parent, struct order **out, size_t *out_count);
err_t order_items(struct ctx *ctx, const int64_t *orders, size_t count, struct order_item **out,
                  size_t *out_count);
/* By their own keys, at most 1000. */
err_t order_items_by_id(struct ctx *ctx, const int64_t *ids, size_t count, struct order_item **out,
                        size_t *out_count);
err_t order_instances(struct ctx *ctx, const int64_t *orders, size_t count, struct instance **out,
                      size_t *out_count);
err_t order_refunds(struct ctx *ctx, const int64_t *orders, size_t count, struct refund **out,
                    size_t *out_count);
err_t order_payments(struct ctx *ctx, ref_t parent, struct payment **out, size_t *out_count);
/* Parents of an organisation (none: all), newest first; state 0: any; q: an order number, an id, or
 * part of a title. */
struct order_filter {
    ref_t org;
    int32_t state;
    str_t q;
    utc_t created_gte;
    ref_t before;
    int limit;
};
err_t order_list(struct ctx *ctx, const struct order_filter *filter, struct order **out,
                 size_t *out_count);
err_t order_services(struct ctx *ctx, ref_t org, int32_t state, ref_t before, int limit,
                     struct instance **out, size_t *out_count);
err_t order_instance(struct ctx *ctx, ref_t id, struct instance *out);

/* ---- with the provider ---- */
enum delivery_type { DELIVERY_ORDER = 1, DELIVERY_CHANGE = 2 };
/* R16 was accepted (201; or 202 with accepted false: known there, taken or not comes by R17, and
 * silence until then still counts). */
err_t order_acknowledged(struct ctx *ctx, ref_t child, str_t external_order_id, bool accepted);
/* R16 was refused: full refund. */
err_t order_rejected(struct ctx *ctx, ref_t child, str_t reason);
/* R8 cancel: done, or refused since already delivered. An answer to another change than the last
 * that was queued changes nothing. */
err_t order_cancel_answered(struct ctx *ctx, ref_t child, str_t change_id, bool done);

struct report_unit {
    str_t external_unit_id, state, tool_url;
};
struct report_error {
    str_t code, message;
};
struct report_item {
    ref_t item_id, instance_id;
    int32_t state; /* enum report_state */
    str_t external_instance_id, tool_url;
    struct report_unit *units;
    size_t unit_count;
    utc_t started_at, expires_at;
    struct report_error error;
};
struct report_ack {
    str_t change_id;
    int32_t result; /* 0 none, 1 done, 2 refused */
};
struct report {
    str_t report_id;
    int64_t provider_sequence;
    struct report_item *items;
    size_t item_count;
    struct report_ack command_ack;
};
extern const struct shape report_shape;
/* R17. digest: SM3 of the raw body; the same report again changes nothing. Refuses order_unknown,
 * sequence_gap (expected), sequence_conflict, illegal_transition. */
err_t order_report(struct ctx *ctx, ref_t child, const struct report *report, const hash_t *digest,
                   struct order *out);

/* ---- timers ---- */
err_t order_pay_timeout(struct ctx *ctx, ref_t parent);
err_t order_silence(struct ctx *ctx, ref_t child);
err_t order_settle_item(struct ctx *ctx, ref_t item);

/* Rows against facts and ledger, both ways; prints what is wrong. */
err_t order_fsck(struct ctx *ctx, struct buf *report);

#endif
