/* Checks and nodes: their commands, and what they do to the instances that they are of. */
#include <stdio.h>
#include <stdlib.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/registry/check_id.h"
#include "server/registry/internal.h"
#include "server/registry/mix.h"
#include "server/registry/size.h"

/* In a stored id, behind its namespace. */
static const char *bare(const struct record *record)
{
    return namespace_bare(record_id(record));
}

static bool is_node(const struct record *record)
{
    return bare(record)[0] == CHECK_MARK && strchr(bare(record) + 1, CHECK_MARK) == NULL;
}

/* --- owners --- */

struct instance *checks_owner(const struct registry *r, const struct record *check)
{
    return is_node(check) ? NULL
                          : registry_find(r, record_id(check), check_owner_len(record_id(check)));
}

const char *checks_guarded_name(const struct registry *r, const struct record *record,
                                char room[STORED_NAME_SIZE])
{
    if (!checks_is_check(record_id(record))) {
        return record_name(record);
    }
    if (!is_node(record)) {
        record = checks_owner(r, record)->record;
    }
    if (!is_node(record)) {
        return record_name(record);
    }
    struct slice space = namespace_of(record_id(record));
    char of_space[NAMESPACE_SIZE];
    (void)snprintf(of_space, sizeof of_space, "%.*s", (int)space.len, space.data);
    namespace_store(of_space, bare(record) + 1, room);
    return room;
}

/* The worst of the owner's checks; false: it has none. */
static bool find_worst(const struct registry *r, const char *owner_id, enum health *ret_worst)
{
    struct ptree_iterator it;
    bool found = false;
    *ret_worst = HEALTH_PASSING;
    if (ptree_count(&r->work.checks) == 0) {
        return false;
    }
    view_iterate_checks(&it, &r->work, owner_id);
    for (const struct record *check; check_is_of(check = ptree_next(&it), owner_id);) {
        found = true;
        *ret_worst = check->declared > *ret_worst ? (enum health)check->declared : *ret_worst;
    }
    return found;
}

enum health checks_health(const struct registry *r, const struct record *record, enum health said)
{
    enum health worst;
    return find_worst(r, record_id(record), &worst) ? worst : said;
}

/* The checks of `owner` have changed: so does its health, and its index in any case. */
static void settle(struct registry *r, struct instance *owner)
{
    enum health before = record_health(owner->record);
    enum health worst;
    (void)find_worst(r, record_id(owner->record), &worst);
    struct record *new = record_copy(owner->record, NULL, NULL);
    bool is_check = checks_is_check(record_id(new));
    new->declared = (uint8_t)worst;
    registry_replace(r, owner, new);
    r->work.changed_index = r->work.index;
    if (!is_check && record_health(new) != before) {
        events_add(r, EVENT_HEALTH, new);
    } else if (is_check && record_health(new) != before) {
        places_spread(r, record_id(new));
    }
}

/* --- their clocks --- */

static uint64_t deadline_of(const struct registry *r, const struct record *check)
{
    uint32_t time_ms = check->expired ? check->reap_after_ms : check->ttl_ms;
    return time_ms > 0 ? r->work.now_ms + time_ms : NEVER;
}

static void set_status(struct record *check, enum health status)
{
    check->declared = (uint8_t)status;
    check->expired = status == HEALTH_CRITICAL;
}

static void change(struct registry *r, struct instance *check, enum health status,
                   const struct slice *note)
{
    struct instance *owner = checks_owner(r, check->record);
    struct record *new = record_copy(check->record, note, NULL);
    set_status(new, status);
    new->registered_ms = r->work.wall_ms;
    registry_replace(r, check, new);
    apply_set_deadline(r, check, deadline_of(r, new));
    if (owner != NULL) {
        settle(r, owner);
    }
}

/* A status is always taken. Of a long output that the state has no room for only as much as of any
 * note, in whole characters: so what can exceed the bound stays small. */
static struct slice fit_note(const struct registry *r, const struct record *check,
                             struct slice note)
{
    size_t before = strlen(record_note(check));
    size_t most = r->work.limits.note_bytes;
    if (note.len <= most || note.len <= before ||
        (registry_has_room(r, note.len - before) &&
         namespaces_have_room(r, record_id(check), 0, note.len - before))) {
        return note;
    }
    while (most > 0 && ((unsigned char)note.data[most] & 0xc0) == 0x80) {
        most--;
    }
    return (struct slice){note.data, most};
}

static void take(struct registry *r, struct instance *check, enum health status,
                 const struct slice *said)
{
    const struct record *old = check->record;
    static const struct slice no_note = {"", 0};
    const struct slice fitting = said != NULL ? fit_note(r, old, *said) : no_note;
    const struct slice *note = said != NULL ? &fitting : NULL;
    if (status != (enum health)old->declared) {
        change(r, check, status, note != NULL ? note : &no_note);
        return;
    }
    if (note != NULL && (strlen(record_note(old)) != note->len ||
                         memcmp(record_note(old), note->data, note->len) != 0)) {
        registry_replace(r, check, record_copy(old, note, NULL));
    }
    if (status != HEALTH_CRITICAL) {
        apply_set_deadline(r, check, deadline_of(r, check->record));
    }
}

void checks_heard(struct registry *r, struct instance *check, enum health status,
                  const struct slice *note)
{
    if (!is_node(check->record) && !check->record->active) {
        take(r, check, status, note);
    }
}

void checks_expire(struct registry *r, struct instance *check)
{
    static const struct slice note = {CHECK_NOTE_EXPIRED, sizeof CHECK_NOTE_EXPIRED - 1};
    change(r, check, HEALTH_CRITICAL, &note);
}

/* --- removal --- */

void checks_remove(struct registry *r, struct instance *instance)
{
    const char *id = record_id(instance->record);
    bool is_check = checks_is_check(id);
    struct instance *owner = is_check ? checks_owner(r, instance->record) : NULL;
    if (owner == NULL) {
        struct ptree_iterator it;
        view_iterate_checks(&it, &r->work, id);
        for (const struct record *check; check_is_of(check = ptree_next(&it), id);) {
            registry_remove(r, registry_find(r, record_id(check), strlen(record_id(check))));
            view_iterate_checks(&it, &r->work, id); /* it has moved */
        }
    }
    char stored_id[STORED_NAME_SIZE];
    (void)snprintf(stored_id, sizeof stored_id, "%s", id);
    registry_remove(r, instance);
    if (owner != NULL) {
        settle(r, owner);
    } else if (is_check) {
        places_spread(r, stored_id);
    }
}

/* --- commands --- */

/* OWNER MARK KEY, as it is stored. False: too long. */
static bool join(const struct registry *r, const char *owner_id, struct slice key,
                 char room[STORED_NAME_SIZE], struct slice *ret_id)
{
    size_t owner_len = strlen(owner_id);
    size_t len = owner_len + 1 + key.len;
    if (len > r->work.limits.name_bytes || len >= STORED_NAME_SIZE) {
        return false;
    }
    memcpy(room, owner_id, owner_len);
    room[owner_len] = CHECK_MARK;
    if (key.len > 0) {
        memcpy(room + owner_len + 1, key.data, key.len);
    }
    room[len] = '\0';
    *ret_id = (struct slice){room, len};
    return true;
}

static struct record *build(const struct check_spec *spec, struct slice id)
{
    struct registration g = {
        .id = id,
        .name = {"", 0},
        .type = {"", 0},
        .host = {"", 0},
        .zone = {"", 0},
        .ttl_ms = spec->ttl_ms,
        .reap_after_ms = spec->reap_after_ms,
        .extra = spec->extra,
        .active = spec->active,
    };
    return record_build(&g, spec->note, (struct slice){"", 0});
}

static void insert(struct registry *r, struct record *record)
{
    record->incarnation = r->incarnation;
    record->index = r->work.index;
    record->registered_ms = r->work.wall_ms;
    record->generation = (uint32_t)(mix64(r->incarnation) >> 32);
    record->slot = leases_take_slot(&r->leases);
    CHECK(record->slot != NONE);
    registry_insert(r, record, r->work.now_ms, deadline_of(r, record));
}

/* A check that is there keeps its status and note. True: something is new. */
static bool put(struct registry *r, const struct check_spec *spec, struct slice id)
{
    struct instance *check = registry_find(r, id.data, id.len);
    struct record *new = build(spec, id);
    if (check == NULL) {
        set_status(new, spec->status);
        insert(r, new);
        return true;
    }
    const struct record *old = check->record;
    struct registration g;
    record_registration(new, &g);
    bool is_same = record_same_content(old, &g);
    if (!is_same) {
        struct slice note = {record_note(old), strlen(record_note(old))};
        struct record *with_note = record_build(&g, note, (struct slice){"", 0});
        record_take_state(with_note, old);
        registry_moved_active(r, old);
        registry_moved_active(r, with_note);
        registry_replace(r, check, with_note);
        registry_moved_catalog(r);
    }
    free(new);
    if (!is_same || !check->record->expired) {
        apply_set_deadline(r, check, deadline_of(r, check->record));
    }
    return !is_same;
}

/* What the checks add to the state at most. ST_OK: there is room for them. */
static enum status check_room(const struct registry *r, const char *owner_id,
                              const struct check_spec *specs, uint32_t count)
{
    uint64_t bytes = 0; /* of the state */
    uint64_t own = 0;   /* of the namespace */
    uint64_t added = 0;
    for (uint32_t i = 0; i < count; i++) {
        char room[STORED_NAME_SIZE];
        struct slice id;
        if (!join(r, owner_id, specs[i].key, room, &id)) {
            return ST_TOO_LARGE;
        }
        const struct instance *old = registry_find(r, id.data, id.len);
        struct record *record = build(&specs[i], id);
        if (old == NULL) {
            bytes += apply_size_added(record);
            own += size_instance(record);
            added++;
        } else if (size_instance(record) > size_instance(old->record)) {
            bytes += size_instance(record);
            own += size_instance(record) - size_instance(old->record);
        }
        free(record);
    }
    if (bytes == 0) {
        return ST_OK;
    }
    if (registry_count(r) + added + 1 > r->work.limits.instances || !registry_has_room(r, bytes)) {
        return ST_FULL;
    }
    return namespaces_have_room(r, owner_id, added, own) ? ST_OK : ST_QUOTA;
}

static bool is_named(const struct command *command, const char *key)
{
    for (uint32_t i = 0; i < command->enrol.checks_count; i++) {
        const struct slice *said = &command->enrol.checks[i].key;
        if (strlen(key) == said->len && memcmp(key, said->data, said->len) == 0) {
            return true;
        }
    }
    return false;
}

/* How healthy the instance is once its checks are there. */
static enum health health_with(const struct registry *r, const struct command *command,
                               const char *owner_id)
{
    struct ptree_iterator it;
    enum health worst = HEALTH_PASSING;
    view_iterate_checks(&it, &r->work, owner_id);
    for (const struct record *check; check_is_of(check = ptree_next(&it), owner_id);) {
        bool stays = !command->enrol.only_these || is_named(command, check_key(check));
        if (stays && (enum health)check->declared > worst) {
            worst = (enum health)check->declared;
        }
    }
    for (uint32_t i = 0; i < command->enrol.checks_count; i++) {
        char room[STORED_NAME_SIZE];
        struct slice id;
        const struct check_spec *spec = &command->enrol.checks[i];
        if (join(r, owner_id, spec->key, room, &id) && registry_find(r, id.data, id.len) == NULL &&
            spec->status > worst) {
            worst = spec->status;
        }
    }
    return worst;
}

static bool remove_others(struct registry *r, const struct command *command, const char *owner_id)
{
    struct ptree_iterator it;
    bool changed = false;
    view_iterate_checks(&it, &r->work, owner_id);
    for (const struct record *check; check_is_of(check = ptree_next(&it), owner_id);) {
        if (!is_named(command, check_key(check))) {
            registry_remove(r, registry_find(r, record_id(check), strlen(record_id(check))));
            view_iterate_checks(&it, &r->work, owner_id);
            changed = true;
        }
    }
    return changed;
}

/* A node has no service and no lease; the same of another content takes its place. */
static void enrol_node(struct registry *r, const struct command *command, struct slice id,
                       struct result *ret_result)
{
    struct registration g = command->enrol.registration;
    g.id = id;
    g.name = (struct slice){"", 0};
    g.ttl_ms = g.reap_after_ms = 0;
    struct instance *node = registry_find(r, id.data, id.len);
    struct record *new = record_create(&g);
    char room[STORED_NAME_SIZE];
    if (r->holder != NULL && !token_may(r->holder, checks_guarded_name(r, new, room), true)) {
        ret_result->status = ST_FORBIDDEN;
    } else if (node != NULL && record_same_content(node->record, &g)) {
        free(new);
        return;
    } else if (registry_count(r) >= r->work.limits.instances ||
               !registry_has_room(r, apply_size_added(new))) {
        ret_result->status = ST_FULL;
    } else if (!namespaces_have_room(r, record_id(new), node == NULL, size_instance(new))) {
        ret_result->status = ST_QUOTA;
    }
    if (ret_result->status != ST_OK) {
        free(new);
        return;
    }
    if (node == NULL) {
        insert(r, new);
        ret_result->created = true;
    } else {
        record_take_state(new, node->record);
        registry_replace(r, node, new);
        registry_moved_catalog(r);
    }
}

static void enrol_instance(struct registry *r, const struct command *command, const char *owner_id,
                           struct result *ret_result)
{
    /* As a registration of its own. */
    struct command whole = {
        .kind = COMMAND_ENROL, .guard = command->guard, .space = command->space};
    whole.register_.registration = command->enrol.registration;
    const struct instance *old = registry_find(r, owner_id, strlen(owner_id));
    whole.register_.incarnation = command->enrol.incarnation;
    if (old != NULL && command->enrol.incarnation == 0 && !command->enrol.takes_over) {
        whole.register_.incarnation = old->record->incarnation;
    }
    enum health ignored;
    whole.register_.health_given =
        command->enrol.checks_count > 0 || find_worst(r, owner_id, &ignored);
    whole.register_.health = health_with(r, command, owner_id);
    apply_register(r, &whole, ret_result);
}

void checks_apply_enrol(struct registry *r, const struct command *command,
                        struct result *ret_result)
{
    char room[STORED_NAME_SIZE];
    char owner_id[STORED_NAME_SIZE];
    struct slice id;
    if (!namespace_join(command->space, command->enrol.registration.id, r->work.limits.name_bytes,
                        room, &id)) {
        ret_result->status = ST_TOO_LARGE;
        return;
    }
    (void)snprintf(owner_id, sizeof owner_id, "%.*s", (int)id.len, id.data);
    ret_result->status =
        check_room(r, owner_id, command->enrol.checks, command->enrol.checks_count);
    if (ret_result->status != ST_OK) {
        return;
    }
    if (command->enrol.registration.id.data[0] == CHECK_MARK) {
        enrol_node(r, command, id, ret_result);
    } else {
        enrol_instance(r, command, owner_id, ret_result);
    }
    if (ret_result->status != ST_OK) {
        return;
    }
    bool changed = command->enrol.only_these && remove_others(r, command, owner_id);
    for (uint32_t i = 0; i < command->enrol.checks_count; i++) {
        char of_check[STORED_NAME_SIZE];
        if (join(r, owner_id, command->enrol.checks[i].key, of_check, &id)) {
            changed = put(r, &command->enrol.checks[i], id) || changed;
        }
    }
    struct instance *owner = registry_find(r, owner_id, strlen(owner_id));
    enum health worst;
    bool follows =
        !find_worst(r, owner_id, &worst) || worst == (enum health)owner->record->declared;
    if (!follows || (changed && owner->record->index != r->work.index)) {
        settle(r, owner);
    }
    if (command->enrol.only_here) {
        places_leave_others(r, owner->record);
    }
}

void checks_apply_put(struct registry *r, const struct command *command, struct result *ret_result)
{
    const struct check_spec *spec = &command->check_put.check;
    struct instance *owner = apply_find(r, command, &command->check_put.id);
    char room[STORED_NAME_SIZE];
    struct slice id;
    if (owner == NULL || !check_owner_is_valid(command->check_put.id)) {
        ret_result->status = ST_NOT_FOUND;
        return;
    }
    if (!tokens_let(r, owner)) {
        ret_result->status = ST_FORBIDDEN;
        return;
    }
    ret_result->status = check_room(r, record_id(owner->record), spec, 1);
    if (ret_result->status == ST_OK && join(r, record_id(owner->record), spec->key, room, &id) &&
        put(r, spec, id)) {
        settle(r, owner);
    }
}

void checks_apply_result(struct registry *r, const struct command *command,
                         struct result *ret_result)
{
    struct instance *check = apply_find(r, command, &command->check_result.id);
    if (check == NULL || !check->record->active) {
        ret_result->status = ST_NOT_FOUND;
        return;
    }
    if (prober_definition(check->record) != command->check_result.definition ||
        !prober_was(&r->work.probers, slice_of(record_id(check->record)),
                    command->check_result.member, command->check_result.epoch)) {
        ret_result->status = ST_CONFLICT;
        return;
    }
    take(r, check, (enum health)command->check_result.status, &command->check_result.note);
}

/* --- verification --- */

static const char *verify_owner(const struct registry *r, const struct record *check)
{
    char id[STORED_NAME_SIZE];
    (void)snprintf(id, sizeof id, "%.*s", (int)check_owner_len(record_id(check)), record_id(check));
    const struct record *owner =
        checks_is_check(id) ? view_check(&r->work, id) : view_instance(&r->work, id);
    enum health worst;
    if (owner == NULL || (checks_is_check(id) && !is_node(owner))) {
        return "a check is of nothing";
    }
    if (check->active && check->ttl_ms > 0) {
        return "an active check is expected to be heard from";
    }
    if (!find_worst(r, id, &worst) || worst != (enum health)owner->declared) {
        return "an instance is not as healthy as the worst of its checks";
    }
    return check->expired == (check->declared == HEALTH_CRITICAL)
               ? NULL
               : "a check that is critical has no clock, or another one has";
}

const char *checks_verify(const struct registry *r)
{
    struct ptree_iterator it;
    if (ptree_count(&r->work.checks) > 0 && r->work.level < LEVEL_CHECKS) {
        return "there are checks below their level";
    }
    uint32_t active = 0;
    ptree_iterate(&it, &r->work.checks, 0);
    for (const struct record *check; (check = ptree_next(&it)) != NULL;) {
        const char *broken = is_node(check) ? NULL : verify_owner(r, check);
        if (broken != NULL) {
            return broken;
        }
        if (check->active && is_node(check)) {
            return "a node is an active check";
        }
        active += check->active;
    }
    return active == r->work.active_count ? NULL : "the active checks are counted wrongly";
}
