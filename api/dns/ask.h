/* A question on its way through a socket, and who asks it.
 *
 * Thread: the worker. */
#ifndef MUSTER_API_DNS_ASK_H
#define MUSTER_API_DNS_ASK_H

#include <string.h>

#include <netinet/in.h>

#include "api/core/rate_limit.h"
#include "api/dns/answer.h"

/* What answers, as of one turn of the worker. */
struct dns_turn {
    struct dns_answerer *answerer;
    const struct view *view; /* NULL: this replica has not caught up */
    struct rate_limits *limits;
    uint64_t now_ns; /* monotonic */
};

union dns_peer {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    struct sockaddr_storage room;
};

/* IPv4 also where it came through an IPv6 socket. */
static inline struct ip_address dns_peer_address(const union dns_peer *peer)
{
    struct ip_address address = {{0}};
    bool known = ip_address_of_socket(&peer->any, &address);
    (void)known; /* its socket has no other family */
    return address;
}

#endif
