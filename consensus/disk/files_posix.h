/* Implements struct files on a real directory, which it creates if necessary and locks against
 * other processes.
 *
 * Durable writes bypass the page cache (O_DIRECT, RWF_DSYNC) where the file system supports it, and
 * preallocation writes zeros, so that later writes change no metadata. README.md has measurements.
 *
 * Thread: files_posix_open and _close: one; the calls of struct files: as files.h says.
 * Owns: the lock, the directory's descriptor, open files. */
#ifndef MUSTER_CONSENSUS_DISK_FILES_POSIX_H
#define MUSTER_CONSENSUS_DISK_FILES_POSIX_H

#include <stddef.h>

#include "consensus/disk/files.h"

/* Opens the directory, creating it if only its last component is missing, and takes its lock, which
 * is held until files_posix_close or the end of the process. On failure, NULL and a message. */
struct files *files_posix_open(const char *dir, char *error, size_t error_size);
/* All files must be closed. Accepts NULL. */
void files_posix_close(struct files *files);

#endif
