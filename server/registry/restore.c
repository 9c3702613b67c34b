#include "server/registry/restore.h"
#include "server/base/naming.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/registry/check_id.h"
#include "server/registry/internal.h"
#include "server/registry/mix.h"
#include "server/registry/policy.h"

#define SERVICES_FIRST 256

/* --- services, by name --- */

/* A service with restored instances, whose index comes later. There may be a million, so they are
 * not searched in the tree, which is built in order when the indexes come. */
struct restored_service {
    uint64_t hash;
    struct service_view *view; /* NULL: free */
};

struct restore {
    struct snapshot_head head;
    const struct record *last_record; /* the newest instance; NULL: none yet */
    const struct record *last_check;  /* likewise, of a check or node */
    const struct service_view *last_service;
    const struct token *last_token;
    char last_quota[NAMESPACE_SIZE];   /* "": none yet */
    struct restored_service *services; /* a table with open addressing; a power of two */
    size_t services_count, services_capacity;
};

/* The slot of that name, or the free one for it. */
static struct restored_service *place_of(const struct restore *x, const char *name, uint64_t hash)
{
    size_t mask = x->services_capacity - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct restored_service *s = &x->services[i];
        if (s->view == NULL || (s->hash == hash && strcmp(s->view->name, name) == 0)) {
            return s;
        }
    }
}

static void grow_services(struct restore *x)
{
    struct restored_service *old = x->services;
    size_t old_capacity = x->services_capacity;
    x->services_capacity = old_capacity > 0 ? old_capacity * 2 : SERVICES_FIRST;
    x->services = mem_zalloc(x->services_capacity, sizeof *x->services);
    for (size_t i = 0; i < old_capacity; i++) {
        if (old[i].view != NULL) {
            *place_of(x, old[i].view->name, old[i].hash) = old[i];
        }
    }
    free(old);
}

static struct service_view *find_service(const struct restore *x, const char *name)
{
    return place_of(x, name, mix_bytes(name, strlen(name)))->view;
}

static struct service_view *find_or_make_service(struct registry *r, const char *name)
{
    struct restore *x = r->restore;
    if (2 * x->services_count >= x->services_capacity) {
        grow_services(x);
    }
    uint64_t hash = mix_bytes(name, strlen(name));
    struct restored_service *s = place_of(x, name, hash);
    if (s->view == NULL) {
        *s = (struct restored_service){.hash = hash, .view = services_make_view(r, name)};
        x->services_count++;
    }
    return s->view;
}

void restore_free(struct registry *r,
                  void (*free_service)(struct registry *, struct service_view *))
{
    struct restore *x = r->restore;
    for (size_t i = 0; i < x->services_capacity; i++) {
        if (x->services[i].view != NULL && free_service != NULL) {
            free_service(r, x->services[i].view);
        }
    }
    free(x->services);
    free(x);
    r->restore = NULL;
}

/* --- in order --- */

enum status registry_restore_head(struct registry *r, const struct snapshot_head *head)
{
    CHECK(r->restore == NULL && !r->in_entry && r->work.index == 0);
    if (level_limits(head->level) == NULL || !limits_are_possible(&head->limits) ||
        head->events_kept < head->limits.events_kept_min ||
        head->events_kept > head->limits.events_kept_max || head->events > head->events_kept ||
        head->events > head->events_last || head->events_last == UINT64_MAX ||
        head->instances > INSTANCES_MAX || head->services > head->instances ||
        head->changed_index > head->index || head->services_index > head->index ||
        head->extinct_index > head->index || head->tokens_begun > head->index ||
        head->checks > INSTANCES_MAX || head->catalog_index > head->index ||
        head->active_index > head->index || !probers_are_possible(&head->probers, head->index) ||
        head->tokens > TOKENS_MAX || head->quotas > NAMESPACES_MAX ||
        head->sinks.count > SINKS_MAX || (head->tokens > 0 && head->tokens_begun == 0)) {
        return ST_CORRUPT;
    }
    r->restore = mem_zalloc(1, sizeof *r->restore);
    r->restore->head = *head;
    grow_services(r->restore);
    registry_drop_table(r); /* created at the end, when its size is known */
    r->work.level = head->level;
    r->work.limits = head->limits;
    r->work.index = head->index;
    r->work.now_ms = head->now_ms;
    r->work.wall_ms = head->wall_ms;
    r->work.extinct_index = head->extinct_index;
    r->work.events_first = head->events_last + 1 - head->events;
    r->work.events_last = r->work.events_first - 1;
    r->work.state_bytes_max = head->state_bytes_max;
    r->work.tokens_begun = head->tokens_begun;
    r->work.active_index = head->active_index;
    r->work.probers = head->probers;
    events_keep(r, head->events_kept);
    leases_start_at(&r->leases, head->now_ms);
    return sinks_restore(r, &head->sinks);
}

/* Its id and its service's name are of the same one, which there is at this level. */
static bool is_of_a_namespace(const struct restore *x, const struct record *record)
{
    struct slice space = namespace_of(record_id(record));
    struct slice other = namespace_of(record_name(record));
    return namespace_is_stored(record_id(record)) && namespace_is_stored(record_name(record)) &&
           space.len == other.len && memcmp(space.data, other.data, space.len) == 0 &&
           (space.len == 0 || x->head.level >= LEVEL_NAMESPACES);
}

enum status registry_restore_instance(struct registry *r, struct record *record,
                                      uint64_t renewed_ms, uint64_t deadline_ms)
{
    struct restore *x = r->restore;
    CHECK(x != NULL && record->references == 1);
    if (record->index > x->head.index || renewed_ms > x->head.now_ms ||
        (x->last_record != NULL && strcmp(record_id(x->last_record), record_id(record)) >= 0) ||
        checks_is_check(record_id(record)) || record->active || !is_of_a_namespace(x, record) ||
        !leases_take_this_slot(&r->leases, record->slot)) {
        return ST_CORRUPT;
    }
    x->last_record = record;
    (void)registry_lease_out(r, record, renewed_ms, deadline_ms);
    ptree_append(&r->work.instances, &r->records_kind, record);
    struct service_view *service = find_or_make_service(r, record_name(record));
    ptree_append(&service->instances, &r->records_kind, record);
    services_count(r, service, record);
    return ST_OK;
}

enum status registry_restore_service(struct registry *r, const char *name, uint64_t index)
{
    struct restore *x = r->restore;
    CHECK(x != NULL);
    struct service_view *service = find_service(x, name);
    if (service == NULL || index > x->head.index ||
        (x->last_service != NULL && strcmp(x->last_service->name, name) >= 0)) {
        return ST_CORRUPT;
    }
    x->last_service = service;
    ptree_settle(&service->instances, &r->records_kind);
    services_first_index(r, service, index);
    namespaces_count_service(r, name, 1);
    ptree_append(&r->work.services, &r->services_kind, service);
    r->work.services_count++;
    return ST_OK;
}

enum status registry_restore_event(struct registry *r, const struct event *event)
{
    CHECK(r->restore != NULL && event->record->references == 1);
    if (event->sequence != r->work.events_last + 1 || event->index > r->work.index ||
        event->record->active) {
        return ST_CORRUPT;
    }
    return events_restore(r, event) ? ST_OK : ST_CORRUPT;
}

enum status registry_restore_token(struct registry *r, struct token *token)
{
    struct restore *x = r->restore;
    CHECK(x != NULL);
    if (token->index > x->head.index || token->index < x->head.tokens_begun ||
        token->expires_ms <= x->head.now_ms ||
        (policy_is_id(token_id(token)) && x->head.level < LEVEL_POLICIES) ||
        (x->last_token != NULL && strcmp(token_id(x->last_token), token_id(token)) >= 0)) {
        return ST_CORRUPT;
    }
    x->last_token = token;
    ptree_append(&r->work.tokens, &r->tokens_kind, token);
    tokens_count(r, token);
    return ST_OK;
}

enum status registry_restore_quota(struct registry *r, const char *name,
                                   const struct namespace_quota *quota)
{
    struct restore *x = r->restore;
    CHECK(x != NULL);
    if (!naming_is_namespace(name, strlen(name)) || strcmp(x->last_quota, name) >= 0) {
        return ST_CORRUPT;
    }
    memcpy(x->last_quota, name, strlen(name) + 1);
    namespaces_set_quota(r, name, quota);
    return ST_OK;
}

enum status registry_restore_check(struct registry *r, struct record *record, uint64_t renewed_ms,
                                   uint64_t deadline_ms)
{
    struct restore *x = r->restore;
    CHECK(x != NULL && record->references == 1);
    if (record->index > x->head.index || renewed_ms > x->head.now_ms ||
        (x->last_check != NULL && strcmp(record_id(x->last_check), record_id(record)) >= 0) ||
        !checks_is_check(record_id(record)) || !namespace_is_stored(record_id(record)) ||
        record_name(record)[0] != '\0' || !leases_take_this_slot(&r->leases, record->slot)) {
        return ST_CORRUPT;
    }
    x->last_check = record;
    (void)registry_lease_out(r, record, renewed_ms, deadline_ms);
    ptree_append(&r->work.checks, &r->records_kind, record);
    return ST_OK;
}

enum status registry_restore_end(struct registry *r)
{
    struct restore *x = r->restore;
    CHECK(x != NULL);
    if (ptree_count(&r->work.instances) != x->head.instances ||
        r->work.services_count != x->head.services || x->services_count != x->head.services ||
        r->work.events_last != x->head.events_last ||
        ptree_count(&r->work.checks) != x->head.checks ||
        ptree_count(&r->work.tokens) != x->head.tokens || r->work.quotas_count != x->head.quotas) {
        return ST_CORRUPT;
    }
    ptree_settle(&r->work.instances, &r->records_kind);
    ptree_settle(&r->work.services, &r->services_kind);
    ptree_settle(&r->work.checks, &r->records_kind);
    ptree_settle(&r->work.tokens, &r->tokens_kind);
    if (checks_verify(r) != NULL || places_verify(r) != NULL) {
        return ST_CORRUPT;
    }
    registry_make_table(r);
    r->work.catalog_index = x->head.catalog_index;
    r->work.changed_index = x->head.changed_index;
    r->work.services_index = x->head.services_index;
    registry_publish(r); /* while r->restore is set, nobody reads what it replaces */
    restore_free(r, NULL);
    return ST_OK;
}
