/* What the containers of this node use, said in the registry: a record of a few dozen services, as
 * often as --swarm-metrics-interval, with a lease of three times that. Through the log, in batches,
 * as heartbeats are: so every replica answers with the same sum, and no port, token or certificate
 * is needed between replicas. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/core/swarm_entry.h"
#include "api/swarm/swarm_record.h"
#include "api/swarm/swarm_sync.h"
#include "api/swarm/swarm_worker.h"
#include "server/base/clock.h"
#include "server/base/mem.h"

#define AT_ONCE         32 /* requests */
#define STATS_MS        5000L
#define STATS_BYTES     (256u * 1024)
#define FIRST_AGAIN_MS  2000 /* the first round has no difference to say */
#define SERVICES_A_PART 48   /* of the pairs of metadata in a record */
#define LEASE_ROUNDS    3
#define TEXT_SIZE       96

/* --- samples --- */

static bool is_container(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        if (!isxdigit((unsigned char)text[i])) {
            return false;
        }
    }
    return len > 0 && len < SWARM_CONTAINER_SIZE;
}

static bool is_ours(const struct swarm_worker *w, const struct swarm_task *t)
{
    return t->is_running && t->service->is_scaled && t->container != NULL &&
           is_container(t->container) && strcmp(t->node, w->node_id) == 0;
}

static void take_some(struct swarm_worker *w, const struct swarm_task *const *tasks, size_t count,
                      struct swarm_samples *out)
{
    struct docker_request requests[AT_ONCE];
    char paths[AT_ONCE][SWARM_CONTAINER_SIZE + 64];
    memset(requests, 0, sizeof requests);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(paths[i], sizeof paths[i], "/containers/%s/stats?stream=false&one-shot=true",
                       tasks[i]->container);
        requests[i].path = paths[i];
        buffer_init(&requests[i].body, STATS_BYTES);
    }
    docker_get(&w->docker, requests, count, STATS_MS);
    for (size_t i = 0; i < count; i++) {
        struct swarm_sample *s = &out->rows[out->count];
        if (requests[i].good &&
            swarm_sample_parse(s, (const char *)requests[i].body.data, requests[i].body.len)) {
            memcpy(s->container, tasks[i]->container, strlen(tasks[i]->container) + 1);
            s->taken_ms = clock_monotonic_ms();
            out->count++;
        }
        buffer_done(&requests[i].body);
    }
}

/* The tasks of this node, and a sample of each that has answered. */
struct round {
    const struct swarm_task **ours;
    size_t count;
    struct swarm_samples samples;
};

static void take_all(struct swarm_worker *w, struct round *round)
{
    size_t room = w->listing.tasks_count + 1;
    *round = (struct round){.ours = mem_alloc(room * sizeof *round->ours)};
    for (size_t i = 0; i < w->listing.tasks_count; i++) {
        if (is_ours(w, &w->listing.tasks[i])) {
            round->ours[round->count++] = &w->listing.tasks[i];
        }
    }
    round->samples.rows = mem_alloc((round->count + 1) * sizeof *round->samples.rows);
    for (size_t at = 0; at < round->count && !atomic_load(&w->stopping); at += AT_ONCE) {
        size_t left = round->count - at;
        take_some(w, round->ours + at, left < AT_ONCE ? left : AT_ONCE, &round->samples);
    }
    swarm_samples_sort(&round->samples);
}

/* --- what is said --- */

/* Of the containers of a service that have two samples. */
static bool sum_up(const struct swarm_worker *w, const struct swarm_service *service,
                   const struct round *round, char text[TEXT_SIZE])
{
    struct swarm_usage u = {.containers = 0};
    for (size_t i = 0; i < round->count; i++) {
        const struct swarm_task *t = round->ours[i];
        if (t->service != service) {
            continue;
        }
        const struct swarm_sample *s = swarm_samples_find(&round->samples, t->container);
        const struct swarm_sample *before = swarm_samples_find(&w->samples, t->container);
        if (s != NULL && before != NULL) {
            u.cpu += swarm_sample_cpu(before, s);
            u.memory += (double)s->memory;
            u.containers++;
        }
    }
    if (u.containers == 0) {
        return false;
    }
    (void)snprintf(text, TEXT_SIZE, "%.6g %.15g %" PRIu64 " %" PRId64, u.cpu / (double)u.containers,
                   u.memory / (double)u.containers, u.containers, clock_wall_ms() / 1000);
    return true;
}

/* One record; *at: the next service. False if there is nothing to say. */
static bool say_part(struct swarm_worker *w, const struct round *round, unsigned part, size_t *at)
{
    static char texts[SERVICES_A_PART][TEXT_SIZE]; /* one thread has this */
    struct swarm_texts own;
    struct registration r;
    uint32_t ttl_ms = w->options.metrics_ms * LEASE_ROUNDS;
    swarm_record_metrics(w->member, part, ttl_ms < TTL_MS_MAX ? ttl_ms : TTL_MS_MAX, &own, &r);
    for (; *at < w->listing.services_count && r.metadata_count < SERVICES_A_PART; ++*at) {
        const struct swarm_service *s = &w->listing.services[*at];
        char *text = texts[r.metadata_count];
        if (s->is_scaled && strlen(s->name) <= METADATA_KEY_BYTES_MAX &&
            sum_up(w, s, round, text)) {
            r.metadata[r.metadata_count++] =
                (struct pair){{s->name, strlen(s->name)}, {text, strlen(text)}};
        }
    }
    if (r.metadata_count > 0) {
        swarm_sync_put(&w->writer, SWARM_SPACE, &r);
    }
    return r.metadata_count > 0;
}

void swarm_metrics_take(struct swarm_worker *w)
{
    struct round round;
    size_t at = 0;
    unsigned parts = 0;
    bool is_first = w->samples.count == 0;
    take_all(w, &round);
    while (!is_first && say_part(w, &round, parts, &at)) {
        parts++;
    }
    for (unsigned part = parts; part < w->parts && !is_first; part++) {
        char id[64];
        (void)snprintf(id, sizeof id, "metrics.%" PRIu64 ".%u", w->member, part);
        swarm_sync_remove(&w->writer, SWARM_SPACE, id);
    }
    (void)swarm_writer_wait(&w->writer);
    w->parts = is_first ? w->parts : parts;
    if (is_first && round.samples.count > 0) {
        w->metrics_due_ms = clock_monotonic_ms() + FIRST_AGAIN_MS;
    }
    swarm_samples_done(&w->samples);
    w->samples = round.samples;
    free(round.ours);
}
