/* What a start does with the data directory: whose it is, and what its log and snapshot hold.
 * Everything is read and checked before anything is changed, and before this member votes.
 *
 * Thread: the one that starts. */
#ifndef MUSTER_CONSENSUS_STARTUP_H
#define MUSTER_CONSENSUS_STARTUP_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/compiler.h"

struct engine;

/* Reads the identity, or gives a new directory one. Fills e->identity. False: refused, with a
 * sentence. */
MUST_USE bool startup_identify(struct engine *e, char *error, size_t error_size);
/* Loads snapshot and log of a member that has a cluster, and starts libraft with them. False:
 * refused, with a sentence. */
MUST_USE bool startup_run(struct engine *e, char *error, size_t error_size);

#endif
