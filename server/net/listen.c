#include "server/net/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/limits.h"
#include "server/base/text.h"

/* -1 with errno. */
static int open_socket(const struct addrinfo *address, bool any)
{
    int off = 0, on = 1;
    bool streams = address->ai_socktype == SOCK_STREAM;
    int fd = socket(address->ai_family, address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    /* For UDP it would let a second process take the port. */
    if (streams) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    }
    if (any && address->ai_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 ||
        (streams && listen(fd, SOMAXCONN) != 0)) {
        int saved = errno;
        (void)close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/* The first address of that family that can be bound. */
static int open_first(const struct addrinfo *addresses, int family, bool any)
{
    for (const struct addrinfo *a = addresses; a != NULL; a = a->ai_next) {
        int fd = a->ai_family == family ? open_socket(a, any) : -1;
        if (fd >= 0 || (a->ai_family == family && errno == EADDRINUSE)) {
            return fd;
        }
    }
    return -1;
}

static int open_listener(const char *address, int type, const char *option, char *error,
                         size_t error_size)
{
    char host[HOST_BYTES_MAX + 1], port_text[8];
    uint16_t port;
    if (!text_parse_address(address, host, sizeof host, &port)) {
        (void)snprintf(error, error_size,
                       "%s: \"%s\" is not an address to listen on; write host:port", option,
                       address);
        return -1;
    }
    (void)snprintf(port_text, sizeof port_text, "%u", port);
    struct addrinfo hints = {.ai_socktype = type, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    bool any = host[0] == '\0';
    int failed = getaddrinfo(any ? NULL : host, port_text, &hints, &addresses);
    if (failed != 0) {
        (void)snprintf(error, error_size, "%s: cannot look up %s: %s", option, address,
                       gai_strerror(failed));
        return -1;
    }
    int first = any ? AF_INET6 : AF_INET;
    errno = EADDRNOTAVAIL;
    int fd = open_first(addresses, first, any);
    if (fd < 0 && errno != EADDRINUSE) {
        fd = open_first(addresses, first == AF_INET6 ? AF_INET : AF_INET6, any);
    }
    if (fd < 0) {
        (void)snprintf(error, error_size,
                       "cannot listen on %s: %s; stop what listens there, or choose another %s",
                       address, strerror(errno), option);
    }
    freeaddrinfo(addresses);
    return fd;
}

int listen_open(const char *address, const char *option, char *error, size_t error_size)
{
    return open_listener(address, SOCK_STREAM, option, error, error_size);
}

int listen_open_datagrams(const char *address, const char *option, char *error, size_t error_size)
{
    return open_listener(address, SOCK_DGRAM, option, error, error_size);
}
