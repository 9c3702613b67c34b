/* The latency histogram: accuracy of its percentiles, at the ends and in the middle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/bench/latency.h"

static void none_has_zero_everywhere(void **state)
{
    (void)state;
    static struct latency latency;
    assert_int_equal(latency_percentile_ns(&latency, 500000), 0);
    assert_int_equal(latency_percentile_ns(&latency, 1000000), 0);
    assert_int_equal(latency_mean_ns(&latency), 0);
}

static void small_values_are_exact(void **state)
{
    (void)state;
    static struct latency latency;
    for (uint64_t i = 1; i <= 100; i++) {
        latency_add(&latency, i);
    }
    assert_int_equal(latency_percentile_ns(&latency, 500000), 50);
    assert_int_equal(latency_percentile_ns(&latency, 990000), 99);
    assert_int_equal(latency_percentile_ns(&latency, 999000), 100);
    assert_int_equal(latency_percentile_ns(&latency, 1000000), 100);
    assert_int_equal(latency_mean_ns(&latency), 50);
}

static void one_value_of_any_size_comes_back_as_it_is(void **state)
{
    (void)state;
    static struct latency latency;
    for (uint64_t value = 1; value < 1ull << LATENCY_BITS; value = value * 3 + 1) {
        latency = (struct latency){.total = 0};
        latency_add(&latency, value);
        assert_int_equal(latency_percentile_ns(&latency, 500000), value);
        assert_int_equal(latency_percentile_ns(&latency, 1000000), value);
    }
}

static void percentile_is_never_below_and_less_than_one_percent_above(void **state)
{
    (void)state;
    static struct latency latency;
    for (uint64_t value = 1; value < 1ull << (LATENCY_BITS - 1); value = value * 5 / 4 + 1) {
        latency = (struct latency){.total = 0};
        latency_add(&latency, value);
        latency_add(&latency, UINT64_MAX);
        uint64_t found = latency_percentile_ns(&latency, 500000);
        assert_true(found >= value);
        assert_true(found - value <= value / LATENCY_SUBS);
    }
}

static void value_above_all_buckets_is_the_maximum(void **state)
{
    (void)state;
    static struct latency latency;
    latency_add(&latency, 5);
    latency_add(&latency, UINT64_MAX / 2);
    assert_int_equal(latency_percentile_ns(&latency, 500000), 5);
    assert_int_equal(latency_percentile_ns(&latency, 1000000), UINT64_MAX / 2);
}

static void rare_outlier_shows_only_where_it_belongs(void **state)
{
    (void)state;
    static struct latency latency;
    for (int i = 0; i < 999; i++) {
        latency_add(&latency, 100);
    }
    latency_add(&latency, 1000000);
    assert_int_equal(latency_percentile_ns(&latency, 990000), 100);
    assert_int_equal(latency_percentile_ns(&latency, 999000), 100);
    assert_true(latency_percentile_ns(&latency, 999001) >= 1000000);
}

static void merged_ones_are_as_one(void **state)
{
    (void)state;
    static struct latency a, b, both;
    for (uint64_t i = 1; i < 5000; i++) {
        latency_add(i % 2 == 0 ? &a : &b, i * i);
        latency_add(&both, i * i);
    }
    latency_merge(&a, &b);
    assert_memory_equal(&a, &both, sizeof both);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_has_zero_everywhere),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(one_value_of_any_size_comes_back_as_it_is),
        cmocka_unit_test(percentile_is_never_below_and_less_than_one_percent_above),
        cmocka_unit_test(value_above_all_buckets_is_the_maximum),
        cmocka_unit_test(rare_outlier_shows_only_where_it_belongs),
        cmocka_unit_test(merged_ones_are_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
