#include "api/core/crowd.h"

#include <string.h>
#include <sys/random.h>

#include "api/core/client_address.h"
#include "server/base/check.h"
#include "server/base/compiler.h"

void crowd_init(struct crowd *crowd, unsigned most, unsigned most_of_one)
{
    memset(crowd, 0, sizeof *crowd);
    CHECK(getrandom(&crowd->seed, sizeof crowd->seed, 0) == (ssize_t)sizeof crowd->seed);
    crowd->most = most;
    crowd->most_of_one = most_of_one;
}

enum crowd_verdict crowd_enter(struct crowd *crowd, const struct sockaddr *peer, bool is_slow)
{
    uint64_t places = client_address_hash(crowd->seed, peer);
    unsigned of_one = UINT32_MAX;
    for (size_t i = 0; i < ARRAY_LENGTH(crowd->of_address); i++) {
        unsigned seen =
            atomic_fetch_add(&crowd->of_address[i][(places >> 32 * i) % CROWD_SLOTS], 1) + 1;
        of_one = seen < of_one ? seen : of_one;
    }
    if (of_one > crowd->most_of_one) {
        return CROWD_TOO_MANY_OF_ONE;
    }
    if (!is_slow) {
        return CROWD_TOO_FAST;
    }
    if (atomic_fetch_add(&crowd->count, 1) >= crowd->most) {
        (void)atomic_fetch_sub(&crowd->count, 1);
        return CROWD_TOO_MANY;
    }
    return CROWD_FINE;
}

void crowd_leave(struct crowd *crowd, const struct sockaddr *peer, enum crowd_verdict verdict)
{
    uint64_t places = client_address_hash(crowd->seed, peer);
    if (verdict == CROWD_FINE) {
        (void)atomic_fetch_sub(&crowd->count, 1);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(crowd->of_address); i++) {
        (void)atomic_fetch_sub(&crowd->of_address[i][(places >> 32 * i) % CROWD_SLOTS], 1);
    }
}
