#include "client/bench/target.h"

#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/base/clock.h"
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

/* A connection that is coming about, -1 if it cannot. */
static int begin_connect(const struct target *target)
{
    int fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        /* A connect under way is seen by poll; one that failed at once leaves its error there. */
        (void)connect(fd, (const struct sockaddr *)&target->address, target->address_len);
    }
    return fd;
}

static bool is_connected(int fd)
{
    int error = 0;
    socklen_t error_len = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) == 0 && error == 0;
}

void target_probe(const struct target *targets, size_t count, uint64_t timeout_ms,
                  bool *ret_reachable)
{
    struct pollfd probes[TARGETS_MAX];
    uint64_t now_ms = clock_monotonic_ms(), end_ms = now_ms + timeout_ms;
    size_t open = 0;
    for (size_t i = 0; i < count; i++) {
        ret_reachable[i] = false;
        probes[i] = (struct pollfd){.fd = begin_connect(&targets[i]), .events = POLLOUT};
        open += probes[i].fd >= 0;
    }
    for (; open > 0 && now_ms < end_ms; now_ms = clock_monotonic_ms()) {
        (void)poll(probes, count, (int)(end_ms - now_ms));
        for (size_t i = 0; i < count; i++) {
            if (probes[i].fd >= 0 && probes[i].revents != 0) {
                ret_reachable[i] = is_connected(probes[i].fd);
                (void)close(probes[i].fd);
                probes[i].fd = -1;
                open--;
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (probes[i].fd >= 0) {
            (void)close(probes[i].fd);
        }
    }
}
