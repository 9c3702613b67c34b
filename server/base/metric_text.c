#include "server/base/metric_text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "server/base/metric.h"

#define US_A_SECOND 1e6

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
    uint64_t first = seconds ? METRIC_FIRST_BUCKET_US : 1;
    double unit = seconds ? US_A_SECOND : 1;
    int digits = seconds ? 6 : 0;
    buffer_printf(out, "# HELP muster_%s %s\n# TYPE muster_%s histogram\n", name,
                  histograms[h].help, name);
    struct metric_observed observed;
    metric_observed(h, &observed);
    uint64_t count = 0;
    for (unsigned i = 0; i < METRIC_BUCKETS; i++) {
        count += observed.buckets[i];
        buffer_printf(out, "muster_%s_bucket{le=\"%.*f\"} %" PRIu64 "\n", name, digits,
                      (double)(first << i) / unit, count);
    }
    count += observed.buckets[METRIC_BUCKETS];
    buffer_printf(out, "muster_%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, count);
    buffer_printf(out, "muster_%s_sum %.*f\nmuster_%s_count %" PRIu64 "\n", name, digits,
                  (double)observed.sum / unit, name, count);
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
