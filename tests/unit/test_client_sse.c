/* Server-sent events: each kind of line in WHATWG HTML, in pieces of any size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/lib/sse.h"

/* Everything received, as "name=data@last_id;" */
struct seen {
    struct sse sse;
    char text[1024];
};

static void on_event(void *ctx, const struct sse_event *event)
{
    struct seen *seen = ctx;
    size_t len = strlen(seen->text);
    assert_int_equal(event->data_len, strlen(event->data));
    snprintf(seen->text + len, sizeof seen->text - len, "%s=%s@%s;", event->name, event->data,
             seen->sse.last_id);
}

static void assert_events(const char *stream, size_t len, const char *expected)
{
    /* In one piece, byte by byte, and split at every position. */
    for (size_t cut = 0; cut <= len + 1; cut++) {
        struct seen seen = {.text = ""};
        sse_init(&seen.sse, on_event, &seen);
        if (cut == len + 1) {
            for (size_t i = 0; i < len; i++) {
                assert_true(sse_feed(&seen.sse, stream + i, 1));
            }
        } else {
            assert_true(sse_feed(&seen.sse, stream, cut));
            assert_true(sse_feed(&seen.sse, stream + cut, len - cut));
        }
        assert_string_equal(seen.text, expected);
        sse_done(&seen.sse);
    }
}

static void check(const char *stream, const char *expected)
{
    assert_events(stream, strlen(stream), expected);
}

static void an_event_has_name_data_and_id(void **state)
{
    (void)state;
    check("id: 17.0\nevent: registered\ndata: {}\n\n", "registered={}@17.0;");
}

static void line_ends_may_be_lf_crlf_or_cr(void **state)
{
    (void)state;
    check("data: a\r\n\r\ndata: b\r\rdata: c\n\n", "message=a@;message=b@;message=c@;");
}

static void data_lines_are_joined_and_one_space_is_dropped(void **state)
{
    (void)state;
    check("data:a\ndata:  b\ndata\n\n", "message=a\n b\n@;");
}

static void comments_and_unknown_fields_are_passed_over(void **state)
{
    (void)state;
    check(": hello\n\n:\nretry: 5\ncolour: red\ndata: x\n\n", "message=x@;");
}

static void an_id_alone_is_a_bookmark_and_no_event(void **state)
{
    (void)state;
    struct seen seen = {.text = ""};
    const char *stream = "data: a\nid: 1.0\n\nid: 9.65535\n\n: still here\nid: 10.0\n";
    sse_init(&seen.sse, on_event, &seen);
    assert_true(sse_feed(&seen.sse, stream, strlen(stream)));
    assert_string_equal(seen.text, "message=a@1.0;");
    /* The id of an incomplete block does not count. */
    assert_string_equal(seen.sse.last_id, "9.65535");
    sse_done(&seen.sse);
}

static void an_event_without_id_leaves_the_last_one(void **state)
{
    (void)state;
    check("id: 3.1\ndata: a\n\nevent: present\ndata: b\n\n", "message=a@3.1;present=b@3.1;");
}

static void a_byte_order_mark_is_skipped_once(void **state)
{
    (void)state;
    check("\xef\xbb\xbf"
          "data: a\n\n\xef\xbb\xbf"
          "data: b\n\n",
          "message=a@;");
    check("\xef\xbb"
          "data: a\n\ndata: b\n\n",
          "message=b@;");
}

static void an_id_with_a_nul_is_ignored(void **state)
{
    (void)state;
    static const char stream[] = "id: 1.0\ndata: a\n\nid: 2\0x\ndata: b\n\n";
    assert_events(stream, sizeof stream - 1, "message=a@1.0;message=b@1.0;");
}

static void an_event_that_is_not_ended_is_not_given(void **state)
{
    (void)state;
    check("data: a\n\ndata: b\n", "message=a@;");
}

static bool feed_run(const char *head, size_t run)
{
    struct seen seen = {.text = ""};
    char *piece = malloc(run);
    memset(piece, 'x', run);
    sse_init(&seen.sse, on_event, &seen);
    bool taken = sse_feed(&seen.sse, head, strlen(head)) && sse_feed(&seen.sse, piece, run) &&
                 sse_feed(&seen.sse, "\n", 1);
    sse_done(&seen.sse);
    free(piece);
    return taken;
}

static void what_is_too_long_ends_the_stream(void **state)
{
    (void)state;
    assert_true(feed_run("", SSE_LINE_BYTES_MAX));
    assert_false(feed_run("", SSE_LINE_BYTES_MAX + 1));
    assert_true(feed_run("id:", SSE_NAME_BYTES_MAX));
    assert_false(feed_run("id:", SSE_NAME_BYTES_MAX + 1));
    assert_true(feed_run("event:", SSE_NAME_BYTES_MAX));
    assert_false(feed_run("event:", SSE_NAME_BYTES_MAX + 1));
}

static void the_data_of_one_event_is_bounded(void **state)
{
    (void)state;
    struct seen seen = {.text = ""};
    static char line[4096];
    memset(line, 'x', sizeof line);
    memcpy(line, "data:", 5);
    line[sizeof line - 1] = '\n';
    sse_init(&seen.sse, on_event, &seen);
    size_t fed = 0;
    while (fed < 2 * SSE_DATA_BYTES_MAX && sse_feed(&seen.sse, line, sizeof line)) {
        fed += sizeof line;
    }
    assert_true(fed > SSE_DATA_BYTES_MAX / 2 && fed < 2 * SSE_DATA_BYTES_MAX);
    sse_done(&seen.sse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_has_name_data_and_id),
        cmocka_unit_test(line_ends_may_be_lf_crlf_or_cr),
        cmocka_unit_test(data_lines_are_joined_and_one_space_is_dropped),
        cmocka_unit_test(comments_and_unknown_fields_are_passed_over),
        cmocka_unit_test(an_id_alone_is_a_bookmark_and_no_event),
        cmocka_unit_test(an_event_without_id_leaves_the_last_one),
        cmocka_unit_test(a_byte_order_mark_is_skipped_once),
        cmocka_unit_test(an_id_with_a_nul_is_ignored),
        cmocka_unit_test(an_event_that_is_not_ended_is_not_given),
        cmocka_unit_test(what_is_too_long_ends_the_stream),
        cmocka_unit_test(the_data_of_one_event_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
