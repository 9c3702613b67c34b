/* Why a member is unreachable: kept for status, and logged, not at once (members start one after
 * the other), then at growing intervals.
 *
 * Thread: loop. */
#ifndef MUSTER_CONSENSUS_PEER_TROUBLE_H
#define MUSTER_CONSENSUS_PEER_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

#define TROUBLE_REASON_SIZE  128
#define TROUBLE_FIRST_MS     2000
#define TROUBLE_DISTANCE_MS  10000 /* doubles */
#define TROUBLE_DISTANCE_MAX (10 * 60 * 1000)

struct trouble {
    char reason[TROUBLE_REASON_SIZE]; /* "": none */
    uint64_t since_ms;                /* of the first failed attempt */
    uint64_t next_ms;                 /* when to log next */
    uint64_t distance_ms;             /* interval to the next; 0: not logged yet */
};

/* An attempt failed: static text, with an optional detail (NULL: none). */
void trouble_note(struct trouble *trouble, const char *what, const char *detail, uint64_t now_ms);
/* All attempts of a round failed; true if it is time to log. */
bool trouble_is_due(struct trouble *trouble, uint64_t now_ms);
/* It was reached; true if a logged problem has ended. */
bool trouble_end(struct trouble *trouble);

#endif
