/* Questions and answers over UDP, some dozens with each call of the kernel.
 *
 * Anybody can write any address on a question, so what is sent to an address is bounded
 * (RATE_DATAGRAMS): beyond that, one of two questions is answered with "come over TCP", which is no
 * larger than the question, and the others not at all. For the same reason a question over UDP
 * counts for no other limit: a stranger could use up that of an address which is not his.
 *
 * Thread: the worker. Owns: its socket and buffers. */
#ifndef MUSTER_API_DNS_UDP_H
#define MUSTER_API_DNS_UDP_H

#include "api/dns/ask.h"

struct dns_udp {
    int fd;
    bool is_any;      /* bound to every address: an answer leaves by the one that was asked */
    unsigned limited; /* questions that were over the limit */
    struct udp_batch *batch; /* private */
};

/* Sets `is_any`, and the options of the socket. */
void dns_udp_init(struct dns_udp *udp, int fd);
void dns_udp_done(struct dns_udp *udp);
/* Answers a batch. True: there may be more. */
bool dns_udp_turn(struct dns_udp *udp, const struct dns_turn *turn);

#endif
