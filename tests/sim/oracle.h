/* What was committed, as first seen: the content of every entry, the state after it, its events;
 * every member that applies an entry must find the same. And the fate of each operation: how often
 * it was submitted, refused, acknowledged and applied.
 *
 * Thread: the only one. */
#ifndef MUSTER_SIM_ORACLE_H
#define MUSTER_SIM_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/status.h"
#include "server/registry/command.h"

struct sim_member;

/* Instances of the workload; their ids are "i" and the number. */
#define INSTANCES 64

/* --- proposing and applying --- */

void oracle_stamped(const uint8_t *stamp, size_t len);
void oracle_begin(struct sim_member *m, uint64_t index, const uint8_t *stamp, size_t len);
void oracle_apply(uint32_t position, const uint8_t *data, size_t len);
void oracle_end(struct sim_member *m);
void oracle_published(const struct sim_member *m);
void oracle_restored(struct sim_member *m);
/* The hash of the state after `index`. */
void oracle_check_state(const struct sim_member *m, uint64_t index, uint64_t hash,
                        const char *when);

/* Highest index applied anywhere. */
uint64_t oracle_applied(void);
/* Highest index of an operation acknowledged. */
uint64_t oracle_acknowledged(void);

/* --- operations --- */

void oracle_submitted(const uint8_t *data, size_t len);
/* The one submitted last. */
uint64_t oracle_last_submitted(void);
void oracle_outcome(uint64_t operation, enum status status, uint64_t index);

/* --- events --- */

struct oracle_event {
    uint64_t sequence, index;
    uint32_t position;
    enum event_type type;
    unsigned instance;
    uint64_t incarnation;
    char service[8];
    uint64_t hash; /* of all of it */
};
uint64_t oracle_event_hash(const struct event *event);
/* NULL: no such event yet. */
const struct oracle_event *oracle_event(uint64_t sequence);
uint64_t oracle_events_last(void);
/* Whether the instance had this event in that entry. */
bool oracle_has_event(uint64_t index, unsigned instance, enum event_type type);

/* --- leases (model.c) --- */

/* An instance's state according to the events. */
struct model {
    bool present, expired;
    uint64_t incarnation;
    uint64_t expired_ns; /* true time of the last expiry seen */
    uint64_t left_index; /* last removed by a client, in this entry */
};
const struct model *model_of(unsigned instance);
/* A new event, and how its entry came about. */
struct oracle_proposal {
    uint64_t at_ns;
    uint64_t asked_ns; /* when its leader asked for it: after all that it had received by then */
    uint64_t leads_ns; /* how long it had been the leader */
    uint64_t by;       /* the leader */
};
void model_event(const struct oracle_event *event, const struct oracle_proposal *proposal);
/* The namespace has its quota from this entry on, or from an earlier one. */
void model_has_quota(uint64_t index);
/* A renewal submitted at `invoked_ns` was acknowledged, in `index`. */
struct oracle_renewal {
    uint64_t index, invoked_ns;
    uint64_t at; /* the member that took it */
    uint64_t ttl_ns;
};
void model_renewed(unsigned instance, const struct oracle_renewal *renewal);
/* From now on it renews at all members all the time: it must never expire. */
void model_lives(unsigned instance, bool lives);

#endif
