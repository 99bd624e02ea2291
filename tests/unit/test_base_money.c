/* SPDX-License-Identifier: Apache-2.0 */
/* Money: rounding, tax, sharing out, rating and the text forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

static money_t fen(int64_t value)
{
    return (money_t){value};
}

static void adding_beyond_what_json_carries_is_refused(void **state)
{
    (void)state;
    money_t out = fen(7);
    assert_true(money_add(fen(MONEY_MAX_FEN - 1), fen(1), &out));
    assert_int_equal(out.fen, MONEY_MAX_FEN);
    assert_false(money_add(fen(MONEY_MAX_FEN), fen(1), &out));
    assert_false(money_sub(fen(-MONEY_MAX_FEN), fen(1), &out));
    assert_false(money_add(fen(INT64_MAX), fen(INT64_MAX), &out));
    assert_false(money_times(fen(INT64_MAX), INT64_MAX, &out));
    assert_false(money_scale(fen(MONEY_MAX_FEN), INT64_MAX, 1, &out));
    assert_int_equal(out.fen, MONEY_MAX_FEN);
    assert_true(money_sub(fen(5), fen(7), &out));
    assert_int_equal(out.fen, -2);
    assert_true(money_times(fen(-5), 7, &out));
    assert_int_equal(out.fen, -35);
}

static void halves_round_away_from_zero(void **state)
{
    (void)state;
    static const struct {
        int64_t fen, num, den, expected;
    } cases[] = {
        {1, 1, 2, 1},       {-1, 1, 2, -1}, {1, -1, 2, -1}, {3, 1, 2, 2},     {1, 1, 3, 0},
        {2, 1, 3, 1},       {-2, 1, 3, -1}, {0, 5, 7, 0},   {149, 1, 100, 1}, {150, 1, 100, 2},
        {-150, 1, 100, -2}, {10, 1, 1, 10}, {7, 0, 3, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        money_t out;
        assert_true(money_scale(fen(cases[i].fen), cases[i].num, cases[i].den, &out));
        assert_int_equal(out.fen, cases[i].expected);
    }
    money_t out;
    assert_true(money_scale(fen(MONEY_MAX_FEN), INT64_MAX, INT64_MAX, &out));
    assert_int_equal(out.fen, MONEY_MAX_FEN);
}

static void tax_is_taken_out_of_the_gross_amount(void **state)
{
    (void)state;
    money_t net, tax;
    assert_true(money_tax(fen(10000), 600, &net, &tax));
    assert_int_equal(net.fen, 9434);
    assert_int_equal(tax.fen, 566);
    assert_true(money_tax(fen(10000), 1300, &net, &tax));
    assert_int_equal(net.fen, 8850);
    assert_int_equal(tax.fen, 1150);
    assert_true(money_tax(fen(10000), 0, &net, &tax));
    assert_int_equal(net.fen, 10000);
    assert_int_equal(tax.fen, 0);
    assert_true(money_tax(fen(-10000), 600, &net, &tax));
    assert_int_equal(net.fen, -9434);
    assert_int_equal(tax.fen, -566);
    assert_false(money_tax(fen(10000), -1, &net, &tax));
}

static void allocation_gives_the_largest_remainders_first(void **state)
{
    (void)state;
    static const struct {
        int64_t total, weights[4], parts[4];
        size_t count;
    } cases[] = {
        {100, {1, 1, 1}, {34, 33, 33}, 3},
        {101, {1, 1, 1}, {34, 34, 33}, 3},
        {-100, {1, 1, 1}, {-34, -33, -33}, 3},
        {100, {0, 1, 0, 2}, {0, 33, 0, 67}, 4},
        {1, {0, 0, 1, 1}, {0, 0, 1, 0}, 4},
        {0, {3, 4}, {0, 0}, 2},
        {10, {1, 2, 4, 8}, {1, 1, 3, 5}, 4},
        {5, {7}, {5}, 1},
        {2, {1, 1, 1, 1}, {1, 1, 0, 0}, 4},
        {3, {5, 3, 3, 3}, {1, 1, 1, 0}, 4},
        {MONEY_MAX_FEN, {INT64_MAX, INT64_MAX}, {MONEY_MAX_FEN / 2 + 1, MONEY_MAX_FEN / 2}, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        money_t parts[4];
        assert_true(money_allocate(fen(cases[i].total), cases[i].weights, cases[i].count, parts));
        for (size_t k = 0; k < cases[i].count; k++)
            assert_int_equal(parts[k].fen, cases[i].parts[k]);
    }
}

static void allocation_without_weight_is_refused(void **state)
{
    (void)state;
    money_t parts[2] = {{1}, {2}};
    assert_false(money_allocate(fen(10), (const int64_t[]){0, 0}, 2, parts));
    assert_false(money_allocate(fen(10), (const int64_t[]){5, -1}, 2, parts));
    assert_false(money_allocate(fen(10), NULL, 0, parts));
    assert_false(money_allocate(fen(INT64_MIN), (const int64_t[]){1, 1}, 2, parts));
    assert_int_equal(parts[1].fen, 2);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

/* A second way to the same parts: picks the largest remaining remainder again and again. */
static void allocate_slowly(int64_t total, const int64_t *weights, size_t count, int64_t *parts)
{
    __int128 sum = 0, size = total < 0 ? -(__int128)total : total, left = size, rest[40];
    for (size_t i = 0; i < count; i++)
        sum += weights[i];
    for (size_t i = 0; i < count; i++) {
        parts[i] = (int64_t)(size * weights[i] / sum);
        rest[i] = size * weights[i] % sum;
        left -= parts[i];
    }
    for (; left > 0; left--) {
        size_t best = 0;
        for (size_t i = 1; i < count; i++)
            best = rest[i] > rest[best] ? i : best;
        parts[best]++;
        rest[best] = -1;
    }
    for (size_t i = 0; total < 0 && i < count; i++)
        parts[i] = -parts[i];
}

static void allocated_parts_always_sum_to_the_total(void **state)
{
    (void)state;
    uint64_t seed = 42;
    for (int round = 0; round < 20000; round++) {
        int64_t weights[40], expected[40], sum = 0;
        size_t count = 1 + next_random(&seed) % 40;
        for (size_t i = 0; i < count; i++)
            weights[i] = (int64_t)(next_random(&seed) % (round % 2 ? 5 : 1000000000));
        weights[count - 1]++;
        int64_t total = (int64_t)(next_random(&seed) % 100000) - 50000;
        money_t parts[40];
        assert_true(money_allocate(fen(total), weights, count, parts));
        allocate_slowly(total, weights, count, expected);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(parts[i].fen, expected[i]);
            sum += parts[i].fen;
        }
        assert_int_equal(sum, total);
    }
}

static void usage_is_rated_and_truncated_to_fen(void **state)
{
    (void)state;
    price_t price;
    rate_t rated, down;
    money_t charge;
    assert_true(price_read(STR("0.00064"), &price));
    assert_true(price_rate(price, (int64_t)25874 * 10, 3600, &rated));
    assert_int_equal(rated.e8, 4599822);
    assert_true(rate_truncate(rated, &charge, &down));
    assert_int_equal(charge.fen, 4);
    assert_int_equal(down.e8, 599822);
    assert_true(rate_truncate((rate_t){-4599822}, &charge, &down));
    assert_int_equal(charge.fen, -4);
    assert_int_equal(down.e8, -599822);
    assert_true(price_rate((price_t){50}, 1, 1, &rated));
    assert_int_equal(rated.e8, 1);
    assert_true(price_rate((price_t){49}, 1, 1, &rated));
    assert_int_equal(rated.e8, 0);
    assert_false(price_rate((price_t){INT64_MAX}, INT64_MAX, 1, &rated));
    assert_true(price_rate((price_t){INT64_MAX}, INT64_MAX, INT64_MAX, &rated));
}

static void prices_are_scaled_and_rounded(void **state)
{
    (void)state;
    price_t price;
    money_t money;
    assert_true(price_scale((price_t){10000000001}, 850, 1000, &price));
    assert_int_equal(price.e10, 8500000001);
    assert_true(price_scale((price_t){1}, 500, 1000, &price));
    assert_int_equal(price.e10, 1);
    assert_false(price_scale((price_t){INT64_MAX}, 2, 1, &price));
    assert_true(price_to_money((price_t){50000000}, &money));
    assert_int_equal(money.fen, 1);
    assert_true(price_to_money((price_t){49999999}, &money));
    assert_int_equal(money.fen, 0);
    assert_true(price_to_money((price_t){247500000000}, &money));
    assert_int_equal(money.fen, 2475);
}

static void prices_are_read_in_their_one_form(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",   ".5",  "5.",  "-1",    "+1",        "1e3",           " 1",
        "1 ", "1,5", "0x1", "1.2.3", "123456789", "1.12345678901", "NaN",
        "."};
    price_t price = {99};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(price_read(str_of(bad[i]), &price));
    assert_false(price_read((str_t){NULL, 0}, &price));
    assert_false(price_read(str_from("1\0", 2), &price));
    assert_int_equal(price.e10, 99);
    assert_true(price_read(STR("99999999.9999999999"), &price));
    assert_int_equal(price.e10, 999999999999999999);
    assert_true(price_read(STR("0"), &price));
    assert_int_equal(price.e10, 0);
    assert_true(price_read(STR("0.0000000001"), &price));
    assert_int_equal(price.e10, 1);
    assert_true(price_read(STR("007.10"), &price));
    assert_int_equal(price.e10, 71000000000);
}

static void rated_amounts_have_at_most_eight_places(void **state)
{
    (void)state;
    rate_t rate;
    assert_true(rate_read(STR("0.00599822"), &rate));
    assert_int_equal(rate.e8, 599822);
    assert_false(rate_read(STR("0.005998221"), &rate));
    assert_false(rate_read(STR("-0.1"), &rate));
    assert_true(rate_read(STR("92233720368.54775807"), &rate));
    assert_int_equal(rate.e8, INT64_MAX);
    assert_false(rate_read(STR("92233720368.54775808"), &rate));
    assert_false(rate_read(STR("100000000000"), &rate));
}

static void amounts_are_written_in_their_shortest_form(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    struct buf buf;
    buf_init(&buf, arena, 1000);
    price_write(&buf, (price_t){247500000000});
    buf_putc(&buf, ' ');
    price_write(&buf, (price_t){104000000});
    buf_putc(&buf, ' ');
    price_write(&buf, (price_t){0});
    buf_putc(&buf, ' ');
    price_write(&buf, (price_t){30000000000});
    buf_putc(&buf, ' ');
    rate_write(&buf, (rate_t){-599822});
    buf_putc(&buf, ' ');
    rate_write(&buf, (rate_t){INT64_MIN});
    buf_putc(&buf, ' ');
    money_write(&buf, fen(123450));
    buf_putc(&buf, ' ');
    money_write(&buf, fen(-5));
    buf_putc(&buf, ' ');
    money_write(&buf, fen(0));
    assert_string_equal(buf_str(&buf).data, "24.75 0.0104 0 3 -0.00599822 -92233720368.54775808 "
                                            "1234.50 -0.05 0.00");
    arena_free(arena);
}

static void every_price_reads_back_as_written(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    uint64_t seed = 7;
    for (int i = 0; i < 2000; i++) {
        price_t price = {(int64_t)(next_random(&seed) * next_random(&seed) % 1000000000000000000)},
                back;
        struct buf buf;
        buf_init(&buf, arena, 40);
        price_write(&buf, price);
        assert_true(price_read(buf_str(&buf), &back));
        assert_int_equal(back.e10, price.e10);
    }
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adding_beyond_what_json_carries_is_refused),
        cmocka_unit_test(halves_round_away_from_zero),
        cmocka_unit_test(tax_is_taken_out_of_the_gross_amount),
        cmocka_unit_test(allocation_gives_the_largest_remainders_first),
        cmocka_unit_test(allocation_without_weight_is_refused),
        cmocka_unit_test(allocated_parts_always_sum_to_the_total),
        cmocka_unit_test(usage_is_rated_and_truncated_to_fen),
        cmocka_unit_test(prices_are_scaled_and_rounded),
        cmocka_unit_test(prices_are_read_in_their_one_form),
        cmocka_unit_test(rated_amounts_have_at_most_eight_places),
        cmocka_unit_test(amounts_are_written_in_their_shortest_form),
        cmocka_unit_test(every_price_reads_back_as_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
