/* Probers: the members whose replicas run the active checks at present, each check by one of them.
 * The set is replicated; COMMAND_PROBERS of the leader replaces it.
 *
 * A check goes to the member with the highest weight, a hash of the check's id and the member's
 * (rendezvous hashing: Thaler and Ravishankar, "Using name-based mappings to increase hit rates",
 * IEEE/ACM Transactions on Networking 6(1), 1998). So all replicas agree without a table, and a
 * member that comes or leaves moves no checks but its own.
 *
 * A result that arrives late must not overwrite that of a later run by another member. So the set
 * remembers who left it, and a result says with which epoch its run began.
 *
 * Thread: values; any. */
#ifndef MUSTER_REGISTRY_PROBER_H
#define MUSTER_REGISTRY_PROBER_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/compiler.h"
#include "server/registry/record.h"

/* Part of the format, from LEVEL_CHECKS on, and never changes: members, present and past. */
#define PROBERS_MAX 16

struct prober {
    uint64_t member; /* id, at least 1 */
    uint64_t since;  /* index of the entry with which it came */
    uint64_t until;  /* of the entry with which it left; 0: it is in the set */
};

struct probers {
    uint64_t epoch;     /* index of the entry that last changed the set; 0: none has */
    uint64_t forgotten; /* of the entry with which the last one left that is not in `rows` now */
    uint32_t count;
    struct prober rows[PROBERS_MAX]; /* in order of member */
};

/* The row of a member that is in the set; NULL: it is not. */
const struct prober *probers_find(const struct probers *probers, uint64_t member);
/* The member that runs a check, by its stored id; 0: nobody does. */
uint64_t prober_of(const struct probers *probers, struct slice check_id);
/* Whether the member runs the check, and nobody else has since the set had that epoch. */
bool prober_was(const struct probers *probers, struct slice check_id, uint64_t member,
                uint64_t epoch);
/* What a result is about: another one when the check was made anew, or its definition, the record's
 * `extra`, was replaced. Never 0. */
uint64_t prober_definition(const struct record *check);
uint64_t probers_hash(const struct probers *probers);
/* Whether a state as of `index` may have them. */
MUST_USE bool probers_are_possible(const struct probers *probers, uint64_t index);

#endif
