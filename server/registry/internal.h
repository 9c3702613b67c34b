/* Shared by the files of the registry only.
 *
 * Thread: loop; fields used by readers are atomic or published with the view. */
#ifndef MUSTER_REGISTRY_INTERNAL_H
#define MUSTER_REGISTRY_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <urcu.h>
#include <urcu/rculfhash.h>

#include "server/base/ptree.h"
#include "server/registry/registry.h"
#include "server/registry/view.h"

#define NONE          UINT32_MAX
#define NEVER         UINT64_MAX
#define LEASES_BLOCK  4096u
#define LEASE_BLOCKS  (INSTANCES_MAX / LEASES_BLOCK)
#define WHEEL_BUCKETS 8192u
#define WHEEL_TICK_MS 64u

struct instance {
    struct cds_lfht_node node; /* in registry.by_id */
    struct record *record;     /* read with rcu_dereference */
};

/* A lease stays in its bucket of the wheel until that is due, however often it is renewed; only
 * then is it moved to the bucket of its present deadline. (A lazy form of the hashed timing wheels
 * of Varghese and Lauck, SOSP 1987: renewing costs nothing but the new deadline.) */
struct lease {
    _Atomic uint64_t deadline_ms; /* end of the lease; when expired, of the time before reaping */
    _Atomic uint64_t renewed_ms;
    struct instance *instance; /* NULL: the slot is free */
    uint32_t generation;
    uint32_t ttl_ms;
    uint32_t previous, next; /* in the bucket */
    uint16_t bucket;         /* WHEEL_BUCKETS: none */
    bool expired;
};

struct leases {
    struct lease *blocks[LEASE_BLOCKS]; /* never move, so that readers may use them */
    uint64_t *used;                     /* one bit per slot */
    uint32_t slots;                     /* in blocks so far */
    uint32_t first_free_word;           /* no free bit before it */
    uint32_t heads[WHEEL_BUCKETS];
    uint64_t cursor; /* the wheel's present tick */
    uint32_t *due;   /* scratch */
    uint32_t due_count, due_capacity;
};

/* An event's slot is its sequence modulo the capacity. */
struct event_ring {
    uint32_t capacity;
    _Atomic(struct event *) slots[];
};

/* The lowest bits of a retired address. */
enum retired_kind { RETIRED_PLAIN, RETIRED_SERVICE, RETIRED_EVENT, RETIRED_KINDS };

struct retired {
    void **memory;
    size_t count, capacity;
};

struct registry {
    struct registry_options options;
    struct ptree_kind services_kind, records_kind, tallies_kind, tokens_kind, namespaces_kind;
    struct cds_lfht *by_id; /* NULL while a snapshot is being restored */
    size_t buckets;         /* of by_id, once it has grown */
    struct leases leases;
    struct ptree alive_types; /* of struct tally: types.c */
    struct ptree members;     /* of nodes: places.c */
    struct ptree_kind members_kind;
    struct view work;        /* the next view, being prepared */
    struct view *view;       /* published */
    uint32_t leased_count;   /* of those with a lease that ends */
    uint64_t instances_sum;  /* of the hashes of all instances; wraps around */
    uint64_t services_sum;   /* of the hashes of names and indexes of all services */
    uint64_t events_sum;     /* the same, of the events kept */
    size_t events_bytes;     /* of the kept events, as used to decide which are dropped */
    uint64_t tokens_sum;     /* of all tokens, policies among them */
    uint64_t instances_size; /* in a snapshot: size.h */
    uint64_t services_size;
    uint64_t events_size;
    uint64_t tokens_size;
    uint64_t quotas_sum; /* of all quotas of namespaces */
    uint64_t quotas_size;
    size_t policies_count;      /* among the tokens */
    uint64_t tokens_due_ms;     /* when the first token or policy expires */
    uint32_t entry_events;      /* created in this entry */
    uint64_t incarnation;       /* of the command being applied */
    const struct token *holder; /* on whose behalf it is; NULL: no service is closed to it */
    char **touched;             /* names of services */
    size_t touched_count, touched_capacity;
    struct retired retired;                    /* waits for readers */
    struct retired kept;                       /* waits for snapshots */
    struct registry_snapshot *snapshots;       /* in use; the newest first */
    uint64_t snapshots_epoch, snapshots_index; /* nothing created since then is in any of them */
    bool in_entry;
    struct restore *restore; /* NULL once it is complete */
};

/* Represents everything that liburcu orders between the writer, the readers and frees: see
 * TSAN_ACQUIRE. */
extern char registry_readers;

/* registry.c */
struct instance *registry_find(const struct registry *r, const char *id, size_t len);
/* Adds an instance to the tables; its record is complete, with slot and generation. */
void registry_insert(struct registry *r, struct record *record, uint64_t renewed_ms,
                     uint64_t deadline_ms);
/* The part of it that concerns the lease and the hash of the state; returns the new instance. */
struct instance *registry_lease_out(struct registry *r, struct record *record, uint64_t renewed_ms,
                                    uint64_t deadline_ms);
void registry_remove(struct registry *r, struct instance *instance);
/* Replaces the instance's record, taking over the new one's reference. */
void registry_replace(struct registry *r, struct instance *instance, struct record *record);
/* The table by id, of all instances with a lease. */
void registry_make_table(struct registry *r);
void registry_drop_table(struct registry *r);
uint64_t registry_lease_hash(const struct lease *lease);
/* What is registered has changed, health apart. */
void registry_moved_catalog(struct registry *r);
/* A check comes, goes or has other content: the active ones are others if it is one. */
void registry_moved_active(struct registry *r, const struct record *check);
/* Whether the state has room for `bytes` more and an event about it. */
bool registry_has_room(const struct registry *r, uint64_t bytes);
/* Also updates the hash. */
void registry_set_lease(struct registry *r, uint32_t slot, uint64_t renewed_ms,
                        uint64_t deadline_ms);

/* retire.c */
/* Frees `memory` once no reader can see it any more, and with `keep` no snapshot either. */
void retire_memory(struct registry *r, void *memory, enum retired_kind kind, bool keep);
/* Whether a snapshot may contain what was created in this epoch, or in the entry of this index. */
bool retire_must_keep_epoch(const struct registry *r, uint64_t epoch);
bool retire_must_keep_index(const struct registry *r, uint64_t index);
/* Drops a reference. */
void retire_record(struct registry *r, struct record *record);
/* Passes on what was retired so far. */
void retire_give(struct registry *r);
/* Frees everything: no reader is left. */
void retire_done(struct registry *r);

/* snapshot.c: the lease is about to change. */
void snapshot_save_lease(struct registry *r, uint32_t slot);

/* apply.c */
/* The instance of an id that a command names; NULL if there is none. */
struct instance *apply_find(const struct registry *r, const struct command *command,
                            const struct slice *id);
void apply_register(struct registry *r, const struct command *command, struct result *ret_result);
/* Renews the lease for so long; UINT64_MAX: for good. */
void apply_set_deadline(struct registry *r, const struct instance *instance, uint64_t deadline_ms);
/* The most that a record can add to the state. */
uint64_t apply_size_added(const struct record *record);
void apply_command(struct registry *r, const struct command *command, struct result *ret_result);

/* tokens.c */
void tokens_apply_create(struct registry *r, const struct command *command,
                         struct result *ret_result);
void tokens_apply_revoke(struct registry *r, const struct command *command,
                         struct result *ret_result);
void policies_apply_create(struct registry *r, const struct command *command,
                           struct result *ret_result);
void policies_apply_delete(struct registry *r, const struct command *command,
                           struct result *ret_result);
/* Removes expired tokens and policies. */
void tokens_expire(struct registry *r);
/* A token that was put into the tree. */
void tokens_count(struct registry *r, const struct token *token);
void tokens_destroy(struct registry *r);
/* What the command's guard says before any instance is looked at; sets r->holder. */
enum status tokens_admit(struct registry *r, const struct command *command);
/* Whether the holder may change an instance; and register in its place (NULL: a free id). Without a
 * holder the instance is not looked at: of a thousand renewals each would miss the cache. */
bool tokens_let(const struct registry *r, const struct instance *instance);
bool tokens_let_register(const struct registry *r, const struct instance *instance,
                         const struct registration *registration);

/* checks.c */
void checks_apply_enrol(struct registry *r, const struct command *command,
                        struct result *ret_result);
void checks_apply_put(struct registry *r, const struct command *command, struct result *ret_result);
/* A check was heard from: it has this status now. */
void checks_heard(struct registry *r, struct instance *check, enum health status,
                  const struct slice *note);
/* It was not, for its ttl. */
void checks_expire(struct registry *r, struct instance *check);
/* The instance or node that a check is of; NULL: none, it is a node. */
struct instance *checks_owner(const struct registry *r, const struct record *check);
/* Removes an instance, node or check, and what is of it. */
void checks_remove(struct registry *r, struct instance *instance);
/* How healthy an instance is: `said`, unless it has checks. */
enum health checks_health(const struct registry *r, const struct record *record, enum health said);
/* NULL, or what is wrong between checks and their owners. */
const char *checks_verify(const struct registry *r);
/* Under whose name of a service it stands, for the rights to it. */
const char *checks_guarded_name(const struct registry *r, const struct record *record,
                                char room[STORED_NAME_SIZE]);

/* A run of an active check has ended. */
void checks_apply_result(struct registry *r, const struct command *command,
                         struct result *ret_result);

/* probers.c */
void probers_apply(struct registry *r, const struct command *command);

/* places.c: with each change of an instance. */
void places_add(struct registry *r, const struct record *instance);
void places_remove(struct registry *r, const struct record *instance);
void places_replace(struct registry *r, const struct record *old, const struct record *new);
/* How healthy the nodes of an instance are: the worst of them. */
enum health places_health(const struct registry *r, const struct record *instance);
/* The health of a node, given by its stored id, has changed: so has that of its instances. */
void places_spread(struct registry *r, const char *stored_id);
/* Removes those of its service that have its service id on other nodes. */
void places_leave_others(struct registry *r, const struct record *instance);
const char *places_key(const void *member);
/* NULL, or what is wrong. While a snapshot is restored, only the health is looked at. */
const char *places_verify(const struct registry *r);
void places_destroy(struct registry *r);

/* sinks.c */
void sinks_apply_confirm(struct registry *r, const struct command *command,
                         struct result *ret_result);
/* Those of a snapshot. ST_CORRUPT if they cannot be. */
enum status sinks_restore(struct registry *r, const struct sinks *sinks);

/* namespaces.c. `stored` is an id or name that is in the namespace meant. */
/* So many instances and bytes of them more in its namespace; negative: fewer. Services likewise. */
void namespaces_count(struct registry *r, const char *stored, int instances, int64_t bytes);
void namespaces_count_service(struct registry *r, const char *stored, int services);
/* Whether its quota lets so much more in. */
bool namespaces_have_room(const struct registry *r, const char *stored, uint64_t instances,
                          uint64_t bytes);
void namespaces_set_quota(struct registry *r, const char *name,
                          const struct namespace_quota *quota);
uint64_t namespaces_quota_hash(const struct namespace_use *use);
void namespaces_apply_set(struct registry *r, const struct command *command,
                          struct result *ret_result);
void namespaces_apply_delete(struct registry *r, const struct command *command,
                             struct result *ret_result);
void namespaces_destroy(struct registry *r);

/* services.c: counts, tags and types of each service */
void services_add(struct registry *r, struct record *record);
void services_remove(struct registry *r, struct record *record);
void services_replace(struct registry *r, struct record *old, struct record *new);
void services_free_view(struct service_view *view);
/* For restore.c: a service without instances and index, that is in no tree yet; one more instance
 * in its counts and tallies; its index, and with it its part of the hash. */
struct service_view *services_make_view(struct registry *r, const char *name);
void services_count(struct registry *r, struct service_view *service, const struct record *record);
void services_first_index(struct registry *r, struct service_view *service, uint64_t index);

/* types.c: with each change of an instance. */
void types_add(struct registry *r, const struct record *record);
void types_remove(struct registry *r, const struct record *record);
/* Whether another instance of its namespace with this type is alive than `own` (NULL: none), which
 * has the same id. */
bool types_is_taken(const struct registry *r, const struct registration *registration,
                    const struct record *own);
void types_destroy(struct registry *r);

/* restore.c: forgets what was restored of services, after a call for each if it is wanted. */
void restore_free(struct registry *r,
                  void (*free_service)(struct registry *, struct service_view *));

/* events.c */
void events_add(struct registry *r, enum event_type type, struct record *record);
/* False, and nothing is taken, when it could not have been kept beside the others. */
bool events_restore(struct registry *r, const struct event *event);
void events_clear(struct registry *r);
/* The number to keep from now on. */
void events_keep(struct registry *r, uint32_t count);
/* Drops events beyond the present limits. */
void events_trim(struct registry *r);
void events_free(struct event *event);

/* leases.c */
void leases_init(struct leases *leases);
void leases_done(struct leases *leases);
struct lease *leases_at(const struct leases *leases, uint32_t slot);
/* The lowest free slot, so that all replicas choose the same; NONE: full. */
uint32_t leases_take_slot(struct leases *leases);
/* Takes a particular slot; false if it is in use or out of range. */
bool leases_take_this_slot(struct leases *leases, uint32_t slot);
void leases_free_slot(struct leases *leases, uint32_t slot);
/* Puts the slot into the bucket of its deadline. */
void leases_link(struct leases *leases, uint32_t slot);
void leases_unlink(struct leases *leases, uint32_t slot);
/* Collects in leases->due all slots with a deadline <= until, unordered; they stay linked. */
void leases_collect_due(struct leases *leases, uint64_t until_ms);
void leases_start_at(struct leases *leases, uint64_t now_ms);

#endif
