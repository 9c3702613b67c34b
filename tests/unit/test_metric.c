/* Metrics add up, and come out in Prometheus' text format. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/base/metric.h"
#include "server/base/metric_text.h"

/* All metrics as NUL-terminated text. */
static void render(struct buffer *out)
{
    buffer_init(out, 1024 * 1024);
    metric_render(out);
    buffer_append_byte(out, 0);
    assert_false(out->overflowed);
}

static void assert_rendered(const char *line)
{
    struct buffer out;
    render(&out);
    const char *found = strstr((const char *)out.data, line);
    if (found == NULL) {
        fail_msg("not rendered: %s", line);
    } else {
        assert_true(found == (const char *)out.data || found[-1] == '\n');
    }
    buffer_done(&out);
}

static void counters_add_up_and_gauges_are_set(void **state)
{
    (void)state;
    metric_add(METRIC_expired_total, 3);
    metric_add(METRIC_expired_total, 4);
    assert_int_equal(metric_get(METRIC_expired_total), 7);
    metric_set(METRIC_waiters, 5);
    metric_add(METRIC_waiters, -6);
    assert_int_equal(metric_get(METRIC_waiters), -1);
    assert_rendered("muster_expired_total 7\n");
    assert_rendered("muster_waiters -1\n");
    assert_rendered("# TYPE muster_expired_total counter\n");
    assert_rendered("# TYPE muster_waiters gauge\n");
}

static void every_metric_has_help_type_and_value(void **state)
{
    static const char *const names[] = {
#define COUNTER(name, help)   #name,
#define GAUGE(name, help)     #name,
#define HISTOGRAM(name, help) #name,
#include "server/base/metric.def"
#undef COUNTER
#undef GAUGE
#undef HISTOGRAM
    };
    (void)state;
    assert_int_equal(ARRAY_LENGTH(names), METRICS + HISTOGRAMS);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        char line[128];
        (void)snprintf(line, sizeof line, "# HELP muster_%s ", names[i]);
        assert_rendered(line);
        (void)snprintf(line, sizeof line, "# TYPE muster_%s ", names[i]);
        assert_rendered(line);
    }
}

static void observations_are_counted_in_every_bucket_from_theirs_on(void **state)
{
    (void)state;
    metric_observe_us(HISTOGRAM_commit_seconds, 0);
    metric_observe_us(HISTOGRAM_commit_seconds, 32);
    metric_observe_us(HISTOGRAM_commit_seconds, 33);
    metric_observe_us(HISTOGRAM_commit_seconds, 1000);
    metric_observe_us(HISTOGRAM_commit_seconds, 16777216);
    metric_observe_us(HISTOGRAM_commit_seconds, 16777217);
    assert_rendered("# TYPE muster_commit_seconds histogram\n");
    assert_rendered("muster_commit_seconds_bucket{le=\"0.000032\"} 2\n");
    assert_rendered("muster_commit_seconds_bucket{le=\"0.000064\"} 3\n");
    assert_rendered("muster_commit_seconds_bucket{le=\"0.000512\"} 3\n");
    assert_rendered("muster_commit_seconds_bucket{le=\"0.001024\"} 4\n");
    assert_rendered("muster_commit_seconds_bucket{le=\"16.777216\"} 5\n");
    assert_rendered("muster_commit_seconds_bucket{le=\"+Inf\"} 6\n");
    assert_rendered("muster_commit_seconds_count 6\n");
    assert_rendered("muster_commit_seconds_sum 33.555498\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_add_up_and_gauges_are_set),
        cmocka_unit_test(every_metric_has_help_type_and_value),
        cmocka_unit_test(observations_are_counted_in_every_bucket_from_theirs_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
