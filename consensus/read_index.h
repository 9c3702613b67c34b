/* Linearizable reads without a log entry (ReadIndex, section 6.4 of the Raft dissertation): the
 * leader notes its commit index, asks all members whether they know of a higher term, and once a
 * majority of the voters has said no, everything that was committed before the question is in that
 * index. One round serves all reads that wait for one. A follower asks its leader.
 *
 * What goes wrong without it: a leader that was deposed and does not know it answers from the past.
 *
 * Thread: loop. Owns: nothing; the reads are their submitters'. */
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
    struct op_list asked;   /* in the round under way */
    struct op_list indexed; /* for this member to have applied indexed_index */
    uint64_t indexed_index;
    uint64_t round; /* number of the round under way, or the last */
    bool under_way;
    uint64_t started_ms;
    uint64_t round_index;                 /* leader: commit index at its beginning */
    bool acks[MEMBERS_MAX];               /* leader: by place in the table of members */
    uint64_t remote_waiting[MEMBERS_MAX]; /* leader: numbers that followers asked with, 0: none */
    uint64_t remote_asked[MEMBERS_MAX];   /* ... in the round under way */
};

/* `first_round`: differs between starts, so that an answer to an earlier start is none. */
void read_index_init(struct read_index *r, uint64_t first_round);
void read_index_add(struct engine *e, struct consensus_op *op);
void read_index_pump(struct engine *e);
void read_index_tick(struct engine *e);
/* The leader changed, or the table of members did. */
void read_index_reset(struct engine *e);
/* One of its four types of frame. */
void read_index_receive(struct engine *e, const struct member *from, uint8_t type,
                        const uint8_t *data, size_t len);
void read_index_fail_all(struct engine *e);

#endif
