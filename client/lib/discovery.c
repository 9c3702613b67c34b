/* Copies of the services that were asked about, each kept current by an event stream of its own.
 *
 * Thread: the functions of the public header come on any; all else on the background thread. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/client.h"
#include "client/lib/instance.h"
#include "client/lib/random.h"
#include "server/base/clock.h"

/* A stream that stands says something every 15 s. */
#define CURRENT_MS 20000

struct muster_follow {
    struct service *service;
    muster_follow_cb on_change;
    void *ctx;
    struct muster_follow *next;
    bool fresh;         /* has not been told what is there */
    bool running;       /* the callback */
    _Atomic bool ended; /* is not called any more */
};

struct service {
    struct service *next;
    struct muster *muster;
    char *name;
    /* under the mutex; the background thread alone changes the set */
    struct instance_set live;
    bool synced;             /* ever: `live` is a copy */
    bool current;            /* and the stream stands */
    bool vain;               /* all replicas were asked, and none answered */
    enum muster_error error; /* the registry refuses the question, or there was no memory */
    uint64_t turn;           /* of round robin */
    struct muster_follow *follows;
    bool has_fresh;
    _Atomic uint64_t fresh_ms; /* when the copy was last known to be current */
    /* background thread */
    struct event_stream stream;
    bool started;
    struct instance_set staging; /* the copy that is being received */
    bool is_staging;
};

/* --- telling others --- */

/* With the mutex, which is away while it calls back: of one follow at a time. */
static void begin_telling(struct muster *muster, struct muster_follow *follow)
{
    follow->running = true;
    pthread_mutex_unlock(&muster->mutex);
}

static void end_telling(struct muster *muster, struct muster_follow *follow)
{
    pthread_mutex_lock(&muster->mutex);
    /* muster_unfollow() takes it out of the list only after this, and with the mutex. */
    follow->running = false;
    pthread_cond_broadcast(&muster->changed);
}

static void tell(struct service *service, enum muster_change change,
                 const struct muster_instance *instance)
{
    struct muster *muster = service->muster;
    pthread_mutex_lock(&muster->mutex);
    for (struct muster_follow *follow = service->follows; follow != NULL; follow = follow->next) {
        if (!follow->fresh && !follow->ended) {
            begin_telling(muster, follow);
            follow->on_change(follow->ctx, change, instance);
            end_telling(muster, follow);
        }
    }
    pthread_mutex_unlock(&muster->mutex);
}

/* With the mutex: tells those that are new what is there. */
static void tell_fresh(struct service *service)
{
    struct muster *muster = service->muster;
    for (struct muster_follow *follow = service->follows; follow != NULL; follow = follow->next) {
        if (!follow->fresh || follow->ended) {
            continue;
        }
        follow->fresh = false;
        begin_telling(muster, follow);
        for (size_t i = 0; i < service->live.count && !follow->ended; i++) {
            follow->on_change(follow->ctx, MUSTER_PRESENT, service->live.instances[i]);
        }
        if (!follow->ended) {
            follow->on_change(follow->ctx, MUSTER_SYNCED, NULL);
        }
        end_telling(muster, follow);
    }
}

static bool same(const struct muster_instance *a, const struct muster_instance *b)
{
    return a->index == b->index && a->incarnation == b->incarnation && a->health == b->health;
}

/* Tells what has changed from one copy to the next. */
static void tell_differences(struct service *service, const struct instance_set *before)
{
    const struct instance_set *now = &service->live;
    size_t i = 0, k = 0;
    while (i < before->count || k < now->count) {
        int order = i == before->count ? 1
                    : k == now->count  ? -1
                                       : strcmp(before->instances[i]->id, now->instances[k]->id);
        if (order < 0) {
            tell(service, MUSTER_REMOVED, before->instances[i++]);
        } else if (order > 0) {
            tell(service, MUSTER_PRESENT, now->instances[k++]);
        } else {
            if (!same(before->instances[i], now->instances[k])) {
                tell(service, MUSTER_PRESENT, now->instances[k]);
            }
            i++;
            k++;
        }
    }
    tell(service, MUSTER_SYNCED, NULL);
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
    pthread_mutex_lock(&service->muster->mutex);
    struct instance_set *set = service->is_staging ? &service->staging : &service->live;
    bool taken = change_set(service, set, change, instance);
    pthread_mutex_unlock(&service->muster->mutex);
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
    pthread_mutex_lock(&service->muster->mutex);
    if (service->is_staging) {
        service->live = service->staging;
        service->staging = (struct instance_set){.count = 0};
    }
    service->synced = service->current = true;
    atomic_store(&service->fresh_ms, clock_monotonic_ms());
    pthread_cond_broadcast(&service->muster->changed);
    pthread_mutex_unlock(&service->muster->mutex);
    if (service->is_staging) {
        service->is_staging = false;
        tell_differences(service, &before);
        instance_set_done(&before);
    }
}

static void set_current(struct service *service, bool current)
{
    pthread_mutex_lock(&service->muster->mutex);
    service->vain = false;
    service->current = current;
    pthread_mutex_unlock(&service->muster->mutex);
}

static void take_fault(struct service *service, enum muster_error error, bool vain)
{
    pthread_mutex_lock(&service->muster->mutex);
    service->current = false;
    service->error = error;
    service->vain = service->vain || vain;
    pthread_cond_broadcast(&service->muster->changed);
    pthread_mutex_unlock(&service->muster->mutex);
}

static void on_item(void *ctx, const struct stream_item *item)
{
    struct service *service = ctx;
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
    struct muster *muster = service->muster;
    const struct stream_options options = {.service = service->name, .snapshot = true};
    service->started = true;
    if (!event_stream_start(&service->stream, &muster->loop, &muster->servers,
                            (size_t)random_below(muster->servers.count), &options)) {
        service->error = MUSTER_NO_MEMORY;
        pthread_cond_broadcast(&muster->changed);
    }
}

/* With the mutex, which it gives away while it calls back. New services come in front only. */
void discovery_work(struct muster *muster)
{
    struct service *service = muster->discovery.services;
    for (; service != NULL; service = service->next) {
        if (!service->started) {
            start(service);
        }
        if (service->stream.up && service->stream.synced) {
            atomic_store(&service->fresh_ms, service->stream.heard_ms);
        }
        if (service->has_fresh && service->synced) {
            service->has_fresh = false;
            tell_fresh(service);
        }
    }
}

void discovery_stop(struct muster *muster)
{
    while (muster->discovery.services != NULL) {
        struct service *service = muster->discovery.services;
        muster->discovery.services = service->next;
        while (service->follows != NULL) {
            struct muster_follow *next = service->follows->next;
            free(service->follows);
            service->follows = next;
        }
        event_stream_stop(&service->stream);
        instance_set_done(&service->live);
        instance_set_done(&service->staging);
        free(service->name);
        free(service);
    }
}

/* --- any thread --- */

/* With the mutex. NULL, with why, when it is not there and cannot be. */
static struct service *find_service(struct muster *muster, const char *name,
                                    enum muster_error *ret_error)
{
    struct discovery *discovery = &muster->discovery;
    struct service *service = discovery->services;
    while (service != NULL && strcmp(service->name, name) != 0) {
        service = service->next;
    }
    if (service != NULL) {
        return service;
    }
    if (discovery->count == SERVICES_MAX) {
        *ret_error = MUSTER_TOO_MANY;
        return NULL;
    }
    service = calloc(1, sizeof *service);
    char *copy = service != NULL ? strdup(name) : NULL;
    if (copy == NULL) {
        free(service);
        *ret_error = MUSTER_NO_MEMORY;
        return NULL;
    }
    service->name = copy;
    service->muster = muster;
    service->stream.on_item = on_item;
    service->stream.ctx = service;
    service->next = discovery->services;
    discovery->services = service;
    discovery->count++;
    loop_wake(&muster->loop);
    return service;
}

static bool has_fallback(const struct muster *muster)
{
    return muster->fallback_host[0] != '\0';
}

/* With the mutex: waits until there is a copy, or none is to be had. */
static enum muster_error await_copy(struct service *service, uint32_t timeout_ms)
{
    struct muster *muster = service->muster;
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    while (!service->synced && service->error == MUSTER_OK) {
        /* With another address to go to, one round through all replicas is enough. */
        if ((service->vain && has_fallback(muster)) || !client_await(muster, deadline_ms)) {
            break;
        }
    }
    if (service->synced) {
        return MUSTER_OK;
    }
    if (service->error != MUSTER_OK) {
        return service->error;
    }
    return service->vain ? MUSTER_UNREACHABLE : MUSTER_TIMED_OUT;
}

/* With the mutex. */
static uint64_t age_of(const struct service *service)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t age_ms = clock_elapsed(atomic_load(&service->fresh_ms), now_ms);
    return service->current && age_ms < CURRENT_MS ? 0 : age_ms;
}

static enum muster_error give_fallback(const struct muster *muster, const char *service,
                                       struct muster_found *ret_found)
{
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:i, s:s}", "id", "fallback", "name", service, "host",
                  muster->fallback_host, "port", (int)muster->fallback_port, "health", "passing");
    const struct muster_instance *instance = instance_make(json);
    json_decref(json);
    if (instance == NULL) {
        return MUSTER_NO_MEMORY;
    }
    *ret_found = (struct muster_found){.instance = instance, .source = MUSTER_FROM_FALLBACK};
    return MUSTER_OK;
}

static bool is_service_name(const char *name)
{
    return name != NULL && *name != '\0' && strlen(name) <= NAME_BYTES_MAX;
}

/* With the mutex. */
static enum muster_error discover(struct muster *muster, const struct muster_query *query,
                                  uint32_t timeout_ms, struct muster_found *ret_found)
{
    enum muster_error error = MUSTER_OK;
    struct service *service = find_service(muster, query->service, &error);
    if (service == NULL) {
        return error;
    }
    error = await_copy(service, timeout_ms);
    if ((error == MUSTER_UNREACHABLE || error == MUSTER_TIMED_OUT) && has_fallback(muster)) {
        return give_fallback(muster, query->service, ret_found);
    }
    if (error != MUSTER_OK) {
        return error;
    }
    const struct muster_instance *instance =
        instance_set_choose(&service->live, query, &service->turn);
    if (instance == NULL) {
        return MUSTER_NOT_FOUND;
    }
    *ret_found = (struct muster_found){.instance = muster_instance_ref(instance),
                                       .age_ms = age_of(service),
                                       .source = MUSTER_FROM_REGISTRY};
    return MUSTER_OK;
}

enum muster_error muster_discover(struct muster *muster, const struct muster_query *query,
                                  uint32_t timeout_ms, struct muster_found *ret_found)
{
    if (muster == NULL || ret_found == NULL || query == NULL || query->size < sizeof *query ||
        !is_service_name(query->service) || query->strategy > MUSTER_WEIGHTED) {
        return MUSTER_INVALID;
    }
    enum muster_error error = client_check(muster, timeout_ms);
    if (error != MUSTER_OK) {
        return error;
    }
    pthread_mutex_lock(&muster->mutex);
    error = discover(muster, query, timeout_ms, ret_found);
    pthread_mutex_unlock(&muster->mutex);
    return error;
}

/* With the mutex. */
static enum muster_error list(struct service *service, struct muster_list *ret_list)
{
    size_t count = service->live.count;
    const struct muster_instance **copy = calloc(count > 0 ? count : 1, sizeof *copy);
    if (copy == NULL) {
        return MUSTER_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        copy[i] = muster_instance_ref(service->live.instances[i]);
    }
    *ret_list = (struct muster_list){.instances = copy, .count = count, .age_ms = age_of(service)};
    return MUSTER_OK;
}

enum muster_error muster_list(struct muster *muster, const char *service, uint32_t timeout_ms,
                              struct muster_list *ret_list)
{
    if (muster == NULL || ret_list == NULL || !is_service_name(service)) {
        return MUSTER_INVALID;
    }
    enum muster_error error = client_check(muster, timeout_ms);
    if (error != MUSTER_OK) {
        return error;
    }
    pthread_mutex_lock(&muster->mutex);
    struct service *found = find_service(muster, service, &error);
    if (found != NULL) {
        error = await_copy(found, timeout_ms);
        error = error == MUSTER_OK ? list(found, ret_list) : error;
    }
    pthread_mutex_unlock(&muster->mutex);
    return error;
}

void muster_list_free(struct muster_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        muster_instance_unref(list->instances[i]);
    }
    free((void *)(uintptr_t)list->instances);
    *list = (struct muster_list){.count = 0};
}

enum muster_error muster_follow(struct muster *muster, const char *service,
                                muster_follow_cb on_change, void *ctx,
                                struct muster_follow **ret_follow)
{
    if (muster == NULL || on_change == NULL || ret_follow == NULL || !is_service_name(service)) {
        return MUSTER_INVALID;
    }
    enum muster_error error = client_check(muster, 0);
    if (error != MUSTER_OK) {
        return error;
    }
    struct muster_follow *follow = calloc(1, sizeof *follow);
    if (follow == NULL) {
        return MUSTER_NO_MEMORY;
    }
    pthread_mutex_lock(&muster->mutex);
    struct service *found = find_service(muster, service, &error);
    if (found != NULL && muster->discovery.follows == FOLLOWS_MAX) {
        error = MUSTER_TOO_MANY;
    }
    if (found != NULL && error == MUSTER_OK) {
        follow->service = found;
        follow->on_change = on_change;
        follow->ctx = ctx;
        follow->fresh = found->has_fresh = true;
        follow->next = found->follows;
        found->follows = follow;
        muster->discovery.follows++;
        *ret_follow = follow;
    } else {
        free(follow);
    }
    pthread_mutex_unlock(&muster->mutex);
    loop_wake(&muster->loop);
    return error;
}

enum muster_error muster_unfollow(struct muster_follow *follow)
{
    if (follow == NULL) {
        return MUSTER_OK;
    }
    struct muster *muster = follow->service->muster;
    enum muster_error error = client_check(muster, 1);
    if (error != MUSTER_OK) {
        return error;
    }
    pthread_mutex_lock(&muster->mutex);
    follow->ended = true;
    while (follow->running) {
        (void)pthread_cond_wait(&muster->changed, &muster->mutex);
    }
    struct muster_follow **link = &follow->service->follows;
    while (*link != follow) {
        link = &(*link)->next;
    }
    *link = follow->next;
    muster->discovery.follows--;
    pthread_mutex_unlock(&muster->mutex);
    free(follow);
    return MUSTER_OK;
}
