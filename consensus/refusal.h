/* Heartbeats that are refused anywhere in the cluster because too many wait: members tell each
 * other (member_info.h), and the leader lets no lease run meanwhile. A member that has said so for
 * REFUSAL_BELIEVED_MS is not believed for a while: nobody alone can stop time for good. And time
 * that stands still is said, in the log and in metrics.
 *
 * Thread: loop. */
#ifndef MUSTER_CONSENSUS_REFUSAL_H
#define MUSTER_CONSENSUS_REFUSAL_H

#include <stdbool.h>
#include <stdint.h>

struct engine;

/* Who was not heard from for so long refuses nothing: several intervals of FRAME_INFO. */
#define REFUSAL_HEARD_MS    1500
#define REFUSAL_BELIEVED_MS (5 * 60 * 1000)
/* When it is said for the first time, and again; the distance doubles. */
#define REFUSAL_FIRST_MS     5000
#define REFUSAL_DISTANCE_MS  10000
#define REFUSAL_DISTANCE_MAX (10 * 60 * 1000)

struct refusals {
    bool here;            /* at this member's door, a moment ago */
    bool elsewhere;       /* at that of a member that is believed */
    uint64_t ticked_ms;   /* 0: never */
    uint64_t since_ms;    /* leader: time stands still since then; 0: it runs */
    uint64_t next_ms;     /* when that is said */
    uint64_t distance_ms; /* 0: it was not said */
};

/* Of a member that tells of refusals. */
struct refusal_trust {
    uint64_t spent_ms; /* of REFUSAL_BELIEVED_MS; comes back as fast as it goes */
    bool lost;         /* until half of it is back */
};

/* Whether heartbeats were refused here a moment ago; the others are told at once. Before a tick. */
void refusal_set_here(struct engine *e, bool refuses);
void refusal_tick(struct engine *e);
/* Whether they are refused anywhere. */
bool refusal_anywhere(const struct engine *e);

#endif
