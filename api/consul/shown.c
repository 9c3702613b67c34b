#include "api/consul/shown.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/consul/keep.h"
#include "server/base/buffer.h"
#include "server/registry/check_id.h"
#include "server/registry/place.h"

#define SERVICE_MAINTENANCE "_service_maintenance:"
#define NO_REASON                                                                                  \
    "Maintenance mode is enabled for this service, but no reason was provided. This is a default " \
    "message."
#define CHECK_ID_BYTES_MAX (2 * STORED_NAME_SIZE)

static const char *text_of(enum health health)
{
    switch (health) {
    case HEALTH_PASSING:
        return "passing";
    case HEALTH_WARNING:
        return "warning";
    default:
        return "critical";
    }
}

static uint64_t created(const struct record *record)
{
    return record->incarnation >> INCARNATION_POSITION_BITS;
}

static void node_id(const char *space, struct slice node, char out[STORED_NAME_SIZE])
{
    char bare[STORED_NAME_SIZE];
    size_t len = node.len < sizeof bare - 2 ? node.len : sizeof bare - 2;
    bare[0] = CHECK_MARK;
    memcpy(bare + 1, node.data, len);
    bare[1 + len] = '\0';
    namespace_store(space, bare, out);
}

const struct record *shown_node(const struct view *view, const char *space, struct slice node)
{
    char id[STORED_NAME_SIZE];
    node_id(space, node, id);
    return view_check(view, id);
}

bool shown_is_agent(const struct record *node)
{
    return node == NULL || strncmp(record_extra(node), "{\"" KEEP_AGENT "\"", 4) == 0;
}

/* A check that the registry keeps. */
static void show(const struct record *check, struct slice node, const struct record *instance,
                 shown_fn *fn, void *ctx)
{
    struct buffer id;
    struct check_kept_texts texts;
    buffer_init(&id, CHECK_ID_BYTES_MAX);
    identity_check_id(check_key(check),
                      instance != NULL ? identity_of(instance).service : (struct slice){"", 0},
                      &id);
    buffer_append(&id, "", 1);
    check_kept_scan(record_extra(check), &texts);
    struct check_definition *definition =
        check->active ? check_kept_load(record_extra(check)) : NULL;
    const struct shown_check shown = {
        .check_id = (const char *)id.data,
        .status = text_of((enum health)check->declared),
        .output = record_note(check),
        .kept = &texts,
        .node = node,
        .instance = instance,
        .created = created(check),
        .modified = check->index,
        .definition = definition,
    };
    fn(ctx, &shown);
    buffer_done(&id);
    free(definition);
}

static void show_all_of(const struct view *view, const struct record *owner, struct slice node,
                        const struct record *instance, shown_fn *fn, void *ctx)
{
    struct ptree_iterator it;
    const struct record *check;
    view_iterate_checks(&it, view, record_id(owner));
    while (check_is_of(check = ptree_next(&it), record_id(owner))) {
        show(check, node, instance, fn, ctx);
    }
}

static void show_alive(struct slice node, const struct record *any, shown_fn *fn, void *ctx)
{
    const struct shown_check alive = {
        .check_id = "serfHealth",
        .name = "Serf Health Status",
        .status = "passing",
        .notes = "",
        .output = "Agent alive and reachable",
        .type = "",
        .node = node,
        .created = any != NULL ? created(any) : 1,
        .modified = any != NULL ? created(any) : 1,
    };
    fn(ctx, &alive);
}

void shown_of_node(const struct view *view, const char *space, struct slice node,
                   const struct record *any, shown_fn *fn, void *ctx)
{
    const struct record *record = shown_node(view, space, node);
    if (shown_is_agent(record)) {
        show_alive(node, any != NULL ? any : record, fn, ctx);
    }
    if (record != NULL) {
        show_all_of(view, record, node, NULL, fn, ctx);
    }
}

/* The lease of an instance of another door, as a check. */
static void show_lease(const struct record *instance, shown_fn *fn, void *ctx)
{
    char id[STORED_NAME_SIZE + 16];
    char name[STORED_NAME_SIZE + 16];
    (void)snprintf(id, sizeof id, "service:%s", namespace_bare(record_id(instance)));
    (void)snprintf(name, sizeof name, "Service '%s' check", namespace_bare(record_name(instance)));
    const struct shown_check lease = {
        .check_id = id,
        .name = name,
        .status = instance->expired ? "critical" : text_of((enum health)instance->declared),
        .notes = "",
        .output = instance->expired ? CHECK_NOTE_EXPIRED : record_note(instance),
        .type = "ttl",
        .node = identity_of(instance).node,
        .instance = instance,
        .created = created(instance),
        .modified = instance->index,
    };
    fn(ctx, &lease);
}

static void show_maintenance(const struct record *instance, shown_fn *fn, void *ctx)
{
    char id[STORED_NAME_SIZE + sizeof SERVICE_MAINTENANCE];
    struct slice service = identity_of(instance).service;
    (void)snprintf(id, sizeof id, SERVICE_MAINTENANCE "%.*s", (int)service.len, service.data);
    const char *reason = record_reason(instance);
    const struct shown_check maintenance = {
        .check_id = id,
        .name = "Service Maintenance Mode",
        .status = "critical",
        .notes = reason[0] != '\0' ? reason : NO_REASON,
        .output = "",
        .type = "maintenance",
        .node = identity_of(instance).node,
        .instance = instance,
        .created = instance->index,
        .modified = instance->index,
    };
    fn(ctx, &maintenance);
}

void shown_of_instance(const struct view *view, const struct record *instance, shown_fn *fn,
                       void *ctx)
{
    struct slice node = identity_of(instance).node;
    if (instance->maintenance) {
        show_maintenance(instance, fn, ctx);
    }
    if (!identity_is_ours(instance) && instance->ttl_ms > 0) {
        show_lease(instance, fn, ctx);
    }
    show_all_of(view, instance, node, instance, fn, ctx);
}

void shown_of_all(const struct view *view, const struct record *instance, shown_fn *fn, void *ctx)
{
    char space[NAMESPACE_SIZE];
    struct slice own = namespace_of(record_id(instance));
    struct slice node = identity_of(instance).node;
    memcpy(space, own.data, own.len);
    space[own.len] = '\0';
    shown_of_node(view, space, node, instance, fn, ctx);
    struct slice agent = place_of(instance).agent;
    if (agent.len > 0 && !(agent.len == node.len && memcmp(agent.data, node.data, node.len) == 0)) {
        const struct record *record = shown_node(view, space, agent);
        if (record != NULL) {
            show_all_of(view, record, node, NULL, fn, ctx);
        }
    }
    shown_of_instance(view, instance, fn, ctx);
}

/* --- what follows --- */

static void count_bad(void *ctx, const struct shown_check *check)
{
    unsigned *bad = ctx;
    *bad += strcmp(check->status, "passing") != 0;
}

/* One of ours has the worst of its checks and of its nodes as its health. Of another door's, the
 * node is looked at. */
bool shown_is_passing(const struct view *view, const struct record *instance)
{
    if (identity_is_ours(instance)) {
        return record_health(instance) == HEALTH_PASSING;
    }
    unsigned bad = 0;
    shown_of_all(view, instance, count_bad, &bad);
    return bad == 0;
}

static bool is_maintenance(const struct shown_check *check)
{
    return strcmp(check->check_id, SHOWN_NODE_MAINTENANCE) == 0 ||
           strncmp(check->check_id, SERVICE_MAINTENANCE, sizeof SERVICE_MAINTENANCE - 1) == 0;
}

static void take_worst(void *ctx, const struct shown_check *check)
{
    enum health *worst = ctx;
    enum health health = HEALTH_CRITICAL;
    if (is_maintenance(check)) {
        health = HEALTH_MAINTENANCE;
    } else if (!health_parse(check->status, &health)) {
        health = HEALTH_CRITICAL;
    }
    *worst = health > *worst ? health : *worst;
}

const char *shown_aggregate(const struct view *view, const struct record *instance)
{
    enum health worst = HEALTH_PASSING;
    shown_of_all(view, instance, take_worst, &worst);
    return health_name(worst);
}
