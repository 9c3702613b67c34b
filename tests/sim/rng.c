#include "tests/sim/rng.h"

static uint64_t state[4];

static uint64_t rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t rng_split(uint64_t *own)
{
    *own += 0x9e3779b97f4a7c15u;
    uint64_t z = *own;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void rng_seed(uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        state[i] = rng_split(&seed);
    }
}

uint64_t rng_next(void)
{
    uint64_t result = rotate(state[1] * 5, 7) * 9;
    uint64_t t = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= t;
    state[3] = rotate(state[3], 45);
    return result;
}

uint64_t rng_below(uint64_t n)
{
    return rng_next() % n;
}

uint64_t rng_between(uint64_t lowest, uint64_t highest)
{
    return lowest + rng_below(highest - lowest + 1);
}

bool rng_chance(uint32_t millionths)
{
    return rng_below(1000000) < millionths;
}
