/* Latencies in buckets of constant relative width, as in an HDR histogram: below 1/128 of the value
 * in error, from 1 ns to over an hour, in a fixed 36 KiB whatever the number of values.
 *
 * Thread: one owner at a time. */
#ifndef MUSTER_BENCH_LATENCY_H
#define MUSTER_BENCH_LATENCY_H

#include <stdint.h>

/* Each power of two is cut into this many buckets; values below it have one each. */
#define LATENCY_SUB_BITS 7
#define LATENCY_SUBS     (1u << LATENCY_SUB_BITS)
/* Values from 2^42 ns (73 minutes) on are counted in the last bucket. The maximum stays exact. */
#define LATENCY_BITS    42
#define LATENCY_BUCKETS ((LATENCY_BITS - LATENCY_SUB_BITS + 1) * LATENCY_SUBS)

struct latency {
    uint64_t counts[LATENCY_BUCKETS];
    uint64_t total;
    uint64_t max_ns;
    uint64_t sum_ns;
};

void latency_add(struct latency *latency, uint64_t value_ns);
/* Adds all of `other`. */
void latency_merge(struct latency *latency, const struct latency *other);
/* The value that `per_million` millionths of all values do not pass: 990000 is p99. Rounded up to
 * the end of its bucket, but never above the maximum. 0 when there are none. */
uint64_t latency_percentile_ns(const struct latency *latency, uint32_t per_million);
uint64_t latency_mean_ns(const struct latency *latency);

#endif
