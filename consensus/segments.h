/* Looks at the files of a log before libraft does, for what it would not survive.
 *
 * Thread: the one that starts. */
#ifndef MUSTER_CONSENSUS_SEGMENTS_H
#define MUSTER_CONSENSUS_SEGMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/compiler.h"

/* Takes back a cut of the log that was interrupted: the shorter segment was written under its own
 * name, the longer one was not yet removed, and nothing was appended since. libraft would refuse
 * both. Removes the shorter, which may be half written; what was to be cut off is not committed,
 * and the leader says so again. False, and a sentence, when the directory cannot be read or
 * changed. */
MUST_USE bool segments_mend(const char *raft_dir, char *error, size_t error_size);
/* False, and a sentence, when an open segment is cut in the middle of a batch of entries: libraft
 * frees twice when one ends behind the end of the file. */
MUST_USE bool segments_check(const char *raft_dir, char *error, size_t error_size);

#endif
