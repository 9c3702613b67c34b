/* The parser of HTTP responses: complete, split at every byte, malformed, and over its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client/bench/answer.h"

static const char plain[] = "HTTP/1.1 201 Created\r\nDate: x\r\ncontent-LENGTH:  14 \r\n"
                            "X-Muster-Index: 3\r\n\r\n{\"index\":1234}";
static const char chunked[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                              "5\r\nhello\r\nA;x=y\r\n, world, 1\r\n0\r\nTrailer: t\r\n\r\n";

struct body {
    char text[256];
    size_t len;
};

static void collect(void *data, const char *bytes, size_t len)
{
    struct body *body = data;
    assert_true(body->len + len < sizeof body->text);
    memcpy(body->text + body->len, bytes, len);
    body->len += len;
    body->text[body->len] = '\0';
}

/* Feeds pieces of `step` bytes until the response ends; *ret_used: the bytes consumed. */
static enum answer_verdict feed(struct answer *answer, const char *text, size_t step,
                                size_t *ret_used)
{
    size_t len = strlen(text);
    enum answer_verdict verdict = ANSWER_MORE;
    *ret_used = 0;
    answer_begin(answer);
    while (verdict == ANSWER_MORE && *ret_used < len) {
        size_t used, piece = len - *ret_used < step ? len - *ret_used : step;
        char copy[4096]; /* so that reads beyond the piece are detected */
        assert_true(piece <= sizeof copy);
        memcpy(copy, text + *ret_used, piece);
        memset(copy + piece, 'Z', sizeof copy - piece);
        verdict = answer_feed(answer, copy, piece, &used);
        assert_true(used <= piece);
        assert_true(verdict != ANSWER_MORE || used == piece);
        *ret_used += used;
    }
    return verdict;
}

static enum answer_verdict verdict_of(const char *text)
{
    struct answer answer = {.status = 0};
    size_t used;
    return feed(&answer, text, 4096, &used);
}

static void answer_torn_at_any_byte_is_the_same(void **state)
{
    (void)state;
    for (size_t step = 1; step <= sizeof plain; step++) {
        struct body body = {.len = 0};
        struct answer answer = {.body_cb = collect, .data = &body};
        size_t used;
        assert_int_equal(feed(&answer, plain, step, &used), ANSWER_DONE);
        assert_int_equal(used, strlen(plain));
        assert_int_equal(answer.status, 201);
        assert_true(answer.keep_alive);
        assert_string_equal(body.text, "{\"index\":1234}");
        assert_string_equal(answer.kept, body.text);
        assert_int_equal(answer_number(&answer, "index"), 1234);
        assert_int_equal(answer_number(&answer, "inde"), 0);
    }
}

static void chunks_torn_at_any_byte_are_joined(void **state)
{
    (void)state;
    for (size_t step = 1; step <= sizeof chunked; step++) {
        struct body body = {.len = 0};
        struct answer answer = {.body_cb = collect, .data = &body};
        size_t used;
        assert_int_equal(feed(&answer, chunked, step, &used), ANSWER_DONE);
        assert_int_equal(used, strlen(chunked));
        assert_string_equal(body.text, "hello, world, 1");
        assert_int_equal(answer.body_bytes, 15);
    }
}

static void bytes_after_the_answer_are_left(void **state)
{
    (void)state;
    struct answer answer = {.status = 0};
    size_t used;
    assert_int_equal(feed(&answer, "HTTP/1.1 204 No Content\r\n\r\nHTTP", 4096, &used),
                     ANSWER_DONE);
    assert_int_equal(used, strlen("HTTP/1.1 204 No Content\r\n\r\n"));
}

static void interim_answers_are_passed_over(void **state)
{
    (void)state;
    struct answer answer = {.status = 0};
    size_t used;
    assert_int_equal(feed(&answer,
                          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 \r\n"
                          "Content-Length: 0\r\n\r\n",
                          4096, &used),
                     ANSWER_DONE);
    assert_int_equal(answer.status, 404);
}

static void the_end_of_keep_alive_is_seen(void **state)
{
    (void)state;
    static const char *const ends[] = {
        "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        struct answer answer = {.status = 0};
        size_t used;
        assert_int_equal(feed(&answer, ends[i], 4096, &used), ANSWER_DONE);
        assert_false(answer.keep_alive);
    }
}

static void malformed_answers_are_refused(void **state)
{
    (void)state;
    static const char *const malformed[] = {
        "\r\n",
        "HTTP/2 200 OK\r\n",
        "HTTP/1.1 2000 OK\r\n",
        "HTTP/1.1 099 OK\r\n",
        "HTTP/1.1 600 OK\r\n",
        "HTTP/1.1 2x0 OK\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: \r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 12a\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    };
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        if (verdict_of(malformed[i]) != ANSWER_MALFORMED) {
            fail_msg("taken: %s", malformed[i]);
        }
    }
}

static void endless_lines_and_heads_are_refused(void **state)
{
    (void)state;
    static char text[64 * 1024];
    int len = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nX: ");
    memset(text + len, 'x', ANSWER_LINE_BYTES_MAX);
    for (size_t step = 1; step < 4096; step *= 7) {
        struct answer answer = {.status = 0};
        size_t used;
        assert_int_equal(feed(&answer, text, step, &used), ANSWER_MALFORMED);
    }
    for (int i = len - 3; i + 10 < (int)sizeof text;) {
        i += snprintf(text + i, sizeof text - (size_t)i, "A: b\r\n");
    }
    struct answer answer = {.status = 0};
    size_t used;
    assert_int_equal(feed(&answer, text, 4096, &used), ANSWER_MALFORMED);
    assert_true(used <= ANSWER_HEAD_BYTES_MAX + 64);
}

static void kept_bytes_have_a_limit(void **state)
{
    (void)state;
    static char text[4096];
    int len = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n");
    memset(text + len, '7', 3000);
    for (size_t step = 1; step < 4096; step *= 5) {
        struct answer answer = {.status = 0};
        size_t used;
        assert_int_equal(feed(&answer, text, step, &used), ANSWER_DONE);
        assert_int_equal(answer.kept_len, ANSWER_KEPT_BYTES);
        assert_int_equal(strlen(answer.kept), ANSWER_KEPT_BYTES);
        assert_int_equal(answer.body_bytes, 3000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answer_torn_at_any_byte_is_the_same),
        cmocka_unit_test(chunks_torn_at_any_byte_are_joined),
        cmocka_unit_test(bytes_after_the_answer_are_left),
        cmocka_unit_test(interim_answers_are_passed_over),
        cmocka_unit_test(the_end_of_keep_alive_is_seen),
        cmocka_unit_test(malformed_answers_are_refused),
        cmocka_unit_test(endless_lines_and_heads_are_refused),
        cmocka_unit_test(kept_bytes_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
