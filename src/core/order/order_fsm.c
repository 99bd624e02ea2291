/* SPDX-License-Identifier: Apache-2.0 */
/* The lives of orders, items, instances, payments and refunds as tables. Pictures in docs/states.md
 * are printed from them. */
#include "order/order.h"

static const char *const order_states[] = {
    [ORDER_DRAFT] = "draft",           [ORDER_PENDING_PAYMENT] = "pending_payment",
    [ORDER_ACCEPTING] = "accepting",   [ORDER_PROVISIONING] = "provisioning",
    [ORDER_CANCELLING] = "cancelling", [ORDER_HELD] = "held",
    [ORDER_CLOSED] = "closed",         [ORDER_REJECTED] = "rejected",
    [ORDER_CANCELLED] = "cancelled",   [ORDER_FAILED] = "failed",
    [ORDER_COMPLETED] = "completed",   [ORDER_PARTIALLY_COMPLETED] = "partially_completed",
};
const struct names order_state_names = NAMES(order_states);

static const char *const order_events[] = {
    [ORDER_SUBMIT] = "submit",
    [ORDER_SUBMIT_FREE] = "submit_free",
    [ORDER_DISCARD] = "discard",
    [ORDER_PAY] = "pay",
    [ORDER_EXPIRE] = "expire",
    [ORDER_ACK] = "ack",
    [ORDER_NACK] = "nack",
    [ORDER_CANCEL] = "cancel",
    [ORDER_BACK_TO_ACCEPTING] = "back_to_accepting",
    [ORDER_BACK_TO_PROVISIONING] = "back_to_provisioning",
    [ORDER_ALL_ACTIVE] = "all_active",
    [ORDER_SOME_ACTIVE] = "some_active",
    [ORDER_NONE_ACTIVE] = "none_active",
    [ORDER_ALL_CANCELLED] = "all_cancelled",
    [ORDER_HOLD] = "hold",
    [ORDER_RESUME_PAYMENT] = "resume_payment",
    [ORDER_RESUME_ACCEPTING] = "resume_accepting",
    [ORDER_RESUME_PROVISIONING] = "resume_provisioning",
    [ORDER_RESUME_CANCELLING] = "resume_cancelling",
};
static const struct names order_event_names = NAMES(order_events);

static const struct fsm_rule order_rules[] = {
    {ORDER_DRAFT, ORDER_SUBMIT, ORDER_PENDING_PAYMENT, NULL},
    {ORDER_DRAFT, ORDER_SUBMIT_FREE, ORDER_ACCEPTING, NULL},
    {ORDER_DRAFT, ORDER_DISCARD, ORDER_CLOSED, NULL},
    {ORDER_PENDING_PAYMENT, ORDER_PAY, ORDER_ACCEPTING, NULL},
    {ORDER_PENDING_PAYMENT, ORDER_CANCEL, ORDER_CLOSED, NULL},
    {ORDER_PENDING_PAYMENT, ORDER_EXPIRE, ORDER_CLOSED, NULL},
    {ORDER_ACCEPTING, ORDER_ACK, ORDER_PROVISIONING, NULL},
    {ORDER_ACCEPTING, ORDER_NACK, ORDER_REJECTED, NULL},
    {ORDER_ACCEPTING, ORDER_CANCEL, ORDER_CANCELLING, NULL},
    {ORDER_PROVISIONING, ORDER_CANCEL, ORDER_CANCELLING, NULL},
    {ORDER_PROVISIONING, ORDER_ALL_ACTIVE, ORDER_COMPLETED, NULL},
    {ORDER_PROVISIONING, ORDER_SOME_ACTIVE, ORDER_PARTIALLY_COMPLETED, NULL},
    {ORDER_PROVISIONING, ORDER_NONE_ACTIVE, ORDER_FAILED, NULL},
    {ORDER_PROVISIONING, ORDER_ALL_CANCELLED, ORDER_CANCELLED, NULL},
    {ORDER_CANCELLING, ORDER_BACK_TO_ACCEPTING, ORDER_ACCEPTING, NULL},
    {ORDER_CANCELLING, ORDER_BACK_TO_PROVISIONING, ORDER_PROVISIONING, NULL},
    {ORDER_CANCELLING, ORDER_ALL_ACTIVE, ORDER_COMPLETED, NULL},
    {ORDER_CANCELLING, ORDER_SOME_ACTIVE, ORDER_PARTIALLY_COMPLETED, NULL},
    {ORDER_CANCELLING, ORDER_NONE_ACTIVE, ORDER_FAILED, NULL},
    {ORDER_CANCELLING, ORDER_ALL_CANCELLED, ORDER_CANCELLED, NULL},
    {ORDER_PENDING_PAYMENT, ORDER_HOLD, ORDER_HELD, NULL},
    {ORDER_ACCEPTING, ORDER_HOLD, ORDER_HELD, NULL},
    {ORDER_PROVISIONING, ORDER_HOLD, ORDER_HELD, NULL},
    {ORDER_CANCELLING, ORDER_HOLD, ORDER_HELD, NULL},
    {ORDER_HELD, ORDER_RESUME_PAYMENT, ORDER_PENDING_PAYMENT, NULL},
    {ORDER_HELD, ORDER_RESUME_ACCEPTING, ORDER_ACCEPTING, NULL},
    {ORDER_HELD, ORDER_RESUME_PROVISIONING, ORDER_PROVISIONING, NULL},
    {ORDER_HELD, ORDER_RESUME_CANCELLING, ORDER_CANCELLING, NULL},
};
#define RULE_COUNT(rules) ((int)(sizeof(rules) / sizeof((rules)[0])))
const struct fsm order_fsm = {
    .name = "order",
    .table = "order_head",
    .states = &order_state_names,
    .events = &order_event_names,
    .rules = order_rules,
    .rule_count = RULE_COUNT(order_rules),
    .initial = ORDER_DRAFT,
};

/* A parent is never cancelling itself: its children are. */
static const char *const parent_states[] = {
    [ORDER_DRAFT] = "draft",
    [ORDER_PENDING_PAYMENT] = "pending_payment",
    [ORDER_ACCEPTING] = "accepting",
    [ORDER_PROVISIONING] = "provisioning",
    [ORDER_HELD] = "held",
    [ORDER_CLOSED] = "closed",
    [ORDER_REJECTED] = "rejected",
    [ORDER_CANCELLED] = "cancelled",
    [ORDER_FAILED] = "failed",
    [ORDER_COMPLETED] = "completed",
    [ORDER_PARTIALLY_COMPLETED] = "partially_completed",
};
static const struct names parent_state_names = NAMES(parent_states);

/* A parent follows its children: its events are named after the state that their fold gives, and
 * every live state may go to any other. It is born as draft or straight in pending_payment or
 * accepting. */
#define FROM(state)                                                                       \
    {state, ORDER_PENDING_PAYMENT, ORDER_PENDING_PAYMENT, NULL},                          \
        {state, ORDER_ACCEPTING, ORDER_ACCEPTING, NULL},                                  \
        {state, ORDER_PROVISIONING, ORDER_PROVISIONING, NULL},                            \
        {state, ORDER_HELD, ORDER_HELD, NULL}, {state, ORDER_CLOSED, ORDER_CLOSED, NULL}, \
        {state, ORDER_REJECTED, ORDER_REJECTED, NULL},                                    \
        {state, ORDER_CANCELLED, ORDER_CANCELLED, NULL},                                  \
        {state, ORDER_FAILED, ORDER_FAILED, NULL},                                        \
        {state, ORDER_COMPLETED, ORDER_COMPLETED, NULL},                                  \
    {                                                                                     \
        state, ORDER_PARTIALLY_COMPLETED, ORDER_PARTIALLY_COMPLETED, NULL                 \
    }
static const struct fsm_rule parent_rules[] = {
    FROM(ORDER_DRAFT), FROM(ORDER_PENDING_PAYMENT), FROM(ORDER_ACCEPTING), FROM(ORDER_PROVISIONING),
    FROM(ORDER_HELD),
};
const struct fsm order_parent_fsm = {
    .name = "parent order",
    .table = "order_head",
    .states = &parent_state_names,
    .events = &parent_state_names,
    .rules = parent_rules,
    .rule_count = RULE_COUNT(parent_rules),
    .initial = ORDER_DRAFT,
};

static const char *const item_states[] = {
    [ITEM_PENDING] = "pending",       [ITEM_PROVISIONING] = "provisioning",
    [ITEM_ACTIVE] = "active",         [ITEM_FAILED] = "failed",
    [ITEM_CANCELLING] = "cancelling", [ITEM_CANCELLED] = "cancelled",
};
const struct names item_state_names = NAMES(item_states);
static const char *const item_events[] = {
    [ITEM_PROVISION] = "provision",
    [ITEM_ACTIVATE] = "activate",
    [ITEM_FAIL] = "fail",
    [ITEM_CANCEL] = "cancel",
    [ITEM_CANCEL_DONE] = "cancel_done",
    [ITEM_BACK_TO_PENDING] = "back_to_pending",
    [ITEM_BACK_TO_PROVISIONING] = "back_to_provisioning",
    [ITEM_DROP] = "drop",
};
static const struct names item_event_names = NAMES(item_events);
static const struct fsm_rule item_rules[] = {
    {ITEM_PENDING, ITEM_PROVISION, ITEM_PROVISIONING, NULL},
    {ITEM_PENDING, ITEM_ACTIVATE, ITEM_ACTIVE, NULL},
    {ITEM_PENDING, ITEM_FAIL, ITEM_FAILED, NULL},
    {ITEM_PENDING, ITEM_CANCEL, ITEM_CANCELLING, NULL},
    {ITEM_PENDING, ITEM_DROP, ITEM_CANCELLED, NULL},
    {ITEM_PROVISIONING, ITEM_ACTIVATE, ITEM_ACTIVE, NULL},
    {ITEM_PROVISIONING, ITEM_FAIL, ITEM_FAILED, NULL},
    {ITEM_PROVISIONING, ITEM_CANCEL, ITEM_CANCELLING, NULL},
    {ITEM_CANCELLING, ITEM_CANCEL_DONE, ITEM_CANCELLED, NULL},
    {ITEM_CANCELLING, ITEM_FAIL, ITEM_FAILED, NULL},
    {ITEM_CANCELLING, ITEM_BACK_TO_PENDING, ITEM_PENDING, NULL},
    {ITEM_CANCELLING, ITEM_BACK_TO_PROVISIONING, ITEM_PROVISIONING, NULL},
};
const struct fsm item_fsm = {
    .name = "order item",
    .table = "order_item",
    .states = &item_state_names,
    .events = &item_event_names,
    .rules = item_rules,
    .rule_count = RULE_COUNT(item_rules),
    .initial = ITEM_PENDING,
};

static const char *const instance_states[] = {
    [INSTANCE_CREATING] = "creating", [INSTANCE_ACTIVE] = "active",
    [INSTANCE_FAILED] = "failed",     [INSTANCE_GRACE] = "grace",
    [INSTANCE_FROZEN] = "frozen",     [INSTANCE_SUSPENDED] = "suspended",
    [INSTANCE_CHANGING] = "changing", [INSTANCE_RELEASING] = "releasing",
    [INSTANCE_RELEASED] = "released",
};
const struct names instance_state_names = NAMES(instance_states);
static const char *const instance_events[] = {
    [INSTANCE_ACTIVATE] = "activate", [INSTANCE_FAIL] = "fail",
    [INSTANCE_DROP] = "drop",         [INSTANCE_EXPIRE] = "expire",
    [INSTANCE_FREEZE] = "freeze",     [INSTANCE_RENEW] = "renew",
    [INSTANCE_SUSPEND] = "suspend",   [INSTANCE_RESUME] = "resume",
    [INSTANCE_CHANGE] = "change",     [INSTANCE_CHANGED] = "changed",
    [INSTANCE_RELEASE] = "release",   [INSTANCE_RELEASE_DONE] = "release_done",
};
static const struct names instance_event_names = NAMES(instance_events);
static const struct fsm_rule instance_rules[] = {
    {INSTANCE_CREATING, INSTANCE_ACTIVATE, INSTANCE_ACTIVE, NULL},
    {INSTANCE_CREATING, INSTANCE_FAIL, INSTANCE_FAILED, NULL},
    {INSTANCE_CREATING, INSTANCE_DROP, INSTANCE_RELEASED, NULL},
    {INSTANCE_ACTIVE, INSTANCE_EXPIRE, INSTANCE_GRACE, NULL},
    {INSTANCE_ACTIVE, INSTANCE_FREEZE, INSTANCE_FROZEN, NULL},
    {INSTANCE_ACTIVE, INSTANCE_SUSPEND, INSTANCE_SUSPENDED, NULL},
    {INSTANCE_ACTIVE, INSTANCE_CHANGE, INSTANCE_CHANGING, NULL},
    {INSTANCE_ACTIVE, INSTANCE_RELEASE, INSTANCE_RELEASING, NULL},
    {INSTANCE_ACTIVE, INSTANCE_RELEASE_DONE, INSTANCE_RELEASED, NULL},
    {INSTANCE_GRACE, INSTANCE_FREEZE, INSTANCE_FROZEN, NULL},
    {INSTANCE_GRACE, INSTANCE_RENEW, INSTANCE_ACTIVE, NULL},
    {INSTANCE_GRACE, INSTANCE_RELEASE, INSTANCE_RELEASING, NULL},
    {INSTANCE_FROZEN, INSTANCE_RENEW, INSTANCE_ACTIVE, NULL},
    {INSTANCE_FROZEN, INSTANCE_RELEASE, INSTANCE_RELEASING, NULL},
    {INSTANCE_FROZEN, INSTANCE_RELEASE_DONE, INSTANCE_RELEASED, NULL},
    {INSTANCE_SUSPENDED, INSTANCE_RESUME, INSTANCE_ACTIVE, NULL},
    {INSTANCE_SUSPENDED, INSTANCE_RELEASE, INSTANCE_RELEASING, NULL},
    {INSTANCE_CHANGING, INSTANCE_CHANGED, INSTANCE_ACTIVE, NULL},
    {INSTANCE_RELEASING, INSTANCE_RELEASE_DONE, INSTANCE_RELEASED, NULL},
};
const struct fsm instance_fsm = {
    .name = "instance",
    .table = "order_instance",
    .states = &instance_state_names,
    .events = &instance_event_names,
    .rules = instance_rules,
    .rule_count = RULE_COUNT(instance_rules),
    .initial = INSTANCE_CREATING,
};

static const char *const payment_states[] = {
    [PAYMENT_CREATED] = "created",     [PAYMENT_PROCESSING] = "processing",
    [PAYMENT_SUCCEEDED] = "succeeded", [PAYMENT_FAILED] = "failed",
    [PAYMENT_CLOSED] = "closed",       [PAYMENT_UNKNOWN] = "unknown",
};
const struct names payment_state_names = NAMES(payment_states);
/* Events are named after the state they lead to. */
static const struct fsm_rule payment_rules[] = {
    {PAYMENT_CREATED, PAYMENT_PROCESSING, PAYMENT_PROCESSING, NULL},
    {PAYMENT_CREATED, PAYMENT_SUCCEEDED, PAYMENT_SUCCEEDED, NULL},
    {PAYMENT_CREATED, PAYMENT_CLOSED, PAYMENT_CLOSED, NULL},
    {PAYMENT_PROCESSING, PAYMENT_SUCCEEDED, PAYMENT_SUCCEEDED, NULL},
    {PAYMENT_PROCESSING, PAYMENT_FAILED, PAYMENT_FAILED, NULL},
    {PAYMENT_PROCESSING, PAYMENT_CLOSED, PAYMENT_CLOSED, NULL},
    {PAYMENT_PROCESSING, PAYMENT_UNKNOWN, PAYMENT_UNKNOWN, NULL},
    {PAYMENT_UNKNOWN, PAYMENT_SUCCEEDED, PAYMENT_SUCCEEDED, NULL},
    {PAYMENT_UNKNOWN, PAYMENT_FAILED, PAYMENT_FAILED, NULL},
    {PAYMENT_UNKNOWN, PAYMENT_CLOSED, PAYMENT_CLOSED, NULL},
};
const struct fsm payment_fsm = {
    .name = "payment",
    .table = "order_payment",
    .states = &payment_state_names,
    .events = &payment_state_names,
    .rules = payment_rules,
    .rule_count = RULE_COUNT(payment_rules),
    .initial = PAYMENT_CREATED,
};

static const char *const refund_states[] = {
    [REFUND_REQUESTED] = "requested", [REFUND_QUOTING] = "quoting",
    [REFUND_QUOTED] = "quoted",       [REFUND_APPROVING] = "approving",
    [REFUND_APPROVED] = "approved",   [REFUND_REJECTED] = "rejected",
    [REFUND_CANCELLED] = "cancelled", [REFUND_GATED] = "gated",
    [REFUND_RELEASING] = "releasing", [REFUND_PROCESSING] = "processing",
    [REFUND_SUCCEEDED] = "succeeded", [REFUND_FAILED] = "failed",
    [REFUND_MANUAL] = "manual",
};
const struct names refund_state_names = NAMES(refund_states);
static const char *const refund_events[] = {
    [REFUND_QUOTE] = "quote",     [REFUND_QUOTE_DONE] = "quote_done",
    [REFUND_ASK] = "ask",         [REFUND_APPROVE] = "approve",
    [REFUND_REJECT] = "reject",   [REFUND_CANCEL] = "cancel",
    [REFUND_REQUOTE] = "requote", [REFUND_GATE] = "gate",
    [REFUND_RELEASE] = "release", [REFUND_PAY_OUT] = "pay_out",
    [REFUND_DONE] = "done",       [REFUND_FAIL] = "fail",
    [REFUND_GIVE_UP] = "give_up",
};
static const struct names refund_event_names = NAMES(refund_events);
static const struct fsm_rule refund_rules[] = {
    {REFUND_REQUESTED, REFUND_QUOTE, REFUND_QUOTING, NULL},
    {REFUND_REQUESTED, REFUND_CANCEL, REFUND_CANCELLED, NULL},
    {REFUND_REQUESTED, REFUND_APPROVE, REFUND_APPROVED, NULL},
    {REFUND_QUOTING, REFUND_QUOTE_DONE, REFUND_QUOTED, NULL},
    {REFUND_QUOTING, REFUND_CANCEL, REFUND_CANCELLED, NULL},
    {REFUND_QUOTED, REFUND_APPROVE, REFUND_APPROVED, NULL},
    {REFUND_QUOTED, REFUND_ASK, REFUND_APPROVING, NULL},
    {REFUND_QUOTED, REFUND_REQUOTE, REFUND_QUOTING, NULL},
    {REFUND_QUOTED, REFUND_CANCEL, REFUND_CANCELLED, NULL},
    {REFUND_APPROVING, REFUND_APPROVE, REFUND_APPROVED, NULL},
    {REFUND_APPROVING, REFUND_REJECT, REFUND_REJECTED, NULL},
    {REFUND_APPROVING, REFUND_REQUOTE, REFUND_QUOTING, NULL},
    {REFUND_APPROVING, REFUND_CANCEL, REFUND_CANCELLED, NULL},
    /* Nothing was delivered, so nothing is to be released: straight to the payout. */
    {REFUND_APPROVED, REFUND_PAY_OUT, REFUND_PROCESSING, NULL},
    {REFUND_APPROVED, REFUND_GATE, REFUND_GATED, NULL},
    {REFUND_GATED, REFUND_RELEASE, REFUND_RELEASING, NULL},
    {REFUND_RELEASING, REFUND_PAY_OUT, REFUND_PROCESSING, NULL},
    {REFUND_PROCESSING, REFUND_DONE, REFUND_SUCCEEDED, NULL},
    {REFUND_PROCESSING, REFUND_FAIL, REFUND_FAILED, NULL},
    {REFUND_FAILED, REFUND_PAY_OUT, REFUND_PROCESSING, NULL},
    {REFUND_FAILED, REFUND_GIVE_UP, REFUND_MANUAL, NULL},
    {REFUND_MANUAL, REFUND_DONE, REFUND_SUCCEEDED, NULL},
};
const struct fsm refund_fsm = {
    .name = "refund",
    .table = "order_refund",
    .states = &refund_state_names,
    .events = &refund_event_names,
    .rules = refund_rules,
    .rule_count = RULE_COUNT(refund_rules),
    .initial = REFUND_REQUESTED,
};

static const char *const refund_reasons[] = {
    [REFUND_REASON_CANCELLED] = "cancelled",
    [REFUND_REASON_REJECTED] = "rejected",
    [REFUND_REASON_FAILED] = "failed",
    [REFUND_REASON_SILENCE] = "provider_silent",
};
const struct names refund_reason_names = NAMES(refund_reasons);
