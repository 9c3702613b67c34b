/* One outgoing connection: it connects, speaks TLS if its way says so, and shakes hands. Its owner
 * is a link (peer_out.c), which decides what follows.
 *
 * Thread: loop. Callbacks come from the loop, never from inside a function of this module, and may
 * close the connection. Owns: its socket and session. */
#ifndef MUSTER_PEER_DIAL_H
#define MUSTER_PEER_DIAL_H

#include "consensus/peer/peer_internal.h"

struct dial_events {
    void (*connected)(struct link *link); /* to the socket; the handshakes begin */
    /* There is no connection: an error of libuv. */
    void (*failed)(struct link *link, int error);
    /* A handshake has failed. `detail` may be NULL. */
    void (*refused)(struct link *link, enum peer_fault fault, const char *detail);
    void (*opened)(struct link *link);
    void (*broke)(struct link *link); /* after `opened` */
};

struct dial {
    struct peers *p;
    struct link *link; /* NULL: closed */
    const struct dial_events *events;
    const struct way *way;
    uint64_t to; /* the member */
    uv_tcp_t tcp;
    uv_connect_t connect;
    struct secure secure;
    struct send_queue queue;
    struct handshake handshake;     /* once TLS, if any, is open */
    uint8_t bytes[HELLO_BYTES_MAX]; /* of the next message */
    size_t len;
};

/* Starts to connect. With an error in *ret_error it will not; close it then, too. `way` and
 * `events` are borrowed. */
struct dial *dial_open(struct peers *p, struct link *link, const struct dial_events *events,
                       const struct way *way, uint64_t to, const struct sockaddr *address,
                       int *ret_error);
/* No more callbacks; frees itself later. Fails what waits to be sent. */
void dial_close(struct dial *d);

#endif
