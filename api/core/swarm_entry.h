/* What api/swarm keeps in the registry, for those who show it: its door, and the sink that
 * publishes it. All of it but the tasks is in the namespace `swarm`; a task is an instance of its
 * service, in `default`.
 *
 *     type            id            metadata
 *     swarm-service   Docker's      its labels, and what begins with SWARM_MARK
 *     swarm-metrics   metrics.M.K   service -> "cpu memory containers time", of M's node
 *     swarm-replica   replica.M     member M has the socket of a manager
 *     swarm-cache     cache         version, refreshed
 *     swarm-health    health        checked: every five minutes, by who writes
 *     swarm-call      call.WHAT     what a client has asked for, once
 *
 * Thread: any; a record is used inside of a critical section. */
#ifndef MUSTER_API_CORE_SWARM_ENTRY_H
#define MUSTER_API_CORE_SWARM_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "api/core/json_out.h"
#include "server/registry/view.h"

#define SWARM_SPACE        "swarm"
#define SWARM_TYPE_SERVICE "swarm-service"
#define SWARM_TYPE_TASK    "swarm-task"
#define SWARM_TYPE_METRICS "swarm-metrics"
#define SWARM_TYPE_REPLICA "swarm-replica"
#define SWARM_TYPE_CACHE   "swarm-cache"
#define SWARM_TYPE_CALL    "swarm-call"
#define SWARM_TYPE_HEALTH  "swarm-health"
#define SWARM_MARK         '@'

/* Whether the record is in the namespace, and of this type. */
bool swarm_entry_is(const struct record *record, const char *type);

/* A service, as the older registry has it. */
void swarm_entry_render(struct json_out *json, const struct record *record);
/* All of them that are there, as elements of a list. Returns how many. `viewer` NULL: all. */
size_t swarm_entries_render(struct json_out *json, const struct view *view,
                            bool (*may)(const void *viewer, const char *service),
                            const void *viewer);
size_t swarm_entries_count(const struct view *view);
/* The record of that name; NULL if there is none. */
const struct record *swarm_entry_find(const struct view *view, const char *name);

/* What the containers of a service use, as all members that can see some say. */
struct swarm_usage {
    double cpu;    /* percent of a processor, of a container */
    double memory; /* bytes, likewise */
    uint64_t containers;
    int64_t taken_s; /* when the newest of it was taken: seconds since 1970 */
};
/* One text of the metadata of SWARM_TYPE_METRICS. False if it is none. */
bool swarm_usage_parse(const char *text, struct swarm_usage *ret_usage);
/* False if nobody has said anything. */
bool swarm_usage_find(const struct view *view, const char *service, struct swarm_usage *ret_usage);
void swarm_usage_render(struct json_out *json, const struct swarm_usage *usage);
/* A number as JSON has it, with a point. */
void swarm_number_render(struct json_out *json, double number);

#endif
