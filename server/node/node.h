/* The replicated registry as the doors see it: submit a command, read the view, query the replica's
 * status. read.h has what a read may wait for.
 *
 * Thread: any, unless stated otherwise. Callbacks run on the loop thread, exactly once each, never
 * from inside the submitting call, and must not block. Owns: the registry, the consensus instance
 * and its loop thread. */
#ifndef MUSTER_NODE_NODE_H
#define MUSTER_NODE_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/consensus.h"
#include "server/base/status.h"
#include "server/registry/command.h"
#include "server/registry/view.h"

struct node;

/* Opens the data directory, joins the cluster, starts the loop thread. On failure NULL, with a
 * message in `error` that says what to do. The options are read only during the call. While this
 * replica leads, it sets the number of kept events (EVENTS_KEPT_MIN..MAX), and raises the bound of
 * the state to state_bytes if it is lower. */
struct node_options {
    uint32_t events_kept;
    uint64_t state_bytes;
    /* Made when there is no token at all, once in each term of this leader; NULL: none is. */
    const struct token_spec *bootstrap;
};
struct node *node_start(const struct consensus_options *options, const struct node_options *own,
                        char *error, size_t error_size);
/* Refuses waiting requests (ST_STOPPING), transfers leadership, finishes what is in flight within
 * the write timeout, closes. Blocks. All callbacks have run when it returns. */
void node_stop(struct node *node);
void node_destroy(struct node *node);

/* Before a node is started on the directory, or instead of one: see consensus.h. */
MUST_USE bool node_restore(const char *data_dir, const struct consensus_member *self,
                           const char *path, struct consensus_restored *ret_restored, char *error,
                           size_t error_size);
MUST_USE bool node_recover(const char *data_dir, uint64_t id, bool confirmed,
                           struct consensus_recovered *ret_recovered, char *error,
                           size_t error_size);

/* A write. Set `command` (which borrows), `data` and `done`; the rest belongs to the node. The
 * command is encoded inside node_write; what it borrows is not needed afterwards. */
struct node_write {
    void *data;
    void (*done)(struct node_write *write, enum status status);
    /* Valid in `done`; its `missed` then belongs to the caller. */
    struct result result;
    /* private */
    struct consensus_op op;
};
/* ST_OK: `done` will be called: with ST_OK if applied here (see result.status), ST_UNKNOWN if it
 * may or may not have happened, anything else if it surely did not. Any other status: refused at
 * once, `done` is not called. */
MUST_USE enum status node_write(struct node *node, struct node_write *write,
                                const struct command *command);

/* A membership change. Set `data`, `done` and `change`. */
struct node_change {
    void *data;
    /* ST_OK: committed, and known here; ST_NOT_FOUND, ST_CONFLICT: see consensus.h; ST_UNKNOWN: it
     * may still happen; anything else: nothing was done. */
    void (*done)(struct node_change *change, enum status status);
    struct consensus_change change;
    /* private */
    struct consensus_op op;
};
/* ST_OK: `done` will be called; otherwise it will not. */
MUST_USE enum status node_change(struct node *node, struct node_change *change);

/* A backup, step by step: see consensus.h. Set `data` and `done`. */
struct node_backup {
    void *data;
    void (*done)(struct node_backup *backup, enum status status);
    struct consensus_backup backup;
    /* private */
    struct consensus_op op;
};
/* ST_OK: `done` will be called; otherwise it will not. */
MUST_USE enum status node_backup(struct node *node, struct node_backup *backup,
                                 enum consensus_backup_step step);

/* Called on the loop thread after each entry with events, before waiting reads are woken; when a
 * snapshot has replaced the history; and when node_probe_version() has moved (probe.h). `told` must
 * not block. Stays until the node is destroyed: add it before node_stop, free it after. */
struct node_listener {
    void (*told)(struct node_listener *listener);
    /* private */
    struct node_listener *next;
};
void node_listen(struct node *node, struct node_listener *listener);
/* Monotonic time at which this replica last applied an entry with events; 0: never. */
uint64_t node_changed_ns(const struct node *node);

/* Starts a read-side critical section and returns the latest view of the registry; view_unlock()
 * ends it (view.h). Only on threads registered with liburcu. */
MUST_USE const struct view *node_view_lock(const struct node *node);

/* The replica's status; cheap enough for every response. */
struct node_status {
    uint64_t id;
    uint64_t leader; /* member id; 0: none known */
    bool is_leader;
    uint64_t term;
    uint64_t applied_index;
    uint64_t commit_index;
    uint64_t last_contact_ms; /* the age of its data: see struct consensus_status */
    uint64_t loop_stalled_ms;
    uint64_t disk_stalled_ms;
    bool caught_up; /* has applied everything that was committed when it started */
    bool has_space; /* disk */
    enum consensus_phase phase;
    uint16_t level; /* of the replicated format; 0: unknown yet */
};
void node_status(const struct node *node, struct node_status *ret_status);
/* Ready to serve: has a leader and has caught up. Otherwise a static reason. */
bool node_ready(const struct node *node, const char **ret_reason);

/* The rest of /health and /cluster; takes a lock: not for every request. */
void node_members(const struct node *node, struct consensus_member_info *ret_members,
                  size_t *ret_count /* room for MEMBERS_MAX */);
/* Needs room for CONSENSUS_CLUSTER_EVENTS_MAX. */
size_t node_cluster_events(const struct node *node, struct consensus_cluster_event *ret_events);
/* Free bytes on the file system of the data directory. */
uint64_t node_disk_free(const struct node *node);
const struct consensus_facts *node_facts(const struct node *node); /* constant after start */
/* The cluster's id: 32 hexadecimal digits, all zeros until it is formed. Takes a lock. */
void node_cluster(const struct node *node, char out[CONSENSUS_CLUSTER_SIZE]);
/* The same in 32 bits, for what is only compared; 0 until it is formed. Cheap. */
uint32_t node_cluster_tag(struct node *node);

#endif
