/* The leader's part: what the members send becomes log entries, all that is there in one entry, a
 * few entries in flight. */
#include <stdlib.h>
#include <string.h>

#include "consensus/engine.h"
#include "consensus/entry.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

/* So many entries to apply at once are worth telling the others before, not after. */
#define CATCH_UP_ENTRIES 64
/* Room in an entry for its header, stamp and the leader's own operation. */
#define ENTRY_OVERHEAD_BYTES 1024

static_assert(BUNDLE_BYTES_MAX + ENTRY_OVERHEAD_BYTES < ENTRY_BYTES_MAX,
              "an entry holds any bundle and the leader's own");

void leader_init(struct leader *l)
{
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        buffer_init(&l->inboxes[i].bytes, BUNDLE_BYTES_MAX);
    }
}

void leader_done(struct leader *l)
{
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        buffer_done(&l->inboxes[i].bytes);
    }
}

static void forget(struct leader *l)
{
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        struct inbox *inbox = &l->inboxes[i];
        inbox->filled = false;
        inbox->boot = inbox->sequence = 0;
        l->sent_index[i] = 0;
    }
    l->start_entry_needed = l->started = l->propose_asked = false;
    l->in_flight = 0;
    l->notify = false;
}

void leader_begin(struct engine *e)
{
    forget(&e->leader);
    e->leader.start_entry_needed = true;
}

void leader_end(struct engine *e)
{
    forget(&e->leader); /* the members send again what was not applied */
}

enum status leader_offer(struct engine *e, uint64_t origin, const uint8_t *data, size_t len)
{
    struct bundle_header header;
    size_t place = engine_place(e, origin);
    if (place == MEMBERS_MAX || bundle_check(data, len, &header) != ST_OK ||
        header.origin != origin) {
        return ST_CORRUPT;
    }
    if (!e->is_leader) {
        return ST_NO_LEADER;
    }
    struct inbox *inbox = &e->leader.inboxes[place];
    if (inbox->boot == header.boot && inbox->sequence == header.sequence) {
        return ST_OK; /* held, or on its way through the log of this term */
    }
    if (!engine_has_space(e)) {
        if (engine_has_heir(e)) {
            return ST_NO_LEADER; /* in a moment another leads: the write waits for that */
        }
        metric_add(METRIC_disk_full_total, 1);
        return ST_NO_SPACE;
    }
    inbox->boot = header.boot;
    inbox->sequence = header.sequence;
    inbox->count = header.count;
    inbox->filled = true;
    buffer_clear(&inbox->bytes);
    buffer_append(&inbox->bytes, data, len);
    return ST_OK;
}

/* --- proposing --- */

/* Behind all that was received before it was asked for: our own operations have left the outbox,
 * those of the others are in the inboxes, which go into the entry first. A bundle of ours that was
 * not taken for lack of space is still in the outbox. Not while stopping: what was refused since
 * would have been before it. */
static bool may_propose_own(const struct engine *e)
{
    bool held_back = e->outbox.active && e->outbox.sent_to != e->options.id;
    return e->leader.propose_asked && e->outbox.bundled >= e->leader.propose_after && !held_back &&
           !e->stopping;
}

static bool may_propose(struct engine *e)
{
    return e->is_leader && raft_state(&e->raft) == RAFT_LEADER && raft_transferee(&e->raft) == 0 &&
           e->leader.in_flight < ENTRIES_IN_FLIGHT_MAX;
}

static bool has_work(const struct engine *e)
{
    for (size_t i = 0; i < e->members; i++) {
        if (e->leader.inboxes[i].filled) {
            return true;
        }
    }
    return e->leader.start_entry_needed || may_propose_own(e);
}

/* Returns whether the inboxes are empty now. */
static bool add_bundles(struct engine *e, struct buffer *out, uint16_t *bundles, uint32_t *ops)
{
    bool all = true;
    for (size_t i = 0; i < e->members; i++) {
        struct inbox *inbox = &e->leader.inboxes[i];
        if (!inbox->filled) {
            continue;
        }
        if (out->len + inbox->bytes.len + ENTRY_OVERHEAD_BYTES > ENTRY_BYTES_MAX ||
            *ops + inbox->count >= ENTRY_OPS_MAX) {
            all = false;
            continue;
        }
        entry_append_bundle(out, inbox->bytes.data, inbox->bytes.len);
        inbox->filled = false;
        (*bundles)++;
        *ops += inbox->count;
    }
    return all;
}

static void add_own(struct engine *e, struct buffer *out, uint16_t *bundles)
{
    struct buffer op;
    struct buffer bundle;
    struct bundle_header header = {.origin = 0};
    e->leader.propose_asked = false;
    buffer_init(&op, ENTRY_OVERHEAD_BYTES / 2);
    buffer_init(&bundle, ENTRY_OVERHEAD_BYTES);
    if (e->app.propose(e->app.ctx, &op)) {
        CHECK(!op.overflowed);
        bundle_begin(&bundle, &header);
        bundle_append(&bundle, op.data, op.len);
        bundle_set_count(&bundle, 1);
        entry_append_bundle(out, bundle.data, bundle.len);
        (*bundles)++;
    }
    buffer_done(&bundle);
    buffer_done(&op);
}

static void build_entry(struct engine *e, struct buffer *out)
{
    uint8_t stamp[ENTRY_STAMP_MAX];
    uint16_t bundles = 0;
    uint32_t ops = 0;
    struct entry_header header = {
        .index = raft_last_index(&e->raft) + 1,
        .term = raft_current_term(&e->raft),
        .cluster_id = e->options.cluster_id,
        .proposer = e->options.id,
        .stamp_len = (uint16_t)e->app.stamp(e->app.ctx, stamp),
    };
    entry_begin(out, &header, stamp);
    bool all = add_bundles(e, out, &bundles, &ops);
    if (all && may_propose_own(e)) {
        add_own(e, out, &bundles);
    }
    entry_seal(out, bundles);
    CHECK(!out->overflowed);
    metric_observe(HISTOGRAM_entry_operations, ops);
}

static void free_request(struct raft_apply *req, int status, void *result)
{
    (void)status; /* what became of the entry is seen when it is applied */
    (void)result;
    free(req);
}

static void propose_entry(struct engine *e)
{
    struct leader *l = &e->leader;
    struct buffer entry;
    struct raft_apply *req = mem_zalloc(1, sizeof *req);
    uint64_t index = raft_last_index(&e->raft) + 1;
    buffer_init(&entry, ENTRY_BYTES_MAX + ENTRY_OVERHEAD_BYTES);
    build_entry(e, &entry);
    struct raft_buffer buf;
    buf.base = buffer_take(&entry, &buf.len);
    if (raft_apply(&e->raft, req, &buf, 1, free_request) != 0) {
        /* may_propose() saw to it that it can't. */
        e->env.fatal(e->env.ctx, "libraft refused an entry");
        free(buf.base);
        free(req);
        return;
    }
    l->start_entry_needed = false;
    l->flight[l->in_flight].index = index;
    l->flight[l->in_flight].proposed_ns = clock_monotonic_ns();
    l->flight[l->in_flight].proposed_ms = engine_now_ms(e);
    l->in_flight++;
}

/* The members wait to hear of a commit: for the answers that they owe, and so that their readers
 * see it. libraft tells them only with the next entry or heartbeat. */
static void notify(struct engine *e, bool proposed)
{
    struct leader *l = &e->leader;
    if (!l->notify) {
        return;
    }
    for (size_t i = 0; i < e->members; i++) {
        bool told = proposed && l->sent_index[i] > l->notify_index;
        if (!told && l->sent_index[i] >= l->notify_index &&
            e->directory[i].info.id != e->options.id) {
            guard_notify_commit(&e->guard, e->directory[i].info.id, l->notify_index,
                                l->notify_term);
        }
    }
    l->notify = false;
}

void leader_pump(struct engine *e)
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

void leader_applying(struct engine *e, uint64_t index)
{
    struct leader *l = &e->leader;
    uint64_t commit = raft_commit_index(&e->raft);
    /* What was observed may be out of date: we are inside of libraft. */
    bool leads = e->is_leader && raft_state(&e->raft) == RAFT_LEADER;
    if (leads && commit >= index + CATCH_UP_ENTRIES && l->told_index < commit) {
        l->told_index = commit;
        l->notify = true;
        l->notify_index = commit;
        l->notify_term = raft_current_term(&e->raft); /* a leader commits by an entry of its own */
        notify(e, false);
    }
}

void leader_applied(struct engine *e, uint64_t index, uint64_t term)
{
    struct leader *l = &e->leader;
    if (!e->is_leader) {
        return;
    }
    uint32_t gone = 0;
    while (gone < l->in_flight && l->flight[gone].index <= index) {
        metric_observe_us(HISTOGRAM_commit_seconds,
                          (clock_monotonic_ns() - l->flight[gone].proposed_ns) / 1000);
        gone++;
    }
    l->in_flight -= gone;
    memmove(&l->flight[0], &l->flight[gone], l->in_flight * sizeof l->flight[0]);
    if (term == raft_current_term(&e->raft)) {
        l->started = true;
    }
    l->notify = true;
    l->notify_index = index;
    l->notify_term = term;
}

uint64_t leader_oldest_ms(const struct engine *e)
{
    uint64_t now_ms = engine_now_ms(e);
    return e->leader.in_flight > 0 ? now_ms - e->leader.flight[0].proposed_ms : 0;
}
