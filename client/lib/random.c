#include "client/lib/random.h"

#include <sys/random.h>

#include "server/base/clock.h"

uint64_t random_u64(void)
{
    uint64_t value = 0;
    if (getrandom(&value, sizeof value, GRND_NONBLOCK) != (ssize_t)sizeof value) {
        /* Only in the first moments of a machine. Not good, but different. */
        value = clock_monotonic_ns() * 0x9e3779b97f4a7c15u;
    }
    return value;
}

uint64_t random_below(uint64_t count)
{
    return count > 0 ? random_u64() % count : 0;
}

uint64_t random_spread(uint64_t ms)
{
    return ms - random_below(ms / 4 + 1);
}
