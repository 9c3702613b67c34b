/* Heartbeats refused for lack of room anywhere in the cluster: members report it (member_info.h),
 * and the leader meanwhile lets no lease run. A member that has reported it for REFUSAL_BELIEVED_MS
 * is ignored for a while: no single member can stop time for good. Stopped time is logged and shown
 * in metrics.
 *
 * Thread: loop. */
#ifndef MUSTER_CONSENSUS_REFUSAL_H
#define MUSTER_CONSENSUS_REFUSAL_H

#include <stdbool.h>
#include <stdint.h>

struct engine;

/* A member not heard from for this long counts as refusing nothing: several intervals of
 * FRAME_INFO. */
#define REFUSAL_HEARD_MS    1500
#define REFUSAL_BELIEVED_MS (5 * 60 * 1000)
/* When stopped time is first logged, and then again at doubling intervals. */
#define REFUSAL_FIRST_MS     5000
#define REFUSAL_DISTANCE_MS  10000
#define REFUSAL_DISTANCE_MAX (10 * 60 * 1000)

struct refusals {
    bool here;            /* at this member, a moment ago */
    bool elsewhere;       /* at a member that is believed */
    uint64_t ticked_ms;   /* 0: never */
    uint64_t since_ms;    /* leader: since when time stands still; 0: it runs */
    uint64_t next_ms;     /* when to log next */
    uint64_t distance_ms; /* interval to the next; 0: not logged yet */
};

/* How long a reporting member is believed. */
struct refusal_trust {
    uint64_t spent_ms; /* of REFUSAL_BELIEVED_MS; recovers as fast as it is spent */
    bool lost;         /* until half of it has recovered */
};

/* Sets whether heartbeats were refused here a moment ago; tells the others at once. Call before a
 * tick. */
void refusal_set_here(struct engine *e, bool refuses);
void refusal_tick(struct engine *e);
/* Whether they are refused anywhere. */
bool refusal_anywhere(const struct engine *e);

#endif
