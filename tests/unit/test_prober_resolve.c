/* Names of targets are looked up by threads; the name server is ours. */
#include <errno.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "api/prober/resolve.h"
#include "server/base/clock.h"

int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result);

static atomic_int asked, woken, answer; /* the error; 0: 10.0.0.7 */
static atomic_bool hangs;

static void pause_ms(long ms)
{
    const struct timespec time = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&time, NULL);
}

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result)
{
    (void)host;
    atomic_fetch_add(&asked, 1);
    while (atomic_load(&hangs)) {
        pause_ms(1);
    }
    int error = atomic_load(&answer);
    return error != 0 ? error : __real_getaddrinfo("10.0.0.7", service, hints, result);
}

static void wake(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&woken, 1);
}

static struct resolver *begin(void)
{
    atomic_store(&asked, 0);
    atomic_store(&woken, 0);
    atomic_store(&answer, 0);
    atomic_store(&hangs, false);
    return resolver_new(wake, NULL);
}

static enum resolve_state find(struct resolver *r, const char *host, uint64_t now_ms, char *text)
{
    struct resolve_addresses found;
    const char *failure = NULL;
    enum resolve_state state = resolver_find(r, host, now_ms, &found, &failure);
    text[0] = '\0';
    if (state == RESOLVE_FOUND) {
        assert_int_equal(found.count, 1);
        resolve_set_port(&found.list[0], 80);
        resolve_format((struct sockaddr *)&found.list[0], text);
    } else if (state == RESOLVE_FAILED) {
        assert_non_null(failure);
    }
    return state;
}

static void await(struct resolver *r, int times, uint64_t now_ms)
{
    for (uint64_t until_ms = clock_monotonic_ms() + 10000; atomic_load(&woken) < times;) {
        assert_true(clock_monotonic_ms() < until_ms);
        pause_ms(1);
    }
    resolver_take(r, now_ms);
}

static void an_address_needs_no_name_server(void **state)
{
    (void)state;
    struct resolver *r = begin();
    char text[RESOLVE_TEXT_SIZE];
    assert_int_equal(find(r, "10.1.2.3", 1000, text), RESOLVE_FOUND);
    assert_string_equal(text, "10.1.2.3:80");
    assert_int_equal(find(r, "2001:db8::1", 1000, text), RESOLVE_FOUND);
    assert_string_equal(text, "[2001:db8::1]:80");
    assert_int_equal(atomic_load(&asked), 0);
    resolver_free(r);
}

static void a_name_is_looked_up_once_and_kept_for_a_while(void **state)
{
    (void)state;
    struct resolver *r = begin();
    char text[RESOLVE_TEXT_SIZE];
    assert_int_equal(find(r, "a.example", 1000, text), RESOLVE_WAIT);
    assert_int_equal(find(r, "a.example", 1000, text), RESOLVE_WAIT);
    await(r, 1, 1000);
    assert_int_equal(find(r, "a.example", 1000, text), RESOLVE_FOUND);
    assert_string_equal(text, "10.0.0.7:80");
    assert_int_equal(find(r, "a.example", 30999, text), RESOLVE_FOUND);
    assert_int_equal(atomic_load(&asked), 1);
    assert_int_equal(find(r, "a.example", 31000, text), RESOLVE_FOUND); /* and asks again */
    await(r, 2, 31000);
    assert_int_equal(atomic_load(&asked), 2);
    resolver_sweep(r, 400000);
    assert_int_equal(find(r, "a.example", 400000, text), RESOLVE_WAIT); /* it was forgotten */
    await(r, 3, 400000);
    resolver_free(r);
}

static void what_was_found_counts_while_no_name_server_answers(void **state)
{
    (void)state;
    struct resolver *r = begin();
    char text[RESOLVE_TEXT_SIZE];
    assert_int_equal(find(r, "a.example", 1000, text), RESOLVE_WAIT);
    await(r, 1, 1000);
    atomic_store(&answer, EAI_AGAIN);
    assert_int_equal(find(r, "a.example", 200000, text), RESOLVE_FOUND);
    await(r, 2, 200000);
    assert_int_equal(find(r, "a.example", 200000, text), RESOLVE_FOUND);
    await(r, 3, 200000);
    assert_int_equal(find(r, "a.example", 301000, text), RESOLVE_WAIT); /* too old */
    await(r, 4, 301000);
    assert_int_equal(find(r, "a.example", 301000, text), RESOLVE_FAILED);
    /* One that is gone for good counts at once. */
    atomic_store(&answer, 0);
    assert_int_equal(find(r, "a.example", 306000, text), RESOLVE_WAIT);
    await(r, 5, 306000);
    atomic_store(&answer, EAI_NONAME);
    assert_int_equal(find(r, "a.example", 336000, text), RESOLVE_FOUND);
    await(r, 6, 336000);
    assert_int_equal(find(r, "a.example", 336000, text), RESOLVE_FAILED);
    resolver_free(r);
}

static void names_that_wait_are_bounded(void **state)
{
    (void)state;
    struct resolver *r = begin();
    char text[RESOLVE_TEXT_SIZE], name[32];
    unsigned waiting = 0, failed = 0;
    atomic_store(&hangs, true);
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "n%u.example", i);
        enum resolve_state got = find(r, name, 1000, text);
        waiting += got == RESOLVE_WAIT;
        failed += got == RESOLVE_FAILED;
    }
    assert_int_equal(waiting, 256);
    assert_int_equal(failed, 744);
    assert_int_equal(find(r, "10.1.2.3", 1000, text), RESOLVE_FOUND); /* delays nothing else */
    atomic_store(&hangs, false);
    await(r, 256, 1000);
    assert_int_equal(find(r, "n0.example", 1000, text), RESOLVE_FOUND);
    assert_int_equal(find(r, "n999.example", 1000, text), RESOLVE_WAIT);
    await(r, 257, 1000);
    resolver_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_needs_no_name_server),
        cmocka_unit_test(a_name_is_looked_up_once_and_kept_for_a_while),
        cmocka_unit_test(what_was_found_counts_while_no_name_server_answers),
        cmocka_unit_test(names_that_wait_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
