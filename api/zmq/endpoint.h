/* A ZeroMQ socket that listens: whole messages in, answers and events out. What libzmq keeps for
 * peers is bounded by the options set here, but for the frames of a message whose last frame does
 * not come (README.md).
 *
 * Thread: endpoint_listen: main. The rest: the door's, and nothing else may use the socket.
 * Owns: its descriptor and socket. */
#ifndef MUSTER_API_ZMQ_ENDPOINT_H
#define MUSTER_API_ZMQ_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

#include <zmq.h>

#include "api/zmq/envelope.h"
#include "server/base/budget.h"
#include "server/base/buffer.h"

struct endpoint {
    const char *option;    /* of the command line; static */
    const char *address;   /* host:port, borrowed; "": it is off */
    int fd;                /* listens; -1 once the socket has it */
    struct budget *budget; /* of what it sends; the owner's */
    void *socket;          /* NULL until endpoint_start */
};

/* A request: its frames, with the identity first. */
struct incoming {
    zmq_msg_t frames[1 + ENVELOPE_FRAMES_MAX];
    size_t count;
    bool is_cut; /* there were more */
};

/* Binds and listens. True without an address: it is off. False with a sentence. */
MUST_USE bool endpoint_listen(struct endpoint *e, const char *option, const char *address,
                              char *error, size_t error_size);
/* Begins to take connections. `type`: ZMQ_ROUTER or ZMQ_PUB. False with a sentence. */
MUST_USE bool endpoint_start(struct endpoint *e, void *zmq, int type, struct budget *budget,
                             char *error, size_t error_size);
void endpoint_close(struct endpoint *e);

/* False: there is none now. incoming_done after a true one. */
MUST_USE bool endpoint_receive(struct endpoint *e, struct incoming *ret);
void incoming_done(struct incoming *in);
/* Address of the client, as text; "": unknown. Borrowed from the message. */
const char *incoming_peer(struct incoming *in);

enum endpoint_result {
    ENDPOINT_SENT,
    ENDPOINT_GONE, /* the client is, or it does not read */
    ENDPOINT_FULL, /* too much waits to be read; the buffer is as it was */
};
/* Takes what is in the buffer, and counts it in the budget until it is sent. */
MUST_USE enum endpoint_result endpoint_answer(struct endpoint *e, const struct envelope *to,
                                              const char *word, struct buffer *text);
/* To all who subscribed to the topic; takes likewise. False: too much waits. */
MUST_USE bool endpoint_publish(struct endpoint *e, const char *topic, struct buffer *text);

#endif
