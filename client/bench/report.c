#include "client/bench/report.h"

#include <inttypes.h>

#include "server/base/check.h"
#include "server/base/compiler.h"

static const struct {
    const char *name;
    uint32_t per_million;
} percentiles[] = {
    {"p50", 500000}, {"p90", 900000}, {"p99", 990000}, {"p99.9", 999000}, {"max", 1000000},
};

const char *report_kind_name(enum bench_kind kind)
{
    static const char *const names[] = {
        [BENCH_REGISTER] = "register",
        [BENCH_HEARTBEAT] = "heartbeat",
        [BENCH_DISCOVER] = "discover",
        [BENCH_WATCH] = "watch",
    };
    return names[kind];
}

static double ms_of(uint64_t ns)
{
    return (double)ns / 1e6;
}

static double per_second(uint64_t count, const struct load_result *load)
{
    return load->elapsed_ns > 0 ? (double)count * 1e9 / (double)load->elapsed_ns : 0;
}

/* The threads' time covers the warm-up, so its requests count here as well. */
static double cpu_us(const struct load_result *load)
{
    return load->numbers > 0 ? (double)load->cpu_ns / 1e3 / (double)load->numbers : 0;
}

static void print_count(FILE *file, const char *name, uint64_t count)
{
    if (count > 0) {
        fprintf(file, "  %-16s %" PRIu64 "\n", name, count);
    }
}

static void print_errors(FILE *file, const struct load_result *load)
{
    fprintf(file, "errors             %" PRIu64 "\n", load_failures(load));
    for (int status = 100; status <= LOAD_STATUS_MAX; status++) {
        char name[32];
        (void)snprintf(name, sizeof name, "status %d", status);
        if (status < 200 || status > 299) {
            print_count(file, name, load->statuses[status]);
        }
    }
    print_count(file, "broken off", load->broken);
    print_count(file, "timed out", load->timed_out);
    print_count(file, "malformed", load->malformed);
    if (load->connect_failures > 0) {
        fprintf(file, "failed connects    %" PRIu64 "\n", load->connect_failures);
    }
    if (load->reconnects > 0) {
        fprintf(file, "reconnects         %" PRIu64 "\n", load->reconnects);
    }
}

static void print_targets(FILE *file, const struct bench_options *options,
                          const struct load_result *load)
{
    for (uint32_t i = 0; i < options->urls_count && options->urls_count > 1; i++) {
        const struct load_target *target = &load->targets[i];
        fprintf(file,
                "  %s: %" PRIu64 " succeeded, %" PRIu64 " failed, %" PRIu64 " unfinished, %" PRIu64
                " failed connects\n",
                options->urls[i], target->succeeded, target->failed, target->unfinished,
                target->connect_failures);
    }
}

static void print_latency(FILE *file, const char *name, const struct latency *latency)
{
    fprintf(file, "%-18s", name);
    for (size_t i = 0; i < ARRAY_LENGTH(percentiles); i++) {
        fprintf(file, " %s %.3f", percentiles[i].name,
                ms_of(latency_percentile_ns(latency, percentiles[i].per_million)));
    }
    fputc('\n', file);
}

static void print_watch(FILE *file, const struct bench_options *options,
                        const struct watch_result *watch)
{
    fprintf(file, "watch, %u watchers by %s, %u replicas\n", options->watchers,
            options->stream ? "event streams" : "long-polls", options->urls_count);
    fprintf(file, "in place           %u\n", watch->ready);
    fprintf(file, "writes             %" PRIu64 " done, %" PRIu64 " failed\n", watch->writes,
            watch->failed);
    fprintf(file, "told               %" PRIu64 "\nmissed             %" PRIu64 "\n", watch->told,
            watch->missed);
    fprintf(file, "refused            %" PRIu64 "\nreconnects         %" PRIu64 "\n",
            watch->refused, watch->reconnects);
    print_latency(file, "each watcher, ms", &watch->each);
    print_latency(file, "the last, ms", &watch->last);
    print_latency(file, "write, ms", &watch->write);
    print_latency(file, "write to last, ms", &watch->whole);
}

static void print_load(FILE *file, const struct bench_options *options,
                       const struct load_result *load)
{
    fprintf(file, "%s, %u connections, %u threads, %u replicas, %s loop\n",
            report_kind_name(options->kind), options->connections, options->threads,
            options->urls_count, options->rate > 0 ? "open" : "closed");
    fprintf(file, "requests           %" PRIu64 " in %.2f s\n", load->sent,
            (double)load->elapsed_ns / 1e9);
    fprintf(file, "succeeded          %" PRIu64 ", %.0f a second\n", load->succeeded,
            per_second(load->succeeded, load));
    if (options->kind == BENCH_HEARTBEAT) {
        fprintf(file, "leases renewed     %" PRIu64 ", %.0f a second\n", load->renewed,
                per_second(load->renewed, load));
    }
    print_errors(file, load);
    if (options->rate > 0) {
        fprintf(file, "late               %" PRIu64 "\nnever sent         %" PRIu64 "\n",
                load->late, load->unsent);
    }
    if (load->unfinished > 0) {
        fprintf(file, "unfinished         %" PRIu64 "\n", load->unfinished);
    }
    print_targets(file, options, load);
    fprintf(file, "longest gap        %.1f ms\n", ms_of(load->gap_ns));
    fprintf(file, "client CPU         %.2f us a request\n", cpu_us(load));
    print_latency(file, "latency, ms", &load->latency);
}

void report_table(FILE *file, const struct bench_options *options,
                  const struct bench_result *result)
{
    if (options->kind == BENCH_WATCH) {
        print_watch(file, options, &result->watch);
    } else {
        print_load(file, options, &result->load);
    }
    if (result->left > 0) {
        fprintf(file, "not removed        %" PRIu64 " instances of %s\n", result->left,
                result->prefix);
    }
}

static void set(json_t *object, const char *name, json_t *value)
{
    CHECK(json_object_set_new(object, name, value) == 0);
}

static void set_count(json_t *object, const char *name, uint64_t value)
{
    set(object, name, json_integer((json_int_t)value));
}

static json_t *statuses_json(const struct load_result *load)
{
    json_t *statuses = json_object();
    for (int status = 100; status <= LOAD_STATUS_MAX; status++) {
        char name[8];
        (void)snprintf(name, sizeof name, "%d", status);
        if (load->statuses[status] > 0) {
            set_count(statuses, name, load->statuses[status]);
        }
    }
    return statuses;
}

static json_t *latency_json(const struct latency *latency)
{
    json_t *object = json_object();
    for (size_t i = 0; i < ARRAY_LENGTH(percentiles); i++) {
        set(object, percentiles[i].name,
            json_real(ms_of(latency_percentile_ns(latency, percentiles[i].per_million))));
    }
    set(object, "mean", json_real(ms_of(latency_mean_ns(latency))));
    set_count(object, "count", latency->total);
    return object;
}

static json_t *watch_json(const struct bench_options *options, const struct watch_result *watch)
{
    json_t *report = json_object();
    set(report, "via", json_string(options->stream ? "stream" : "poll"));
    set_count(report, "watchers", options->watchers);
    set_count(report, "ready", watch->ready);
    set(report, "elapsed_ms", json_real(ms_of(watch->elapsed_ns)));
    set_count(report, "writes", watch->writes);
    set_count(report, "failed", watch->failed);
    set_count(report, "told", watch->told);
    set_count(report, "missed", watch->missed);
    set_count(report, "refused", watch->refused);
    set_count(report, "reconnects", watch->reconnects);
    set(report, "client_cpu_us",
        json_real(watch->told > 0 ? (double)watch->cpu_ns / 1e3 / (double)watch->told : 0));
    set(report, "latency_ms", latency_json(&watch->each));
    set(report, "last_ms", latency_json(&watch->last));
    set(report, "write_ms", latency_json(&watch->write));
    set(report, "whole_ms", latency_json(&watch->whole));
    return report;
}

static json_t *targets_json(const struct bench_options *options, const struct load_result *load)
{
    json_t *targets = json_array();
    for (uint32_t i = 0; i < options->urls_count; i++) {
        json_t *target = json_object();
        set(target, "replica", json_string(options->urls[i]));
        set_count(target, "succeeded", load->targets[i].succeeded);
        set_count(target, "failed", load->targets[i].failed);
        set_count(target, "unfinished", load->targets[i].unfinished);
        set_count(target, "connect_failures", load->targets[i].connect_failures);
        CHECK(json_array_append_new(targets, target) == 0);
    }
    return targets;
}

static json_t *load_json(const struct bench_options *options, const struct load_result *load)
{
    json_t *report = json_object();
    set(report, "loop", json_string(options->rate > 0 ? "open" : "closed"));
    set_count(report, "connections", options->connections);
    set_count(report, "threads", options->threads);
    set_count(report, "batch", options->batch);
    set_count(report, "rate", options->rate);
    set(report, "elapsed_ms", json_real(ms_of(load->elapsed_ns)));
    set_count(report, "requests", load->sent);
    set_count(report, "succeeded", load->succeeded);
    set(report, "per_second", json_real(per_second(load->succeeded, load)));
    set_count(report, "failed", load_failures(load));
    set(report, "statuses", statuses_json(load));
    set_count(report, "broken", load->broken);
    set_count(report, "timed_out", load->timed_out);
    set_count(report, "malformed", load->malformed);
    set_count(report, "connect_failures", load->connect_failures);
    set_count(report, "reconnects", load->reconnects);
    set_count(report, "renewed", load->renewed);
    set(report, "renewed_per_second", json_real(per_second(load->renewed, load)));
    set_count(report, "late", load->late);
    set_count(report, "unsent", load->unsent);
    set_count(report, "unfinished", load->unfinished);
    set(report, "by_replica", targets_json(options, load));
    set(report, "longest_gap_ms", json_real(ms_of(load->gap_ns)));
    set(report, "client_cpu_us", json_real(cpu_us(load)));
    set_count(report, "body_bytes", load->body_bytes);
    set(report, "latency_ms", latency_json(&load->latency));
    return report;
}

json_t *report_json(const struct bench_options *options, const struct bench_result *result)
{
    json_t *report = options->kind == BENCH_WATCH ? watch_json(options, &result->watch)
                                                  : load_json(options, &result->load);
    set(report, "kind", json_string(report_kind_name(options->kind)));
    set(report, "prefix", json_string(result->prefix));
    set_count(report, "replicas", options->urls_count);
    set_count(report, "not_removed", result->left);
    return report;
}
