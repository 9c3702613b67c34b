#include "tests/sim/disk_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "tests/plant/plant.h"
#include "tests/sim/checks.h"
#include "tests/sim/member.h"
#include "tests/sim/rng.h"
#include "tests/sim/world.h"

#define RETRY_NS        (250 * MS)
#define FREE_BYTES      (1ull << 40)
#define FREE_FULL_BYTES (2ull << 20)

/* --- what is durable --- */

void *disk_copy_bytes(const void *data, size_t len)
{
    void *copy = mem_alloc(len);
    memcpy(copy, data, len);
    return copy;
}

raft_index disk_last_index(const struct disk *d)
{
    return d->start_index + d->count - 1;
}

static void cut(struct disk *d, raft_index index)
{
    while (d->count > 0 && disk_last_index(d) >= index) {
        free(d->entries[--d->count].data);
    }
}

static void add(struct disk *d, const struct disk_entry *entry)
{
    if (d->count == d->capacity) {
        d->capacity = d->capacity > 0 ? d->capacity * 2 : 64;
        d->entries = mem_realloc(d->entries, d->capacity * sizeof *d->entries);
    }
    d->entries[d->count] = *entry;
    d->entries[d->count++].data = disk_copy_bytes(entry->data, entry->len);
}

/* Entries before `first` go. */
static void forget_before(struct disk *d, raft_index first)
{
    size_t gone = 0;
    while (gone < d->count && d->start_index + gone < first) {
        free(d->entries[gone++].data);
    }
    memmove(d->entries, d->entries + gone, (d->count - gone) * sizeof *d->entries);
    d->count -= gone;
    d->start_index += gone;
}

static void take_snapshot(struct disk *d, const struct disk_snapshot *snapshot)
{
    free(d->snapshot.data);
    d->snapshot = *snapshot;
    d->snapshot.data = disk_copy_bytes(snapshot->data, snapshot->len);
}

/* Makes the first `part` of `of` of an operation durable. */
static void settle(struct disk_op *op, uint64_t part, uint64_t of)
{
    struct disk *d = op->disk;
    bool whole = part == of;
    switch (op->kind) {
    case APPEND:
        for (size_t i = 0; i < op->count * part / of; i++) {
            if (op->index + i != disk_last_index(d) + 1) {
                world_violation("log_is_continuous", "member %" PRIu64 " writes %llu behind %llu",
                                d->member->id, op->index + i, disk_last_index(d));
            }
            add(d, &op->entries[i]);
        }
        break;
    case TRUNCATE:
        if (whole) {
            cut(d, op->index);
        }
        break;
    case INSTALL:
        if (part * 2 >= of) {
            take_snapshot(d, &op->snapshot);
        }
        if (whole || disk_last_index(d) < d->snapshot.index) {
            cut(d, 0);
            d->start_index = d->snapshot.index + 1;
        }
        break;
    case STORE:
        if (part * 2 >= of && op->snapshot.index > d->snapshot.index) {
            take_snapshot(d, &op->snapshot);
        }
        if (whole && op->snapshot.index > op->trailing) {
            uint64_t more = rng_chance(500000) ? 0 : rng_below(8);
            raft_index first = op->snapshot.index - op->trailing + 1;
            forget_before(d, first > more ? first - more : 1);
        }
        break;
    case READ:
        break;
    }
}

/* --- operations --- */

static void op_free(struct happening *event)
{
    struct disk_op *op = CONTAINER_OF(event, struct disk_op, event);
    for (size_t i = 0; i < op->count; i++) {
        free(op->entries[i].data);
    }
    free(op->entries);
    free(op->snapshot.data);
    free(op);
}

void disk_unlink(struct disk_op *op)
{
    struct disk *d = op->disk;
    struct disk_op **link = op->kind >= STORE ? &d->others : &d->first;
    while (*link != op) {
        link = &(*link)->next;
    }
    *link = op->next;
    if (d->end == &op->next) {
        d->end = link;
    }
}

static void give_snapshot(struct disk_op *op)
{
    const struct disk_snapshot *from = &op->disk->snapshot;
    struct raft_snapshot *s = raft_malloc(sizeof *s);
    *s = (struct raft_snapshot){.index = from->index,
                                .term = from->term,
                                .configuration_index = from->configuration_index,
                                .n_bufs = 1};
    member_configuration(&s->configuration);
    s->bufs = raft_malloc(sizeof *s->bufs);
    s->bufs[0] = (struct raft_buffer){.base = raft_malloc(from->len), .len = from->len};
    memcpy(s->bufs[0].base, from->data, from->len);
    op->get_cb(op->get, s, 0);
}

void disk_call_back(struct disk_op *op, int status)
{
    switch (op->kind) {
    case APPEND:
        if (op->append_cb != NULL) {
            op->append_cb(op->append, status);
        }
        break;
    case INSTALL:
    case STORE:
        op->put_cb(op->put, status);
        break;
    case READ:
        if (status == 0) {
            give_snapshot(op);
        } else {
            op->get_cb(op->get, NULL, status);
        }
        break;
    case TRUNCATE:
        break;
    }
}

/* Whether it has to wait: for space, for those before it, for what its barrier covers. */
static bool must_wait(const struct disk_op *op)
{
    const struct disk *d = op->disk;
    if (d->full && op->kind != TRUNCATE && op->kind != READ) {
        return true;
    }
    if (op->kind == STORE) {
        return d->first != NULL && d->first->order < op->order;
    }
    return op->kind != READ && d->first != op;
}

static void op_done(struct happening *event)
{
    struct disk_op *op = CONTAINER_OF(event, struct disk_op, event);
    struct disk *d = op->disk;
    if (must_wait(op)) {
        world_at(event, d->full ? RETRY_NS : MS, d->member);
        return;
    }
    int status = 0;
    disk_unlink(op);
    if (d->fails && op->kind != TRUNCATE) {
        d->fails = false;
        d->error = true;
        status = RAFT_IOERR;
        settle(op, rng_below(3), 3);
    } else {
        settle(op, 1, 1);
    }
    world_hash(op->order);
    disk_call_back(op, status);
    op_free(event);
}

struct disk_op *disk_op_new(struct disk *d, enum kind kind)
{
    struct disk_op *op = mem_zalloc(1, sizeof *op);
    op->event.run = op_done;
    op->event.drop = op_free;
    op->disk = d;
    op->kind = kind;
    op->order = ++d->orders;
    return op;
}

void disk_submit(struct disk_op *op)
{
    struct disk *d = op->disk;
    uint64_t now_ns = world_now_ns();
    uint64_t done_ns = now_ns + rng_between(20 * US, d->latency_ns);
    if (op->kind >= STORE) {
        op->next = d->others;
        d->others = op;
        done_ns += rng_below(20 * MS);
    } else {
        *d->end = op;
        d->end = &op->next;
        done_ns = done_ns > d->done_ns ? done_ns : d->done_ns;
        d->done_ns = done_ns;
    }
    world_at(&op->event, done_ns - now_ns, d->member);
}

/* --- life --- */

void disk_init(struct disk *d, struct member *member)
{
    *d = (struct disk){.member = member, .start_index = 1, .latency_ns = 2 * MS};
    d->end = &d->first;
}

void disk_open(struct disk *d)
{
    if (d->term == 0) {
        struct raft_configuration conf;
        struct raft_buffer bytes;
        member_configuration(&conf);
        CHECK(raft_configuration_encode(&conf, &bytes) == 0);
        const struct disk_entry first = {
            .term = 1, .type = RAFT_CHANGE, .len = bytes.len, .data = bytes.base};
        d->term = 1;
        add(d, &first);
        raft_free(bytes.base);
        raft_configuration_close(&conf);
    }
    d->boot++;
    d->synced_term = d->mark_term;
    d->synced_index = d->mark_index;
}

void disk_crash(struct disk *d, bool power)
{
    uint64_t count = 0;
    for (const struct disk_op *op = d->first; op != NULL; op = op->next) {
        count++;
    }
    uint64_t kept = d->error ? 0 : rng_below(count + 1); /* nothing is written behind a failure */
    bool all = kept == count;
    for (struct disk_op *op = d->first; op != NULL && kept > 0; op = op->next, kept--) {
        settle(op, 1, 1);
        if (kept == 1 && op->next != NULL) {
            settle(op->next, rng_below(4), 4); /* half of the first that is lost */
        }
    }
    for (struct disk_op *op = d->others; all && op != NULL; op = op->next) {
        if (op->kind == STORE) {
            settle(op, rng_below(4), 3);
        }
    }
    if (power && rng_chance(700000)) {
        d->mark_term = d->synced_term;
        d->mark_index = d->synced_index;
    }
    d->fails = false;
}

void disk_wipe(struct disk *d)
{
    struct disk empty;
    cut(d, 0);
    free(d->entries);
    free(d->snapshot.data);
    disk_init(&empty, d->member);
    empty.latency_ns = d->latency_ns;
    *d = empty;
    d->end = &d->first;
}

static void flip(uint8_t *data, size_t len)
{
    uint8_t bit = (uint8_t)(1u << rng_below(8));
    data[rng_below(len)] ^= bit;
}

bool disk_flip(struct disk *d)
{
    size_t marked = 0;
    while (marked < d->count && d->start_index + marked <= d->mark_index &&
           d->start_index + marked <= d->synced_index) {
        marked++;
    }
    if (d->snapshot.index > 0 && rng_chance(200000)) {
        flip(d->snapshot.data, d->snapshot.len);
        d->damaged = true;
    } else if (marked > 0) {
        struct disk_entry *entry = &d->entries[rng_below(marked)];
        if (entry->type != RAFT_COMMAND) {
            return false; /* only libraft's own checksum covers it */
        }
        flip(entry->data, entry->len);
        entry->type = -1;
        d->damaged = true;
        d->truncates_silently = rng_chance(500000);
    }
    return d->damaged;
}

void disk_mark(struct disk *d, uint64_t term, uint64_t index)
{
    if (d->member->dying) {
        return;
    }
    if (index < d->mark_index) { /* storage_mark() syncs before the log is cut */
        d->synced_term = term;
        d->synced_index = index;
        d->sync_order++;
    }
    d->mark_term = term;
    d->mark_index = index;
}

struct sync {
    struct happening event;
    uint64_t term, index;
    uint64_t order;
};

static void synced(struct happening *event)
{
    struct sync *s = CONTAINER_OF(event, struct sync, event);
    struct disk *d = &event->member->disk;
    if (s->order == d->sync_order) { /* else a later one is done already */
        d->synced_term = s->term;
        d->synced_index = s->index;
    }
    free(s);
}

void disk_sync(struct disk *d)
{
    struct sync *s = mem_zalloc(1, sizeof *s);
    *s = (struct sync){
        .event.run = synced, .term = d->mark_term, .index = d->mark_index, .order = d->sync_order};
    world_at(&s->event, rng_between(20 * US, d->latency_ns), d->member);
}

uint64_t disk_free_bytes(const struct disk *d)
{
    return d->full ? FREE_FULL_BYTES : FREE_BYTES;
}

uint64_t disk_log_bytes(const struct disk *d)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < d->count; i++) {
        bytes += d->entries[i].len;
    }
    return bytes;
}
