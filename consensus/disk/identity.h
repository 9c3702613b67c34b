/* Whose directory it is: the file `identity`, written when the directory is new, and again when the
 * cluster is formed or joined. It is replaced atomically (written under another name, synced,
 * renamed), so a crash leaves the old one or the new one.
 *
 * Thread: the starting one. */
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
    struct cluster_id cluster; /* none: waits until its cluster is formed, or admits it */
    bool joins;                /* `members` are a running cluster: do not form one with them */
    /* It was admitted, and may have nothing of the log yet. */
    bool joining;
    char members[IDENTITY_MEMBERS_BYTES_MAX]; /* --cluster at the last start with one,
                                                 "1=host:port,..." */
};

enum identity_state {
    IDENTITY_FINE,
    IDENTITY_MISSING, /* and no other file of ours exists: a new directory */
    IDENTITY_REFUSED, /* damaged, in an older layout, or missing beside a log; see the message */
};

/* Reads the file. Refuses a damaged one, and a directory in the layout of version 0.1 (a directory
 * `raft`, a file `watermark`), with a message that names the file and says what to do. */
MUST_USE enum identity_state identity_read(const struct files *files, struct identity *ret_identity,
                                           char *error, size_t error_size);
/* Opens the file and no more: 0, or a negative errno (-ENOENT: it is gone). */
MUST_USE int identity_probe(const struct files *files);
/* Durable on return of 0; otherwise a negative errno. */
MUST_USE int identity_write(const struct files *files, const struct identity *identity);
/* Reads the same format from another file; considers only that file. */
MUST_USE enum identity_state identity_read_named(const struct files *files, const char *name,
                                                 struct identity *ret_identity, char *error,
                                                 size_t error_size);
MUST_USE int identity_write_named(const struct files *files, const char *temporary,
                                  const char *name, const struct identity *identity);

#endif
