/* The only readers of the machine's clocks.
 *
 * Thread: any. */
#ifndef MUSTER_BASE_CLOCK_H
#define MUSTER_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds and nanoseconds of CLOCK_MONOTONIC: for durations, never for people. */
uint64_t clock_monotonic_ms(void);
uint64_t clock_monotonic_ns(void);
/* Milliseconds of CLOCK_BOOTTIME: the same, with the time in which the machine was suspended. For
 * deadlines that must not outlast it. */
uint64_t clock_boot_ms(void);
/* From `since` to `now`; 0 if `since` is later, as `now` may have been read before. (A plain
 * difference would be centuries.) */
static inline uint64_t clock_elapsed(uint64_t since, uint64_t now)
{
    return now > since ? now - since : 0;
}
/* Milliseconds since 1970 in UTC: for people, never for decisions. */
int64_t clock_wall_ms(void);

/* Replaces the machine's clocks, for simulation. Before there are threads; static. */
struct clock_source {
    uint64_t (*monotonic_ns)(void);
    uint64_t (*boot_ns)(void); /* NULL: as monotonic_ns */
    int64_t (*wall_ms)(void);
};
void clock_replace(const struct clock_source *source);

#endif
