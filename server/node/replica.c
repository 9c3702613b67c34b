/* What consensus applies its operations to: bytes to commands, commands to the registry. */
#include <stdlib.h>

#include <urcu.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/base/metric.h"
#include "server/node/internal.h"
#include "server/registry/snapshot.h"
#include "server/wire/wire_command.h"
#include "server/wire/wire_snapshot.h"

/* --- memory that readers may still see --- */

struct retired {
    struct rcu_head head;
    void **memory;
    size_t count;
};

static void free_retired(struct rcu_head *head)
{
    struct retired *r = CONTAINER_OF(head, struct retired, head);
    TSAN_ACQUIRE(r);
    registry_free_retired(r->memory, r->count);
    free(r);
}

static void retire(void *ctx, void **memory, size_t count)
{
    (void)ctx;
    struct retired *r = mem_alloc(sizeof *r);
    *r = (struct retired){.memory = memory, .count = count};
    TSAN_RELEASE(r);
    call_rcu(&r->head, free_retired);
}

struct growth {
    struct rcu_head head;
    void *table;
    size_t buckets;
};

static void grow_table(struct rcu_head *head)
{
    struct growth *g = CONTAINER_OF(head, struct growth, head);
    TSAN_ACQUIRE(g);
    registry_grow(g->table, g->buckets);
    free(g);
}

/* liburcu's thread has time for it. */
static void grow(void *ctx, void *table, size_t buckets)
{
    (void)ctx;
    struct growth *g = mem_alloc(sizeof *g);
    *g = (struct growth){.table = table, .buckets = buckets};
    TSAN_RELEASE(g);
    call_rcu(&g->head, grow_table);
}

struct registry *replica_create_registry(struct node *node)
{
    const struct registry_options options = {.retire = retire, .grow = grow, .ctx = node};
    return registry_create(&options);
}

/* --- entries --- */

static size_t app_stamp(void *ctx, uint8_t *out)
{
    struct node *node = ctx;
    const struct stamp stamp = {.now_ms = expiry_stamp_ms(node), .wall_ms = clock_wall_ms()};
    wire_stamp_encode(&stamp, out);
    return WIRE_STAMP_BYTES;
}

static void app_begin(void *ctx, uint64_t index, const uint8_t *data, size_t len)
{
    struct node *node = ctx;
    struct stamp stamp;
    enum status status = wire_stamp_decode(data, len, &stamp);
    CHECK(status == ST_OK);
    node->entry_ns = clock_monotonic_ns();
    registry_begin(node->registry, index, &stamp);
}

static void count(struct node *node, const struct command *command, const struct result *result)
{
    if (command->kind == COMMAND_EXPIRE || command->kind == COMMAND_KEEP_EVENTS) {
        expiry_applied(node, result->expired);
        metric_add(METRIC_expired_total, result->expired);
    } else {
        metric_add(METRIC_heartbeats_total, result->renewed);
    }
}

static void app_apply(void *ctx, uint32_t position, const uint8_t *data, size_t len,
                      struct consensus_op *op)
{
    struct node *node = ctx;
    struct wire_command decoded;
    struct result result;
    enum status status = wire_command_decode(data, len, &decoded);
    CHECK(status == ST_OK); /* the entry's checksum was right: a command from the future? */
    registry_apply(node->registry, position, &decoded.command, &result);
    count(node, &decoded.command, &result);
    wire_command_done(&decoded);
    if (op != NULL) {
        CONTAINER_OF(op, struct node_write, op)->result = result;
    } else {
        free(result.missed);
    }
}

/* When there is something new in the history. */
static void tell_listeners(struct node *node)
{
    atomic_store_explicit(&node->changed_ns, clock_monotonic_ns(), memory_order_relaxed);
    struct node_listener *listener = atomic_load(&node->listeners);
    for (; listener != NULL; listener = listener->next) {
        listener->told(listener);
    }
}

static void app_end(void *ctx)
{
    struct node *node = ctx;
    registry_end(node->registry);
    metric_observe_us(HISTOGRAM_apply_seconds, (clock_monotonic_ns() - node->entry_ns) / 1000);
}

static void app_publish(void *ctx)
{
    struct node *node = ctx;
    uint64_t begun_ns = clock_monotonic_ns();
    uint64_t events_before = registry_view(node->registry)->events_last;
    registry_publish(node->registry);
    if (registry_view(node->registry)->events_last != events_before) {
        tell_listeners(node);
    }
    watch_published(node);
    metric_observe_us(HISTOGRAM_view_seconds, (clock_monotonic_ns() - begun_ns) / 1000);
}

/* --- snapshots --- */

static void *app_take(void *ctx)
{
    struct node *node = ctx;
    return registry_snapshot_take(node->registry);
}

static void app_encode(void *snapshot, struct buffer *out)
{
    wire_snapshot_encode(snapshot, out);
}

static void app_release(void *ctx, void *snapshot)
{
    (void)ctx;
    registry_snapshot_release(snapshot);
}

static enum status app_restore(void *ctx, const uint8_t *data, size_t len)
{
    struct node *node = ctx;
    struct registry *old = node->registry;
    struct registry *new = replica_create_registry(node);
    enum status status = wire_snapshot_decode(data, len, new);
    if (status != ST_OK) {
        rcu_barrier();
        registry_destroy(new);
        return status;
    }
    TSAN_RELEASE(node);
    rcu_assign_pointer(node->registry, new);
    synchronize_rcu(); /* readers of the old one are gone, */
    rcu_barrier();     /* and nothing is done to its table any more */
    registry_destroy(old);
    tell_listeners(node);
    watch_restored(node);
    return ST_OK;
}

/* --- the rest --- */

static void app_tick(void *ctx, uint64_t now_ms)
{
    struct node *node = ctx;
    expiry_tick(node, now_ms);
    watch_tick(node, now_ms);
}

static void app_leadership(void *ctx, bool leader)
{
    expiry_leadership(ctx, leader);
}

static bool app_propose(void *ctx, struct buffer *out)
{
    struct command command;
    if (!expiry_command(ctx, &command)) {
        return false;
    }
    wire_command_encode(&command, out);
    return true;
}

struct consensus_app replica_app(struct node *node)
{
    return (struct consensus_app){
        .ctx = node,
        .stamp = app_stamp,
        .begin = app_begin,
        .apply = app_apply,
        .end = app_end,
        .publish = app_publish,
        .take = app_take,
        .encode = app_encode,
        .release = app_release,
        .restore = app_restore,
        .tick = app_tick,
        .leadership = app_leadership,
        .propose = app_propose,
    };
}
