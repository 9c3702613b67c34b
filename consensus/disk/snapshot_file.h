/* Snapshots on disk: files named `snapshot-<index>-<term>`, sixteen hexadecimal digits each. A
 * header with what Raft must know, the state in chunks, then a footer; each with a checksum, a
 * sequence number and the cluster id, so that a chunk from another file, in another order or of
 * another length is detected. A snapshot is written under a temporary name, and renamed once it is
 * complete and durable.
 *
 * Members exchange the same bytes: the sender reads pieces of the file (verified before they are
 * sent), the receiver writes them to a temporary file, and nothing is replaced before all of it is
 * verified.
 *
 * Thread: its user's; different files may be used concurrently. Owns: its open file. */
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
/* Backups being sent to a client; a digit follows. */
#define SNAPSHOT_BACKUP_TEMPORARY "snapshot.backup-"
#define BACKUPS_MAX               2 /* at a time */

/* --- writing our own --- */

struct snapshot_writer;
/* Creates the file `name`, which stays borrowed; `info`, which may be NULL, makes it a backup. NULL
 * with a negative errno in *ret_error. */
struct snapshot_writer *snapshot_writer_open(const struct files *files, const char *name,
                                             const struct cluster_id *cluster,
                                             const struct snapshot_meta *meta,
                                             const struct snapshot_info *info, int *ret_error);
/* Appends to the state, any length. Errors are returned by finish. */
void snapshot_writer_add(struct snapshot_writer *w, const void *data, size_t len);
/* Abandons it with this error, which finish returns. */
void snapshot_writer_fail(struct snapshot_writer *w, int error);
/* Writes the footer and makes the temporary file durable; frees `w`. On failure a negative errno,
 * and the file is removed. */
MUST_USE int snapshot_writer_finish(struct snapshot_writer *w, uint64_t *ret_bytes);

/* --- publishing --- */

/* Durably renames a complete and durable temporary file to its final name; then removes older
 * snapshots. */
MUST_USE int snapshot_publish(const struct files *files, const char *temporary, uint64_t index,
                              uint64_t term);
/* The newest by index. False if there is none. */
MUST_USE int snapshot_find(const struct files *files, bool *ret_found,
                           char ret_name[SNAPSHOT_NAME_SIZE]);
/* Removes temporary files of an earlier run of the process. */
MUST_USE int snapshot_sweep(const struct files *files);

/* --- reading --- */

struct snapshot_reader;
/* Opens the file and checks the header. NULL with a message if it is unreadable, damaged or of
 * another cluster. */
struct snapshot_reader *snapshot_reader_open(const struct files *files, const char *name,
                                             const struct cluster_id *cluster,
                                             struct snapshot_meta *ret_meta, char *error,
                                             size_t error_size);
/* The next bytes of the state, verified; valid until the next call. *ret_len 0: the end, and the
 * footer is correct. False with a message if damaged. */
MUST_USE bool snapshot_reader_next(struct snapshot_reader *r, const uint8_t **ret_data,
                                   size_t *ret_len, char *error, size_t error_size);
/* The next bytes of the file itself (header, chunks, footer), verified, for sending. Do not mix
 * with snapshot_reader_next. *ret_len 0: the end. */
MUST_USE bool snapshot_reader_raw(struct snapshot_reader *r, const uint8_t **ret_data,
                                  size_t *ret_len, char *error, size_t error_size);
uint64_t snapshot_reader_file_bytes(const struct snapshot_reader *r);
void snapshot_reader_close(struct snapshot_reader *r);

/* --- receiving --- */

struct snapshot_receiver;
/* Creates SNAPSHOT_RECEIVED_TEMPORARY. */
struct snapshot_receiver *snapshot_receiver_open(const struct files *files, int *ret_error);
/* Appends bytes of the file. 0 or a negative errno. */
MUST_USE int snapshot_receiver_add(struct snapshot_receiver *r, const void *data, size_t len);
/* Makes the file durable; frees `r`. Its contents are not verified yet: read it with a
 * snapshot_reader before snapshot_publish. */
MUST_USE int snapshot_receiver_finish(struct snapshot_receiver *r);
void snapshot_receiver_abandon(struct snapshot_receiver *r);

#endif
