/* Single questions to the registry that a caller waits for: linearizable discovery.
 *
 * Thread: any, unless a function says otherwise. Owns: the questions that are under way. */
#ifndef MUSTER_LIB_LOOKUP_H
#define MUSTER_LIB_LOOKUP_H

#include <stddef.h>
#include <stdint.h>

#include "client/include/muster.h"
#include "client/lib/bytes.h"
#include "client/lib/call.h"
#include "client/lib/core.h"
#include "server/base/compiler.h"

#define LOOKUPS_MAX 1024

struct lookup;

struct lookups {
    struct core *core;
    /* under the mutex */
    struct lookup *first;
    size_t count;
};

/* Requires the mutex, and waits. Asks GET `path`, which it takes, with failover. MUSTER_OK: the
 * registry answered, and *ret_answer is the caller's to be done. MUSTER_UNREACHABLE,
 * MUSTER_TIMED_OUT, MUSTER_NO_MEMORY, MUSTER_TOO_MANY. */
MUST_USE enum muster_error lookup_run(struct lookups *lookups, struct bytes *path,
                                      uint32_t timeout_ms, struct http_answer *ret_answer);

/* Requires the mutex. Background thread. */
void lookups_work(struct lookups *lookups);
void lookups_stop(struct lookups *lookups);

#endif
