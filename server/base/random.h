/* Pseudorandom numbers for choices that need not be repeatable, and may be guessed: not for
 * secrets.
 *
 * Thread: one owner of the state at a time. */
#ifndef MUSTER_BASE_RANDOM_H
#define MUSTER_BASE_RANDOM_H

#include <stdint.h>

/* The next 64-bit number of a stream (splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom
 * number generators", 2014). Any seed will do. */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

#endif
