/* The two small files of a data directory, for storage.c alone. All paths are relative to the open
 * directory `dir`; all writes are durable when they return.
 *
 * Thread: as storage.h says. Owns: nothing. */
#ifndef MUSTER_CONSENSUS_STORAGE_INTERNAL_H
#define MUSTER_CONSENSUS_STORAGE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/storage.h"

/* What became of reading a file. */
enum file_state {
    FILE_FINE,
    FILE_MISSING,
    FILE_DAMAGED,
    FILE_UNREADABLE, /* errno says why */
};

/* Writes the whole file under another name, syncs it and renames it: it is there whole or not at
 * all. False with errno. */
bool file_publish(int dir, const char *name, const void *data, size_t len);

enum file_state identity_read(int dir, struct storage_identity *ret_identity);
bool identity_write(int dir, const struct storage_identity *identity);

/* One slot of the watermark file. Two of them, so that a torn write leaves the one before. */
struct mark {
    uint64_t sequence; /* the higher one counts; 0: never written */
    uint64_t boot;
    uint64_t term;
    uint64_t index;
};
bool watermark_create(int dir);
/* Opens the file and reads what counts; FILE_FINE with zeros when never written. */
enum file_state watermark_open(int dir, int *ret_fd, struct mark *ret_mark);
/* Writes the slot that the sequence falls on; not synced. False with errno. */
bool watermark_write(int fd, const struct mark *mark);

#endif
