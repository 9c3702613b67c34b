/* To whom this member keeps a link, and at which address. An address is not an identity: a member
 * that is started elsewhere tells those that it reaches (member_info.h), they dial it there from
 * then on, and the leader puts the address into the configuration.
 *
 * Of several addresses of a member the first that there is counts:
 *   1. what its process says of itself
 *   2. what our own --cluster list says, where that is another one than the directory was made with
 *      or last started with: the network has moved. Until the configuration is changed after that
 *   3. the configuration; the list, while there is none
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
    struct consensus_member list[LINKS_MAX]; /* that are kept */
    size_t count;
    bool is_stale, knew_all;
    struct consensus_member moved[MEMBERS_MAX]; /* what the list says newly */
    size_t moved_count;
};

/* Our own list says that a member is there now. At most MEMBERS_MAX times. */
void links_move(struct engine *e, const struct consensus_member *to);
/* The configuration had `before` as a member's address, and has another one. What our own list says
 * is older than that; not while we are behind, unless `before` is what it says. */
void links_readdressed(struct engine *e, uint64_t id, const char *before);
/* The configuration, or what a member says of itself, is another one. */
void links_changed(struct engine *e);
/* Makes and ends links. Before anything can come over them. */
void links_tick(struct engine *e);

#endif
