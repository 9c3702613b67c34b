#include "tests/bench/figures.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "server/base/check.h"

void figures_print(const struct latency *latency, uint64_t requests, uint64_t failed,
                   double seconds)
{
    struct timespec cpu;
    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0);
    double cpu_us = (double)cpu.tv_sec * 1e6 + (double)cpu.tv_nsec / 1e3;
    printf("{\"requests\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"per_second\": %.1f, "
           "\"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"p99.9\": %.3f, \"max\": %.3f, "
           "\"client_cpu_us\": %.2f}\n",
           requests, failed, (double)(requests - failed) / seconds,
           (double)latency_percentile_ns(latency, 500000) / 1e6,
           (double)latency_percentile_ns(latency, 900000) / 1e6,
           (double)latency_percentile_ns(latency, 990000) / 1e6,
           (double)latency_percentile_ns(latency, 999000) / 1e6, (double)latency->max_ns / 1e6,
           requests > 0 ? cpu_us / (double)requests : 0);
}
