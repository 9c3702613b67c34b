#include "server/net/loopback.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "server/base/limits.h"
#include "server/base/text.h"

bool loopback_has(const struct sockaddr *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof v4);
        return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family != AF_INET6) {
        return false;
    }
    memcpy(&v6, address, sizeof v6);
    const struct in6_addr *a = &v6.sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
}

bool loopback_listens(const char *address)
{
    char host[HOST_BYTES_MAX + 1];
    uint16_t port;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    if (!text_parse_address(address, host, sizeof host, &port) || host[0] == '\0' ||
        getaddrinfo(host, NULL, &hints, &addresses) != 0) {
        return false;
    }
    bool is_local = true;
    for (const struct addrinfo *a = addresses; a != NULL; a = a->ai_next) {
        is_local &= loopback_has(a->ai_addr);
    }
    freeaddrinfo(addresses);
    return is_local;
}
