/* The functions of the public header that find and follow others. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/arguments.h"
#include "client/lib/client.h"
#include "client/lib/instance.h"
#include "client/lib/spec.h"

static bool has_fallback(const struct muster *muster)
{
    return muster->core.settings.fallback_host[0] != '\0';
}

static enum muster_error give_fallback(const struct muster *muster, const char *service,
                                       struct muster_found *ret_found)
{
    json_t *json = json_pack("{s:s, s:s, s:s, s:i, s:s}", "id", "fallback", "name", service, "host",
                             muster->core.settings.fallback_host, "port",
                             (int)muster->core.settings.fallback_port, "health", "passing");
    const struct muster_instance *instance = instance_make(json);
    json_decref(json);
    if (instance == NULL) {
        return MUSTER_NO_MEMORY;
    }
    *ret_found = (struct muster_found){.instance = instance, .source = MUSTER_FROM_FALLBACK};
    return MUSTER_OK;
}

static const char *find_name_fault(const char *service)
{
    if (service == NULL || *service == '\0') {
        return "service is missing";
    }
    return spec_find_text_fault(service, NAME_BYTES_MAX, "service is longer than 255 bytes",
                                "service is not UTF-8");
}

#define HEALTH_BITS (MUSTER_HEALTH_BIT(MUSTER_MAINTENANCE + 1) - 1)

/* Sets *ret_query to the caller's query as this version knows it. NULL, or what is wrong. */
static const char *take_query(const struct muster_query *given, uint32_t timeout_ms,
                              struct muster_query *ret_query)
{
    const size_t least = offsetof(struct muster_query, type); /* version 0.1 */
    if (given == NULL) {
        return "query is NULL";
    }
    const char *fault = arguments_copy(ret_query, sizeof *ret_query, least, given);
    if (fault != NULL) {
        return fault;
    }
    const struct muster_query *query = ret_query;
    if (query->strategy > MUSTER_WEIGHTED) {
        return "query->strategy is none of random, first, round_robin, weighted";
    }
    if ((query->health & ~HEALTH_BITS) != 0) {
        return "query->health has other bits than those of MUSTER_HEALTH_BIT()";
    }
    if (query->linearizable && timeout_ms == 0) {
        return "timeout_ms is 0, and a linearizable query has to wait";
    }
    fault = find_name_fault(query->service);
    return fault != NULL ? fault
                         : spec_find_lists_fault(query->tags, query->tags_count, query->metadata,
                                                 query->metadata_count);
}

/* --- linearizable --- */

static void add_health(struct bytes *path, unsigned health)
{
    char list[64] = "";
    size_t len = 0;
    for (unsigned i = MUSTER_PASSING; i <= MUSTER_MAINTENANCE; i++) {
        if ((health & MUSTER_HEALTH_BIT(i)) != 0) {
            len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", len > 0 ? "," : "",
                                    muster_health_name((enum muster_health)i));
        }
    }
    bytes_append_query(path, "health", list);
}

static void make_path(struct bytes *path, const struct muster_query *query)
{
    bytes_init(path, PATH_BYTES_MAX);
    bytes_append_text(path, "/services/");
    bytes_append_encoded(path, query->service);
    bytes_append_text(path, "/discover");
    bytes_append_query(path, "consistency", "linearizable");
    bytes_append_query(path, "strategy", muster_strategy_name(query->strategy));
    if (query->health != 0) {
        add_health(path, query->health);
    }
    if (query->zone != NULL) {
        bytes_append_query(path, "near", query->zone);
    }
    if (query->type != NULL) {
        bytes_append_query(path, "type", query->type);
    }
    for (size_t i = 0; i < query->tags_count; i++) {
        bytes_append_query(path, "tag", query->tags[i]);
    }
    for (size_t i = 0; i < query->metadata_count; i++) {
        char name[METADATA_KEY_BYTES_MAX + sizeof "meta."];
        (void)snprintf(name, sizeof name, "meta.%s", query->metadata[i].key);
        bytes_append_query(path, name, query->metadata[i].value);
    }
}

static enum muster_error read_answer(const struct http_answer *answer,
                                     struct muster_found *ret_found)
{
    if (answer->status >= 200 && answer->status < 300) {
        const struct muster_instance *instance = instance_make(answer->body);
        if (instance == NULL) {
            return MUSTER_NO_MEMORY;
        }
        *ret_found = (struct muster_found){.instance = instance, .source = MUSTER_FROM_REGISTRY};
        return MUSTER_OK;
    }
    if (answer->status == 404 || strcmp(http_answer_code(answer), "no_healthy_instance") == 0) {
        return MUSTER_NOT_FOUND;
    }
    return answer->status < 500 && answer->status != 429 ? MUSTER_REFUSED : MUSTER_UNREACHABLE;
}

/* Requires the mutex. */
static enum muster_error discover_linearizable(struct muster *muster,
                                               const struct muster_query *query,
                                               uint32_t timeout_ms, struct muster_found *ret_found)
{
    struct bytes path;
    struct http_answer answer;
    make_path(&path, query);
    enum muster_error error = lookup_run(&muster->lookups, &path, timeout_ms, &answer);
    if (error == MUSTER_OK) {
        error = read_answer(&answer, ret_found);
        http_answer_done(&answer);
    }
    return error;
}

/* --- from the copy --- */

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
    struct muster_query own;
    if (muster == NULL || ret_found == NULL) {
        return arguments_invalid(muster == NULL ? "muster is NULL" : "ret_found is NULL");
    }
    enum muster_error error = core_check(&muster->core, timeout_ms);
    if (error != MUSTER_OK) {
        return error;
    }
    const char *fault = take_query(query, timeout_ms, &own);
    if (fault != NULL) {
        return arguments_invalid(fault);
    }
    pthread_mutex_lock(&muster->core.mutex);
    error = own.linearizable ? discover_linearizable(muster, &own, timeout_ms, ret_found)
                             : discover(muster, &own, timeout_ms, ret_found);
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
    if (muster == NULL || ret_list == NULL) {
        return arguments_invalid(muster == NULL ? "muster is NULL" : "ret_list is NULL");
    }
    enum muster_error error = core_check(&muster->core, timeout_ms);
    if (error != MUSTER_OK) {
        return error;
    }
    const char *fault = find_name_fault(service);
    if (fault != NULL) {
        return arguments_invalid(fault);
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
    if (muster == NULL || on_change == NULL || ret_follow == NULL) {
        return arguments_invalid(muster == NULL      ? "muster is NULL"
                                 : on_change == NULL ? "on_change is NULL"
                                                     : "ret_follow is NULL");
    }
    enum muster_error error = core_check(&muster->core, 0);
    if (error != MUSTER_OK) {
        return error;
    }
    const char *fault = find_name_fault(service);
    if (fault != NULL) {
        return arguments_invalid(fault);
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
    service_free_follow(follow);
    return MUSTER_OK;
}
