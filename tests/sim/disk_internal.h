/* What the two files of the disk share: what is durable and on its way (disk.c), and the raft_io
 * that libraft sees (disk_io.c). */
#ifndef MUSTER_SIM_DISK_INTERNAL_H
#define MUSTER_SIM_DISK_INTERNAL_H

#include "tests/sim/disk.h"
#include "tests/sim/world.h"

/* The first three are done in order. */
enum kind { APPEND, TRUNCATE, INSTALL, STORE, READ };

struct disk_op {
    struct happening event;
    struct disk_op *next;
    struct disk *disk;
    enum kind kind;
    uint64_t order;
    raft_index index; /* append: of the first entry; truncate: where to cut */
    struct disk_entry *entries;
    size_t count;
    struct disk_snapshot snapshot;
    unsigned trailing;
    struct raft_io_append *append;
    raft_io_append_cb append_cb;
    struct raft_io_snapshot_put *put;
    raft_io_snapshot_put_cb put_cb;
    struct raft_io_snapshot_get *get;
    raft_io_snapshot_get_cb get_cb;
};

void *disk_copy_bytes(const void *data, size_t len);
raft_index disk_last_index(const struct disk *d);
struct disk_op *disk_op_new(struct disk *d, enum kind kind);
void disk_submit(struct disk_op *op);
void disk_unlink(struct disk_op *op);
void disk_call_back(struct disk_op *op, int status);

#endif
