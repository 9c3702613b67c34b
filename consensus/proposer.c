#include "consensus/proposer.h"

#include <stdlib.h>
#include <string.h>

#include "consensus/engine.h"
#include "consensus/entry.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

/* With this many entries to apply at once, tell the others of the commit before applying, not
 * after. */
#define CATCH_UP_ENTRIES 64
/* Room in an entry for its header, the stamp and the leader's own operation. */
#define ENTRY_OVERHEAD_BYTES 1024

static_assert(BATCH_BYTES_MAX + ENTRY_OVERHEAD_BYTES < ENTRY_BYTES_MAX,
              "an entry holds any batch and the leader's own");

void proposer_init(struct proposer *p)
{
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        buffer_init(&p->pending[i].bytes, BATCH_BYTES_MAX);
    }
}

void proposer_done(struct proposer *p)
{
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        buffer_done(&p->pending[i].bytes);
    }
}

static void forget(struct engine *e)
{
    struct proposer *p = &e->proposer;
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        struct pending_batch *b = &p->pending[i];
        b->filled = false;
        b->life = b->boot = b->serial = 0;
    }
    for (size_t i = 0; i < e->members.count; i++) {
        e->members.list[i].sent_index = 0;
    }
    p->noop_needed = p->noop_committed = p->propose_asked = false;
    p->inflight_count = 0;
    p->notify = false;
}

void proposer_begin(struct engine *e)
{
    forget(e);
    e->proposer.noop_needed = true;
}

void proposer_end(struct engine *e)
{
    forget(e); /* members resend what was not applied */
}

static uint16_t level_before(const struct engine *e)
{
    return e->proposer.level > e->fsm.level ? e->proposer.level : e->fsm.level;
}

/* The level of the next entry: the highest that all members of the configuration support, once all
 * have been heard from, and never below that of an earlier entry. */
static uint16_t level_now(const struct engine *e)
{
    uint16_t level = e->app.level_max;
    uint16_t floor = level_before(e);
    for (size_t i = 0; i < e->members.count; i++) {
        uint16_t theirs = e->members.list[i].info.level_max;
        level = theirs < level ? theirs : level; /* 0: not heard from */
    }
    level = level > floor ? level : floor;
    return level > e->app.level_min ? level : e->app.level_min;
}

static bool has_left(struct engine *e, uint64_t life)
{
    const struct member *m = member_info_of_life(e, life);
    return m == NULL || !member_info_is_configured(e, m);
}

/* The slot for a member's batch: its own, a free one, or that of a member that left. */
static struct pending_batch *place_of(struct engine *e, uint64_t life)
{
    struct pending_batch *unused = NULL;
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        struct pending_batch *b = &e->proposer.pending[i];
        if (b->life == life) {
            return b;
        }
        if (b->life == 0 || (!b->filled && has_left(e, b->life))) {
            unused = b;
        }
    }
    return unused;
}

/* Operations that others could not apply must not get into the log. */
static bool is_understood(struct engine *e, const uint8_t *data, uint32_t count)
{
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        size_t len;
        const uint8_t *op = batch_next(data, &at, &len);
        if (!e->app.understands(op, len, level_now(e))) {
            return false;
        }
    }
    return true;
}

static enum status check_space(struct engine *e)
{
    if (engine_has_space(e)) {
        return ST_OK;
    }
    if (engine_has_transfer_target(e)) {
        return ST_NO_LEADER; /* a transfer is in progress: the write waits for the next leader */
    }
    metric_add(METRIC_disk_full_total, 1);
    return ST_NO_SPACE;
}

enum status proposer_receive(struct engine *e, uint64_t origin_life, const uint8_t *data,
                             size_t len)
{
    struct batch_header header;
    if (batch_check(data, len, &header) != ST_OK || header.origin != origin_life ||
        has_left(e, origin_life)) {
        return ST_CORRUPT;
    }
    if (!e->is_leader) {
        return ST_NO_LEADER;
    }
    struct pending_batch *b = place_of(e, origin_life);
    if (b == NULL) {
        return ST_NO_LEADER; /* no free slot: members that left still wait */
    }
    if (b->life == origin_life && b->boot == header.boot && b->serial == header.serial) {
        return ST_OK; /* pending, or already proposed in this term */
    }
    enum status status = check_space(e);
    if (status == ST_OK && !is_understood(e, data, header.count)) {
        status = ST_LEVEL;
    }
    if (status != ST_OK) {
        return status;
    }
    b->life = origin_life;
    b->boot = header.boot;
    b->serial = header.serial;
    b->count = header.count;
    b->filled = true;
    buffer_clear(&b->bytes);
    buffer_append(&b->bytes, data, len);
    return ST_OK;
}

/* --- proposing --- */

/* The leader's own operation follows all received before consensus_propose(): our own operations
 * have left the forwarder, those of others are pending and go into the entry first. A batch of ours
 * refused for lack of space is still in the forwarder. Not while stopping: operations refused since
 * would have come first. */
static bool may_propose_own(const struct engine *e)
{
    bool held_back = e->forwarder.active && e->forwarder.sent_to != e->options.id;
    return e->proposer.propose_asked && e->forwarder.batched >= e->proposer.propose_after &&
           !held_back && !e->stopping;
}

static bool may_propose(struct engine *e)
{
    return e->is_leader && raft_state(&e->driver.raft) == RAFT_LEADER &&
           raft_transferee(&e->driver.raft) == 0 &&
           e->proposer.inflight_count < ENTRIES_IN_FLIGHT_MAX;
}

static bool has_work(const struct engine *e)
{
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        if (e->proposer.pending[i].filled) {
            return true;
        }
    }
    /* An idle cluster, too, must reach the level that all support. */
    bool rises = e->proposer.noop_committed && level_now(e) > level_before(e);
    return e->proposer.noop_needed || rises || may_propose_own(e);
}

/* Returns whether nothing is pending any more. */
static bool add_batches(struct engine *e, struct buffer *out, uint16_t *batches, uint32_t *ops)
{
    bool all = true;
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        struct pending_batch *b = &e->proposer.pending[i];
        if (!b->filled) {
            continue;
        }
        if (out->len + b->bytes.len + ENTRY_OVERHEAD_BYTES > ENTRY_BYTES_MAX ||
            *ops + b->count >= ENTRY_OPS_MAX) {
            all = false;
            continue;
        }
        entry_append_batch(out, b->bytes.data, b->bytes.len);
        b->filled = false;
        (*batches)++;
        *ops += b->count;
    }
    return all;
}

static void add_own(struct engine *e, struct buffer *out, uint16_t *batches)
{
    struct buffer op;
    struct buffer batch;
    struct batch_header header = {.origin = 0};
    e->proposer.propose_asked = false;
    buffer_init(&op, ENTRY_OVERHEAD_BYTES / 2);
    buffer_init(&batch, ENTRY_OVERHEAD_BYTES);
    if (e->app.propose(e->app.ctx, &op)) {
        CHECK(!op.overflowed);
        batch_begin(&batch, &header);
        batch_append(&batch, op.data, op.len);
        batch_set_count(&batch, 1);
        entry_append_batch(out, batch.data, batch.len);
        (*batches)++;
    }
    buffer_done(&batch);
    buffer_done(&op);
}

static void build_entry(struct engine *e, struct buffer *out)
{
    uint8_t stamp[ENTRY_STAMP_MAX];
    uint16_t batches = 0;
    uint32_t ops = 0;
    struct entry_header header = {
        .index = log_last_index(&e->driver.log) + 1,
        .term = raft_current_term(&e->driver.raft),
        .cluster = e->identity.cluster,
        .proposer = e->identity.life,
        .level = level_now(e),
        .stamp_len = (uint16_t)e->app.stamp(e->app.ctx, stamp),
    };
    entry_begin(out, &header, stamp);
    bool all = add_batches(e, out, &batches, &ops);
    if (all && may_propose_own(e)) {
        add_own(e, out, &batches);
    }
    entry_seal(out, batches);
    e->proposer.level = header.level;
    CHECK(!out->overflowed);
    metric_observe(HISTOGRAM_entry_operations, ops);
}

static void propose_entry(struct engine *e)
{
    struct proposer *p = &e->proposer;
    struct buffer entry;
    uint64_t index = log_last_index(&e->driver.log) + 1;
    CHECK(p->inflight_count < ENTRIES_IN_FLIGHT_MAX);
    buffer_init(&entry, ENTRY_BYTES_MAX + ENTRY_OVERHEAD_BYTES);
    build_entry(e, &entry);
    p->noop_needed = false;
    p->inflight[p->inflight_count++] = (struct inflight_entry){
        .index = index,
        .proposed_ns = clock_monotonic_ns(),
        .proposed_ms = engine_now_ms(e),
    };
    driver_submit(e, entry.data, entry.len);
    buffer_done(&entry);
}

/* Tells the members of a commit: they need it to answer, and to be readable. libraft would tell
 * them only with the next entry or heartbeat. */
static void notify(struct engine *e, bool proposed)
{
    struct proposer *p = &e->proposer;
    if (!p->notify) {
        return;
    }
    for (size_t i = 0; i < e->members.count; i++) {
        struct member *m = &e->members.list[i];
        bool told = proposed && m->sent_index > p->notify_index;
        if (!told && m->sent_index >= p->notify_index && !m->info.is_self) {
            driver_notify_commit(e, m, p->notify_index, p->notify_term);
        }
    }
    p->notify = false;
}

void proposer_pump(struct engine *e)
{
    bool proposed = false;
    while (may_propose(e) && has_work(e)) {
        propose_entry(e);
        proposed = true;
    }
    if (e->is_leader) {
        notify(e, proposed);
    }
}

void proposer_applying(struct engine *e, uint64_t index)
{
    struct proposer *p = &e->proposer;
    uint64_t commit = raft_commit_index(&e->driver.raft);
    if (e->is_leader && commit >= index + CATCH_UP_ENTRIES && p->notified_index < commit) {
        p->notified_index = commit;
        p->notify = true;
        p->notify_index = commit;
        p->notify_term = raft_current_term(
            &e->driver.raft); /* a leader commits through an entry of its own term */
        notify(e, false);
    }
}

void proposer_applied(struct engine *e, uint64_t index, uint64_t term)
{
    struct proposer *p = &e->proposer;
    if (!e->is_leader) {
        return;
    }
    uint32_t gone = 0;
    while (gone < p->inflight_count && p->inflight[gone].index <= index) {
        metric_observe_us(HISTOGRAM_commit_seconds,
                          (clock_monotonic_ns() - p->inflight[gone].proposed_ns) / 1000);
        gone++;
    }
    p->inflight_count -= gone;
    memmove(&p->inflight[0], &p->inflight[gone], p->inflight_count * sizeof p->inflight[0]);
    if (term == raft_current_term(&e->driver.raft)) {
        p->noop_committed = true;
    }
    p->notify = true;
    p->notify_index = index;
    p->notify_term = term;
}

uint64_t proposer_oldest_ms(const struct engine *e)
{
    uint64_t now_ms = engine_now_ms(e);
    return e->proposer.inflight_count > 0 ? now_ms - e->proposer.inflight[0].proposed_ms : 0;
}
