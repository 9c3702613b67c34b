/* Looks at the files of a log before libraft does, for damage that it would not survive.
 *
 * Thread: the one that starts. */
#ifndef MUSTER_CONSENSUS_SEGMENTS_H
#define MUSTER_CONSENSUS_SEGMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/compiler.h"

/* False, and a sentence, when an open segment is cut in the middle of a batch of entries: libraft
 * frees twice when one ends behind the end of the file. */
MUST_USE bool segments_check(const char *raft_dir, char *error, size_t error_size);

#endif
