/* SPDX-License-Identifier: Apache-2.0 */
/* Stock: sellable = last reported available - our holds which that report cannot contain yet. A
 * stock row carries the sum of those holds and the newest of them; each hold names the one before
 * it, so that no index on a random key is needed. A hold is open until it is given back or
 * contained in a later report. */
#include "catalog_internal.h"

struct hold {
    ref_t item_id, sku_id, prev_item;
    int32_t quantity, phase;
    utc_t acknowledged_at;
};
static const struct field hold_fields[] = {
    FIELD_REF(struct hold, item_id, "itm", 0),   FIELD_REF(struct hold, sku_id, "sku", 0),
    FIELD_REF(struct hold, prev_item, "itm", 0), FIELD(struct hold, quantity, 1, INT32_MAX, 0),
    FIELD(struct hold, phase, 1, 3, 0),          FIELD(struct hold, acknowledged_at, 0, 0, 0),
};
static const struct shape hold_shape = SHAPE(struct hold, hold_fields);

struct stock {
    ref_t sku_id, product_id, last_item;
    int64_t available, held, total;
    utc_t as_of;
};
static const struct field stock_fields[] = {
    FIELD_REF(struct stock, sku_id, "sku", 0),    FIELD_REF(struct stock, product_id, "prd", 0),
    FIELD_REF(struct stock, last_item, "itm", 0), FIELD(struct stock, available, 0, INT64_MAX, 0),
    FIELD(struct stock, held, 0, INT64_MAX, 0),   FIELD(struct stock, total, 0, INT64_MAX, 0),
    FIELD(struct stock, as_of, 0, 0, 0),
};
static const struct shape stock_shape = SHAPE(struct stock, stock_fields);

err_t catalog_touch(struct ctx *ctx, ref_t product)
{
    TRY(db_exec(ctx, "INSERT INTO catalog_change (id, product_id) VALUES ($1, $2)",
                ARGS(A(id_make(ctx->platform->ids, ctx->now)), A(product)), NULL));
    catalog_index_poke(ctx->platform->catalog);
    return OK;
}

static err_t touch_of_sku(struct ctx *ctx, ref_t sku)
{
    TRY(db_exec(ctx,
                "INSERT INTO catalog_change (id, product_id)"
                " VALUES ($1, (SELECT product_id FROM catalog_stock WHERE sku_id = $2))",
                ARGS(A(id_make(ctx->platform->ids, ctx->now)), A(sku)), NULL));
    catalog_index_poke(ctx->platform->catalog);
    return OK;
}

err_t catalog_take(struct ctx *ctx, ref_t sku, ref_t item, int32_t quantity)
{
    int64_t changed = 0;
    TRY(db_exec(ctx,
                "UPDATE catalog_stock SET held = held + $2, prev_item = last_item, last_item = $3"
                " WHERE sku_id = $1 AND available - held >= $2",
                ARGS(A(sku), A(quantity), A(item)), &changed));
    if (changed != 1)
        return refuse(ctx, ERR_CONFLICT, "out_of_stock", "%d units are no longer available",
                      quantity);
    TRY(db_exec(ctx,
                "INSERT INTO catalog_hold (item_id, sku_id, quantity, phase, acknowledged_at,"
                " prev_item) VALUES ($1, $3, $2, 1, 0,"
                " (SELECT prev_item FROM catalog_stock WHERE sku_id = $3))",
                ARGS(A(item), A(quantity), A(sku)), NULL));
    return touch_of_sku(ctx, sku);
}

/* A hold already contained in a report is not given back here: only the provider's next report
 * frees it. */
err_t catalog_give_back(struct ctx *ctx, ref_t sku, ref_t item, int32_t quantity)
{
    int64_t changed = 0;
    TRY(db_exec(ctx,
                "UPDATE catalog_hold SET phase = 2 WHERE item_id = $1 AND sku_id = $2"
                " AND quantity = $3 AND phase = 1",
                ARGS(A(item), A(sku), A(quantity)), &changed));
    if (changed == 0)
        return OK;
    TRY(db_exec_one(ctx,
                    "UPDATE catalog_stock SET held = held - $2 WHERE sku_id = $1 AND held >= $2",
                    ARGS(A(sku), A(quantity))));
    return touch_of_sku(ctx, sku);
}

err_t catalog_acknowledged(struct ctx *ctx, ref_t item, utc_t at)
{
    return db_exec(ctx,
                   "UPDATE catalog_hold SET acknowledged_at = $2"
                   " WHERE item_id = $1 AND phase = 1 AND acknowledged_at = 0",
                   ARGS(A(item), A(at)), NULL);
}

err_t catalog_stock_insert(struct ctx *ctx, ref_t sku, ref_t product, const struct inventory *in)
{
    return db_exec(ctx,
                   "INSERT INTO catalog_stock (sku_id, product_id, available, held, total, as_of,"
                   " last_item, prev_item) VALUES ($1, $2, $3, 0, $4, $5, 0, 0)",
                   ARGS(A(sku), A(product), A(in->available), A(in->total), A(in->as_of)), NULL);
}

/* Walks the holds from the newest: those a report of this moment contains are closed, the others
 * are linked anew. */
static err_t keep_holds(struct ctx *ctx, ref_t newest, utc_t as_of, int64_t *out_held,
                        ref_t *out_newest)
{
    ref_t kept = REF_NONE, first = REF_NONE;
    int64_t held = 0;
    bool gap = false;
    for (ref_t item = newest; item.value != 0;) {
        struct hold hold = {0};
        TRY(db_one(ctx,
                   "SELECT item_id, sku_id, quantity, phase, acknowledged_at, prev_item"
                   " FROM catalog_hold WHERE item_id = $1",
                   ARGS(A(item)), &hold_shape, &hold));
        bool contained = hold.acknowledged_at.ms != 0 && hold.acknowledged_at.ms <= as_of.ms;
        if (hold.phase == HOLD_OPEN && contained) {
            TRY(db_exec_one(ctx,
                            "UPDATE catalog_hold SET phase = 3 WHERE item_id = $1 AND phase = 1",
                            ARGS(A(item))));
            gap = true;
        } else if (hold.phase == HOLD_OPEN) {
            held += hold.quantity;
            if (!first.value)
                first = item;
            if (kept.value && gap)
                TRY(db_exec_one(ctx, "UPDATE catalog_hold SET prev_item = $2 WHERE item_id = $1",
                                ARGS(A(kept), A(item))));
            kept = item;
            gap = false;
        } else {
            gap = true;
        }
        item = hold.prev_item;
    }
    if (kept.value && gap)
        TRY(db_exec_one(ctx, "UPDATE catalog_hold SET prev_item = 0 WHERE item_id = $1",
                        ARGS(A(kept))));
    *out_held = held;
    *out_newest = first;
    return OK;
}

err_t catalog_stock_report(struct ctx *ctx, ref_t sku, ref_t product, const struct inventory *in,
                           bool *out_older)
{
    struct stock stock = {0};
    *out_older = false;
    TRY(db_one(ctx,
               "SELECT sku_id, product_id, available, held, total, as_of, last_item"
               " FROM catalog_stock WHERE sku_id = $1 {for_update}",
               ARGS(A(sku)), &stock_shape, &stock));
    if (in->as_of.ms <= stock.as_of.ms) {
        *out_older = in->as_of.ms < stock.as_of.ms || in->available != stock.available ||
                     in->total != stock.total;
        return OK;
    }
    int64_t held;
    ref_t newest;
    TRY(keep_holds(ctx, stock.last_item, in->as_of, &held, &newest));
    TRY(db_exec_one(ctx,
                    "UPDATE catalog_stock SET available = $2, total = $3, as_of = $4, held = $5,"
                    " last_item = $6 WHERE sku_id = $1 AND as_of = $7 AND last_item = $8",
                    ARGS(A(sku), A(in->available), A(in->total), A(in->as_of), A(held), A(newest),
                         A(stock.as_of), A(stock.last_item))));
    return catalog_touch(ctx, product);
}
