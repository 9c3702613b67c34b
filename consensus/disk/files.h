/* The files of one data directory: the few calls that the log, the snapshots and the identity stand
 * on. Production implements them with the kernel's (files_posix.c), the simulator with a disk that
 * tears writes, loses renames, flips bits and dies between any two calls.
 *
 * Names are plain file names in the directory, no paths. A failure is a negative errno; then
 * nothing may be assumed of the call's effect, except that -ENOSPC from preallocate has none that
 * matters.
 *
 * Thread: any; calls for different files may overlap, those for one file may not.
 * Owns: what it opened. */
#ifndef MUSTER_CONSENSUS_DISK_FILES_H
#define MUSTER_CONSENSUS_DISK_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a device writes whole or not at all. */
#define FILE_SECTOR_BYTES 512

enum file_mode {
    FILE_READ,
    FILE_WRITE,  /* of what is there; also reads */
    FILE_CREATE, /* empty, in place of what is there; also reads */
};

struct files {
    void *ctx;
    int (*open)(void *ctx, const char *name, enum file_mode mode, int *ret_file);
    void (*close)(void *ctx, int file);
    /* Makes the file this long, if it is shorter; what is new reads as zeros, and writing there
     * later does not fail for lack of space. Durable after sync. */
    int (*preallocate)(void *ctx, int file, uint64_t bytes);
    /* All of it, or an error. `durable`: it is on the medium when this returns, and so is all that
     * was written to this file before. */
    int (*write)(void *ctx, int file, uint64_t at, const void *data, size_t len, bool durable);
    int (*sync)(void *ctx, int file);
    /* Fewer bytes than asked for only at the end of the file. */
    int (*read)(void *ctx, int file, uint64_t at, void *data, size_t len, size_t *ret_len);
    /* In place of `to` if that is there. Durable after sync_dir, as is unlink and the creation of a
     * file; in any order before. */
    int (*rename)(void *ctx, const char *from, const char *to);
    int (*unlink)(void *ctx, const char *name);
    int (*sync_dir)(void *ctx);
    /* Each file that is there, in no order. */
    int (*list)(void *ctx, void (*each)(void *data, const char *name, uint64_t bytes), void *data);
    /* For this user; UINT64_MAX when unknown. */
    uint64_t (*free_bytes)(void *ctx);
};

#endif
