/* The subset of MessagePack in use: every number and text is read as written, in any encoding; the
 * first bad value invalidates all later ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/base/compiler.h"
#include "server/wire/pack.h"

static void unsigned_numbers_come_back_from_every_length(void **state)
{
    static const uint64_t numbers[] = {0,          1,          127,       128,
                                       255,        256,        65535,     65536,
                                       UINT32_MAX, 1ull << 32, INT64_MAX, UINT64_MAX,
                                       32768,      2147483648, 0xcc,      0x0102030405060708};
    struct buffer b;
    (void)state;
    buffer_init(&b, 1000);
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        pack_uint(&b, numbers[i]);
    }
    struct unpack in = unpack_begin(b.data, b.len);
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        assert_true(unpack_uint(&in, UINT64_MAX) == numbers[i]);
    }
    assert_true(unpack_finished(&in));
    buffer_done(&b);
}

static void signed_numbers_come_back_from_every_length(void **state)
{
    static const int64_t numbers[] = {
        0,      -1,        -32,       -33,   127,       128,       -128,          -129, -32768,
        -32769, INT32_MIN, INT32_MAX, 65535, INT64_MIN, INT64_MAX, -2147483649ll, 255,  -100};
    struct buffer b;
    (void)state;
    buffer_init(&b, 1000);
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        pack_int(&b, numbers[i]);
    }
    struct unpack in = unpack_begin(b.data, b.len);
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        assert_true(unpack_int(&in) == numbers[i]);
    }
    assert_true(unpack_finished(&in));
    buffer_done(&b);
}

static void numbers_beyond_their_kind_are_bad(void **state)
{
    struct buffer b;
    (void)state;
    buffer_init(&b, 100);
    pack_uint(&b, UINT64_MAX);
    struct unpack in = unpack_begin(b.data, b.len);
    assert_int_equal(unpack_int(&in), 0);
    assert_true(in.bad);
    in = unpack_begin(b.data, b.len);
    assert_int_equal(unpack_uint(&in, UINT64_MAX - 1), 0);
    assert_true(in.bad);
    buffer_clear(&b);
    pack_int(&b, -1);
    in = unpack_begin(b.data, b.len);
    assert_int_equal(unpack_uint(&in, UINT64_MAX), 0);
    assert_true(in.bad);
    buffer_done(&b);
}

static void texts_and_bytes_come_back_from_every_length(void **state)
{
    static const size_t lengths[] = {0, 1, 31, 32, 255, 256, 65535, 65536, 100000};
    static char filler[100000];
    struct buffer b;
    (void)state;
    memset(filler, 'x', sizeof filler);
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        size_t len = lengths[i];
        buffer_init(&b, 1024 * 1024);
        pack_text(&b, filler, len);
        pack_bytes(&b, filler, len);
        struct unpack in = unpack_begin(b.data, b.len);
        struct slice text = unpack_text(&in, len);
        struct slice bytes = unpack_bytes(&in, len);
        assert_true(unpack_finished(&in));
        assert_int_equal(text.len, len);
        assert_int_equal(bytes.len, len);
        assert_memory_equal(text.data, filler, len);
        assert_memory_equal(bytes.data, filler, len);
        if (len > 0) {
            in = unpack_begin(b.data, b.len);
            assert_int_equal(unpack_text(&in, len - 1).len, 0);
            assert_true(in.bad);
        }
        buffer_done(&b);
    }
}

static void a_text_has_no_nul_inside_but_bytes_may(void **state)
{
    struct buffer b;
    (void)state;
    buffer_init(&b, 100);
    pack_bytes(&b, "a\0b", 3);
    pack_text(&b, "a\0b", 3);
    struct unpack in = unpack_begin(b.data, b.len);
    assert_int_equal(unpack_bytes(&in, 3).len, 3);
    assert_false(in.bad);
    (void)unpack_text(&in, 3);
    assert_true(in.bad);
    buffer_done(&b);
}

static void one_kind_is_not_read_as_another(void **state)
{
    struct buffer b;
    (void)state;
    for (int written = 0; written < 4; written++) {
        for (int read = 0; read < 4; read++) {
            buffer_init(&b, 100);
            if (written == 0) {
                pack_uint(&b, 300);
            } else if (written == 1) {
                pack_bool(&b, true);
            } else if (written == 2) {
                pack_text(&b, "x", 1);
            } else {
                pack_bytes(&b, "x", 1);
            }
            struct unpack in = unpack_begin(b.data, b.len);
            if (read == 0) {
                (void)unpack_uint(&in, UINT64_MAX);
            } else if (read == 1) {
                (void)unpack_bool(&in);
            } else if (read == 2) {
                (void)unpack_text(&in, 100);
            } else {
                (void)unpack_bytes(&in, 100);
            }
            assert_int_equal(in.bad, read != written);
            buffer_done(&b);
        }
    }
}

static void after_a_bad_value_everything_is_empty(void **state)
{
    struct buffer b;
    (void)state;
    buffer_init(&b, 100);
    pack_bool(&b, true); /* read as a number: bad */
    pack_uint(&b, 5);
    pack_text(&b, "text", 4);
    pack_bool(&b, true);
    struct unpack in = unpack_begin(b.data, b.len);
    assert_int_equal(unpack_uint(&in, UINT64_MAX), 0);
    assert_int_equal(unpack_uint(&in, UINT64_MAX), 0);
    assert_int_equal(unpack_int(&in), 0);
    assert_int_equal(unpack_text(&in, 100).len, 0);
    assert_non_null(unpack_text(&in, 100).data);
    assert_int_equal(unpack_bytes(&in, 100).len, 0);
    assert_false(unpack_bool(&in));
    assert_false(unpack_finished(&in));
    buffer_done(&b);
}

static void a_length_beyond_the_end_is_bad(void **state)
{
    static const uint8_t cases[][6] = {
        {0xa5, 'x', 'x', 'x', 'x'},          /* short text of 5 */
        {0xd9, 0xff, 'x', 'x', 'x', 'x'},    /* text of 255 */
        {0xdb, 0xff, 0xff, 0xff, 0xff, 'x'}, /* text of 2^32 - 1 */
        {0xc6, 0xff, 0xff, 0xff, 0xff, 'x'}, /* bytes of 2^32 - 1 */
        {0xcf, 1, 2, 3, 4, 5},               /* 8-byte number of 5 bytes */
        {0xc1},
        {0x90},
        {0x80},
        {0xc0},
        {0xca},
        {0xd4}, /* kinds that are not used */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct unpack in = unpack_begin(cases[i], i == 0 ? 5 : 6);
        (void)unpack_text(&in, SIZE_MAX);
        assert_true(in.bad);
        in = unpack_begin(cases[i], 6);
        (void)unpack_bytes(&in, SIZE_MAX);
        assert_true(in.bad);
        if (i >= 4) {
            in = unpack_begin(cases[i], 6);
            (void)unpack_uint(&in, UINT64_MAX);
            assert_true(in.bad);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsigned_numbers_come_back_from_every_length),
        cmocka_unit_test(signed_numbers_come_back_from_every_length),
        cmocka_unit_test(numbers_beyond_their_kind_are_bad),
        cmocka_unit_test(texts_and_bytes_come_back_from_every_length),
        cmocka_unit_test(a_text_has_no_nul_inside_but_bytes_may),
        cmocka_unit_test(one_kind_is_not_read_as_another),
        cmocka_unit_test(after_a_bad_value_everything_is_empty),
        cmocka_unit_test(a_length_beyond_the_end_is_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
