#include "tests/bench/zk.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "server/base/check.h"

void zk_next_member(const char *hosts, const char **at, char out[ZK_HOST_BYTES_MAX])
{
    size_t len = strcspn(*at, ",");
    (void)snprintf(out, ZK_HOST_BYTES_MAX, "%.*s", (int)len, *at);
    *at = (*at)[len] == ',' ? *at + len + 1 : hosts;
}

void zk_print_figures(const struct latency *latency, uint64_t requests, uint64_t failed,
                      uint64_t seconds)
{
    struct timespec cpu;
    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0);
    double cpu_us = (double)cpu.tv_sec * 1e6 + (double)cpu.tv_nsec / 1e3;
    printf("{\"requests\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"per_second\": %.1f, "
           "\"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"p99.9\": %.3f, \"max\": %.3f, "
           "\"client_cpu_us\": %.2f}\n",
           requests, failed, (double)(requests - failed) / (double)seconds,
           (double)latency_percentile_ns(latency, 500000) / 1e6,
           (double)latency_percentile_ns(latency, 900000) / 1e6,
           (double)latency_percentile_ns(latency, 990000) / 1e6,
           (double)latency_percentile_ns(latency, 999000) / 1e6, (double)latency->max_ns / 1e6,
           requests > 0 ? cpu_us / (double)requests : 0);
}
