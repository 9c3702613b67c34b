/* An unreachable member is logged, not at once, at growing intervals, with the latest reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/peer/trouble.h"

static void it_is_said_at_growing_distance(void **state)
{
    (void)state;
    struct trouble t = {.reason = ""};
    uint64_t said_ms[20];
    size_t said = 0;
    for (uint64_t now_ms = 1000; now_ms < 3 * 3600 * 1000 && said < 20; now_ms += 50) {
        trouble_note(&t, "nobody listens there", NULL, now_ms);
        if (trouble_is_due(&t, now_ms)) {
            said_ms[said++] = now_ms;
        }
    }
    assert_int_equal(said_ms[0], 1000 + TROUBLE_FIRST_MS);
    assert_int_equal(said_ms[1] - said_ms[0], TROUBLE_DISTANCE_MS);
    for (size_t i = 2; i < said; i++) {
        uint64_t distance_ms = said_ms[i] - said_ms[i - 1];
        uint64_t twice_ms = 2 * (said_ms[i - 1] - said_ms[i - 2]);
        assert_int_equal(distance_ms,
                         twice_ms < TROUBLE_DISTANCE_MAX ? twice_ms : TROUBLE_DISTANCE_MAX);
    }
    assert_int_equal(said, 20);
}

static void a_member_that_comes_soon_is_not_worth_a_word(void **state)
{
    (void)state;
    struct trouble t = {.reason = ""};
    trouble_note(&t, "nobody listens there", NULL, 1000);
    assert_false(trouble_is_due(&t, 1000 + TROUBLE_FIRST_MS - 1));
    assert_false(trouble_end(&t));
    assert_string_equal(t.reason, "");
    /* The next problem starts over. */
    trouble_note(&t, "nobody listens there", NULL, 5000);
    assert_false(trouble_is_due(&t, 5000));
    assert_true(trouble_is_due(&t, 5000 + TROUBLE_FIRST_MS));
    assert_true(trouble_end(&t));
    assert_false(trouble_is_due(&t, 100000));
}

static void the_latest_reason_counts(void **state)
{
    (void)state;
    char longest[500];
    struct trouble t = {.reason = ""};
    trouble_note(&t, "nobody listens there", NULL, 1000);
    trouble_note(&t, "the name does not resolve", "unknown node or service", 1050);
    assert_string_equal(t.reason, "the name does not resolve: unknown node or service");
    assert_int_equal(t.since_ms, 1000);
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    trouble_note(&t, "it is", longest, 1100);
    assert_int_equal(strlen(t.reason), TROUBLE_REASON_SIZE - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_said_at_growing_distance),
        cmocka_unit_test(a_member_that_comes_soon_is_not_worth_a_word),
        cmocka_unit_test(the_latest_reason_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
