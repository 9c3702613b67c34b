/* The raft_io that libraft sees. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "tests/plant/plant.h"
#include "tests/sim/checks.h"
#include "tests/sim/disk_internal.h"
#include "tests/sim/member.h"
#include "tests/sim/rng.h"

#define CAPACITY_KIB      16384
#define CAPACITY_FULL_KIB 1024

static struct disk *disk_of(struct raft_io *io)
{
    return io->impl;
}

static int io_init(struct raft_io *io, raft_id id, const char *address)
{
    (void)io;
    (void)id;
    (void)address;
    return 0;
}

static void load_entries(const struct disk *d, size_t count, struct raft_entry **entries)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += d->entries[i].len;
    }
    *entries = NULL;
    if (count == 0) {
        return;
    }
    *entries = raft_malloc(count * sizeof **entries);
    uint8_t *batch = raft_malloc(bytes);
    uint8_t *at = batch;
    for (size_t i = 0; i < count; i++) {
        const struct disk_entry *from = &d->entries[i];
        memcpy(at, from->data, from->len);
        (*entries)[i] = (struct raft_entry){.term = from->term,
                                            .type = (enum raft_entry_type)from->type,
                                            .buf = {.base = at, .len = from->len},
                                            .batch = batch};
        at += from->len;
    }
}

static size_t first_damaged(const struct disk *d)
{
    for (size_t i = 0; i < d->count; i++) {
        if (d->entries[i].type < 0) {
            return i;
        }
    }
    return d->count;
}

static int io_load(struct raft_io *io, raft_term *term, raft_id *voted_for,
                   struct raft_snapshot **snapshot, raft_index *start_index,
                   struct raft_entry *entries[], size_t *n_entries)
{
    struct disk *d = disk_of(io);
    *term = d->term;
    *voted_for = d->vote;
    *snapshot = NULL;
    *start_index = d->start_index;
    *n_entries = d->truncates_silently ? first_damaged(d) : d->count;
    for (size_t i = 0; i < *n_entries; i++) {
        if (d->entries[i].type < 0 && !rng_chance(300000)) {
            (void)snprintf(io->errmsg, sizeof io->errmsg, "%s", "damaged segment");
            return RAFT_CORRUPT;
        }
    }
    if (*n_entries == 0 && d->snapshot.index >= *start_index) {
        *start_index = d->snapshot.index + 1;
        d->damaged &= d->mark_index > d->snapshot.index; /* what was lost is in there */
    }
    if (*n_entries > 0 && *start_index + *n_entries - 1 < d->snapshot.index) {
        (void)snprintf(io->errmsg, sizeof io->errmsg, "%s", "the log is behind the last snapshot");
        return RAFT_CORRUPT; /* what the real backend says */
    }
    load_entries(d, *n_entries, entries);
    for (size_t i = 0; i < *n_entries; i++) {
        if (d->entries[i].type < 0) {
            (*entries)[i].type = RAFT_COMMAND; /* it gets past the backend's checksum */
        }
    }
    if (d->snapshot.index > 0) {
        const struct disk_snapshot *from = &d->snapshot;
        *snapshot = raft_malloc(sizeof **snapshot);
        **snapshot = (struct raft_snapshot){.index = from->index,
                                            .term = from->term,
                                            .configuration_index = from->configuration_index,
                                            .n_bufs = 1};
        member_configuration(&(*snapshot)->configuration);
        (*snapshot)->bufs = raft_malloc(sizeof *(*snapshot)->bufs);
        (*snapshot)->bufs[0] =
            (struct raft_buffer){.base = raft_malloc(from->len), .len = from->len};
        memcpy((*snapshot)->bufs[0].base, from->data, from->len);
    }
    d->next_index = disk_last_index(d) + 1;
    return 0;
}

static void on_tick(struct happening *event)
{
    struct disk *d = &event->member->disk;
    free(event);
    d->io->capacity = d->full ? CAPACITY_FULL_KIB : CAPACITY_KIB;
    d->tick(d->io);
    world_call(on_tick, member_true_ns(d->member, d->tick_ms * MS), d->member);
}

static int io_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
    struct disk *d = disk_of(io);
    (void)recv; /* the guard keeps it: messages come through it */
    d->tick = tick;
    d->tick_ms = msecs;
    world_call(on_tick, member_true_ns(d->member, msecs * MS), d->member);
    return 0;
}

/* The process is killed at this very point. */
static void maybe_die(struct disk *d)
{
    if (d->kill_in > 0 && --d->kill_in == 0) {
        world_trace("member %" PRIu64 " is killed at a write", d->member->id);
        d->member->dying = true;
        member_die(d->member, "");
    }
}

static int io_set_term(struct raft_io *io, raft_term term)
{
    struct disk *d = disk_of(io);
    if (d->member->dying) {
        return 0;
    }
    world_trace("member %" PRIu64 " stores term %llu", d->member->id, term);
    checks_term_stored(d->member, d->term, term);
    maybe_die(d);
    d->term = term;
    d->vote = 0;
    maybe_die(d);
    return 0;
}

static int io_set_vote(struct raft_io *io, raft_id id)
{
    struct disk *d = disk_of(io);
    if (d->member->dying) {
        return 0;
    }
    world_trace("member %" PRIu64 " stores its vote for %llu", d->member->id, id);
    maybe_die(d);
    checks_vote_stored(d->member, d->term, id);
    d->vote = plant_is(PLANT_vote_forgotten) ? d->vote : id;
    maybe_die(d);
    return 0;
}

/* The planted bug: called back long before it is durable. */
struct early {
    struct happening event;
    struct raft_io_append *append;
    raft_io_append_cb cb;
};

static void acknowledge(struct happening *event)
{
    struct early *e = CONTAINER_OF(event, struct early, event);
    e->cb(e->append, 0);
    free(e);
}

static void acknowledge_early(struct disk_op *op)
{
    struct early *e = mem_zalloc(1, sizeof *e);
    *e = (struct early){.event.run = acknowledge, .append = op->append, .cb = op->append_cb};
    op->append_cb = NULL;
    world_at(&e->event, 10 * US, op->disk->member);
}

static int io_append(struct raft_io *io, struct raft_io_append *req,
                     const struct raft_entry entries[], unsigned n, raft_io_append_cb cb)
{
    struct disk *d = disk_of(io);
    if (!d->member->dying) {
        maybe_die(d);
    }
    struct disk_op *op = disk_op_new(d, APPEND);
    op->index = d->next_index;
    op->count = n;
    op->entries = mem_alloc(n * sizeof *op->entries);
    for (unsigned i = 0; i < n; i++) {
        op->entries[i] = (struct disk_entry){
            .term = entries[i].term,
            .type = entries[i].type,
            .len = entries[i].buf.len,
            .data = disk_copy_bytes(entries[i].buf.base, entries[i].buf.len),
        };
    }
    op->append = req;
    op->append_cb = cb;
    d->next_index += n;
    if (plant_is(PLANT_ack_before_durable)) {
        acknowledge_early(op);
    }
    disk_submit(op);
    return 0;
}

static int io_truncate(struct raft_io *io, raft_index index)
{
    struct disk *d = disk_of(io);
    if (index < d->next_index) {
        struct disk_op *op = disk_op_new(d, TRUNCATE);
        op->index = index;
        d->next_index = index;
        world_trace("member %" PRIu64 " cuts its log at %llu", d->member->id, index);
        disk_submit(op);
    }
    return 0;
}

static int io_snapshot_put(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *req,
                           const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
    struct disk *d = disk_of(io);
    struct disk_op *op = disk_op_new(d, trailing == 0 ? INSTALL : STORE);
    op->snapshot = (struct disk_snapshot){
        .index = snapshot->index,
        .term = snapshot->term,
        .configuration_index = snapshot->configuration_index,
        .len = snapshot->bufs[0].len,
        .data = disk_copy_bytes(snapshot->bufs[0].base, snapshot->bufs[0].len),
    };
    op->trailing = trailing;
    world_trace("member %" PRIu64 " %s snapshot %llu", d->member->id,
                trailing == 0 ? "installs" : "stores", snapshot->index);
    op->put = req;
    op->put_cb = cb;
    if (trailing == 0) {
        d->next_index = snapshot->index + 1;
        figures.snapshots_installed++;
    } else {
        figures.snapshots_stored++;
    }
    disk_submit(op);
    return 0;
}

static int io_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *req,
                           raft_io_snapshot_get_cb cb)
{
    struct disk_op *op = disk_op_new(disk_of(io), READ);
    op->get = req;
    op->get_cb = cb;
    disk_submit(op);
    return 0;
}

static raft_time io_time(struct raft_io *io)
{
    return member_mono_ns(disk_of(io)->member) / MS;
}

static int io_random(struct raft_io *io, int min, int max)
{
    (void)io;
    return (int)rng_between((uint64_t)min, (uint64_t)max);
}

static int io_bootstrap(struct raft_io *io, const struct raft_configuration *conf)
{
    (void)io;
    (void)conf;
    return RAFT_CANTBOOTSTRAP; /* disk_open() did */
}

static int io_recover(struct raft_io *io, const struct raft_configuration *conf)
{
    (void)io;
    (void)conf;
    return RAFT_IOERR;
}

static void io_close(struct raft_io *io, raft_io_close_cb cb)
{
    struct disk *d = disk_of(io);
    struct disk_op *op;
    if (!d->member->dying) {
        disk_crash(d, false);
    }
    /* The heap still has their events and frees them. */
    while ((op = d->first) != NULL) {
        disk_unlink(op);
        disk_call_back(op, RAFT_CANCELED);
    }
    while ((op = d->others) != NULL) {
        disk_unlink(op);
        disk_call_back(op, op->kind == READ ? 0 : RAFT_CANCELED); /* a read comes to its end */
    }
    cb(io);
}

void disk_init_io(struct disk *d, struct raft_io *io)
{
    d->io = io;
    d->first = d->others = NULL;
    d->end = &d->first;
    d->done_ns = 0;
    d->error = false;
    *io = (struct raft_io){
        .version = 2,
        .capacity = CAPACITY_KIB,
        .impl = d,
        .init = io_init,
        .close = io_close,
        .load = io_load,
        .start = io_start,
        .bootstrap = io_bootstrap,
        .recover = io_recover,
        .set_term = io_set_term,
        .set_vote = io_set_vote,
        .append = io_append,
        .truncate = io_truncate,
        .snapshot_put = io_snapshot_put,
        .snapshot_get = io_snapshot_get,
        .time = io_time,
        .random = io_random,
    };
}
