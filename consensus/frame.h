/* What members send each other over their links.
 *
 * Thread: any; values. */
#ifndef MUSTER_CONSENSUS_FRAME_H
#define MUSTER_CONSENSUS_FRAME_H

/* Never reuse a number. Members drop types that they do not know. */
enum frame_type {
    FRAME_RAFT = 1,   /* one of libraft's messages: message.h */
    FRAME_BATCH,      /* to the leader: a batch of operations: entry.h */
    FRAME_REFUSE,     /* to its origin: boot u64, serial u64, status u32 */
    FRAME_READ_INDEX, /* to the leader: number u64 of a request for the read index, zero u64 */
    FRAME_READ_INDEX_RESULT, /* back: number u64, index u64; index 0: not the leader */
    FRAME_CONFIRM,           /* leader to all: term u64, round u64: am I still the leader? */
    FRAME_CONFIRM_RESULT,    /* back, from those who know of no higher term: term u64, round u64 */
    FRAME_INFO,              /* about the sender, now and then: member_info.h */
    FRAME_FORM,              /* to a new member: the cluster that it belongs to: forming.h */
    FRAME_SNAPSHOT,          /* leader to a member that lags: a piece of a snapshot's file */
    FRAME_SNAPSHOT_RESULT,   /* back: how much of it is there */
    FRAME_UNREADABLE,        /* to the leader: an entry that this member's version cannot read */
    FRAME_CHANGE,            /* to the leader: a change of the members that is wanted: change.h */
    FRAME_CHANGE_RESULT,     /* back: why not */
    FRAME_LET_IN,            /* to a new life: the cluster whose configuration has it: forming.h */
};

#endif
