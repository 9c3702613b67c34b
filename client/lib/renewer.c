#include "client/lib/renewer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/random.h"
#include "client/lib/registration_request.h"
#include "server/base/clock.h"

/* Requests under way about single registrations: enough for the registry to commit them together.
 */
#define REQUESTS_MAX 32
/* Of one heartbeat: its body is at most 1 MiB, and each byte of an id at most six in JSON. */
#define RENEW_BYTES_MAX 900000
#define PAUSE_MS        200
#define PAUSE_MS_MAX    5000
#define PAUSE_MS_MIN    100
#define DOUBLINGS_MAX   5

static void on_request_done(struct call *call, enum failover_outcome outcome,
                            struct http_answer *answer);

static void on_timer(struct loop_timer *timer)
{
    /* renewer_work() follows every turn of the loop. */
    (void)timer;
}

void renewer_init(struct renewer *renewer, struct core *core)
{
    *renewer = (struct renewer){
        .core = core,
        .timer = {.due_ms = LOOP_NEVER, .on_due = on_timer},
    };
}

void renewer_add(struct renewer *renewer, struct muster_registration *registration)
{
    registration->next = renewer->first;
    if (registration->next != NULL) {
        registration->next->previous = registration;
    }
    renewer->first = registration;
    renewer->count++;
    renewer_queue(renewer, registration);
}

void renewer_queue(struct renewer *renewer, struct muster_registration *registration)
{
    if (registration->queued) {
        return;
    }
    registration->queued = true;
    registration->next_queued = NULL;
    if (renewer->queue == NULL) {
        renewer->queue = registration;
    } else {
        renewer->queue_end->next_queued = registration;
    }
    renewer->queue_end = registration;
}

static struct muster_registration *take_queued(struct renewer *renewer)
{
    struct muster_registration *registration = renewer->queue;
    renewer->queue = registration->next_queued;
    registration->queued = false;
    return registration;
}

/* `why` NULL: as before. */
static void set_state(struct muster_registration *registration, enum muster_state state,
                      enum muster_error error, const char *why)
{
    if (registration->state != state) {
        registration->state = state;
        registration->state_told = registration->state_logged = false;
    }
    registration->error = error;
    if (why != NULL) {
        (void)snprintf(registration->why, sizeof registration->why, "%.*s",
                       (int)sizeof registration->why - 1, why);
    }
}

static void unqueue(struct renewer *renewer, struct muster_registration *registration)
{
    struct muster_registration *previous = NULL, *one = renewer->queue;
    while (one != registration) {
        previous = one;
        one = one->next_queued;
    }
    if (previous != NULL) {
        previous->next_queued = registration->next_queued;
    } else {
        renewer->queue = registration->next_queued;
    }
    if (renewer->queue_end == registration) {
        renewer->queue_end = previous;
    }
}

/* Its last moment in the list. */
static void finish_removal(struct renewer *renewer, struct muster_registration *registration)
{
    /* muster_dispatch() calls back for it on another thread. */
    while (registration->telling) {
        (void)pthread_cond_wait(&renewer->core->changed, &renewer->core->mutex);
    }
    if (registration->queued) {
        unqueue(renewer, registration);
    }
    if (registration->previous != NULL) {
        registration->previous->next = registration->next;
    } else {
        renewer->first = registration->next;
    }
    if (registration->next != NULL) {
        registration->next->previous = registration->previous;
    }
    renewer->count--;
    registration->removed = true;
    pthread_cond_broadcast(&renewer->core->changed);
    if (registration->abandoned) {
        registration_free(registration);
    }
}

/* What is to be done for it now. False when nothing is. */
static bool next_request(const struct muster_registration *registration,
                         enum request_kind *ret_kind)
{
    if (registration->removing) {
        *ret_kind = REQUEST_REMOVE;
        return true;
    }
    if (registration->state == MUSTER_DENIED) {
        return false;
    }
    if (!registration->registered) {
        *ret_kind = REQUEST_REGISTER;
        return true;
    }
    if (registration->health.sent != registration->health.version) {
        *ret_kind = REQUEST_HEALTH;
        return true;
    }
    *ret_kind = REQUEST_MAINTENANCE;
    return registration->maintenance.sent != registration->maintenance.version;
}

/* `asked_ms`: the pause that the replica asked for; -1: none. */
static void fail_later(struct renewer *renewer, struct muster_registration *registration,
                       int64_t asked_ms)
{
    uint64_t limit_ms = registration_interval_ms(registration) / 2;
    uint64_t pause_ms = (uint64_t)PAUSE_MS
                        << (renewer->failures < DOUBLINGS_MAX ? renewer->failures : DOUBLINGS_MAX);
    limit_ms = limit_ms > PAUSE_MS_MAX ? PAUSE_MS_MAX : limit_ms;
    limit_ms = limit_ms < PAUSE_MS_MIN ? PAUSE_MS_MIN : limit_ms;
    uint64_t now_ms = clock_monotonic_ms();
    if (now_ms < renewer->resume_ms) {
        return; /* the others of a burst */
    }
    renewer->failures++;
    pause_ms = random_spread(pause_ms < limit_ms ? pause_ms : limit_ms);
    uint64_t asked = asked_ms > 0 ? (uint64_t)asked_ms : 0;
    if (asked > registration_interval_ms(registration)) {
        asked = registration_interval_ms(registration); /* the lease must not end of it */
    }
    pause_ms = asked > pause_ms ? asked + random_below(asked / 4) : pause_ms;
    renewer->resume_ms = now_ms + pause_ms;
}

static bool start_request(struct renewer *renewer, enum request_kind kind,
                          struct muster_registration *const *registrations, size_t count)
{
    struct registration_request *request =
        registration_request_start(renewer->core, kind, registrations, count, on_request_done);
    if (request == NULL) {
        return false;
    }
    request->ctx = renewer;
    request->next = renewer->requests;
    if (request->next != NULL) {
        request->next->previous = request;
    }
    renewer->requests = request;
    renewer->requests_count++;
    return true;
}

static void end_request(struct renewer *renewer, struct registration_request *request)
{
    if (request->previous != NULL) {
        request->previous->next = request->next;
    } else {
        renewer->requests = request->next;
    }
    if (request->next != NULL) {
        request->next->previous = request->previous;
    }
    renewer->requests_count--;
    registration_request_end(request);
}

static void work_queue(struct renewer *renewer)
{
    /* While nobody answers one asks for all. */
    size_t limit = renewer->failures > 0 ? 1 : REQUESTS_MAX;
    while (renewer->queue != NULL && renewer->requests_count < limit) {
        struct muster_registration *registration = take_queued(renewer);
        enum request_kind kind;
        if (registration->busy || !next_request(registration, &kind)) {
            continue;
        }
        if (kind == REQUEST_REMOVE && !registration->tried) {
            finish_removal(renewer, registration);
            continue;
        }
        if (!start_request(renewer, kind, &registration, 1)) {
            set_state(registration, registration->state, MUSTER_NO_MEMORY, "no memory");
            renewer_queue(renewer, registration);
            fail_later(renewer, registration, -1);
            return;
        }
    }
}

static int compare_ids(const void *left, const void *right)
{
    const struct muster_registration *const *a = left, *const *b = right;
    return strcmp((*a)->id, (*b)->id);
}

/* Whether a common heartbeat at `now_ms` includes it: what is due soon goes along, so that those of
 * one rhythm come together. */
static bool goes_along(const struct muster_registration *registration, uint64_t now_ms)
{
    return registration->registered && !registration->busy && !registration->removing &&
           registration->due_ms <= now_ms + registration_interval_ms(registration) / 3;
}

static size_t gather(const struct renewer *renewer, struct muster_registration **batch)
{
    uint64_t now_ms = clock_monotonic_ms();
    size_t count = 0, bytes = 0;
    for (struct muster_registration *one = renewer->first; one != NULL; one = one->next) {
        size_t size = 6 * strlen(one->id) + 3;
        if (goes_along(one, now_ms) && count < HEARTBEAT_IDS_MAX &&
            bytes + size <= RENEW_BYTES_MAX) {
            batch[count++] = one;
            bytes += size;
        }
    }
    return count;
}

static void renew(struct renewer *renewer)
{
    size_t room = renewer->count < HEARTBEAT_IDS_MAX ? renewer->count : HEARTBEAT_IDS_MAX;
    struct muster_registration **batch = malloc(room * sizeof *batch);
    size_t count = batch != NULL ? gather(renewer, batch) : 0;
    if (count > 0) {
        qsort(batch, count, sizeof batch[0], compare_ids);
        renewer->renewing = start_request(renewer, REQUEST_RENEW, batch, count);
    }
    if (!renewer->renewing) {
        fail_later(renewer, renewer->first, -1);
    }
    free(batch);
}

/* The earliest heartbeat; LOOP_NEVER when there is none to wait for. */
static uint64_t earliest_due(const struct renewer *renewer)
{
    uint64_t due_ms = LOOP_NEVER;
    for (const struct muster_registration *one = renewer->first; one != NULL; one = one->next) {
        if (one->registered && !one->busy && !one->removing && one->due_ms < due_ms) {
            due_ms = one->due_ms;
        }
    }
    return due_ms;
}

/* Requires the mutex, and releases it during the callback. The registration is in the list still
 * when this returns, as long as the caller keeps the mutex. */
static void tell_state(struct renewer *renewer, struct muster_registration *registration)
{
    char why[REGISTRATION_WHY_SIZE];
    enum muster_state state = registration->state;
    registration->state_told = true;
    memcpy(why, registration->why, sizeof why);
    if (registration->on_state == NULL) {
        return;
    }
    registration->telling = true;
    pthread_mutex_unlock(&renewer->core->mutex);
    registration->on_state(registration->ctx, registration, state, why);
    pthread_mutex_lock(&renewer->core->mutex);
    registration->telling = false;
    pthread_cond_broadcast(&renewer->core->changed);
}

static void log_state(struct renewer *renewer, struct muster_registration *registration)
{
    static const struct {
        enum muster_log_level level;
        const char *text;
    } rows[] = {
        [MUSTER_PENDING] = {MUSTER_LOG_WARNING, "lost; registering it again"},
        [MUSTER_REGISTERED] = {MUSTER_LOG_INFO, "registered"},
        [MUSTER_DOUBTFUL] = {MUSTER_LOG_WARNING, "not renewed"},
        [MUSTER_DENIED] = {MUSTER_LOG_ERROR, "refused"},
    };
    char why[REGISTRATION_WHY_SIZE];
    enum muster_state state = registration->state;
    registration->state_logged = true;
    memcpy(why, registration->why, sizeof why);
    pthread_mutex_unlock(&renewer->core->mutex);
    core_log(renewer->core, rows[state].level, "%s: %s%s%s", registration->id, rows[state].text,
             why[0] != '\0' ? ": " : "", why);
    pthread_mutex_lock(&renewer->core->mutex);
}

/* Requires the mutex. The background thread logs and reports states that have changed, or leaves
 * the reports to muster_dispatch(). */
static void report_states(struct renewer *renewer)
{
    bool waits = false;
    /* Only this thread takes any out of the list. */
    for (struct muster_registration *one = renewer->first; one != NULL; one = one->next) {
        if (!one->state_logged && !one->removing) {
            log_state(renewer, one);
        }
        if (!one->state_told && !one->removing) {
            if (core_uses_dispatch(renewer->core)) {
                waits = true;
            } else {
                tell_state(renewer, one);
            }
        }
    }
    renewer->news = false;
    if (waits) {
        core_signal(renewer->core);
    }
}

void renewer_dispatch(struct renewer *renewer)
{
    for (struct muster_registration *one = renewer->first; one != NULL; one = one->next) {
        if (!one->state_told && !one->removing) {
            tell_state(renewer, one);
        }
    }
}

void renewer_work(struct renewer *renewer)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (renewer->news) {
        report_states(renewer);
    }
    if (now_ms >= renewer->resume_ms) {
        /* Heartbeats go first; while nobody answers, one request asks for all. */
        bool may_renew = renewer->failures == 0 || renewer->requests_count == 0;
        if (!renewer->renewing && may_renew && earliest_due(renewer) <= now_ms) {
            renew(renewer);
        }
        work_queue(renewer);
    }
    uint64_t due_ms = renewer->renewing ? LOOP_NEVER : earliest_due(renewer);
    if (renewer->resume_ms > now_ms) {
        due_ms = renewer->count > 0 ? renewer->resume_ms : LOOP_NEVER;
    }
    loop_unset(&renewer->core->loop, &renewer->timer);
    /* What is due already waits for a request that is under way. */
    if (due_ms > now_ms && due_ms != LOOP_NEVER) {
        loop_set(&renewer->core->loop, &renewer->timer, due_ms);
    }
}

/* --- answers --- */

static bool is_refused(const struct setting *setting)
{
    return setting->refused > 0 && setting->refused == setting->version;
}

static void note_renewed(struct muster_registration *registration, uint64_t share)
{
    uint64_t interval_ms = registration_interval_ms(registration);
    /* All of one heartbeat are spread alike, and stay together. */
    registration->due_ms = clock_monotonic_ms() + interval_ms - interval_ms * share / 4096;
    /* The reason stays readable until the setting is replaced. */
    bool refused = is_refused(&registration->health) || is_refused(&registration->maintenance);
    set_state(registration, MUSTER_REGISTERED, MUSTER_OK, refused ? NULL : "");
}

static void note_lost(struct renewer *renewer, struct muster_registration *registration)
{
    registration->registered = false;
    set_state(registration, MUSTER_PENDING, MUSTER_OK, "the registry did not know it any more");
    renewer_queue(renewer, registration);
}

static void take_registered(struct muster_registration *registration,
                            const struct registration_request *request, const json_t *body)
{
    double ttl = json_number_value(json_object_get(body, "ttl"));
    json_int_t incarnation = json_integer_value(json_object_get(body, "incarnation"));
    registration->registered = true;
    registration->incarnation = incarnation > 0 ? (uint64_t)incarnation : 0;
    if (ttl > 0 && ttl * 1000 <= TTL_MS_MAX) {
        registration->ttl_ms = (uint64_t)(ttl * 1000);
    }
    /* The body had the health, but neither a note nor a maintenance. */
    registration->health.sent = registration->note[0] == '\0' ? request->version : 0;
    registration->maintenance.sent = registration->hidden ? 0 : registration->maintenance.version;
    note_renewed(registration, random_below(1024));
}

static void take_renewed(struct renewer *renewer, const struct registration_request *request,
                         const json_t *body)
{
    const json_t *unknown = json_object_get(body, "unknown");
    uint64_t share = random_below(1024);
    for (size_t i = 0; i < request->count; i++) {
        note_renewed(request->registrations[i], share);
    }
    for (size_t i = 0; i < json_array_size(unknown); i++) {
        const char *id = json_string_value(json_array_get(unknown, i));
        struct muster_registration *lost =
            id != NULL ? registration_request_find(request, id) : NULL;
        if (lost != NULL) {
            note_lost(renewer, lost);
        }
    }
}

static void take_done(struct renewer *renewer, struct registration_request *request,
                      const json_t *body)
{
    struct muster_registration *one = request->registrations[0];
    switch (request->kind) {
    case REQUEST_REGISTER:
        take_registered(one, request, body);
        break;
    case REQUEST_HEALTH:
        one->health.sent = request->version;
        one->health.refused = 0;
        note_renewed(one, random_below(1024));
        break;
    case REQUEST_MAINTENANCE:
        one->maintenance.sent = request->version;
        one->maintenance.refused = 0;
        break;
    case REQUEST_RENEW:
        take_renewed(renewer, request, body);
        break;
    case REQUEST_REMOVE:
        break;
    }
}

/* A clear no: 4xx. */
static void take_refusal(struct renewer *renewer, struct registration_request *request,
                         const struct http_answer *answer)
{
    struct muster_registration *one = request->registrations[0];
    const char *message = http_answer_message(answer);
    message = message != NULL ? message : "the registry refused it";
    if (request->kind == REQUEST_RENEW) {
        /* Not about any of them: later again, but not at once. */
        for (size_t i = 0; i < request->count; i++) {
            struct muster_registration *each = request->registrations[i];
            each->due_ms = clock_monotonic_ms() + registration_interval_ms(each) / 2;
            set_state(each, MUSTER_DOUBTFUL, MUSTER_REFUSED, message);
        }
    } else if (request->kind == REQUEST_REGISTER) {
        one->tried = false; /* it is surely not there */
        set_state(one, MUSTER_DENIED, MUSTER_REFUSED, message);
    } else if (answer->status == 404) {
        note_lost(renewer, one);
    } else {
        struct setting *setting =
            request->kind == REQUEST_HEALTH ? &one->health : &one->maintenance;
        setting->sent = setting->refused = request->version;
        set_state(one, one->state, MUSTER_REFUSED, message);
    }
}

static void take_failure(struct renewer *renewer, struct registration_request *request,
                         enum failover_outcome outcome, const struct http_answer *answer)
{
    int64_t asked_ms = outcome == FAILOVER_ANSWERED ? answer->retry_after_ms : -1;
    enum muster_error error = outcome == FAILOVER_UNKNOWN ? MUSTER_UNKNOWN : MUSTER_UNREACHABLE;
    for (size_t i = 0; i < request->count; i++) {
        struct muster_registration *one = request->registrations[i];
        bool doubt = one->registered && request->kind == REQUEST_RENEW;
        set_state(one, doubt ? MUSTER_DOUBTFUL : one->state, error, request->call.failover.why);
        if (request->kind != REQUEST_RENEW) {
            renewer_queue(renewer, one);
        }
    }
    fail_later(renewer, request->registrations[0], asked_ms);
}

/* A removal is over with any answer but a failure. */
static void end_removal(struct renewer *renewer, struct muster_registration *one, long status)
{
    bool gone = status < 300 || status == 404 || status == 409;
    one->error = gone ? MUSTER_OK : MUSTER_REFUSED;
    finish_removal(renewer, one);
}

/* An answer of the registry, and not of something that stands in its place for a while: only the
 * former knows what is wrong with a registration. */
static bool is_settled(enum request_kind kind, long status)
{
    if (kind == REQUEST_REGISTER && status >= 300) {
        return status == 400 || status == 409 || status == 413;
    }
    return status >= 200 && status < 500 && status != 429;
}

static void on_request_done(struct call *call, enum failover_outcome outcome,
                            struct http_answer *answer)
{
    struct registration_request *request = CONTAINER_OF(call, struct registration_request, call);
    struct renewer *renewer = request->ctx;
    struct muster_registration *one = request->registrations[0];
    enum request_kind kind = request->kind;
    if (outcome != FAILOVER_ANSWERED) {
        core_log(renewer->core, MUSTER_LOG_WARNING, "%s failed: %s", request->call.request.path,
                 call->failover.why);
    }
    pthread_mutex_lock(&renewer->core->mutex);
    long status = outcome == FAILOVER_ANSWERED ? answer->status : 0;
    bool settled = is_settled(kind, status);
    if (!settled) {
        take_failure(renewer, request, outcome, answer);
    } else {
        renewer->failures = 0;
        if (status < 300) {
            take_done(renewer, request, answer->body);
        } else if (kind != REQUEST_REMOVE) {
            take_refusal(renewer, request, answer);
        }
    }
    http_answer_done(answer);
    renewer->renewing = renewer->renewing && kind != REQUEST_RENEW;
    renewer->news = true;
    bool removed = settled && kind == REQUEST_REMOVE;
    for (size_t i = 0; i < request->count && !removed; i++) {
        enum request_kind next;
        struct muster_registration *each = request->registrations[i];
        if (next_request(each, &next)) {
            renewer_queue(renewer, each);
        }
    }
    end_request(renewer, request);
    if (removed) {
        end_removal(renewer, one, status);
    }
    pthread_cond_broadcast(&renewer->core->changed);
    pthread_mutex_unlock(&renewer->core->mutex);
}

void renewer_stop(struct renewer *renewer)
{
    while (renewer->requests != NULL) {
        call_cancel(&renewer->requests->call);
        end_request(renewer, renewer->requests);
    }
    loop_unset(&renewer->core->loop, &renewer->timer);
    while (renewer->first != NULL) {
        struct muster_registration *next = renewer->first->next;
        registration_free(renewer->first);
        renewer->first = next;
    }
}
