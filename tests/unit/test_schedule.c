/* When the requests of an open loop are due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/bench/schedule.h"

#define SECOND_NS 1000000000ull

static void first_is_due_at_the_beginning_and_the_rest_evenly(void **state)
{
    (void)state;
    struct schedule s;
    schedule_init(&s, 77, 4, 0, 1);
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(schedule_due_ns(&s), 77 + i * SECOND_NS / 4);
        schedule_advance(&s);
    }
}

static void rate_that_divides_no_second_does_not_drift(void **state)
{
    (void)state;
    struct schedule s;
    schedule_init(&s, 0, 7, 0, 1);
    s.next = 7ull * 3600 * 24;
    assert_int_equal(schedule_due_ns(&s), 3600 * 24 * SECOND_NS);
}

static void threads_together_keep_the_rate(void **state)
{
    (void)state;
    struct schedule alone, parts[3];
    schedule_init(&alone, 5, 1000, 0, 1);
    for (uint32_t i = 0; i < 3; i++) {
        schedule_init(&parts[i], 5, 1000, i, 3);
    }
    for (uint32_t i = 0; i < 99; i++) {
        assert_int_equal(schedule_due_ns(&parts[i % 3]), schedule_due_ns(&alone));
        schedule_advance(&parts[i % 3]);
        schedule_advance(&alone);
    }
}

/* The number left equals that of taking them one by one. */
static void left_counts_exactly_those_due_before_the_end(void **state)
{
    (void)state;
    static const uint64_t rates[] = {1, 3, 7, 1000, 999983, SCHEDULE_RATE_MAX};
    for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++) {
        for (uint64_t end_ns = 100; end_ns < 100 + 300 * SECOND_NS / rates[r];
             end_ns += SECOND_NS / rates[r] / 3 + 1) {
            for (uint32_t thread = 0; thread < 2; thread++) {
                struct schedule s;
                schedule_init(&s, 100, rates[r], thread, 2);
                uint64_t left = schedule_left(&s, end_ns);
                for (uint64_t i = 0; i < left; i++) {
                    assert_true(schedule_due_ns(&s) < end_ns);
                    schedule_advance(&s);
                }
                assert_true(schedule_due_ns(&s) >= end_ns);
                assert_int_equal(schedule_left(&s, end_ns), 0);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_is_due_at_the_beginning_and_the_rest_evenly),
        cmocka_unit_test(rate_that_divides_no_second_does_not_drift),
        cmocka_unit_test(threads_together_keep_the_rate),
        cmocka_unit_test(left_counts_exactly_those_due_before_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
