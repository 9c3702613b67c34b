/* What Docker says of a swarm: its services and running tasks, from the answers of its API.
 *
 * Everything in them is foreign: what is not as it should be is left out, and counted. An answer
 * that is not a list at all makes the whole listing bad, so that nothing is taken for gone.
 *
 * Thread: any. Owns: the answers that its texts point into. */
#ifndef MUSTER_API_SWARM_SWARM_LISTING_H
#define MUSTER_API_SWARM_SWARM_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "server/base/compiler.h"

#define SWARM_SERVICES_MAX 16384u
#define SWARM_TASKS_MAX    262144u
#define SWARM_HOST_SIZE    64 /* an address */
/* The port of a task that has none: nobody listens there. */
#define SWARM_NO_PORT 1

/* The labels with the autoscaler's wishes. Borrowed. */
struct swarm_labels {
    const char *enabled, *metric, *cpu_threshold, *memory_threshold, *min, *max;
};

struct swarm_service {
    const char *id, *name, *created_at, *updated_at;
    json_t *labels; /* an object of texts; borrowed */
    bool is_scaled; /* has the autoscaler's label: REST and metrics know of it */
    bool is_hidden; /* muster.enabled=false: its tasks are no instances */
    bool is_moving; /* an update, or its rollback, is in progress */
    const char *metric;
    double cpu_threshold, memory_threshold;
    int64_t replicas, min, max;
    uint16_t target_port;    /* of its containers; 0: none is published */
    uint16_t published_port; /* of every node, by the routing mesh; 0: none */
};

struct swarm_task {
    const char *id, *container; /* container NULL: none yet */
    const char *node, *zone;    /* id and host name of its node; zone "": unknown */
    const struct swarm_service *service;
    int64_t slot; /* 0: of a global service */
    bool is_running;
    char host[SWARM_HOST_SIZE]; /* "": not known yet */
    uint16_t port;
    uint16_t weight; /* of a task that has just begun to run it is lower */
};

struct swarm_listing {
    struct swarm_service *services; /* in order of id */
    struct swarm_task *tasks;       /* those wanted to run, in order of id */
    size_t services_count, tasks_count;
    size_t left_out; /* services and tasks that are not as they should be */
    bool is_moving;  /* some service is being updated, or some task is on its way or just there */
    /* private */
    int64_t now_ms; /* wall clock */
    json_t *services_json, *tasks_json, *nodes_json;
};

struct swarm_answer {
    const char *text;
    size_t len;
};

/* A task has a quarter of its weight at first, half of it after SWARM_RAMP_MS, all of it after
 * twice that: so a new one gets its first requests before it gets its share. */
#define SWARM_WEIGHT  4
#define SWARM_RAMP_MS 3000

/* Of /services, of /tasks of desired state `running`, and of /nodes; `now_ms`: wall clock. False
 * with a sentence; the listing is empty then. swarm_listing_done in any case. */
MUST_USE bool swarm_listing_parse(struct swarm_listing *ret_listing,
                                  const struct swarm_labels *labels, int64_t now_ms,
                                  struct swarm_answer services, struct swarm_answer tasks,
                                  struct swarm_answer nodes, char *error, size_t error_size);
void swarm_listing_done(struct swarm_listing *listing);
/* NULL if there is none. */
const struct swarm_service *swarm_listing_service(const struct swarm_listing *listing,
                                                  const char *id);
const struct swarm_task *swarm_listing_task(const struct swarm_listing *listing, const char *id);

#endif
