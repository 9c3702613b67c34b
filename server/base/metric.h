/* Counters, gauges and histograms of the process, all listed in metric.def.
 *
 * Thread: any; relaxed atomics. */
#ifndef MUSTER_BASE_METRIC_H
#define MUSTER_BASE_METRIC_H

#include <stdint.h>

enum metric {
#define COUNTER(name, help) METRIC_##name,
#define GAUGE(name, help)   METRIC_##name,
#define HISTOGRAM(name, help)
#include "server/base/metric.def"
#undef COUNTER
#undef GAUGE
#undef HISTOGRAM
    METRICS,
};

enum histogram {
#define COUNTER(name, help)
#define GAUGE(name, help)
#define HISTOGRAM(name, help) HISTOGRAM_##name,
#include "server/base/metric.def"
#undef COUNTER
#undef GAUGE
#undef HISTOGRAM
    HISTOGRAMS,
};

void metric_add(enum metric metric, int64_t amount);
void metric_set(enum metric metric, int64_t value);
int64_t metric_get(enum metric metric);
/* Buckets are powers of two: 32 microseconds to about 17 seconds, or 1 to half a million. */
void metric_observe_us(enum histogram histogram, uint64_t microseconds);
void metric_observe(enum histogram histogram, uint64_t number);

#define METRIC_BUCKETS         20
#define METRIC_FIRST_BUCKET_US 32u /* and 1 for histograms of numbers */
struct metric_observed {
    uint64_t buckets[METRIC_BUCKETS + 1]; /* the last: above all bounds */
    uint64_t sum;                         /* in microseconds, or a number */
};
void metric_observed(enum histogram histogram, struct metric_observed *ret_observed);

#endif
