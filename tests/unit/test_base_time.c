/* SPDX-License-Identifier: Apache-2.0 */
/* Time, the calendar of Asia/Shanghai, and keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

static int64_t ms_of(const char *text)
{
    utc_t at = {-1};
    assert_true(utc_read(str_of(text), &at));
    return at.ms;
}

static void assert_written(utc_t at, const char *expected)
{
    struct arena *arena = arena_new(0);
    struct buf buf;
    buf_init(&buf, arena, 100);
    utc_write(&buf, at);
    assert_string_equal(buf_str(&buf).data, expected);
    arena_free(arena);
}

static void times_are_read_with_offsets_and_decimals(void **state)
{
    (void)state;
    assert_int_equal(ms_of("1970-01-01T00:00:00Z"), 0);
    assert_int_equal(ms_of("2026-11-24T15:30:00.123Z"), 1795534200123);
    assert_int_equal(ms_of("2026-11-24T23:30:00.123+08:00"), 1795534200123);
    assert_int_equal(ms_of("2026-11-24T10:00:00.123-05:30"), 1795534200123);
    assert_int_equal(ms_of("2026-11-24t15:30:00.123999999z"), 1795534200123);
    assert_int_equal(ms_of("2026-11-24T15:30:00.1-00:00"), 1795534200100);
    assert_int_equal(ms_of("2024-02-29T00:00:00Z"), 1709164800000);
    assert_int_equal(ms_of("9999-12-31T23:59:59.999Z"), 253402300799999);
    assert_int_equal(ms_of("1969-12-31T20:00:00-08:00"), 4LL * MS_HOUR);
    assert_int_equal(ms_of("2016-12-31T23:59:60Z"), ms_of("2017-01-01T00:00:00Z"));
    assert_int_equal(ms_of("2017-01-01T07:59:60+08:00"), ms_of("2017-01-01T00:00:00Z"));
}

static void other_forms_of_time_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2026-11-24",
        "2026-11-24T15:30:00",
        "2026-11-24 15:30:00Z",
        "2026-11-24T15:30Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-11-00T00:00:00Z",
        "2026-11-24T24:00:00Z",
        "2026-11-24T23:60:00Z",
        "2026-11-24T15:30:60Z",
        "2026-11-24T15:30:61Z",
        "2026-11-24T15:30:00.Z",
        "2026-11-24T15:30:00.1234567890Z",
        "2026-11-24T15:30:00+0800",
        "2026-11-24T15:30:00+24:00",
        "2026-11-24T15:30:00+08:60",
        "2026-11-24T15:30:00Z ",
        " 2026-11-24T15:30:00Z",
        "2026-11-24T15:30:00ZZ",
        "1969-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "26-11-24T15:30:00Z",
        "+2026-11-24T15:30:00Z",
        "2026-1-24T15:30:00Z",
        "2026-11-24T15:30:00,5Z",
    };
    utc_t at = {77};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(utc_read(str_of(bad[i]), &at));
    assert_int_equal(at.ms, 77);
}

static void times_are_written_with_three_decimals(void **state)
{
    (void)state;
    assert_written((utc_t){1795534200123}, "2026-11-24T15:30:00.123Z");
    assert_written((utc_t){0}, "1970-01-01T00:00:00.000Z");
    assert_written((utc_t){-1}, "1969-12-31T23:59:59.999Z");
    assert_written((utc_t){253402300799999}, "9999-12-31T23:59:59.999Z");
    assert_written((utc_t){INT64_MAX}, "9999-12-31T23:59:59.999Z");
    assert_written((utc_t){INT64_MIN}, "0001-01-01T00:00:00.000Z");
}

static void every_day_reads_back_as_written(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    for (int64_t day = 0; day < 60000; day++) {
        utc_t at = {day * MS_DAY + day % MS_DAY}, back;
        struct buf buf;
        buf_init(&buf, arena, 24);
        utc_write(&buf, at);
        assert_true(utc_read(buf_str(&buf), &back));
        assert_int_equal(back.ms, at.ms);
        struct shanghai there = utc_shanghai(at);
        assert_int_equal(utc_of_shanghai(there.year, there.month, there.day).ms + there.ms_of_day,
                         at.ms);
        arena_reset(arena);
    }
    arena_free(arena);
}

static void shanghai_is_eight_hours_ahead(void **state)
{
    (void)state;
    struct shanghai there = utc_shanghai((utc_t){ms_of("2026-12-31T16:00:01.005Z")});
    assert_int_equal(there.year, 2027);
    assert_int_equal(there.month, 1);
    assert_int_equal(there.day, 1);
    assert_int_equal(there.hour, 0);
    assert_int_equal(there.minute, 0);
    assert_int_equal(there.second, 1);
    assert_int_equal(there.ms_of_day, 1005);
    assert_int_equal(utc_of_shanghai(2027, 1, 1).ms, ms_of("2026-12-31T16:00:00Z"));
}

static void months_keep_the_anchor_day(void **state)
{
    (void)state;
    utc_t start = {ms_of("2027-01-31T09:15:00+08:00")};
    static const struct {
        int months;
        const char *expected;
    } cases[] = {
        {0, "2027-01-31T09:15:00+08:00"},  {1, "2027-02-28T09:15:00+08:00"},
        {2, "2027-03-31T09:15:00+08:00"},  {3, "2027-04-30T09:15:00+08:00"},
        {13, "2028-02-29T09:15:00+08:00"}, {12, "2028-01-31T09:15:00+08:00"},
        {-1, "2026-12-31T09:15:00+08:00"}, {-2, "2026-11-30T09:15:00+08:00"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(utc_add_months(start, cases[i].months, 31).ms, ms_of(cases[i].expected));
    /* From the clamped day the wish is still the 31st. */
    assert_int_equal(utc_add_months((utc_t){ms_of("2027-02-28T09:15:00+08:00")}, 1, 31).ms,
                     ms_of("2027-03-31T09:15:00+08:00"));
    /* The evening in UTC is the next day there. */
    assert_int_equal(utc_add_months((utc_t){ms_of("2027-01-30T17:00:00Z")}, 1, 31).ms,
                     ms_of("2027-02-27T17:00:00Z"));
}

static void the_clock_never_runs_backwards(void **state)
{
    (void)state;
    utc_t last = clock_now();
    assert_true(last.ms > 1700000000000);
    int64_t last_us = clock_monotonic_us();
    for (int i = 0; i < 10000; i++) {
        utc_t now = clock_now();
        int64_t now_us = clock_monotonic_us();
        assert_true(now.ms >= last.ms && now_us >= last_us);
        last = now;
        last_us = now_us;
    }
    assert_int_equal(utc_add((utc_t){5}, -7).ms, -2);
}

static void keys_rise_and_carry_time_and_instance(void **state)
{
    (void)state;
    struct id_maker *maker = id_maker_new(63);
    utc_t now = {ms_of("2026-11-24T15:30:00.123Z")};
    ref_t first = id_make(maker, now), second = id_make(maker, now);
    assert_int_equal(id_time(first).ms, now.ms);
    assert_int_equal(first.value >> 16 & 63, 63);
    assert_int_equal(first.value & 0xFFFF, 0);
    assert_int_equal(second.value, first.value + 1);
    ref_t jumped_back = id_make(maker, utc_add(now, -MS_HOUR));
    assert_int_equal(jumped_back.value, second.value + 1);
    ref_t later = id_make(maker, utc_add(now, 1));
    assert_int_equal(id_time(later).ms, now.ms + 1);
    assert_int_equal(later.value & 0xFFFF, 0);
    assert_true(id_floor(now).value <= first.value &&
                id_floor(utc_add(now, 1)).value <= later.value);
    assert_true(id_floor(utc_add(now, 1)).value > jumped_back.value);
    id_maker_free(maker);
}

static void a_full_counter_rolls_into_the_next_millisecond(void **state)
{
    (void)state;
    struct id_maker *maker = id_maker_new(5);
    utc_t now = {ms_of("2026-11-24T15:30:00Z")};
    ref_t last = REF_NONE;
    for (int i = 0; i < 65536; i++) {
        ref_t id = id_make(maker, now);
        assert_true(id.value > last.value);
        last = id;
    }
    assert_int_equal(last.value & 0xFFFF, 0xFFFF);
    assert_int_equal(id_time(last).ms, now.ms);
    ref_t rolled = id_make(maker, now);
    assert_int_equal(id_time(rolled).ms, now.ms + 1);
    assert_int_equal(rolled.value & 0xFFFF, 0);
    assert_int_equal(rolled.value >> 16 & 63, 5);
    id_maker_free(maker);
}

static void a_moment_before_the_epoch_still_makes_a_key(void **state)
{
    (void)state;
    struct id_maker *maker = id_maker_new(0);
    ref_t id = id_make(maker, (utc_t){0});
    assert_false(ref_is(id, REF_NONE));
    assert_true(id_make(maker, (utc_t){0}).value > id.value);
    assert_int_equal(id_floor((utc_t){0}).value, 0);
    id_maker_free(maker);
}

enum { MAKERS = 4, KEYS_EACH = 20000 };

struct keys {
    struct id_maker *maker;
    int64_t made[KEYS_EACH];
};

static void *make_keys(void *context)
{
    struct keys *keys = context;
    for (int i = 0; i < KEYS_EACH; i++)
        keys->made[i] = id_make(keys->maker, clock_now()).value;
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void threads_never_make_the_same_key(void **state)
{
    (void)state;
    static struct keys keys[MAKERS];
    static int64_t all[MAKERS * KEYS_EACH];
    struct id_maker *maker = id_maker_new(1);
    pthread_t threads[MAKERS];
    for (int i = 0; i < MAKERS; i++) {
        keys[i].maker = maker;
        assert_int_equal(pthread_create(&threads[i], NULL, make_keys, &keys[i]), 0);
    }
    for (int i = 0; i < MAKERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        memcpy(all + i * KEYS_EACH, keys[i].made, sizeof keys[i].made);
    }
    qsort(all, MAKERS * KEYS_EACH, sizeof all[0], by_value);
    for (int i = 1; i < MAKERS * KEYS_EACH; i++)
        assert_true(all[i] > all[i - 1]);
    id_maker_free(maker);
}

static void keys_read_back_as_written(void **state)
{
    (void)state;
    static const int64_t values[] = {1, 31, 32, 1234567890123456789, INT64_MAX};
    struct arena *arena = arena_new(0);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        str_t text = ref_text(arena, "ord", (ref_t){values[i]});
        ref_t back;
        assert_int_equal(text.len, REF_TEXT_BYTES);
        assert_true(ref_read(text, "ord", &back));
        assert_int_equal(back.value, values[i]);
    }
    assert_string_equal(ref_text(arena, "ord", (ref_t){INT64_MAX}).data, "ord_7ZZZZZZZZZZZZ");
    assert_string_equal(ref_text(arena, "prd", (ref_t){32}).data, "prd_0000000000010");
    arena_free(arena);
}

static void other_forms_of_keys_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "ord_",
        "0000000000010",
        "ord_000000000001",
        "ord_00000000000010",
        "prd_0000000000010",
        "ORD_0000000000010",
        "ord-0000000000010",
        "ord_000000000001a",
        "ord_00000000000I0",
        "ord_00000000000L0",
        "ord_00000000000O0",
        "ord_00000000000U0",
        "ord_000000000001 ",
        "ord_8000000000000",
        "ord_ZZZZZZZZZZZZZ",
        "ord_0000000000000",
        "ord_00000000000-1",
    };
    ref_t id = {9};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(ref_read(str_of(bad[i]), "ord", &id));
    assert_false(ref_read(str_from("ord_000000000001\0", 17), "ord", &id));
    assert_false(ref_read(STR("ord_0000000000010"), "or", &id));
    assert_int_equal(id.value, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read_with_offsets_and_decimals),
        cmocka_unit_test(other_forms_of_time_are_refused),
        cmocka_unit_test(times_are_written_with_three_decimals),
        cmocka_unit_test(every_day_reads_back_as_written),
        cmocka_unit_test(shanghai_is_eight_hours_ahead),
        cmocka_unit_test(months_keep_the_anchor_day),
        cmocka_unit_test(the_clock_never_runs_backwards),
        cmocka_unit_test(keys_rise_and_carry_time_and_instance),
        cmocka_unit_test(a_full_counter_rolls_into_the_next_millisecond),
        cmocka_unit_test(a_moment_before_the_epoch_still_makes_a_key),
        cmocka_unit_test(threads_never_make_the_same_key),
        cmocka_unit_test(keys_read_back_as_written),
        cmocka_unit_test(other_forms_of_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
