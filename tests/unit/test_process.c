/* The division of descriptors: whatever the limit, clients cannot take what the log needs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/base/limits.h"
#include "server/base/process.h"

static uint64_t taken(uint64_t inherited, const struct descriptor_shares *s)
{
    return inherited + DESCRIPTORS_OF_LOOP + (CLUSTER_MEMBERS_MAX - 1) + s->peer_connections +
           s->http_connections + (uint64_t)s->http_threads * (DESCRIPTORS_A_WORKER + s->http_spare);
}

static void no_limit_is_overdrawn_and_everybody_has_a_share(void **state)
{
    (void)state;
    for (unsigned threads = 1; threads <= HTTP_THREADS_MAX; threads++) {
        for (uint64_t inherited = 0; inherited < 100; inherited += 33) {
            for (uint64_t limit = 0; limit < 2000; limit++) {
                struct descriptor_shares s;
                uint64_t needed;
                if (!process_share(limit, inherited, threads, &s, &needed)) {
                    assert_true(needed > limit);
                    continue;
                }
                assert_true(needed <= limit);
                assert_in_range(taken(inherited, &s), 0, limit);
                assert_in_range(s.http_threads, 1, threads);
                assert_in_range(s.peer_connections, PEER_CONNECTIONS_MIN, PEER_CONNECTIONS_MAX);
                assert_in_range(s.http_spare, HTTP_SPARE_A_WORKER_MIN, HTTP_SPARE_A_WORKER_MAX);
                assert_true(s.http_connections >= HTTP_CONNECTIONS_MIN &&
                            s.http_connections >= s.http_threads);
            }
        }
    }
}

static void what_is_said_to_be_needed_is_enough_and_the_least(void **state)
{
    (void)state;
    struct descriptor_shares s;
    uint64_t needed, again;
    assert_false(process_share(10, 5, 8, &s, &needed));
    assert_true(process_share(needed, 5, 8, &s, &again));
    assert_int_equal(s.http_threads, 1);
    assert_false(process_share(needed - 1, 5, 8, &s, &again));
    /* A traditional soft limit. */
    assert_true(process_share(64, 0, 2, &s, &needed));
}

static void a_large_limit_gives_what_there_is_to_have(void **state)
{
    (void)state;
    struct descriptor_shares s;
    uint64_t needed;
    assert_true(process_share(UINT64_MAX, 3, 4, &s, &needed));
    assert_int_equal(s.http_threads, 4);
    assert_int_equal(s.http_connections, HTTP_CONNECTIONS_MAX);
    assert_int_equal(s.peer_connections, PEER_CONNECTIONS_MAX);
}

static void what_the_parent_left_open_is_counted(void **state)
{
    (void)state;
    uint64_t before = process_inherited();
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(process_inherited(), before + 2);
    (void)close(fds[0]);
    (void)close(fds[1]);
    assert_int_equal(process_inherited(), before);
}

static void a_process_with_secrets_writes_no_core_dump(void **state)
{
    (void)state;
    int before = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
    process_close_memory();
    assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
    (void)prctl(PR_SET_DUMPABLE, before, 0, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_limit_is_overdrawn_and_everybody_has_a_share),
        cmocka_unit_test(what_is_said_to_be_needed_is_enough_and_the_least),
        cmocka_unit_test(a_large_limit_gives_what_there_is_to_have),
        cmocka_unit_test(what_the_parent_left_open_is_counted),
        cmocka_unit_test(a_process_with_secrets_writes_no_core_dump),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
