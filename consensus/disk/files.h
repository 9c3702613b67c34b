/* The files of one data directory: the few calls that log, snapshots and identity are built on.
 * Production uses the kernel's (files_posix.c); the simulator a disk that tears writes, loses
 * renames, flips bits and crashes between any two calls.
 *
 * Names are plain file names in the directory, not paths. Failures return a negative errno; the
 * call's effect is then undefined, except that preallocate with -ENOSPC has none that matters.
 *
 * Thread: any; calls for different files may overlap, those for one may not. Owns: open files. */
#ifndef MUSTER_CONSENSUS_DISK_FILES_H
#define MUSTER_CONSENSUS_DISK_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a device writes atomically. */
#define FILE_SECTOR_BYTES 512

enum file_mode {
    FILE_READ,
    FILE_WRITE,  /* an existing file; also reads */
    FILE_CREATE, /* a new empty file that replaces any existing one; also reads */
};

struct files {
    void *ctx;
    int (*open)(void *ctx, const char *name, enum file_mode mode, int *ret_file);
    void (*close)(void *ctx, int file);
    /* Makes the file at least this long; the new part reads as zeros, and writing to it later
     * cannot fail for lack of space. Durable after sync. */
    int (*preallocate)(void *ctx, int file, uint64_t bytes);
    /* Writes everything or fails. `durable`: on return this and all earlier writes to the file are
     * on the medium. */
    int (*write)(void *ctx, int file, uint64_t at, const void *data, size_t len, bool durable);
    int (*sync)(void *ctx, int file);
    /* Returns fewer bytes than requested only at the end of the file. */
    int (*read)(void *ctx, int file, uint64_t at, void *data, size_t len, size_t *ret_len);
    /* Replaces any existing `to`. Durable after sync_dir, like unlink and the creation of files; in
     * any order before it. */
    int (*rename)(void *ctx, const char *from, const char *to);
    int (*unlink)(void *ctx, const char *name);
    int (*sync_dir)(void *ctx);
    /* Calls `each` for every file, in no particular order. */
    int (*list)(void *ctx, void (*each)(void *data, const char *name, uint64_t bytes), void *data);
    /* Available to this user; UINT64_MAX: unknown. */
    uint64_t (*free_bytes)(void *ctx);
};

#endif
