/* A thread that takes no signals, which are the main thread's, and whose end can be waited for.
 *
 * Thread: the one that starts it also joins it. Owns: the thread. */
#ifndef MUSTER_BASE_THREAD_H
#define MUSTER_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/base/compiler.h"

#define THREAD_NAME_SIZE 16 /* with its NUL; the kernel's */

/* All zeros: none was started. */
struct thread {
    bool runs; /* and was not joined */
    pthread_t id;
    char name[THREAD_NAME_SIZE];
    void *(*run)(void *arg);
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t end; /* of the monotonic clock */
    bool ended;         /* under the lock */
};

/* A name that is too long is cut off. False: there is no thread. */
MUST_USE bool thread_start(struct thread *thread, const char *name, void *(*run)(void *arg),
                           void *arg);
/* Waits for its end. Nothing if it does not run. */
void thread_join(struct thread *thread);
/* The same for so long at most. False: it still runs, and may be joined later. */
bool thread_join_within(struct thread *thread, uint64_t within_ms);
/* It hangs, and is left alone: nobody joins it. `thread`, and all that it uses, must stay. */
void thread_leave(struct thread *thread);

#endif
