/* Reads the registry from any thread, without locks. A view is one published version; it is
 * immutable and valid until view_unlock().
 *
 *     const struct view *view = view_lock(source);
 *     ... view_service(view, "web") ...
 *     view_unlock(&view);
 *
 * A snapshot from the leader replaces the whole registry, so a reader must not look up the
 * registry before its critical section begins. view_lock() ensures this: it is the only access.
 *
 * Thread: any that is registered with liburcu (rcu_register_thread), inside a read-side critical
 * section. Results are borrowed until it ends. */
#ifndef MUSTER_REGISTRY_VIEW_H
#define MUSTER_REGISTRY_VIEW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/base/compiler.h"
#include "server/base/ptree.h"
#include "server/base/rendered.h"
#include "server/registry/command.h"
#include "server/registry/level.h"
#include "server/registry/namespace.h"
#include "server/registry/record.h"
#include "server/registry/sink.h"
#include "server/registry/token.h"

struct service_view {
    uint64_t index;                /* last change of the service */
    uint64_t epoch;                /* the registry's */
    uint32_t counts[HEALTH_COUNT]; /* instances by health */
    struct ptree instances;        /* of struct record, by id; walk with ptree_iterate */
    struct ptree tags;             /* of struct tally, by text */
    struct ptree types;            /* of struct tally, by text */
    /* Cached by the first reader that renders it (view_keep_rendered). */
    _Atomic(struct rendered *) rendered;
    char name[];
};
/* How many instances of a service have a tag or type. */
struct tally {
    uint64_t epoch; /* private */
    uint32_t count;
    char text[];
};

struct event_ring;

struct view {
    uint64_t index;                /* log index of the last entry applied */
    uint64_t changed_index;        /* last change of any instance */
    uint64_t services_index;       /* last change of the response of GET /services */
    uint64_t extinct_index;        /* last time a service lost its last instance */
    uint64_t catalog_index;        /* last change of what is registered, health apart; 0: below
                                      LEVEL_CHECKS */
    uint64_t active_index;         /* last change of which active checks there are, and of their
                                      definitions; 0: none yet */
    uint32_t active_count;         /* active checks */
    uint64_t now_ms;               /* cluster time */
    int64_t wall_ms;               /* wall clock of the last entry */
    uint64_t hash;                 /* registry_hash() */
    uint16_t level;                /* of the replicated format */
    struct registry_limits limits; /* of the level */
    uint32_t counts[HEALTH_COUNT];
    uint32_t services_count;
    struct ptree services;   /* of struct service_view, by name */
    struct ptree instances;  /* of struct record, by id */
    struct ptree checks;     /* of struct record, by id: checks and nodes (check_id.h) */
    struct ptree tokens;     /* of struct token, by id; policies among them (policy.h) */
    struct ptree namespaces; /* of struct namespace_use, by name */
    uint32_t quotas_count;   /* namespaces with a quota */
    uint64_t tokens_begun;   /* index of the first token ever; 0: none yet */
    struct probers probers;  /* who runs the active checks */
    struct sinks sinks;      /* how far each has come; none below LEVEL_SINKS */
    uint64_t events_first;   /* events kept: events_first..events_last; none if first > last */
    uint64_t events_last;
    uint32_t events_kept;            /* the most that are kept */
    uint64_t state_bytes;            /* size of a snapshot */
    uint64_t state_bytes_max;        /* registrations above it are refused; 0: no bound yet */
    const struct event_ring *events; /* private */
    const struct registry *registry; /* private */
};

/* Where readers find the registry. The owner may replace the registry at any time, and destroys the
 * old one after a grace period. */
struct view_source {
    struct registry *registry; /* private */
};
/* The owner's thread. The registry must be complete and published. */
void view_source_set(struct view_source *source, struct registry *registry);

/* Begins a liburcu read-side critical section and returns the latest view, never NULL. Does not
 * wait; may be nested. */
MUST_USE const struct view *view_lock(const struct view_source *source);
/* Ends the section and sets *view to NULL, so that a later use crashes. */
void view_unlock(const struct view **view);

/* Returns NULL if the service does not exist. */
const struct service_view *view_service(const struct view *view, const char *name);
/* Whether any of its instances has that type or that tag. O(log n). */
bool view_service_has(const struct view *view, const struct service_view *service,
                      const char *type_or_tag);
/* The index to report for a service, whether or not it exists. */
uint64_t view_service_index(const struct view *view, const char *name);
/* Iterates by name, from a rank on (0: the first). */
void view_iterate_services(struct ptree_iterator *it, const struct view *view, size_t rank);
/* The record of an id in this view; NULL if there is none. O(log n). */
const struct record *view_instance(const struct view *view, const char *id);
/* The record of a check or node, by its id (check_id.h); NULL if there is none. O(log n). */
const struct record *view_check(const struct view *view, const char *id);
/* Iterates the checks of an owner by key, up to the first for which check_is_of() is false. */
void view_iterate_checks(struct ptree_iterator *it, const struct view *view, const char *owner_id);
/* Returns NULL if the token does not exist, or no longer exists. */
const struct token *view_token(const struct view *view, const char *id);
/* The policy that counts for the name of a certificate; NULL if there is none. */
const struct token *view_policy(const struct view *view, const char *name);
/* Returns NULL if the namespace has neither instances nor a quota. "default" is one, too. */
const struct namespace_use *view_namespace(const struct view *view, const char *name);
/* The rank at which the ids or names of a namespace ("": `default`) begin in `tree`: the instances
 * or services of the view, or the instances of a service. They end with the first for which
 * namespace_has() is false. */
size_t view_rank_of_namespace(const struct view *view, const struct ptree *tree, const char *space);
/* The rank after an id, for the next page. The id itself may be gone. */
size_t view_rank_after(const struct view *view, const struct ptree *instances, const char *id);
/* Returns NULL if the event is no longer kept. */
const struct event *view_event(const struct view *view, uint64_t sequence);

/* The current lease of an id, possibly newer than any view; for heartbeats. Returns false if there
 * is none. O(1). */
bool view_find_lease(const struct view *view, const char *id, size_t id_len,
                     struct lease_ref *ret_ref);
/* The last heartbeat of the instance, and the end of its lease, in cluster time. For an expired
 * instance, the deadline is when it is reaped (UINT64_MAX: never). */
void view_lease_times(const struct view *view, const struct record *record,
                      uint64_t *ret_renewed_ms, uint64_t *ret_deadline_ms);
/* The last heartbeat as wall-clock time, between the registration and the view. `renewed_ms` is
 * from view_lease_times. */
int64_t view_heard_ms(const struct view *view, const struct record *record, uint64_t renewed_ms);

/* Caches `text`, rendered from the service or event, for later readers, and takes over the caller's
 * reference; if another reader was first, releases it. Returns the cached text, borrowed until the
 * end of the critical section; rendered_send() extends that. */
struct rendered *view_keep_rendered(const struct service_view *service, struct rendered *text);
struct rendered *view_keep_event(const struct event *event, struct rendered *text);

#endif
