/* Shared text lives as long as any of its users, and is counted once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/base/rendered.h"

#define BIG   ((size_t)BUDGET_FREE_BYTES + 1)
#define SMALL ((size_t)100)

static struct budget budget;

static int set_up(void **state)
{
    (void)state;
    budget_init(&budget, 4 * BIG, METRIC_http_answers_bytes);
    return 0;
}

static size_t used(void)
{
    return atomic_load(&budget.used);
}

static struct rendered *text_of(size_t len)
{
    struct buffer out;
    buffer_init(&out, 1024 * 1024);
    for (size_t i = 0; i < len; i++) {
        buffer_append_byte(&out, 'x');
    }
    buffer_count_in(&out, &budget);
    return rendered_take(&out);
}

static void what_is_left_of_a_budget_can_be_taken_and_no_more(void **state)
{
    (void)state;
    assert_true(budget_take(&budget, 3 * BIG));
    assert_false(budget_take(&budget, BIG + 1));
    assert_false(budget_has(&budget, BIG + 1));
    assert_true(budget_take(&budget, BIG));
    assert_false(budget_take(&budget, 1));
    budget_add(&budget, 10); /* over it */
    assert_false(budget_has(&budget, 0));
    assert_false(budget_take(&budget, SIZE_MAX));
    assert_int_equal(metric_get(METRIC_http_answers_bytes), 4 * BIG + 10);
    budget_give(&budget, 4 * BIG + 10);
    assert_true(budget_has(&budget, 4 * BIG));
    assert_int_equal(metric_get(METRIC_http_answers_bytes), 0);
}

static void a_buffer_takes_from_its_budget_what_it_grows_to(void **state)
{
    struct buffer out;
    (void)state;
    buffer_init(&out, 100 * BIG);
    buffer_count_in(&out, &budget);
    (void)buffer_reserve(&out, SMALL);
    assert_int_equal(used(), 0);
    (void)buffer_reserve(&out, BIG);
    assert_int_equal(used(), out.capacity);
    assert_false(buffer_reserve(&out, 4 * BIG));
    assert_true(out.overflowed && out.starved);
    buffer_clear(&out);
    assert_false(out.overflowed || out.starved);
    assert_int_equal(used(), out.capacity);
    buffer_done(&out);
    assert_int_equal(used(), 0);
    /* Its own limit is a different matter. */
    assert_false(buffer_reserve(&out, 101 * BIG));
    assert_true(out.overflowed && !out.starved);
    buffer_clear(&out);
    (void)buffer_reserve(&out, BIG);
    size_t len;
    free(buffer_take(&out, &len));
    assert_int_equal(used(), 0);
}

static void a_large_text_counts_once_however_many_send_it(void **state)
{
    (void)state;
    struct rendered *text = text_of(BIG);
    assert_int_equal(used(), 0); /* nobody does yet */
    for (int i = 0; i < 100; i++) {
        assert_true(rendered_send(text));
        assert_int_equal(used(), BIG);
    }
    for (int i = 0; i < 100; i++) {
        assert_int_equal(used(), BIG);
        rendered_sent(text);
    }
    assert_int_equal(used(), 0);
    rendered_unref(text);
}

static void a_text_is_refused_only_while_nobody_sends_it(void **state)
{
    (void)state;
    struct rendered *text = text_of(BIG), *other = text_of(BIG), *small = text_of(SMALL);
    assert_true(rendered_send(text));
    assert_true(budget_take(&budget, 3 * BIG));
    assert_true(rendered_send(text));
    assert_false(rendered_send(other));
    assert_true(rendered_send(small));
    rendered_send_always(other);
    assert_int_equal(used(), 5 * BIG);
    rendered_sent(small);
    rendered_sent(other);
    rendered_sent(text);
    rendered_sent(text);
    budget_give(&budget, 3 * BIG);
    assert_int_equal(used(), 0);
    rendered_unref(text);
    rendered_unref(other);
    rendered_unref(small);
}

static void a_text_outlives_whoever_made_it_while_it_is_sent(void **state)
{
    (void)state;
    struct rendered *text = text_of(BIG);
    assert_true(rendered_send(text));
    rendered_unref(text);
    assert_int_equal(text->data[BIG - 1], 'x');
    rendered_sent(text); /* the sanitizer detects a leak or a double free */
    assert_int_equal(used(), 0);
}

static void the_first_of_several_is_kept_with_what_it_owns(void **state)
{
    (void)state;
    struct rendered *text = text_of(BIG), *first = text_of(SMALL), *second = text_of(SMALL);
    assert_ptr_equal(rendered_keep(&text->gzip, first), first);
    assert_ptr_equal(rendered_keep(&text->gzip, second), first);
    assert_true(rendered_send(first));
    rendered_unref(text);
    assert_int_equal(first->data[0], 'x');
    rendered_sent(first);
}

#define CASE(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_left_of_a_budget_can_be_taken_and_no_more),
        CASE(a_buffer_takes_from_its_budget_what_it_grows_to),
        CASE(a_large_text_counts_once_however_many_send_it),
        CASE(a_text_is_refused_only_while_nobody_sends_it),
        CASE(a_text_outlives_whoever_made_it_while_it_is_sent),
        CASE(the_first_of_several_is_kept_with_what_it_owns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
