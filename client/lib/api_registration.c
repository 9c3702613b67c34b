/* The functions of the public header about instances that this client registers. */
#include <stddef.h>
#include <string.h>

#include "client/lib/arguments.h"
#include "client/lib/client.h"
#include "client/lib/spec.h"
#include "server/base/clock.h"

/* Sets *ret_spec to the caller's spec as this version knows it. NULL, or what is wrong. */
static const char *take_spec(const struct muster *muster, const struct muster_spec *given,
                             struct muster_spec *ret_spec)
{
    if (given == NULL) {
        return "spec is NULL";
    }
    const size_t least = offsetof(struct muster_spec, checks); /* version 0.1 */
    const char *fault = arguments_copy(ret_spec, sizeof *ret_spec, least, given);
    return fault != NULL ? fault : spec_find_fault(&muster->core.settings, ret_spec);
}

enum muster_error muster_register(struct muster *muster, const struct muster_spec *spec,
                                  struct muster_registration **ret_registration)
{
    struct muster_spec own;
    if (muster == NULL || ret_registration == NULL) {
        return arguments_invalid(muster == NULL ? "muster is NULL" : "ret_registration is NULL");
    }
    struct core *core = &muster->core;
    enum muster_error error = core_check(core, 0);
    if (error != MUSTER_OK) {
        return error;
    }
    const char *fault = take_spec(muster, spec, &own);
    if (fault != NULL) {
        return arguments_invalid(fault);
    }
    struct renewer *renewer = &muster->renewer;
    struct muster_registration *made = NULL;
    pthread_mutex_lock(&core->mutex);
    error = renewer->count < RENEWER_REGISTRATIONS_MAX ? spec_make(&core->settings, &own, &made)
                                                       : MUSTER_TOO_MANY;
    if (error == MUSTER_OK) {
        made->muster = muster;
        renewer_add(renewer, made);
        *ret_registration = made;
    }
    pthread_mutex_unlock(&core->mutex);
    loop_wake(&core->loop);
    return error;
}

/* --- waiting --- */

static bool is_settled(const struct muster_registration *registration)
{
    return registration->state == MUSTER_DENIED ||
           (registration->registered && registration->health.sent == registration->health.version &&
            registration->maintenance.sent == registration->maintenance.version);
}

/* Requires the mutex: what was not done in time, and why. */
static enum muster_error overdue(const struct muster_registration *registration)
{
    return registration->error != MUSTER_OK ? registration->error : MUSTER_TIMED_OUT;
}

/* Requires the mutex. Of what went wrong before, only that nobody answers says something of what is
 * asked for now. */
static void forget_error(struct muster_registration *registration)
{
    if (registration->error != MUSTER_UNREACHABLE) {
        registration->error = MUSTER_OK;
    }
}

/* Requires the mutex. */
static enum muster_error await_settled(struct muster_registration *registration,
                                       uint32_t timeout_ms)
{
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    while (!is_settled(registration)) {
        if (!core_await(&registration->muster->core, deadline_ms)) {
            return is_settled(registration) ? MUSTER_OK : overdue(registration);
        }
    }
    return registration->state == MUSTER_DENIED ? MUSTER_REFUSED : MUSTER_OK;
}

enum muster_error muster_wait(struct muster_registration *registration, uint32_t timeout_ms)
{
    if (registration == NULL) {
        return arguments_invalid("registration is NULL");
    }
    enum muster_error error = core_check(&registration->muster->core, timeout_ms);
    if (error != MUSTER_OK) {
        return error;
    }
    pthread_mutex_lock(&registration->muster->core.mutex);
    error = await_settled(registration, timeout_ms);
    pthread_mutex_unlock(&registration->muster->core.mutex);
    return error;
}

const char *muster_registration_id(const struct muster_registration *registration)
{
    return registration->id;
}

enum muster_state muster_registration_state(const struct muster_registration *registration)
{
    struct muster *muster = registration->muster;
    if (core_check(&muster->core, 0) != MUSTER_OK) {
        return MUSTER_PENDING;
    }
    pthread_mutex_lock(&muster->core.mutex);
    enum muster_state state = registration->state;
    pthread_mutex_unlock(&muster->core.mutex);
    return state;
}

const char *muster_registration_why(const struct muster_registration *registration)
{
    static _Thread_local char why[REGISTRATION_WHY_SIZE];
    struct core *core = &registration->muster->core;
    if (core_check(core, 0) != MUSTER_OK) {
        return "";
    }
    pthread_mutex_lock(&core->mutex);
    memcpy(why, registration->why, sizeof why);
    pthread_mutex_unlock(&core->mutex);
    return why;
}

/* Requires the mutex: the setting has changed; waits until the registry has answered this change,
 * or a later one. */
static enum muster_error await_set(struct muster_registration *registration,
                                   const struct setting *setting, uint32_t timeout_ms)
{
    uint64_t version = setting->version;
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    forget_error(registration);
    renewer_queue(&registration->muster->renewer, registration);
    loop_wake(&registration->muster->core.loop);
    while (timeout_ms > 0 && setting->sent < version && registration->state != MUSTER_DENIED) {
        if (!core_await(&registration->muster->core, deadline_ms)) {
            return setting->sent < version ? overdue(registration) : MUSTER_OK;
        }
    }
    bool refused = registration->state == MUSTER_DENIED || setting->refused == version;
    return timeout_ms > 0 && refused ? MUSTER_REFUSED : MUSTER_OK;
}

static const char *find_setting_fault(const struct muster_registration *registration,
                                      const char *note)
{
    if (registration == NULL) {
        return "registration is NULL";
    }
    return spec_find_text_fault(note, NOTE_BYTES_MAX, "the note or reason is longer than 512 bytes",
                                "the note or reason is not UTF-8");
}

enum muster_error muster_set_health(struct muster_registration *registration,
                                    enum muster_health health, const char *note,
                                    uint32_t timeout_ms)
{
    const char *fault = find_setting_fault(registration, note);
    if (fault == NULL && health > MUSTER_CRITICAL) {
        fault = "health is none of passing, warning, critical";
    }
    if (fault != NULL) {
        return arguments_invalid(fault);
    }
    struct muster *muster = registration->muster;
    enum muster_error error = core_check(&muster->core, timeout_ms);
    if (error != MUSTER_OK) {
        return error;
    }
    pthread_mutex_lock(&muster->core.mutex);
    registration->declared = health;
    registration_set_note(registration->note, note);
    registration->health.version++;
    error = await_set(registration, &registration->health, timeout_ms);
    pthread_mutex_unlock(&muster->core.mutex);
    return error;
}

enum muster_error muster_set_maintenance(struct muster_registration *registration, bool on,
                                         const char *reason, uint32_t timeout_ms)
{
    const char *fault = find_setting_fault(registration, reason);
    if (fault != NULL) {
        return arguments_invalid(fault);
    }
    struct muster *muster = registration->muster;
    enum muster_error error = core_check(&muster->core, timeout_ms);
    if (error != MUSTER_OK) {
        return error;
    }
    pthread_mutex_lock(&muster->core.mutex);
    registration->hidden = on;
    registration_set_note(registration->reason, reason);
    registration->maintenance.version++;
    error = await_set(registration, &registration->maintenance, timeout_ms);
    pthread_mutex_unlock(&muster->core.mutex);
    return error;
}

enum muster_error muster_deregister(struct muster_registration *registration, uint32_t timeout_ms)
{
    if (registration == NULL) {
        return MUSTER_OK;
    }
    struct muster *muster = registration->muster;
    enum muster_error error = core_check(&muster->core, 1);
    if (error != MUSTER_OK) {
        return error;
    }
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    pthread_mutex_lock(&muster->core.mutex);
    registration->removing = true;
    forget_error(registration);
    renewer_queue(&muster->renewer, registration);
    loop_wake(&muster->core.loop);
    while (!registration->removed && core_await(&muster->core, deadline_ms)) {
    }
    error = registration->error;
    if (registration->removed) {
        registration_free(registration);
    } else {
        error = overdue(registration);
        registration->abandoned = true;
    }
    pthread_mutex_unlock(&muster->core.mutex);
    return error;
}
