/* The checks of an instance or a node, as clients of Consul see them: those that the registry
 * keeps, and those that stand for something else: that a node is alive, and maintenance.
 *
 * Thread: any, within the critical section of the view. */
#ifndef MUSTER_API_CONSUL_SHOWN_H
#define MUSTER_API_CONSUL_SHOWN_H

#include "api/consul/identity.h"
#include "api/core/check_kept.h"

/* The check of a node that is in maintenance. */
#define SHOWN_NODE_MAINTENANCE "_node_maintenance"

/* Borrowed for the call. */
struct shown_check {
    const char *check_id, *status, *output;
    const char *name, *notes, *type;
    const struct check_kept_texts *kept; /* in place of the last three; NULL: these */
    struct slice node;
    const struct record *instance;             /* NULL: it is of the node */
    uint64_t created, modified;                /* indexes */
    const struct check_definition *definition; /* of one that is run; NULL: of none */
};
typedef void shown_fn(void *ctx, const struct shown_check *check);

/* The record of a node; NULL: it is known by its instances alone. */
const struct record *shown_node(const struct view *view, const char *space, struct slice node);
/* Whether it is a node that registers for itself, and is alive as long as it has instances. */
bool shown_is_agent(const struct record *node);

/* Those of a node. `any`: the newest instance of it, for indexes; NULL: none. */
void shown_of_node(const struct view *view, const char *space, struct slice node,
                   const struct record *any, shown_fn *fn, void *ctx);
/* Those of an instance: its maintenance first, then by key. */
void shown_of_instance(const struct view *view, const struct record *instance, shown_fn *fn,
                       void *ctx);
/* All that count for an instance: those of its node and of its agent before its own. */
void shown_of_all(const struct view *view, const struct record *instance, shown_fn *fn, void *ctx);
/* "passing", "warning", "critical" or "maintenance": the worst of all that count for it. */
const char *shown_aggregate(const struct view *view, const struct record *instance);
/* Whether all that count for it are passing. */
bool shown_is_passing(const struct view *view, const struct record *instance);

#endif
