/* What all parts of a client share: its replicas, its loop, its lock, and the rules of who may
 * call.
 *
 * Thread: the fields say. Owns: the loop with its connections, and the lock. */
#ifndef MUSTER_LIB_CORE_H
#define MUSTER_LIB_CORE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/include/muster.h"
#include "client/lib/failover.h"
#include "client/lib/loop.h"
#include "client/lib/servers.h"
#include "client/lib/settings.h"
#include "server/base/compiler.h"

struct core {
    /* immutable once the thread runs */
    pid_t pid;
    pthread_t thread; /* the background thread */
    struct servers servers;
    struct settings settings;
    int descriptor; /* readable: something is to be dispatched; -1: callbacks come by themselves */

    /* `changed` is signalled after every change that a caller may wait for */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool dispatching; /* under the mutex: a thread is in muster_dispatch() */

    /* background thread */
    struct loop loop;
    struct failover failover;
};

/* Requires servers and settings to be filled. False when there is no memory or no descriptor;
 * nothing is to be freed then. */
MUST_USE bool core_init(struct core *core);
/* After the background thread has ended. */
void core_done(struct core *core);

/* Returns MUSTER_FORKED in the child of a fork, and MUSTER_INVALID if a call that waits comes from
 * a callback: it would wait for itself. Any thread. */
MUST_USE enum muster_error core_check(const struct core *core, uint32_t timeout_ms);
/* Requires the mutex. Waits for `changed`. Returns false once clock_monotonic_ms() has passed the
 * deadline. */
MUST_USE bool core_await(struct core *core, uint64_t deadline_ms);
/* Whether the calling thread is one that callbacks run on: the background thread, or one that is in
 * muster_dispatch(). Any thread. */
bool core_is_callback_thread(const struct core *core);

/* Whether callbacks wait for muster_dispatch(). Any thread. */
bool core_uses_dispatch(const struct core *core);
/* Makes the descriptor readable. Any thread. */
void core_signal(struct core *core);
/* Requires the mutex. The calling thread dispatches until core_end_dispatch(). False if another one
 * does. */
MUST_USE bool core_begin_dispatch(struct core *core);
void core_end_dispatch(struct core *core);

/* Background thread, without the mutex. */
void core_log(const struct core *core, enum muster_log_level level, const char *format, ...)
    PRINTF_LIKE(3, 4);

#endif
