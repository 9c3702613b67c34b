/* The engine: threads that keep connections busy with work, and count what comes of it.
 *
 * Closed loop (rate 0): each connection sends its next request when the last one was answered.
 * Open loop: requests are due by a schedule, whatever became of those before; their latency counts
 * from the time they were due, also when no connection was free for them then.
 *
 * Thread: load_run starts its own and waits for them. Owns: nothing after it returns. */
#ifndef MUSTER_BENCH_LOAD_H
#define MUSTER_BENCH_LOAD_H

#include "client/bench/load_types.h"

void load_run(const struct load_options *options, struct load_result *ret_result);
/* Requests that were answered with no 2xx, or not. */
uint64_t load_failures(const struct load_result *result);

#endif
