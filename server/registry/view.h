/* Reading the registry from any thread, without locks: a view is one published version, immutable,
 * valid until view_unlock().
 *
 *     const struct view *view = view_lock(source);
 *     ... view_service(view, "web") ...
 *     view_unlock(&view);
 *
 * A snapshot from the leader replaces the whole registry, so a reader must not look for the
 * registry before its critical section begins. It cannot: view_lock() is the only way to one.
 *
 * Thread: any that is registered with liburcu (rcu_register_thread), inside of a read-side critical
 * section. What is found is borrowed until its end. */
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
#include "server/registry/record.h"
#include "server/registry/token.h"

struct service_view {
    uint64_t index;                /* last change of the service */
    uint64_t epoch;                /* the registry's */
    uint32_t counts[HEALTH_COUNT]; /* instances by health */
    struct ptree instances;        /* of struct record, by id; walk with ptree_iterate */
    struct ptree tags;             /* of struct tally, by text */
    struct ptree types;            /* of struct tally, by text */
    /* Made by the first reader that wants it (view_keep_rendered). */
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
    uint64_t services_index;       /* last change of what GET /services says */
    uint64_t extinct_index;        /* last time that a service lost its last instance */
    uint64_t now_ms;               /* cluster time */
    int64_t wall_ms;               /* wall clock of the last entry */
    uint64_t hash;                 /* registry_hash() */
    uint16_t level;                /* of the replicated format */
    struct registry_limits limits; /* of the level */
    uint32_t counts[HEALTH_COUNT];
    uint32_t services_count;
    struct ptree services;  /* of struct service_view, by name */
    struct ptree instances; /* of struct record, by id */
    struct ptree tokens;    /* of struct token, by id */
    uint64_t tokens_begun;  /* index of the first token ever; 0: there was none */
    uint64_t events_first;  /* sequences kept: first..last; none when first > last */
    uint64_t events_last;
    uint32_t events_kept;            /* the most that are kept */
    uint64_t state_bytes;            /* size of a snapshot */
    uint64_t state_bytes_max;        /* a registration above it is refused; 0: no bound yet */
    const struct event_ring *events; /* private */
    const struct registry *registry; /* private */
};

/* Where readers find the registry. The owner may put another registry in its place at any time, and
 * destroy the old one after a grace period. */
struct view_source {
    struct registry *registry; /* private */
};
/* The owner's thread. The registry is complete and published. */
void view_source_set(struct view_source *source, struct registry *registry);

/* Begins a read-side critical section of liburcu and returns the latest view, never NULL. Does not
 * wait; may be nested. */
MUST_USE const struct view *view_lock(const struct view_source *source);
/* Ends it, and sets *view to NULL, so that a use after it cannot go unnoticed. */
void view_unlock(const struct view **view);

/* NULL when there is no such service. */
const struct service_view *view_service(const struct view *view, const char *name);
/* The index to say for a service, also for one that is not there. */
uint64_t view_service_index(const struct view *view, const char *name);
/* From a rank on (0: the first), in order of name / id. */
void view_iterate_services(struct ptree_iterator *it, const struct view *view, size_t rank);
/* The record of an id, as of this view. NULL when it is not there. O(log n). */
const struct record *view_instance(const struct view *view, const char *id);
/* NULL when there is no such token, or none any more. */
const struct token *view_token(const struct view *view, const char *id);
/* Rank behind an id, for the next page: works also when the id is gone. */
size_t view_rank_after(const struct view *view, const struct ptree *instances, const char *id);
/* An event that is kept; NULL when it has been dropped. */
const struct event *view_event(const struct view *view, uint64_t sequence);

/* The newest state of an id, O(1), maybe newer than any view: for resolving heartbeats. False when
 * it is not there now. */
bool view_find_lease(const struct view *view, const char *id, size_t id_len,
                     struct lease_ref *ret_ref);
/* When the instance of this record was last heard from and when its lease ends (or, when it has
 * expired, when it is reaped; UINT64_MAX: never), in cluster time. */
void view_lease_times(const struct view *view, const struct record *record,
                      uint64_t *ret_renewed_ms, uint64_t *ret_deadline_ms);
/* When that was as wall-clock time: not before it was registered, nor after the view. `renewed_ms`
 * as view_lease_times has it. */
int64_t view_heard_ms(const struct view *view, const struct record *record, uint64_t renewed_ms);

/* Keeps `text`, which a reader has made from the service or event, with it for later readers, and
 * the reference to it; if another reader was first, gives that back. Returns the one kept: borrowed
 * until the end of the critical section, and rendered_send() makes it last longer. */
struct rendered *view_keep_rendered(const struct service_view *service, struct rendered *text);
struct rendered *view_keep_event(const struct event *event, struct rendered *text);

#endif
