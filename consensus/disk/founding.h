/* Makes a directory that a new cluster of one starts with, from a state that was written into it:
 * the end of a restore or a recovery. A death at any point leaves either what was there before, or
 * a directory that the next start completes.
 *
 *   1. The caller writes the state: a snapshot of the new cluster, named
 *      SNAPSHOT_FOUNDING_TEMPORARY (snapshot_file.h).
 *   2. founding_decide writes the file `founding`: the new identity. From here on it is decided.
 *   3. founding_finish puts what was there aside (before-<new cluster>-NAME), gives the snapshot
 * its name, makes an empty log behind it, writes the identity, and removes `founding`.
 *
 * What is put aside stays until somebody removes it.
 *
 * Thread: the one that starts. Owns: nothing. */
#ifndef MUSTER_CONSENSUS_DISK_FOUNDING_H
#define MUSTER_CONSENSUS_DISK_FOUNDING_H

#include <stdbool.h>
#include <stddef.h>

#include "consensus/disk/files.h"
#include "consensus/disk/identity.h"
#include "server/base/compiler.h"

#define FOUNDING_ASIDE        "before-" /* and eight digits of the new cluster's id, and the name */
#define FOUNDING_ASIDE_DIGITS 8

/* Whether one was decided and is not complete. False with a sentence when that cannot be said. */
MUST_USE bool founding_is_decided(const struct files *files, bool *ret_decided, char *error,
                                  size_t error_size);
/* The state is there, whole and durable. 0 or a negative errno. */
MUST_USE int founding_decide(const struct files *files, const struct identity *identity);
/* At every start, before anything else: completes what was decided; else does nothing. False with a
 * sentence; it can be called again. */
MUST_USE bool founding_finish(const struct files *files, char *error, size_t error_size);

#endif
