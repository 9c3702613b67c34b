/* Why a member cannot be reached: remembered for those who ask, and said in the log, not at once
 * (members start one after the other) and then at growing distance.
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
    uint64_t since_ms;                /* the first attempt that failed */
    uint64_t next_ms;                 /* when it is said again */
    uint64_t distance_ms;             /* 0: it was not said yet */
};

/* An attempt failed: static text, with a detail behind it (NULL: none). */
void trouble_note(struct trouble *trouble, const char *what, const char *detail, uint64_t now_ms);
/* All attempts of a round failed; true when it is time to say so. */
bool trouble_is_due(struct trouble *trouble, uint64_t now_ms);
/* It was reached; true when there was something in the log to take back. */
bool trouble_end(struct trouble *trouble);

#endif
