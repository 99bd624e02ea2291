/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this module share. */
#ifndef SUANHE_ORDER_INTERNAL_H
#define SUANHE_ORDER_INTERNAL_H

#include "order/order.h"

extern const struct shape order_shape, order_item_shape, instance_shape, payment_shape,
    refund_shape;

enum {
    ORDER_PAY_MS = 30 * MS_MINUTE,   /* to pay */
    ORDER_SILENCE_MS = 24 * MS_HOUR, /* for the provider to answer */
    ITEM_GUARANTEE_MS = 5 * MS_DAY,  /* before the provider is paid */
};

/* A parent with all that hangs on it: what one step of its life reads and moves. */
struct order_whole {
    struct order parent;
    struct order *children;
    size_t child_count;
};
/* Locks the parent, then its children in id order (PostgreSQL); parents are always taken first. */
err_t order_whole_load(struct ctx *ctx, ref_t parent, struct order_whole *out);
struct order *order_whole_child(struct order_whole *whole, ref_t child);
/* Moves the parent to the fold of its children's states when that is another one. */
err_t order_fold_parent(struct ctx *ctx, struct order_whole *whole, ref_t event_id);
/* The state that the fold gives. */
int order_fold(const struct order *children, size_t count);

/* A fact about an order: object and root, audience = buyer and the providers concerned, payload
 * encrypted for the buyer. */
void order_fact(struct fact *fact, int type, const struct order *object,
                const struct order *parent);

/* Schedules R16 of a child that was paid, and the timer of its provider's silence. */
err_t order_send(struct ctx *ctx, const struct order *child);
/* Pays the payable amount of every child from the buyer's balance; moves nothing. */
err_t order_take_money(struct ctx *ctx, const struct order_whole *whole, hash_t *out_digest);
/* Refuses `price_changed` unless the payable amount is the one the buyer saw. */
err_t order_check_price(struct ctx *ctx, const struct order *parent, money_t expected);
/* Tells pay.voucher and trade.settled of a payment and inserts its row. */
struct order_payment_told {
    ref_t payment_id, paid_event_id;
    hash_t digest;
};
err_t order_tell_payment(struct ctx *ctx, const struct order_whole *whole,
                         const struct order_payment_told *told, struct payment *out);
/* The members that order.paid and order.create share. */
void order_write_content(struct ctx *ctx, struct jw *w, const struct order_whole *whole,
                         const struct order_item *items, size_t item_count);

/* One step of a child: everything it may move, read and locked at its start. */
struct order_step {
    struct order_whole whole;
    struct order *child;
    struct order_item *items;
    struct instance *instances;
    size_t item_count, instance_count;
    ref_t event_id;
};
err_t order_step_open(struct ctx *ctx, ref_t child_id, struct order_step *out);
struct order_item *order_step_item(struct order_step *step, ref_t id);
struct instance *order_step_instance(struct order_step *step, ref_t id);
/* The provider knows the order: no longer silent, and its stock reports contain it. */
err_t order_step_acknowledge(struct ctx *ctx, struct order_step *step);
/* An item that will not be delivered: it and its instance move, stock and money go back. */
err_t order_step_lose(struct ctx *ctx, struct order_step *step, struct order_item *item,
                      int item_event, int reason);
/* The open cancel was answered: its items end, or go back to what they were. */
err_t order_step_answer(struct ctx *ctx, struct order_step *step, str_t change_id, bool done,
                        bool *out_current);
/* Folds items into the child, children into the parent, and tells the one fact of the step. */
err_t order_step_close(struct ctx *ctx, struct order_step *step, int type, const char *cause,
                       str_t detail);

/* Gives an undelivered item's money back to the balance, in full and at once; stock too when asked.
 */
err_t order_refund_item(struct ctx *ctx, struct order_whole *whole, struct order *child,
                        struct order_item *item, int reason);

#endif
