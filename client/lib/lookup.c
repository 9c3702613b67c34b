#include "client/lib/lookup.h"

#include <stdlib.h>

#include "server/base/clock.h"

struct lookup {
    struct call call; /* background thread */
    struct core *core;
    struct lookup *next;
    struct bytes path;
    uint64_t deadline_ms;
    bool started;
    bool done;
    bool abandoned; /* nobody waits: the background thread frees it */
    enum muster_error error;
    struct http_answer answer;
};

static void free_lookup(struct lookup *lookup)
{
    http_answer_done(&lookup->answer);
    bytes_done(&lookup->path);
    free(lookup);
}

static void unlink_lookup(struct lookups *lookups, const struct lookup *lookup)
{
    struct lookup **at = &lookups->first;
    while (*at != lookup) {
        at = &(*at)->next;
    }
    *at = lookup->next;
    lookups->count--;
}

static void on_done(struct call *call, enum failover_outcome outcome, struct http_answer *answer)
{
    struct lookup *lookup = CONTAINER_OF(call, struct lookup, call);
    struct core *core = lookup->core;
    pthread_mutex_lock(&core->mutex);
    lookup->error = outcome == FAILOVER_ANSWERED ? MUSTER_OK : MUSTER_UNREACHABLE;
    if (outcome == FAILOVER_ANSWERED) {
        lookup->answer = *answer;
    }
    lookup->done = true;
    pthread_cond_broadcast(&core->changed);
    pthread_mutex_unlock(&core->mutex);
}

static void start(struct lookup *lookup)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t left_ms = lookup->deadline_ms > now_ms ? lookup->deadline_ms - now_ms : 0;
    const struct http_request request = {
        .method = "GET", .path = bytes_text(&lookup->path), .read = true};
    lookup->started = true;
    lookup->call.on_done = on_done;
    if (request.path == NULL || !call_start(&lookup->call, &lookup->core->loop,
                                            &lookup->core->failover, &request, left_ms)) {
        lookup->error = MUSTER_NO_MEMORY;
        lookup->done = true;
        pthread_cond_broadcast(&lookup->core->changed);
    }
}

enum muster_error lookup_run(struct lookups *lookups, struct bytes *path, uint32_t timeout_ms,
                             struct http_answer *ret_answer)
{
    struct lookup *lookup = lookups->count < LOOKUPS_MAX ? calloc(1, sizeof *lookup) : NULL;
    if (lookup == NULL) {
        bytes_done(path);
        return lookups->count < LOOKUPS_MAX ? MUSTER_NO_MEMORY : MUSTER_TOO_MANY;
    }
    lookup->core = lookups->core;
    lookup->path = *path;
    lookup->deadline_ms = clock_monotonic_ms() + timeout_ms;
    lookup->next = lookups->first;
    lookups->first = lookup;
    lookups->count++;
    loop_wake(&lookups->core->loop);
    while (!lookup->done && core_await(lookups->core, lookup->deadline_ms)) {
    }
    if (!lookup->done) {
        lookup->abandoned = true;
        loop_wake(&lookups->core->loop);
        return MUSTER_TIMED_OUT;
    }
    enum muster_error error = lookup->error;
    if (error == MUSTER_OK) {
        *ret_answer = lookup->answer;
        lookup->answer.body = NULL;
    }
    unlink_lookup(lookups, lookup);
    free_lookup(lookup);
    return error;
}

void lookups_work(struct lookups *lookups)
{
    struct lookup *next;
    for (struct lookup *one = lookups->first; one != NULL; one = next) {
        next = one->next;
        if (one->abandoned) {
            if (one->started && !one->done) {
                call_cancel(&one->call);
            }
            unlink_lookup(lookups, one);
            free_lookup(one);
        } else if (!one->started) {
            start(one);
        }
    }
}

void lookups_stop(struct lookups *lookups)
{
    for (struct lookup *one = lookups->first; one != NULL; one = one->next) {
        one->abandoned = true;
    }
    lookups_work(lookups);
}
