/* A disk in memory behind the calls of consensus/disk/files.h, for the simulator and the unit
 * tests. Deterministic: all chance comes from the function that it is given.
 *
 * What it models: a page cache (what was not synced is lost, kept or torn by sectors when power is
 * lost, and kept when only the process dies); directory entries that are durable after sync_dir
 * alone (lost or kept, each for itself, before); a full disk; errors of any call; death before,
 * after or in the middle of any call; bits that flip; files that are cut short, removed, or put
 * back from an older copy. A sector is written whole or not at all.
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
    FILES_CALLS, /* how many kinds there are; and all of them */
};

/* What becomes of a call. */
enum files_fate {
    FILES_ERROR, /* it fails; EIO may have an effect, whole or in part */
    FILES_DIE_BEFORE,
    FILES_DIE_AMID, /* a part of it is done */
    FILES_DIE_AFTER,
};

struct files_options {
    uint64_t (*random)(void *data);
    /* In the middle of the call that it dies in. May be NULL. */
    void (*died)(void *data);
    void *data;
    uint64_t capacity; /* in bytes; 0: no bound */
};

struct files_disk;

struct files_disk *files_create(const struct files_options *options);
/* The same content, cached and durable, and the same that is not durable yet; no process. */
struct files_disk *files_clone(const struct files_disk *disk, const struct files_options *options);
/* NULL is accepted. */
void files_destroy(struct files_disk *disk);

/* --- the process --- */

/* A new process; the one before it dies, if it has not. What is returned lives as long as the disk:
 * calls of a process that is dead have no effect and return -EIO. */
const struct files *files_boot(struct files_disk *disk);
bool files_is_alive(const struct files_disk *disk);
/* The process is killed: the page cache stays. */
void files_kill(struct files_disk *disk);
/* The machine stops: what was not synced is lost, or not. */
void files_lose_power(struct files_disk *disk);

/* --- faults --- */

/* The call that comes after `calls` others from now on, and `more` behind it if it is an error. One
 * plan at a time; the next boot forgets it. */
struct files_plan {
    uint64_t calls, more;
    enum files_fate fate;
    int error; /* positive errno */
};
void files_plan(struct files_disk *disk, const struct files_plan *plan);
/* Takes it back. False when there is none (any more). */
bool files_take_plan(struct files_disk *disk, struct files_plan *ret_plan);
void files_set_capacity(struct files_disk *disk, uint64_t bytes);
uint64_t files_used(const struct files_disk *disk);
/* Calls since the disk was made, of one kind or of all. */
uint64_t files_count(const struct files_disk *disk, enum files_call call);

/* --- what others do to the directory, at any time --- */

/* UINT64_MAX: there is none of this name. */
uint64_t files_size(const struct files_disk *disk, const char *name);
/* The content as a process would read it, of files_size() bytes. */
const uint8_t *files_content(const struct files_disk *disk, const char *name);
/* Of all, durable at once; the file is made when there is none. */
void files_put(struct files_disk *disk, const char *name, const void *data, size_t len);
void files_remove(struct files_disk *disk, const char *name);
void files_flip_bit(struct files_disk *disk, const char *name, uint64_t bit);
void files_cut(struct files_disk *disk, const char *name, uint64_t bytes);
void files_empty(struct files_disk *disk);
size_t files_name_count(const struct files_disk *disk);
/* In an order that depends on the calls alone. */
const char *files_name(const struct files_disk *disk, size_t i);

/* A copy of all files, as `cp` makes it. */
struct files_image;
struct files_image *files_copy(const struct files_disk *disk);
/* In place of what is there. The image stays the caller's. */
void files_put_back(struct files_disk *disk, const struct files_image *image);
void files_image_destroy(struct files_image *image);

#endif
