#include "server/registry/view.h"

#include <stdio.h>

#include "server/base/check.h"
#include "server/base/compiler.h"
#include "server/registry/check_id.h"
#include "server/registry/internal.h"
#include "server/registry/policy.h"

void view_source_set(struct view_source *source, struct registry *registry)
{
    CHECK(!registry->in_entry && registry->view != NULL);
    TSAN_RELEASE(&registry_readers);
    rcu_assign_pointer(source->registry, registry);
}

const struct view *view_lock(const struct view_source *source)
{
    rcu_read_lock();
    const struct registry *registry = rcu_dereference(source->registry);
    TSAN_ACQUIRE(&registry_readers);
    return registry_view(registry);
}

void view_unlock(const struct view **view)
{
    CHECK(*view != NULL);
    *view = NULL;
    TSAN_RELEASE(&registry_readers);
    rcu_read_unlock();
}

const struct view *registry_view(const struct registry *r)
{
    const struct view *view = rcu_dereference(r->view);
    TSAN_ACQUIRE(&registry_readers);
    return view;
}

const struct service_view *view_service(const struct view *view, const char *name)
{
    return ptree_find(&view->services, &view->registry->services_kind, name);
}

bool view_service_has(const struct view *view, const struct service_view *service,
                      const char *type_or_tag)
{
    const struct ptree_kind *kind = &view->registry->tallies_kind;
    return ptree_find(&service->types, kind, type_or_tag) != NULL ||
           ptree_find(&service->tags, kind, type_or_tag) != NULL;
}

uint64_t view_service_index(const struct view *view, const char *name)
{
    const struct service_view *service = view_service(view, name);
    return service != NULL ? service->index : view->extinct_index;
}

void view_iterate_services(struct ptree_iterator *it, const struct view *view, size_t rank)
{
    ptree_iterate(it, &view->services, rank);
}

const struct record *view_instance(const struct view *view, const char *id)
{
    return ptree_find(&view->instances, &view->registry->records_kind, id);
}

const struct record *view_check(const struct view *view, const char *id)
{
    return ptree_find(&view->checks, &view->registry->records_kind, id);
}

void view_iterate_checks(struct ptree_iterator *it, const struct view *view, const char *owner_id)
{
    char before[STORED_NAME_SIZE + 1];
    (void)snprintf(before, sizeof before, "%s%c", owner_id, CHECK_MARK);
    ptree_iterate(it, &view->checks,
                  ptree_rank_after(&view->checks, &view->registry->records_kind, before));
}

const struct token *view_token(const struct view *view, const char *id)
{
    return ptree_find(&view->tokens, &view->registry->tokens_kind, id);
}

const struct namespace_use *view_namespace(const struct view *view, const char *name)
{
    return ptree_find(&view->namespaces, &view->registry->namespaces_kind, name);
}

size_t view_rank_of_namespace(const struct view *view, const struct ptree *tree, const char *space)
{
    const struct ptree_kind *kind =
        tree == &view->services ? &view->registry->services_kind : &view->registry->records_kind;
    char before[STORED_NAME_SIZE];
    /* No key is between these and the first of the namespace. */
    if (space[0] == '\0') {
        (void)snprintf(before, sizeof before, "%c\xff", NAMESPACE_MARK);
    } else {
        (void)snprintf(before, sizeof before, "%c%s%c", NAMESPACE_MARK, space, NAMESPACE_MARK - 1);
    }
    return ptree_rank_after(tree, kind, before);
}

const struct token *view_policy(const struct view *view, const char *name)
{
    return policy_match(&view->tokens, &view->registry->tokens_kind, name);
}

size_t view_rank_after(const struct view *view, const struct ptree *instances, const char *id)
{
    return ptree_rank_after(instances, &view->registry->records_kind, id);
}

const struct event *view_event(const struct view *view, uint64_t sequence)
{
    struct event_ring *ring = (struct event_ring *)(uintptr_t)view->events;
    const struct event *event =
        atomic_load_explicit(&ring->slots[sequence % ring->capacity], memory_order_acquire);
    return event != NULL && event->sequence == sequence ? event : NULL;
}

bool view_find_lease(const struct view *view, const char *id, size_t id_len,
                     struct lease_ref *ret_ref)
{
    const struct instance *instance = registry_find(view->registry, id, id_len);
    if (instance == NULL) {
        return false;
    }
    const struct record *record = rcu_dereference(instance->record);
    *ret_ref = (struct lease_ref){.slot = record->slot, .generation = record->generation};
    return true;
}

void view_lease_times(const struct view *view, const struct record *record,
                      uint64_t *ret_renewed_ms, uint64_t *ret_deadline_ms)
{
    struct lease *lease = leases_at(&view->registry->leases, record->slot);
    *ret_renewed_ms = atomic_load_explicit(&lease->renewed_ms, memory_order_relaxed);
    *ret_deadline_ms = atomic_load_explicit(&lease->deadline_ms, memory_order_relaxed);
}

int64_t view_heard_ms(const struct view *view, const struct record *record, uint64_t renewed_ms)
{
    /* The lease may be newer than the view. */
    int64_t silent_ms = (int64_t)view->now_ms - (int64_t)renewed_ms;
    int64_t heard_ms = view->wall_ms - (silent_ms > 0 ? silent_ms : 0);
    /* Cluster time and wall clock drift apart by milliseconds. */
    return heard_ms > record->registered_ms ? heard_ms : record->registered_ms;
}

struct rendered *view_keep_rendered(const struct service_view *service, struct rendered *text)
{
    struct service_view *shared = (struct service_view *)(uintptr_t)service;
    return rendered_keep(&shared->rendered, text);
}

struct rendered *view_keep_event(const struct event *event, struct rendered *text)
{
    struct event *shared = (struct event *)(uintptr_t)event;
    return rendered_keep(&shared->rendered, text);
}
