/* How a cluster comes to be, once: when all of its first members have said hello as new, the one
 * with the lowest id makes the cluster id and the first configuration, of all their lives, puts
 * that on its own disk, and tells the others, who put it on theirs. A member that has it tells any
 * new one whose life is in that configuration. So half a cluster is never formed twice: whoever is
 * asked to form either has lost nothing yet, or is told what there is.
 *
 * A new member whose life is in nobody's configuration (its directory was emptied, or it was never
 * one of the first) waits: it has no vote in a cluster that is formed, and forms no other. When the
 * leader has put it into the configuration (membership.h), it is told to begin with an empty log.
 *
 *   FRAME_FORM:   cluster id 16 bytes, then Raft's first configuration
 *   FRAME_LET_IN: cluster id 16 bytes, the life u64 that is let in
 *
 * Thread: loop. Owns: nothing. */
#ifndef MUSTER_CONSENSUS_FORMING_H
#define MUSTER_CONSENSUS_FORMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/consensus.h"
#include "consensus/frame.h"
#include "consensus/peer/hello.h"
#include "server/base/compiler.h"
#include "server/base/limits.h"

struct engine;

struct forming {
    uint64_t list_hash;
    struct consensus_member members[MEMBERS_MAX]; /* the first ones */
    size_t count;
    struct hello_facts heard[LINKS_MAX]; /* what others said last, in no order */
    size_t heard_count;
    uint64_t told_ms; /* when new members were last told */
    bool waits;       /* another one is formed already, without this life */
    uint64_t waits_since_ms;
    size_t genesis_len; /* of the first configuration, as Raft encodes it */
    uint8_t genesis[MEMBERS_MAX * (HOST_BYTES_MAX + 64)];
};

void forming_init(struct engine *e);
/* A link to a member is up, and this is what it says of itself. */
void forming_heard(struct engine *e, const struct hello_facts *facts);
/* Whether a member is one of the first. */
bool forming_is_first(const struct engine *e, uint64_t id);
/* The life of a member's directory, as it said last; 0: not heard from. */
uint64_t forming_life(const struct engine *e, uint64_t id);
/* What a member says that is new, and linked with us; NULL: it is not. */
const struct hello_facts *forming_new_life(const struct engine *e, uint64_t id);
/* FRAME_FORM, FRAME_LET_IN. */
void forming_receive(struct engine *e, uint64_t from, enum frame_type type, const uint8_t *data,
                     size_t len);
/* Forms the cluster when it is time; tells those who are new. */
void forming_tick(struct engine *e);

#endif
