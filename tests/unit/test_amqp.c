/* The URL of a broker, and the routing key of an event. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/amqp/amqp_key.h"
#include "api/amqp/amqp_url.h"
#include "server/base/compiler.h"

static void a_url_has_its_parts(void **state UNUSED)
{
    struct amqp_url url;
    char error[256];
    assert_true(
        amqp_url_parse("amqp://me:p%40ss@broker.example:5673/a%2fb", &url, error, sizeof error));
    assert_string_equal(url.user, "me");
    assert_string_equal(url.password, "p@ss");
    assert_string_equal(url.host, "broker.example");
    assert_string_equal(url.vhost, "a/b");
    assert_int_equal(url.port, 5673);
    assert_false(url.tls);
    assert_true(amqp_url_parse("amqps://broker.example", &url, error, sizeof error));
    assert_string_equal(url.user, "guest");
    assert_string_equal(url.vhost, "/");
    assert_int_equal(url.port, 5671);
    assert_true(url.tls);
    amqp_url_wipe(&url);
    assert_int_equal(url.text[0], '\0');
}

static void what_is_no_url_is_refused_without_being_quoted(void **state UNUSED)
{
    static char long_one[AMQP_URL_BYTES_MAX + 100] = "amqp://secret:secret@a/";
    static char long_vhost[400] = "amqp://secret:secret@a/";
    memset(long_one + strlen(long_one), 'v', AMQP_URL_BYTES_MAX);
    memset(long_vhost + strlen(long_vhost), 'v', 256);
    const char *const wrong[] = {"",
                                 "http://secret:secret@a",
                                 "secret",
                                 "amqp://secret:secret@a:0/",
                                 "amqp://secret:secret@a:65536/",
                                 "amqp://secret:secret@a:x/",
                                 "amqp://secret:secret@/",
                                 "amqp://:secret@a/",
                                 "amqp://secret:secret@a/%zz",
                                 "amqp://secret%0a:secret@a/",
                                 long_one,
                                 long_vhost};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        struct amqp_url url;
        char error[256] = "";
        if (amqp_url_parse(wrong[i], &url, error, sizeof error)) {
            fail_msg("taken: %s", wrong[i]);
        }
        assert_non_null(strstr(error, "--amqp-url"));
        assert_null(strstr(error, "secret"));
    }
}

static void a_key_names_event_service_and_namespace(void **state UNUSED)
{
    char key[AMQP_SHORT_BYTES_MAX + 1];
    amqp_key("registered", "web", "", key);
    assert_string_equal(key, "registry.registered.web");
    amqp_key("expired", "web.eu", "shop", key);
    assert_string_equal(key, "namespace.shop.expired.web.eu");
    amqp_key("reset", "", "", key);
    assert_string_equal(key, "registry.reset");
}

static void a_long_name_is_cut_between_two_characters(void **state UNUSED)
{
    char key[AMQP_SHORT_BYTES_MAX + 1];
    char name[256] = {0};
    memset(name, 'n', 255);
    amqp_key("registered", name, "", key);
    assert_int_equal(strlen(key), 255);
    for (size_t i = 0; i + 2 < 255; i += 2) {
        memcpy(name + i, "\xc3\xbc", 2);
    }
    amqp_key("registered", name, "", key);
    assert_int_equal(strlen(key), 254);
    assert_memory_equal(key + 252, "\xc3\xbc", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_has_its_parts),
        cmocka_unit_test(what_is_no_url_is_refused_without_being_quoted),
        cmocka_unit_test(a_key_names_event_service_and_namespace),
        cmocka_unit_test(a_long_name_is_cut_between_two_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
