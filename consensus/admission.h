/* Where operations come in: how many may wait at this member, for its loop and then for their
 * batch. Heartbeats have a share of their own, so that other writes, however many, cannot refuse
 * them; and whoever counts cluster time learns whether heartbeats are refused nevertheless.
 *
 * Thread: any. */
#ifndef MUSTER_CONSENSUS_ADMISSION_H
#define MUSTER_CONSENSUS_ADMISSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/consensus.h"

/* A refusal tells of as long as a client needs to come again. */
#define ADMISSION_REFUSED_MS 1000

struct admission_share {
    _Atomic uint64_t queued_ops, queued_bytes;   /* not yet taken by the loop */
    _Atomic uint64_t waiting_ops, waiting_bytes; /* taken, and waiting for their batch */
};

struct admission {
    struct admission_share heartbeats, others;
    _Atomic uint64_t refused_ms; /* monotonic: when a heartbeat was last refused; 0: never */
};

/* Counts the operation in, whatever there is: one that gives something back. */
void admission_add(struct admission *a, enum consensus_lane lane, size_t len);
/* Counts the operation in; false when its share is used up. `len`: what it takes of memory. */
MUST_USE bool admission_enter(struct admission *a, enum consensus_lane lane, size_t len,
                              uint64_t now_ms);
bool admission_has_room(const struct admission *a, enum consensus_lane lane, size_t len);
/* The loop has taken them. Tell what waits first, so that nothing is counted nowhere. */
void admission_taken(struct admission *a, enum consensus_lane lane, uint64_t ops, uint64_t bytes);
void admission_set_waiting(struct admission_share *share, uint64_t ops, uint64_t bytes);
bool admission_refuses_heartbeats(const struct admission *a, uint64_t now_ms);

#endif
