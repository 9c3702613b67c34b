/* Request bodies on the wire: by length and chunked, in pieces of any size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/http/framing.h"
#include "server/base/compiler.h"

static char body[256];
static size_t body_len;

/* The number of bytes of `wire` read, given `step` bytes at a time. */
static size_t read_all(struct framing *f, const char *wire, size_t len, size_t step)
{
    size_t at = 0;
    body_len = 0;
    while (at < len && f->state < FRAMING_OVER) {
        const char *data;
        size_t data_len, there = len - at < step ? len - at : step;
        size_t used = framing_read(f, wire + at, there, &data, &data_len);
        assert_true(data_len <= used && used <= there);
        memcpy(body + body_len, data_len > 0 ? data : wire, data_len);
        body_len += data_len;
        at += used;
    }
    return at;
}

static void a_body_of_known_length_ends_there(void **state)
{
    (void)state;
    for (size_t step = 1; step <= 8; step++) {
        struct framing f;
        framing_begin(&f, false, 5);
        assert_int_equal(read_all(&f, "helloGET", 8, step), 5);
        assert_int_equal(f.state, FRAMING_OVER);
        assert_memory_equal(body, "hello", 5);
    }
    struct framing none;
    framing_begin(&none, false, 0);
    assert_int_equal(none.state, FRAMING_OVER);
}

static void chunks_are_put_together(void **state)
{
    static const char wire[] = "5\r\nhello\r\n00A;a=\"b\"\r\n, world...\r\n0\r\nA: b\r\n\r\nGET";
    (void)state;
    for (size_t step = 1; step < sizeof wire; step++) {
        struct framing f;
        framing_begin(&f, true, 0);
        assert_int_equal(read_all(&f, wire, sizeof wire - 1, step), sizeof wire - 1 - 3);
        assert_int_equal(f.state, FRAMING_OVER);
        assert_int_equal(body_len, 15);
        assert_memory_equal(body, "hello, world...", 15);
    }
}

static void chunks_that_could_be_read_in_two_ways_are_bad(void **state)
{
    static const char *const wires[] = {
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n",
        "+5\r\nhello\r\n",
        "-1\r\n",
        "\r\nhello",
        ";a\r\nhello",
        "5;a\nhello",
        "5\r\rhello",
        "zz\r\n",
        "00000000000000005\r\nhello",
        "fffffffffffffffff\r\n",
        "5;a\rb\r\nhello",
        "0\r\nA: b\n\r\n",
        "0\r\nA\001: b\r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(wires); i++) {
        for (size_t step = 1; step <= strlen(wires[i]); step++) {
            struct framing f;
            framing_begin(&f, true, 0);
            (void)read_all(&f, wires[i], strlen(wires[i]), step);
            if (f.state != FRAMING_BAD) {
                fail_msg("row %zu in steps of %zu: state %d", i, step, (int)f.state);
            }
        }
    }
}

static void extensions_and_trailers_are_bounded(void **state)
{
    (void)state;
    for (int trailers = 0; trailers < 2; trailers++) {
        struct framing f;
        const char *data;
        size_t len;
        const char *begin = trailers ? "0\r\nA:" : "5;";
        framing_begin(&f, true, 0);
        (void)framing_read(&f, begin, strlen(begin), &data, &len);
        for (int i = 0; i < 100000 && f.state != FRAMING_BAD; i++) {
            (void)framing_read(&f, "a", 1, &data, &len);
        }
        assert_int_equal(f.state, FRAMING_BAD);
    }
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_body_of_known_length_ends_there),
        TEST(chunks_are_put_together),
        TEST(chunks_that_could_be_read_in_two_ways_are_bad),
        TEST(extensions_and_trailers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
