/* A call in which both sides speak at the same time: the exchange is started with the head of the
 * request, and its handler called again (exchange_again) for what has come meanwhile. `state` of
 * the exchange is the duplex's, and there from its first turn on.
 *
 * Thread: the worker. */
#ifndef MUSTER_API_HTTP_DUPLEX_H
#define MUSTER_API_HTTP_DUPLEX_H

#include <stdbool.h>
#include <stddef.h>

struct exchange;

struct duplex_kind {
    /* Takes a piece of what the client says. False: the call is over, as the response says. */
    bool (*take)(struct exchange *x, const void *data, size_t len);
    /* Whether the handler has something to do. */
    bool (*has_work)(struct exchange *x);
    /* The next piece of the answer, at most `max` bytes. 0: there is nothing more for now. */
    size_t (*read)(struct exchange *x, char *out, size_t max);
    /* Once a second: whether there is something new to be said. NULL: there never is. */
    bool (*tick)(struct exchange *x);
    bool endless; /* the answer goes on when the client has said all that it has to say */
};

#endif
