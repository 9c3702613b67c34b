#include "server/node/node.h"

#include <stdlib.h>
#include <string.h>

#include <urcu.h>

#include "server/base/crc32c.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/base/metric.h"
#include "server/node/internal.h"
#include "server/wire/wire_command.h"

/* How long a client needs to try another replica after an election. */
#define RETRY_MS 1000

struct node *node_start(const struct consensus_options *options, const struct node_options *own,
                        char *error, size_t error_size)
{
    struct node *node = mem_zalloc(1, sizeof *node);
    rcu_register_thread();
    replica_init(node);
    node->events_kept = own->events_kept;
    node->state_bytes = own->state_bytes;
    node->bootstrap = own->bootstrap != NULL ? token_create(own->bootstrap) : NULL;
    const struct consensus_fsm app = replica_app(node);
    node->consensus = consensus_create(options, &app);
    node->grace_ms = consensus_hold_up_ms(node->consensus) + RETRY_MS;
    node->pause_grace_ms = options->election_timeout_ms + RETRY_MS;
    if (!consensus_start(node->consensus, error, error_size)) {
        node_destroy(node);
        return NULL;
    }
    return node;
}

void node_stop(struct node *node)
{
    probe_leave(node);
    consensus_stop(node->consensus);
    blocking_fail_all(node, ST_STOPPING);
}

void node_destroy(struct node *node)
{
    if (node == NULL) {
        return;
    }
    replica_done(node);
    consensus_destroy(node->consensus);
    free(node->bootstrap);
    free(node);
    rcu_unregister_thread();
}

/* --- writes --- */

static void write_done(struct consensus_op *op, enum status status)
{
    struct node_write *write = CONTAINER_OF(op, struct node_write, op);
    write->done(write, status);
}

static bool is_heartbeat(const struct command *command)
{
    return command->kind == COMMAND_RENEW || command->kind == COMMAND_HEARTBEAT;
}

enum status node_write(struct node *node, struct node_write *write, const struct command *command)
{
    struct buffer bytes;
    buffer_init(&bytes, OP_BYTES_MAX);
    wire_command_encode(command, &bytes);
    if (bytes.overflowed) {
        buffer_done(&bytes);
        return ST_TOO_LARGE;
    }
    write->result = (struct result){.status = ST_OK};
    write->op = (struct consensus_op){
        .lane = is_heartbeat(command) ? CONSENSUS_URGENT : CONSENSUS_NORMAL,
        .done = write_done,
    };
    write->op.data = buffer_take(&bytes, &write->op.len);
    metric_add(METRIC_writes_submitted_total, 1);
    uint8_t *data = write->op.data;
    enum status status = consensus_submit(node->consensus, &write->op);
    if (status != ST_OK) {
        free(data);
    }
    return status;
}

/* --- members --- */

static void change_done(struct consensus_op *op, enum status status)
{
    struct node_change *change = CONTAINER_OF(op, struct node_change, op);
    change->done(change, status);
}

enum status node_change(struct node *node, struct node_change *change)
{
    change->op = (struct consensus_op){
        .lane = CONSENSUS_CHANGE, .done = change_done, .change = change->change};
    return consensus_submit(node->consensus, &change->op);
}

/* --- backups --- */

static void backup_done(struct consensus_op *op, enum status status)
{
    struct node_backup *backup = CONTAINER_OF(op, struct node_backup, op);
    backup->done(backup, status);
}

enum status node_backup(struct node *node, struct node_backup *backup,
                        enum consensus_backup_step step)
{
    backup->backup.step = step;
    backup->op = (struct consensus_op){
        .lane = CONSENSUS_BACKUP, .done = backup_done, .backup = &backup->backup};
    return consensus_submit(node->consensus, &backup->op);
}

/* --- events --- */

void node_listen(struct node *node, struct node_listener *listener)
{
    listener->next = atomic_load(&node->listeners);
    while (!atomic_compare_exchange_weak(&node->listeners, &listener->next, listener)) {
    }
}

uint64_t node_changed_ns(const struct node *node)
{
    return atomic_load_explicit(&node->changed_ns, memory_order_relaxed);
}

/* --- status --- */

const struct view *node_view_lock(const struct node *node)
{
    return view_lock(&node->views);
}

void node_status(const struct node *node, struct node_status *ret_status)
{
    struct consensus_status s;
    consensus_status(node->consensus, &s);
    *ret_status = (struct node_status){
        .id = consensus_facts(node->consensus)->id,
        .leader = s.leader,
        .is_leader = s.is_leader,
        .term = s.term,
        .applied_index = s.applied_index,
        .commit_index = s.commit_index,
        .last_contact_ms = s.last_contact_ms,
        .loop_stalled_ms = s.loop_stalled_ms,
        .disk_stalled_ms = s.disk_stalled_ms,
        .caught_up = s.caught_up,
        .has_space = s.has_space,
        .phase = s.phase,
        .level = s.level,
    };
}

bool node_ready(const struct node *node, const char **ret_reason)
{
    struct node_status s;
    node_status(node, &s);
    if (s.loop_stalled_ms >= STALL_UNFIT_MS) {
        *ret_reason = "the loop of this replica stands still: a thread that is not given the "
                      "processor, or a call to the system that does not return";
    } else if (s.disk_stalled_ms >= STALL_UNFIT_MS) {
        *ret_reason = "the disk of this replica stands still: a write of the log does not end";
    } else if (s.phase == CONSENSUS_WAITING) {
        *ret_reason =
            "this member has an empty directory, and its cluster exists already: it waits "
            "without a vote until the cluster lets it in";
    } else if (s.phase == CONSENSUS_FORMING) {
        *ret_reason = "the cluster is not formed yet: not all of its first members have met";
    } else if (s.leader == 0) {
        *ret_reason = "no leader is known: a majority of the members cannot be reached, or is "
                      "electing one";
    } else if (!s.caught_up) {
        *ret_reason = "this replica is catching up with its leader";
    } else {
        *ret_reason = "ready";
        return true;
    }
    return false;
}

void node_members(const struct node *node, struct consensus_member_info *ret_members,
                  size_t *ret_count)
{
    consensus_members(node->consensus, ret_members, ret_count);
}

size_t node_cluster_events(const struct node *node, struct consensus_cluster_event *ret_events)
{
    return consensus_cluster_events(node->consensus, ret_events);
}

uint64_t node_disk_free(const struct node *node)
{
    return consensus_disk_free(node->consensus);
}

const struct consensus_facts *node_facts(const struct node *node)
{
    return consensus_facts(node->consensus);
}

void node_cluster(const struct node *node, char out[CONSENSUS_CLUSTER_SIZE])
{
    consensus_cluster(node->consensus, out);
}

uint32_t node_cluster_tag(struct node *node)
{
    uint32_t tag = atomic_load_explicit(&node->cluster_tag, memory_order_relaxed);
    if (tag == 0) {
        char cluster[CONSENSUS_CLUSTER_SIZE];
        node_cluster(node, cluster);
        if (strspn(cluster, "0") == strlen(cluster)) {
            return 0;
        }
        tag = crc32c(0, cluster, strlen(cluster));
        tag |= tag == 0;
        atomic_store_explicit(&node->cluster_tag, tag, memory_order_relaxed);
    }
    return tag;
}
