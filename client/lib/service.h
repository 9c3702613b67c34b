/* A copy of one service that an event stream keeps current, and the followers of its changes.
 *
 * Thread: the background thread, unless a function says otherwise.
 * Owns: the instances of the copy, its stream, and its followers. */
#ifndef MUSTER_LIB_SERVICE_H
#define MUSTER_LIB_SERVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/include/muster.h"
#include "client/lib/core.h"
#include "client/lib/event_stream.h"
#include "client/lib/instance_set.h"
#include "server/base/compiler.h"

struct muster;
struct service;

struct muster_follow {
    struct muster *muster;
    struct service *service;
    muster_follow_cb on_change;
    void *ctx;
    struct muster_follow *next;
    bool fresh; /* has not been told what is there yet */
    /* With muster_dispatch(): what this follower was told, and of how many snapshots. */
    struct instance_set seen;
    uint64_t syncs;
    bool running;       /* the callback is */
    _Atomic bool ended; /* must not be called any more */
};

struct service {
    struct service *next;
    struct core *core;
    char *name;

    /* under the mutex; only the background thread changes the set */
    struct instance_set live;
    bool synced;             /* at some time: `live` is a copy */
    bool current;            /* and the stream is up */
    bool all_failed;         /* every replica was asked, and none answered */
    enum muster_error error; /* MUSTER_REFUSED, MUSTER_NO_MEMORY, or none */
    uint64_t turn;           /* of round robin */
    uint64_t syncs;          /* snapshots that `live` was replaced by */
    bool news;               /* for muster_dispatch(): `live` has changed */
    struct muster_follow *follows;
    bool has_fresh;
    _Atomic uint64_t fresh_ms; /* when the copy was last known to be current */

    /* background thread */
    struct event_stream stream;
    bool started;
    struct instance_set staging; /* the copy that is being received */
    bool is_staging;
};

/* NULL without memory. Any thread. */
struct service *service_create(struct core *core, const char *name);
void service_destroy(struct service *service);

/* Requires the mutex, and releases it during callbacks. Starts the stream, and tells new followers
 * what is there. */
void service_work(struct service *service);

/* Requires the mutex, and releases it during callbacks. The dispatching thread. Tells each follower
 * how the copy differs from what it was told. False without memory. */
MUST_USE bool service_dispatch(struct service *service);
void service_free_follow(struct muster_follow *follow);

/* Requires the mutex. Any thread. Waits until there is a copy. MUSTER_REFUSED, MUSTER_NO_MEMORY,
 * MUSTER_UNREACHABLE, MUSTER_TIMED_OUT. With `impatient`, one round through all replicas is enough.
 */
MUST_USE enum muster_error service_await_copy(struct service *service, uint32_t timeout_ms,
                                              bool impatient);
/* Requires the mutex. Any thread. Milliseconds since the copy was last known to be current. */
uint64_t service_age_ms(const struct service *service);

#endif
