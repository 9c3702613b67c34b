/* The hash of the whole state: equal at equal index on all replicas. The sums over instances,
 * services and so on are kept up to date by those who change them. */
#include "server/registry/internal.h"
#include "server/registry/mix.h"

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
    h = mix64(h ^ r->work.events_kept);
    h = mix64(h ^ r->work.level);
    if (r->work.level >= LEVEL_STATE_BYTES) {
        h = mix64(h ^ registry_state_bytes(r));
        h = mix64(h ^ r->work.state_bytes_max);
    }
    if (r->work.level >= LEVEL_TOKENS) {
        h = mix64(h ^ r->tokens_sum);
        h = mix64(h ^ r->work.tokens_begun);
        h = mix64(h ^ limits_token_hash(&r->work.limits));
    }
    if (r->work.level >= LEVEL_NAMESPACES) {
        h = mix64(h ^ r->quotas_sum);
        h = mix64(h ^ limits_namespace_hash(&r->work.limits));
    }
    if (r->work.level >= LEVEL_SINKS) {
        h = mix64(h ^ sinks_hash(&r->work.sinks));
    }
    if (r->work.level >= LEVEL_CHECKS) {
        h = mix64(h ^ r->work.catalog_index);
        h = mix64(h ^ r->work.active_index);
        h = mix64(h ^ probers_hash(&r->work.probers));
        h = mix64(h ^ limits_check_hash(&r->work.limits));
    }
    return mix64(h ^ limits_hash(&r->work.limits));
}
