/* What waits to be sent to a client: pieces of a few bytes of its own, and a text, which an event
 * shares with all who get it.
 *
 * Thread: the door's. */
#ifndef MUSTER_API_ZMQ_OUTGOING_H
#define MUSTER_API_ZMQ_OUTGOING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/budget.h"
#include "server/base/buffer.h"

/* A greeting; or the frames before a text, and the head of its own. */
#define OUTGOING_HEAD_BYTES 80

/* A text that was made to be sent. Owned by those who hold it. */
struct shared_text {
    unsigned holders;
    struct budget *budget; /* `counted` bytes of it are given back with the last holder */
    size_t len, counted;
    uint8_t *data;
};

/* Takes what is in the buffer, for one holder. NULL: there is too much that waits, and the buffer
 * is as it was. Small ones always find room: how many there are is bounded. */
MUST_USE struct shared_text *shared_text_new(struct budget *budget, struct buffer *text);
/* The same, and there is always room: for what was checked, or is small. */
struct shared_text *shared_text_add(struct budget *budget, struct buffer *text);
void shared_text_drop(struct shared_text *text);

struct piece;

struct outgoing {
    struct budget *budget; /* counts its pieces */
    struct piece *first, *last;
    unsigned count;
    size_t sent;  /* of the first */
    size_t bytes; /* of the texts of all */
};

enum outgoing_result {
    OUTGOING_ALL,
    OUTGOING_SOME,   /* the kernel takes no more for now */
    OUTGOING_NOBODY, /* the connection is broken */
};

/* The budget outlives it. */
void outgoing_init(struct outgoing *out, struct budget *budget);
/* `text` may be NULL, or the head empty; a holder of its own is added. */
void outgoing_add(struct outgoing *out, const uint8_t *head, size_t head_len,
                  struct shared_text *text);
/* *ret_bytes: how many went. */
MUST_USE enum outgoing_result outgoing_send(struct outgoing *out, int fd, size_t *ret_bytes);
void outgoing_done(struct outgoing *out);

#endif
