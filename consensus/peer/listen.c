#include "consensus/peer/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/limits.h"
#include "server/base/text.h"

/* -1 with errno. Both families when `any`. */
static int listen_on(const struct addrinfo *a, bool any)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    int on = 1;
    int off = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (any && a->ai_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        int reason = errno;
        (void)close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

/* The first address of the host that can be bound. */
static int listen_on_any(const struct addrinfo *found, bool any, int family)
{
    int fd = -1;
    for (const struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next) {
        if (family == AF_UNSPEC || a->ai_family == family) {
            fd = listen_on(a, any);
        }
    }
    return fd;
}

int listen_open(const char *address, char *error, size_t error_size)
{
    char host[HOST_BYTES_MAX + 1];
    uint16_t port;
    if (!text_parse_address(address, host, sizeof host, &port)) {
        (void)snprintf(error, error_size, "\"%s\" is not an address to listen on; write host:port",
                       address);
        return -1;
    }
    char service[8];
    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found;
    bool any = host[0] == '\0';
    int rv = getaddrinfo(any ? NULL : host, service, &hints, &found);
    if (rv != 0) {
        (void)snprintf(error, error_size, "cannot listen on %s for other members: %s", address,
                       gai_strerror(rv));
        return -1;
    }
    errno = EADDRNOTAVAIL;
    int fd = any ? listen_on_any(found, true, AF_INET6) : -1;
    if (fd < 0) {
        fd = listen_on_any(found, any, any ? AF_INET : AF_UNSPEC);
    }
    int reason = errno;
    freeaddrinfo(found);
    if (fd < 0) {
        (void)snprintf(error, error_size,
                       "cannot listen on %s for other members: %s; stop what is there, or choose "
                       "another --peer address",
                       address, strerror(reason));
    }
    return fd;
}
