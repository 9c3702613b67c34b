/* The frames of a request, and how they are to be answered. Five kinds of clients share a port:
 *
 *     "" json       REQ; an answer has the empty frame, too
 *     TYPE json     DEALER with a word: REQ, or REQ_NO_REPLY and NO-REQ for no answer
 *     json          DEALER plain
 *
 * The identity before them is the socket's. What is none of these is answered as well, with an
 * error: the clients wait for as long as it takes.
 *
 * Thread: values; any. */
#ifndef MUSTER_API_ZMQ_ENVELOPE_H
#define MUSTER_API_ZMQ_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/compiler.h"
#include "server/registry/record.h"

#define ENVELOPE_IDENTITY_MAX 255
/* Frames of a request without its identity; those beyond are dropped. */
#define ENVELOPE_FRAMES_MAX 3

struct envelope {
    uint8_t identity_len;
    bool is_delimited; /* there was an empty frame */
    bool is_typed;     /* there was a word */
    bool wants_answer;
    uint8_t identity[ENVELOPE_IDENTITY_MAX];
};

/* `frames`: the identity first. False: it is no request, but an answer can be sent if it has an
 * identity (identity_len > 0). The body is borrowed. */
MUST_USE bool envelope_parse(const struct slice *frames, size_t count, struct envelope *ret,
                             struct slice *ret_body);

#endif
