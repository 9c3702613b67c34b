/* Valid names, and hosts that others can dial. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/base/compiler.h"
#include "server/base/naming.h"

static bool is_name(const char *text)
{
    return naming_is_name(text, strlen(text));
}

static bool is_text(const char *text)
{
    return naming_is_text(text, strlen(text));
}

static bool is_host(const char *text)
{
    bool good = naming_is_host(text, strlen(text));
    print_message("%s: %s\n", text, good ? "taken" : "refused");
    return good;
}

static void names_of_all_scripts_are_taken(void **state)
{
    static const char *const good[] = {"web-1",
                                       "a b",
                                       "caf\xc3\xa9",
                                       "e\xcc\x81",
                                       "\xe6\x97\xa5\xe6\x9c\xac",
                                       "\xf0\x9f\x98\x80",
                                       "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d",
                                       "a\xc2\xa0"
                                       "b",
                                       "%2F",
                                       "?x#y",
                                       "a/b",
                                       "...",
                                       "-",
                                       "0"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        assert_true(is_name(good[i]) && is_text(good[i]));
    }
}

static void what_turns_the_direction_or_ends_the_line_is_no_text(void **state)
{
    static const char *const bad[] = {
        "a\xd8\x9c",     "a\xe2\x80\x8e", "a\xe2\x80\x8f", "a\xe2\x80\xa8", "a\xe2\x80\xa9",
        "a\xe2\x80\xaa", "a\xe2\x80\xae", "a\xe2\x81\xa6", "a\xe2\x81\xa9", "a\xc2\x85",
        "a\n",           "a\x7f",         "a\xff"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert_false(is_name(bad[i]) || is_text(bad[i]));
    }
    assert_false(naming_is_name("a\0b", 3) || naming_is_text("a\0b", 3));
}

static void what_is_not_seen_is_no_name_but_may_be_in_a_text(void **state)
{
    static const char *const bad[] = {"a\xe2\x80\x8b",
                                      "a\xe2\x80\x8c",
                                      "a\xe2\x80\x8d",
                                      "\xef\xbb\xbf"
                                      "a",
                                      "a\xe2\x81\xa0",
                                      "a\xc2\xad",
                                      "a\xe3\x85\xa4",
                                      "a\xef\xb8\x8f",
                                      "a\xf3\xa0\x81\x81"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert_false(is_name(bad[i]));
        assert_true(is_text(bad[i]));
    }
}

static void white_space_alone_is_no_name(void **state)
{
    static const char *const bad[] = {
        "", " ", "   ", "\xc2\xa0", "\xe3\x80\x80", "\xe2\x80\x83 ", "\xe2\xa0\x80"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert_false(is_name(bad[i]));
        assert_true(is_text(bad[i]));
    }
    assert_true(is_name(" a "));
}

static void hosts_that_can_be_dialled_are_taken(void **state)
{
    static const char *const good[] = {"10.0.0.5",
                                       "127.0.0.1",
                                       "255.255.255.1",
                                       "web-1.example",
                                       "web-1.example.",
                                       "WEB",
                                       "localhost",
                                       "my_service_1",
                                       "_srv.example",
                                       "2001:db8::7",
                                       "::1",
                                       "fe80::1",
                                       "::ffff:10.0.0.5",
                                       "0abc",
                                       "123456789012",
                                       "xn--mnchen-3ya.example",
                                       "a--b",
                                       "host-",
                                       "10-0-0-5"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        assert_true(is_host(good[i]));
    }
}

static void what_nobody_can_dial_is_no_host(void **state)
{
    static const char *const bad[] = {"",
                                      " ",
                                      "a b",
                                      " a",
                                      "a ",
                                      "http://10.0.0.5",
                                      "http://10.0.0.5:80/",
                                      "//a",
                                      "a/b",
                                      "a:80",
                                      "10.0.0.5:8080",
                                      "[::1]",
                                      "[::1]:80",
                                      "0.0.0.0",
                                      "::",
                                      "::0",
                                      "0:0:0:0:0:0:0:0",
                                      "::ffff:0.0.0.0",
                                      "0",
                                      "0.0",
                                      "0x0",
                                      "00",
                                      "127.1",
                                      "0x7f.0.0.1",
                                      "10.0.0.256",
                                      "1.2.3.4.5",
                                      "010.0.0.1",
                                      "*",
                                      "+",
                                      "*.example",
                                      ".a",
                                      "a..b",
                                      ".",
                                      "..",
                                      "-a",
                                      "a.-b",
                                      "user@a",
                                      "a?b",
                                      "a#b",
                                      "a%20b",
                                      "fe80::1%eth0",
                                      "a,b",
                                      "a;b",
                                      "a\tb",
                                      "a\nb",
                                      "\"a\"",
                                      "<a>",
                                      "m\xc3\xbcnchen.example",
                                      ":::",
                                      "1:2",
                                      "$(id)",
                                      "a\\b"};
    char long_name[300];
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert_false(is_host(bad[i]));
    }
    memset(long_name, 'a', sizeof long_name);
    assert_true(naming_is_host(long_name, 255));
    assert_false(naming_is_host(long_name, 256));
    assert_false(naming_is_host("a\0b", 3));
}

static void labels_and_domains_are_those_of_dns_in_lower_case(void **state)
{
    (void)state;
    static const char *const good[] = {"consul", "consul.", "sd.example.com", "a-b_c.1", "_x"};
    static const char *const bad[] = {"", ".", "a..b", ".a", "A", "a b", "a/b", "\xc3\xbc"};
    char label[65];
    memset(label, 'a', sizeof label);
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        assert_true(naming_is_domain(good[i]));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert_false(naming_is_domain(bad[i]));
    }
    assert_true(naming_is_label(label, 63));
    assert_false(naming_is_label(label, 64));
    assert_false(naming_is_label("a.b", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_all_scripts_are_taken),
        cmocka_unit_test(what_turns_the_direction_or_ends_the_line_is_no_text),
        cmocka_unit_test(what_is_not_seen_is_no_name_but_may_be_in_a_text),
        cmocka_unit_test(white_space_alone_is_no_name),
        cmocka_unit_test(hosts_that_can_be_dialled_are_taken),
        cmocka_unit_test(what_nobody_can_dial_is_no_host),
        cmocka_unit_test(labels_and_domains_are_those_of_dns_in_lower_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
