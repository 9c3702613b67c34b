/* The leader's side: turns the batches sent by members into log entries, all waiting batches into
 * one entry, with a few entries in flight.
 *
 * Thread: loop. Owns: pending batches. */
#ifndef MUSTER_CONSENSUS_PROPOSER_H
#define MUSTER_CONSENSUS_PROPOSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/buffer.h"
#include "server/base/compiler.h"
#include "server/base/limits.h"
#include "server/base/status.h"

struct engine;

/* A member's batch that waits for its entry. */
struct pending_batch {
    bool filled;
    uint64_t life, boot,
        serial;     /* of the pending batch, or of the last one proposed in this term */
    uint32_t count; /* number of operations */
    struct buffer bytes;
};

struct inflight_entry {
    uint64_t index, proposed_ns, proposed_ms;
};

struct proposer {
    struct pending_batch pending[MEMBERS_MAX];
    bool noop_needed;    /* an entry of our own term is needed to commit earlier ones */
    bool noop_committed; /* ... and was applied */
    uint16_t level;      /* of the last entry proposed, in any term */
    bool propose_asked;
    uint64_t propose_after;  /* when this many operations of our own have been batched */
    uint32_t inflight_count; /* proposed and not applied yet */
    struct inflight_entry inflight[ENTRIES_IN_FLIGHT_MAX];
    bool notify; /* members should hear of a commit */
    uint64_t notify_index, notify_term;
    uint64_t notified_index; /* ... and have heard, before it was applied here */
};

void proposer_init(struct proposer *p);
void proposer_done(struct proposer *p);
/* This member has become the leader, or stopped being it. */
void proposer_begin(struct engine *e);
void proposer_end(struct engine *e);
/* A batch to replicate. ST_OK: accepted, now or earlier; ST_NO_LEADER, ST_NO_SPACE, ST_INVALID
 * (this version cannot read one of its operations): refused; ST_CORRUPT: malformed. */
MUST_USE enum status proposer_receive(struct engine *e, uint64_t origin_life, const uint8_t *data,
                                      size_t len);
void proposer_pump(struct engine *e);
/* The entry is about to be applied: if many follow, as after a start, members hear of the commit
 * first, so that all catch up at the same time. */
void proposer_applying(struct engine *e, uint64_t index);
void proposer_applied(struct engine *e, uint64_t index, uint64_t term);
/* Age of the oldest entry in flight; 0: none. */
uint64_t proposer_oldest_ms(const struct engine *e);

#endif
