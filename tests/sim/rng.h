/* Never draw twice in one expression or in the arguments of one call: C leaves the order undefined,
 * and a seed would behave differently in another build.
 *
 * The only random source of a run: xoshiro256** (Blackman and Vigna, 2018), seeded by splitmix64.
 *
 * Thread: the only one. */
#ifndef MUSTER_SIM_RNG_H
#define MUSTER_SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

/* splitmix64 (Steele, Lea and Flood, 2014): a separate source; the caller has its state. */
uint64_t rng_split(uint64_t *state);
void rng_seed(uint64_t seed);
uint64_t rng_next(void);
/* 0 .. n-1; n > 0. */
uint64_t rng_below(uint64_t n);
/* lowest .. highest, inclusive. */
uint64_t rng_between(uint64_t lowest, uint64_t highest);
/* True with this probability, in millionths. */
bool rng_chance(uint32_t millionths);

#endif
