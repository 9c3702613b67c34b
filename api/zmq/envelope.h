/* The frames of a request, and how they are to be answered. Five kinds of clients share a port:
 *
 *     "" json       REQ; an answer has the empty frame, too
 *     TYPE json     DEALER with a word: REQ, or REQ_NO_REPLY and NO-REQ for no answer
 *     json          DEALER plain
 *
 * What is none of these is answered as well, with an error: the clients wait for as long as it
 * takes.
 *
 * Thread: values; any. */
#ifndef MUSTER_API_ZMQ_ENVELOPE_H
#define MUSTER_API_ZMQ_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/compiler.h"
#include "server/registry/record.h"

/* Frames of a request; those beyond are dropped. */
#define ENVELOPE_FRAMES_MAX 3

struct envelope {
    bool is_delimited; /* there was an empty frame */
    bool is_typed;     /* there was a word */
    bool wants_answer;
};

/* False: it is no request, but *ret is good for an answer. The body is borrowed. */
MUST_USE bool envelope_parse(const struct slice *frames, size_t count, struct envelope *ret,
                             struct slice *ret_body);

#endif
