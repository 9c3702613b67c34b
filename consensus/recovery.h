/* Offline work on a data directory: makes a new one-member cluster from a backup, or from what a
 * survivor holds when the majority is gone for good. Both read the whole state into memory, verify
 * it, and write it as the first snapshot of a new cluster (disk/founding.h), with a new cluster id
 * and a new life: nothing that old members or links still send is accepted.
 *
 * The old cluster's numbering ends with it: the at-most-once table is dropped, as none of its lives
 * can send to the new cluster. The index continues where it was, in a later term.
 *
 * Thread: the starting one, before there are others. Owns: nothing. */
#ifndef MUSTER_CONSENSUS_RECOVERY_H
#define MUSTER_CONSENSUS_RECOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/consensus.h"
#include "consensus/disk/files.h"
#include "server/base/compiler.h"

/* Where a backup is read from. 0 or a negative errno; *ret_len is 0 at the end. */
struct recovery_source {
    int (*read)(void *ctx, void *data, size_t len, size_t *ret_len);
    void *ctx;
    const char *name; /* for messages */
};

/* --- in the directory of `files`, called `data_dir` in messages --- */

/* Turns the directory, which must be empty, into a one-member cluster of `self` with the state of
 * the backup. False with a message: then it is unchanged, or the next start completes it. */
MUST_USE bool recovery_restore(const struct files *files, const char *data_dir,
                               const struct consensus_member *self, const struct consensus_fsm *app,
                               const struct recovery_source *source,
                               struct consensus_restored *ret_restored, char *error,
                               size_t error_size);
/* Inspects a survivor's directory. `id` 0: whichever member it is. With `confirmed`, also turns it
 * into a new one-member cluster. False with a message, likewise. */
MUST_USE bool recovery_recover(const struct files *files, const char *data_dir, uint64_t id,
                               const struct consensus_fsm *app, bool confirmed,
                               struct consensus_recovered *ret_recovered, char *error,
                               size_t error_size);

#endif
