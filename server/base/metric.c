#include "server/base/metric.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#define BUCKETS         20
#define FIRST_BUCKET_US 32u
#define US_A_SECOND     1e6

static const struct {
    const char *name, *help, *type;
} metrics[] = {
#define COUNTER(name, help) {#name, help, "counter"},
#define GAUGE(name, help)   {#name, help, "gauge"},
#define HISTOGRAM(name, help)
#include "server/base/metric.def"
#undef COUNTER
#undef GAUGE
#undef HISTOGRAM
};

static const struct {
    const char *name, *help;
} histograms[] = {
#define COUNTER(name, help)
#define GAUGE(name, help)
#define HISTOGRAM(name, help) {#name, help},
#include "server/base/metric.def"
#undef COUNTER
#undef GAUGE
#undef HISTOGRAM
};

static _Atomic int64_t values[METRICS];
static struct {
    _Atomic uint64_t buckets[BUCKETS + 1]; /* the last: above all bounds */
    _Atomic uint64_t sum;                  /* of microseconds or numbers */
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
    while (bucket < BUCKETS && value > first << bucket) {
        bucket++;
    }
    atomic_fetch_add_explicit(&observed[histogram].buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&observed[histogram].sum, value, memory_order_relaxed);
}

void metric_observe_us(enum histogram histogram, uint64_t microseconds)
{
    observe(histogram, microseconds, FIRST_BUCKET_US);
}

void metric_observe(enum histogram histogram, uint64_t number)
{
    observe(histogram, number, 1);
}

static bool is_of_seconds(const char *name)
{
    static const char suffix[] = "_seconds";
    size_t len = strlen(name);
    return len >= sizeof suffix - 1 && strcmp(name + len - (sizeof suffix - 1), suffix) == 0;
}

static void render_histogram(struct buffer *out, enum histogram h)
{
    const char *name = histograms[h].name;
    bool seconds = is_of_seconds(name);
    uint64_t first = seconds ? FIRST_BUCKET_US : 1;
    double unit = seconds ? US_A_SECOND : 1;
    int digits = seconds ? 6 : 0;
    buffer_printf(out, "# HELP muster_%s %s\n# TYPE muster_%s histogram\n", name,
                  histograms[h].help, name);
    uint64_t count = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        count += atomic_load_explicit(&observed[h].buckets[i], memory_order_relaxed);
        buffer_printf(out, "muster_%s_bucket{le=\"%.*f\"} %" PRIu64 "\n", name, digits,
                      (double)(first << i) / unit, count);
    }
    count += atomic_load_explicit(&observed[h].buckets[BUCKETS], memory_order_relaxed);
    uint64_t sum = atomic_load_explicit(&observed[h].sum, memory_order_relaxed);
    buffer_printf(out, "muster_%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, count);
    buffer_printf(out, "muster_%s_sum %.*f\nmuster_%s_count %" PRIu64 "\n", name, digits,
                  (double)sum / unit, name, count);
}

void metric_render(struct buffer *out)
{
    for (unsigned m = 0; m < METRICS; m++) {
        const char *name = metrics[m].name;
        buffer_printf(out, "# HELP muster_%s %s\n# TYPE muster_%s %s\nmuster_%s %" PRId64 "\n",
                      name, metrics[m].help, name, metrics[m].type, name, metric_get(m));
    }
    for (unsigned h = 0; h < HISTOGRAMS; h++) {
        render_histogram(out, h);
    }
}
