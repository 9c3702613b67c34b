/* Heads of HTTP requests: what is accepted, and what is refused because two parsers could read it
 * differently. The whole table on the wire: tests/integration/test_raw_http.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/http/head.h"
#include "server/base/buffer.h"
#include "server/base/compiler.h"
#include "server/base/limits.h"

static struct head head;
static struct head_refusal refusal;
static char text[HTTP_HEAD_BYTES_MAX];

/* 200 if accepted, 0 if incomplete. */
static int status_of(const char *bytes, size_t len)
{
    size_t at = 0;
    switch (head_scan(bytes, len, &at)) {
    case HEAD_MORE:
        return 0;
    case HEAD_BAD:
        return head_bad().status;
    case HEAD_COMPLETE:
        break;
    }
    assert_int_equal(at, len);
    memcpy(text, bytes, len);
    return head_parse(&head, text, len, &refusal) ? 200 : refusal.status;
}

#define STATUS(text) status_of(text, sizeof(text) - 1)
#define H            "Host: x\r\n"

static void a_request_is_taken_apart(void **state)
{
    (void)state;
    assert_int_equal(STATUS("POST /register?a=b HTTP/1.1\r\nhost:\t x:9000 \r\nA: \r\nB:b c\t\r\n"
                            "content-length: 12\r\nExpect: 100-Continue\r\n\r\n"),
                     200);
    assert_string_equal(head.method, "POST");
    assert_string_equal(head.target, "/register?a=b");
    assert_string_equal(head_find(&head, "HOST"), "x:9000");
    assert_string_equal(head_find(&head, "a"), "");
    assert_string_equal(head_find(&head, "b"), "b c");
    assert_null(head_find(&head, "c"));
    assert_int_equal(head.fields_count, 5);
    assert_true(head.has_length && head.length == 12 && !head.chunked);
    assert_true(head.expects_continue && head.keep_alive && !head.is_http_1_0);
}

static void a_target_with_a_host_is_the_path_at_that_host(void **state)
{
    static const struct {
        const char *target, *path, *host;
    } rows[] = {{"http://a:1/b?c", "/b?c", "a:1"},
                {"HTTPS://a", "/", "a"},
                {"http://a?c", "/?c", "a"},
                {"http://[::1]:9000/", "/", "[::1]:9000"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char bytes[128];
        int len = snprintf(bytes, sizeof bytes, "GET %s HTTP/1.1\r\nHost: other\r\nA: b\r\n\r\n",
                           rows[i].target);
        assert_int_equal(status_of(bytes, (size_t)len), 200);
        assert_string_equal(head.target, rows[i].path);
        assert_string_equal(head_find(&head, "Host"), rows[i].host);
        assert_string_equal(head_find(&head, "A"), "b");
    }
}

static void a_connection_stays_as_its_version_and_client_want(void **state)
{
    (void)state;
    assert_int_equal(STATUS("GET / HTTP/1.1\r\n" H "Connection: upgrade, Close\r\n\r\n"), 200);
    assert_false(head.keep_alive);
    assert_int_equal(STATUS("GET / HTTP/1.0\r\n\r\n"), 200);
    assert_false(head.keep_alive);
    assert_int_equal(STATUS("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), 200);
    assert_true(head.keep_alive);
    assert_int_equal(STATUS("GET / HTTP/1.7\r\n" H "\r\n"), 200);
    assert_true(head.keep_alive && !head.is_http_1_0);
}

static void a_head_comes_in_pieces_of_any_size(void **state)
{
    static const char bytes[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\nmore";
    (void)state;
    size_t at = 0, len = 0;
    while (head_scan(bytes, len, &at) == HEAD_MORE) {
        len++;
    }
    assert_int_equal(len, sizeof bytes - 1 - 4);
    assert_int_equal(at, len);
}

static void what_could_be_read_in_two_ways_is_refused(void **state)
{
    (void)state;
    assert_int_equal(STATUS("GET / HTTP/1.1\nHost: x\n\n"), 400);
    assert_int_equal(STATUS("GET / HTTP/1.1\r\n" H "\n"), 400);
    assert_int_equal(STATUS("GET / HTTP/1.1\r\n" H "A: b\rc: d\r\n\r\n"), 400);
    assert_int_equal(STATUS("GET / HTTP/1.1\r\n" H "A: b\0c\r\n\r\n"), 400);
    assert_int_equal(STATUS("GET /\0 HTTP/1.1\r\n" H "\r\n"), 400);
    assert_int_equal(STATUS("GET / HTTP/1.1\r\n" H " folded\r\n\r\n"), 400);
    assert_int_equal(STATUS("GET / HTTP/1.1\r\n\tA: b\r\n" H "\r\n"), 400);
    assert_int_equal(STATUS("GET / HTTP/1.1\r\nHost : x\r\n\r\n"), 400);
    assert_int_equal(STATUS("GET / HTTP/1.1\r\n" H "no colon\r\n\r\n"), 400);
    assert_int_equal(STATUS("GET / HTTP/1.1\r\n" H ": no name\r\n\r\n"), 400);
    assert_int_equal(STATUS("GET  / HTTP/1.1\r\n" H "\r\n"), 400);
    assert_int_equal(STATUS("GET / HTTP/1.1 \r\n" H "\r\n"), 400);
    assert_int_equal(STATUS("GET / b HTTP/1.1\r\n" H "\r\n"), 400);
    assert_int_equal(STATUS("GET / HTTP/1.1\r\n\r\n"), 400);
    assert_int_equal(STATUS("GET / HTTP/1.1\r\n" H H "\r\n"), 400);
    assert_int_equal(STATUS("GET / HTTP/1.0\r\n" H H "\r\n"), 400);
    assert_int_equal(STATUS("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), 400);
    assert_int_equal(STATUS("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400);
    assert_int_equal(STATUS("GET http:///b HTTP/1.1\r\n" H "\r\n"), 400);
    assert_int_equal(STATUS("GET http://u@a/b HTTP/1.1\r\n" H "\r\n"), 400);
    assert_int_equal(STATUS("GET ftp://a/b HTTP/1.1\r\n" H "\r\n"), 400);
    assert_int_equal(STATUS("GET b HTTP/1.1\r\n" H "\r\n"), 400);
    assert_int_equal(STATUS("GET /#b HTTP/1.1\r\n" H "\r\n"), 400);
    assert_int_equal(STATUS("GET * HTTP/1.1\r\n" H "\r\n"), 400);
    assert_int_equal(STATUS("OPTIONS * HTTP/1.1\r\n" H "\r\n"), 200);
}

static void a_body_has_one_length(void **state)
{
    (void)state;
    assert_int_equal(
        STATUS("POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"), 400);
    assert_int_equal(STATUS("POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\n"), 400);
    assert_int_equal(STATUS("POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\n"), 400);
    assert_int_equal(STATUS("POST / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\n"), 400);
    assert_int_equal(STATUS("POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n"), 400);
    assert_int_equal(STATUS("POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n"),
                     413);
    assert_int_equal(
        STATUS("POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        400);
    assert_int_equal(STATUS("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n"),
                     400);
    assert_int_equal(STATUS("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
    assert_int_equal(STATUS("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n"),
                     501);
    assert_int_equal(STATUS("POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n"), 200);
    assert_true(head.chunked);
}

static void what_is_not_understood_has_a_status_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(STATUS("GET / HTTP/2.0\r\n" H "\r\n"), 505);
    assert_int_equal(STATUS("GET / HTTP/0.9\r\n\r\n"), 505);
    assert_int_equal(STATUS("GET /\r\n\r\n"), 400);
    assert_int_equal(STATUS("GET / http/1.1\r\n" H "\r\n"), 400);
    assert_int_equal(STATUS("CONNECT a:80 HTTP/1.1\r\n" H "\r\n"), 501);
    assert_int_equal(STATUS("POST / HTTP/1.1\r\n" H "Expect: 200-ok\r\n\r\n"), 417);
    assert_int_equal(
        STATUS("POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Encoding: gzip\r\n\r\n"), 415);
}

static void limits_are_kept_and_passed(void **state)
{
    (void)state;
    struct {
        int target, fields, status;
    } rows[] = {{HTTP_TARGET_BYTES_MAX, 1, 200},
                {HTTP_TARGET_BYTES_MAX + 1, 1, 414},
                {1, HTTP_FIELDS_MAX, 200},
                {1, HTTP_FIELDS_MAX + 1, 431}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buffer bytes;
        buffer_init(&bytes, HTTP_HEAD_BYTES_MAX);
        buffer_printf(&bytes, "GET /%0*d HTTP/1.1\r\nHost: x\r\n", rows[i].target - 1, 0);
        for (int j = 1; j < rows[i].fields; j++) {
            buffer_append_text(&bytes, "A: b\r\n");
        }
        buffer_append_text(&bytes, "\r\n");
        assert_false(bytes.overflowed);
        assert_int_equal(status_of((const char *)bytes.data, bytes.len), rows[i].status);
        buffer_done(&bytes);
    }
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_taken_apart),
        TEST(a_target_with_a_host_is_the_path_at_that_host),
        TEST(a_connection_stays_as_its_version_and_client_want),
        TEST(a_head_comes_in_pieces_of_any_size),
        TEST(what_could_be_read_in_two_ways_is_refused),
        TEST(a_body_has_one_length),
        TEST(what_is_not_understood_has_a_status_of_its_own),
        TEST(limits_are_kept_and_passed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
