/* The leader's part: the batches that members send become log entries, all that is there in one
 * entry, a few entries in flight.
 *
 * Thread: loop. Owns: batches that wait. */
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

/* The batch of one member that waits for its entry. */
struct pending_batch {
    bool filled;
    uint64_t life, boot, serial; /* of the batch held, or of the one last proposed in this term */
    uint32_t count;              /* its operations */
    struct buffer bytes;
};

struct inflight_entry {
    uint64_t index, proposed_ns, proposed_ms;
};

struct proposer {
    struct pending_batch pending[MEMBERS_MAX];
    bool noop_needed;    /* an entry of our own term, to commit what came before */
    bool noop_committed; /* ... and it has been applied */
    uint16_t level;      /* of the last entry proposed, in any term */
    bool propose_asked;
    uint64_t propose_after;  /* when so many operations of our own have been batched */
    uint32_t inflight_count; /* entries proposed and not applied */
    struct inflight_entry inflight[ENTRIES_IN_FLIGHT_MAX];
    bool notify; /* the members wait to hear of a commit */
    uint64_t notify_index, notify_term;
    uint64_t notified_index; /* ... and were told of before it was applied here */
};

void proposer_init(struct proposer *p);
void proposer_done(struct proposer *p);
/* This member became the leader, or is it no longer. */
void proposer_begin(struct engine *e);
void proposer_end(struct engine *e);
/* A batch for the log. ST_OK: taken (or had already); ST_NO_LEADER, ST_NO_SPACE, ST_INVALID (this
 * version cannot read an operation in it): refused; ST_CORRUPT: malformed. */
MUST_USE enum status proposer_receive(struct engine *e, uint64_t origin_life, const uint8_t *data,
                                      size_t len);
void proposer_pump(struct engine *e);
/* The entry is about to be applied: when many follow, as at a start, the members are told of the
 * commit at once, so that they catch up at the same time. */
void proposer_applying(struct engine *e, uint64_t index);
void proposer_applied(struct engine *e, uint64_t index, uint64_t term);
/* Milliseconds since the oldest entry in flight was proposed; 0: there is none. */
uint64_t proposer_oldest_ms(const struct engine *e);

#endif
