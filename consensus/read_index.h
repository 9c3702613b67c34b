/* Linearizable reads without a log entry (ReadIndex, section 6.4 of the Raft dissertation): the
 * leader notes its commit index and asks all members whether they know of a higher term. Once a
 * majority of the voters has denied, that index covers everything committed before the question.
 * One round serves all reads waiting for one. A follower asks its leader.
 *
 * Without it, a deposed leader that has not noticed would serve stale reads.
 *
 * Thread: loop. Owns: nothing; reads belong to their submitters. */
#ifndef MUSTER_CONSENSUS_READ_INDEX_H
#define MUSTER_CONSENSUS_READ_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/op_list.h"
#include "server/base/limits.h"

struct engine;
struct member;

struct read_index {
    struct op_list waiting; /* for the next round */
    struct op_list asked;   /* in the present round */
    struct op_list indexed; /* until this member has applied indexed_index */
    uint64_t indexed_index;
    uint64_t round; /* number of the present or last round */
    bool under_way;
    uint64_t started_ms;
    uint64_t round_index;                 /* leader: commit index at the start of the round */
    bool acks[MEMBERS_MAX];               /* leader: by index in the member table */
    uint64_t remote_waiting[MEMBERS_MAX]; /* leader: followers' request numbers; 0: none */
    uint64_t remote_asked[MEMBERS_MAX];   /* ... in the present round */
};

/* `first_round` differs between starts, so that replies to an earlier start do not match. */
void read_index_init(struct read_index *r, uint64_t first_round);
void read_index_add(struct engine *e, struct consensus_op *op);
void read_index_pump(struct engine *e);
void read_index_tick(struct engine *e);
/* The leader or the member table has changed. */
void read_index_reset(struct engine *e);
/* Any of the four frame types. */
void read_index_receive(struct engine *e, const struct member *from, uint8_t type,
                        const uint8_t *data, size_t len);
void read_index_fail_all(struct engine *e);

#endif
