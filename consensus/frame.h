/* Types of frames between members.
 *
 * Thread: any; values. */
#ifndef MUSTER_CONSENSUS_FRAME_H
#define MUSTER_CONSENSUS_FRAME_H

/* Never reuse a number. Members drop unknown types. */
enum frame_type {
    FRAME_RAFT = 1,   /* a libraft message: message.h */
    FRAME_BATCH,      /* to the leader: a batch of operations: entry.h */
    FRAME_REFUSE,     /* to its origin: boot u64, serial u64, status u32 */
    FRAME_READ_INDEX, /* to the leader: number u64 of a request for the read index, zero u64 */
    FRAME_READ_INDEX_RESULT, /* back: number u64, index u64; index 0: not the leader */
    FRAME_CONFIRM,           /* leader to all: term u64, round u64: is there a higher term? */
    FRAME_CONFIRM_RESULT,    /* back, unless a higher term is known: term u64, round u64 */
    FRAME_INFO,              /* about the sender, periodically: member_info.h */
    FRAME_FORM,              /* to a new member: the cluster that it belongs to: forming.h */
    FRAME_SNAPSHOT,          /* leader to a lagging member: a piece of a snapshot file */
    FRAME_SNAPSHOT_RESULT,   /* back: how much of it has arrived */
    FRAME_UNREADABLE,        /* to the leader: this member's version cannot read an entry */
    FRAME_CHANGE,            /* to the leader: a requested membership change: change.h */
    FRAME_CHANGE_RESULT,     /* back: its outcome */
    FRAME_LET_IN,            /* to a new life: the cluster that has admitted it: forming.h */
};

#endif
