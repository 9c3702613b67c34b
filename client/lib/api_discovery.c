/* The functions of the public header that find and follow others. */
#include <stdlib.h>
#include <string.h>

#include "client/lib/client.h"
#include "client/lib/instance.h"

static bool has_fallback(const struct muster *muster)
{
    return muster->settings.fallback_host[0] != '\0';
}

static enum muster_error give_fallback(const struct muster *muster, const char *service,
                                       struct muster_found *ret_found)
{
    json_t *json = json_pack("{s:s, s:s, s:s, s:i, s:s}", "id", "fallback", "name", service, "host",
                             muster->settings.fallback_host, "port",
                             (int)muster->settings.fallback_port, "health", "passing");
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

/* Requires the mutex. */
static enum muster_error discover(struct muster *muster, const struct muster_query *query,
                                  uint32_t timeout_ms, struct muster_found *ret_found)
{
    enum muster_error error = MUSTER_OK;
    struct service *service = discovery_find(&muster->discovery, query->service, &error);
    if (service == NULL) {
        return error;
    }
    error = service_await_copy(service, timeout_ms, has_fallback(muster));
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
                                       .age_ms = service_age_ms(service),
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
    enum muster_error error = core_check(&muster->core, timeout_ms);
    if (error != MUSTER_OK) {
        return error;
    }
    pthread_mutex_lock(&muster->core.mutex);
    error = discover(muster, query, timeout_ms, ret_found);
    pthread_mutex_unlock(&muster->core.mutex);
    return error;
}

/* Requires the mutex. */
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
    *ret_list =
        (struct muster_list){.instances = copy, .count = count, .age_ms = service_age_ms(service)};
    return MUSTER_OK;
}

enum muster_error muster_list(struct muster *muster, const char *service, uint32_t timeout_ms,
                              struct muster_list *ret_list)
{
    if (muster == NULL || ret_list == NULL || !is_service_name(service)) {
        return MUSTER_INVALID;
    }
    enum muster_error error = core_check(&muster->core, timeout_ms);
    if (error != MUSTER_OK) {
        return error;
    }
    pthread_mutex_lock(&muster->core.mutex);
    struct service *found = discovery_find(&muster->discovery, service, &error);
    if (found != NULL) {
        error = service_await_copy(found, timeout_ms, has_fallback(muster));
        error = error == MUSTER_OK ? list(found, ret_list) : error;
    }
    pthread_mutex_unlock(&muster->core.mutex);
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
    enum muster_error error = core_check(&muster->core, 0);
    if (error != MUSTER_OK) {
        return error;
    }
    struct muster_follow *follow = calloc(1, sizeof *follow);
    if (follow == NULL) {
        return MUSTER_NO_MEMORY;
    }
    pthread_mutex_lock(&muster->core.mutex);
    struct service *found = discovery_find(&muster->discovery, service, &error);
    if (found != NULL && muster->discovery.follows == DISCOVERY_FOLLOWS_MAX) {
        error = MUSTER_TOO_MANY;
    }
    if (found != NULL && error == MUSTER_OK) {
        follow->muster = muster;
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
    pthread_mutex_unlock(&muster->core.mutex);
    loop_wake(&muster->core.loop);
    return error;
}

enum muster_error muster_unfollow(struct muster_follow *follow)
{
    if (follow == NULL) {
        return MUSTER_OK;
    }
    struct muster *muster = follow->muster;
    enum muster_error error = core_check(&muster->core, 1);
    if (error != MUSTER_OK) {
        return error;
    }
    pthread_mutex_lock(&muster->core.mutex);
    follow->ended = true;
    while (follow->running) {
        (void)pthread_cond_wait(&muster->core.changed, &muster->core.mutex);
    }
    struct muster_follow **link = &follow->service->follows;
    while (*link != follow) {
        link = &(*link)->next;
    }
    *link = follow->next;
    muster->discovery.follows--;
    pthread_mutex_unlock(&muster->core.mutex);
    free(follow);
    return MUSTER_OK;
}
