/* The disk of a member: a raft_io that keeps what is durable apart from what is still on its way.
 *
 * Appends and truncations become durable one after the other. A crash keeps a random prefix of
 * those on their way, and a part of the first that it loses. Term and vote are durable at once. The
 * watermark survives the death of the process at once, that of the machine when it was synced.
 *
 * Thread: the only one. Owns: all content. */
#ifndef MUSTER_SIM_DISK_H
#define MUSTER_SIM_DISK_H

#include <raft.h>
#include <stdbool.h>
#include <stdint.h>

struct member;
struct disk_op;

struct disk_entry {
    raft_term term;
    int type;
    size_t len;
    uint8_t *data;
};

struct disk_snapshot {
    raft_index index; /* 0: none */
    raft_term term;
    raft_index configuration_index;
    size_t len;
    uint8_t *data;
};

struct disk {
    struct member *member;
    /* durable */
    raft_term term;
    raft_id vote;
    struct disk_snapshot snapshot;
    raft_index start_index; /* of entries[0] */
    struct disk_entry *entries;
    size_t count, capacity;
    uint64_t boot;
    uint64_t mark_term, mark_index;     /* written */
    uint64_t synced_term, synced_index; /* survives a loss of power */
    /* on its way */
    struct disk_op *first, **end; /* appends, truncations, installs: in order */
    struct disk_op *others;       /* snapshots stored and read */
    uint64_t orders;              /* of operations ever submitted */
    uint64_t done_ns;             /* when the last one in order will be */
    raft_index next_index;
    /* how it fares */
    uint64_t latency_ns; /* at most */
    bool full;
    bool fails;              /* the next write ends with an error */
    uint32_t kill_in;        /* the process dies at so many writes from now; 0: not */
    bool error;              /* has returned an error in this life */
    bool damaged;            /* content was changed behind its back: must be refused */
    bool truncates_silently; /* as libraft's own backend does at damage in an open segment */
    /* of this life */
    struct raft_io *io;
    raft_io_tick_cb tick;
    unsigned tick_ms;
    uint64_t sync_order;
};

void disk_init(struct disk *d, struct member *member);
/* The configuration as the first entry; increments the boot number. */
void disk_open(struct disk *d);
void disk_init_io(struct disk *d, struct raft_io *io);
/* What is left after a crash; `power`: of the machine. */
void disk_crash(struct disk *d, bool power);
void disk_wipe(struct disk *d);
/* Changes a byte of what is durable. False: there is nothing that must be noticed. */
bool disk_flip(struct disk *d);

void disk_mark(struct disk *d, uint64_t term, uint64_t index);
void disk_sync(struct disk *d);
uint64_t disk_free_bytes(const struct disk *d);
/* Bytes of log entries on it. */
uint64_t disk_log_bytes(const struct disk *d);

#endif
