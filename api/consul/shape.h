/* Nodes, services and checks as JSON: each call has its own form of them.
 *
 * Thread: any, within the critical section of the view. */
#ifndef MUSTER_API_CONSUL_SHAPE_H
#define MUSTER_API_CONSUL_SHAPE_H

#include "api/consul/shown.h"
#include "api/core/json_out.h"

struct shape_view {
    const struct view *view;
    const char *space;
    const char *datacenter;
};

/* A node; `any`: an instance of it. NULL: it has a record of its own. */
void shape_node(struct json_out *json, const struct shape_view *v, struct slice node,
                const struct record *any);
/* As below /v1/agent. `hash`: its ContentHash; NULL: none. */
void shape_agent_service(struct json_out *json, const struct shape_view *v,
                         const struct record *instance, const char *hash);
/* As in /v1/health/service and /v1/catalog/node. */
void shape_service(struct json_out *json, const struct record *instance);
/* {"Node", "Service", "Checks"} */
void shape_health(struct json_out *json, const struct shape_view *v, const struct record *instance);
/* As in /v1/catalog/service. */
void shape_catalog(struct json_out *json, const struct shape_view *v,
                   const struct record *instance);
/* As in /v1/health/checks; `whole`: with a definition, as in /v1/agent/health. */
void shape_check(struct json_out *json, const struct shown_check *check, bool whole);
/* The hash of what the agent says of a service: 16 hexadecimal digits. */
void shape_content_hash(const struct shape_view *v, const struct record *instance, char out[17]);

#endif
