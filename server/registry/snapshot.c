#include "server/registry/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/registry/internal.h"

#define WORD_BITS 64u

/* The old values of the leases in a block that have changed since the snapshot was taken. Only the
 * loop writes, and each place once: first the values, then the bit. */
struct saved_leases {
    _Atomic uint64_t saved[LEASES_BLOCK / WORD_BITS];
    struct {
        uint64_t renewed_ms;
        uint64_t deadline_ms;
    } leases[LEASES_BLOCK];
};

struct registry_snapshot {
    struct registry *registry;
    struct registry_snapshot *next; /* an older one */
    struct view view;
    uint64_t events_count;
    const struct event **events;
    uint32_t slots;                         /* number of leases when it was taken */
    _Atomic(struct saved_leases *) saved[]; /* one per block; NULL: no lease has changed */
};

struct registry_snapshot *registry_snapshot_take(struct registry *r)
{
    CHECK(!r->in_entry && r->restore == NULL && r->view->index == r->work.index);
    uint32_t blocks = r->leases.slots / LEASES_BLOCK;
    struct registry_snapshot *s = mem_zalloc(1, sizeof *s + blocks * sizeof s->saved[0]);
    s->registry = r;
    s->view = *r->view;
    s->slots = r->leases.slots;
    s->events_count = s->view.events_last + 1 - s->view.events_first;
    s->events = mem_alloc(s->events_count * sizeof *s->events);
    for (uint64_t i = 0; i < s->events_count; i++) {
        s->events[i] = view_event(&s->view, s->view.events_first + i);
    }
    s->next = r->snapshots;
    r->snapshots = s;
    r->snapshots_epoch = r->records_kind.epoch;
    r->snapshots_index = s->view.index;
    CHECK(r->services_kind.epoch == r->snapshots_epoch);
    return s;
}

void registry_snapshot_release(struct registry_snapshot *s)
{
    struct registry_snapshot **link = &s->registry->snapshots;
    while (*link != s) {
        CHECK(*link != NULL);
        link = &(*link)->next;
    }
    *link = s->next; /* the next entry frees the memory that was kept for it */
    for (uint32_t i = 0; i < s->slots / LEASES_BLOCK; i++) {
        free(atomic_load_explicit(&s->saved[i], memory_order_relaxed));
    }
    free(s->events);
    free(s);
}

bool registry_is_held(const struct registry *r)
{
    return r->snapshots != NULL;
}

/* --- leases, which keep changing --- */

static void save(struct registry_snapshot *s, uint32_t slot)
{
    uint32_t place = slot % LEASES_BLOCK;
    uint64_t bit = (uint64_t)1 << (place % WORD_BITS);
    struct saved_leases *block =
        atomic_load_explicit(&s->saved[slot / LEASES_BLOCK], memory_order_relaxed);
    if (block == NULL) {
        block = mem_zalloc(1, sizeof *block);
        atomic_store_explicit(&s->saved[slot / LEASES_BLOCK], block, memory_order_release);
    }
    _Atomic uint64_t *word = &block->saved[place / WORD_BITS];
    uint64_t bits = atomic_load_explicit(word, memory_order_relaxed);
    if ((bits & bit) != 0) {
        return;
    }
    const struct lease *lease = leases_at(&s->registry->leases, slot);
    block->leases[place].renewed_ms =
        atomic_load_explicit(&lease->renewed_ms, memory_order_relaxed);
    block->leases[place].deadline_ms =
        atomic_load_explicit(&lease->deadline_ms, memory_order_relaxed);
    atomic_store_explicit(word, bits | bit, memory_order_release);
}

void snapshot_save_lease(struct registry *r, uint32_t slot)
{
    for (struct registry_snapshot *s = r->snapshots; s != NULL; s = s->next) {
        if (slot < s->slots) {
            save(s, slot);
        }
    }
}

/* Reads a lease as of the snapshot. The current values come first: if one of them is newer than the
 * snapshot, then the saved values are visible too. */
static void read_lease(const struct registry_snapshot *s, struct snapshot_instance *instance)
{
    uint32_t slot = instance->record->slot;
    uint32_t place = slot % LEASES_BLOCK;
    const struct lease *lease = leases_at(&s->registry->leases, slot);
    instance->renewed_ms = atomic_load_explicit(&lease->renewed_ms, memory_order_acquire);
    instance->deadline_ms = atomic_load_explicit(&lease->deadline_ms, memory_order_acquire);
    const struct saved_leases *block =
        atomic_load_explicit(&s->saved[slot / LEASES_BLOCK], memory_order_acquire);
    if (block == NULL) {
        return;
    }
    uint64_t bits = atomic_load_explicit(&block->saved[place / WORD_BITS], memory_order_acquire);
    if ((bits >> (place % WORD_BITS) & 1) != 0) {
        instance->renewed_ms = block->leases[place].renewed_ms;
        instance->deadline_ms = block->leases[place].deadline_ms;
    }
}

/* --- reading --- */

void registry_snapshot_head(const struct registry_snapshot *s, struct snapshot_head *ret_head)
{
    *ret_head = (struct snapshot_head){
        .level = s->view.level,
        .limits = s->view.limits,
        .index = s->view.index,
        .now_ms = s->view.now_ms,
        .wall_ms = s->view.wall_ms,
        .changed_index = s->view.changed_index,
        .services_index = s->view.services_index,
        .extinct_index = s->view.extinct_index,
        .events_last = s->view.events_last,
        .events_kept = s->view.events_kept,
        .state_bytes_max = s->view.state_bytes_max,
        .state_bytes = s->view.state_bytes,
        .instances = ptree_count(&s->view.instances),
        .services = s->view.services_count,
        .events = s->events_count,
        .tokens = ptree_count(&s->view.tokens),
        .tokens_begun = s->view.tokens_begun,
        .quotas = s->view.quotas_count,
        .sinks = s->view.sinks,
        .checks = ptree_count(&s->view.checks),
        .catalog_index = s->view.catalog_index,
        .active_index = s->view.active_index,
        .probers = s->view.probers,
    };
}

static void walk_records(const struct registry_snapshot *s, const struct ptree *records,
                         void (*visit)(void *ctx, const struct snapshot_instance *instance),
                         void *ctx)
{
    struct ptree_iterator it;
    ptree_iterate(&it, records, 0);
    for (const struct record *record; (record = ptree_next(&it)) != NULL;) {
        struct snapshot_instance instance = {.record = record};
        read_lease(s, &instance);
        visit(ctx, &instance);
    }
}

void registry_snapshot_walk(const struct registry_snapshot *s,
                            const struct snapshot_visitor *visitor)
{
    struct ptree_iterator it;
    walk_records(s, &s->view.instances, visitor->instance, visitor->ctx);
    ptree_iterate(&it, &s->view.services, 0);
    for (const struct service_view *service; (service = ptree_next(&it)) != NULL;) {
        visitor->service(visitor->ctx, service->name, service->index);
    }
    for (uint64_t i = 0; i < s->events_count; i++) {
        visitor->event(visitor->ctx, s->events[i]);
    }
    ptree_iterate(&it, &s->view.tokens, 0);
    for (const struct token *token; (token = ptree_next(&it)) != NULL;) {
        visitor->token(visitor->ctx, token);
    }
    ptree_iterate(&it, &s->view.namespaces, 0);
    for (const struct namespace_use *use; (use = ptree_next(&it)) != NULL;) {
        if (use->has_quota) {
            visitor->quota(visitor->ctx, use);
        }
    }
    walk_records(s, &s->view.checks, visitor->check, visitor->ctx);
}
