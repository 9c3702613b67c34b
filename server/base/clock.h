/* The only readers of the machine's clocks.
 *
 * Thread: any. */
#ifndef MUSTER_BASE_CLOCK_H
#define MUSTER_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds and nanoseconds of CLOCK_MONOTONIC: for durations, never for people. */
uint64_t clock_monotonic_ms(void);
uint64_t clock_monotonic_ns(void);
/* Milliseconds since 1970 in UTC: for people, never for decisions. */
int64_t clock_wall_ms(void);

#endif
