/* Questions and answers over TCP (RFC 7766): few connections, each with little memory and time.
 *
 *     READING --an answer is not taken at once--> WRITING --all is taken--> READING
 *
 * One that writes is not read from. A connection has DNS_TCP_IDLE_MS for each whole question, and
 * for taking each answer.
 *
 * Thread: the worker. Owns: its listener and connections. */
#ifndef MUSTER_API_DNS_TCP_H
#define MUSTER_API_DNS_TCP_H

#include <urcu/list.h>

#include "api/dns/ask.h"

struct dns_tcp {
    int listener, epoll;
    unsigned most, most_of_one; /* connections: of all, and of an address */
    unsigned count;
    uint64_t paused_until_ms; /* 0: it accepts */
    struct cds_list_head connections;
    uint8_t *answer; /* room for one, with its length */
};

/* `epoll`: where it is told of. The events of a connection carry it, that of the listener the
 * struct dns_tcp. */
void dns_tcp_init(struct dns_tcp *tcp, int listener, int epoll, unsigned most);
void dns_tcp_done(struct dns_tcp *tcp);
/* Accepts what waits. */
void dns_tcp_accept(struct dns_tcp *tcp, const struct dns_turn *turn);
/* Of an event: reads, answers, writes, closes. */
void dns_tcp_event(struct dns_tcp *tcp, const struct dns_turn *turn, void *connection);
/* Goes on with questions that were left for the next turn. True: there are more. */
bool dns_tcp_turn(struct dns_tcp *tcp, const struct dns_turn *turn);
/* Closes those whose time is over. */
void dns_tcp_tick(struct dns_tcp *tcp, uint64_t now_ms);
/* Takes no more connections, and closes those that have nothing to do. */
void dns_tcp_drain(struct dns_tcp *tcp);

#endif
