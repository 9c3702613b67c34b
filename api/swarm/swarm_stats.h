/* What the containers of a node use: one sample at a time, and the difference to the one before.
 *
 * Thread: one. Owns: the samples, of the containers that ran at the last round. */
#ifndef MUSTER_API_SWARM_SWARM_STATS_H
#define MUSTER_API_SWARM_SWARM_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/compiler.h"

#define SWARM_CONTAINER_SIZE 65 /* 64 hexadecimal digits */

struct swarm_sample {
    char container[SWARM_CONTAINER_SIZE];
    uint64_t total, system; /* nanoseconds of processors: of it, of the machine */
    unsigned processors;
    uint64_t memory;   /* bytes */
    uint64_t taken_ms; /* monotonic */
};

/* From the answer of /containers/ID/stats. False if it cannot be read, or the container has ended.
 */
MUST_USE bool swarm_sample_parse(struct swarm_sample *ret_sample, const char *text, size_t len);
/* Percent of one processor; 0 when there is no sample before it (NULL), or no time in between. */
double swarm_sample_cpu(const struct swarm_sample *before, const struct swarm_sample *now);

/* Those of one round, in order of container. */
struct swarm_samples {
    struct swarm_sample *rows;
    size_t count;
};
void swarm_samples_sort(struct swarm_samples *samples);
/* NULL if there is none. */
const struct swarm_sample *swarm_samples_find(const struct swarm_samples *samples,
                                              const char *container);
void swarm_samples_done(struct swarm_samples *samples);

#endif
