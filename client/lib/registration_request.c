#include "client/lib/registration_request.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Long enough for one replica that hangs, and short enough for another heartbeat before the lease
 * ends. */
#define RENEW_MS_MIN 1500

static json_t *renew_body(const struct registration_request *request)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < request->count; i++) {
        if (json_array_append_new(ids, json_string(request->registrations[i]->id)) != 0) {
            json_decref(ids);
            return NULL;
        }
    }
    return json_pack("{s:o}", "ids", ids);
}

static json_t *make_body(struct registration_request *request)
{
    const struct muster_registration *one = request->registrations[0];
    json_t *body;
    switch (request->kind) {
    case REQUEST_REGISTER:
        body = json_copy(one->body);
        /* With checks its health follows from them. */
        if (body != NULL && json_object_get(body, "checks") == NULL &&
            json_object_set_new(body, "health", json_string(muster_health_name(one->declared))) !=
                0) {
            json_decref(body);
            body = NULL;
        }
        return body;
    case REQUEST_HEALTH:
        return json_pack("{s:s, s:s, s:s}", "id", one->id, "status",
                         muster_health_name(one->declared), "note", one->note);
    case REQUEST_MAINTENANCE:
        return one->hidden ? json_pack("{s:b, s:s}", "enabled", 1, "reason", one->reason)
                           : json_pack("{s:b}", "enabled", 0);
    case REQUEST_RENEW:
        return renew_body(request);
    case REQUEST_REMOVE:
        break;
    }
    return NULL;
}

static const char *make_path(struct registration_request *request)
{
    const struct muster_registration *one = request->registrations[0];
    char incarnation[24];
    switch (request->kind) {
    case REQUEST_REGISTER:
        bytes_append_text(&request->path, "/register");
        break;
    case REQUEST_HEALTH:
    case REQUEST_RENEW:
        bytes_append_text(&request->path, "/heartbeat");
        break;
    case REQUEST_MAINTENANCE:
    case REQUEST_REMOVE:
        bytes_append_text(&request->path, "/instances/");
        bytes_append_encoded(&request->path, one->id);
        if (request->kind == REQUEST_MAINTENANCE) {
            bytes_append_text(&request->path, "/maintenance");
        } else if (one->incarnation > 0) {
            /* Leave a successor that has taken the id over alone. */
            (void)snprintf(incarnation, sizeof incarnation, "%" PRIu64, one->incarnation);
            bytes_append_query(&request->path, "incarnation", incarnation);
        }
        break;
    }
    return bytes_text(&request->path);
}

static uint64_t timeout_ms(const struct registration_request *request)
{
    uint64_t limit_ms = request->core->settings.request_timeout_ms;
    if (request->kind != REQUEST_RENEW && request->kind != REQUEST_HEALTH) {
        return limit_ms;
    }
    uint64_t shortest_ms = UINT64_MAX;
    for (size_t i = 0; i < request->count; i++) {
        uint64_t interval_ms = registration_interval_ms(request->registrations[i]);
        shortest_ms = interval_ms < shortest_ms ? interval_ms : shortest_ms;
    }
    uint64_t wanted_ms = shortest_ms + shortest_ms / 2;
    wanted_ms = wanted_ms < RENEW_MS_MIN ? RENEW_MS_MIN : wanted_ms;
    return wanted_ms < limit_ms ? wanted_ms : limit_ms;
}

static void free_request(struct registration_request *request)
{
    json_decref(request->body);
    bytes_done(&request->path);
    free(request->registrations);
    free(request);
}

static bool start(struct registration_request *request)
{
    static const char *const methods[] = {"POST", "POST", "PUT", "DELETE", "POST"};
    const char *path = make_path(request);
    request->body = make_body(request);
    if (path == NULL || (request->body == NULL && request->kind != REQUEST_REMOVE)) {
        return false;
    }
    const struct http_request http = {
        .method = methods[request->kind], .path = path, .body = request->body, .repeatable = true};
    return call_start(&request->call, &request->core->loop, &request->core->failover, &http,
                      timeout_ms(request));
}

struct registration_request *registration_request_start(
    struct core *core, enum request_kind kind, struct muster_registration *const *registrations,
    size_t count, void (*on_done)(struct call *, enum failover_outcome, struct http_answer *))
{
    struct registration_request *request = calloc(1, sizeof *request);
    struct muster_registration **copy = malloc(count * sizeof *copy);
    if (request == NULL || copy == NULL) {
        free(request);
        free(copy);
        return NULL;
    }
    memcpy(copy, registrations, count * sizeof *copy);
    *request = (struct registration_request){
        .kind = kind, .core = core, .registrations = copy, .count = count};
    request->call.on_done = on_done;
    request->version =
        kind == REQUEST_MAINTENANCE ? copy[0]->maintenance.version : copy[0]->health.version;
    bytes_init(&request->path, PATH_BYTES_MAX);
    if (!start(request)) {
        free_request(request);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        copy[i]->busy = true;
        copy[i]->tried = true;
    }
    return request;
}

void registration_request_end(struct registration_request *request)
{
    for (size_t i = 0; i < request->count; i++) {
        request->registrations[i]->busy = false;
    }
    free_request(request);
}

struct muster_registration *registration_request_find(const struct registration_request *request,
                                                      const char *id)
{
    size_t low = 0, high = request->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(request->registrations[middle]->id, id);
        if (order == 0) {
            return request->registrations[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}
