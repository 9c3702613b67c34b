/* What each namespace takes of the registry, and its quota. What it takes follows from the
 * instances; of the rest of the state only the quotas are part. */
#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/base/naming.h"
#include "server/registry/check_id.h"
#include "server/registry/internal.h"
#include "server/registry/mix.h"
#include "server/registry/size.h"

/* The name under which a namespace is counted. */
static void name_of(const char *stored, char out[NAMESPACE_SIZE])
{
    struct slice space = namespace_of(stored);
    if (space.len == 0) {
        space = slice_of(NAMESPACE_DEFAULT);
    }
    CHECK(space.len < NAMESPACE_SIZE);
    memcpy(out, space.data, space.len);
    out[space.len] = '\0';
}

static struct namespace_use *find(const struct registry *r, const char *name)
{
    return ptree_find(&r->work.namespaces, &r->namespaces_kind, name);
}

static void retire_use(struct registry *r, struct namespace_use *use)
{
    retire_memory(r, use, RETIRED_PLAIN, retire_must_keep_epoch(r, use->epoch));
}

/* The namespace as this entry may still change it, made when it is not there. */
static struct namespace_use *touch(struct registry *r, const char *name)
{
    struct namespace_use *old = find(r, name);
    if (old != NULL && old->epoch == r->namespaces_kind.epoch) {
        return old;
    }
    struct namespace_use *use = mem_zalloc(1, sizeof *use + strlen(name) + 1);
    if (old != NULL) {
        *use = *old;
    }
    use->epoch = r->namespaces_kind.epoch;
    memcpy(use->name, name, strlen(name) + 1);
    void *replaced = ptree_put(&r->work.namespaces, &r->namespaces_kind, use);
    CHECK(replaced == old);
    if (old != NULL) {
        retire_use(r, old);
    }
    return use;
}

static void drop_if_unused(struct registry *r, struct namespace_use *use)
{
    if (use->instances == 0 && use->checks == 0 && use->services == 0 && !use->has_quota) {
        ptree_remove(&r->work.namespaces, &r->namespaces_kind, use->name);
        retire_use(r, use);
    }
}

/* --- what is in them --- */

void namespaces_count(struct registry *r, const char *stored, int instances, int64_t bytes)
{
    char name[NAMESPACE_SIZE];
    if (instances == 0 && bytes == 0) {
        return;
    }
    name_of(stored, name);
    struct namespace_use *use = touch(r, name);
    if (checks_is_check(stored)) {
        use->checks += (uint64_t)(int64_t)instances;
    } else {
        use->instances += (uint64_t)(int64_t)instances;
    }
    use->bytes += (uint64_t)bytes;
    drop_if_unused(r, use);
}

void namespaces_count_service(struct registry *r, const char *stored, int services)
{
    char name[NAMESPACE_SIZE];
    name_of(stored, name);
    struct namespace_use *use = touch(r, name);
    use->services += (uint64_t)(int64_t)services;
    drop_if_unused(r, use);
}

bool namespaces_have_room(const struct registry *r, const char *stored, uint64_t instances,
                          uint64_t bytes)
{
    char name[NAMESPACE_SIZE];
    name_of(stored, name);
    const struct namespace_use *use = find(r, name);
    return use == NULL || ((use->quota.instances == 0 ||
                            use->instances + use->checks + instances <= use->quota.instances) &&
                           (use->quota.bytes == 0 || use->bytes + bytes <= use->quota.bytes));
}

void namespaces_destroy(struct registry *r)
{
    struct ptree_iterator it;
    ptree_iterate(&it, &r->work.namespaces, 0);
    for (struct namespace_use *use; (use = ptree_next(&it)) != NULL;) {
        retire_memory(r, use, RETIRED_PLAIN, false);
    }
    ptree_clear(&r->work.namespaces, &r->namespaces_kind);
}

/* --- quotas --- */

uint64_t namespaces_quota_hash(const struct namespace_use *use)
{
    uint64_t h = mix_bytes(use->name, strlen(use->name));
    h = mix64(h ^ use->quota.instances);
    h = mix64(h ^ use->quota.bytes);
    return mix64(h ^ use->quota.writes);
}

/* In the hash and the size of the state. */
static void count_quota(struct registry *r, const struct namespace_use *use)
{
    r->quotas_sum += namespaces_quota_hash(use);
    r->quotas_size += size_quota(use->name, &use->quota);
    r->work.quotas_count++;
}

static void uncount_quota(struct registry *r, const struct namespace_use *use)
{
    r->quotas_sum -= namespaces_quota_hash(use);
    r->quotas_size -= size_quota(use->name, &use->quota);
    r->work.quotas_count--;
}

void namespaces_set_quota(struct registry *r, const char *name, const struct namespace_quota *quota)
{
    struct namespace_use *use = touch(r, name);
    if (use->has_quota) {
        uncount_quota(r, use);
    }
    use->has_quota = true;
    use->quota = *quota;
    count_quota(r, use);
}

/* False if there is none of that name. */
static bool take_name(const struct slice *said, char out[NAMESPACE_SIZE])
{
    if (!naming_is_namespace(said->data, said->len)) {
        return false;
    }
    memcpy(out, said->data, said->len);
    out[said->len] = '\0';
    return true;
}

void namespaces_apply_set(struct registry *r, const struct command *command,
                          struct result *ret_result)
{
    char name[NAMESPACE_SIZE];
    const struct namespace_quota quota = {.bytes = command->quota_set.bytes,
                                          .instances = command->quota_set.instances,
                                          .writes = command->quota_set.writes};
    if (!take_name(&command->quota_set.name, name)) {
        ret_result->status = ST_INVALID;
        return;
    }
    const struct namespace_use *use = find(r, name);
    bool is_new = use == NULL || !use->has_quota;
    if (is_new && (r->work.quotas_count >= r->work.limits.namespaces ||
                   !registry_has_room(r, size_quota(name, &quota)))) {
        ret_result->status = ST_FULL;
        return;
    }
    namespaces_set_quota(r, name, &quota);
    ret_result->created = is_new;
}

void namespaces_apply_delete(struct registry *r, const struct command *command,
                             struct result *ret_result)
{
    char name[NAMESPACE_SIZE];
    const struct namespace_use *there =
        take_name(&command->quota_delete.name, name) ? find(r, name) : NULL;
    if (there == NULL || !there->has_quota) {
        ret_result->status = ST_NOT_FOUND;
        return;
    }
    struct namespace_use *use = touch(r, name);
    uncount_quota(r, use);
    use->has_quota = false;
    use->quota = (struct namespace_quota){0};
    drop_if_unused(r, use);
}
