#include "server/base/metric.h"

#include <stdatomic.h>

static _Atomic int64_t values[METRICS];
static struct {
    _Atomic uint64_t buckets[METRIC_BUCKETS + 1]; /* the last: above all bounds */
    _Atomic uint64_t sum;                         /* in microseconds, or a number */
} observed[HISTOGRAMS];

void metric_add(enum metric metric, int64_t amount)
{
    atomic_fetch_add_explicit(&values[metric], amount, memory_order_relaxed);
}

void metric_set(enum metric metric, int64_t value)
{
    atomic_store_explicit(&values[metric], value, memory_order_relaxed);
}

int64_t metric_get(enum metric metric)
{
    return atomic_load_explicit(&values[metric], memory_order_relaxed);
}

static void observe(enum histogram histogram, uint64_t value, uint64_t first)
{
    unsigned bucket = 0;
    while (bucket < METRIC_BUCKETS && value > first << bucket) {
        bucket++;
    }
    atomic_fetch_add_explicit(&observed[histogram].buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&observed[histogram].sum, value, memory_order_relaxed);
}

void metric_observe_us(enum histogram histogram, uint64_t microseconds)
{
    observe(histogram, microseconds, METRIC_FIRST_BUCKET_US);
}

void metric_observe(enum histogram histogram, uint64_t number)
{
    observe(histogram, number, 1);
}

void metric_observed(enum histogram histogram, struct metric_observed *ret_observed)
{
    for (unsigned i = 0; i <= METRIC_BUCKETS; i++) {
        ret_observed->buckets[i] =
            atomic_load_explicit(&observed[histogram].buckets[i], memory_order_relaxed);
    }
    ret_observed->sum = atomic_load_explicit(&observed[histogram].sum, memory_order_relaxed);
}
