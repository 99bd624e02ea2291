/* SPDX-License-Identifier: Apache-2.0 */
/* What buying hands back at once is, member by member, what reading it from the rows gives. */
#include "order_support.h"

#include "order/order_internal.h"

static str_t as_text(struct ctx *ctx, const struct shape *shape, const void *rows, size_t count)
{
    struct buf buf;
    struct jw w;
    buf_init(&buf, ctx->arena, 256 * 1024);
    jw_init(&w, &buf);
    jw_array(&w);
    for (size_t i = 0; i < count; i++)
        shape_write(&w, shape, (const char *)rows + i * shape->size);
    jw_end_array(&w);
    return buf_str(&buf);
}

struct rows {
    const void *row;
    size_t count;
};

static void assert_same(struct ctx *ctx, const struct shape *shape, struct rows made,
                        struct rows read)
{
    assert_int_equal(made.count, read.count);
    str_t a = as_text(ctx, shape, made.row, made.count);
    str_t b = as_text(ctx, shape, read.row, read.count);
    assert_string_equal(str_z(ctx->arena, a), str_z(ctx->arena, b));
}

static err_t compare(struct ctx *ctx, const struct order_made *made)
{
    struct order parent = {0}, *children;
    struct order_item *items;
    struct instance *instances;
    struct payment *payments;
    size_t child_count, item_count, instance_count, payment_count;
    int64_t ids[SKUS];
    TRY(order_load(ctx, made->parent.m.id, &parent));
    TRY(order_children(ctx, parent.m.id, &children, &child_count));
    for (size_t i = 0; i < child_count; i++)
        ids[i] = children[i].m.id.value;
    TRY(order_items(ctx, ids, child_count, &items, &item_count));
    TRY(order_instances(ctx, ids, child_count, &instances, &instance_count));
    TRY(order_payments(ctx, parent.m.id, &payments, &payment_count));
    assert_same(ctx, &order_shape, (struct rows){&made->parent, 1}, (struct rows){&parent, 1});
    assert_same(ctx, &order_shape, (struct rows){made->children, made->child_count},
                (struct rows){children, child_count});
    assert_same(ctx, &order_item_shape, (struct rows){made->items, made->item_count},
                (struct rows){items, item_count});
    assert_same(ctx, &instance_shape, (struct rows){made->instances, made->item_count},
                (struct rows){instances, instance_count});
    assert_same(ctx, &payment_shape, (struct rows){&made->payment, made->payment.m.id.value != 0},
                (struct rows){payments, payment_count});
    for (size_t i = 0; i < child_count; i++)
        assert_true(ref_is(made->stores[i]->m.id, children[i].store_id));
    return OK;
}

static err_t submit_and_compare(struct ctx *ctx, void *arg)
{
    struct order_made made;
    TRY(order_submit_whole(ctx, arg, &made));
    return compare(ctx, &made);
}

static void buy(struct market *m, const int *skus, size_t count, bool pay)
{
    struct order_line lines[SKUS] = {0};
    struct order_submit in = {.lines = lines,
                              .line_count = count,
                              .pay_from_balance = pay,
                              .cost_centre = STR("cc-1"),
                              .note = STR("note")};
    for (size_t i = 0; i < count; i++) {
        lines[i] = (struct order_line){.sku_id = m->sku[skus[i]], .quantity = 1};
        in.expected_payable_fen.fen += price_fen[skus[i]];
    }
    act_as(m->f, m->user, m->buyer, ORG_CONSUMER, ROLE_OWNER);
    assert_ok(m->f, WRITE(m->f, submit_and_compare, &in));
}

static void a_paid_order_of_two_stores_reads_as_it_was_handed_back(void **state)
{
    buy(given_rich_buyer(state), GOODS(OTHER, H800, A100), true);
}

static void an_unpaid_order_reads_as_it_was_handed_back(void **state)
{
    buy(given_rich_buyer(state), GOODS(A100), false);
}

static void a_free_order_reads_as_it_was_handed_back(void **state)
{
    buy(given_rich_buyer(state), GOODS(FREE), true);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(a_paid_order_of_two_stores_reads_as_it_was_handed_back),
        cmocka_unit_test(an_unpaid_order_reads_as_it_was_handed_back),
        cmocka_unit_test(a_free_order_reads_as_it_was_handed_back),
    };
    return RUN_ORDERS(tests);
}
