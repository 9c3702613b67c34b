#include "client/lib/service.h"

#include <stdlib.h>
#include <string.h>

#include "client/lib/instance.h"
#include "client/lib/random.h"
#include "server/base/clock.h"

/* A stream that is up sends something at least every 15 s. */
#define CURRENT_MS 20000

/* --- telling others --- */

/* Requires the mutex, which is away while it calls back: of one follow at a time. */
static void begin_telling(struct core *core, struct muster_follow *follow)
{
    follow->running = true;
    pthread_mutex_unlock(&core->mutex);
}

static void end_telling(struct core *core, struct muster_follow *follow)
{
    pthread_mutex_lock(&core->mutex);
    /* muster_unfollow() takes it out of the list only after this, and with the mutex. */
    follow->running = false;
    pthread_cond_broadcast(&core->changed);
}

/* Requires the mutex. Leaves it to muster_dispatch() to find out what has changed. */
static void note_news(struct service *service)
{
    if (service->follows != NULL) {
        service->news = true;
        core_signal(service->core);
    }
}

static void tell(struct service *service, enum muster_change change,
                 const struct muster_instance *instance)
{
    struct core *core = service->core;
    pthread_mutex_lock(&core->mutex);
    if (core_uses_dispatch(core)) {
        note_news(service);
        pthread_mutex_unlock(&core->mutex);
        return;
    }
    for (struct muster_follow *follow = service->follows; follow != NULL; follow = follow->next) {
        if (!follow->fresh && !follow->ended) {
            begin_telling(core, follow);
            follow->on_change(follow->ctx, change, instance);
            end_telling(core, follow);
        }
    }
    pthread_mutex_unlock(&core->mutex);
}

/* Requires the mutex: tells those that are new what is there. */
static void tell_fresh(struct service *service)
{
    struct core *core = service->core;
    for (struct muster_follow *follow = service->follows; follow != NULL; follow = follow->next) {
        if (!follow->fresh || follow->ended) {
            continue;
        }
        follow->fresh = false;
        begin_telling(core, follow);
        for (size_t i = 0; i < service->live.count && !follow->ended; i++) {
            follow->on_change(follow->ctx, MUSTER_PRESENT, service->live.instances[i]);
        }
        if (!follow->ended) {
            follow->on_change(follow->ctx, MUSTER_SYNCED, NULL);
        }
        end_telling(core, follow);
    }
}

static bool same(const struct muster_instance *a, const struct muster_instance *b)
{
    return a->index == b->index && a->incarnation == b->incarnation && a->health == b->health;
}

typedef void (*visit_difference)(void *ctx, enum muster_change change,
                                 const struct muster_instance *instance);

/* Walks through what has changed from one copy to the next, by id. After events were missed nobody
 * knows what happened in between: what is new or different is `present` then. */
static void walk_differences(const struct instance_set *before, const struct instance_set *now,
                             bool missed, visit_difference visit, void *ctx)
{
    size_t i = 0, k = 0;
    while (i < before->count || k < now->count) {
        int order = i == before->count ? 1
                    : k == now->count  ? -1
                                       : strcmp(before->instances[i]->id, now->instances[k]->id);
        if (order < 0) {
            visit(ctx, MUSTER_REMOVED, before->instances[i++]);
        } else if (order > 0) {
            visit(ctx, missed ? MUSTER_PRESENT : MUSTER_ADDED, now->instances[k++]);
        } else {
            const struct muster_instance *old = before->instances[i++], *new = now->instances[k++];
            if (old != new && !same(old, new)) {
                visit(ctx,
                      missed                       ? MUSTER_PRESENT
                      : old->health != new->health ? MUSTER_HEALTH_CHANGED
                                                   : MUSTER_UPDATED,
                      new);
            }
        }
    }
}

static void tell_all(void *ctx, enum muster_change change, const struct muster_instance *instance)
{
    tell(ctx, change, instance);
}

static void tell_one(void *ctx, enum muster_change change, const struct muster_instance *instance)
{
    struct muster_follow *follow = ctx;
    if (!follow->ended) {
        follow->on_change(follow->ctx, change, instance);
    }
}

bool service_dispatch(struct service *service)
{
    struct core *core = service->core;
    if (!service->news || !service->synced) {
        return true;
    }
    service->news = false;
    for (struct muster_follow *follow = service->follows; follow != NULL; follow = follow->next) {
        struct instance_set now = {.count = 0};
        bool missed = follow->syncs != service->syncs;
        if (follow->ended) {
            continue;
        }
        if (!instance_set_copy(&now, &service->live)) {
            note_news(service);
            return false;
        }
        follow->syncs = service->syncs;
        begin_telling(core, follow);
        walk_differences(&follow->seen, &now, missed, tell_one, follow);
        if (missed) {
            tell_one(follow, MUSTER_SYNCED, NULL);
        }
        instance_set_done(&follow->seen);
        follow->seen = now;
        end_telling(core, follow);
    }
    return true;
}

/* --- what the stream says --- */

static enum muster_change change_of(const json_t *event)
{
    static const struct {
        const char *name;
        enum muster_change change;
    } rows[] = {
        {"registered", MUSTER_ADDED},       {"updated", MUSTER_UPDATED},
        {"deregistered", MUSTER_REMOVED},   {"reaped", MUSTER_REMOVED},
        {"expired", MUSTER_HEALTH_CHANGED}, {"recovered", MUSTER_HEALTH_CHANGED},
        {"health", MUSTER_HEALTH_CHANGED},  {"maintenance", MUSTER_HEALTH_CHANGED},
    };
    const char *name = json_string_value(json_object_get(event, "event"));
    for (size_t i = 0; name != NULL && i < ARRAY_LENGTH(rows); i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return rows[i].change;
        }
    }
    return MUSTER_UPDATED;
}

/* Takes the reference. An instance that has moved to another service is no longer one of this. */
static bool change_set(const struct service *service, struct instance_set *set,
                       enum muster_change change, const struct muster_instance *instance)
{
    if (change == MUSTER_REMOVED || strcmp(instance->name, service->name) != 0) {
        instance_set_remove(set, instance->id);
        muster_instance_unref(instance);
        return true;
    }
    if (!instance_set_put(set, instance)) {
        muster_instance_unref(instance);
        return false;
    }
    return true;
}

static void take_instance(struct service *service, const json_t *event, enum muster_change change)
{
    const struct muster_instance *instance = instance_make(json_object_get(event, "instance"));
    if (instance == NULL) {
        event_stream_fail(&service->stream, "it sent an instance that cannot be understood");
        return;
    }
    muster_instance_ref(instance);
    pthread_mutex_lock(&service->core->mutex);
    struct instance_set *set = service->is_staging ? &service->staging : &service->live;
    bool taken = change_set(service, set, change, instance);
    pthread_mutex_unlock(&service->core->mutex);
    if (!taken) {
        event_stream_fail(&service->stream, "there is no memory for what it sends");
    } else if (!service->is_staging) {
        tell(service, change, instance);
    }
    muster_instance_unref(instance);
}

static void take_synced(struct service *service)
{
    struct instance_set before = service->live;
    pthread_mutex_lock(&service->core->mutex);
    if (service->is_staging) {
        service->live = service->staging;
        service->staging = (struct instance_set){.count = 0};
        service->syncs++;
    }
    service->synced = service->current = true;
    atomic_store(&service->fresh_ms, clock_monotonic_ms());
    pthread_cond_broadcast(&service->core->changed);
    pthread_mutex_unlock(&service->core->mutex);
    if (service->is_staging) {
        service->is_staging = false;
        walk_differences(&before, &service->live, true, tell_all, service);
        tell(service, MUSTER_SYNCED, NULL);
        instance_set_done(&before);
    }
}

static void set_current(struct service *service, bool current)
{
    pthread_mutex_lock(&service->core->mutex);
    service->all_failed = false;
    service->current = current;
    pthread_mutex_unlock(&service->core->mutex);
}

static void take_fault(struct service *service, enum muster_error error, bool all_failed)
{
    pthread_mutex_lock(&service->core->mutex);
    service->current = false;
    service->error = error;
    service->all_failed = service->all_failed || all_failed;
    pthread_cond_broadcast(&service->core->changed);
    pthread_mutex_unlock(&service->core->mutex);
}

static void log_item(const struct service *service, const struct stream_item *item)
{
    const struct core *core = service->core;
    switch (item->kind) {
    case STREAM_UP:
        core_log(core, MUSTER_LOG_INFO, "service %s: following %s", service->name, item->server);
        break;
    case STREAM_DOWN:
        core_log(core, MUSTER_LOG_WARNING, "service %s: %s: %s", service->name, item->server,
                 item->text);
        break;
    case STREAM_REFUSED:
        core_log(core, MUSTER_LOG_ERROR, "service %s: refused: %s", service->name, item->text);
        break;
    case STREAM_RESET:
        core_log(core, MUSTER_LOG_WARNING, "service %s: events were missed: %s", service->name,
                 item->text);
        break;
    case STREAM_BEGIN:
    case STREAM_PRESENT:
    case STREAM_EVENT:
    case STREAM_SYNCED:
        break;
    }
}

static void on_item(void *ctx, const struct stream_item *item)
{
    struct service *service = ctx;
    log_item(service, item);
    switch (item->kind) {
    case STREAM_UP:
        set_current(service, service->stream.synced);
        break;
    case STREAM_BEGIN:
        instance_set_done(&service->staging);
        service->is_staging = true;
        set_current(service, false);
        break;
    case STREAM_PRESENT:
        take_instance(service, item->json, MUSTER_PRESENT);
        break;
    case STREAM_EVENT:
        take_instance(service, item->json, change_of(item->json));
        break;
    case STREAM_SYNCED:
        take_synced(service);
        break;
    case STREAM_DOWN:
        take_fault(service, MUSTER_OK, item->again);
        break;
    case STREAM_REFUSED:
        take_fault(service, MUSTER_REFUSED, false);
        break;
    case STREAM_RESET:
        break; /* a snapshot follows */
    }
    if (service->stream.up && service->stream.synced) {
        atomic_store(&service->fresh_ms, clock_monotonic_ms());
    }
}

/* --- the background thread --- */

static void start(struct service *service)
{
    struct core *core = service->core;
    const struct stream_options options = {.service = service->name, .snapshot = true};
    service->started = true;
    if (!event_stream_start(&service->stream, &core->loop, &core->servers,
                            (size_t)random_below(core->servers.count), &options)) {
        service->error = MUSTER_NO_MEMORY;
        pthread_cond_broadcast(&core->changed);
    }
}

void service_work(struct service *service)
{
    if (!service->started) {
        start(service);
    }
    if (service->stream.up && service->stream.synced) {
        atomic_store(&service->fresh_ms, service->stream.heard_ms);
    }
    if (service->has_fresh && service->synced) {
        service->has_fresh = false;
        if (core_uses_dispatch(service->core)) {
            note_news(service);
        } else {
            tell_fresh(service);
        }
    }
}

struct service *service_create(struct core *core, const char *name)
{
    struct service *service = calloc(1, sizeof *service);
    char *copy = service != NULL ? strdup(name) : NULL;
    if (copy == NULL) {
        free(service);
        return NULL;
    }
    service->name = copy;
    service->core = core;
    service->stream.on_item = on_item;
    service->stream.ctx = service;
    return service;
}

void service_free_follow(struct muster_follow *follow)
{
    instance_set_done(&follow->seen);
    free(follow);
}

void service_destroy(struct service *service)
{
    while (service->follows != NULL) {
        struct muster_follow *next = service->follows->next;
        service_free_follow(service->follows);
        service->follows = next;
    }
    event_stream_stop(&service->stream);
    instance_set_done(&service->live);
    instance_set_done(&service->staging);
    free(service->name);
    free(service);
}

/* --- any thread --- */

enum muster_error service_await_copy(struct service *service, uint32_t timeout_ms, bool impatient)
{
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    while (!service->synced && service->error == MUSTER_OK) {
        if ((service->all_failed && impatient) || !core_await(service->core, deadline_ms)) {
            break;
        }
    }
    if (service->synced) {
        return MUSTER_OK;
    }
    if (service->error != MUSTER_OK) {
        return service->error;
    }
    return service->all_failed ? MUSTER_UNREACHABLE : MUSTER_TIMED_OUT;
}

uint64_t service_age_ms(const struct service *service)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t age_ms = clock_elapsed(atomic_load(&service->fresh_ms), now_ms);
    return service->current && age_ms < CURRENT_MS ? 0 : age_ms;
}
