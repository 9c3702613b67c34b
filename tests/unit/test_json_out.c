/* The JSON writer: separators, escapes, numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "api/core/json_out.h"

static void assert_text(struct buffer *out, const char *expected)
{
    assert_false(out->overflowed);
    buffer_append_byte(out, 0);
    assert_string_equal((const char *)out->data, expected);
    buffer_done(out);
}

static void nested_values_are_separated_by_commas(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    struct json_out json = json_out_to(&out);
    json_out_begin(&json, '{');
    json_out_key(&json, "a");
    json_out_begin(&json, '[');
    json_out_u64(&json, 0);
    json_out_begin(&json, '{');
    json_out_end(&json, '}');
    json_out_bool(&json, true);
    json_out_null(&json);
    json_out_end(&json, ']');
    json_out_key(&json, "b");
    json_out_begin(&json, '[');
    json_out_end(&json, ']');
    json_out_key(&json, "c");
    json_out_text(&json, "");
    json_out_end(&json, '}');
    assert_text(&out, "{\"a\":[0,{},true,null],\"b\":[],\"c\":\"\"}");
}

static void special_characters_are_escaped(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    struct json_out json = json_out_to(&out);
    json_out_text(&json, "q\" b\\ n\n r\r t\t c\x01 d\x7f \xc3\xa9/<");
    assert_text(&out, "\"q\\\" b\\\\ n\\n r\\r t\\t c\\u0001 d\\u007f \xc3\xa9/<\"");
}

static void escaped_keys_are_escaped(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    struct json_out json = json_out_to(&out);
    json_out_begin(&json, '{');
    json_out_key_text(&json, "a\"b");
    json_out_u64(&json, UINT64_MAX);
    json_out_key_text(&json, "c");
    json_out_u64(&json, 10);
    json_out_end(&json, '}');
    assert_text(&out, "{\"a\\\"b\":18446744073709551615,\"c\":10}");
}

static void durations_are_seconds_with_milliseconds_where_needed(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    struct json_out json = json_out_to(&out);
    json_out_begin(&json, '[');
    json_out_seconds(&json, 30000);
    json_out_seconds(&json, 1500);
    json_out_seconds(&json, 1);
    json_out_seconds(&json, 0);
    json_out_end(&json, ']');
    assert_text(&out, "[30,1.500,0.001,0]");
}

static void times_and_hashes_are_quoted(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    struct json_out json = json_out_to(&out);
    json_out_begin(&json, '[');
    json_out_time(&json, 1500);
    json_out_hex(&json, 0xabc);
    json_out_end(&json, ']');
    assert_text(&out, "[\"1970-01-01T00:00:01.500Z\",\"0000000000000abc\"]");
}

static void over_the_limit_the_buffer_says_so(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 8);
    struct json_out json = json_out_to(&out);
    json_out_text(&json, "longer than eight bytes");
    assert_true(out.overflowed);
    buffer_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nested_values_are_separated_by_commas),
        cmocka_unit_test(special_characters_are_escaped),
        cmocka_unit_test(escaped_keys_are_escaped),
        cmocka_unit_test(durations_are_seconds_with_milliseconds_where_needed),
        cmocka_unit_test(times_and_hashes_are_quoted),
        cmocka_unit_test(over_the_limit_the_buffer_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
