/* The mass-expiry brake, for clusters of any size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/node/brake.h"

/* The number of windows until `due` of `leases` have expired. */
static unsigned windows_for(uint32_t leases, uint32_t due)
{
    struct brake brake;
    uint64_t now_ms = 1000;
    unsigned windows = 0;
    brake_begin(&brake, now_ms);
    while (due > 0) {
        uint32_t may = brake_allowance(&brake, leases, now_ms);
        uint32_t expired = due < may ? due : may;
        brake_count(&brake, expired);
        due -= expired;
        windows++;
        now_ms += BRAKE_WINDOW_MS;
    }
    return windows;
}

static void a_share_expires_in_a_window_whatever_the_size(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {12, 100, 1000, 1000000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_int_equal(windows_for(sizes[i], sizes[i] / 4), 1);
        assert_int_equal(windows_for(sizes[i], sizes[i]), 4);
    }
}

static void ten_leases_have_a_brake(void **state)
{
    (void)state;
    assert_int_equal(windows_for(10, 3), 1);
    assert_int_equal(windows_for(10, 4), 2);
    assert_int_equal(windows_for(10, 10), 4);
}

static void three_always_may(void **state)
{
    (void)state;
    for (uint32_t leases = 0; leases <= 12; leases++) {
        assert_int_equal(windows_for(leases, 3), 1);
    }
}

static void what_expired_counts_until_the_window_is_over(void **state)
{
    (void)state;
    struct brake brake;
    brake_begin(&brake, 50);
    assert_int_equal(brake_allowance(&brake, 40, 50), 10);
    brake_count(&brake, 7);
    assert_int_equal(brake_allowance(&brake, 40, 50 + BRAKE_WINDOW_MS - 1), 3);
    /* A window starts with the first expiry. */
    brake_begin(&brake, 0);
    (void)brake_allowance(&brake, 40, 40);
    (void)brake_allowance(&brake, 40, 50);
    brake_count(&brake, 7);
    assert_int_equal(brake_allowance(&brake, 40, 50 + BRAKE_WINDOW_MS - 1), 3);
    /* Fewer leases than before: does not go below zero. */
    assert_int_equal(brake_allowance(&brake, 8, 50 + BRAKE_WINDOW_MS - 1), 0);
    assert_int_equal(brake_allowance(&brake, 8, 50 + BRAKE_WINDOW_MS), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_share_expires_in_a_window_whatever_the_size),
        cmocka_unit_test(ten_leases_have_a_brake),
        cmocka_unit_test(three_always_may),
        cmocka_unit_test(what_expired_counts_until_the_window_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
