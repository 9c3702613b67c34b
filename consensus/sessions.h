/* The last batch applied of each member: replicated state that makes resending a batch harmless
 * (section 6.3 of the Raft dissertation).
 *
 * Thread: loop; values. */
#ifndef MUSTER_CONSENSUS_SESSIONS_H
#define MUSTER_CONSENSUS_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/buffer.h"
#include "server/base/compiler.h"
#include "server/base/status.h"

/* More than there can be members at a time; the life silent for longest is evicted. Decides what is
 * skipped, so it is fixed by the level: changing it needs a new level. */
#define SESSIONS_MAX 64

struct session {
    uint64_t origin;
    uint64_t boot;
    uint64_t serial;
    uint64_t index; /* of the entry with its last batch */
};

struct sessions {
    uint32_t count;
    struct session list[SESSIONS_MAX];
};

/* Notes that a batch is applied at `index`. False if it was applied before, or belongs to an
 * earlier boot of its origin: then it must be skipped. */
MUST_USE bool sessions_advance(struct sessions *s, uint64_t origin, uint64_t boot, uint64_t serial,
                               uint64_t index);
/* Whether this batch, or a later one of its origin, was applied. */
bool sessions_has(const struct sessions *s, uint64_t origin, uint64_t boot, uint64_t serial);

/* The boot of its last batch; 0: none. */
uint64_t sessions_boot(const struct sessions *s, uint64_t origin);

void sessions_encode(const struct sessions *s, struct buffer *out);
/* Consumes the bytes of sessions_encode from *data. */
MUST_USE enum status sessions_decode(struct sessions *s, const uint8_t **data, size_t *len);

#endif
