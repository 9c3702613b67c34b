/* Instances and the nodes that they are of: an instance is not healthier than these. Which
 * instances a node has is derived from their records, so neither snapshots nor hashes have it; how
 * healthy their nodes are is kept in the records, so that readers need not look. */
#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/registry/check_id.h"
#include "server/registry/internal.h"
#include "server/registry/place.h"

/* An instance of a node: the stored id of the node, CHECK_MARK, and that of the instance. */
struct member {
    uint16_t node_len;
    char key[];
};
#define KEY_SIZE (2 * STORED_NAME_SIZE)

const char *places_key(const void *member)
{
    return ((const struct member *)member)->key;
}

static const char *id_of(const struct member *member)
{
    return member->key + member->node_len + 1;
}

/* The stored id of a node of that name, in the namespace of the instance. Returns its length; 0: it
 * is too long to be there. */
static size_t node_id(const struct record *instance, struct slice name, char out[STORED_NAME_SIZE])
{
    const char *id = record_id(instance);
    size_t space = (size_t)(namespace_bare(id) - id);
    if (name.len == 0 || space + 1 + name.len >= STORED_NAME_SIZE) {
        return 0;
    }
    memcpy(out, id, space);
    out[space] = CHECK_MARK;
    memcpy(out + space + 1, name.data, name.len);
    out[space + 1 + name.len] = '\0';
    return space + 1 + name.len;
}

static enum health health_of(const struct registry *r, const struct record *instance,
                             struct slice name)
{
    char id[STORED_NAME_SIZE];
    const struct record *node = node_id(instance, name, id) > 0 ? view_check(&r->work, id) : NULL;
    return node != NULL ? record_health(node) : HEALTH_PASSING;
}

static bool is_same(const struct place_names *place)
{
    return place->node.len == place->agent.len &&
           memcmp(place->node.data, place->agent.data, place->node.len) == 0;
}

enum health places_health(const struct registry *r, const struct record *instance)
{
    struct place_names place = place_of(instance);
    enum health node = health_of(r, instance, place.node);
    enum health agent = is_same(&place) ? node : health_of(r, instance, place.agent);
    return node > agent ? node : agent;
}

/* --- who is where --- */

static void change(struct registry *r, const struct record *instance, struct slice name, bool add)
{
    char key[KEY_SIZE];
    size_t node_len = node_id(instance, name, key);
    size_t id_len = strlen(record_id(instance));
    if (node_len == 0) {
        return;
    }
    key[node_len] = CHECK_MARK;
    memcpy(key + node_len + 1, record_id(instance), id_len + 1);
    if (!add) {
        struct member *member = ptree_remove(&r->members, &r->members_kind, key);
        CHECK(member != NULL);
        free(member); /* no view has these */
        return;
    }
    struct member *member = mem_alloc(sizeof *member + node_len + 1 + id_len + 1);
    member->node_len = (uint16_t)node_len;
    memcpy(member->key, key, node_len + 1 + id_len + 1);
    CHECK(ptree_put(&r->members, &r->members_kind, member) == NULL);
}

static void change_all(struct registry *r, const struct record *instance, bool add)
{
    struct place_names place = place_of(instance);
    change(r, instance, place.node, add);
    if (!is_same(&place)) {
        change(r, instance, place.agent, add);
    }
}

void places_add(struct registry *r, const struct record *instance)
{
    change_all(r, instance, true);
}

void places_remove(struct registry *r, const struct record *instance)
{
    change_all(r, instance, false);
}

void places_replace(struct registry *r, const struct record *old, const struct record *new)
{
    struct place_names a = place_of(old), b = place_of(new);
    if (a.agent.len != b.agent.len || memcmp(a.agent.data, b.agent.data, a.agent.len) != 0 ||
        a.node.len != b.node.len) {
        change_all(r, old, false);
        change_all(r, new, true);
    }
}

void places_spread(struct registry *r, const char *stored_id)
{
    char id[STORED_NAME_SIZE + 1];
    struct ptree_iterator it;
    size_t len = strlen(stored_id);
    memcpy(id, stored_id, len);
    id[len] = CHECK_MARK;
    id[len + 1] = '\0';
    /* In the order of ids. What is of which node does not change meanwhile. */
    ptree_iterate(&it, &r->members, ptree_rank_after(&r->members, &r->members_kind, id));
    for (const struct member *m;
         (m = ptree_next(&it)) != NULL && m->node_len == len && memcmp(m->key, id, len + 1) == 0;) {
        struct instance *instance = registry_find(r, id_of(m), strlen(id_of(m)));
        const struct record *old = instance->record;
        if (places_health(r, old) == (enum health)old->node_health) {
            continue;
        }
        struct record *new = record_copy(old, NULL, NULL);
        enum health before = record_health(old);
        registry_replace(r, instance, new);
        if (record_health(new) != before) {
            events_add(r, EVENT_HEALTH, new);
        }
    }
}

/* --- one that has moved --- */

/* Another one of its service and service id. Those stand side by side, as "SERVICE@...". */
static struct instance *find_other(const struct registry *r, const struct record *instance)
{
    char prefix[STORED_NAME_SIZE];
    struct ptree_iterator it;
    size_t len = (size_t)(place_of(instance).node.data - record_id(instance));
    memcpy(prefix, record_id(instance), len);
    prefix[len] = '\0';
    ptree_iterate(&it, &r->work.instances,
                  ptree_rank_after(&r->work.instances, &r->records_kind, prefix));
    for (const struct record *other;
         (other = ptree_next(&it)) != NULL && strncmp(record_id(other), prefix, len) == 0;) {
        if (other != instance && place_is_given(other) &&
            (size_t)(place_of(other).node.data - record_id(other)) == len &&
            strcmp(record_name(other), record_name(instance)) == 0) {
            return registry_find(r, record_id(other), strlen(record_id(other)));
        }
    }
    return NULL;
}

void places_leave_others(struct registry *r, const struct record *instance)
{
    struct instance *other;
    while (place_is_given(instance) && (other = find_other(r, instance)) != NULL) {
        events_add(r, EVENT_DEREGISTERED, other->record);
        checks_remove(r, other);
    }
}

void places_destroy(struct registry *r)
{
    struct ptree_iterator it;
    ptree_iterate(&it, &r->members, 0);
    for (struct member *member; (member = ptree_next(&it)) != NULL;) {
        free(member);
    }
    ptree_clear(&r->members, &r->members_kind);
}

/* --- verification --- */

static bool has_member(const struct registry *r, const struct record *instance, struct slice name)
{
    char key[KEY_SIZE];
    size_t len = node_id(instance, name, key);
    key[len] = CHECK_MARK;
    memcpy(key + len + 1, record_id(instance), strlen(record_id(instance)) + 1);
    return len == 0 || ptree_find(&r->members, &r->members_kind, key) != NULL;
}

static size_t count_places(const struct record *instance)
{
    char id[STORED_NAME_SIZE];
    struct place_names place = place_of(instance);
    size_t count = node_id(instance, place.node, id) > 0;
    return !is_same(&place) && node_id(instance, place.agent, id) > 0 ? count + 1 : count;
}

const char *places_verify(const struct registry *r)
{
    struct ptree_iterator it;
    size_t places = 0;
    ptree_iterate(&it, &r->work.instances, 0);
    for (const struct record *instance; (instance = ptree_next(&it)) != NULL;) {
        struct place_names place = place_of(instance);
        places += count_places(instance);
        if (places_health(r, instance) != (enum health)instance->node_health) {
            return "an instance is not as healthy as its nodes";
        }
        if (r->by_id != NULL &&
            (!has_member(r, instance, place.node) || !has_member(r, instance, place.agent))) {
            return "a node does not know what is of it";
        }
    }
    return r->by_id == NULL || places == ptree_count(&r->members) ? NULL
                                                                  : "a node has what is not of it";
}
