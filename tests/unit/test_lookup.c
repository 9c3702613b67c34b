/* Name lookups: a hanging name server delays its own lookup and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <uv.h>

#include "consensus/peer/lookup.h"
#include "server/base/clock.h"

/* --- a name server that hangs for names starting with "hangs" --- */

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned hanging;
    bool lets_go;
} server = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **found);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **found);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **found)
{
    bool numeric = (hints->ai_flags & AI_NUMERICHOST) != 0;
    if (numeric) {
        return __real_getaddrinfo(host, service, hints, found);
    }
    if (strncmp(host, "hangs", 5) == 0) {
        pthread_mutex_lock(&server.mutex);
        server.hanging++;
        while (!server.lets_go) {
            pthread_cond_wait(&server.changed, &server.mutex);
        }
        server.hanging--;
        pthread_cond_broadcast(&server.changed);
        pthread_mutex_unlock(&server.mutex);
    }
    return strcmp(host, "none") == 0 ? EAI_NONAME
                                     : __real_getaddrinfo("127.0.0.9", service, hints, found);
}

static void set_lets_go(bool lets_go)
{
    pthread_mutex_lock(&server.mutex);
    server.lets_go = lets_go;
    pthread_cond_broadcast(&server.changed);
    while (lets_go && server.hanging > 0) {
        pthread_cond_wait(&server.changed, &server.mutex);
    }
    pthread_mutex_unlock(&server.mutex);
}

/* --- a loop --- */

struct answer {
    unsigned count;
    const char *failure;
    char address[INET_ADDRSTRLEN];
    uint16_t port;
};

static void on_answer(void *owner, const char *failure, struct addrinfo *found)
{
    struct answer *a = owner;
    a->count++;
    a->failure = failure;
    if (found != NULL) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)found->ai_addr;
        assert_non_null(inet_ntop(AF_INET, &in->sin_addr, a->address, sizeof a->address));
        a->port = ntohs(in->sin_port);
        freeaddrinfo(found);
    }
}

struct fixture {
    uv_loop_t loop;
    struct lookups *lookups;
    bool closed;
};

static void on_closed(void *ctx)
{
    ((struct fixture *)ctx)->closed = true;
}

static int set_up(void **state)
{
    static struct fixture f;
    f.closed = false;
    assert_int_equal(uv_loop_init(&f.loop), 0);
    f.lookups = lookups_open(&f.loop);
    set_lets_go(false);
    *state = &f;
    return 0;
}

/* Does not wait for threads. */
static int tear_down(void **state)
{
    struct fixture *f = *state;
    lookups_close(f->lookups, on_closed, f);
    while (!f->closed) {
        (void)uv_run(&f->loop, UV_RUN_ONCE);
    }
    assert_int_equal(uv_loop_close(&f->loop), 0);
    set_lets_go(true);
    return 0;
}

static void await(struct fixture *f, const struct answer *a)
{
    uint64_t until_ms = clock_monotonic_ms() + 20000;
    while (a->count == 0 && clock_monotonic_ms() < until_ms) {
        (void)uv_run(&f->loop, UV_RUN_NOWAIT);
        uv_sleep(1);
    }
    assert_int_equal(a->count, 1);
}

/* --- tests --- */

static void a_name_is_found_with_its_port(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    assert_non_null(lookup_begin(f->lookups, "a.example", 9100, on_answer, &a));
    await(f, &a);
    assert_null(a.failure);
    assert_string_equal(a.address, "127.0.0.9");
    assert_int_equal(a.port, 9100);
}

static void a_name_that_is_none_is_a_failure_with_a_text(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    assert_non_null(lookup_begin(f->lookups, "none", 1, on_answer, &a));
    await(f, &a);
    assert_string_equal(a.failure, gai_strerror(EAI_NONAME));
}

static void an_address_needs_no_name_server(void **state)
{
    (void)state;
    struct addrinfo *found = lookup_numeric("127.0.0.3", 9100);
    assert_non_null(found);
    freeaddrinfo(found);
    found = lookup_numeric("::1", 9100);
    assert_non_null(found);
    freeaddrinfo(found);
    assert_null(lookup_numeric("hangs.example", 9100));
}

static void names_that_hang_do_not_hold_up_others(void **state)
{
    struct fixture *f = *state;
    struct answer hanging[10] = {{0}};
    struct answer a = {0};
    for (size_t i = 0; i < 10; i++) {
        assert_non_null(lookup_begin(f->lookups, "hangs.example", 1, on_answer, &hanging[i]));
    }
    assert_non_null(lookup_begin(f->lookups, "a.example", 9100, on_answer, &a));
    await(f, &a);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(hanging[i].count, 0);
    }
    set_lets_go(true);
    for (size_t i = 0; i < 10; i++) {
        await(f, &hanging[i]);
    }
}

static void one_that_was_abandoned_tells_nobody(void **state)
{
    struct fixture *f = *state;
    struct answer gone = {0};
    struct answer a = {0};
    struct lookup *one = lookup_begin(f->lookups, "hangs.example", 1, on_answer, &gone);
    assert_non_null(one);
    lookup_abandon(one);
    set_lets_go(true);
    assert_non_null(lookup_begin(f->lookups, "a.example", 1, on_answer, &a));
    await(f, &a);
    for (int i = 0; i < 50; i++) {
        (void)uv_run(&f->loop, UV_RUN_NOWAIT);
        uv_sleep(1);
    }
    assert_int_equal(gone.count, 0);
}

/* Otherwise tear_down() would never return. */
static void the_end_does_not_wait_for_a_name_server(void **state)
{
    struct fixture *f = *state;
    struct answer gone = {0};
    struct lookup *one = lookup_begin(f->lookups, "hangs.example", 1, on_answer, &gone);
    assert_non_null(one);
    lookup_abandon(one);
}

static void there_is_a_bound(void **state)
{
    struct fixture *f = *state;
    static struct answer answers[LOOKUPS_MAX];
    struct answer more = {0};
    memset(answers, 0, sizeof answers);
    for (size_t i = 0; i < LOOKUPS_MAX; i++) {
        assert_non_null(lookup_begin(f->lookups, "hangs.example", 1, on_answer, &answers[i]));
    }
    assert_null(lookup_begin(f->lookups, "a.example", 1, on_answer, &more));
    set_lets_go(true);
    for (size_t i = 0; i < LOOKUPS_MAX; i++) {
        await(f, &answers[i]);
    }
    assert_non_null(lookup_begin(f->lookups, "a.example", 1, on_answer, &more));
    await(f, &more);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_name_is_found_with_its_port),
        CASE(a_name_that_is_none_is_a_failure_with_a_text),
        CASE(an_address_needs_no_name_server),
        CASE(names_that_hang_do_not_hold_up_others),
        CASE(one_that_was_abandoned_tells_nobody),
        CASE(the_end_does_not_wait_for_a_name_server),
        CASE(there_is_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
