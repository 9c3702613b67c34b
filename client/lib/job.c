#include "client/lib/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Long enough for one replica that hangs, and short enough for another heartbeat before the lease
 * ends. */
#define RENEW_MS_MIN 1500

static const char *health_name(enum muster_health health)
{
    static const char *const names[] = {"passing", "warning", "critical"};
    return names[health];
}

static json_t *renew_body(const struct job *job)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < job->count; i++) {
        if (json_array_append_new(ids, json_string(job->registrations[i]->id)) != 0) {
            json_decref(ids);
            return NULL;
        }
    }
    return json_pack("{s:o}", "ids", ids);
}

static json_t *make_body(struct job *job)
{
    const struct muster_registration *one = job->registrations[0];
    json_t *body;
    switch (job->kind) {
    case JOB_REGISTER:
        body = json_copy(one->body);
        if (body != NULL &&
            json_object_set_new(body, "health", json_string(health_name(one->declared))) != 0) {
            json_decref(body);
            body = NULL;
        }
        return body;
    case JOB_HEALTH:
        return json_pack("{s:s, s:s, s:s}", "id", one->id, "status", health_name(one->declared),
                         "note", one->note);
    case JOB_MAINTENANCE:
        return one->hidden ? json_pack("{s:b, s:s}", "enabled", 1, "reason", one->reason)
                           : json_pack("{s:b}", "enabled", 0);
    case JOB_RENEW:
        return renew_body(job);
    case JOB_REMOVE:
        break;
    }
    return NULL;
}

static const char *make_path(struct job *job)
{
    const struct muster_registration *one = job->registrations[0];
    char incarnation[24];
    switch (job->kind) {
    case JOB_REGISTER:
        bytes_append_text(&job->path, "/register");
        break;
    case JOB_HEALTH:
    case JOB_RENEW:
        bytes_append_text(&job->path, "/heartbeat");
        break;
    case JOB_MAINTENANCE:
    case JOB_REMOVE:
        bytes_append_text(&job->path, "/instances/");
        bytes_append_encoded(&job->path, one->id);
        if (job->kind == JOB_MAINTENANCE) {
            bytes_append_text(&job->path, "/maintenance");
        } else if (one->incarnation > 0) {
            /* Whoever has taken the id over meanwhile is left alone. */
            (void)snprintf(incarnation, sizeof incarnation, "%" PRIu64, one->incarnation);
            bytes_append_query(&job->path, "incarnation", incarnation);
        }
        break;
    }
    return bytes_text(&job->path);
}

static uint64_t timeout_ms(const struct job *job)
{
    uint64_t limit_ms = job->muster->request_timeout_ms;
    if (job->kind != JOB_RENEW && job->kind != JOB_HEALTH) {
        return limit_ms;
    }
    uint64_t shortest_ms = UINT64_MAX;
    for (size_t i = 0; i < job->count; i++) {
        uint64_t interval_ms = registration_interval_ms(job->registrations[i]);
        shortest_ms = interval_ms < shortest_ms ? interval_ms : shortest_ms;
    }
    uint64_t wanted_ms = shortest_ms + shortest_ms / 2;
    wanted_ms = wanted_ms < RENEW_MS_MIN ? RENEW_MS_MIN : wanted_ms;
    return wanted_ms < limit_ms ? wanted_ms : limit_ms;
}

static void free_job(struct job *job)
{
    json_decref(job->body);
    bytes_done(&job->path);
    free(job->registrations);
    free(job);
}

static bool start(struct job *job)
{
    static const char *const methods[] = {"POST", "POST", "PUT", "DELETE", "POST"};
    const char *path = make_path(job);
    job->body = make_body(job);
    if (path == NULL || (job->body == NULL && job->kind != JOB_REMOVE)) {
        return false;
    }
    const struct http_request request = {
        .method = methods[job->kind], .path = path, .body = job->body, .repeatable = true};
    return call_start(&job->call, &job->muster->loop, &job->muster->failover, &request,
                      timeout_ms(job));
}

struct job *job_start(struct muster *muster, enum job_kind kind,
                      struct muster_registration *const *registrations, size_t count,
                      void (*on_done)(struct call *, enum failover_outcome, struct http_answer *))
{
    struct job *job = calloc(1, sizeof *job);
    struct muster_registration **copy = malloc(count * sizeof *copy);
    if (job == NULL || copy == NULL) {
        free(job);
        free(copy);
        return NULL;
    }
    memcpy(copy, registrations, count * sizeof *copy);
    *job = (struct job){.kind = kind, .muster = muster, .registrations = copy, .count = count};
    job->call.on_done = on_done;
    job->version = kind == JOB_MAINTENANCE ? copy[0]->maintenance.version : copy[0]->health.version;
    bytes_init(&job->path, PATH_BYTES_MAX);
    if (!start(job)) {
        free_job(job);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        copy[i]->busy = true;
        copy[i]->tried = true;
    }
    struct keeper *keeper = &muster->keeper;
    job->next = keeper->jobs;
    if (job->next != NULL) {
        job->next->previous = job;
    }
    keeper->jobs = job;
    keeper->jobs_count++;
    return job;
}

void job_end(struct job *job)
{
    struct keeper *keeper = &job->muster->keeper;
    for (size_t i = 0; i < job->count; i++) {
        job->registrations[i]->busy = false;
    }
    if (job->previous != NULL) {
        job->previous->next = job->next;
    } else {
        keeper->jobs = job->next;
    }
    if (job->next != NULL) {
        job->next->previous = job->previous;
    }
    keeper->jobs_count--;
    free_job(job);
}

struct muster_registration *job_find(const struct job *job, const char *id)
{
    size_t low = 0, high = job->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(job->registrations[middle]->id, id);
        if (order == 0) {
            return job->registrations[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}
