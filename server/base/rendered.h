/* Text rendered once and sent to many, such as the listing of a service. Reference-counted; each
 * response being sent has a reference.
 *
 * If readers find it inside an RCU read-side critical section, its holder gives up the reference
 * only after a grace period. So a reader may take a reference of its own while inside: the count
 * cannot have reached zero. Afterwards it no longer needs the section, and the text outlives the
 * version it was made from.
 *
 * Thread: any. */
#ifndef MUSTER_BASE_RENDERED_H
#define MUSTER_BASE_RENDERED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "server/base/budget.h"
#include "server/base/buffer.h"

struct rendered {
    const char *data;
    size_t len;
    struct budget *budget; /* of the buffer it was made from; NULL: not counted */
    /* The same, compressed; made by the first client that accepts it (rendered_keep). Owned. */
    _Atomic(struct rendered *) gzip;
    atomic_uint references;
    atomic_uint senders; /* responses being sent, where the text is counted */
};

/* Takes over the content and the budget of a buffer, which is empty afterwards. One reference. */
MUST_USE struct rendered *rendered_take(struct buffer *text);
void rendered_ref(struct rendered *text);
void rendered_unref(struct rendered *text);

/* Stores `text`, with its reference, in an empty place. If another was first, drops it. Returns the
 * stored one. */
struct rendered *rendered_keep(_Atomic(struct rendered *) *place, struct rendered *text);

/* A reference for a response. The text counts once, however many responses send it. False if none
 * does yet and the budget has not that much left; concurrent callers may each exceed it by one
 * text. */
MUST_USE bool rendered_send(struct rendered *text);
/* The same for text that exists in any case, and was counted while it was made. */
void rendered_send_always(struct rendered *text);
/* Drops that reference. */
void rendered_sent(struct rendered *text);

#endif
