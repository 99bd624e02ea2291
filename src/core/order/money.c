/* SPDX-License-Identifier: Apache-2.0 */
/* Paying an order from the balance, and giving money back for what was never delivered: books,
 * states and facts move in the caller's transaction. And the check of all rows against facts, books
 * and each other. */
#include "order/order_internal.h"

#include <inttypes.h>

err_t order_take_money(struct ctx *ctx, const struct order_whole *whole, hash_t *out_digest)
{
    struct ledger_child *children = NEW_ARRAY(ctx, struct ledger_child, whole->child_count);
    for (size_t i = 0; i < whole->child_count; i++) {
        /* A child is paid once, so its own key names the posting. */
        children[i].biz_ref = whole->children[i].m.id;
        children[i].child_order = whole->children[i].m.id;
        children[i].amount = whole->children[i].payable;
    }
    return ledger_orders_paid(ctx, whole->parent.buyer_org_id, children, whole->child_count,
                              out_digest);
}

static err_t insert_payment(struct ctx *ctx, const struct payment *payment)
{
    return db_exec_one(ctx,
                       "INSERT INTO order_payment (id, order_id, buyer_org_id, user_id, state, "
                       "version, last_event_id, "
                       "amount_fen, channel, paid_at, created_at, updated_at) VALUES ($1, $2, $3, "
                       "$4, $5, 1, $6, $7, 1, $8, $8, $8)",
                       ARGS(A(payment->m.id), A(payment->order_id), A(payment->buyer_org_id),
                            A(payment->user_id), A(payment->m.state), A(payment->m.last_event_id),
                            A(payment->amount), A(payment->paid_at)));
}

static str_t voucher_payload(struct ctx *ctx, const struct order *parent,
                             const struct order_payment_told *told)
{
    struct buf buf;
    struct jw w;
    buf_init(&buf, ctx->arena, 2048);
    jw_init(&w, &buf);
    jw_object(&w);
    jw_put_ref(&w, "payment_id", "pay", told->payment_id);
    jw_put_ref(&w, "order_id", "ord", parent->m.id);
    jw_put_int(&w, "amount_fen", parent->payable.fen);
    jw_put_text(&w, "channel", STR("balance"));
    jw_put_text(&w, "ledger_digest",
                hex_encode(ctx->arena, str_from(told->digest.bytes, HASH_BYTES)));
    jw_end_object(&w);
    return buf_str(&buf);
}

err_t order_tell_payment(struct ctx *ctx, const struct order_whole *whole,
                         const struct order_payment_told *told, struct payment *out)
{
    const struct order *parent = &whole->parent;
    struct fact voucher;
    order_fact(&voucher, FACT_PAY_VOUCHER, parent, parent);
    voucher.object_prefix = "pay";
    voucher.object = told->payment_id;
    voucher.refs[voucher.ref_count].log = LOG_TRADE;
    voucher.refs[voucher.ref_count++].event_id = told->paid_event_id;
    voucher.payload = voucher_payload(ctx, parent, told);
    ref_t voucher_id, settled_id;
    TRY(evidence_append(ctx, &voucher, &voucher_id));

    struct fact settled;
    order_fact(&settled, FACT_TRADE_SETTLED, parent, parent);
    settled.refs[settled.ref_count].log = LOG_FINANCE;
    settled.refs[settled.ref_count++].event_id = voucher_id;
    str_t payment = ref_text(ctx->arena, "pay", told->payment_id);
    settled.payload =
        str_printf(ctx->arena, "{\"payment_id\":\"" STR_FMT "\",\"amount_fen\":%" PRId64 "}",
                   STR_ARG(payment), parent->payable.fen);
    TRY(evidence_append(ctx, &settled, &settled_id));
    *out = (struct payment){
        .m = {.id = told->payment_id,
              .state = PAYMENT_SUCCEEDED,
              .version = 1,
              .last_event_id = voucher_id},
        .order_id = parent->m.id,
        .buyer_org_id = parent->buyer_org_id,
        .user_id = ctx->actor.user_id,
        .amount = parent->payable,
        .channel = 1,
        .paid_at = ctx->now,
        .created_at = ctx->now,
    };
    return insert_payment(ctx, out);
}

err_t order_check_price(struct ctx *ctx, const struct order *parent, money_t expected)
{
    if (parent->payable.fen == expected.fen)
        return OK;
    err_t err =
        refuse(ctx, ERR_CONFLICT, "price_changed", "expected %" PRId64 " fen, it is %" PRId64,
               expected.fen, parent->payable.fen);
    ctx->problem.extension =
        str_printf(ctx->arena, "\"expected_fen\":%" PRId64 ",\"actual_fen\":%" PRId64, expected.fen,
                   parent->payable.fen);
    return err;
}

/* paid_fen and outbound_sequence of the rows that the payment moved. */
static err_t mark_paid(struct ctx *ctx, struct order_whole *whole)
{
    int64_t changed;
    TRY(db_exec(ctx,
                "UPDATE order_head SET paid_fen = payable_fen, paid_at = $1, pay_deadline = 0, "
                "outbound_sequence = CASE WHEN kind = 2 THEN 1 ELSE 0 END WHERE (id = $2 OR "
                "parent_id = $2) AND "
                "paid_fen = 0",
                ARGS(A(ctx->now), A(whole->parent.m.id)), &changed));
    if (changed != (int64_t)(1 + whole->child_count))
        return ERR_AGAIN;
    for (size_t i = 0; i < whole->child_count; i++) {
        whole->children[i].paid = whole->children[i].payable;
        whole->children[i].outbound_sequence = 1;
    }
    whole->parent.paid = whole->parent.payable;
    whole->parent.paid_at = ctx->now;
    whole->parent.pay_deadline = (utc_t){0};
    return OK;
}

static err_t tell_paid(struct ctx *ctx, struct order_whole *whole, ref_t *out_event)
{
    int64_t *ids = NEW_ARRAY(ctx, int64_t, whole->child_count);
    struct fact fact;
    order_fact(&fact, FACT_ORDER_PAID, &whole->parent, &whole->parent);
    for (size_t i = 0; i < whole->child_count; i++)
        ids[i] = whole->children[i].m.id.value;
    struct order_item *items;
    size_t count;
    TRY(order_items(ctx, ids, whole->child_count, &items, &count));
    struct buf buf;
    struct jw w;
    buf_init(&buf, ctx->arena, 256 * 1024);
    jw_init(&w, &buf);
    jw_object(&w);
    struct order_whole told = *whole;
    told.parent.m.state = ORDER_ACCEPTING;
    order_write_content(ctx, &w, &told, items, count);
    jw_end_object(&w);
    fact.payload = buf_str(&buf);
    return evidence_append(ctx, &fact, out_event);
}

err_t order_pay(struct ctx *ctx, ref_t parent_id, money_t expected, struct order *out)
{
    struct order_whole whole;
    TRY(order_whole_load(ctx, parent_id, &whole));
    if (whole.parent.kind != ORDER_PARENT || !ref_is(whole.parent.buyer_org_id, ctx->actor.org_id))
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such parent order");
    if (whole.parent.m.state != ORDER_PENDING_PAYMENT)
        return refuse(ctx, ERR_STATE, "illegal_transition", "the order does not wait for payment");
    TRY(order_check_price(ctx, &whole.parent, expected));
    struct order_payment_told told = {.payment_id = id_make(ctx->platform->ids, ctx->now)};
    TRY(order_take_money(ctx, &whole, &told.digest));
    TRY(tell_paid(ctx, &whole, &told.paid_event_id));
    for (size_t i = 0; i < whole.child_count; i++)
        TRY(fsm_fire(ctx, &order_fsm, &whole.children[i].m, ORDER_PAY, told.paid_event_id));
    TRY(order_fold_parent(ctx, &whole, told.paid_event_id));
    TRY(mark_paid(ctx, &whole));
    struct payment payment;
    TRY(order_tell_payment(ctx, &whole, &told, &payment));
    TRY(job_cancel(ctx, JOB_ORDER_PAY_TIMEOUT, parent_id));
    for (size_t i = 0; i < whole.child_count; i++)
        TRY(order_send(ctx, &whole.children[i]));
    *out = whole.parent;
    return OK;
}

/* ---- refunds of what was never delivered ---- */
static err_t tell_refund(struct ctx *ctx, const struct order_whole *whole,
                         const struct refund *refund, const struct ledger_tx *posting,
                         ref_t *out_event)
{
    struct fact done, trade;
    const struct order *parent = &whole->parent;
    str_t refund_text = ref_text(ctx->arena, "ref", refund->m.id);
    str_t item_text = ref_text(ctx->arena, "itm", refund->item_id);
    str_t digest = hex_encode(ctx->arena, str_from(posting->digest.bytes, HASH_BYTES));
    ref_t trade_id = id_make(ctx->platform->ids, ctx->now),
          done_id = id_make(ctx->platform->ids, ctx->now);

    order_fact(&trade, FACT_ORDER_REFUND, parent, parent);
    trade.event_id = trade_id;
    trade.refs[trade.ref_count].log = LOG_FINANCE;
    trade.refs[trade.ref_count++].event_id = done_id;
    trade.payload = str_printf(ctx->arena,
                               "{\"refund_id\":\"" STR_FMT "\",\"item_id\":\"" STR_FMT
                               "\",\"amount_fen\":%" PRId64 ",\"reason\":\"%s\"}",
                               STR_ARG(refund_text), STR_ARG(item_text), refund->amount.fen,
                               names_of(&refund_reason_names, refund->reason));
    TRY(evidence_append(ctx, &trade, NULL));

    order_fact(&done, FACT_REFUND_DONE, parent, parent);
    done.event_id = done_id;
    done.object_prefix = "ref";
    done.object = refund->m.id;
    done.refs[done.ref_count].log = LOG_TRADE;
    done.refs[done.ref_count++].event_id = trade_id;
    done.payload = str_printf(ctx->arena,
                              "{\"refund_id\":\"" STR_FMT "\",\"amount_fen\":%" PRId64
                              ",\"channel\":\"balance\",\"ledger_digest\":\"" STR_FMT "\"}",
                              STR_ARG(refund_text), refund->amount.fen, STR_ARG(digest));
    *out_event = done_id;
    return evidence_append(ctx, &done, NULL);
}

static err_t add_refunded(struct ctx *ctx, struct order *order, money_t amount)
{
    int64_t changed;
    TRY(db_exec(ctx,
                "UPDATE order_head SET refunded_fen = refunded_fen + $1 WHERE id = $2 AND "
                "refunded_fen + $1 <= paid_fen",
                ARGS(A(amount), A(order->m.id)), &changed));
    if (changed != 1)
        return refuse(ctx, ERR_STATE, "refund_exceeds_paid", "order %" PRId64, order->m.id.value);
    ENSURE(money_add(order->refunded, amount, &order->refunded));
    return OK;
}

err_t order_refund_item(struct ctx *ctx, struct order_whole *whole, struct order *child,
                        struct order_item *item, int reason)
{
    if (item->payable.fen == 0 || child->paid.fen == 0)
        return OK;
    struct refund refund = {
        .m = {.id = id_make(ctx->platform->ids, ctx->now), .state = REFUND_APPROVED, .version = 1},
        .item_id = item->m.id,
        .amount = item->payable,
        .reason = reason,
    };
    struct ledger_tx approved, done;
    TRY(ledger_refund_approved(ctx, refund.m.id, child->m.id, refund.amount, &approved));
    TRY(ledger_refund_done(ctx, refund.m.id, whole->parent.buyer_org_id, refund.amount, &done));
    ref_t event_id;
    TRY(tell_refund(ctx, whole, &refund, &done, &event_id));
    TRY(db_exec_one(
        ctx,
        "INSERT INTO order_refund (id, item_id, order_id, parent_id, buyer_org_id, state, version, "
        "last_event_id, amount_fen, reason, created_at, done_at, updated_at) VALUES ($1, $2, $3, "
        "$4, $5, "
        "$6, 1, $7, $8, $9, $10, $10, $10)",
        ARGS(A(refund.m.id), A(item->m.id), A(child->m.id), A(whole->parent.m.id),
             A(whole->parent.buyer_org_id), A(refund.m.state), A(event_id), A(refund.amount),
             A((int64_t)reason), A(ctx->now))));
    TRY(fsm_fire(ctx, &refund_fsm, &refund.m, REFUND_PAY_OUT, event_id));
    TRY(fsm_fire(ctx, &refund_fsm, &refund.m, REFUND_DONE, event_id));
    TRY(db_exec_one(ctx, "UPDATE order_item SET refund_id = $1 WHERE id = $2 AND refund_id = 0",
                    ARGS(A(refund.m.id), A(item->m.id))));
    item->refund_id = refund.m.id;
    TRY(add_refunded(ctx, child, refund.amount));
    return add_refunded(ctx, &whole->parent, refund.amount);
}

err_t order_settle_item(struct ctx *ctx, ref_t item_id)
{
    struct order_item item = {0};
    struct order child = {0}, parent = {0};
    int64_t order_id = 0;
    TRY(db_int(ctx, "SELECT order_id FROM order_item WHERE id = $1", ARGS(A(item_id)), &order_id));
    struct order_item *items;
    size_t count;
    TRY(order_items(ctx, &order_id, 1, &items, &count));
    for (size_t i = 0; i < count; i++)
        if (ref_is(items[i].m.id, item_id))
            item = items[i];
    if (item.m.state != ITEM_ACTIVE || item.refund_id.value || item.payable.fen == 0)
        return OK; /* refunded meanwhile, or nothing to settle */
    TRY(order_load(ctx, item.order_id, &child));
    TRY(order_load(ctx, child.parent_id, &parent));
    struct ledger_tx posting;
    ref_t before = id_make(ctx->platform->ids, ctx->now);
    TRY(ledger_item_active(ctx, item_id, child.m.id, child.provider_org_id, item.payable,
                           child.commission_bp, &posting));
    if (posting.id.value < before.value)
        return OK; /* booked and told before */
    struct fact fact;
    order_fact(&fact, FACT_SETTLE_RESULT, &child, &parent);
    fact.object_prefix = "itm";
    fact.object = item_id;
    str_t text = ref_text(ctx->arena, "itm", item_id);
    str_t digest = hex_encode(ctx->arena, str_from(posting.digest.bytes, HASH_BYTES));
    fact.payload =
        str_printf(ctx->arena,
                   "{\"item_id\":\"" STR_FMT "\",\"amount_fen\":%" PRId64
                   ",\"commission_bp\":%d,\"ledger_digest\":\"" STR_FMT "\"}",
                   STR_ARG(text), item.payable.fen, child.commission_bp, STR_ARG(digest));
    return evidence_append(ctx, &fact, NULL);
}

/* ---- fsck: rows against facts, books and each other ---- */
struct fsck {
    struct buf *report;
    int64_t rows, wrong;
    struct ctx scratch; /* emptied after each row: tables may be large */
};

struct fsck_row {
    ref_t id, last_event_id;
};
static const struct field fsck_row_fields[] = {
    FIELD_REF(struct fsck_row, id, "ord", 0),
    FIELD_REF(struct fsck_row, last_event_id, "evt", 0),
};
static const struct shape fsck_row_shape = SHAPE(struct fsck_row, fsck_row_fields);

static struct ctx *fsck_scratch(struct fsck *fsck, const struct ctx *ctx)
{
    arena_reset(fsck->scratch.arena);
    problem_clear(&fsck->scratch);
    fsck->scratch.tx = ctx->tx;
    return &fsck->scratch;
}

static err_t fsck_row(struct ctx *ctx, const void *row, void *arg)
{
    const struct fsck_row *r = row;
    struct fsck *fsck = arg;
    struct event event;
    fsck->rows++;
    err_t err = evidence_find_event(fsck_scratch(fsck, ctx), r->last_event_id, false, &event);
    if (err != OK && err != ERR_NOT_FOUND)
        return refuse(ctx, err, fsck->scratch.problem.reason, "%s", fsck->scratch.problem.detail);
    if (err == OK)
        return OK;
    fsck->wrong++;
    buf_printf(fsck->report, "row %" PRId64 " names fact %" PRId64 ", which is not there\n",
               r->id.value, r->last_event_id.value);
    return OK;
}

struct fsck_money {
    ref_t id;
    int64_t unspent, active;
};
static const struct field fsck_money_fields[] = {
    FIELD_REF(struct fsck_money, id, "ord", 0),
    FIELD(struct fsck_money, unspent, INT64_MIN, INT64_MAX, 0),
    FIELD(struct fsck_money, active, 0, INT64_MAX, 0),
};
static const struct shape fsck_money_shape = SHAPE(struct fsck_money, fsck_money_fields);

/* A child's money is in escrow or given back; only what was delivered may have left it for the
 * provider. */
static err_t fsck_escrow(struct ctx *ctx, const void *row, void *arg)
{
    const struct fsck_money *child = row;
    struct fsck *fsck = arg;
    money_t escrow = {0};
    err_t err = ledger_escrow(fsck_scratch(fsck, ctx), child->id, &escrow);
    if (err != OK)
        return refuse(ctx, err, fsck->scratch.problem.reason, "%s", fsck->scratch.problem.detail);
    if (escrow.fen <= child->unspent && escrow.fen >= child->unspent - child->active)
        return OK;
    fsck->wrong++;
    buf_printf(fsck->report,
               "order %" PRId64 " holds %" PRId64 " fen, not given back are %" PRId64 "\n",
               child->id.value, escrow.fen, child->unspent);
    return OK;
}

static err_t fsck_fold(struct ctx *ctx, const void *row, void *arg)
{
    const struct order *parent = row;
    struct fsck *fsck = arg;
    struct order *children;
    size_t count;
    err_t err = order_children(fsck_scratch(fsck, ctx), parent->m.id, &children, &count);
    if (err != OK)
        return refuse(ctx, err, fsck->scratch.problem.reason, "%s", fsck->scratch.problem.detail);
    if (count > 0 && order_fold(children, count) == parent->m.state)
        return OK;
    fsck->wrong++;
    buf_printf(fsck->report, "parent %" PRId64 " is %s, its children say otherwise\n",
               parent->m.id.value, names_of(&order_state_names, parent->m.state));
    return OK;
}

/* Each query counts what must not be. */
static const struct {
    const char *what, *sql;
} fsck_rules[] = {
    {"parents differ from the sum of their children",
     "SELECT COUNT(*) FROM order_head p JOIN (SELECT parent_id, SUM(list_fen) AS list, "
     "SUM(payable_fen) AS payable, "
     "SUM(tax_fen) AS tax, SUM(paid_fen) AS paid, SUM(refunded_fen) AS refunded, SUM(item_count) "
     "AS items FROM "
     "order_head WHERE kind = 2 GROUP BY parent_id) c ON c.parent_id = p.id WHERE p.list_fen <> "
     "c.list OR "
     "p.payable_fen <> c.payable OR p.tax_fen <> c.tax OR p.paid_fen <> c.paid OR p.refunded_fen "
     "<> c.refunded OR "
     "p.item_count <> c.items"},
    {"children differ from the sum of their items",
     "SELECT COUNT(*) FROM order_head h LEFT JOIN (SELECT order_id, COUNT(*) AS items, "
     "SUM(payable_fen) AS payable, "
     "SUM(tax_fen) AS tax FROM order_item GROUP BY order_id) i ON i.order_id = h.id WHERE h.kind = "
     "2 AND "
     "(h.item_count <> COALESCE(i.items, 0) OR h.payable_fen <> COALESCE(i.payable, 0) OR "
     "h.tax_fen <> "
     "COALESCE(i.tax, 0))"},
    {"children differ from the sum of their refunds",
     "SELECT COUNT(*) FROM order_head h LEFT JOIN (SELECT order_id, SUM(amount_fen) AS amount FROM "
     "order_refund WHERE "
     "state = 11 GROUP BY order_id) r ON r.order_id = h.id WHERE h.kind = 2 AND h.refunded_fen <> "
     "COALESCE(r.amount, 0)"},
    {"parents differ from the sum of their payments",
     "SELECT COUNT(*) FROM order_head h LEFT JOIN (SELECT order_id, SUM(amount_fen) AS amount FROM "
     "order_payment WHERE "
     "state = 3 GROUP BY order_id) p ON p.order_id = h.id WHERE h.kind = 1 AND h.paid_fen <> "
     "COALESCE(p.amount, 0)"},
    {"refunds are not those of their items",
     "SELECT COUNT(*) FROM order_refund r LEFT JOIN order_item i ON i.id = r.item_id AND "
     "i.refund_id = r.id AND "
     "i.order_id = r.order_id AND i.payable_fen >= r.amount_fen WHERE i.id IS NULL"},
    {"items were lost and not given back",
     "SELECT COUNT(*) FROM order_item i JOIN order_head h ON h.id = i.order_id WHERE i.state IN "
     "(4, 6) AND "
     "i.payable_fen > 0 AND h.paid_fen > 0 AND i.refund_id = 0"},
    {"items and their instances differ",
     "SELECT COUNT(*) FROM order_item i LEFT JOIN order_instance n ON n.id = i.instance_id AND "
     "n.item_id = i.id WHERE "
     "n.id IS NULL OR (i.state IN (1, 2, 5) AND n.state <> 1) OR (i.state = 3 AND n.state IN (1, "
     "3)) OR (i.state IN "
     "(4, 6) AND n.state NOT IN (3, 9))"},
    {"orders have ended before their items",
     "SELECT COUNT(*) FROM order_head h JOIN order_item i ON i.order_id = h.id WHERE h.state >= 7 "
     "AND i.state IN (1, 2, "
     "5)"},
    {"cancelling orders have nothing to cancel, or the reverse",
     "SELECT COUNT(*) FROM order_head h LEFT JOIN (SELECT order_id, COUNT(*) AS items FROM "
     "order_item WHERE state = 5 "
     "GROUP BY order_id) i ON i.order_id = h.id WHERE h.kind = 2 AND h.state <> 6 AND (h.state = "
     "5) <> "
     "(COALESCE(i.items, 0) > 0)"},
};

static err_t fsck_sums(struct ctx *ctx, struct fsck *fsck)
{
    for (size_t i = 0; i < sizeof(fsck_rules) / sizeof(fsck_rules[0]); i++) {
        int64_t wrong = 0;
        TRY(db_int(ctx, fsck_rules[i].sql, NO_ARGS, &wrong));
        if (wrong > 0)
            buf_printf(fsck->report, "%" PRId64 " %s\n", wrong, fsck_rules[i].what);
        fsck->wrong += wrong;
    }
    return OK;
}

/* From the facts back to the rows: an order told of must be there. */
static err_t fsck_facts(struct ctx *ctx, struct fsck *fsck)
{
    int64_t position = 0;
    for (;;) {
        struct event *events;
        size_t count;
        struct ctx *scratch = fsck_scratch(fsck, ctx);
        if (evidence_after(scratch, position, 500, &events, &count) != OK)
            return refuse(ctx, ERR_INTERNAL, scratch->problem.reason, "%s",
                          scratch->problem.detail);
        if (count == 0)
            return OK;
        for (size_t i = 0; i < count; i++) {
            position = events[i].position;
            if (events[i].type != FACT_ORDER_CREATE && events[i].type != FACT_ORDER_PAID)
                continue;
            int64_t there = 0;
            TRY(db_int(ctx, "SELECT COUNT(*) FROM order_head WHERE id = $1",
                       ARGS(A(events[i].object)), &there));
            if (there == 1)
                continue;
            fsck->wrong++;
            buf_printf(fsck->report,
                       "fact %" PRId64 " tells of order %" PRId64 ", which is not there\n",
                       events[i].event_id.value, events[i].object.value);
        }
    }
}

static err_t fsck_all(struct ctx *ctx, struct fsck *fsck)
{
    static const char *const rows[] = {
        "SELECT id, last_event_id FROM order_head ORDER BY id",
        "SELECT id, last_event_id FROM order_item ORDER BY id",
        "SELECT id, last_event_id FROM order_instance ORDER BY id",
        "SELECT id, last_event_id FROM order_payment ORDER BY id",
        "SELECT id, last_event_id FROM order_refund ORDER BY id",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        TRY(db_each(ctx, rows[i], NO_ARGS, &fsck_row_shape, fsck_row, fsck));
    TRY(db_each(ctx,
                "SELECT h.id AS id, h.paid_fen - h.refunded_fen AS unspent, "
                "CAST(COALESCE(SUM(i.payable_fen), 0) AS BIGINT) "
                "AS active FROM order_head h LEFT JOIN order_item i ON i.order_id = h.id AND "
                "i.state = 3 WHERE h.kind = "
                "2 GROUP BY h.id, h.paid_fen, h.refunded_fen ORDER BY h.id",
                NO_ARGS, &fsck_money_shape, fsck_escrow, fsck));
    TRY(db_each(ctx, "SELECT id, state FROM order_head WHERE kind = 1 ORDER BY id", NO_ARGS,
                &order_shape, fsck_fold, fsck));
    TRY(fsck_sums(ctx, fsck));
    return fsck_facts(ctx, fsck);
}

err_t order_fsck(struct ctx *ctx, struct buf *report)
{
    struct fsck fsck = {.report = report};
    ctx_init(&fsck.scratch, ctx->platform, ctx->now);
    err_t err = fsck_all(ctx, &fsck);
    ctx_done(&fsck.scratch);
    TRY(err);
    buf_printf(report, "orders: %" PRId64 " rows, %" PRId64 " wrong\n", fsck.rows, fsck.wrong);
    return fsck.wrong == 0
               ? OK
               : refuse(ctx, ERR_INTERNAL, "orders_damaged", "%" PRId64 " findings", fsck.wrong);
}
