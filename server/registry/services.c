#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/registry/internal.h"
#include "server/registry/mix.h"
#include "server/registry/size.h"

static void touch_name(struct registry *r, const char *name)
{
    if (r->touched_count == r->touched_capacity) {
        r->touched_capacity = r->touched_capacity > 0 ? r->touched_capacity * 2 : 16;
        r->touched = mem_realloc(r->touched, r->touched_capacity * sizeof *r->touched);
    }
    r->touched[r->touched_count++] = mem_strdup(name);
}

static void retire_view(struct registry *r, struct service_view *view)
{
    /* RETIRED_SERVICE makes registry_free_retired() release its rendered text too. */
    retire_memory(r, view, RETIRED_SERVICE, retire_must_keep_epoch(r, view->epoch));
}

void services_free_view(struct service_view *view)
{
    struct rendered *text = atomic_load_explicit(&view->rendered, memory_order_relaxed);
    if (text != NULL) {
        rendered_unref(text); /* responses in flight hold their own reference */
    }
    free(view);
}

static uint64_t service_hash(const struct service_view *service)
{
    return mix64(mix_bytes(service->name, strlen(service->name)) ^ service->index);
}

/* Adds it to the hash and the size of the state. */
static void count_service(struct registry *r, const struct service_view *service)
{
    r->services_sum += service_hash(service);
    r->services_size += size_service(service->name, service->index);
}

static void uncount_service(struct registry *r, const struct service_view *service)
{
    r->services_sum -= service_hash(service);
    r->services_size -= size_service(service->name, service->index);
}

static void set_index(struct registry *r, struct service_view *service, uint64_t index)
{
    uncount_service(r, service);
    service->index = index;
    count_service(r, service);
}

struct service_view *services_make_view(struct registry *r, const char *name)
{
    struct service_view *service = mem_zalloc(1, sizeof *service + strlen(name) + 1);
    memcpy(service->name, name, strlen(name) + 1);
    service->epoch = r->services_kind.epoch;
    atomic_init(&service->rendered, NULL);
    return service;
}

void services_first_index(struct registry *r, struct service_view *service, uint64_t index)
{
    service->index = index;
    count_service(r, service);
}

/* Returns the service in a version that this entry may change: copied if published, made if new. */
static struct service_view *touch(struct registry *r, const char *name)
{
    struct service_view *old = ptree_find(&r->work.services, &r->services_kind, name);
    if (old != NULL && old->epoch == r->services_kind.epoch) {
        set_index(r, old, r->work.index);
        return old;
    }
    struct service_view *copy = services_make_view(r, name);
    if (old != NULL) {
        copy->instances = old->instances;
        copy->tags = old->tags;
        copy->types = old->types;
        memcpy(copy->counts, old->counts, sizeof copy->counts);
        uncount_service(r, old);
    } else {
        r->work.services_count++;
        namespaces_count_service(r, name, 1);
    }
    services_first_index(r, copy, r->work.index);
    void *replaced = ptree_put(&r->work.services, &r->services_kind, copy);
    CHECK(replaced == old);
    if (old != NULL) {
        retire_view(r, old);
    }
    touch_name(r, name);
    return copy;
}

static void tally_change(struct registry *r, struct ptree *tallies, const char *text, int change)
{
    if (text[0] == '\0') {
        return;
    }
    struct tally *old = ptree_find(tallies, &r->tallies_kind, text);
    uint32_t count = (old != NULL ? old->count : 0) + (uint32_t)change;
    if (count > 0 && old != NULL && old->epoch == r->tallies_kind.epoch) {
        old->count = count; /* not published yet */
        return;
    }
    if (count == 0) {
        ptree_remove(tallies, &r->tallies_kind, text);
    } else {
        struct tally *new = mem_alloc(sizeof *new + strlen(text) + 1);
        new->epoch = r->tallies_kind.epoch;
        new->count = count;
        memcpy(new->text, text, strlen(text) + 1);
        ptree_put(tallies, &r->tallies_kind, new);
    }
    if (old == NULL || count == 0) {
        r->work.services_index = r->work.index;
    }
    if (old != NULL) {
        retire_memory(r, old, RETIRED_PLAIN, false); /* snapshots do not read it */
    }
}

static void tally_all(struct registry *r, struct service_view *service, const struct record *record,
                      int change)
{
    const char *tag = record_tags(record);
    for (unsigned i = 0; i < record->tags_count; i++) {
        tally_change(r, &service->tags, tag, change);
        tag += strlen(tag) + 1;
    }
    tally_change(r, &service->types, record_type(record), change);
}

static void count(struct registry *r, struct service_view *service, const struct record *record,
                  int change)
{
    enum health health = record_health(record);
    service->counts[health] += (uint32_t)change;
    r->work.counts[health] += (uint32_t)change;
}

void services_count(struct registry *r, struct service_view *service, const struct record *record)
{
    tally_all(r, service, record, 1);
    count(r, service, record, 1);
    types_add(r, record);
}

void services_add(struct registry *r, struct record *record)
{
    struct service_view *service = touch(r, record_name(record));
    void *replaced = ptree_put(&service->instances, &r->records_kind, record);
    CHECK(replaced == NULL);
    tally_all(r, service, record, 1);
    count(r, service, record, 1);
    types_add(r, record);
    r->work.services_index = r->work.index;
}

void services_remove(struct registry *r, struct record *record)
{
    struct service_view *service = touch(r, record_name(record));
    void *removed = ptree_remove(&service->instances, &r->records_kind, record_id(record));
    CHECK(removed == record);
    tally_all(r, service, record, -1);
    count(r, service, record, -1);
    types_remove(r, record);
    r->work.services_index = r->work.index;
    if (ptree_count(&service->instances) == 0) {
        ptree_remove(&r->work.services, &r->services_kind, service->name);
        ptree_clear(&service->instances, &r->records_kind);
        ptree_clear(&service->tags, &r->tallies_kind);
        ptree_clear(&service->types, &r->tallies_kind);
        r->work.services_count--;
        namespaces_count_service(r, service->name, -1);
        uncount_service(r, service);
        r->work.extinct_index = r->work.index;
        retire_view(r, service);
    }
}

static bool same_tags_and_type(const struct record *a, const struct record *b)
{
    size_t a_len = (size_t)(a->metadata - a->tags);
    return strcmp(record_type(a), record_type(b)) == 0 && a->tags_count == b->tags_count &&
           a_len == (size_t)(b->metadata - b->tags) &&
           memcmp(record_tags(a), record_tags(b), a_len) == 0;
}

void services_replace(struct registry *r, struct record *old, struct record *new)
{
    if (strcmp(record_name(old), record_name(new)) != 0) {
        services_remove(r, old);
        services_add(r, new);
        return;
    }
    struct service_view *service = touch(r, record_name(new));
    void *replaced = ptree_put(&service->instances, &r->records_kind, new);
    CHECK(replaced == old);
    if (!same_tags_and_type(old, new)) {
        tally_all(r, service, new, 1);
        tally_all(r, service, old, -1);
    }
    if (old->expired != new->expired || strcmp(record_type(old), record_type(new)) != 0) {
        types_remove(r, old);
        types_add(r, new);
    }
    if (record_health(old) != record_health(new)) {
        count(r, service, old, -1);
        count(r, service, new, 1);
        r->work.services_index = r->work.index;
    }
}
