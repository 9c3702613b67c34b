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

bool sink_start(struct sink *s, struct node *node, char *error, size_t error_size)
{
    s->node = node;
    atomic_init(&s->draining, false);
    atomic_init(&s->stopping, false);
    atomic_init(&s->connecting, false);
    sink_feed_init(&s->feed);
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
    s->runs = pthread_clockjoin_np(s->thread, NULL, CLOCK_MONOTONIC, &until) != 0;
    return !s->runs;
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
    return true;
}
