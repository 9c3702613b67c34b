/* Probers: the members whose replicas run the active checks at present, each check by one of them.
 * The set is replicated; COMMAND_PROBERS of the leader changes it.
 *
 * A check goes to the member with the highest weight, a hash of the check's id and the member's id
 * (rendezvous hashing: Thaler and Ravishankar, "Using name-based mappings to increase hit rates",
 * IEEE/ACM Transactions on Networking 6(1), 1998). So all replicas agree without a table, and a
 * member that leaves or comes moves no checks but its own.
 *
 * Thread: values; any. */
#ifndef MUSTER_REGISTRY_PROBER_H
#define MUSTER_REGISTRY_PROBER_H

#include <stdbool.h>
#include <stdint.h>

#include "server/registry/record.h"

/* Part of the format, from LEVEL_CHECKS on; never changes. */
#define PROBERS_MAX 16

struct prober {
    uint64_t member; /* id, at least 1 */
    uint64_t since;  /* index of the entry with which it came */
};

struct probers {
    uint64_t epoch; /* index of the entry that last changed the set; 0: none has */
    uint32_t count;
    struct prober rows[PROBERS_MAX]; /* in order of member */
};

/* The member that runs a check, by its stored id; 0: nobody does. */
uint64_t prober_of(const struct probers *probers, struct slice check_id);
bool probers_have(const struct probers *probers, uint64_t member);
/* What a result is about: another one when the check was made anew, or its definition, the record's
 * `extra`, was replaced. Never 0. */
uint64_t prober_definition(const struct record *check);

#endif
