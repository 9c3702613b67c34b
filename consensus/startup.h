/* Opening a data directory: identifies it, and loads its log and snapshot. Everything is read and
 * checked before anything is changed, and before this member votes.
 *
 * Thread: the starting one. */
#ifndef MUSTER_CONSENSUS_STARTUP_H
#define MUSTER_CONSENSUS_STARTUP_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/compiler.h"

struct engine;

/* Reads the identity, or gives a new directory one. Sets e->identity. False with a message if
 * refused. */
MUST_USE bool startup_identify(struct engine *e, char *error, size_t error_size);
/* Loads snapshot and log of a member with a cluster, and starts libraft with them. False with a
 * message if refused. */
MUST_USE bool startup_run(struct engine *e, char *error, size_t error_size);

#endif
