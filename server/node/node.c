#include "server/node/node.h"

#include <stdlib.h>

#include <urcu.h>

#include "server/base/mem.h"
#include "server/base/metric.h"
#include "server/node/internal.h"
#include "server/wire/wire_command.h"

/* What a client needs to try another replica after an election. */
#define RETRY_MS 1000

struct node *node_start(const struct consensus_options *options, uint32_t events_kept, char *error,
                        size_t error_size)
{
    struct node *node = mem_zalloc(1, sizeof *node);
    rcu_register_thread();
    node->registry = replica_create_registry(node);
    node->events_kept = events_kept;
    node->grace_ms = options->election_timeout_ms + RETRY_MS;
    const struct consensus_app app = replica_app(node);
    node->consensus = consensus_create(options, &app);
    if (!consensus_start(node->consensus, error, error_size)) {
        node_destroy(node);
        return NULL;
    }
    return node;
}

void node_stop(struct node *node)
{
    consensus_stop(node->consensus);
    watch_fail_all(node, ST_STOPPING);
}

void node_destroy(struct node *node)
{
    if (node == NULL) {
        return;
    }
    rcu_barrier();
    registry_destroy(node->registry);
    consensus_destroy(node->consensus);
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

/* --- waits --- */

static void wait_arrived(struct consensus_op *op, enum status status)
{
    struct node_wait *wait = CONTAINER_OF(op, struct node_wait, op);
    struct node *node = wait->node;
    if (status != ST_OK || wait->kind == NODE_WAIT_LINEAR) {
        atomic_fetch_sub_explicit(&node->watch.count, 1, memory_order_relaxed);
        metric_add(METRIC_waiters, -1);
        wait->done(wait, status);
    } else {
        watch_add(node, wait);
    }
}

enum status node_wait(struct node *node, struct node_wait *wait)
{
    if (atomic_fetch_add_explicit(&node->watch.count, 1, memory_order_relaxed) >= WAITERS_MAX) {
        atomic_fetch_sub_explicit(&node->watch.count, 1, memory_order_relaxed);
        return ST_BUSY;
    }
    metric_add(METRIC_waiters, 1);
    wait->node = node;
    wait->op = (struct consensus_op){
        .lane = wait->kind == NODE_WAIT_LINEAR ? CONSENSUS_READ : CONSENSUS_CALL,
        .done = wait_arrived,
    };
    enum status status = consensus_submit(node->consensus, &wait->op);
    if (status != ST_OK) {
        atomic_fetch_sub_explicit(&node->watch.count, 1, memory_order_relaxed);
        metric_add(METRIC_waiters, -1);
    }
    return status;
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

/* --- how it stands --- */

const struct registry *node_registry(const struct node *node)
{
    const struct registry *registry = rcu_dereference(node->registry);
    TSAN_ACQUIRE(node);
    return registry;
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
        .caught_up = s.caught_up,
        .has_space = s.has_space,
    };
}

bool node_ready(const struct node *node, const char **ret_reason)
{
    struct node_status s;
    node_status(node, &s);
    if (s.leader == 0) {
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

uint64_t node_disk_free(const struct node *node)
{
    return consensus_disk_free(node->consensus);
}

const struct consensus_facts *node_facts(const struct node *node)
{
    return consensus_facts(node->consensus);
}
