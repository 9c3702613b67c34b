/* A directory that is only looked at: reads are another's, all that would change it is done nowhere
 * and called a success. So code that mends and notes as it reads, as every start does, can be asked
 * what it would find.
 *
 * Thread: as the other's. Owns: nothing; both are the caller's. */
#ifndef MUSTER_CONSENSUS_DISK_FILES_STILL_H
#define MUSTER_CONSENSUS_DISK_FILES_STILL_H

#include "consensus/disk/files.h"

/* `files` must outlive what is returned. A file that is created is empty and stays so. */
struct files files_still(const struct files *files);

#endif
