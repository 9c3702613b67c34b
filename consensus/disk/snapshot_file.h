/* Snapshots on disk: the file `snapshot-<index>-<term>`, sixteen hexadecimal digits each. A header
 * with what Raft must know of it, then the state in chunks, then a footer; each with its checksum,
 * number and the cluster id's, so that a chunk of another file, another order or another length is
 * noticed. A snapshot is written under a temporary name and renamed when it is whole and durable.
 *
 * The same bytes travel between members: the sender reads pieces of the file (verified before they
 * leave), the receiver writes them to a temporary file, and nothing is replaced before the whole is
 * verified.
 *
 * Thread: the one that has it; files of different names may be used at the same time.
 * Owns: its open file. */
#ifndef MUSTER_CONSENSUS_DISK_SNAPSHOT_FILE_H
#define MUSTER_CONSENSUS_DISK_SNAPSHOT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/disk/files.h"
#include "consensus/disk/name.h"
#include "server/base/compiler.h"
#include "server/base/snapshot_block.h"

#define SNAPSHOT_TAKEN_TEMPORARY    "snapshot.taken" /* of our own state */
#define SNAPSHOT_RECEIVED_TEMPORARY "snapshot.received"
#define SNAPSHOT_FOUNDING_TEMPORARY "founding.state" /* of a new cluster: founding.h */
/* Backups on their way to a client; a digit follows. */
#define SNAPSHOT_BACKUP_TEMPORARY "snapshot.backup-"
#define BACKUPS_MAX               2 /* at a time */

/* --- writing our own --- */

struct snapshot_writer;
/* Starts the file `name` anew, which stays borrowed; `info` makes a backup of it and may be NULL.
 * NULL with a negative errno in *ret_error. */
struct snapshot_writer *snapshot_writer_open(const struct files *files, const char *name,
                                             const struct cluster_id *cluster,
                                             const struct snapshot_meta *meta,
                                             const struct snapshot_info *info, int *ret_error);
/* Appends to the state, any length. An error is remembered and returned by finish. */
void snapshot_writer_add(struct snapshot_writer *w, const void *data, size_t len);
/* Gives it up with this error, which finish returns. */
void snapshot_writer_fail(struct snapshot_writer *w, int error);
/* Writes the footer and makes the temporary file durable; frees `w`. 0 or a negative errno, and
 * then the file is gone. */
MUST_USE int snapshot_writer_finish(struct snapshot_writer *w, uint64_t *ret_bytes);

/* --- putting in place --- */

/* Gives a temporary file, whole and durable, its name, durably; then removes older snapshots. */
MUST_USE int snapshot_publish(const struct files *files, const char *temporary, uint64_t index,
                              uint64_t term);
/* The newest by index. False when there is none. */
MUST_USE int snapshot_find(const struct files *files, bool *ret_found,
                           char ret_name[SNAPSHOT_NAME_SIZE]);
/* Temporary files of an earlier life of the process. */
MUST_USE int snapshot_sweep(const struct files *files);

/* --- reading --- */

struct snapshot_reader;
/* Opens and checks the header. NULL, with a sentence, when it cannot be read, is damaged or is of
 * another cluster. */
struct snapshot_reader *snapshot_reader_open(const struct files *files, const char *name,
                                             const struct cluster_id *cluster,
                                             struct snapshot_meta *ret_meta, char *error,
                                             size_t error_size);
/* The state's next bytes, verified; valid until the next call. *ret_len 0: it was all of it, and
 * the footer is right. False, with a sentence, when damaged. */
MUST_USE bool snapshot_reader_next(struct snapshot_reader *r, const uint8_t **ret_data,
                                   size_t *ret_len, char *error, size_t error_size);
/* The file's next bytes as they stand in it (header, chunks, footer), verified before they are
 * given; for sending. Not together with snapshot_reader_next on one reader. *ret_len 0: the end. */
MUST_USE bool snapshot_reader_raw(struct snapshot_reader *r, const uint8_t **ret_data,
                                  size_t *ret_len, char *error, size_t error_size);
uint64_t snapshot_reader_file_bytes(const struct snapshot_reader *r);
void snapshot_reader_close(struct snapshot_reader *r);

/* --- receiving --- */

struct snapshot_receiver;
/* Starts SNAPSHOT_RECEIVED_TEMPORARY anew. */
struct snapshot_receiver *snapshot_receiver_open(const struct files *files, int *ret_error);
/* The next bytes of the file. 0 or a negative errno. */
MUST_USE int snapshot_receiver_add(struct snapshot_receiver *r, const void *data, size_t len);
/* Makes what is there durable; frees `r`. What it holds is not verified yet: read it with a
 * snapshot_reader before snapshot_publish. */
MUST_USE int snapshot_receiver_finish(struct snapshot_receiver *r);
void snapshot_receiver_abandon(struct snapshot_receiver *r);

#endif
