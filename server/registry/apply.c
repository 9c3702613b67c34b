/* The effect of each command. Nothing here fails: a refusal is a result, equal on every replica. */
#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/registry/check_id.h"
#include "server/registry/internal.h"
#include "server/registry/mix.h"
#include "server/registry/size.h"

struct instance *apply_find(const struct registry *r, const struct command *command,
                            const struct slice *id)
{
    char room[STORED_NAME_SIZE];
    struct slice stored;
    return namespace_join(command->space, *id, r->work.limits.name_bytes, room, &stored)
               ? registry_find(r, stored.data, stored.len)
               : NULL;
}

static void set_result(const struct instance *instance, struct result *ret_result)
{
    ret_result->incarnation = instance->record->incarnation;
    ret_result->ttl_ms = instance->record->ttl_ms;
}

static void renew_lease(struct registry *r, uint32_t slot)
{
    const struct lease *lease = leases_at(&r->leases, slot);
    registry_set_lease(
        r, slot, r->work.now_ms,
        lease->ttl_ms > 0 || r->work.level < LEVEL_CHECKS ? r->work.now_ms + lease->ttl_ms : NEVER);
}

/* If the deadline may now be earlier than the lease's bucket. */
static void renew_and_relink(struct registry *r, const struct instance *instance)
{
    leases_unlink(&r->leases, instance->record->slot);
    renew_lease(r, instance->record->slot);
    leases_link(&r->leases, instance->record->slot);
}

void apply_set_deadline(struct registry *r, const struct instance *instance, uint64_t deadline_ms)
{
    leases_unlink(&r->leases, instance->record->slot);
    registry_set_lease(r, instance->record->slot, r->work.now_ms, deadline_ms);
    leases_link(&r->leases, instance->record->slot);
}

/* A sign of life of the instance: renews its lease, and an expired one recovers. `declared` is its
 * health as last reported. */
static void heard(struct registry *r, struct instance *instance, enum health declared,
                  const struct slice *note)
{
    const struct record *old = instance->record;
    if (checks_is_check(record_id(old))) {
        checks_heard(r, instance, declared, note);
        return;
    }
    declared = checks_health(r, old, declared);
    bool recovered = old->expired;
    bool changed = old->declared != declared ||
                   (note != NULL && (strlen(record_note(old)) != note->len ||
                                     memcmp(record_note(old), note->data, note->len) != 0));
    if (!recovered && !changed) {
        renew_lease(r, instance->record->slot);
        return;
    }
    struct record *new = record_copy(old, note, NULL);
    new->expired = false;
    new->declared = (uint8_t)declared;
    registry_replace(r, instance, new);
    renew_and_relink(r, instance);
    events_add(r, recovered ? EVENT_RECOVERED : EVENT_HEALTH, new);
}

/* --- register --- */

/* As an instance, as one of a new service, and in an event. */
uint64_t apply_size_added(const struct record *record)
{
    uint64_t size = size_instance(record);
    return 2 * size + SIZE_LEASE_MAX + SIZE_EVENT_MAX +
           size_service(record_name(record), record->index);
}

static void register_new(struct registry *r, const struct command *command,
                         struct result *ret_result)
{
    struct record *record = record_create(&command->register_.registration);
    record->slot = NONE; /* for its size only: no slot is taken before it is certain */
    record->generation = (uint32_t)(mix64(r->incarnation) >> 32);
    record->incarnation = r->incarnation;
    record->index = r->work.index;
    record->registered_ms = r->work.wall_ms;
    record->declared = (uint8_t)command->register_.health;
    if (registry_count(r) >= r->work.limits.instances ||
        !registry_has_room(r, apply_size_added(record))) {
        ret_result->status = ST_FULL;
    } else if (!namespaces_have_room(r, record_id(record), 1, size_instance(record))) {
        ret_result->status = ST_QUOTA;
    }
    if (ret_result->status != ST_OK) {
        free(record);
        return;
    }
    record->slot = leases_take_slot(&r->leases);
    CHECK(record->slot != NONE); /* there are INSTANCES_MAX slots */
    bool is_endless = record->ttl_ms == 0 && r->work.level >= LEVEL_CHECKS;
    registry_insert(r, record, r->work.now_ms,
                    is_endless ? NEVER : r->work.now_ms + record->ttl_ms);
    events_add(r, EVENT_REGISTERED, record);
    ret_result->created = true;
    ret_result->incarnation = record->incarnation;
    ret_result->ttl_ms = record->ttl_ms;
}

/* Same id, other content: the owner's update if it gave its incarnation; otherwise another process
 * has taken its place. */
static enum status register_other(struct registry *r, struct instance *instance,
                                  const struct command *command)
{
    const struct record *old = instance->record;
    bool owner = command->register_.incarnation != 0;
    struct slice note = {.data = record_note(old), .len = owner ? strlen(record_note(old)) : 0};
    struct slice reason = {.data = record_reason(old), .len = strlen(record_reason(old))};
    struct record *new = record_build(&command->register_.registration, note, reason);
    new->incarnation = owner ? old->incarnation : r->incarnation;
    new->registered_ms = owner ? old->registered_ms : r->work.wall_ms;
    new->maintenance = old->maintenance;
    new->declared = owner && !command->register_.health_given ? old->declared
                                                              : (uint8_t)command->register_.health;
    if (command->kind == COMMAND_REGISTER) {
        new->declared = (uint8_t)checks_health(r, old, (enum health) new->declared);
    }
    new->slot = old->slot;
    new->generation = old->generation;
    new->index = r->work.index;
    /* Readers that follow only its old service or type must learn that it has left. */
    bool moved = strcmp(record_name(old), record_name(new)) != 0 ||
                 strcmp(record_type(old), record_type(new)) != 0;
    /* A change that makes it smaller is accepted even if the state is full. */
    uint64_t added = apply_size_added(new) - size_instance(old) +
                     (moved ? size_instance(old) + SIZE_EVENT_MAX : 0);
    if (size_instance(new) > size_instance(old)) {
        enum status status = ST_OK;
        if (!registry_has_room(r, added)) {
            status = ST_FULL;
        } else if (!namespaces_have_room(r, record_id(new), 0,
                                         size_instance(new) - size_instance(old))) {
            status = ST_QUOTA;
        }
        if (status != ST_OK) {
            free(new);
            return status;
        }
    }
    if (moved) {
        events_add(r, EVENT_DEREGISTERED, instance->record);
    }
    registry_replace(r, instance, new);
    registry_moved_catalog(r);
    renew_and_relink(r, instance);
    events_add(r, moved ? EVENT_REGISTERED : EVENT_UPDATED, new);
    return ST_OK;
}

/* Its id and name are as they are stored. */
static void register_stored(struct registry *r, const struct command *command,
                            struct result *ret_result)
{
    const struct registration *registration = &command->register_.registration;
    struct instance *instance = registry_find(r, registration->id.data, registration->id.len);
    if (!tokens_let_register(r, instance, registration)) {
        ret_result->status = ST_FORBIDDEN;
        return;
    }
    if (command->kind == COMMAND_REGISTER && command->register_.unique_type &&
        types_is_taken(r, registration, instance != NULL ? instance->record : NULL)) {
        ret_result->status = ST_DUPLICATE_TYPE;
        return;
    }
    if (instance == NULL) {
        register_new(r, command, ret_result);
        return;
    }
    uint64_t said = command->register_.incarnation;
    if (said != 0 && said != instance->record->incarnation) {
        ret_result->status = ST_CONFLICT;
    } else if (record_same_content(instance->record, registration)) {
        heard(r, instance,
              command->register_.health_given ? command->register_.health
                                              : (enum health)instance->record->declared,
              NULL);
    } else {
        ret_result->status = register_other(r, instance, command);
    }
    set_result(instance, ret_result);
}

void apply_register(struct registry *r, const struct command *command, struct result *ret_result)
{
    const struct registration *said = &command->register_.registration;
    char id_room[STORED_NAME_SIZE];
    char name_room[STORED_NAME_SIZE];
    struct slice id, name;
    size_t most = r->work.limits.name_bytes;
    if (!namespace_join(command->space, said->id, most, id_room, &id) ||
        !namespace_join(command->space, said->name, most, name_room, &name)) {
        ret_result->status = ST_TOO_LARGE;
    } else if (command->space.len == 0) {
        register_stored(r, command, ret_result);
    } else {
        struct command stored = *command;
        stored.register_.registration.id = id;
        stored.register_.registration.name = name;
        register_stored(r, &stored, ret_result);
    }
}

/* --- heartbeats --- */

static void miss(struct result *ret_result, uint32_t position, uint32_t count)
{
    if (ret_result->missed == NULL) {
        ret_result->missed = mem_alloc(count * sizeof *ret_result->missed);
    }
    ret_result->missed[ret_result->missed_count++] = position;
}

static void apply_renew(struct registry *r, const struct command *command,
                        struct result *ret_result)
{
    for (uint32_t i = 0; i < command->renew.count; i++) {
        struct lease_ref ref = lease_ref_load(command->renew.refs + (size_t)i * LEASE_REF_BYTES);
        struct lease *lease = ref.slot < r->leases.slots ? leases_at(&r->leases, ref.slot) : NULL;
        if (lease == NULL || lease->instance == NULL || lease->generation != ref.generation ||
            !tokens_let(r, lease->instance)) {
            miss(ret_result, i, command->renew.count);
            continue;
        }
        if (lease->expired) {
            bool is_check = checks_is_check(record_id(lease->instance->record));
            heard(r, lease->instance,
                  is_check ? HEALTH_PASSING : (enum health)lease->instance->record->declared, NULL);
        } else {
            renew_lease(r, ref.slot);
        }
        ret_result->renewed++;
    }
}

static void heartbeat_one(struct registry *r, struct instance *instance,
                          const struct command *command, struct result *ret_result)
{
    uint64_t said = command->heartbeat.incarnation;
    set_result(instance, ret_result);
    if (said != 0 && said != instance->record->incarnation) {
        ret_result->status = ST_CONFLICT;
        return;
    }
    enum health declared = (enum health)instance->record->declared;
    const struct slice *note = command->heartbeat.note_given ? &command->heartbeat.note : NULL;
    if (note != NULL && note->len > r->work.limits.note_bytes &&
        !checks_is_check(record_id(instance->record))) {
        ret_result->status = ST_TOO_LARGE;
        return;
    }
    static const struct slice no_note = {.data = "", .len = 0};
    if (command->heartbeat.status_given) {
        /* A note explains the status it came with, not later ones. */
        if (note == NULL && command->heartbeat.status != declared) {
            note = &no_note;
        }
        declared = command->heartbeat.status;
    }
    heard(r, instance, declared, note);
    ret_result->renewed++;
}

static void apply_heartbeat(struct registry *r, const struct command *command,
                            struct result *ret_result)
{
    for (uint32_t i = 0; i < command->heartbeat.count; i++) {
        const struct slice *id = &command->heartbeat.ids[i];
        struct instance *instance = apply_find(r, command, id);
        if (instance == NULL) {
            miss(ret_result, i, command->heartbeat.count);
        } else if (tokens_let(r, instance)) {
            heartbeat_one(r, instance, command, ret_result);
        } else if (command->heartbeat.count > 1) {
            /* As if it were not there: the others count, and who registers it is told. */
            miss(ret_result, i, command->heartbeat.count);
        } else {
            ret_result->status = ST_FORBIDDEN;
        }
    }
    if (command->heartbeat.count == 1 && ret_result->missed_count == 1) {
        ret_result->status = ST_NOT_FOUND;
    }
}

/* --- the others --- */

static void apply_deregister(struct registry *r, const struct command *command,
                             struct result *ret_result)
{
    struct instance *instance = apply_find(r, command, &command->deregister.id);
    if (instance == NULL) {
        ret_result->status = ST_NOT_FOUND;
        return;
    }
    if (!tokens_let(r, instance)) {
        ret_result->status = ST_FORBIDDEN;
        return;
    }
    set_result(instance, ret_result);
    uint64_t said = command->deregister.incarnation;
    if (said != 0 && said != instance->record->incarnation) {
        ret_result->status = ST_CONFLICT;
        return;
    }
    if (!checks_is_check(record_id(instance->record))) {
        events_add(r, EVENT_DEREGISTERED, instance->record);
    }
    checks_remove(r, instance);
}

static void apply_maintenance(struct registry *r, const struct command *command,
                              struct result *ret_result)
{
    const struct slice none = {.data = "", .len = 0};
    const struct slice *reason =
        command->maintenance.enabled ? &command->maintenance.reason : &none;
    struct instance *instance = apply_find(r, command, &command->maintenance.id);
    if (instance == NULL) {
        ret_result->status = ST_NOT_FOUND;
        return;
    }
    if (!tokens_let(r, instance)) {
        ret_result->status = ST_FORBIDDEN;
        return;
    }
    const struct record *old = instance->record;
    if (old->maintenance != command->maintenance.enabled ||
        strlen(record_reason(old)) != reason->len ||
        memcmp(record_reason(old), reason->data, reason->len) != 0) {
        struct record *new = record_copy(old, NULL, reason);
        if (checks_is_check(record_id(old))) {
            free(new);
            ret_result->status = ST_NOT_FOUND;
            return;
        }
        new->maintenance = command->maintenance.enabled;
        registry_replace(r, instance, new);
        events_add(r, EVENT_MAINTENANCE, new);
    }
    set_result(instance, ret_result);
}

static void expire(struct registry *r, struct instance *instance)
{
    if (checks_is_check(record_id(instance->record))) {
        checks_expire(r, instance);
        return;
    }
    struct lease *lease = leases_at(&r->leases, instance->record->slot);
    struct record *new = record_copy(instance->record, NULL, NULL);
    uint64_t renewed = atomic_load_explicit(&lease->renewed_ms, memory_order_relaxed);
    new->expired = true;
    registry_replace(r, instance, new);
    leases_unlink(&r->leases, instance->record->slot);
    registry_set_lease(r, new->slot, renewed,
                       new->reap_after_ms > 0 ? r->work.now_ms + new->reap_after_ms : NEVER);
    leases_link(&r->leases, instance->record->slot);
    events_add(r, EVENT_EXPIRED, new);
}

/* It was critical for as long as it may be; a check takes its owner along. */
static void reap(struct registry *r, struct instance *instance)
{
    struct instance *owner = instance;
    if (checks_is_check(record_id(instance->record))) {
        owner = checks_owner(r, instance->record);
        owner = owner != NULL ? owner : instance;
    }
    if (!checks_is_check(record_id(owner->record))) {
        events_add(r, EVENT_REAPED, owner->record);
    }
    checks_remove(r, owner);
}

/* Order of due leases: by deadline, and at the same time by age and id. */
struct due {
    uint64_t deadline_ms;
    uint64_t incarnation;
    const char *id;
    uint32_t slot;
};

static int compare_due(const void *a, const void *b)
{
    const struct due *x = a;
    const struct due *y = b;
    if (x->deadline_ms != y->deadline_ms) {
        return x->deadline_ms < y->deadline_ms ? -1 : 1;
    }
    if (x->incarnation != y->incarnation) {
        return x->incarnation < y->incarnation ? -1 : 1;
    }
    return strcmp(x->id, y->id); /* an instance and its checks have come together */
}

static void apply_expire(struct registry *r, const struct command *command,
                         struct result *ret_result)
{
    leases_collect_due(&r->leases, command->expire.until_ms);
    uint32_t count = r->leases.due_count;
    struct due *due = mem_alloc(count * sizeof *due);
    for (uint32_t i = 0; i < count; i++) {
        const struct lease *lease = leases_at(&r->leases, r->leases.due[i]);
        due[i] = (struct due){
            .deadline_ms = atomic_load_explicit(&lease->deadline_ms, memory_order_relaxed),
            .incarnation = lease->instance->record->incarnation,
            .id = record_id(lease->instance->record),
            .slot = r->leases.due[i],
        };
    }
    /* The wheel's order depends on this process's past; this one does not. */
    qsort(due, count, sizeof *due, compare_due);
    for (uint32_t i = 0; i < count && i < command->expire.limit; i++) {
        struct instance *instance = leases_at(&r->leases, due[i].slot)->instance;
        if (instance == NULL) {
            continue; /* it has gone with its owner */
        }
        if (instance->record->expired) {
            reap(r, instance);
            ret_result->reaped++;
        } else {
            expire(r, instance);
            ret_result->expired++;
        }
    }
    free(due);
}

/* The first bound may have any value; later it can only be raised, so that accepted state never
 * exceeds it. */
static void apply_state_bytes(struct registry *r, const struct command *command,
                              struct result *ret_result)
{
    if (command->state_bytes.most <= r->work.state_bytes_max) {
        ret_result->status = ST_CONFLICT;
        return;
    }
    r->work.state_bytes_max = command->state_bytes.most;
    events_trim(r);
}

void apply_command(struct registry *r, const struct command *command, struct result *ret_result)
{
    ret_result->status = tokens_admit(r, command);
    if (ret_result->status != ST_OK) {
        return;
    }
    switch (command->kind) {
    case COMMAND_REGISTER:
        apply_register(r, command, ret_result);
        return;
    case COMMAND_RENEW:
        apply_renew(r, command, ret_result);
        return;
    case COMMAND_HEARTBEAT:
        apply_heartbeat(r, command, ret_result);
        return;
    case COMMAND_DEREGISTER:
        apply_deregister(r, command, ret_result);
        return;
    case COMMAND_MAINTENANCE:
        apply_maintenance(r, command, ret_result);
        return;
    case COMMAND_EXPIRE:
        apply_expire(r, command, ret_result);
        return;
    case COMMAND_KEEP_EVENTS:
        events_keep(r, command->keep_events.count);
        return;
    case COMMAND_STATE_BYTES:
        apply_state_bytes(r, command, ret_result);
        return;
    case COMMAND_TOKEN_CREATE:
        tokens_apply_create(r, command, ret_result);
        return;
    case COMMAND_TOKEN_REVOKE:
        tokens_apply_revoke(r, command, ret_result);
        return;
    case COMMAND_QUOTA_SET:
        namespaces_apply_set(r, command, ret_result);
        return;
    case COMMAND_QUOTA_DELETE:
        namespaces_apply_delete(r, command, ret_result);
        return;
    case COMMAND_POLICY_CREATE:
        policies_apply_create(r, command, ret_result);
        return;
    case COMMAND_POLICY_DELETE:
        policies_apply_delete(r, command, ret_result);
        return;
    case COMMAND_ENROL:
        checks_apply_enrol(r, command, ret_result);
        return;
    case COMMAND_CHECK_PUT:
        checks_apply_put(r, command, ret_result);
        return;
    case COMMAND_CHECK_RESULT:
        checks_apply_result(r, command, ret_result);
        return;
    case COMMAND_PROBERS:
        probers_apply(r, command);
        return;
    case COMMAND_SINK_CONFIRM:
        sinks_apply_confirm(r, command, ret_result);
        return;
    }
    CHECK(false); /* the decoder accepts no other kind */
}
