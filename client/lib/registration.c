#include "client/lib/registration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/random.h"
#include "server/base/clock.h"

#define TTL_MS_DEFAULT      30000 /* until the registry says another */
#define NAME_PART_BYTES_MAX (NAME_BYTES_MAX - 37)

void registration_free(struct muster_registration *registration)
{
    if (registration != NULL) {
        json_decref(registration->body);
        free(registration->id);
        free(registration);
    }
}

uint64_t registration_interval_ms(const struct muster_registration *registration)
{
    uint64_t ttl_ms = registration->ttl_ms > 0 ? registration->ttl_ms : TTL_MS_DEFAULT;
    uint64_t interval_ms = registration->interval_ms > 0 ? registration->interval_ms : ttl_ms / 3;
    return interval_ms < ttl_ms / 2 ? interval_ms : ttl_ms / 2;
}

/* --- the body of POST /register --- */

static bool set_text(json_t *body, const char *member, const char *text)
{
    return text == NULL || *text == '\0' ||
           json_object_set_new(body, member, json_string(text)) == 0;
}

static bool set_number(json_t *body, const char *member, uint64_t value)
{
    return value == 0 || json_object_set_new(body, member, json_integer((json_int_t)value)) == 0;
}

static bool set_weight(json_t *body, int32_t weight)
{
    int32_t value = weight == MUSTER_WEIGHT_NONE ? 0 : weight;
    return weight == 0 || json_object_set_new(body, "weight", json_integer(value)) == 0;
}

static bool set_seconds(json_t *body, const char *member, uint32_t ms)
{
    if (ms == 0) {
        return true;
    }
    json_t *seconds =
        ms % 1000 == 0 ? json_integer((json_int_t)ms / 1000) : json_real((double)ms / 1000.0);
    return json_object_set_new(body, member, seconds) == 0;
}

static bool set_lists(json_t *body, const struct muster_spec *spec)
{
    json_t *tags = json_array(), *metadata = json_object();
    bool good = true;
    for (size_t i = 0; good && i < spec->tags_count; i++) {
        good = json_array_append_new(tags, json_string(spec->tags[i])) == 0;
    }
    for (size_t i = 0; good && i < spec->metadata_count; i++) {
        good = json_object_set_new(metadata, spec->metadata[i].key,
                                   json_string(spec->metadata[i].value)) == 0;
    }
    good = json_object_set_new(body, "tags", tags) == 0 && good;
    return json_object_set_new(body, "metadata", metadata) == 0 && good;
}

/* NULL when a text is not UTF-8, or without memory. */
static json_t *make_body(const struct muster_spec *spec, const char *id, uint16_t port)
{
    json_t *body = json_object();
    if (set_text(body, "id", id) && set_text(body, "name", spec->name) &&
        set_text(body, "type", spec->type) && set_text(body, "zone", spec->zone) &&
        set_text(body, "host", spec->host) && set_number(body, "port", port) &&
        set_weight(body, spec->weight) && set_seconds(body, "ttl", spec->ttl_ms) &&
        set_seconds(body, "reap_after", spec->reap_after_ms) && set_lists(body, spec)) {
        return body;
    }
    json_decref(body);
    return NULL;
}

/* Of a name as the first part of an id: not more than leaves room for the other, and whole letters.
 */
static size_t cut_len(const char *name)
{
    size_t len = strnlen(name, NAME_PART_BYTES_MAX);
    while (len > 0 && ((unsigned char)name[len] & 0xc0) == 0x80) {
        len--;
    }
    return len;
}

/* With the mutex. The id of the environment is one, and for one instance. */
static char *make_id(struct muster *muster, const struct muster_spec *spec)
{
    char *id = NULL;
    if (spec->id != NULL) {
        return strdup(spec->id);
    }
    if (muster->id != NULL) {
        id = muster->id;
        muster->id = NULL;
        return id;
    }
    /* A UUID of random numbers (RFC 4122, section 4.4), as the registry would make one. */
    uint64_t high = random_u64(), low = random_u64();
    int len = asprintf(&id, "%.*s-%08x-%04x-4%03x-%04x-%012llx", (int)cut_len(spec->name),
                       spec->name, (unsigned)(high >> 32), (unsigned)(high >> 16 & 0xffff),
                       (unsigned)(high & 0xfff), (unsigned)(low >> 48 & 0x3fff) | 0x8000,
                       (unsigned long long)(low & 0xffffffffffff));
    return len > 0 ? id : NULL;
}

static bool is_bounded(const char *text, size_t max)
{
    return text == NULL || strlen(text) <= max;
}

static bool is_valid(const struct muster *muster, const struct muster_spec *spec)
{
    if (spec == NULL || spec->size < sizeof *spec || spec->name == NULL || *spec->name == '\0' ||
        (spec->port == 0 && muster->port == 0) || (spec->id == NULL && muster->id_unusable) ||
        (spec->interval_ms == 0 && muster->interval_unusable) || spec->health > MUSTER_CRITICAL ||
        spec->weight < MUSTER_WEIGHT_NONE || spec->weight > WEIGHT_MAX ||
        spec->tags_count > TAGS_MAX || spec->metadata_count > METADATA_MAX ||
        (spec->ttl_ms > 0 && spec->ttl_ms < TTL_MS_MIN) || spec->ttl_ms > TTL_MS_MAX ||
        spec->reap_after_ms > REAP_AFTER_MS_MAX) {
        return false;
    }
    for (size_t i = 0; i < spec->tags_count; i++) {
        if (spec->tags[i] == NULL || !is_bounded(spec->tags[i], TAG_BYTES_MAX)) {
            return false;
        }
    }
    for (size_t i = 0; i < spec->metadata_count; i++) {
        const struct muster_pair *pair = &spec->metadata[i];
        if (pair->key == NULL || pair->value == NULL ||
            !is_bounded(pair->key, METADATA_KEY_BYTES_MAX) ||
            !is_bounded(pair->value, METADATA_VALUE_BYTES_MAX)) {
            return false;
        }
    }
    return is_bounded(spec->name, NAME_BYTES_MAX) && is_bounded(spec->type, NAME_BYTES_MAX) &&
           is_bounded(spec->zone, NAME_BYTES_MAX) && is_bounded(spec->host, HOST_BYTES_MAX) &&
           (spec->id == NULL || *spec->id != '\0') && is_bounded(spec->id, NAME_BYTES_MAX) &&
           is_bounded(spec->note, NOTE_BYTES_MAX);
}

static void set_note(char out[NOTE_BYTES_MAX + 1], const char *text)
{
    (void)snprintf(out, NOTE_BYTES_MAX + 1, "%s", text != NULL ? text : "");
}

/* With the mutex. */
static enum muster_error make(struct muster *muster, const struct muster_spec *spec,
                              struct muster_registration **ret_registration)
{
    struct muster_registration *made = calloc(1, sizeof *made);
    char *id = made != NULL ? make_id(muster, spec) : NULL;
    if (id == NULL) {
        free(made);
        return MUSTER_NO_MEMORY;
    }
    made->id = id;
    made->body = make_body(spec, id, spec->port > 0 ? spec->port : muster->port);
    if (made->body == NULL) {
        registration_free(made);
        return MUSTER_INVALID;
    }
    made->muster = muster;
    made->on_state = spec->on_state;
    made->ctx = spec->ctx;
    made->interval_ms = spec->interval_ms > 0 ? spec->interval_ms : muster->interval_ms;
    made->ttl_ms = spec->ttl_ms;
    made->declared = spec->health;
    set_note(made->note, spec->note);
    made->health.version = 1;
    made->state_told = true;
    *ret_registration = made;
    return MUSTER_OK;
}

enum muster_error muster_register(struct muster *muster, const struct muster_spec *spec,
                                  struct muster_registration **ret_registration)
{
    if (muster == NULL || ret_registration == NULL || !is_valid(muster, spec)) {
        return MUSTER_INVALID;
    }
    enum muster_error error = client_check(muster, 0);
    if (error != MUSTER_OK) {
        return error;
    }
    struct renewer *renewer = &muster->renewer;
    struct muster_registration *made = NULL;
    pthread_mutex_lock(&muster->mutex);
    error = renewer->count < REGISTRATIONS_MAX ? make(muster, spec, &made) : MUSTER_TOO_MANY;
    if (error == MUSTER_OK) {
        made->next = renewer->first;
        if (made->next != NULL) {
            made->next->previous = made;
        }
        renewer->first = made;
        renewer->count++;
        renewer_queue(renewer, made);
        *ret_registration = made;
    }
    pthread_mutex_unlock(&muster->mutex);
    loop_wake(&muster->loop);
    return error;
}

/* --- waiting --- */

static bool is_settled(const struct muster_registration *registration)
{
    return registration->state == MUSTER_DENIED ||
           (registration->registered && registration->health.sent == registration->health.version &&
            registration->maintenance.sent == registration->maintenance.version);
}

/* With the mutex: what was not done in time, and why. */
static enum muster_error overdue(const struct muster_registration *registration)
{
    return registration->error != MUSTER_OK ? registration->error : MUSTER_TIMED_OUT;
}

/* With the mutex. Of what went wrong before, only that nobody answers says something of what is
 * asked for now. */
static void forget_error(struct muster_registration *registration)
{
    if (registration->error != MUSTER_UNREACHABLE) {
        registration->error = MUSTER_OK;
    }
}

/* With the mutex. */
static enum muster_error await_settled(struct muster_registration *registration,
                                       uint32_t timeout_ms)
{
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    while (!is_settled(registration)) {
        if (!client_await(registration->muster, deadline_ms)) {
            return is_settled(registration) ? MUSTER_OK : overdue(registration);
        }
    }
    return registration->state == MUSTER_DENIED ? MUSTER_REFUSED : MUSTER_OK;
}

enum muster_error muster_wait(struct muster_registration *registration, uint32_t timeout_ms)
{
    if (registration == NULL) {
        return MUSTER_INVALID;
    }
    enum muster_error error = client_check(registration->muster, timeout_ms);
    if (error != MUSTER_OK) {
        return error;
    }
    pthread_mutex_lock(&registration->muster->mutex);
    error = await_settled(registration, timeout_ms);
    pthread_mutex_unlock(&registration->muster->mutex);
    return error;
}

const char *muster_registration_id(const struct muster_registration *registration)
{
    return registration->id;
}

enum muster_state muster_registration_state(const struct muster_registration *registration)
{
    struct muster *muster = registration->muster;
    if (client_check(muster, 0) != MUSTER_OK) {
        return MUSTER_PENDING;
    }
    pthread_mutex_lock(&muster->mutex);
    enum muster_state state = registration->state;
    pthread_mutex_unlock(&muster->mutex);
    return state;
}

/* With the mutex: the setting has changed; waits until the registry has answered this change, or a
 * later one. */
static enum muster_error await_set(struct muster_registration *registration,
                                   const struct setting *setting, uint32_t timeout_ms)
{
    uint64_t version = setting->version;
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    forget_error(registration);
    renewer_queue(&registration->muster->renewer, registration);
    loop_wake(&registration->muster->loop);
    while (timeout_ms > 0 && setting->sent < version && registration->state != MUSTER_DENIED) {
        if (!client_await(registration->muster, deadline_ms)) {
            return setting->sent < version ? overdue(registration) : MUSTER_OK;
        }
    }
    bool refused = registration->state == MUSTER_DENIED || setting->refused == version;
    return timeout_ms > 0 && refused ? MUSTER_REFUSED : MUSTER_OK;
}

enum muster_error muster_set_health(struct muster_registration *registration,
                                    enum muster_health health, const char *note,
                                    uint32_t timeout_ms)
{
    if (registration == NULL || health > MUSTER_CRITICAL || !is_bounded(note, NOTE_BYTES_MAX)) {
        return MUSTER_INVALID;
    }
    struct muster *muster = registration->muster;
    enum muster_error error = client_check(muster, timeout_ms);
    if (error != MUSTER_OK) {
        return error;
    }
    pthread_mutex_lock(&muster->mutex);
    registration->declared = health;
    set_note(registration->note, note);
    registration->health.version++;
    error = await_set(registration, &registration->health, timeout_ms);
    pthread_mutex_unlock(&muster->mutex);
    return error;
}

enum muster_error muster_set_maintenance(struct muster_registration *registration, bool on,
                                         const char *reason, uint32_t timeout_ms)
{
    if (registration == NULL || !is_bounded(reason, NOTE_BYTES_MAX)) {
        return MUSTER_INVALID;
    }
    struct muster *muster = registration->muster;
    enum muster_error error = client_check(muster, timeout_ms);
    if (error != MUSTER_OK) {
        return error;
    }
    pthread_mutex_lock(&muster->mutex);
    registration->hidden = on;
    set_note(registration->reason, reason);
    registration->maintenance.version++;
    error = await_set(registration, &registration->maintenance, timeout_ms);
    pthread_mutex_unlock(&muster->mutex);
    return error;
}

enum muster_error muster_deregister(struct muster_registration *registration, uint32_t timeout_ms)
{
    if (registration == NULL) {
        return MUSTER_OK;
    }
    struct muster *muster = registration->muster;
    enum muster_error error = client_check(muster, 1);
    if (error != MUSTER_OK) {
        return error;
    }
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    pthread_mutex_lock(&muster->mutex);
    registration->removing = true;
    forget_error(registration);
    renewer_queue(&muster->renewer, registration);
    loop_wake(&muster->loop);
    while (!registration->removed && client_await(muster, deadline_ms)) {
    }
    error = registration->error;
    if (registration->removed) {
        registration_free(registration);
    } else {
        error = overdue(registration);
        registration->abandoned = true;
    }
    pthread_mutex_unlock(&muster->mutex);
    return error;
}
