/* Admission of operations at this member: how many may wait, for the loop and then for a batch.
 * Heartbeats have a share of their own, so that no number of other writes can crowd them out; and
 * the keeper of cluster time learns when heartbeats are refused all the same.
 *
 * Thread: any. */
#ifndef MUSTER_CONSENSUS_ADMISSION_H
#define MUSTER_CONSENSUS_ADMISSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/consensus.h"

/* A refusal stays reported this long: a client should have retried by then. */
#define ADMISSION_REFUSED_MS 1000

struct admission_share {
    _Atomic uint64_t queued_ops, queued_bytes;   /* not taken by the loop yet */
    _Atomic uint64_t waiting_ops, waiting_bytes; /* taken, waiting for a batch */
};

struct admission {
    struct admission_share heartbeats, others;
    _Atomic uint64_t refused_ms; /* monotonic: last refusal of a heartbeat; 0: never */
};

/* Counts the operation in unconditionally: for those that free something. */
void admission_add(struct admission *a, enum consensus_lane lane, size_t len);
/* Counts the operation in; false if its share is used up. `len`: its memory. */
MUST_USE bool admission_enter(struct admission *a, enum consensus_lane lane, size_t len,
                              uint64_t now_ms);
bool admission_has_room(const struct admission *a, enum consensus_lane lane, size_t len);
/* The loop has taken them. Call before they are counted elsewhere: nothing may be uncounted for a
 * moment. */
void admission_taken(struct admission *a, enum consensus_lane lane, uint64_t ops, uint64_t bytes);
void admission_set_waiting(struct admission_share *share, uint64_t ops, uint64_t bytes);
bool admission_refuses_heartbeats(const struct admission *a, uint64_t now_ms);

#endif
