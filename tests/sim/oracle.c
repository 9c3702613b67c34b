#include "tests/sim/oracle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consensus/entry.h"
#include "server/base/mem.h"
#include "server/node/internal.h"
#include "server/registry/internal.h"
#include "server/wire/wire_command.h"
#include "tests/sim/checks.h"
#include "tests/sim/consensus_sim.h"
#include "tests/sim/member.h"
#include "tests/sim/workload.h"
#include "tests/sim/world.h"

#define STAMPS_KEPT 8192
#define STAMP_AGES  4096 /* how far back it looks */

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
    uint64_t index; /* of its entry, if it becomes one */
    struct oracle_proposal proposal;
};

static struct {
    struct entry *entries; /* by index */
    size_t entries_capacity;
    uint64_t applied, acknowledged;
    struct oracle_event *events; /* by sequence - 1 */
    size_t events_count, events_capacity;
    struct operation *operations; /* open addressing */
    size_t operations_count, operations_capacity;
    uint64_t last_submitted;
    struct stamp_seen stamps[STAMPS_KEPT];
    uint64_t stamps_count;
    /* the entry being applied */
    uint64_t index, content;
    struct oracle_proposal proposal;
    uint64_t applying[ENTRY_OPS_MAX];
    size_t applying_count;
} oracle;

/* --- operations --- */

static struct operation *find_operation(uint64_t hash)
{
    size_t at = hash & (oracle.operations_capacity - 1);
    while (oracle.operations[at].hash != 0 && oracle.operations[at].hash != hash) {
        at = (at + 1) & (oracle.operations_capacity - 1);
    }
    return &oracle.operations[at];
}

static void grow_operations(void)
{
    struct operation *old = oracle.operations;
    size_t count = oracle.operations_capacity;
    oracle.operations_capacity = count > 0 ? count * 2 : 4096;
    oracle.operations = mem_zalloc(oracle.operations_capacity, sizeof *old);
    for (size_t i = 0; i < count; i++) {
        if (old[i].hash != 0) {
            *find_operation(old[i].hash) = old[i];
        }
    }
    free(old);
}

void oracle_submitted(const uint8_t *data, size_t len)
{
    if (oracle.operations_count * 2 >= oracle.operations_capacity) {
        grow_operations();
    }
    uint64_t hash = world_hash_bytes(data, len) | 1;
    struct operation *o = find_operation(hash);
    oracle.operations_count += o->hash == 0;
    o->hash = hash;
    o->submitted++;
    oracle.last_submitted = hash;
}

uint64_t oracle_last_submitted(void)
{
    return oracle.last_submitted;
}

/* At most once; and never if refused. */
static void check_applied_count(const struct operation *o)
{
    if (o->applied > o->submitted - o->refused) {
        world_violation(o->refused > 0 ? "refused_has_no_effect" : "applied_at_most_once",
                        "an operation was submitted %u times, refused %u, applied %u, last in "
                        "entry %" PRIu64,
                        o->submitted, o->refused, o->applied, o->index);
    }
}

void oracle_outcome(uint64_t operation, enum status status, uint64_t index)
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
        oracle.acknowledged = index > oracle.acknowledged ? index : oracle.acknowledged;
        checks_acknowledged(index);
    } else if (status != ST_UNKNOWN) {
        o->refused++;
        check_applied_count(o);
    }
}

static void count_applied(uint64_t hash, uint64_t index)
{
    if (oracle.operations_count == 0) {
        return; /* the very first entry may be the leader's own */
    }
    struct operation *o = find_operation(hash);
    if (o->hash == 0) {
        return; /* the leader's own: judged by model.c */
    }
    o->applied++;
    o->index = index;
    check_applied_count(o);
}

/* --- stamps: when an entry was proposed --- */

void oracle_stamped(const uint8_t *stamp, size_t len)
{
    struct stamp_seen *s = &oracle.stamps[oracle.stamps_count++ % STAMPS_KEPT];
    memcpy(s->bytes, stamp, len);
    s->len = len;
    s->index = log_last_index(&member_current->consensus->engine.driver.log) + 1;
    s->proposal = (struct oracle_proposal){
        .at_ns = world_now_ns(),
        .asked_ns = member_current->asked_ns,
        .leads_ns = world_now_ns() - member_current->leads_since_ns,
        .by = member_current->id,
    };
}

/* Two leaders may use the same stamp while nothing can be committed: at different indexes, or there
 * is nothing to tell them apart. */
static struct oracle_proposal when_stamped(uint64_t index, const uint8_t *stamp, size_t len)
{
    for (uint64_t i = 1; i <= STAMP_AGES && i <= oracle.stamps_count; i++) {
        const struct stamp_seen *s = &oracle.stamps[(oracle.stamps_count - i) % STAMPS_KEPT];
        if (s->index == index && s->len == len && memcmp(s->bytes, stamp, len) == 0) {
            return s->proposal;
        }
    }
    return (struct oracle_proposal){.at_ns = world_now_ns(), .leads_ns = UINT64_MAX};
}

/* --- entries --- */

static struct entry *entry_at(uint64_t index)
{
    if (index >= oracle.entries_capacity) {
        size_t capacity = oracle.entries_capacity > 0 ? oracle.entries_capacity : 4096;
        while (index >= capacity) {
            capacity *= 2;
        }
        oracle.entries = mem_realloc(oracle.entries, capacity * sizeof *oracle.entries);
        memset(oracle.entries + oracle.entries_capacity, 0,
               (capacity - oracle.entries_capacity) * sizeof *oracle.entries);
        oracle.entries_capacity = capacity;
    }
    return &oracle.entries[index];
}

void oracle_begin(struct sim_member *m, uint64_t index, const uint8_t *stamp, size_t len)
{
    (void)m;
    oracle.index = index;
    oracle.content = world_hash_bytes(stamp, len);
    oracle.applying_count = 0;
    if (!entry_at(index)->known) {
        oracle.proposal = when_stamped(index, stamp, len);
    }
}

void oracle_apply(uint32_t position, const uint8_t *data, size_t len)
{
    uint64_t hash = world_hash_bytes(data, len);
    oracle.content = (oracle.content ^ hash ^ position) * 0x100000001b3u;
    oracle.applying[oracle.applying_count++] = hash | 1;
}

void oracle_check_state(const struct sim_member *m, uint64_t index, uint64_t hash, const char *when)
{
    const struct entry *e = entry_at(index);
    figures.checks++;
    if (index > 0 && (!e->known || e->state != hash)) {
        world_violation("state_equal_at_equal_index",
                        "member %" PRIu64 " at %" PRIu64 " %s: %016" PRIx64 ", others %016" PRIx64,
                        m->id, index, when, hash, e->state);
    }
}

uint64_t oracle_event_hash(const struct event *event)
{
    uint64_t hash = event->sequence ^ event->index << 20 ^ (uint64_t)event->position << 8;
    hash = (hash ^ (uint64_t)event->type) * 0x100000001b3u ^ (uint64_t)event->wall_ms;
    return hash * 0x100000001b3u ^ record_hash(event->record);
}

static void add_event(const struct event *event)
{
    if (oracle.events_count == oracle.events_capacity) {
        oracle.events_capacity = oracle.events_capacity > 0 ? oracle.events_capacity * 2 : 1024;
        oracle.events = mem_realloc(oracle.events, oracle.events_capacity * sizeof *oracle.events);
    }
    struct oracle_event *e = &oracle.events[oracle.events_count++];
    *e = (struct oracle_event){
        .sequence = event->sequence,
        .index = event->index,
        .position = event->position,
        .type = event->type,
        .instance = workload_number_of(event->record),
        .incarnation = event->record->incarnation,
        .hash = oracle_event_hash(event),
    };
    (void)snprintf(e->service, sizeof e->service, "%s", record_name(event->record));
    model_event(e, &oracle.proposal);
}

/* The events of the entry just applied: new ones define the oracle, others are compared with it. */
static void look_at_events(struct sim_member *m, const struct view *view)
{
    for (uint64_t s = m->events_seen + 1; s <= view->events_last; s++) {
        const struct event *event = view_event(view, s);
        if (event == NULL && s < view->events_first) {
            /* An entry after a long time without a leader. Nobody can have seen its first events,
             * and nothing can be compared with them from here on. */
            world_trace("more events in an entry than are kept: the run ends");
            world_verdict("clean");
            _exit(0);
        }
        if (event == NULL || event->index != oracle.index) {
            world_violation("events_equal", "member %" PRIu64 " has no event %" PRIu64, m->id, s);
        }
        if (s == oracle.events_count + 1) {
            add_event(event);
        } else if (s > oracle.events_count ||
                   oracle.events[s - 1].hash != oracle_event_hash(event)) {
            world_violation("events_equal", "event %" PRIu64 " of member %" PRIu64 " differs", s,
                            m->id);
        }
    }
    m->events_seen = view->events_last;
    const struct namespace_use *use = view_namespace(view, NAMESPACE);
    if (use != NULL && use->quota.instances > 0) {
        model_has_quota(oracle.index);
    }
}

void oracle_end(struct sim_member *m)
{
    const struct registry *registry = m->node->registry;
    uint64_t state = registry_hash(registry);
    struct entry *e = entry_at(oracle.index);
    bool first = !e->known;
    figures.checks++;
    if (first) {
        if (oracle.index < oracle.applied) {
            world_violation("commits_in_order", "entry %" PRIu64 " appears behind %" PRIu64,
                            oracle.index, oracle.applied);
        }
        figures.entries++;
        *e = (struct entry){.known = true, .content = oracle.content, .state = state};
        oracle.applied = oracle.index;
        for (size_t i = 0; i < oracle.applying_count; i++) {
            count_applied(oracle.applying[i], oracle.index);
        }
        world_hash(state);
    } else if (e->content != oracle.content) {
        world_violation("committed_stays", "member %" PRIu64 " applies another entry %" PRIu64,
                        m->id, oracle.index);
    }
    look_at_events(m, &registry->work);
    oracle_check_state(m, oracle.index, state, "after an entry");
}

void oracle_published(const struct sim_member *m)
{
    const struct view *view = registry_view(m->node->registry);
    if (view->hash != registry_hash(m->node->registry)) {
        world_violation("state_equal_at_equal_index", "member %" PRIu64 " publishes another state",
                        m->id);
    }
}

void oracle_restored(struct sim_member *m)
{
    if (m->node == NULL) {
        return; /* checks_started() checks it */
    }
    const struct view *view = registry_view(m->node->registry);
    oracle_check_state(m, view->index, view->hash, "after a snapshot");
    m->events_seen = view->events_last;
}

uint64_t oracle_applied(void)
{
    return oracle.applied;
}

uint64_t oracle_acknowledged(void)
{
    return oracle.acknowledged;
}

/* --- events --- */

const struct oracle_event *oracle_event(uint64_t sequence)
{
    return sequence >= 1 && sequence <= oracle.events_count ? &oracle.events[sequence - 1] : NULL;
}

uint64_t oracle_events_last(void)
{
    return oracle.events_count;
}

bool oracle_has_event(uint64_t index, unsigned instance, enum event_type type)
{
    for (size_t i = oracle.events_count; i > 0 && oracle.events[i - 1].index >= index; i--) {
        const struct oracle_event *e = &oracle.events[i - 1];
        if (e->index == index && e->instance == instance && e->type == type) {
            return true;
        }
    }
    return false;
}
