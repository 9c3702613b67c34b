/* A node whose consensus is the test: submitted operations wait in a queue until the test completes
 * them, and the clocks are the test's. Programs with it are linked with -Wl,--wrap for the three
 * functions of consensus.h below (CMakeLists.txt).
 *
 * Thread: the test's, which is also the node's loop. Owns: the node, from set_up to tear_down. */
#ifndef MUSTER_TESTS_NODE_FIXTURE_H
#define MUSTER_TESTS_NODE_FIXTURE_H

#include "tests/unit/registry_fixture.h"

#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/node/internal.h"
#include "server/wire/wire_command.h"

#define FIXTURE_QUEUE    64
#define FIXTURE_WRITE_MS 5000u
#define FIXTURE_BEGIN_MS 1000000u

static struct {
    struct node node;
    struct consensus_fsm app;
    struct consensus_op *queue[FIXTURE_QUEUE];
    size_t queued;
    enum status refusal; /* result of the next submit; ST_OK: accept */
    uint64_t index;      /* of the last entry */
    uint64_t applied;    /* of the last entry, including those without operations */
    uint64_t now_ms;     /* monotonic */
} n;

enum status __wrap_consensus_submit(struct consensus *c, struct consensus_op *op);
enum status __wrap_consensus_submit(struct consensus *c, struct consensus_op *op)
{
    (void)c;
    if (n.refusal == ST_OK) {
        assert_true(n.queued < FIXTURE_QUEUE);
        n.queue[n.queued++] = op;
    }
    return n.refusal;
}

void __wrap_consensus_status(const struct consensus *c, struct consensus_status *ret_status);
void __wrap_consensus_status(const struct consensus *c, struct consensus_status *ret_status)
{
    (void)c;
    *ret_status = (struct consensus_status){.applied_index = n.applied};
}

const struct consensus_facts *__wrap_consensus_facts(const struct consensus *c);
const struct consensus_facts *__wrap_consensus_facts(const struct consensus *c)
{
    static const struct consensus_facts facts = {.id = 1, .write_timeout_ms = FIXTURE_WRITE_MS};
    (void)c;
    return &facts;
}

static uint64_t fixture_monotonic_ns(void)
{
    return n.now_ms * 1000000;
}

static int64_t fixture_wall_ms(void)
{
    return WALL_MS;
}

static const struct clock_source node_clocks = {.monotonic_ns = fixture_monotonic_ns,
                                                .wall_ms = fixture_wall_ms};

static inline int node_set_up(void **state)
{
    (void)state;
    rcu_register_thread();
    memset(&n, 0, sizeof n);
    n.now_ms = FIXTURE_BEGIN_MS;
    clock_replace(&node_clocks);
    replica_init(&n.node);
    n.app = replica_app(&n.node);
    return 0;
}

static inline int node_tear_down(void **state)
{
    (void)state;
    replica_done(&n.node);
    rcu_unregister_thread();
    return 0;
}

/* The oldest submitted operation. */
static inline struct consensus_op *node_take(void)
{
    assert_true(n.queued > 0);
    struct consensus_op *op = n.queue[0];
    memmove(n.queue, n.queue + 1, --n.queued * sizeof n.queue[0]);
    return op;
}

/* Applies an entry with one operation; `op` is the waiting one here, or NULL. */
static inline void node_entry(const uint8_t *data, size_t len, struct consensus_op *op)
{
    const struct stamp stamp = {.now_ms = 1000 + n.index * 10, .wall_ms = WALL_MS};
    uint8_t bytes[WIRE_STAMP_BYTES];
    wire_stamp_encode(&stamp, bytes);
    n.applied = ++n.index;
    n.app.begin(n.app.ctx, n.index, bytes, sizeof bytes);
    n.app.apply(n.app.ctx, 0, data, len, op);
    n.app.end(n.app.ctx);
    n.app.publish(n.app.ctx);
}

static inline void node_apply(const struct command *command)
{
    struct buffer out;
    buffer_init(&out, OP_BYTES_MAX);
    wire_command_encode(command, &out);
    node_entry(out.data, out.len, NULL);
    buffer_done(&out);
}

static inline void node_register(const char *id, const char *name)
{
    const struct command command = command_register(id, name);
    node_apply(&command);
}

static inline void node_deregister(const char *id)
{
    const struct command command = command_deregister(id, 0);
    node_apply(&command);
}

/* Commits the oldest write and completes it. */
static inline void node_commit(void)
{
    struct consensus_op *op = node_take();
    uint8_t *data = op->data;
    node_entry(data, op->len, op);
    free(data);
    op->done(op, ST_OK);
}

/* Fails the oldest write. */
static inline void node_fail(enum status status)
{
    struct consensus_op *op = node_take();
    free(op->data);
    op->done(op, status);
}

/* Advances the clock and runs a turn of the loop. */
static inline void node_pass_ms(uint64_t ms)
{
    n.now_ms += ms;
    blocking_tick(&n.node, n.now_ms);
}

#endif
