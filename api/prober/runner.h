/* Runs the active checks that are this replica's, on a thread of its own.
 *
 * Thread: main. Owns: the thread, its connections, and what it knows of the checks. */
#ifndef MUSTER_API_PROBER_RUNNER_H
#define MUSTER_API_PROBER_RUNNER_H

#include <stddef.h>

#include "api/prober/allow.h"
#include "server/base/compiler.h"

struct node;
struct runner;

struct runner_options {
    struct allow allow;
    const char *ca;       /* file; NULL or "": the system's; borrowed until runner_stop */
    unsigned connections; /* at most, CHECK_CONNECTIONS_MIN or more */
};

struct runner *runner_new(const struct runner_options *options);
/* False with a sentence; runner_stop follows. The node outlives it. */
MUST_USE bool runner_start(struct runner *r, struct node *node, char *error, size_t error_size);
/* From now on no check is run. Ends the thread. */
void runner_drain(struct runner *r);
/* Frees it, whether it was started or not. The node has answered all. */
void runner_stop(struct runner *r);

#endif
