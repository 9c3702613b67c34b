#include "server/registry/registry.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/registry/check_id.h"
#include "server/registry/internal.h"
#include "server/registry/mix.h"
#include "server/registry/size.h"

#define TABLE_BUCKETS_MIN 1024
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

static const char *token_key(const void *value)
{
    return token_id(value);
}

static const char *namespace_key(const void *value)
{
    return ((const struct namespace_use *)value)->name;
}

static void retire_node(void *ctx, void *memory, uint64_t epoch)
{
    struct registry *r = ctx;
    retire_memory(r, memory, RETIRED_PLAIN, retire_must_keep_epoch(r, epoch));
}

static struct ptree_kind kind_of(struct registry *r, const char *(*key)(const void *))
{
    return (struct ptree_kind){.key = key, .retire = retire_node, .ctx = r};
}

static struct cds_lfht *create_table(size_t buckets)
{
    /* Resized by hand. The automatic policy of cds_lfht goes by the longest chain, which with
     * hundreds of thousands of ids overshoots to gigabytes; its counting policy waits for chains of
     * eight. */
    struct cds_lfht *table = cds_lfht_new(buckets, TABLE_BUCKETS_MIN, 0, 0, NULL);
    CHECK(table != NULL);
    return table;
}

static struct view *view_copy(const struct registry *r)
{
    struct view *view = mem_alloc(sizeof *view);
    *view = r->work;
    view->hash = registry_hash(r);
    view->state_bytes = registry_state_bytes(r);
    return view;
}

struct registry *registry_create(const struct registry_options *options)
{
    struct registry *r = mem_zalloc(1, sizeof *r);
    r->options = *options;
    r->services_kind = kind_of(r, service_key);
    r->records_kind = kind_of(r, record_key);
    r->tallies_kind = kind_of(r, tally_key);
    r->tokens_kind = kind_of(r, token_key);
    r->namespaces_kind = kind_of(r, namespace_key);
    r->members_kind = kind_of(r, places_key);
    r->tokens_due_ms = NEVER;
    r->by_id = create_table(TABLE_BUCKETS_MIN);
    r->buckets = TABLE_BUCKETS_MIN;
    leases_init(&r->leases);
    r->work.registry = r;
    r->work.events_first = 1;
    r->work.level = LEVEL_MIN;
    r->work.limits = *level_limits(LEVEL_MIN);
    events_keep(r, r->work.limits.events_kept_first);
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

static void destroy_instances(struct registry *r)
{
    rcu_read_lock();
    for (uint32_t slot = 0; slot < r->leases.slots; slot++) {
        struct instance *instance = leases_at(&r->leases, slot)->instance;
        if (instance != NULL) {
            if (r->by_id != NULL) {
                (void)cds_lfht_del(r->by_id, &instance->node);
            }
            retire_record(r, instance->record);
            retire_memory(r, instance, RETIRED_PLAIN, false);
        }
    }
    rcu_read_unlock();
}

static void destroy_tallies(struct registry *r, struct ptree *tallies)
{
    struct ptree_iterator it;
    ptree_iterate(&it, tallies, 0);
    for (struct tally *tally; (tally = ptree_next(&it)) != NULL;) {
        retire_memory(r, tally, RETIRED_PLAIN, false);
    }
    ptree_clear(tallies, &r->tallies_kind);
}

static void destroy_service(struct registry *r, struct service_view *service)
{
    destroy_tallies(r, &service->tags);
    destroy_tallies(r, &service->types);
    ptree_clear(&service->instances, &r->records_kind);
    retire_memory(r, service, RETIRED_SERVICE, false);
}

void registry_destroy(struct registry *r)
{
    if (r == NULL) {
        return;
    }
    CHECK(r->snapshots == NULL);
    destroy_instances(r);
    events_clear(r);
    retire_memory(r, (void *)(uintptr_t)r->work.events, RETIRED_PLAIN, false);
    if (r->restore != NULL) {
        restore_free(r, destroy_service);
    } else {
        struct ptree_iterator it;
        ptree_iterate(&it, &r->work.services, 0);
        for (struct service_view *service; (service = ptree_next(&it)) != NULL;) {
            destroy_service(r, service);
        }
    }
    types_destroy(r);
    places_destroy(r);
    tokens_destroy(r);
    namespaces_destroy(r);
    ptree_clear(&r->work.services, &r->services_kind);
    ptree_clear(&r->work.instances, &r->records_kind);
    ptree_clear(&r->work.checks, &r->records_kind);
    retire_done(r);
    registry_drop_table(r);
    leases_done(&r->leases);
    forget_touched(r);
    free(r->touched);
    free(r->view);
    free(r);
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
    return mix64(mix64(deadline ^ (uint64_t)lease->generation << 32) ^ renewed);
}

static uint64_t record_in_place_hash(const struct record *record)
{
    return mix64(record_hash(record) ^ record->slot);
}

static uint64_t lease_size(const struct lease *lease)
{
    return size_lease(atomic_load_explicit(&lease->renewed_ms, memory_order_relaxed),
                      atomic_load_explicit(&lease->deadline_ms, memory_order_relaxed));
}

/* A reader that sees one of the new values also sees what was saved of the old ones: snapshot.c. */
static void write_lease(struct registry *r, uint32_t slot, uint64_t renewed_ms,
                        uint64_t deadline_ms)
{
    struct lease *lease = leases_at(&r->leases, slot);
    if (r->snapshots != NULL) {
        snapshot_save_lease(r, slot);
    }
    atomic_store_explicit(&lease->renewed_ms, renewed_ms, memory_order_release);
    atomic_store_explicit(&lease->deadline_ms, deadline_ms, memory_order_release);
}

void registry_set_lease(struct registry *r, uint32_t slot, uint64_t renewed_ms,
                        uint64_t deadline_ms)
{
    const struct lease *lease = leases_at(&r->leases, slot);
    r->instances_sum -= registry_lease_hash(lease);
    r->instances_size -= lease_size(lease);
    write_lease(r, slot, renewed_ms, deadline_ms);
    r->instances_sum += registry_lease_hash(lease);
    r->instances_size += lease_size(lease);
}

struct instance *registry_lease_out(struct registry *r, struct record *record, uint64_t renewed_ms,
                                    uint64_t deadline_ms)
{
    struct instance *instance = mem_alloc(sizeof *instance);
    struct lease *lease = leases_at(&r->leases, record->slot);
    *instance = (struct instance){.record = record};
    cds_lfht_node_init(&instance->node);
    lease->instance = instance;
    lease->generation = record->generation;
    lease->ttl_ms = record->ttl_ms;
    lease->expired = record->expired;
    lease->bucket = WHEEL_BUCKETS;
    write_lease(r, record->slot, renewed_ms, deadline_ms);
    leases_link(&r->leases, record->slot);
    r->instances_sum += record_in_place_hash(record) + registry_lease_hash(lease);
    r->instances_size += size_instance(record) + lease_size(lease);
    r->work.active_count += record->active;
    r->leased_count += record->ttl_ms > 0;
    namespaces_count(r, record_id(record), 1, (int64_t)size_instance(record));
    return instance;
}

/* Checks and nodes stand beside the instances. */
static struct ptree *tree_of(struct registry *r, const struct record *record)
{
    return checks_is_check(record_id(record)) ? &r->work.checks : &r->work.instances;
}

static bool same_registration(const struct record *a, const struct record *b)
{
    struct registration g;
    record_registration(b, &g);
    return record_same_content(a, &g);
}

void registry_moved_catalog(struct registry *r)
{
    if (r->work.level >= LEVEL_CHECKS) {
        r->work.catalog_index = r->work.index;
    }
}

void registry_moved_active(struct registry *r, const struct record *check)
{
    if (check->active) {
        r->work.active_index = r->work.index;
    }
}

void registry_insert(struct registry *r, struct record *record, uint64_t renewed_ms,
                     uint64_t deadline_ms)
{
    const char *id = record_id(record);
    if (!checks_is_check(id)) {
        record->node_health = (uint8_t)places_health(r, record);
        places_add(r, record);
    }
    struct instance *instance = registry_lease_out(r, record, renewed_ms, deadline_ms);
    TSAN_RELEASE(&registry_readers);
    cds_lfht_add(r->by_id, id_hash(id, strlen(id)), &instance->node);
    void *replaced = ptree_put(tree_of(r, record), &r->records_kind, record);
    CHECK(replaced == NULL);
    if (!checks_is_check(id)) {
        services_add(r, record);
    }
    r->work.changed_index = r->work.index;
    registry_moved_catalog(r);
    registry_moved_active(r, record);
}

void registry_remove(struct registry *r, struct instance *instance)
{
    struct record *record = instance->record;
    const struct lease *lease = leases_at(&r->leases, record->slot);
    r->instances_sum -= record_in_place_hash(record) + registry_lease_hash(lease);
    r->instances_size -= size_instance(record) + lease_size(lease);
    r->work.active_count -= record->active;
    r->leased_count -= record->ttl_ms > 0;
    CHECK(cds_lfht_del(r->by_id, &instance->node) == 0);
    ptree_remove(tree_of(r, record), &r->records_kind, record_id(record));
    if (!checks_is_check(record_id(record))) {
        places_remove(r, record);
        services_remove(r, record);
    }
    namespaces_count(r, record_id(record), -1, -(int64_t)size_instance(record));
    leases_free_slot(&r->leases, record->slot);
    r->work.changed_index = r->work.index;
    registry_moved_catalog(r);
    registry_moved_active(r, record);
    retire_record(r, record);
    retire_memory(r, instance, RETIRED_PLAIN, false); /* snapshots do not use it */
}

void registry_replace(struct registry *r, struct instance *instance, struct record *record)
{
    struct record *old = instance->record;
    struct lease *lease = leases_at(&r->leases, old->slot);
    record->slot = old->slot;
    record->generation = old->generation;
    bool is_check = checks_is_check(record_id(record));
    if (!is_check) {
        record->node_health = (uint8_t)places_health(r, record);
        places_replace(r, old, record);
    }
    /* Of a check, a new note alone is no change. */
    if (!is_check || record->declared != old->declared || !same_registration(old, record)) {
        record->index = r->work.index;
        r->work.changed_index = r->work.index;
    }
    r->instances_sum += record_in_place_hash(record) - record_in_place_hash(old);
    r->instances_size += size_instance(record) - size_instance(old);
    r->work.active_count += (uint32_t)record->active - (uint32_t)old->active;
    r->leased_count += (uint32_t)(record->ttl_ms > 0) - (uint32_t)(old->ttl_ms > 0);
    namespaces_count(r, record_id(record), 0,
                     (int64_t)size_instance(record) - (int64_t)size_instance(old));
    ptree_put(tree_of(r, record), &r->records_kind, record);
    if (!is_check) {
        services_replace(r, old, record);
    }
    lease->expired = record->expired;
    lease->ttl_ms = record->ttl_ms;
    TSAN_RELEASE(&registry_readers);
    rcu_assign_pointer(instance->record, record);
    retire_record(r, old);
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
    tokens_expire(r);
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
    CHECK(command->space.len == 0 || r->work.level >= LEVEL_NAMESPACES);
    CHECK(command_level(command->kind) > 0 && command_level(command->kind) <= r->work.level);
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

/* Raises r->buckets to one per instance; it never decreases. True if by_id must grow to it. */
static bool raise_buckets(struct registry *r)
{
    size_t count = registry_count(r);
    if (count <= r->buckets) {
        return false;
    }
    while (r->buckets < count) {
        r->buckets *= 2;
    }
    return true;
}

/* The table is not shared yet: no critical section is needed. */
static void add_all(struct registry *r, struct ptree_iterator *it)
{
    for (const struct record *record; (record = ptree_next(it)) != NULL;) {
        const char *id = record_id(record);
        struct instance *instance = leases_at(&r->leases, record->slot)->instance;
        cds_lfht_add(r->by_id, id_hash(id, strlen(id)), &instance->node);
        if (!checks_is_check(id)) {
            places_add(r, record);
        }
    }
}

void registry_make_table(struct registry *r)
{
    struct ptree_iterator it;
    CHECK(r->by_id == NULL);
    r->buckets = TABLE_BUCKETS_MIN;
    (void)raise_buckets(r);
    r->by_id = create_table(r->buckets);
    ptree_iterate(&it, &r->work.instances, 0);
    add_all(r, &it);
    ptree_iterate(&it, &r->work.checks, 0);
    add_all(r, &it);
}

void registry_drop_table(struct registry *r)
{
    if (r->by_id != NULL) {
        CHECK(cds_lfht_destroy(r->by_id, NULL) == 0);
        r->by_id = NULL;
    }
}

void registry_end(struct registry *r)
{
    CHECK(r->in_entry);
    r->in_entry = false;
    if (!raise_buckets(r)) {
        return;
    }
    if (r->options.grow != NULL) {
        r->options.grow(r->options.ctx, r->by_id, r->buckets);
    } else {
        registry_grow(r->by_id, r->buckets);
    }
}

void registry_set_level(struct registry *r, uint16_t level)
{
    const struct registry_limits *limits = level_limits(level);
    CHECK(r->in_entry && level >= r->work.level);
    CHECK(limits != NULL && limits_are_possible(limits));
    r->work.level = level;
    r->work.limits = *limits;
    uint32_t kept = r->work.events_kept;
    kept = kept < limits->events_kept_min ? limits->events_kept_min : kept;
    events_keep(r, kept > limits->events_kept_max ? limits->events_kept_max : kept);
}

uint16_t registry_level(const struct registry *r)
{
    return r->work.level;
}

const struct registry_limits *registry_limits(const struct registry *r)
{
    return &r->work.limits;
}

void registry_publish(struct registry *r)
{
    CHECK(!r->in_entry);
    struct view *view = view_copy(r);
    retire_memory(r, r->view, RETIRED_PLAIN, false);
    TSAN_RELEASE(&registry_readers);
    rcu_assign_pointer(r->view, view);
    ptree_publish(&r->services_kind);
    ptree_publish(&r->records_kind);
    ptree_publish(&r->tallies_kind);
    ptree_publish(&r->tokens_kind);
    ptree_publish(&r->namespaces_kind);
    retire_give(r);
}

struct touched registry_touched(const struct registry *r)
{
    return (struct touched){.services = (const char *const *)r->touched, .count = r->touched_count};
}

uint32_t registry_due(struct registry *r, uint64_t now_ms, uint32_t *ret_living)
{
    leases_collect_due(&r->leases, now_ms);
    *ret_living = 0;
    for (uint32_t i = 0; i < r->leases.due_count; i++) {
        *ret_living += !leases_at(&r->leases, r->leases.due[i])->expired;
    }
    return r->leases.due_count;
}

uint32_t registry_count(const struct registry *r)
{
    return (uint32_t)(ptree_count(&r->work.instances) + ptree_count(&r->work.checks));
}

uint32_t registry_leased(const struct registry *r)
{
    return r->leased_count;
}

uint32_t registry_events_kept(const struct registry *r)
{
    return r->work.events_kept;
}

uint64_t registry_state_bytes(const struct registry *r)
{
    return size_head(&r->work) + r->instances_size + r->services_size + r->events_size +
           r->tokens_size + r->quotas_size;
}

uint64_t registry_state_bytes_max(const struct registry *r)
{
    return r->work.state_bytes_max;
}

bool registry_has_room(const struct registry *r, uint64_t bytes)
{
    uint64_t most = r->work.state_bytes_max;
    return most == 0 || registry_state_bytes(r) + bytes <= most;
}

uint64_t registry_index(const struct registry *r)
{
    return r->work.index;
}

uint64_t registry_now_ms(const struct registry *r)
{
    return r->work.now_ms;
}
