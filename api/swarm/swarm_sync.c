#include "api/swarm/swarm_sync.h"

#include <stdlib.h>
#include <string.h>

#include "api/core/swarm_entry.h"
#include "api/swarm/swarm_record.h"
#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/registry/view.h"

/* A lease that is older is renewed, long before it ends. */
#define RENEW_AFTER_MS (SWARM_TTL_MS / 24)

/* What is to be written, found with a view and written without it. */
struct plan {
    struct {
        size_t *at;
        size_t count;
    } services, tasks; /* to be put: indexes of the listing */
    struct removal {
        bool is_service;
        uint64_t incarnation;
        char id[NAME_BYTES_MAX + 1];
    } * removals;
    size_t removals_count, removals_room;
};

static void add_removal(struct plan *p, const struct record *record, bool is_service)
{
    if (p->removals_count == p->removals_room) {
        p->removals_room = p->removals_room > 0 ? 2 * p->removals_room : 16;
        p->removals = mem_realloc(p->removals, p->removals_room * sizeof *p->removals);
    }
    struct removal *r = &p->removals[p->removals_count++];
    const char *id = namespace_bare(record_id(record));
    r->is_service = is_service;
    r->incarnation = record->incarnation;
    memcpy(r->id, id, strlen(id) + 1);
}

/* --- what is to be put --- */

/* The record of that id, if it is of this type. */
static const struct record *find(const struct view *view, const char *space, const char *id,
                                 const char *type)
{
    char stored[STORED_NAME_SIZE];
    namespace_store(space, id, stored);
    const struct record *record = stored[0] != '\0' ? view_instance(view, stored) : NULL;
    return record != NULL && strcmp(record_type(record), type) == 0 ? record : NULL;
}

/* The registration as it is stored. */
static bool is_same(const struct record *record, struct registration r, const char *space)
{
    char id[STORED_NAME_SIZE], name[STORED_NAME_SIZE];
    if (space[0] != '\0') {
        struct slice in = {space, strlen(space)};
        if (!namespace_join(in, r.id, NAME_BYTES_MAX, id, &r.id) ||
            !namespace_join(in, r.name, NAME_BYTES_MAX, name, &r.name)) {
            return false;
        }
    }
    return !record->expired && record_same_content(record, &r);
}

static bool is_fresh(const struct view *view, const struct record *record)
{
    uint64_t renewed_ms, deadline_ms;
    view_lease_times(view, record, &renewed_ms, &deadline_ms);
    return view->now_ms < renewed_ms + RENEW_AFTER_MS;
}

static void plan_services(struct plan *p, const struct view *view, const struct swarm_listing *l,
                          struct swarm_synced *synced)
{
    struct swarm_texts texts;
    struct registration r;
    for (size_t i = 0; i < l->services_count; i++) {
        const struct swarm_service *s = &l->services[i];
        if (!s->is_scaled) {
            continue;
        }
        if (!swarm_record_service(s, &texts, &r, &synced->left_out)) {
            synced->left_out++;
            continue;
        }
        const struct record *record = find(view, SWARM_SPACE, s->id, SWARM_TYPE_SERVICE);
        bool same = record != NULL && is_same(record, r, SWARM_SPACE);
        synced->services_changed |= !same;
        if (!same || !is_fresh(view, record)) {
            p->services.at[p->services.count++] = i;
        }
    }
}

static bool is_instance(const struct swarm_task *t)
{
    return t->is_running && t->host[0] != '\0' && !t->service->is_hidden;
}

static void plan_tasks(struct plan *p, const struct view *view, const struct swarm_listing *l,
                       struct swarm_synced *synced)
{
    struct swarm_texts texts;
    struct registration r;
    for (size_t i = 0; i < l->tasks_count; i++) {
        const struct swarm_task *t = &l->tasks[i];
        if (!is_instance(t)) {
            continue;
        }
        if (!swarm_record_task(t, &texts, &r)) {
            synced->left_out++;
            continue;
        }
        const struct record *record = find(view, "", t->id, SWARM_TYPE_TASK);
        if (record == NULL || !is_same(record, r, "") || !is_fresh(view, record)) {
            p->tasks.at[p->tasks.count++] = i;
        }
    }
}

/* --- what is to be removed --- */

static void plan_gone_services(struct plan *p, const struct view *view,
                               const struct swarm_listing *l)
{
    struct ptree_iterator it;
    ptree_iterate(&it, &view->instances,
                  view_rank_of_namespace(view, &view->instances, SWARM_SPACE));
    for (const struct record *r;
         (r = ptree_next(&it)) != NULL && namespace_has(SWARM_SPACE, record_id(r));) {
        const struct swarm_service *s = swarm_entry_is(r, SWARM_TYPE_SERVICE)
                                            ? swarm_listing_service(l, namespace_bare(record_id(r)))
                                            : NULL;
        if (swarm_entry_is(r, SWARM_TYPE_SERVICE) && (s == NULL || !s->is_scaled)) {
            add_removal(p, r, true);
        }
    }
}

static void plan_gone_tasks_of(struct plan *p, const struct service_view *service,
                               const struct swarm_listing *l)
{
    struct ptree_iterator it;
    ptree_iterate(&it, &service->instances, 0);
    for (const struct record *r; (r = ptree_next(&it)) != NULL;) {
        /* Somebody else may use the type; nobody else has this. */
        if (strcmp(record_type(r), SWARM_TYPE_TASK) != 0 ||
            record_metadata_value(r, "swarm.service") == NULL) {
            continue;
        }
        const struct swarm_task *t = swarm_listing_task(l, record_id(r));
        if (t == NULL || !is_instance(t)) {
            add_removal(p, r, false);
        }
    }
}

static void plan_gone_tasks(struct plan *p, const struct view *view, const struct swarm_listing *l)
{
    struct ptree_iterator it;
    ptree_iterate(&it, &view->services, view_rank_of_namespace(view, &view->services, ""));
    for (const struct service_view *s;
         (s = ptree_next(&it)) != NULL && namespace_has("", s->name);) {
        if (view_service_has(view, s, SWARM_TYPE_TASK)) {
            plan_gone_tasks_of(p, s, l);
        }
    }
}

/* --- writing --- */

void swarm_sync_put(struct swarm_writer *w, const char *space, const struct registration *r)
{
    const struct command c = {.kind = COMMAND_REGISTER,
                              .space = {space, strlen(space)},
                              .register_ = {.registration = *r, .health = HEALTH_PASSING}};
    swarm_writer_put(w, &c);
}

static void put_deregister(struct swarm_writer *w, const char *space, const char *id,
                           uint64_t incarnation)
{
    const struct command c = {.kind = COMMAND_DEREGISTER,
                              .space = {space, strlen(space)},
                              .deregister = {.id = {id, strlen(id)}, .incarnation = incarnation}};
    swarm_writer_put(w, &c);
}

void swarm_sync_remove(struct swarm_writer *w, const char *space, const char *id)
{
    put_deregister(w, space, id, 0);
}

/* New ones first: while an update replaces the last task of a service, it never has none. */
static void carry_out(struct swarm_writer *w, const struct plan *p, const struct swarm_listing *l,
                      struct swarm_synced *synced)
{
    struct swarm_texts texts;
    struct registration r;
    size_t ignored = 0;
    for (size_t i = 0; i < p->services.count; i++) {
        const struct swarm_service *s = &l->services[p->services.at[i]];
        if (swarm_record_service(s, &texts, &r, &ignored)) {
            swarm_sync_put(w, SWARM_SPACE, &r);
        }
    }
    for (size_t i = 0; i < p->tasks.count; i++) {
        if (swarm_record_task(&l->tasks[p->tasks.at[i]], &texts, &r)) {
            swarm_sync_put(w, "", &r);
        }
    }
    synced->failed = swarm_writer_wait(w);
    for (size_t i = 0; i < p->removals_count; i++) {
        const struct removal *gone = &p->removals[i];
        put_deregister(w, gone->is_service ? SWARM_SPACE : "", gone->id, gone->incarnation);
        synced->services_changed |= gone->is_service;
    }
    synced->failed += swarm_writer_wait(w);
    synced->put = p->services.count + p->tasks.count;
    synced->removed = p->removals_count;
}

static void plan_done(struct plan *p)
{
    free(p->services.at);
    free(p->tasks.at);
    free(p->removals);
}

void swarm_sync(struct swarm_writer *w, const struct swarm_listing *l,
                struct swarm_synced *ret_synced)
{
    struct plan p = {.removals = NULL};
    *ret_synced = (struct swarm_synced){.left_out = l->left_out};
    p.services.at = mem_alloc((l->services_count + 1) * sizeof *p.services.at);
    p.tasks.at = mem_alloc((l->tasks_count + 1) * sizeof *p.tasks.at);
    const struct view *view = node_view_lock(w->node);
    plan_services(&p, view, l, ret_synced);
    plan_tasks(&p, view, l, ret_synced);
    plan_gone_services(&p, view, l);
    plan_gone_tasks(&p, view, l);
    view_unlock(&view);
    carry_out(w, &p, l, ret_synced);
    plan_done(&p);
}

void swarm_sync_clear(struct swarm_writer *w)
{
    struct plan p = {.removals = NULL};
    struct ptree_iterator it;
    const struct view *view = node_view_lock(w->node);
    ptree_iterate(&it, &view->instances,
                  view_rank_of_namespace(view, &view->instances, SWARM_SPACE));
    for (const struct record *r;
         (r = ptree_next(&it)) != NULL && namespace_has(SWARM_SPACE, record_id(r));) {
        if (swarm_entry_is(r, SWARM_TYPE_SERVICE) || swarm_entry_is(r, SWARM_TYPE_METRICS)) {
            add_removal(&p, r, true);
        }
    }
    view_unlock(&view);
    for (size_t i = 0; i < p.removals_count; i++) {
        put_deregister(w, SWARM_SPACE, p.removals[i].id, p.removals[i].incarnation);
    }
    (void)swarm_writer_wait(w);
    plan_done(&p);
}
