/* Messages from other members before libraft sees them: fully validated, and corrected where
 * libraft would go wrong.
 *
 * Thread: loop. */
#ifndef MUSTER_CONSENSUS_DRIVER_RECEIVE_H
#define MUSTER_CONSENSUS_DRIVER_RECEIVE_H

#include <stddef.h>
#include <stdint.h>

struct engine;
struct member;

/* Ends the process if a term has two leaders. */
void driver_note_leader(struct engine *e, uint64_t term, uint64_t life);
/* FRAME_UNREADABLE: a member's version cannot read one of our entries. */
void driver_unreadable(struct engine *e, struct member *from, const uint8_t *data, size_t len);

#endif
