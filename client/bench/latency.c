#include "client/bench/latency.h"

/* The bucket's width is 2^shift; `shift` is 0 for the first two powers' worth of buckets. */
static uint32_t bucket_of(uint64_t value_ns)
{
    if (value_ns < LATENCY_SUBS) {
        return (uint32_t)value_ns;
    }
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(value_ns) - LATENCY_SUB_BITS;
    uint64_t bucket = (uint64_t)shift * LATENCY_SUBS + (value_ns >> shift);
    return bucket < LATENCY_BUCKETS ? (uint32_t)bucket : LATENCY_BUCKETS - 1;
}

/* The largest value that falls into it. */
static uint64_t bucket_end(uint32_t bucket)
{
    if (bucket < LATENCY_SUBS) {
        return bucket;
    }
    uint32_t shift = bucket / LATENCY_SUBS - 1;
    uint64_t sub = bucket - (uint64_t)shift * LATENCY_SUBS;
    return ((sub + 1) << shift) - 1;
}

void latency_add(struct latency *latency, uint64_t value_ns)
{
    latency->counts[bucket_of(value_ns)]++;
    latency->total++;
    latency->sum_ns += value_ns;
    if (value_ns > latency->max_ns) {
        latency->max_ns = value_ns;
    }
}

void latency_merge(struct latency *latency, const struct latency *other)
{
    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
        latency->counts[i] += other->counts[i];
    }
    latency->total += other->total;
    latency->sum_ns += other->sum_ns;
    if (other->max_ns > latency->max_ns) {
        latency->max_ns = other->max_ns;
    }
}

uint64_t latency_percentile_ns(const struct latency *latency, uint32_t per_million)
{
    /* In two parts, so that the product cannot overflow. */
    uint64_t wanted = latency->total / 1000000 * per_million +
                      (latency->total % 1000000 * per_million + 999999) / 1000000;
    uint64_t seen = 0;
    for (uint32_t i = 0; i + 1 < LATENCY_BUCKETS; i++) {
        seen += latency->counts[i];
        if (seen >= wanted && seen > 0) {
            uint64_t end_ns = bucket_end(i);
            return end_ns < latency->max_ns ? end_ns : latency->max_ns;
        }
    }
    return latency->max_ns;
}

uint64_t latency_mean_ns(const struct latency *latency)
{
    return latency->total > 0 ? latency->sum_ns / latency->total : 0;
}
