/* Numbers, durations and addresses written by people are parsed exactly, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/base/text.h"

static void digits_up_to_the_maximum_are_a_number(void **state)
{
    static const struct {
        const char *text;
        uint64_t max, value;
    } cases[] = {
        {"0", 0, 0},
        {"7", 7, 7},
        {"007", 7, 7},
        {"65535", UINT16_MAX, 65535},
        {"18446744073709551615", UINT64_MAX, UINT64_MAX},
        {"18446744073709551614", UINT64_MAX - 1, UINT64_MAX - 1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint64_t value = 99;
        assert_true(text_parse_u64(cases[i].text, cases[i].max, &value));
        assert_true(value == cases[i].value);
    }
}

static void anything_else_is_no_number(void **state)
{
    static const struct {
        const char *text;
        uint64_t max;
    } cases[] = {
        {"", UINT64_MAX},
        {"-1", UINT64_MAX},
        {"+1", UINT64_MAX},
        {" 1", UINT64_MAX},
        {"1 ", UINT64_MAX},
        {"1x", UINT64_MAX},
        {"0x1", UINT64_MAX},
        {"1.0", UINT64_MAX},
        {"\xd9\xa1", UINT64_MAX},
        {"1", 0},
        {"8", 7},
        {"65536", UINT16_MAX},
        {"18446744073709551616", UINT64_MAX},
        {"99999999999999999999999", UINT64_MAX},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint64_t value = 99;
        assert_false(text_parse_u64(cases[i].text, cases[i].max, &value));
        assert_true(value == 99);
    }
}

static void durations_have_units_and_fractions(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = {
        {"0", 0},
        {"30", 30000},
        {"30s", 30000},
        {"250ms", 250},
        {"5m", 300000},
        {"1h", 3600000},
        {"0.5", 500},
        {"1.5s", 1500},
        {"0.25m", 15000},
        {"1.001s", 1001},
        {"0.001h", 3600},
        {"0.5ms", 1},
        {"0.000ms", 0},
        {"24h", 86400000},
        {"1.0", 1000},
        {"4294967295ms", UINT32_MAX},
        {"4294967.295", UINT32_MAX},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint64_t ms = 99;
        assert_true(text_parse_duration_ms(cases[i].text, &ms));
        assert_int_equal(ms, cases[i].ms);
    }
}

static void malformed_or_long_durations_are_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "s",
        "ms",
        "-1s",
        "+1s",
        "1 s",
        "1S",
        "1d",
        "1.",
        ".5",
        "1.s",
        "1.2.3",
        "1.2345s",
        "1e3",
        "1s1s",
        "1h30m",
        "NaN",
        " 1",
        "4294967296ms",
        "4294967.296",
        "1194h",
        "99999999999999",
        "1000000000000000000000",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint64_t ms = 99;
        assert_false(text_parse_duration_ms(cases[i], &ms));
        assert_int_equal(ms, 99);
    }
}

static void addresses_are_split_at_their_port(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
    } cases[] = {
        {"localhost:9000", "localhost", 9000},
        {"10.0.0.1:1", "10.0.0.1", 1},
        {":65535", "", 65535},
        {"[::1]:80", "::1", 80},
        {"[]:80", "", 80},
        {"123456789:1", "123456789", 1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char host[10];
        uint16_t port;
        assert_true(text_parse_address(cases[i].text, host, sizeof host, &port));
        assert_string_equal(host, cases[i].host);
        assert_int_equal(port, cases[i].port);
    }
}

static void malformed_addresses_are_refused(void **state)
{
    static const char *const cases[] = {
        "",        "host",     "host:",        ":",       "host:0",  "host:65536",
        "host:-1", "host:80x", "::1:80",       "1:2:3",   "a b:1",   "a\n:1",
        "a,b:1",   "a=b:1",    "http://:1",    "[::1:80", "::1]:80", "a\x7f:1",
        "[::1]",   "host: 1",  "1234567890:1", /* does not fit */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char host[10] = "untouched";
        uint16_t port = 99;
        assert_false(text_parse_address(cases[i], host, sizeof host, &port));
        assert_int_equal(port, 99);
    }
}

static void printable_text_is_well_formed_utf8_without_controls(void **state)
{
    static const struct {
        const char *text;
        bool printable;
    } cases[] = {
        {"", true},
        {"web-1 ~", true},
        {"gr\xc3\xbc\xc3\x9f", true},
        {"\xc2\xa0", true},         /* the first after C1 */
        {"\xef\xbf\xbd", true},     /* U+FFFD */
        {"\xed\x9f\xbf", true},     /* U+D7FF */
        {"\xf4\x8f\xbf\xbf", true}, /* U+10FFFF */
        {"\n", false},
        {"a\x1f", false},
        {"\x7f", false},
        {"\xc2\x80", false},         /* C1 */
        {"\xc2\x9f", false},         /* C1 */
        {"\x80", false},             /* a lone continuation byte */
        {"\xc3", false},             /* ends early */
        {"\xe2\x82", false},         /* ends early */
        {"\xc3z", false},            /* not continued */
        {"\xc0\xaf", false},         /* overlong */
        {"\xc1\xbf", false},         /* overlong */
        {"\xe0\x9f\xbf", false},     /* overlong */
        {"\xf0\x8f\xbf\xbf", false}, /* overlong */
        {"\xed\xa0\x80", false},     /* surrogate */
        {"\xed\xbf\xbf", false},     /* surrogate */
        {"\xf4\x90\x80\x80", false}, /* above U+10FFFF */
        {"\xf8\x88\x80\x80\x80", false},
        {"\xff", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_int_equal(text_is_printable(cases[i].text, strlen(cases[i].text)),
                         cases[i].printable);
    }
    assert_false(text_is_printable("a\0b", 3));
    /* Limited by the length, not by what follows. */
    assert_false(text_is_printable("\xc3\xbc", 1));
    assert_true(text_is_printable("a\n", 1));
}

static void times_are_rfc_3339_in_utc(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1, "1970-01-01T00:00:00.001Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {-1000, "1969-12-31T23:59:59.000Z"},
        {951782400123, "2000-02-29T00:00:00.123Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
    };
    char out[TEXT_TIME_SIZE];
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        text_format_time(cases[i].ms, out);
        assert_string_equal(out, cases[i].text);
    }
    /* Times beyond any calendar still fit the buffer. */
    static const int64_t absurd[] = {INT64_MAX, INT64_MIN, INT64_MAX / 1000, INT64_MIN / 1000};
    for (size_t i = 0; i < ARRAY_LENGTH(absurd); i++) {
        text_format_time(absurd[i], out);
        assert_non_null(memchr(out, '\0', sizeof out));
    }
}

static void numbers_are_written_in_decimal(void **state)
{
    (void)state;
    char out[TEXT_U64_SIZE];
    assert_string_equal(text_format_u64(0, out), "0");
    assert_string_equal(text_format_u64(1020, out), "1020");
    assert_string_equal(text_format_u64(UINT64_MAX, out), "18446744073709551615");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digits_up_to_the_maximum_are_a_number),
        cmocka_unit_test(anything_else_is_no_number),
        cmocka_unit_test(durations_have_units_and_fractions),
        cmocka_unit_test(malformed_or_long_durations_are_refused),
        cmocka_unit_test(addresses_are_split_at_their_port),
        cmocka_unit_test(malformed_addresses_are_refused),
        cmocka_unit_test(printable_text_is_well_formed_utf8_without_controls),
        cmocka_unit_test(numbers_are_written_in_decimal),
        cmocka_unit_test(times_are_rfc_3339_in_utc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
