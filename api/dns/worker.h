/* The thread of the DNS door: its sockets, and what they share.
 *
 * Thread: main, for open, start, drain and stop; all else is the worker's. */
#ifndef MUSTER_API_DNS_WORKER_H
#define MUSTER_API_DNS_WORKER_H

#include <stdatomic.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include "api/core/door.h"
#include "api/core/rate_limit.h"
#include "api/dns/answer.h"
#include "api/dns/tcp.h"
#include "api/dns/udp.h"
#include "server/base/thread.h"

struct dns_worker {
    /* immutable once it runs */
    struct door_options options;
    struct dns_settings settings;
    struct node *node;
    struct thread thread;
    /* any thread */
    atomic_bool stopping, draining;
    int wake; /* an eventfd: one of the two has changed */
    /* the worker's */
    int epoll;
    struct dns_udp udp;
    struct dns_tcp tcp;
    struct dns_names *names;
    struct dns_answerer answerer;
    uint64_t ticked_ms;
};

/* Binds both sockets. False with a sentence; dns_worker_stop() follows in any case. */
MUST_USE bool dns_worker_open(struct dns_worker *worker, const char *address, char *error,
                              size_t error_size);
MUST_USE bool dns_worker_start(struct dns_worker *worker, struct node *node, char *error,
                               size_t error_size);
void dns_worker_drain(struct dns_worker *worker);
/* Ends the thread and frees what it has. */
void dns_worker_stop(struct dns_worker *worker);

#endif
