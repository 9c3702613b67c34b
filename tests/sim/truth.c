#include "tests/sim/truth.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consensus/entry.h"
#include "server/base/mem.h"
#include "server/registry/internal.h"
#include "server/wire/wire_command.h"
#include "tests/sim/member.h"
#include "tests/sim/world.h"

#define STAMPS_KEPT 8192
#define STAMP_AGES  4096 /* looked back at */

struct entry {
    bool known;
    uint64_t content, state;
    uint64_t events_last;
};

struct operation {
    uint64_t hash; /* 0: free */
    uint32_t submitted, refused, acknowledged, applied;
    uint64_t index; /* last applied in */
};

struct stamp_seen {
    uint8_t bytes[ENTRY_STAMP_MAX];
    size_t len;
    struct truth_proposal proposal;
};

static struct {
    struct entry *entries; /* by index */
    size_t entries_capacity;
    uint64_t applied, acknowledged;
    struct truth_event *events; /* by sequence - 1 */
    size_t events_count, events_capacity;
    struct operation *operations; /* open addressing */
    size_t operations_count, operations_capacity;
    uint64_t last_submitted;
    struct stamp_seen stamps[STAMPS_KEPT];
    uint64_t stamps_count;
    /* the entry being applied */
    uint64_t index, content;
    struct truth_proposal proposal;
    uint64_t applying[ENTRY_OPS_MAX];
    size_t applying_count;
} truth;

/* --- operations --- */

static struct operation *find_operation(uint64_t hash)
{
    size_t at = hash & (truth.operations_capacity - 1);
    while (truth.operations[at].hash != 0 && truth.operations[at].hash != hash) {
        at = (at + 1) & (truth.operations_capacity - 1);
    }
    return &truth.operations[at];
}

static void grow_operations(void)
{
    struct operation *old = truth.operations;
    size_t count = truth.operations_capacity;
    truth.operations_capacity = count > 0 ? count * 2 : 4096;
    truth.operations = mem_zalloc(truth.operations_capacity, sizeof *old);
    for (size_t i = 0; i < count; i++) {
        if (old[i].hash != 0) {
            *find_operation(old[i].hash) = old[i];
        }
    }
    free(old);
}

void truth_submitted(const uint8_t *data, size_t len)
{
    if (truth.operations_count * 2 >= truth.operations_capacity) {
        grow_operations();
    }
    uint64_t hash = world_hash_bytes(data, len) | 1;
    struct operation *o = find_operation(hash);
    truth.operations_count += o->hash == 0;
    o->hash = hash;
    o->submitted++;
    truth.last_submitted = hash;
}

uint64_t truth_last_submitted(void)
{
    return truth.last_submitted;
}

/* At most once; and what was refused, never. */
static void check_applied_count(const struct operation *o)
{
    if (o->applied > o->submitted - o->refused) {
        world_violation(o->refused > 0 ? "refused_has_no_effect" : "applied_at_most_once",
                        "an operation was submitted %u times, refused %u, applied %u, last in "
                        "entry %" PRIu64,
                        o->submitted, o->refused, o->applied, o->index);
    }
}

void truth_outcome(uint64_t operation, enum status status, uint64_t index)
{
    struct operation *o = find_operation(operation);
    figures.checks++;
    if (status == ST_OK) {
        o->acknowledged++;
        if (o->applied < o->acknowledged || (o->submitted == 1 && o->index != index)) {
            world_violation("acknowledged_is_committed",
                            "acknowledged %u times (in entry %" PRIu64 "), applied %u",
                            o->acknowledged, index, o->applied);
        }
        truth.acknowledged = index > truth.acknowledged ? index : truth.acknowledged;
    } else if (status != ST_UNKNOWN) {
        o->refused++;
        check_applied_count(o);
    }
}

static void count_applied(uint64_t hash, uint64_t index)
{
    if (truth.operations_count == 0) {
        return; /* the first entry of all may be the leader's own */
    }
    struct operation *o = find_operation(hash);
    if (o->hash == 0) {
        return; /* the leader's own: model.c judges what it does */
    }
    o->applied++;
    o->index = index;
    check_applied_count(o);
}

/* --- stamps: when an entry was proposed --- */

void truth_stamped(const uint8_t *stamp, size_t len)
{
    struct stamp_seen *s = &truth.stamps[truth.stamps_count++ % STAMPS_KEPT];
    memcpy(s->bytes, stamp, len);
    s->len = len;
    s->proposal = (struct truth_proposal){
        .at_ns = world_now_ns(),
        .asked_ns = member_current->asked_ns,
        .leads_ns = world_now_ns() - member_current->leads_since_ns,
        .by = member_current->id,
    };
}

static struct truth_proposal when_stamped(const uint8_t *stamp, size_t len)
{
    for (uint64_t i = 1; i <= STAMP_AGES && i <= truth.stamps_count; i++) {
        const struct stamp_seen *s = &truth.stamps[(truth.stamps_count - i) % STAMPS_KEPT];
        if (s->len == len && memcmp(s->bytes, stamp, len) == 0) {
            return s->proposal;
        }
    }
    return (struct truth_proposal){.at_ns = world_now_ns(), .leads_ns = UINT64_MAX};
}

/* --- entries --- */

static struct entry *entry_at(uint64_t index)
{
    if (index >= truth.entries_capacity) {
        size_t capacity = truth.entries_capacity > 0 ? truth.entries_capacity : 4096;
        while (index >= capacity) {
            capacity *= 2;
        }
        truth.entries = mem_realloc(truth.entries, capacity * sizeof *truth.entries);
        memset(truth.entries + truth.entries_capacity, 0,
               (capacity - truth.entries_capacity) * sizeof *truth.entries);
        truth.entries_capacity = capacity;
    }
    return &truth.entries[index];
}

void truth_begin(struct member *m, uint64_t index, const uint8_t *stamp, size_t len)
{
    (void)m;
    truth.index = index;
    truth.content = world_hash_bytes(stamp, len);
    truth.applying_count = 0;
    if (!entry_at(index)->known) {
        truth.proposal = when_stamped(stamp, len);
    }
}

void truth_apply(uint32_t position, const uint8_t *data, size_t len)
{
    uint64_t hash = world_hash_bytes(data, len);
    truth.content = (truth.content ^ hash ^ position) * 0x100000001b3u;
    truth.applying[truth.applying_count++] = hash | 1;
}

void truth_check_state(const struct member *m, uint64_t index, uint64_t hash, const char *when)
{
    const struct entry *e = entry_at(index);
    figures.checks++;
    if (index > 0 && (!e->known || e->state != hash)) {
        world_violation("state_equal_at_equal_index",
                        "member %" PRIu64 " at %" PRIu64 " %s: %016" PRIx64 ", others %016" PRIx64,
                        m->id, index, when, hash, e->state);
    }
}

uint64_t truth_event_hash(const struct event *event)
{
    uint64_t hash = event->sequence ^ event->index << 20 ^ (uint64_t)event->position << 8;
    hash = (hash ^ (uint64_t)event->type) * 0x100000001b3u ^ (uint64_t)event->wall_ms;
    return hash * 0x100000001b3u ^ record_hash(event->record);
}

static void add_event(const struct event *event)
{
    if (truth.events_count == truth.events_capacity) {
        truth.events_capacity = truth.events_capacity > 0 ? truth.events_capacity * 2 : 1024;
        truth.events = mem_realloc(truth.events, truth.events_capacity * sizeof *truth.events);
    }
    struct truth_event *e = &truth.events[truth.events_count++];
    *e = (struct truth_event){
        .sequence = event->sequence,
        .index = event->index,
        .position = event->position,
        .type = event->type,
        .instance = (unsigned)strtoul(record_id(event->record) + 1, NULL, 10),
        .incarnation = event->record->incarnation,
        .hash = truth_event_hash(event),
    };
    (void)snprintf(e->service, sizeof e->service, "%s", record_name(event->record));
    model_event(e, &truth.proposal);
}

/* The events of the entry just applied: new ones are the truth, others are compared with it. */
static void look_at_events(struct member *m, const struct view *view)
{
    for (uint64_t s = m->events_seen + 1; s <= view->events_last; s++) {
        const struct event *event = view_event(view, s);
        if (event == NULL && s < view->events_first) {
            /* An entry after a long time without a leader. Nobody can have seen the first of its
             * events, and nothing can be compared with them from here on. */
            world_trace("more events in an entry than are kept: the run ends");
            world_verdict("clean");
            _exit(0);
        }
        if (event == NULL || event->index != truth.index) {
            world_violation("events_equal", "member %" PRIu64 " has no event %" PRIu64, m->id, s);
        }
        if (s == truth.events_count + 1) {
            add_event(event);
        } else if (s > truth.events_count || truth.events[s - 1].hash != truth_event_hash(event)) {
            world_violation("events_equal", "event %" PRIu64 " of member %" PRIu64 " differs", s,
                            m->id);
        }
    }
    m->events_seen = view->events_last;
}

void truth_end(struct member *m)
{
    const struct registry *registry = node_registry(m->node);
    uint64_t state = registry_hash(registry);
    struct entry *e = entry_at(truth.index);
    bool first = !e->known;
    figures.checks++;
    if (first) {
        if (truth.index < truth.applied) {
            world_violation("commits_in_order", "entry %" PRIu64 " appears behind %" PRIu64,
                            truth.index, truth.applied);
        }
        figures.entries++;
        *e = (struct entry){.known = true, .content = truth.content, .state = state};
        truth.applied = truth.index;
        for (size_t i = 0; i < truth.applying_count; i++) {
            count_applied(truth.applying[i], truth.index);
        }
        world_hash(state);
    } else if (e->content != truth.content) {
        world_violation("committed_stays", "member %" PRIu64 " applies another entry %" PRIu64,
                        m->id, truth.index);
    }
    look_at_events(m, &registry->work);
    truth_check_state(m, truth.index, state, "after an entry");
}

void truth_published(const struct member *m)
{
    const struct view *view = registry_view(node_registry(m->node));
    if (view->hash != registry_hash(node_registry(m->node))) {
        world_violation("state_equal_at_equal_index", "member %" PRIu64 " publishes another state",
                        m->id);
    }
}

void truth_restored(struct member *m)
{
    if (m->node == NULL) {
        return; /* checks_started() looks */
    }
    const struct view *view = registry_view(node_registry(m->node));
    truth_check_state(m, view->index, view->hash, "after a snapshot");
    m->events_seen = view->events_last;
}

uint64_t truth_applied(void)
{
    return truth.applied;
}

uint64_t truth_acknowledged(void)
{
    return truth.acknowledged;
}

/* --- events --- */

const struct truth_event *truth_event(uint64_t sequence)
{
    return sequence >= 1 && sequence <= truth.events_count ? &truth.events[sequence - 1] : NULL;
}

uint64_t truth_events_last(void)
{
    return truth.events_count;
}

bool truth_has_event(uint64_t index, unsigned instance, enum event_type type)
{
    for (size_t i = truth.events_count; i > 0 && truth.events[i - 1].index >= index; i--) {
        const struct truth_event *e = &truth.events[i - 1];
        if (e->index == index && e->instance == instance && e->type == type) {
            return true;
        }
    }
    return false;
}
