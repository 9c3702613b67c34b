/* Registry objects as JSON.
 *
 * Thread: any, within a read-side critical section. */
#ifndef MUSTER_API_CORE_RENDER_H
#define MUSTER_API_CORE_RENDER_H

#include "api/core/json_out.h"
#include "server/registry/command.h"

/* "namespace": of what is stored under that id or name; nothing for `default`. */
void render_namespace(struct json_out *json, const char *stored);
/* The whole object. Nothing in it changes with heartbeats, so that it can be kept. */
void render_instance(struct json_out *json, const struct record *record);
/* The same members, without the braces. */
void render_instance_members(struct json_out *json, const struct record *record);
/* Its tags, as items; its metadata, as members. */
void render_tags(struct json_out *json, const struct record *record);
void render_metadata(struct json_out *json, const struct record *record);
/* An event, and its instance. `cluster` is that of its id (event_id.h). */
void render_event(struct json_out *json, const struct event *event, uint32_t cluster);
/* "passing": n, ... for each health. */
void render_counts(struct json_out *json, const uint32_t counts[HEALTH_COUNT]);

#endif
