/* Forming a cluster, once: when all first members have said hello as new, the one with the lowest
 * id chooses the cluster id and the first configuration, of all their lives, writes these to its
 * own disk and sends them to the others, which do the same. A member that has them sends them to
 * any new one whose life is in that configuration. So a cluster cannot be formed twice: a member
 * asked to form one either has nothing to lose yet, or learns of the existing one.
 *
 * A new member whose life is in no configuration (its directory was emptied, or it was never one of
 * the first) waits: it has no vote in an existing cluster and forms no other. Once the leader has
 * added it to the configuration (membership.h), it is told to start with an empty log.
 *
 *   FRAME_FORM:   cluster id 16 bytes, then Raft's first configuration
 *   FRAME_LET_IN: cluster id 16 bytes, the life u64 that is admitted
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
    struct hello_facts heard[LINKS_MAX]; /* last hello of each other member, unordered */
    size_t heard_count;
    uint64_t told_ms; /* when new members were last informed */
    bool waits;       /* another cluster is formed already, without this life */
    uint64_t waits_since_ms;
    size_t genesis_len; /* of the first configuration, in Raft's encoding */
    uint8_t genesis[MEMBERS_MAX * (HOST_BYTES_MAX + 64)];
};

void forming_init(struct engine *e);
/* A link to a member is up, and these are its facts. */
void forming_heard(struct engine *e, const struct hello_facts *facts);
/* Whether a member is one of the first. */
bool forming_is_first(const struct engine *e, uint64_t id);
/* The life that a member last reported; 0: not heard from. */
uint64_t forming_life(const struct engine *e, uint64_t id);
/* The facts of a member that is new and linked; NULL: it is not. */
const struct hello_facts *forming_new_life(const struct engine *e, uint64_t id);
/* FRAME_FORM, FRAME_LET_IN. */
void forming_receive(struct engine *e, uint64_t from, enum frame_type type, const uint8_t *data,
                     size_t len);
/* Forms the cluster when it is time; informs new members. */
void forming_tick(struct engine *e);

#endif
