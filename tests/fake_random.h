/* Replaces the kernel's random bytes (--wrap=getrandom): the same ones in every run, starting from
 * random_state. For one file of a program; the generator is Knuth's MMIX. */
#ifndef TESTS_FAKE_RANDOM_H
#define TESTS_FAKE_RANDOM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

static uint64_t random_state;

ssize_t __wrap_getrandom(void *out, size_t len, unsigned flags);
ssize_t __wrap_getrandom(void *out, size_t len, unsigned flags)
{
    (void)flags;
    for (size_t i = 0; i < len; i++) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        ((uint8_t *)out)[i] = (uint8_t)(random_state >> 56);
    }
    return (ssize_t)len;
}

#endif
