/* Turns a directory into that of a new one-member cluster with a given state: the final part of a
 * restore or a recovery. A crash at any point leaves the old contents, or a directory that the next
 * start completes.
 *
 *   1. The caller writes the state: a snapshot of the new cluster, named
 *      SNAPSHOT_FOUNDING_TEMPORARY (snapshot_file.h).
 *   2. founding_decide writes the file `founding`, the new identity. This is the decision.
 *   3. founding_finish renames the old files (before-<new cluster>-NAME), publishes the snapshot,
 *      makes an empty log after it, writes the identity, and removes `founding`.
 *
 * The old files stay until somebody removes them.
 *
 * Thread: the starting one. Owns: nothing. */
#ifndef MUSTER_CONSENSUS_DISK_FOUNDING_H
#define MUSTER_CONSENSUS_DISK_FOUNDING_H

#include <stdbool.h>
#include <stddef.h>

#include "consensus/disk/files.h"
#include "consensus/disk/identity.h"
#include "server/base/compiler.h"

#define FOUNDING_ASIDE        "before-" /* then eight digits of the new cluster's id, and the name */
#define FOUNDING_ASIDE_DIGITS 8

/* Whether one was decided and is incomplete. False with a message if that cannot be determined. */
MUST_USE bool founding_is_decided(const struct files *files, bool *ret_decided, char *error,
                                  size_t error_size);
/* The state must be complete and durable. 0 or a negative errno. */
MUST_USE int founding_decide(const struct files *files, const struct identity *identity);
/* At every start, before anything else: completes what was decided, if anything. False with a
 * message; may be repeated. */
MUST_USE bool founding_finish(const struct files *files, char *error, size_t error_size);

#endif
