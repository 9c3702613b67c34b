#include "api/prober/target_link.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "api/prober/health_call.h"
#include "api/prober/target_tls.h"
#include "server/base/mem.h"

#define CHUNK_BYTES 4096

struct target_link *target_link_open(struct target_links *links, const struct sockaddr *address,
                                     socklen_t len, struct target *target, uint64_t now_ms)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return NULL;
    }
    struct target_link *link = mem_zalloc(1, sizeof *link);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = link};
    link->fd = fd;
    link->links = links;
    link->target = target;
    link->born_ms = now_ms;
    if ((connect(fd, address, len) != 0 && errno != EINPROGRESS) ||
        epoll_ctl(links->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        int why = errno;
        target_link_close(link);
        errno = why;
        return NULL;
    }
    return link;
}

void target_link_close(struct target_link *link)
{
    health_session_free(link->h2);
    target_tls_end(link->tls);
    (void)close(link->fd); /* takes it out of the epoll set */
    link->fd = -1;
    link->h2 = NULL;
    link->tls = NULL;
    link->probe = NULL;
    link->next = link->links->dead;
    link->links->dead = link;
}

void target_links_bury(struct target_links *links)
{
    for (struct target_link *link = links->dead, *next; link != NULL; link = next) {
        next = link->next;
        free(link);
    }
    links->dead = NULL;
}

int target_link_error(const struct target_link *link)
{
    int error = 0;
    socklen_t len = sizeof error;
    return getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
}

ssize_t target_link_recv(struct target_link *link, void *to, size_t size)
{
    return link->tls != NULL ? target_tls_recv(link->tls, to, size) : recv(link->fd, to, size, 0);
}

ssize_t target_link_send(struct target_link *link, const void *data, size_t len)
{
    return link->tls != NULL ? target_tls_send(link->tls, data, len)
                             : send(link->fd, data, len, MSG_NOSIGNAL);
}

/* HTTP/2 has settings and pings of its own. */
static bool take(struct target_link *link, const char *bytes, size_t len)
{
    const uint8_t *out;
    size_t out_len;
    if (link->h2 == NULL || !health_session_put(link->h2, bytes, len)) {
        return false; /* nobody has asked for anything */
    }
    while ((out_len = health_session_take(link->h2, &out)) > 0) {
        if (target_link_send(link, out, out_len) != (ssize_t)out_len) {
            return false;
        }
    }
    return health_session_is_good(link->h2);
}

bool target_link_attend(struct target_link *link)
{
    char bytes[CHUNK_BYTES];
    for (;;) {
        ssize_t got = target_link_recv(link, bytes, sizeof bytes);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && errno == EAGAIN) {
            return true;
        }
        if (got <= 0 || !take(link, bytes, (size_t)got)) {
            return false;
        }
    }
}
