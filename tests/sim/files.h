/* An in-memory disk behind consensus/disk/files.h, for the simulator and the unit tests.
 * Deterministic: all randomness comes from the given function.
 *
 * It models a page cache (on a power loss unsynced data is lost, kept, or torn by sectors; if only
 * the process dies, it is kept); directory entries that become durable by sync_dir only (before,
 * each may be lost or kept); a full disk; errors of any call; a crash before, during or after any
 * call; flipped bits; files that are truncated, removed, or restored from an older copy. A sector
 * is written atomically.
 *
 * Thread: one. Owns: all content. */
#ifndef MUSTER_SIM_FILES_H
#define MUSTER_SIM_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/disk/files.h"

#define FILES_NAME_SIZE 64

enum files_call {
    FILES_OPEN,
    FILES_PREALLOCATE,
    FILES_WRITE,
    FILES_SYNC,
    FILES_READ,
    FILES_RENAME,
    FILES_UNLINK,
    FILES_SYNC_DIR,
    FILES_LIST,
    FILES_CALLS, /* the number of kinds; and all of them */
};

/* The outcome of a call. */
enum files_fate {
    FILES_ERROR, /* fails; EIO may have an effect, fully or partly */
    FILES_DIE_BEFORE,
    FILES_DIE_AMID, /* partly done */
    FILES_DIE_AFTER,
};

struct files_options {
    uint64_t (*random)(void *data);
    /* Called inside the call that it dies in. May be NULL. */
    void (*died)(void *data);
    void *data;
    uint64_t capacity; /* in bytes; 0: unlimited */
};

struct files_disk;

struct files_disk *files_create(const struct files_options *options);
/* Copies the content, cached and durable, and pending changes; without a process. */
struct files_disk *files_clone(const struct files_disk *disk, const struct files_options *options);
/* Accepts NULL. */
void files_destroy(struct files_disk *disk);

/* --- the process --- */

/* Starts a process; an earlier one dies if it has not. The result lives as long as the disk: calls
 * of a dead process have no effect and return -EIO. */
const struct files *files_boot(struct files_disk *disk);
bool files_is_alive(const struct files_disk *disk);
/* The process is killed: the page cache stays. */
void files_kill(struct files_disk *disk);
/* The machine stops: unsynced data is lost, or not. */
void files_lose_power(struct files_disk *disk);

/* --- faults --- */

/* The call after `calls` others from now on; if it is an error, also `more` later ones. One plan at
 * a time; the next boot forgets it. */
struct files_plan {
    uint64_t calls, more;
    enum files_fate fate;
    int error; /* positive errno */
};
void files_plan(struct files_disk *disk, const struct files_plan *plan);
/* Removes the plan. False if there is none (any more). */
bool files_take_plan(struct files_disk *disk, struct files_plan *ret_plan);
void files_set_capacity(struct files_disk *disk, uint64_t bytes);
uint64_t files_used(const struct files_disk *disk);
/* Calls since the disk was created, of one kind or all. */
uint64_t files_count(const struct files_disk *disk, enum files_call call);

/* --- changes to the directory from outside, at any time --- */

/* UINT64_MAX: no such file. */
uint64_t files_size(const struct files_disk *disk, const char *name);
/* Its content, files_size() bytes, as a process would read it. */
const uint8_t *files_content(const struct files_disk *disk, const char *name);
/* Durably replaces the content; creates the file if necessary. */
void files_put(struct files_disk *disk, const char *name, const void *data, size_t len);
void files_remove(struct files_disk *disk, const char *name);
void files_flip_bit(struct files_disk *disk, const char *name, uint64_t bit);
void files_cut(struct files_disk *disk, const char *name, uint64_t bytes);
void files_empty(struct files_disk *disk);
size_t files_name_count(const struct files_disk *disk);
/* In an order that depends only on the calls. */
const char *files_name(const struct files_disk *disk, size_t i);

/* A copy of all files, as `cp` makes it. */
struct files_image;
struct files_image *files_copy(const struct files_disk *disk);
/* Replaces all files. The caller keeps the image. */
void files_put_back(struct files_disk *disk, const struct files_image *image);
void files_image_destroy(struct files_image *image);

#endif
