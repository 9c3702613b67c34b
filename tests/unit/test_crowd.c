/* Connections are counted: in total, and per address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "api/core/crowd.h"
#include "server/base/mem.h"

static const struct sockaddr *address(const char *text)
{
    static struct sockaddr_storage out;
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    memset(&out, 0, sizeof out);
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        memcpy(&out, &v4, sizeof v4);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
        memcpy(&out, &v6, sizeof v6);
    }
    return (const struct sockaddr *)&out;
}

static struct crowd *crowd_of(unsigned most, unsigned most_of_one)
{
    struct crowd *crowd = mem_alloc(sizeof *crowd);
    crowd_init(crowd, most, most_of_one);
    return crowd;
}

static void one_address_has_no_more_than_its_share(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_of(100, 2);
    assert_int_equal(crowd_enter(crowd, address("10.0.0.1"), true), CROWD_FINE);
    assert_int_equal(crowd_enter(crowd, address("10.0.0.1"), true), CROWD_FINE);
    assert_int_equal(crowd_enter(crowd, address("10.0.0.1"), true), CROWD_TOO_MANY_OF_ONE);
    assert_int_equal(crowd_enter(crowd, address("::ffff:10.0.0.1"), true), CROWD_TOO_MANY_OF_ONE);
    assert_int_equal(crowd_enter(crowd, address("10.0.0.2"), true), CROWD_FINE);
    assert_int_equal(crowd->count, 3); /* a refused one takes nothing from others */
    crowd_leave(crowd, address("10.0.0.1"), CROWD_TOO_MANY_OF_ONE);
    crowd_leave(crowd, address("10.0.0.1"), CROWD_TOO_MANY_OF_ONE);
    crowd_leave(crowd, address("10.0.0.1"), CROWD_FINE);
    assert_int_equal(crowd_enter(crowd, address("10.0.0.1"), true), CROWD_FINE);
    free(crowd);
}

static void a_client_of_ipv6_is_its_first_64_bits(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_of(100, 1);
    assert_int_equal(crowd_enter(crowd, address("2001:db8::1"), true), CROWD_FINE);
    assert_int_equal(crowd_enter(crowd, address("2001:db8::2"), true), CROWD_TOO_MANY_OF_ONE);
    assert_int_equal(crowd_enter(crowd, address("2001:db8:0:1::1"), true), CROWD_FINE);
    free(crowd);
}

static void all_together_have_a_limit_too(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_of(2, 2);
    assert_int_equal(crowd_enter(crowd, address("10.0.0.1"), true), CROWD_FINE);
    assert_int_equal(crowd_enter(crowd, address("10.0.0.2"), true), CROWD_FINE);
    assert_int_equal(crowd_enter(crowd, address("10.0.0.3"), true), CROWD_TOO_MANY);
    crowd_leave(crowd, address("10.0.0.3"), CROWD_TOO_MANY);
    crowd_leave(crowd, address("10.0.0.2"), CROWD_FINE);
    assert_int_equal(crowd_enter(crowd, address("10.0.0.3"), true), CROWD_FINE);
    free(crowd);
}

static void one_that_opens_them_too_fast_takes_nothing_from_others(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_of(2, 2);
    assert_int_equal(crowd_enter(crowd, address("10.0.0.1"), false), CROWD_TOO_FAST);
    assert_int_equal(crowd->count, 0);
    crowd_leave(crowd, address("10.0.0.1"), CROWD_TOO_FAST);
    assert_int_equal(crowd_enter(crowd, address("10.0.0.1"), true), CROWD_FINE);
    assert_int_equal(crowd_enter(crowd, address("10.0.0.1"), true), CROWD_FINE);
    free(crowd);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_address_has_no_more_than_its_share),
        TEST(a_client_of_ipv6_is_its_first_64_bits),
        TEST(all_together_have_a_limit_too),
        TEST(one_that_opens_them_too_fast_takes_nothing_from_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
