#include "server/registry/registry.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/registry/internal.h"
#include "server/registry/mix.h"

#define TABLE_BUCKETS_MIN 1024
#define RETIRED_MASK      3u

static_assert(RETIRED_KINDS <= RETIRED_MASK, "what malloc gives is aligned well enough");

char registry_readers;

static const char *record_key(const void *value)
{
    return record_id(value);
}

static const char *service_key(const void *value)
{
    return ((const struct service_view *)value)->name;
}

static const char *tally_key(const void *value)
{
    return ((const struct tally *)value)->text;
}

static void retire_node(void *ctx, void *memory)
{
    registry_retire(ctx, memory);
}

static struct ptree_kind kind_of(struct registry *r, const char *(*key)(const void *))
{
    return (struct ptree_kind){.key = key, .retire = retire_node, .ctx = r};
}

static struct view *view_copy(const struct registry *r)
{
    struct view *view = mem_alloc(sizeof *view);
    *view = r->work;
    view->hash = registry_hash(r);
    return view;
}

struct registry *registry_create(const struct registry_options *options)
{
    struct registry *r = mem_zalloc(1, sizeof *r);
    r->options = *options;
    r->services_kind = kind_of(r, service_key);
    r->records_kind = kind_of(r, record_key);
    r->tallies_kind = kind_of(r, tally_key);
    /* We let it grow ourselves. By itself it would grow by the longest chain that it meets: to
     * gigabytes, with luck so bad as hundreds of thousands of ids have by nature; or, counting,
     * only when chains are eight long. */
    r->by_id = cds_lfht_new(TABLE_BUCKETS_MIN, TABLE_BUCKETS_MIN, 0, 0, NULL);
    CHECK(r->by_id != NULL);
    r->buckets = TABLE_BUCKETS_MIN;
    leases_init(&r->leases);
    r->work.registry = r;
    r->work.events_first = 1;
    events_keep(r, EVENTS_KEPT_DEFAULT);
    r->view = view_copy(r);
    return r;
}

static void forget_touched(struct registry *r)
{
    for (size_t i = 0; i < r->touched_count; i++) {
        free(r->touched[i]);
    }
    r->touched_count = 0;
}

void registry_destroy(struct registry *r)
{
    if (r == NULL) {
        return;
    }
    struct ptree_iterator it;
    r->holds = 0;
    rcu_read_lock();
    for (uint32_t slot = 0; slot < r->leases.slots; slot++) {
        struct instance *instance = leases_at(&r->leases, slot)->instance;
        if (instance != NULL) {
            (void)cds_lfht_del(r->by_id, &instance->node);
            registry_record_unref(r, instance->record);
            registry_retire(r, instance);
        }
    }
    rcu_read_unlock();
    events_clear(r);
    registry_retire(r, (void *)(uintptr_t)r->work.events);
    ptree_iterate(&it, &r->work.services, 0);
    for (struct service_view *s; (s = ptree_next(&it)) != NULL;) {
        struct ptree_iterator tallies;
        struct tally *tally;
        for (ptree_iterate(&tallies, &s->tags, 0); (tally = ptree_next(&tallies)) != NULL;) {
            registry_retire(r, tally);
        }
        for (ptree_iterate(&tallies, &s->types, 0); (tally = ptree_next(&tallies)) != NULL;) {
            registry_retire(r, tally);
        }
        ptree_clear(&s->instances, &r->records_kind);
        ptree_clear(&s->tags, &r->tallies_kind);
        ptree_clear(&s->types, &r->tallies_kind);
        registry_retire_as(r, s, RETIRED_SERVICE);
    }
    ptree_clear(&r->work.services, &r->services_kind);
    ptree_clear(&r->work.instances, &r->records_kind);
    registry_free_retired(r->retired, r->retired_count);
    CHECK(cds_lfht_destroy(r->by_id, NULL) == 0);
    leases_done(&r->leases);
    forget_touched(r);
    free(r->touched);
    free(r->view);
    free(r);
}

/* --- memory that readers may still see --- */

void registry_free_retired(void **memory, size_t count)
{
    TSAN_ACQUIRE(&registry_readers);
    for (size_t i = 0; i < count; i++) {
        uintptr_t address = (uintptr_t)memory[i];
        void *object = (void *)(address & ~(uintptr_t)RETIRED_MASK);
        switch ((enum retired_kind)(address & RETIRED_MASK)) {
        case RETIRED_SERVICE:
            services_free_view(object);
            break;
        case RETIRED_EVENT:
            events_free(object);
            break;
        case RETIRED_PLAIN:
        case RETIRED_KINDS:
            free(object);
            break;
        }
    }
    free(memory);
}

void registry_retire(struct registry *r, void *memory)
{
    if (r->retired_count == r->retired_capacity) {
        r->retired_capacity = r->retired_capacity > 0 ? r->retired_capacity * 2 : 64;
        r->retired = mem_realloc(r->retired, r->retired_capacity * sizeof *r->retired);
    }
    r->retired[r->retired_count++] = memory;
}

void registry_retire_as(struct registry *r, void *memory, enum retired_kind kind)
{
    registry_retire(r, (void *)((uintptr_t)memory | (uintptr_t)kind));
}

static void give_retired(struct registry *r)
{
    if (r->retired_count == 0 || r->holds > 0) {
        return;
    }
    TSAN_RELEASE(&registry_readers);
    if (r->options.retire != NULL) {
        r->options.retire(r->options.ctx, r->retired, r->retired_count);
    } else {
        registry_free_retired(r->retired, r->retired_count);
    }
    r->retired = NULL;
    r->retired_count = r->retired_capacity = 0;
}

void registry_record_unref(struct registry *r, struct record *record)
{
    CHECK(record->references > 0);
    if (--record->references == 0) {
        registry_retire(r, record);
    }
}

/* --- the tables --- */

struct wanted_id {
    const char *id;
    size_t len;
};

static int matches_id(struct cds_lfht_node *node, const void *key)
{
    const struct wanted_id *wanted = key;
    const struct instance *instance = CONTAINER_OF(node, struct instance, node);
    TSAN_ACQUIRE(&registry_readers);
    const struct record *record = rcu_dereference(instance->record);
    return strncmp(record_id(record), wanted->id, wanted->len) == 0 &&
           record_id(record)[wanted->len] == '\0';
}

static unsigned long id_hash(const char *id, size_t len)
{
    return (unsigned long)mix_bytes(id, len);
}

struct instance *registry_find(const struct registry *r, const char *id, size_t len)
{
    struct wanted_id wanted = {.id = id, .len = len};
    struct cds_lfht_iter it;
    cds_lfht_lookup(r->by_id, id_hash(id, len), matches_id, &wanted, &it);
    struct cds_lfht_node *node = cds_lfht_iter_get_node(&it);
    return node != NULL ? CONTAINER_OF(node, struct instance, node) : NULL;
}

uint64_t registry_lease_hash(const struct lease *lease)
{
    uint64_t deadline = atomic_load_explicit(&lease->deadline_ms, memory_order_relaxed);
    uint64_t renewed = atomic_load_explicit(&lease->renewed_ms, memory_order_relaxed);
    return mix64(mix64(deadline ^ (uint64_t)lease->stamp << 32) ^ renewed);
}

static uint64_t record_in_place_hash(const struct record *record)
{
    return mix64(record_hash(record) ^ record->slot);
}

void registry_set_lease(struct registry *r, struct lease *lease, uint64_t renewed_ms,
                        uint64_t deadline_ms)
{
    r->instances_sum -= registry_lease_hash(lease);
    atomic_store_explicit(&lease->renewed_ms, renewed_ms, memory_order_relaxed);
    atomic_store_explicit(&lease->deadline_ms, deadline_ms, memory_order_relaxed);
    r->instances_sum += registry_lease_hash(lease);
}

void registry_insert(struct registry *r, struct record *record, uint64_t renewed_ms,
                     uint64_t deadline_ms)
{
    struct instance *instance = mem_alloc(sizeof *instance);
    struct lease *lease = leases_at(&r->leases, record->slot);
    const char *id = record_id(record);
    *instance = (struct instance){.record = record};
    cds_lfht_node_init(&instance->node);
    lease->instance = instance;
    lease->stamp = record->stamp;
    lease->ttl_ms = record->ttl_ms;
    lease->lapsed = record->lapsed;
    lease->bucket = WHEEL_BUCKETS;
    atomic_store_explicit(&lease->renewed_ms, renewed_ms, memory_order_relaxed);
    atomic_store_explicit(&lease->deadline_ms, deadline_ms, memory_order_relaxed);
    leases_link(&r->leases, record->slot);
    TSAN_RELEASE(&registry_readers);
    cds_lfht_add(r->by_id, id_hash(id, strlen(id)), &instance->node);
    void *replaced = ptree_put(&r->work.instances, &r->records_kind, record);
    CHECK(replaced == NULL);
    services_add(r, record);
    r->work.changed_index = r->work.index;
    r->instances_sum += record_in_place_hash(record) + registry_lease_hash(lease);
}

void registry_remove(struct registry *r, struct instance *instance)
{
    struct record *record = instance->record;
    r->instances_sum -=
        record_in_place_hash(record) + registry_lease_hash(leases_at(&r->leases, record->slot));
    CHECK(cds_lfht_del(r->by_id, &instance->node) == 0);
    ptree_remove(&r->work.instances, &r->records_kind, record_id(record));
    services_remove(r, record);
    leases_free_slot(&r->leases, record->slot);
    r->work.changed_index = r->work.index;
    registry_record_unref(r, record);
    registry_retire(r, instance);
}

void registry_replace(struct registry *r, struct instance *instance, struct record *record)
{
    struct record *old = instance->record;
    struct lease *lease = leases_at(&r->leases, old->slot);
    record->slot = old->slot;
    record->stamp = old->stamp;
    record->index = r->work.index;
    r->instances_sum += record_in_place_hash(record) - record_in_place_hash(old);
    ptree_put(&r->work.instances, &r->records_kind, record);
    services_replace(r, old, record);
    lease->lapsed = record->lapsed;
    lease->ttl_ms = record->ttl_ms;
    r->work.changed_index = r->work.index;
    TSAN_RELEASE(&registry_readers);
    rcu_assign_pointer(instance->record, record);
    registry_record_unref(r, old);
}

/* --- entries --- */

void registry_begin(struct registry *r, uint64_t index, const struct stamp *stamp)
{
    CHECK(!r->in_entry);
    CHECK(index > r->work.index);
    r->in_entry = true;
    r->entry_events = 0;
    uint64_t before = r->work.index;
    r->work.index = index;
    r->work.wall_ms = stamp->wall_ms;
    if (stamp->now_ms > r->work.now_ms) {
        r->work.now_ms = stamp->now_ms;
    }
    if (r->view->index == before) {
        forget_touched(r); /* it has been published */
    }
}

void registry_apply(struct registry *r, uint32_t position, const struct command *command,
                    struct result *ret_result)
{
    struct result ignored;
    struct result *result = ret_result != NULL ? ret_result : &ignored;
    CHECK(r->in_entry);
    CHECK(position < 1u << INCARNATION_POSITION_BITS);
    r->incarnation = r->work.index << INCARNATION_POSITION_BITS | position;
    *result = (struct result){.status = ST_OK, .index = r->work.index};
    rcu_read_lock();
    apply_command(r, command, result);
    rcu_read_unlock();
    if (ret_result == NULL) {
        free(ignored.missed);
    }
}

void registry_grow(void *table, size_t buckets)
{
    cds_lfht_resize(table, buckets);
}

bool registry_raise_buckets(struct registry *r)
{
    size_t count = ptree_count(&r->work.instances);
    if (count <= r->buckets) {
        return false;
    }
    while (r->buckets < count) {
        r->buckets *= 2;
    }
    return true;
}

void registry_end(struct registry *r)
{
    CHECK(r->in_entry);
    r->in_entry = false;
    if (!registry_raise_buckets(r)) {
        return;
    }
    if (r->options.grow != NULL) {
        r->options.grow(r->options.ctx, r->by_id, r->buckets);
    } else {
        registry_grow(r->by_id, r->buckets);
    }
}

void registry_publish(struct registry *r)
{
    CHECK(!r->in_entry);
    struct view *view = view_copy(r);
    registry_retire(r, r->view);
    TSAN_RELEASE(&registry_readers);
    rcu_assign_pointer(r->view, view);
    ptree_publish(&r->services_kind);
    ptree_publish(&r->records_kind);
    ptree_publish(&r->tallies_kind);
    give_retired(r);
}

struct touched registry_touched(const struct registry *r)
{
    return (struct touched){.services = (const char *const *)r->touched, .count = r->touched_count};
}

uint32_t registry_due(struct registry *r, uint64_t now_ms)
{
    leases_collect_due(&r->leases, now_ms);
    return r->leases.due_count;
}

uint32_t registry_count(const struct registry *r)
{
    return (uint32_t)ptree_count(&r->work.instances);
}

uint32_t registry_events_kept(const struct registry *r)
{
    return r->work.events_kept;
}

uint64_t registry_index(const struct registry *r)
{
    return r->work.index;
}

uint64_t registry_now_ms(const struct registry *r)
{
    return r->work.now_ms;
}

uint64_t registry_hash(const struct registry *r)
{
    uint64_t h = mix64(r->instances_sum);
    h = mix64(h ^ r->services_sum);
    h = mix64(h ^ r->events_sum);
    h = mix64(h ^ r->work.index);
    h = mix64(h ^ r->work.now_ms);
    h = mix64(h ^ (uint64_t)r->work.wall_ms);
    h = mix64(h ^ r->work.changed_index);
    h = mix64(h ^ r->work.services_index);
    h = mix64(h ^ r->work.extinct_index);
    h = mix64(h ^ r->work.events_last);
    return mix64(h ^ r->work.events_kept);
}
