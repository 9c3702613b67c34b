/* Shared by tests/sim/files.c (content and names) and files_calls.c (the calls and their faults).
 *
 * Thread: one. */
#ifndef MUSTER_SIM_FILES_INTERNAL_H
#define MUSTER_SIM_FILES_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/files.h"

#define FILES_HANDLES_MAX 64

struct inode {
    size_t refs; /* names, pending operations, open handles */
    /* As seen by a process, and as it is on the medium. Zeros beyond the size. */
    uint8_t *cached, *durable;
    size_t size, durable_size;
    size_t room;         /* of each of the two */
    uint8_t *dirty;      /* one byte per sector: written and not synced */
    bool emptied;        /* since the last sync: the durable content is from before */
    struct inode *clone; /* set during files_clone */
};

struct entry {
    char name[FILES_NAME_SIZE];
    struct inode *inode;
};

struct directory {
    struct entry *entries;
    size_t count;
};

/* A change of the directory that is not durable yet. */
struct change {
    char from[FILES_NAME_SIZE]; /* name removed; "": none */
    char to[FILES_NAME_SIZE];   /* name added; "": none */
    struct inode *inode;        /* of `to` */
};

struct process {
    struct files files; /* must be first */
    struct files_disk *disk;
    bool dead;
    struct inode *handles[FILES_HANDLES_MAX];
    bool writable[FILES_HANDLES_MAX];
    struct process *older;
};

struct files_disk {
    struct files_options options;
    struct directory cached, durable;
    struct change *changes;
    size_t change_count;
    struct process *process; /* the newest */
    struct files_plan plan;
    bool planned;
    uint64_t counts[FILES_CALLS + 1];
};

uint64_t files_random(struct files_disk *disk, uint64_t below);
void files_die(struct files_disk *disk);

struct inode *inode_new(void);
void inode_release(struct inode *inode);
void inode_reserve(struct inode *inode, size_t size);
void inode_mark(struct inode *inode, size_t sector);
/* Makes one sector durable. */
void inode_settle(struct inode *inode, size_t sector);
void inode_sync(struct inode *inode);
/* What a durable write leaves: all written data, but not a length that was only allocated. */
void inode_sync_written(struct inode *inode);
void inode_empty(struct inode *inode);

struct entry *directory_find(const struct directory *d, const char *name);
void directory_apply(struct directory *d, const struct change *change);
/* Changes the cached directory, and records it for the durable one. */
void files_change(struct files_disk *disk, const char *from, const char *to, struct inode *inode);
/* Makes one pending change durable. */
void files_settle_change(struct files_disk *disk, size_t i);

/* Sets the calls, for files_boot. */
void files_fill_calls(struct process *process);

#endif
