/* Shared by wal_load.c, which creates a struct wal, and wal_write.c, which uses it.
 *
 * Thread: as wal.h says. */
#ifndef MUSTER_CONSENSUS_DISK_WAL_INTERNAL_H
#define MUSTER_CONSENSUS_DISK_WAL_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/disk/files.h"
#include "consensus/disk/wal.h"
#include "consensus/disk/wal_format.h"
#include "server/base/compiler.h"

#define WAL_NO_FILE (-1)

struct wal_segment {
    uint64_t number;
    uint64_t bytes;
    uint64_t start; /* the log's last index at its beginning */
};

struct wal {
    /* immutable */
    const struct files *files;
    struct cluster_id cluster;
    uint64_t segment_bytes; /* of new segments */
    /* writing thread only */
    struct wal_segment *segments; /* oldest first; the last is being written */
    size_t count, capacity;
    int file; /* of the last segment */
    uint64_t at;
    struct wal_tail tail;
    uint64_t sequence; /* of the last frame */
    uint32_t parent;   /* its checksum */
    /* The next segment, allocated in steps while the current one fills. */
    int spare_file;        /* WAL_NO_FILE: not created yet */
    uint64_t spare_bytes;  /* allocated so far */
    uint64_t spare_synced; /* the part that is durable, as is the file's name */
    bool failed;
    _Atomic uint64_t bytes_on_disk;
};

void wal_add_segment(struct wal *wal, const struct wal_segment *segment);
/* Recomputes bytes_on_disk. */
void wal_count_bytes(struct wal *wal);

#endif
