#include "server/base/clock.h"

#include <time.h>

static uint64_t read_ns(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t machine_monotonic_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

static uint64_t machine_boot_ns(void)
{
    return read_ns(CLOCK_BOOTTIME);
}

static int64_t machine_wall_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct clock_source current = {
    .monotonic_ns = machine_monotonic_ns,
    .boot_ns = machine_boot_ns,
    .wall_ms = machine_wall_ms,
};

void clock_replace(const struct clock_source *source)
{
    current = *source;
}

uint64_t clock_monotonic_ns(void)
{
    return current.monotonic_ns();
}

uint64_t clock_monotonic_ms(void)
{
    return current.monotonic_ns() / 1000000u;
}

uint64_t clock_boot_ms(void)
{
    return (current.boot_ns != NULL ? current.boot_ns() : current.monotonic_ns()) / 1000000u;
}

int64_t clock_wall_ms(void)
{
    return current.wall_ms();
}
