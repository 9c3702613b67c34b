/* When the results of a health check change the verdict. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "client/cli/check.h"

/* Feeds results ('+': success, '-': failure) and compares the verdict after each: 'P', 'C' or '.'
 * (no change). */
static void assert_verdicts(unsigned unhealthy_after, unsigned healthy_after, const char *results,
                            const char *verdicts)
{
    struct check check = {
        .options = {.unhealthy_after = unhealthy_after, .healthy_after = healthy_after}};
    for (size_t i = 0; results[i] != '\0'; i++) {
        bool changed = check_judge(&check, results[i] == '+');
        char verdict = '.';
        if (changed) {
            verdict = check.healthy ? 'P' : 'C';
        }
        assert_int_equal(verdict, verdicts[i]);
    }
}

static void the_first_result_is_told(void **state)
{
    (void)state;
    assert_verdicts(3, 1, "+", "P");
    assert_verdicts(3, 1, "-", "C");
}

static void it_becomes_critical_after_failures_in_a_row(void **state)
{
    (void)state;
    assert_verdicts(3, 1, "+--+--+---", "P........C");
}

static void it_becomes_passing_after_successes_in_a_row(void **state)
{
    (void)state;
    assert_verdicts(1, 3, "-++-+++", "C.....P");
    assert_verdicts(3, 2, "++", ".P");
}

static void a_start_that_fails_does_not_count_towards_success(void **state)
{
    (void)state;
    assert_verdicts(3, 2, "+-+-++", ".C...P");
}

static void targets_are_checked(void **state)
{
    (void)state;
    char error[256];
    assert_true(check_validate("http://127.0.0.1:80/", error, sizeof error));
    assert_true(check_validate("tcp://[::1]:80", error, sizeof error));
    assert_true(check_validate("test -e /tmp/ready", error, sizeof error));
    assert_false(check_validate("", error, sizeof error));
    assert_false(check_validate("tcp://:80", error, sizeof error));
    assert_false(check_validate("tcp://host", error, sizeof error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_result_is_told),
        cmocka_unit_test(it_becomes_critical_after_failures_in_a_row),
        cmocka_unit_test(it_becomes_passing_after_successes_in_a_row),
        cmocka_unit_test(a_start_that_fails_does_not_count_towards_success),
        cmocka_unit_test(targets_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
