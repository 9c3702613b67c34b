/* The list of replicas as users write it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "client/lib/servers.h"

static void a_host_alone_means_port_9000_and_a_url_what_it_says(void **state)
{
    (void)state;
    static const struct {
        const char *given, *meant;
    } rows[] = {
        {"localhost", "http://localhost:9000"},
        {"localhost:81", "http://localhost:81"},
        {"localhost/", "http://localhost:9000"},
        {"localhost/registry", "http://localhost:9000/registry"},
        {"localhost:81/a:b", "http://localhost:81/a:b"},
        {"[::1]", "http://[::1]:9000"},
        {"[::1]:81", "http://[::1]:81"},
        {"http://localhost", "http://localhost"},
        {"https://localhost/registry/", "https://localhost/registry"},
        {"http://[::1]", "http://[::1]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct servers servers;
        char error[200] = "";
        assert_true(servers_parse(rows[i].given, &servers, error, sizeof error));
        assert_int_equal(servers.count, 1);
        assert_string_equal(servers.urls[0], rows[i].meant);
    }
}

static void a_duplicate_is_left_out(void **state)
{
    (void)state;
    struct servers servers;
    char error[200];
    assert_true(servers_parse("a,http://a:9000/,b", &servers, error, sizeof error));
    assert_int_equal(servers.count, 2);
}

static void what_is_no_replica_is_refused_with_a_sentence(void **state)
{
    (void)state;
    static const char *const given[] = {"",    "a,,b", ",",          "ftp://a", "http://",
                                        "::1", "a b",  "http://a?q", "a#f",     "u@a",
                                        "a:",  "a:0x", "a:999999",   "[::1"};
    char longest[SERVER_URL_MAX + 2];
    struct servers servers;
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        char error[400] = "";
        assert_false(servers_parse(given[i], &servers, error, sizeof error));
        assert_true(strlen(error) > 0);
    }
    memset(longest, 'a', sizeof longest);
    for (size_t len = SERVER_URL_MAX - 20; len <= SERVER_URL_MAX + 1; len++) {
        char error[400] = "";
        servers.count = 0;
        bool added = servers_add(&servers, longest, len, error, sizeof error);
        assert_true(added == (len + strlen("http://:9000") <= SERVER_URL_MAX));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_alone_means_port_9000_and_a_url_what_it_says),
        cmocka_unit_test(a_duplicate_is_left_out),
        cmocka_unit_test(what_is_no_replica_is_refused_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
