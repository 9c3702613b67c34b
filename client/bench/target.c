#include "client/bench/target.h"

#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/base/limits.h"
#include "server/base/text.h"

static bool has_port(const char *authority)
{
    const char *bracket = strrchr(authority, ']');
    return strchr(bracket != NULL ? bracket : authority, ':') != NULL;
}

bool target_resolve(const char *url, struct target *ret_target, char *error, size_t error_size)
{
    static const char scheme[] = "http://";
    struct target target = {.address_len = 0};
    char host[HOST_BYTES_MAX + 1], service[8];
    uint16_t port;
    if (strncmp(url, scheme, strlen(scheme)) != 0 || strchr(url + strlen(scheme), '/') != NULL) {
        (void)snprintf(error, error_size, "bench takes replicas as http://HOST:PORT, not \"%s\"",
                       url);
        return false;
    }
    url += strlen(scheme);
    int len = snprintf(target.name, sizeof target.name, "%s%s", url, has_port(url) ? "" : ":80");
    if (len < 0 || (size_t)len >= sizeof target.name ||
        !text_parse_address(target.name, host, sizeof host, &port) || *host == '\0') {
        (void)snprintf(error, error_size, "\"%s\" is not a host and port", url);
        return false;
    }
    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int code = getaddrinfo(host, service, &hints, &found);
    if (code != 0) {
        (void)snprintf(error, error_size, "%s: %s", target.name, gai_strerror(code));
        return false;
    }
    memcpy(&target.address, found->ai_addr, found->ai_addrlen);
    target.address_len = found->ai_addrlen;
    freeaddrinfo(found);
    *ret_target = target;
    return true;
}

bool target_reachable(const struct target *target, uint64_t timeout_ms)
{
    int error = 0;
    socklen_t error_len = sizeof error;
    int fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    /* A connect under way is seen by poll; one that failed at once leaves its error to be read. */
    (void)connect(fd, (const struct sockaddr *)&target->address, target->address_len);
    bool reachable = poll(&poll_fd, 1, (int)timeout_ms) == 1 &&
                     (poll_fd.revents & (POLLERR | POLLHUP)) == 0 &&
                     getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) == 0 && error == 0;
    (void)close(fd);
    return reachable;
}
