/* What loads print: one line of JSON with the names of `muster bench`.
 *
 * Thread: the one that runs the benchmark. */
#ifndef MUSTER_BENCH_FIGURES_H
#define MUSTER_BENCH_FIGURES_H

#include <stdint.h>

#include "client/bench/latency.h"

/* `latency` holds the requests that succeeded. */
void figures_print(const struct latency *latency, uint64_t requests, uint64_t failed,
                   double seconds);

#endif
