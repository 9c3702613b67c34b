#include "api/core/client_address.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#include "server/registry/mix.h"

/* False: the first 8 bytes of `ret_bytes` are of IPv6, or all 0; true: the first 4, of IPv4. */
static bool is_v4(const struct sockaddr *peer, uint8_t ret_bytes[16])
{
    memset(ret_bytes, 0, 16);
    if (peer->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, peer, sizeof v4);
        memcpy(ret_bytes, &v4.sin_addr, 4);
        return true;
    }
    if (peer->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, peer, sizeof v6);
        bool mapped = IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr);
        memcpy(ret_bytes, v6.sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
        return mapped;
    }
    return false;
}

uint64_t client_address_hash(uint64_t seed, const struct sockaddr *peer)
{
    struct {
        uint64_t seed;
        uint8_t address[8];
    } key = {.seed = seed};
    uint8_t bytes[16];
    memcpy(key.address, bytes, is_v4(peer, bytes) ? 4 : 8);
    return mix_bytes(&key, sizeof key);
}

void client_address_text(const struct sockaddr *peer, char out[INET6_ADDRSTRLEN])
{
    out[0] = '\0';
    if (peer->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, peer, sizeof v4);
        (void)inet_ntop(AF_INET, &v4.sin_addr, out, INET6_ADDRSTRLEN);
    } else if (peer->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, peer, sizeof v6);
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
            (void)inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], out, INET6_ADDRSTRLEN);
        } else {
            (void)inet_ntop(AF_INET6, &v6.sin6_addr, out, INET6_ADDRSTRLEN);
        }
    }
}
