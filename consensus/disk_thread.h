/* A thread for the log alone: durable writes must not queue behind name lookups, snapshots and
 * whatever else keeps libuv's pool busy.
 *
 * Thread: loop, except the work itself. Owns: its thread. */
#ifndef MUSTER_CONSENSUS_DISK_THREAD_H
#define MUSTER_CONSENSUS_DISK_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "consensus/persist.h"

struct disk_thread {
    pthread_t thread;
    uv_async_t done;
    _Atomic uint64_t busy_since_ms; /* monotonic; 0: idle. Readable from any thread */
    struct engine_work *current;    /* loop's; NULL: idle */
    /* under mutex */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct engine_work *todo;
    bool finished; /* `current` is done */
    bool stopping;
};

void disk_thread_start(struct disk_thread *t, uv_loop_t *loop);
/* Runs it on the thread, then calls work->done on the loop. One at a time. */
void disk_thread_post(struct disk_thread *t, struct engine_work *work);
/* Only when idle: ends the thread and closes the handle. */
void disk_thread_stop(struct disk_thread *t);

#endif
