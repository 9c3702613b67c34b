/* A connection to a target: a socket that does not block, with TLS and HTTP/2 where these are
 * spoken. It is registered once, edge-triggered, with itself as the data of the event.
 *
 * Thread: one. Owns: the socket and the sessions on it. */
#ifndef MUSTER_API_PROBER_TARGET_LINK_H
#define MUSTER_API_PROBER_TARGET_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "server/base/compiler.h"

struct target;
struct probe;
struct target_session;
struct health_session;

/* All links of a runner. */
struct target_links {
    int epoll;
    struct target_link *dead; /* closed; an event that was fetched already may still name them */
};

struct target_link {
    int fd; /* -1: closed */
    struct target_links *links;
    struct target *target;
    struct probe *probe;        /* that it works for; NULL: it is kept */
    struct target_session *tls; /* NULL: none */
    struct health_session *h2;  /* NULL: none */
    bool is_used;               /* by an earlier probe */
    uint64_t born_ms, idle_ms;
    struct target_link *next, **back; /* of the target's that are kept; or of those that are dead */
};

/* Begins to connect. NULL with errno. */
struct target_link *target_link_open(struct target_links *links, const struct sockaddr *address,
                                     socklen_t len, struct target *target, uint64_t now_ms);
/* Closes it; its memory stays until target_links_bury(), which is for when no event names it any
 * more. */
void target_link_close(struct target_link *link);
void target_links_bury(struct target_links *links);
/* Once it may be written: 0: it is connected; else why not (errno). */
int target_link_error(const struct target_link *link);
/* As recv() and send(), through TLS where there is some. */
ssize_t target_link_recv(struct target_link *link, void *to, size_t size);
ssize_t target_link_send(struct target_link *link, const void *data, size_t len);
/* Something has happened on a kept connection. False: it is to be closed. */
MUST_USE bool target_link_attend(struct target_link *link);

#endif
