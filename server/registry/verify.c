#include <stdlib.h>
#include <string.h>

#include "server/registry/check_id.h"
#include "server/registry/internal.h"
#include "server/registry/mix.h"
#include "server/registry/policy.h"
#include "server/registry/size.h"

struct totals {
    uint32_t counts[HEALTH_COUNT];
    size_t instances;
};

static const char *verify_service(const struct service_view *s, struct totals *totals)
{
    struct ptree_iterator it;
    uint32_t counts[HEALTH_COUNT] = {0};
    ptree_iterate(&it, &s->instances, 0);
    for (const struct record *record; (record = ptree_next(&it)) != NULL;) {
        if (strcmp(record_name(record), s->name) != 0) {
            return "an instance stands in another service than its own";
        }
        counts[record_health(record)]++;
        totals->instances++;
    }
    if (memcmp(counts, s->counts, sizeof counts) != 0) {
        return "a service counts its instances by health wrongly";
    }
    for (unsigned i = 0; i < HEALTH_COUNT; i++) {
        totals->counts[i] += counts[i];
    }
    return ptree_count(&s->instances) > 0 ? NULL : "a service without instances is there";
}

static const char *verify_instance(const struct registry *r, const struct record *record,
                                   uint64_t *sum)
{
    const struct instance *instance =
        registry_find(r, record_id(record), strlen(record_id(record)));
    if (instance == NULL || instance->record != record) {
        return "the table by id and the tree of instances disagree";
    }
    const struct lease *lease = leases_at(&r->leases, record->slot);
    if (lease->instance != instance || lease->generation != record->generation ||
        lease->expired != record->expired || lease->ttl_ms != record->ttl_ms) {
        return "a lease is not its instance's";
    }
    uint64_t deadline = atomic_load_explicit(&lease->deadline_ms, memory_order_relaxed);
    if ((lease->bucket == WHEEL_BUCKETS) != (deadline == NEVER)) {
        return "a lease with a deadline is in no bucket of the wheel";
    }
    if (record->index > r->work.index || record->references == 0) {
        return "a record comes from the future, or is not referenced";
    }
    *sum += mix64(record_hash(record) ^ record->slot) + registry_lease_hash(lease);
    return NULL;
}

static uint64_t size_of_leased(const struct registry *r, const struct ptree *records)
{
    struct ptree_iterator it;
    uint64_t size = 0;
    ptree_iterate(&it, records, 0);
    for (const struct record *record; (record = ptree_next(&it)) != NULL;) {
        const struct lease *lease = leases_at(&r->leases, record->slot);
        size += size_instance(record) +
                size_lease(atomic_load_explicit(&lease->renewed_ms, memory_order_relaxed),
                           atomic_load_explicit(&lease->deadline_ms, memory_order_relaxed));
    }
    return size;
}

static const char *verify_sizes(const struct registry *r)
{
    struct ptree_iterator it;
    uint64_t services = 0;
    uint64_t events = 0;
    uint64_t instances = size_of_leased(r, &r->work.instances) + size_of_leased(r, &r->work.checks);
    ptree_iterate(&it, &r->work.services, 0);
    for (const struct service_view *s; (s = ptree_next(&it)) != NULL;) {
        services += size_service(s->name, s->index);
    }
    for (uint64_t i = r->work.events_first; i <= r->work.events_last; i++) {
        events += size_event(view_event(&r->work, i));
    }
    return instances == r->instances_size && services == r->services_size &&
                   events == r->events_size
               ? NULL
               : "the size of the state is counted wrongly";
}

/* Of any but `default`, which has the rest. */
static const char *verify_use(const struct registry *r, const struct namespace_use *use)
{
    struct ptree_iterator it;
    uint64_t instances = 0;
    uint64_t checks = 0;
    uint64_t services = 0;
    uint64_t bytes = 0;
    const char *space = use->name;
    ptree_iterate(&it, &r->work.instances,
                  view_rank_of_namespace(&r->work, &r->work.instances, space));
    for (const struct record *record;
         (record = ptree_next(&it)) != NULL && namespace_has(space, record_id(record));) {
        if (!namespace_has(space, record_name(record))) {
            return "an instance is of another namespace than its service";
        }
        instances++;
        bytes += size_instance(record);
    }
    ptree_iterate(&it, &r->work.checks, view_rank_of_namespace(&r->work, &r->work.checks, space));
    for (const struct record *record;
         (record = ptree_next(&it)) != NULL && namespace_has(space, record_id(record));) {
        checks++;
        bytes += size_instance(record);
    }
    ptree_iterate(&it, &r->work.services,
                  view_rank_of_namespace(&r->work, &r->work.services, space));
    for (const struct service_view *s;
         (s = ptree_next(&it)) != NULL && namespace_has(space, s->name);) {
        services++;
    }
    return instances == use->instances && services == use->services && bytes == use->bytes &&
                   checks == use->checks && (instances + checks > 0 || use->has_quota)
               ? NULL
               : "what a namespace has is counted wrongly";
}

static const char *verify_tokens(const struct registry *r)
{
    struct ptree_iterator it;
    uint64_t sum = 0;
    uint64_t size = 0;
    uint64_t due_ms = NEVER;
    size_t policies = 0;
    ptree_iterate(&it, &r->work.tokens, 0);
    for (const struct token *token; (token = ptree_next(&it)) != NULL;) {
        sum += token_hash(token);
        size += size_token(token);
        policies += policy_is_id(token_id(token));
        due_ms = token->expires_ms < due_ms ? token->expires_ms : due_ms;
        if (token->expires_ms <= r->work.now_ms || token->index < r->work.tokens_begun) {
            return "a token is over, or older than the first";
        }
    }
    if (ptree_count(&r->work.tokens) > 0 &&
        (r->work.tokens_begun == 0 || r->work.level < LEVEL_TOKENS ||
         (policies > 0 && r->work.level < LEVEL_POLICIES))) {
        return "a token or policy is there that cannot be";
    }
    return sum == r->tokens_sum && size == r->tokens_size && due_ms == r->tokens_due_ms &&
                   policies == r->policies_count
               ? NULL
               : "the tokens are counted wrongly";
}

static uint64_t size_of_records(const struct ptree *records)
{
    struct ptree_iterator it;
    uint64_t size = 0;
    ptree_iterate(&it, records, 0);
    for (const struct record *record; (record = ptree_next(&it)) != NULL;) {
        size += size_instance(record);
    }
    return size;
}

/* What is counted of the instances and services of each namespace. */
static const char *verify_namespaces(const struct registry *r)
{
    struct ptree_iterator it;
    uint64_t instances = 0;
    uint64_t checks = 0;
    uint64_t services = 0;
    uint64_t bytes = 0;
    uint64_t sum = 0;
    uint64_t size = 0;
    uint32_t quotas = 0;
    ptree_iterate(&it, &r->work.namespaces, 0);
    for (const struct namespace_use *use; (use = ptree_next(&it)) != NULL;) {
        bool is_default = strcmp(use->name, NAMESPACE_DEFAULT) == 0;
        const char *broken = is_default ? NULL : verify_use(r, use);
        if (broken != NULL) {
            return broken;
        }
        instances += use->instances;
        checks += use->checks;
        services += use->services;
        bytes += use->bytes;
        sum += use->has_quota ? namespaces_quota_hash(use) : 0;
        size += use->has_quota ? size_quota(use->name, &use->quota) : 0;
        quotas += use->has_quota;
    }
    return instances == ptree_count(&r->work.instances) && checks == ptree_count(&r->work.checks) &&
                   services == r->work.services_count &&
                   bytes ==
                       size_of_records(&r->work.instances) + size_of_records(&r->work.checks) &&
                   sum == r->quotas_sum && size == r->quotas_size && quotas == r->work.quotas_count
               ? NULL
               : "the namespaces together do not make up the registry";
}

static const char *verify_leased(const struct registry *r)
{
    const struct ptree *const trees[] = {&r->work.instances, &r->work.checks};
    uint32_t leased = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(trees); i++) {
        struct ptree_iterator it;
        ptree_iterate(&it, trees[i], 0);
        for (const struct record *record; (record = ptree_next(&it)) != NULL;) {
            leased += record->ttl_ms > 0;
        }
    }
    return leased == r->leased_count ? NULL : "the leases that end are counted wrongly";
}

static const char *verify_probers(const struct registry *r)
{
    bool any = r->work.probers.epoch != 0 || r->work.active_index != 0;
    return probers_are_possible(&r->work.probers, r->work.index) &&
                   r->work.active_index <= r->work.index && (!any || r->work.level >= LEVEL_CHECKS)
               ? NULL
               : "the probers are none that can be";
}

static const char *verify(const struct registry *r)
{
    struct ptree_iterator it;
    struct totals totals = {0};
    uint64_t sum = 0;
    ptree_iterate(&it, &r->work.services, 0);
    for (const struct service_view *s; (s = ptree_next(&it)) != NULL;) {
        const char *broken = verify_service(s, &totals);
        if (broken != NULL) {
            return broken;
        }
    }
    if (memcmp(totals.counts, r->work.counts, sizeof totals.counts) != 0 ||
        totals.instances != ptree_count(&r->work.instances)) {
        return "the services together do not make up the table";
    }
    ptree_iterate(&it, &r->work.instances, 0);
    for (const struct record *record; (record = ptree_next(&it)) != NULL;) {
        const char *broken = verify_instance(r, record, &sum);
        if (broken != NULL) {
            return broken;
        }
    }
    ptree_iterate(&it, &r->work.checks, 0);
    for (const struct record *record; (record = ptree_next(&it)) != NULL;) {
        const char *broken = verify_instance(r, record, &sum);
        if (broken != NULL) {
            return broken;
        }
    }
    const char *unowned = checks_verify(r);
    if (unowned != NULL) {
        return unowned;
    }
    if (sum != r->instances_sum) {
        return "the hash of the instances is wrong";
    }
    const char *broken = verify_tokens(r);
    if (broken == NULL) {
        broken = verify_namespaces(r);
    }
    if (broken == NULL) {
        broken = places_verify(r);
    }
    if (broken == NULL) {
        broken = verify_probers(r);
    }
    if (broken == NULL) {
        broken = verify_leased(r);
    }
    return broken != NULL ? broken : verify_sizes(r);
}

const char *registry_verify(struct registry *r)
{
    rcu_read_lock();
    const char *broken = verify(r);
    rcu_read_unlock();
    return broken;
}
