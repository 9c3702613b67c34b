#include "server/base/thread.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "server/base/clock.h"

static void *run(void *arg)
{
    struct thread *thread = arg;
    (void)pthread_setname_np(pthread_self(), thread->name);
    void *result = thread->run(thread->arg);
    (void)pthread_mutex_lock(&thread->lock);
    thread->ended = true;
    (void)pthread_cond_signal(&thread->end);
    (void)pthread_mutex_unlock(&thread->lock);
    return result;
}

static void init_end(struct thread *thread)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&thread->end, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&thread->lock, NULL);
    thread->ended = false;
}

static void done_end(struct thread *thread)
{
    (void)pthread_cond_destroy(&thread->end);
    (void)pthread_mutex_destroy(&thread->lock);
}

bool thread_start(struct thread *thread, const char *name, void *(*body)(void *arg), void *arg)
{
    sigset_t all, before;
    (void)snprintf(thread->name, sizeof thread->name, "%s", name);
    thread->run = body;
    thread->arg = arg;
    init_end(thread);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    thread->runs = pthread_create(&thread->id, NULL, run, thread) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!thread->runs) {
        done_end(thread);
    }
    return thread->runs;
}

void thread_join(struct thread *thread)
{
    if (thread->runs) {
        (void)pthread_join(thread->id, NULL);
        done_end(thread);
        thread->runs = false;
    }
}

/* pthread_clockjoin_np() would do, but TSan does not see it. */
bool thread_join_within(struct thread *thread, uint64_t within_ms)
{
    if (!thread->runs) {
        return true;
    }
    uint64_t until_ms = clock_monotonic_ms() + within_ms;
    const struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                                   .tv_nsec = (long)(until_ms % 1000 * 1000000)};
    (void)pthread_mutex_lock(&thread->lock);
    while (!thread->ended && pthread_cond_timedwait(&thread->end, &thread->lock, &until) == 0) {
    }
    bool ended = thread->ended;
    (void)pthread_mutex_unlock(&thread->lock);
    if (ended) {
        thread_join(thread);
    }
    return ended;
}

void thread_leave(struct thread *thread)
{
    (void)pthread_detach(thread->id);
    thread->runs = false;
}
