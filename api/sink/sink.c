#include "api/sink/sink.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* For what is on its way, and the position. */
#define DRAIN_MS 1500
/* For a call that was aborted to return. */
#define STOP_MS 3000

static void wake(struct node_listener *listener)
{
    lane_wake(&CONTAINER_OF(listener, struct sink, listener)->lane);
}

static bool start_thread(struct sink *s)
{
    /* Signals are the main thread's. */
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    s->runs = pthread_create(&s->thread, NULL, sink_run, s) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return s->runs;
}

static void init_end(struct sink *s)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->end, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&s->end_lock, NULL);
    s->ended = false;
}

bool sink_start(struct sink *s, struct node *node, char *error, size_t error_size)
{
    s->node = node;
    atomic_init(&s->draining, false);
    atomic_init(&s->stopping, false);
    atomic_init(&s->connecting, false);
    sink_feed_init(&s->feed, s->kind->translate);
    init_end(s);
    if (!lane_open(&s->lane)) {
        (void)snprintf(error, error_size, "cannot open a descriptor for the sink %s: %s",
                       s->kind->name, strerror(errno));
        return false;
    }
    sink_position_init(&s->writer, s->kind->name, node, &s->lane);
    s->listener.told = wake;
    node_listen(node, &s->listener);
    if (!start_thread(s)) {
        (void)snprintf(error, error_size, "cannot start a thread for the sink %s", s->kind->name);
        return false;
    }
    return true;
}

void sink_ended(struct sink *s)
{
    (void)pthread_mutex_lock(&s->end_lock);
    s->ended = true;
    (void)pthread_cond_signal(&s->end);
    (void)pthread_mutex_unlock(&s->end_lock);
}

/* True once it has ended. */
static bool join(struct sink *s, long within_ms)
{
    struct timespec until;
    if (!s->runs) {
        return true;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (within_ms % 1000) * 1000000;
    until.tv_sec += within_ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_mutex_lock(&s->end_lock);
    while (!s->ended && pthread_cond_timedwait(&s->end, &s->end_lock, &until) == 0) {
    }
    bool ended = s->ended;
    (void)pthread_mutex_unlock(&s->end_lock);
    if (ended) {
        (void)pthread_join(s->thread, NULL);
        s->runs = false;
    }
    return ended;
}

void sink_drain(struct sink *s)
{
    atomic_store(&s->draining, true);
    if (s->runs) {
        lane_wake(&s->lane);
        if (!atomic_load(&s->connecting)) {
            (void)join(s, DRAIN_MS);
        }
    }
}

bool sink_stop(struct sink *s)
{
    if (s->node == NULL) {
        return true;
    }
    atomic_store(&s->stopping, true);
    if (s->runs) {
        s->kind->abort(s);
        lane_wake(&s->lane);
        if (!join(s, STOP_MS)) {
            return false;
        }
    }
    sink_feed_done(&s->feed);
    lane_close(&s->lane);
    (void)pthread_cond_destroy(&s->end);
    (void)pthread_mutex_destroy(&s->end_lock);
    return true;
}
