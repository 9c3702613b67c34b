/* Text that is made once and sent to many, such as the listing of a service. It is freed when the
 * last reference to it goes; each answer that is on its way has one.
 *
 * Where it is found by readers within a read-side critical section of liburcu, whoever keeps it
 * there gives up its reference only after a grace period. So a reader may take one of its own for
 * as long as it is inside: the count cannot have come to nothing. Afterwards it needs the section
 * no more, and the text outlives the version that it was made from.
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
    struct budget *budget; /* of the buffer that it comes from; NULL: it is not counted */
    /* The same, compressed; made by the first who wants it (rendered_keep). Owned. */
    _Atomic(struct rendered *) gzip;
    atomic_uint references;
    atomic_uint senders; /* answers on their way, where the text is counted */
};

/* Takes the content and the budget of a buffer, which is empty afterwards. One reference. */
MUST_USE struct rendered *rendered_take(struct buffer *text);
void rendered_ref(struct rendered *text);
void rendered_unref(struct rendered *text);

/* Puts the reference to `text` in an empty place. If another was first, gives it back. Returns the
 * one that is there. */
struct rendered *rendered_keep(_Atomic(struct rendered *) *place, struct rendered *text);

/* A reference for an answer. The text counts once, however many answers send it. False when none
 * does yet and the budget has not so much left; several threads that ask at the same time may each
 * go over it by one text. */
MUST_USE bool rendered_send(struct rendered *text);
/* The same for text that is there in any case, and was counted while it was made. */
void rendered_send_always(struct rendered *text);
/* Gives that reference back. */
void rendered_sent(struct rendered *text);

#endif
