/* api_listen: one socket for all workers, without SO_REUSEPORT, so that a second process on the
 * same port fails at once. */
#include "api/api.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/limits.h"
#include "server/base/text.h"

/* -1 with errno. */
static int open_socket(const struct addrinfo *address)
{
    int off = 0, on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->ai_family == AF_INET6) {
        /* "::" is IPv4 as well. */
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0) {
        int saved = errno;
        (void)close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/* The first address of that family that can be bound. */
static int open_first(const struct addrinfo *addresses, int family)
{
    for (const struct addrinfo *a = addresses; a != NULL; a = a->ai_next) {
        int fd = a->ai_family == family ? open_socket(a) : -1;
        if (fd >= 0 || (a->ai_family == family && errno == EADDRINUSE)) {
            return fd;
        }
    }
    return -1;
}

int api_listen(const char *listen_address, char *error, size_t error_size)
{
    char host[HOST_BYTES_MAX + 1], port_text[8];
    uint16_t port;
    if (!text_parse_address(listen_address, host, sizeof host, &port)) {
        (void)snprintf(error, error_size, "\"%s\" is not an address of the form host:port",
                       listen_address);
        return -1;
    }
    (void)snprintf(port_text, sizeof port_text, "%u", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    int failed = getaddrinfo(host[0] != '\0' ? host : NULL, port_text, &hints, &addresses);
    if (failed != 0) {
        (void)snprintf(error, error_size, "cannot look up %s: %s", listen_address,
                       gai_strerror(failed));
        return -1;
    }
    /* For all addresses: IPv6 first, which takes IPv4 too. By name: what people expect first. */
    int first = host[0] == '\0' ? AF_INET6 : AF_INET;
    int fd = open_first(addresses, first);
    if (fd < 0 && errno != EADDRINUSE) {
        fd = open_first(addresses, first == AF_INET6 ? AF_INET : AF_INET6);
    }
    if (fd < 0) {
        (void)snprintf(error, error_size, "cannot listen on %s: %s", listen_address,
                       strerror(errno));
    }
    freeaddrinfo(addresses);
    return fd;
}
