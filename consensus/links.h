/* Which members this one keeps links to, and at which addresses. An address is not an identity: a
 * member started elsewhere tells those that it reaches (member_info.h); they dial the new address
 * from then on, and the leader puts it into the configuration.
 *
 * A member's address is the first of these that is known:
 *   1. what its process announces
 *   2. what our own --cluster list says, if the directory was made or last started with another
 *      list: the network has moved. Valid until the next change of the configuration
 *   3. the configuration or, while there is none, the list
 *
 * Thread: loop. Owns: its table. */
#ifndef MUSTER_CONSENSUS_LINKS_H
#define MUSTER_CONSENSUS_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/consensus.h"
#include "server/base/limits.h"

struct engine;

struct links {
    struct consensus_member list[LINKS_MAX]; /* links in use */
    size_t count;
    bool is_stale, knew_all;
    struct consensus_member moved[MEMBERS_MAX]; /* new addresses from the list */
    size_t moved_count;
};

/* Our own list has a new address for a member. At most MEMBERS_MAX calls. */
void links_move(struct engine *e, const struct consensus_member *to);
/* The configuration had `before` as a member's address and now has another, which is newer than our
 * own list's; but not while we are behind, unless `before` is the list's. */
void links_readdressed(struct engine *e, uint64_t id, const char *before);
/* The configuration, or a member's announced address, has changed. */
void links_changed(struct engine *e);
/* Opens and closes links. Call before frames can arrive over them. */
void links_tick(struct engine *e);

#endif
