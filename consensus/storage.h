/* The data directory of one member: a lock against a second process, the identity file, and the
 * watermark that shows a log which came back shorter than it was.
 *
 *     DIR/lock       held (flock) as long as the process lives
 *     DIR/identity   whose directory this is; written once
 *     DIR/watermark  boot number, and term and index of the last entry known durable; two slots,
 *                    checksummed, preallocated: a start and a mark need no space on a full disk
 *     DIR/raft/      libraft's own files
 *
 * Thread: storage_sync: any one; all else: loop (or before it runs).
 * Owns: the lock and its descriptors. */
#ifndef MUSTER_CONSENSUS_STORAGE_H
#define MUSTER_CONSENSUS_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/compiler.h"
#include "server/base/status.h"

struct storage;

struct storage_identity {
    uint64_t member_id;
    uint64_t cluster_id;
    char members[3072]; /* the first members as text, for messages: "1=a:9100,2=b:9100" */
};

/* Opens (and creates when missing, mode 0700) the directory and takes its lock. An empty directory
 * takes the `expected` identity. One that has an identity must be of the same member, and of the
 * same cluster when `cluster_given`; *ret_identity is what counts from then on. Increments the boot
 * number durably.
 * Failure: NULL and a sentence that says what to do (locked by another process; belongs to another
 * member or cluster; damaged: bad checksum, log without identity, identity without log though the
 * watermark is not zero; cannot be created or written). */
struct storage *storage_open(const char *dir, const struct storage_identity *expected,
                             bool cluster_given, struct storage_identity *ret_identity, char *error,
                             size_t error_size);
/* Releases the lock. NULL is accepted. */
void storage_close(struct storage *s);

/* Absolute or as given: DIR/raft. */
const char *storage_raft_dir(const struct storage *s);
/* True when DIR/raft holds no log yet: bootstrap in storage_staging_dir(), then storage_publish().
 */
bool storage_is_new(const struct storage *s);
/* DIR/raft.new, emptied; renamed to DIR/raft by storage_publish (atomic, directory synced). */
const char *storage_staging_dir(const struct storage *s);
MUST_USE enum status storage_publish(struct storage *s);
/* Rises with every storage_open of this directory; from 1. */
uint64_t storage_boot(const struct storage *s);

/* What was last marked; zeros in a new directory. */
void storage_watermark(const struct storage *s, uint64_t *ret_term, uint64_t *ret_index);
/* Notes that the log is durable up to here (also when it becomes shorter, before it is cut).
 * Survives the death of the process at once, that of the machine after the next storage_sync, or at
 * once when it goes back.
 * One pwrite, no allocation: the file is preallocated. ST_IO: treat as fatal. */
MUST_USE enum status storage_mark(struct storage *s, uint64_t term, uint64_t index);
/* fdatasync of the watermark when it changed since. Blocks. ST_IO: treat as fatal. */
MUST_USE enum status storage_sync(struct storage *s);

/* Free bytes for this user on the file system. UINT64_MAX when unknown. Any thread. */
uint64_t storage_free_bytes(const struct storage *s);

#endif
