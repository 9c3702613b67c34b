/* Random numbers of the system's: ids, and times spread so that many clients do not come at once.
 *
 * Thread: any. There is no state, and the child of a fork does not repeat its parent's numbers. */
#ifndef MUSTER_LIB_RANDOM_H
#define MUSTER_LIB_RANDOM_H

#include <stdint.h>

uint64_t random_u64(void);
/* 0 .. count - 1; 0 when count is 0. */
uint64_t random_below(uint64_t count);
/* Between three quarters of it and all of it. */
uint64_t random_spread(uint64_t ms);

#endif
