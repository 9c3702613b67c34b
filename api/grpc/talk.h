/* A call in which both sides speak (api/http/duplex.h): messages in, messages out. What is taken is
 * bounded by the window of the stream and one message; what is to be said, by what was taken.
 *
 * Thread: the worker. */
#ifndef MUSTER_API_GRPC_TALK_H
#define MUSTER_API_GRPC_TALK_H

#include "api/grpc/handlers.h"

/* State of such an exchange; the first member of each call's own. */
struct talk {
    struct arena arena; /* of the messages of this turn */
    size_t longest;     /* message that is taken */
    struct buffer in, out;
    size_t in_at, out_at; /* what is dealt with, what was read */
    void (*done)(void *state);
};

/* On each turn of a handler; on the first one makes the state, of `size` bytes. `done`: frees what
 * it owns beside the talk; NULL: nothing. */
void *talk_turn(struct exchange *x, size_t size, size_t longest, void (*done)(void *state));
/* The next message, which is the arena's; NULL: there is none, or the call has failed. */
ProtobufCMessage *talk_next(struct exchange *x, const ProtobufCMessageDescriptor *type);
/* Unreads it: `at` is `in_at` from before. */
static inline void talk_back(struct talk *t, size_t at)
{
    t->in_at = at;
}

/* Of struct duplex_kind. */
bool talk_take(struct exchange *x, const void *data, size_t len);
bool talk_has_work(struct exchange *x);
size_t talk_read(struct exchange *x, char *out, size_t max);

#endif
