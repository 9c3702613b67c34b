#include "api/http/crowd.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>

#include "server/base/check.h"
#include "server/base/compiler.h"
#include "server/registry/mix.h"

void crowd_init(struct crowd *crowd, unsigned most, unsigned most_of_one)
{
    memset(crowd, 0, sizeof *crowd);
    CHECK(getrandom(&crowd->seed, sizeof crowd->seed, 0) == (ssize_t)sizeof crowd->seed);
    crowd->most = most;
    crowd->most_of_one = most_of_one;
}

/* What stands for the client: IPv4 likewise where it came through an IPv6 socket. */
static uint64_t hash(const struct crowd *crowd, const struct sockaddr *peer)
{
    struct {
        uint64_t seed;
        uint8_t address[8];
    } key = {.seed = crowd->seed};
    if (peer->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, peer, sizeof v4);
        memcpy(key.address, &v4.sin_addr, 4);
    } else if (peer->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, peer, sizeof v6);
        const uint8_t *bytes = v6.sin6_addr.s6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
            memcpy(key.address, bytes + 12, 4);
        } else {
            memcpy(key.address, bytes, 8);
        }
    }
    return mix_bytes(&key, sizeof key);
}

enum crowd_verdict crowd_enter(struct crowd *crowd, const struct sockaddr *peer)
{
    uint64_t places = hash(crowd, peer);
    unsigned of_one = UINT32_MAX;
    for (size_t i = 0; i < ARRAY_LENGTH(crowd->of_address); i++) {
        unsigned seen =
            atomic_fetch_add(&crowd->of_address[i][(places >> 32 * i) % CROWD_SLOTS], 1) + 1;
        of_one = seen < of_one ? seen : of_one;
    }
    if (of_one > crowd->most_of_one) {
        return CROWD_TOO_MANY_OF_ONE;
    }
    if (atomic_fetch_add(&crowd->count, 1) >= crowd->most) {
        (void)atomic_fetch_sub(&crowd->count, 1);
        return CROWD_TOO_MANY;
    }
    return CROWD_FINE;
}

void crowd_leave(struct crowd *crowd, const struct sockaddr *peer, enum crowd_verdict verdict)
{
    uint64_t places = hash(crowd, peer);
    if (verdict == CROWD_FINE) {
        (void)atomic_fetch_sub(&crowd->count, 1);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(crowd->of_address); i++) {
        (void)atomic_fetch_sub(&crowd->of_address[i][(places >> 32 * i) % CROWD_SLOTS], 1);
    }
}
