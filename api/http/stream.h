/* A response body without an end, made as the client takes it: a subscription and the text around
 * it. What the text is, is the site's.
 *
 * Thread: the worker that owns the connection. */
#ifndef MUSTER_API_HTTP_STREAM_H
#define MUSTER_API_HTTP_STREAM_H

#include <stddef.h>

#include "api/core/subscriptions.h"

struct stream;

struct stream_kind {
    /* Writes the next piece, of at most `max` bytes. 0: there is nothing more for now, or the
     * stream wants room. */
    size_t (*read)(struct stream *stream, char *out, size_t max);
    /* Where it could be resumed, for the log; empty when nowhere. */
    void (*describe)(const struct stream *stream, char *out, size_t size);
    void (*free)(struct stream *stream);
};

struct stream {
    const struct stream_kind *kind;
    struct subscription subscription;
    void *owner; /* the connection's */
    /* Of a body of messages, whose end is told behind a whole one. The wire sets how long those are
     * that are written whole or not at all; read says whether one of them did not fit, and whether
     * part of a longer one is written. */
    size_t whole_bytes;
    bool wants_room, is_split;
};

#endif
