/* Never draw twice in one expression or in the arguments of one call: C leaves the order open, and
 * a seed would do another thing in another build.
 *
 * The one source of chance of a run: xoshiro256** (Blackman and Vigna, 2018), seeded with
 * splitmix64.
 *
 * Thread: the only one. */
#ifndef MUSTER_SIM_RNG_H
#define MUSTER_SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

/* splitmix64 (Steele, Lea and Flood, 2014): a source apart, whose state is the caller's. */
uint64_t rng_split(uint64_t *state);
void rng_seed(uint64_t seed);
uint64_t rng_next(void);
/* 0 .. n-1; n > 0. */
uint64_t rng_below(uint64_t n);
/* lowest .. highest, both included. */
uint64_t rng_between(uint64_t lowest, uint64_t highest);
/* True `millionths` times of a million. */
bool rng_chance(uint32_t millionths);

#endif
