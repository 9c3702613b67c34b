/* A buffer never exceeds its ceiling, never truncates, and reports overflow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/base/buffer.h"

static void content_up_to_the_limit_is_kept_whole(void **state)
{
    struct buffer b;
    (void)state;
    buffer_init(&b, 300);
    for (int i = 0; i < 100; i++) {
        buffer_append_text(&b, "abc");
    }
    assert_false(b.overflowed);
    assert_int_equal(b.len, 300);
    for (size_t i = 0; i < b.len; i++) {
        assert_int_equal(b.data[i], "abc"[i % 3]);
    }
    buffer_done(&b);
}

static void an_append_past_the_limit_is_dropped_and_so_are_later_ones(void **state)
{
    struct buffer b;
    (void)state;
    buffer_init(&b, 10);
    buffer_append_text(&b, "12345678");
    buffer_append_text(&b, "abc");
    assert_true(b.overflowed);
    assert_int_equal(b.len, 8);
    buffer_append_text(&b, "z"); /* would fit */
    buffer_append_byte(&b, 'z');
    buffer_printf(&b, "z");
    buffer_append_u16(&b, 1);
    assert_false(buffer_reserve(&b, 0));
    assert_int_equal(b.len, 8);
    assert_memory_equal(b.data, "12345678", 8);
    buffer_done(&b);
}

static void single_bytes_stop_at_the_limit_too(void **state)
{
    static const size_t limits[] = {0, 1, 10, 63, 64, 65, 100, 1000};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
        struct buffer b;
        buffer_init(&b, limits[i]);
        for (size_t n = 0; n < limits[i]; n++) {
            buffer_append_byte(&b, 'x');
            assert_false(b.overflowed);
        }
        buffer_append_byte(&b, 'x');
        assert_true(b.overflowed);
        assert_int_equal(b.len, limits[i]);
        buffer_done(&b);
    }
}

static void huge_lengths_do_not_wrap_around_the_limit(void **state)
{
    struct buffer b;
    (void)state;
    buffer_init(&b, 1000);
    buffer_append_text(&b, "x");
    assert_false(buffer_reserve(&b, SIZE_MAX));
    assert_true(b.overflowed);
    assert_int_equal(b.len, 1);
    buffer_done(&b);
}

static void cleared_buffer_starts_over_in_its_memory(void **state)
{
    struct buffer b;
    (void)state;
    buffer_init(&b, 4);
    buffer_append_text(&b, "12345");
    assert_true(b.overflowed);
    buffer_append_text(&b, "");
    buffer_clear(&b);
    assert_false(b.overflowed);
    buffer_append_text(&b, "1234");
    const uint8_t *data = b.data;
    buffer_clear(&b);
    buffer_append_text(&b, "abcd");
    assert_ptr_equal(b.data, data);
    assert_memory_equal(b.data, "abcd", 4);
    buffer_done(&b);
    buffer_done(&b);
    assert_null(b.data);
    assert_int_equal(b.limit, 4);
}

static void taken_bytes_belong_to_the_caller(void **state)
{
    struct buffer b;
    size_t len;
    (void)state;
    buffer_init(&b, 100);
    buffer_append_text(&b, "mine");
    uint8_t *data = buffer_take(&b, &len);
    assert_int_equal(len, 4);
    assert_int_equal(b.len, 0);
    assert_null(b.data);
    buffer_append_text(&b, "other");
    assert_memory_equal(data, "mine", 4);
    free(data);
    buffer_done(&b);
}

static void formatted_text_grows_the_buffer_and_is_not_cut(void **state)
{
    struct buffer b;
    (void)state;
    buffer_init(&b, 200);
    buffer_printf(&b, "%s=%d", "answer", 42);
    buffer_printf(&b, "%100s", "right");
    assert_false(b.overflowed);
    assert_int_equal(b.len, 109);
    assert_memory_equal(b.data, "answer=42 ", 10);
    assert_memory_equal(b.data + 104, "right", 5);
    buffer_printf(&b, "%100s", "right");
    assert_true(b.overflowed);
    assert_int_equal(b.len, 109);
    buffer_done(&b);
}

static void numbers_are_little_endian_and_need_no_alignment(void **state)
{
    static const uint8_t expected[] = {0x22, 0x11, 0x66, 0x55, 0x44, 0x33, 0xff,
                                       0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, 0x88};
    uint8_t bytes[1 + 8];
    struct buffer b;
    (void)state;
    buffer_init(&b, 100);
    buffer_append_u16(&b, 0x1122);
    buffer_append_u32(&b, 0x33445566);
    buffer_append_u64(&b, 0x8899aabbccddeeff);
    assert_int_equal(b.len, sizeof expected);
    assert_memory_equal(b.data, expected, sizeof expected);
    assert_int_equal(load_u16(b.data), 0x1122);
    assert_int_equal(load_u32(b.data + 2), 0x33445566);
    assert_true(load_u64(b.data + 6) == 0x8899aabbccddeeff);
    store_u64(bytes + 1, 0x0102030405060708);
    assert_true(load_u64(bytes + 1) == 0x0102030405060708);
    store_u32(bytes + 1, UINT32_MAX);
    assert_int_equal(load_u16(bytes + 1), UINT16_MAX);
    store_u16(bytes + 3, 0);
    assert_int_equal(load_u32(bytes + 1), UINT16_MAX);
    buffer_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_up_to_the_limit_is_kept_whole),
        cmocka_unit_test(an_append_past_the_limit_is_dropped_and_so_are_later_ones),
        cmocka_unit_test(single_bytes_stop_at_the_limit_too),
        cmocka_unit_test(huge_lengths_do_not_wrap_around_the_limit),
        cmocka_unit_test(cleared_buffer_starts_over_in_its_memory),
        cmocka_unit_test(taken_bytes_belong_to_the_caller),
        cmocka_unit_test(formatted_text_grows_the_buffer_and_is_not_cut),
        cmocka_unit_test(numbers_are_little_endian_and_need_no_alignment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
