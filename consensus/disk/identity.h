/* Whose directory it is: the file `identity`, written when the directory is new, and once more when
 * the cluster is formed or joined. It is replaced whole (written under another name, synced,
 * renamed), so a death leaves the old one or the new one.
 *
 * Thread: the one that starts. */
#ifndef MUSTER_CONSENSUS_DISK_IDENTITY_H
#define MUSTER_CONSENSUS_DISK_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/disk/files.h"
#include "consensus/disk/ids.h"
#include "server/base/compiler.h"
#include "server/base/limits.h"

#define IDENTITY_MEMBERS_BYTES_MAX ((HOST_BYTES_MAX + 32) * MEMBERS_MAX)

struct identity {
    uint64_t member;
    uint64_t life;
    struct cluster_id cluster; /* none: waits for its cluster to be formed, or to be let in */
    bool joins;                /* a running cluster: it forms none with `members` */
    /* It was let in, and may have nothing of the log yet. */
    bool joining;
    char members[IDENTITY_MEMBERS_BYTES_MAX]; /* --cluster at the last start with one,
                                                 "1=host:port,..." */
};

enum identity_state {
    IDENTITY_FINE,
    IDENTITY_MISSING, /* and nothing else of ours is there: a new directory */
    IDENTITY_REFUSED, /* damaged, of an older layout, or missing beside a log; see the sentence */
};

/* Reads the file. Refuses what is damaged, and a directory in the layout of version 0.1 (a
 * directory `raft`, a file `watermark`), with a sentence that names the file and says what to do.
 */
MUST_USE enum identity_state identity_read(const struct files *files, struct identity *ret_identity,
                                           char *error, size_t error_size);
/* Opens the file, and looks no further: 0, or a negative errno (-ENOENT: it is gone). */
MUST_USE int identity_probe(const struct files *files);
/* Durable when it returns 0; else a negative errno. */
MUST_USE int identity_write(const struct files *files, const struct identity *identity);
/* The same text in another file, which alone is looked at. */
MUST_USE enum identity_state identity_read_named(const struct files *files, const char *name,
                                                 struct identity *ret_identity, char *error,
                                                 size_t error_size);
MUST_USE int identity_write_named(const struct files *files, const char *temporary,
                                  const char *name, const struct identity *identity);

#endif
