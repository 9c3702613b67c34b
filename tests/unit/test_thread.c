/* Threads: what they are called, which signals they take, how their end is waited for. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/base/thread.h"

static atomic_bool may_end;
static char name_seen[THREAD_NAME_SIZE];
static int signals_taken;

static void *look(void *arg)
{
    sigset_t blocked;
    (void)arg;
    (void)pthread_getname_np(pthread_self(), name_seen, sizeof name_seen);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    signals_taken = !sigismember(&blocked, SIGTERM) + !sigismember(&blocked, SIGUSR1);
    return NULL;
}

static void *wait(void *arg)
{
    (void)arg;
    while (!atomic_load(&may_end)) {
        (void)usleep(1000);
    }
    return NULL;
}

static void it_has_its_name_and_takes_no_signals(void **state)
{
    struct thread thread = {0};
    sigset_t mine;
    (void)state;
    assert_true(thread_start(&thread, "a-name-that-is-too-long", look, NULL));
    thread_join(&thread);
    assert_string_equal(name_seen, "a-name-that-is-");
    assert_int_equal(signals_taken, 0);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mine);
    assert_false(sigismember(&mine, SIGTERM)); /* the starter's mask is as before */
}

static void one_that_goes_on_is_joined_later(void **state)
{
    struct thread thread = {0};
    (void)state;
    atomic_store(&may_end, false);
    assert_true(thread_start(&thread, "waits", wait, NULL));
    assert_false(thread_join_within(&thread, 20));
    assert_true(thread.runs);
    atomic_store(&may_end, true);
    assert_true(thread_join_within(&thread, 60000));
    assert_false(thread.runs);
}

static void one_that_was_never_started_is_joined_at_once(void **state)
{
    struct thread thread = {0};
    (void)state;
    thread_join(&thread);
    assert_true(thread_join_within(&thread, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_has_its_name_and_takes_no_signals),
        cmocka_unit_test(one_that_goes_on_is_joined_later),
        cmocka_unit_test(one_that_was_never_started_is_joined_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
