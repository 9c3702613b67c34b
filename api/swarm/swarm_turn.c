/* The turns of the swarm door's thread: list, say that there is a daemon, write if it is its turn,
 * carry out what clients have asked for. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <jansson.h>
#include <urcu.h>

#include "api/core/swarm_entry.h"
#include "api/swarm/swarm_record.h"
#include "api/swarm/swarm_sync.h"
#include "api/swarm/swarm_worker.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/metric.h"

#define ANSWER_MS        10000L
#define ANSWER_BYTES     (64u * 1024 * 1024)
#define INFO_BYTES       (4u * 1024 * 1024)
#define TURN_MS          500
#define BETWEEN_LISTS_MS 300  /* however many events there are */
#define MOVING_MS        1000 /* while an update is in progress: tasks make no events */
#define SAY_MS           3000 /* that there is a daemon */
#define HEALTH_MS        300000
#define FAILURES_MAX     2 /* then another replica is to write */

static const char *const call_names[SWARM_CALLS] = {"refresh", "clear", "metrics"};

static bool goes_on(const struct swarm_worker *w)
{
    return !atomic_load(&w->stopping);
}

/* --- listing --- */

static void note_failure(struct swarm_worker *w, const char *error)
{
    w->failures++;
    w->has_listing = false;
    metric_add(METRIC_swarm_failures_total, 1);
    if (strcmp(w->trouble, error) != 0 && goes_on(w)) {
        (void)snprintf(w->trouble, sizeof w->trouble, "%s", error);
        log_write(LOG_WARN, "swarm", "cannot list the swarm: what is known stays", "reason=\"%s\"",
                  error);
    }
}

static void note_success(struct swarm_worker *w)
{
    w->failures = 0;
    w->has_listing = true;
    w->dirty = true;
    if (w->trouble[0] != '\0') {
        w->trouble[0] = '\0';
        log_write(LOG_INFO, "swarm", "the daemon answers again", "services=%zu tasks=%zu",
                  w->listing.services_count, w->listing.tasks_count);
    }
}

static void take_node_id(struct swarm_worker *w, const struct buffer *info)
{
    json_error_t why;
    json_t *json = json_loadb((const char *)info->data, info->len, 0, &why);
    const char *id = json_string_value(json_object_get(json_object_get(json, "Swarm"), "NodeID"));
    if (id != NULL && strlen(id) < sizeof w->node_id) {
        memcpy(w->node_id, id, strlen(id) + 1);
    }
    json_decref(json);
}

static struct swarm_answer answer_of(const struct docker_request *r)
{
    return (struct swarm_answer){(const char *)r->body.data, r->body.len};
}

static void list(struct swarm_worker *w)
{
    struct docker_request r[] = {
        {.path = "/services"},
        /* filters={"desired-state":["running"]} */
        {.path = "/tasks?filters=%7B%22desired-state%22%3A%5B%22running%22%5D%7D"},
        {.path = "/nodes"},
        {.path = "/info"},
    };
    size_t count = w->node_id[0] == '\0' ? 4 : 3;
    struct swarm_listing listing;
    char error[DOCKER_ERROR_SIZE] = "";
    bool good = true;
    w->changed = w->docker.changed = false;
    w->listed_ms = clock_monotonic_ms();
    for (size_t i = 0; i < count; i++) {
        buffer_init(&r[i].body, i == 3 ? INFO_BYTES : ANSWER_BYTES);
    }
    docker_get(&w->docker, r, count, ANSWER_MS);
    for (size_t i = 0; i < count && good; i++) {
        good = r[i].good;
        (void)snprintf(error, sizeof error, "%s", r[i].error);
    }
    if (good && count == 4) {
        take_node_id(w, &r[3].body);
    }
    good =
        good && swarm_listing_parse(&listing, &w->options.labels, clock_wall_ms(), answer_of(&r[0]),
                                    answer_of(&r[1]), answer_of(&r[2]), error, sizeof error);
    for (size_t i = 0; i < count; i++) {
        buffer_done(&r[i].body);
    }
    if (!good) {
        note_failure(w, error);
        return;
    }
    swarm_listing_done(&w->listing);
    w->listing = listing;
    note_success(w);
}

static bool list_is_due(const struct swarm_worker *w, uint64_t now_ms)
{
    uint64_t since = clock_elapsed(w->listed_ms, now_ms);
    if (w->listed_ms == 0) {
        return true;
    }
    if (w->failures > 0 || (w->has_listing && w->listing.is_moving)) {
        return since >= MOVING_MS;
    }
    return since >= w->options.refresh_ms ||
           ((w->changed || w->docker.changed) && since >= BETWEEN_LISTS_MS);
}

/* --- who writes --- */

/* Says in the registry whether there is a daemon here. */
static void say_daemon(struct swarm_worker *w, uint64_t now_ms)
{
    struct swarm_texts texts;
    struct registration r;
    bool has_daemon = w->listed_ms != 0 && w->failures < FAILURES_MAX && w->node_id[0] != '\0';
    if (has_daemon == w->has_daemon &&
        (!has_daemon || clock_elapsed(w->said_ms, now_ms) < SAY_MS)) {
        return;
    }
    swarm_record_replica(w->member, w->node_id, &texts, &r);
    if (has_daemon) {
        swarm_sync_put(&w->writer, SWARM_SPACE, &r);
    } else {
        swarm_sync_remove(&w->writer, SWARM_SPACE, texts.id);
    }
    if (swarm_writer_wait(&w->writer) == 0) {
        w->has_daemon = has_daemon;
        w->said_ms = now_ms;
    }
    metric_set(METRIC_swarm_daemon, w->has_daemon);
}

/* Another replica need not wait for the lease to end. */
static void retire_daemon(struct swarm_worker *w)
{
    struct swarm_texts texts;
    struct registration r;
    if (w->has_daemon) {
        swarm_record_replica(w->member, w->node_id, &texts, &r);
        swarm_sync_remove(&w->writer, SWARM_SPACE, texts.id);
    }
}

/* The leader, if it has a daemon; else the lowest that has one. 0: none. */
static uint64_t find_writer(struct swarm_worker *w)
{
    struct node_status status;
    struct ptree_iterator it;
    uint64_t lowest = 0;
    bool is_leader_one = false;
    node_status(w->node, &status);
    const struct view *view = node_view_lock(w->node);
    ptree_iterate(&it, &view->instances,
                  view_rank_of_namespace(view, &view->instances, SWARM_SPACE));
    for (const struct record *r;
         (r = ptree_next(&it)) != NULL && namespace_has(SWARM_SPACE, record_id(r));) {
        if (!swarm_entry_is(r, SWARM_TYPE_REPLICA) || r->expired) {
            continue;
        }
        const char *text = record_metadata_value(r, "member");
        uint64_t member = text != NULL ? strtoull(text, NULL, 10) : 0;
        lowest = lowest == 0 || member < lowest ? member : lowest;
        is_leader_one |= member != 0 && member == status.leader;
    }
    view_unlock(&view);
    return is_leader_one ? status.leader : lowest;
}

static void look_who_writes(struct swarm_worker *w)
{
    bool writes = w->has_daemon && find_writer(w) == w->member;
    if (writes && !w->writes) {
        log_write(LOG_INFO, "swarm", "this replica writes what the swarm's manager says",
                  "node=\"%s\"", w->node_id);
        w->changed = true; /* what is at hand may be older than what another has written */
        w->dirty = false;
    }
    w->writes = writes;
    metric_set(METRIC_swarm_writes, writes);
}

/* --- writing --- */

static uint64_t cache_version(struct swarm_worker *w)
{
    char stored[STORED_NAME_SIZE];
    namespace_store(SWARM_SPACE, "cache", stored);
    const struct view *view = node_view_lock(w->node);
    const struct record *record = view_instance(view, stored);
    const char *text = record != NULL ? record_metadata_value(record, "version") : NULL;
    uint64_t version = text != NULL ? strtoull(text, NULL, 10) : 0;
    view_unlock(&view);
    return version;
}

static void note_changed(struct swarm_worker *w)
{
    struct swarm_texts texts;
    struct registration r;
    swarm_record_cache(cache_version(w) + 1, clock_wall_ms(), &texts, &r);
    swarm_sync_put(&w->writer, SWARM_SPACE, &r);
    (void)swarm_writer_wait(&w->writer);
}

static void write_listing(struct swarm_worker *w, uint64_t now_ms)
{
    struct swarm_synced synced;
    if (!w->writes || !w->has_listing || !w->dirty || now_ms < w->held_until_ms) {
        return;
    }
    swarm_sync(&w->writer, &w->listing, &synced);
    w->dirty = synced.failed > 0;
    metric_set(METRIC_swarm_left_out, (int64_t)synced.left_out);
    metric_add(METRIC_swarm_changes_total, (int64_t)(synced.put + synced.removed));
    if (synced.services_changed) {
        note_changed(w);
    }
    if (synced.put + synced.removed > 0) {
        log_write(LOG_DEBUG, "swarm", "wrote the swarm",
                  "put=%zu removed=%zu failed=%" PRIu32 " left_out=%zu", synced.put, synced.removed,
                  synced.failed, synced.left_out);
    }
}

/* For those who listen to it: there is a health.check in it. */
static void write_health(struct swarm_worker *w, uint64_t now_ms)
{
    struct swarm_texts texts;
    struct registration r;
    if (w->writes && now_ms >= w->health_due_ms) {
        w->health_due_ms = now_ms + HEALTH_MS;
        swarm_record_health(clock_wall_ms() / 1000, &texts, &r);
        swarm_sync_put(&w->writer, SWARM_SPACE, &r);
        (void)swarm_writer_wait(&w->writer);
    }
}

/* --- what clients ask for --- */

/* Says it to all replicas. */
static void say_calls(struct swarm_worker *w)
{
    for (unsigned call = 0; call < SWARM_CALLS; call++) {
        struct swarm_texts texts;
        struct registration r;
        uint64_t nonce;
        if (!atomic_exchange(&w->asked[call], false)) {
            continue;
        }
        CHECK(getrandom(&nonce, sizeof nonce, 0) == (ssize_t)sizeof nonce);
        swarm_record_call(call_names[call], nonce, "", &texts, &r);
        swarm_sync_put(&w->writer, SWARM_SPACE, &r);
        (void)swarm_writer_wait(&w->writer);
    }
}

static uint64_t nonce_of(const struct view *view, unsigned call)
{
    char id[32], stored[STORED_NAME_SIZE];
    (void)snprintf(id, sizeof id, "call.%s", call_names[call]);
    namespace_store(SWARM_SPACE, id, stored);
    const struct record *record = view_instance(view, stored);
    const char *text = record != NULL ? record_metadata_value(record, "nonce") : NULL;
    return text != NULL ? strtoull(text, NULL, 10) : 0;
}

static void clear(struct swarm_worker *w, uint64_t now_ms)
{
    if (w->writes) {
        swarm_sync_clear(&w->writer);
        note_changed(w);
    }
    w->parts = 0;
    w->held_until_ms = now_ms + w->options.refresh_ms;
    w->dirty = true;
}

static void carry_out_calls(struct swarm_worker *w, uint64_t now_ms)
{
    uint64_t nonces[SWARM_CALLS];
    const struct view *view = node_view_lock(w->node);
    for (unsigned call = 0; call < SWARM_CALLS; call++) {
        nonces[call] = nonce_of(view, call);
    }
    view_unlock(&view);
    for (unsigned call = 0; call < SWARM_CALLS; call++) {
        bool is_new = w->has_nonces && nonces[call] != 0 && nonces[call] != w->nonces[call];
        w->nonces[call] = nonces[call] != 0 ? nonces[call] : w->nonces[call];
        if (is_new && call == SWARM_REFRESH) {
            w->changed = true;
            w->held_until_ms = 0;
        } else if (is_new && call == SWARM_CLEAR) {
            clear(w, now_ms);
        } else if (is_new) {
            w->metrics_due_ms = now_ms;
        }
    }
    w->has_nonces = true;
}

/* --- turns --- */

static bool is_ready(struct swarm_worker *w)
{
    struct node_status status;
    node_status(w->node, &status);
    return status.caught_up && status.leader != 0 && status.level >= LEVEL_NAMESPACES;
}

static void turn(struct swarm_worker *w)
{
    uint64_t now_ms = clock_monotonic_ms();
    say_calls(w);
    carry_out_calls(w, now_ms);
    if (w->options.docker[0] == '\0') {
        return;
    }
    if (list_is_due(w, now_ms)) {
        list(w);
        now_ms = clock_monotonic_ms();
    }
    if (!goes_on(w)) {
        return;
    }
    say_daemon(w, now_ms);
    look_who_writes(w);
    write_listing(w, now_ms);
    write_health(w, now_ms);
    if (w->has_daemon && w->has_listing && now_ms >= w->metrics_due_ms) {
        w->metrics_due_ms = now_ms + w->options.metrics_ms;
        swarm_metrics_take(w);
    }
}

static void rest(struct swarm_worker *w)
{
    if (w->options.docker[0] != '\0') {
        docker_wait(&w->docker, TURN_MS);
        return;
    }
    /* Without a daemon only docker_wake is waited for. */
    int ready;
    (void)curl_multi_poll(w->docker.multi, NULL, 0, TURN_MS, &ready);
}

void *swarm_worker_run(void *arg)
{
    struct swarm_worker *w = arg;
    rcu_register_thread();
    while (goes_on(w)) {
        atomic_store(&w->woken, false);
        if (is_ready(w)) {
            turn(w);
        }
        rest(w);
    }
    retire_daemon(w);
    (void)swarm_writer_wait(&w->writer);
    rcu_unregister_thread();
    return NULL;
}
