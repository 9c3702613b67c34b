/* A batch is applied at most once, however often and by whichever leaders it is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/sessions.h"

#define ORIGIN 2

static void a_batch_is_applied_once(void **state)
{
    struct sessions s = {0};
    (void)state;
    assert_false(sessions_has(&s, ORIGIN, 1, 1));
    assert_true(sessions_advance(&s, ORIGIN, 1, 1, 10));
    assert_true(sessions_has(&s, ORIGIN, 1, 1));
    assert_false(sessions_advance(&s, ORIGIN, 1, 1, 11));
    assert_true(sessions_advance(&s, ORIGIN, 1, 2, 12));
    assert_false(sessions_advance(&s, ORIGIN, 1, 1, 13));
}

/* The member gave up the one before without sending it. */
static void a_gap_is_no_reason_to_refuse(void **state)
{
    struct sessions s = {0};
    (void)state;
    assert_true(sessions_advance(&s, ORIGIN, 1, 1, 10));
    assert_true(sessions_advance(&s, ORIGIN, 1, 5, 11));
    assert_true(sessions_has(&s, ORIGIN, 1, 4));
    assert_false(sessions_has(&s, ORIGIN, 1, 6));
    assert_false(sessions_advance(&s, ORIGIN, 1, 4, 12));
}

static void a_batch_from_an_earlier_boot_of_its_life_is_skipped(void **state)
{
    struct sessions s = {0};
    (void)state;
    assert_true(sessions_advance(&s, ORIGIN, 1, 99, 10));
    assert_true(sessions_advance(&s, ORIGIN, 2, 1, 11));
    assert_false(sessions_advance(&s, ORIGIN, 1, 100, 12));
    assert_true(sessions_has(&s, ORIGIN, 1, 100));
    assert_false(sessions_has(&s, ORIGIN, 2, 2));
    assert_true(sessions_advance(&s, ORIGIN, 2, 2, 13));
}

static void members_do_not_disturb_each_other(void **state)
{
    struct sessions s = {0};
    (void)state;
    for (uint64_t origin = 1; origin <= 9; origin++) {
        assert_true(sessions_advance(&s, origin, origin, 1, origin));
    }
    for (uint64_t origin = 1; origin <= 9; origin++) {
        assert_true(sessions_has(&s, origin, origin, 1));
        assert_false(sessions_has(&s, origin, origin, 2));
        assert_true(sessions_advance(&s, origin, origin, 2, 9 + origin));
    }
    assert_int_equal(s.count, 9);
}

static void the_one_not_heard_of_for_longest_is_forgotten_first(void **state)
{
    struct sessions s = {0};
    (void)state;
    for (uint64_t origin = 1; origin <= SESSIONS_MAX; origin++) {
        assert_true(sessions_advance(&s, origin, 1, 1, 100 + origin));
    }
    assert_true(sessions_advance(&s, 1, 1, 2, 500)); /* now 2 is the oldest */
    assert_true(sessions_advance(&s, 1000, 1, 1, 501));
    assert_int_equal(s.count, SESSIONS_MAX);
    assert_false(sessions_has(&s, 2, 1, 1));
    assert_true(sessions_has(&s, 1, 1, 2));
    assert_true(sessions_has(&s, 3, 1, 1));
    assert_true(sessions_has(&s, 1000, 1, 1));
}

static void sessions_come_back_and_leave_what_follows(void **state)
{
    struct sessions s = {0};
    struct sessions back;
    struct buffer b;
    (void)state;
    buffer_init(&b, 10000);
    for (uint64_t origin = 0; origin < SESSIONS_MAX; origin++) {
        assert_true(sessions_advance(&s, UINT64_MAX - origin, origin, ~origin, origin));
    }
    sessions_encode(&s, &b);
    buffer_append_text(&b, "rest");
    const uint8_t *data = b.data;
    size_t len = b.len;
    assert_int_equal(sessions_decode(&back, &data, &len), ST_OK);
    assert_int_equal(len, 4);
    assert_memory_equal(data, "rest", 4);
    assert_int_equal(back.count, s.count);
    for (uint32_t i = 0; i < s.count; i++) {
        assert_memory_equal(&back.list[i], &s.list[i], sizeof s.list[i]);
    }
    buffer_done(&b);
}

static void truncated_or_too_many_sessions_are_refused(void **state)
{
    struct sessions s = {0};
    struct sessions back;
    struct buffer b;
    (void)state;
    buffer_init(&b, 10000);
    assert_true(sessions_advance(&s, 1, 1, 1, 1));
    assert_true(sessions_advance(&s, 2, 1, 1, 1));
    sessions_encode(&s, &b);
    for (size_t n = 0; n < b.len; n++) {
        uint8_t *part = malloc(n > 0 ? n : 1);
        const uint8_t *data = part;
        size_t len = n;
        memcpy(part, b.data, n);
        assert_int_equal(sessions_decode(&back, &data, &len), ST_CORRUPT);
        assert_ptr_equal(data, part);
        assert_int_equal(len, n);
        free(part);
    }
    static const uint32_t counts[] = {SESSIONS_MAX + 1, UINT32_MAX, 0x08000001};
    static uint8_t room[(SESSIONS_MAX + 2) * 32];
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
        const uint8_t *data = room;
        size_t len = sizeof room;
        store_u32(room, counts[i]);
        assert_int_equal(sessions_decode(&back, &data, &len), ST_CORRUPT);
    }
    buffer_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_applied_once),
        cmocka_unit_test(a_gap_is_no_reason_to_refuse),
        cmocka_unit_test(a_batch_from_an_earlier_boot_of_its_life_is_skipped),
        cmocka_unit_test(members_do_not_disturb_each_other),
        cmocka_unit_test(the_one_not_heard_of_for_longest_is_forgotten_first),
        cmocka_unit_test(sessions_come_back_and_leave_what_follows),
        cmocka_unit_test(truncated_or_too_many_sessions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
