/* A read-only view of a directory: reads pass through, everything that would change it succeeds
 * without effect. So code that repairs and records as it reads, as every start does, can be run to
 * see what it would find.
 *
 * Thread: as `files`. Owns: nothing. */
#ifndef MUSTER_CONSENSUS_DISK_FILES_STILL_H
#define MUSTER_CONSENSUS_DISK_FILES_STILL_H

#include "consensus/disk/files.h"

/* `files` must outlive the result. A created file is empty and stays empty. */
struct files files_still(const struct files *files);

#endif
