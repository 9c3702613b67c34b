/* Events counted in a stream, however it is torn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/bench/sse.h"

static uint32_t count(const char *text, size_t step)
{
    struct sse sse;
    uint32_t events = 0;
    size_t len = strlen(text);
    sse_begin(&sse);
    for (size_t at = 0; at < len; at += step) {
        events += sse_feed(&sse, text + at, len - at < step ? len - at : step);
    }
    return events;
}

static void assert_count(const char *text, uint32_t expected)
{
    for (size_t step = 1; step <= strlen(text); step++) {
        assert_int_equal(count(text, step), expected);
    }
}

static void events_are_counted_at_the_end_of_their_block(void **state)
{
    (void)state;
    assert_count("id: 17.0\nevent: registered\ndata: {\"a\":1}\n", 0);
    assert_count("id: 17.0\nevent: registered\ndata: {\"a\":1}\n\n"
                 "id: 17.1\nevent: updated\ndata: {\ndata: }\n\n",
                 2);
    assert_count("event: expired\r\ndata: {}\r\n\r\n", 1);
}

static void bookmarks_comments_and_marks_are_not_events(void **state)
{
    (void)state;
    assert_count("id: 17.0\n\n: still open\n\nevent: present\ndata: {}\n\n"
                 "id: 9.0\nevent: synced\ndata: {}\n\nid: 9.0\nevent: reset\ndata: {}\n\n"
                 "event: updated\n\ndata: without a name\n\n",
                 0);
}

static void names_that_only_begin_like_a_mark_are_events(void **state)
{
    (void)state;
    assert_count("event: resettled\ndata: {}\n\n", 1);
}

static void long_lines_are_passed_over(void **state)
{
    (void)state;
    char text[4096];
    memset(text, 'x', sizeof text);
    memcpy(text, "event: updated\ndata: ", 21);
    memcpy(text + 4000, "\n\nevent: reset\ndata: {}\n\n", 26);
    assert_int_equal(count(text, 1), 1);
    assert_int_equal(count(text, 4096), 1);
    assert_int_equal(count(text, 33), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_counted_at_the_end_of_their_block),
        cmocka_unit_test(bookmarks_comments_and_marks_are_not_events),
        cmocka_unit_test(names_that_only_begin_like_a_mark_are_events),
        cmocka_unit_test(long_lines_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
