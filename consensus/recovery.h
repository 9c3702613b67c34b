/* Work on a data directory that no process runs on: a new cluster of one is made of a backup, or of
 * what a survivor holds when the majority is gone for good. Both read the whole state into memory,
 * check it, and write it out as the first snapshot of a new cluster (disk/founding.h), with a new
 * cluster id and a new life: nothing that an old member or link still says is ever believed.
 *
 * What was numbered for the old cluster ends with it: the at-most-once table is dropped, as no life
 * in it can send anything to the new one. The index goes on from where it was, in a later term.
 *
 * Thread: the one that starts, before there are others. Owns: nothing. */
#ifndef MUSTER_CONSENSUS_RECOVERY_H
#define MUSTER_CONSENSUS_RECOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/consensus.h"
#include "consensus/disk/files.h"
#include "server/base/compiler.h"

/* Where a backup is read from. 0 or a negative errno; *ret_len 0 at its end. */
struct recovery_source {
    int (*read)(void *ctx, void *data, size_t len, size_t *ret_len);
    void *ctx;
    const char *name; /* for sentences */
};

/* --- in the directory of `files`, which `data_dir` names in sentences --- */

/* Makes the directory, which must be empty, that of a cluster of `self` alone with the state in the
 * backup. False with a sentence: then it is as it was, or the next start completes it. */
MUST_USE bool recovery_restore(const struct files *files, const char *data_dir,
                               const struct consensus_member *self, const struct consensus_fsm *app,
                               const struct recovery_source *source,
                               struct consensus_restored *ret_restored, char *error,
                               size_t error_size);
/* Looks at what a survivor's directory holds. `id` 0: whichever member it is. With `confirmed` also
 * makes it that of a new cluster of this member alone. False with a sentence: likewise. */
MUST_USE bool recovery_recover(const struct files *files, const char *data_dir, uint64_t id,
                               const struct consensus_fsm *app, bool confirmed,
                               struct consensus_recovered *ret_recovered, char *error,
                               size_t error_size);

#endif
