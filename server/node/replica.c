/* The state machine of consensus: bytes to commands, commands to the registry. */
#include <stdlib.h>

#include <urcu.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/base/metric.h"
#include "server/node/internal.h"
#include "server/registry/snapshot.h"
#include "server/wire/wire_command.h"
#include "server/wire/wire_restore.h"
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

/* --- the registry, and its replacement --- */

/* A registry, and its users. */
struct home {
    struct rcu_head head;
    struct registry *registry;
    _Atomic unsigned users; /* the node while readers may see it, and each growth in progress */
    struct home *next;      /* of those used by a snapshot */
};

/* The last user destroys the registry: on liburcu's thread, unless the node itself is destroyed. */
static void leave_home(struct home *home)
{
    if (atomic_fetch_sub(&home->users, 1) == 1) {
        registry_destroy(home->registry);
        free(home);
    }
}

struct growth {
    struct rcu_head head;
    struct home *home;
    void *table;
    size_t buckets;
};

static void grow_table(struct rcu_head *head)
{
    struct growth *g = CONTAINER_OF(head, struct growth, head);
    TSAN_ACQUIRE(g);
    registry_grow(g->table, g->buckets);
    leave_home(g->home);
    free(g);
}

/* liburcu's thread does it. */
static void grow(void *ctx, void *table, size_t buckets)
{
    struct home *home = ctx;
    struct growth *g = mem_alloc(sizeof *g);
    *g = (struct growth){.home = home, .table = table, .buckets = buckets};
    atomic_fetch_add(&home->users, 1);
    TSAN_RELEASE(g);
    call_rcu(&g->head, grow_table);
}

static struct home *make_home(void)
{
    struct home *home = mem_zalloc(1, sizeof *home);
    const struct registry_options options = {.retire = retire, .grow = grow, .ctx = home};
    atomic_init(&home->users, 1);
    home->registry = registry_create(&options);
    return home;
}

static void leave_later(struct rcu_head *head)
{
    struct home *home = CONTAINER_OF(head, struct home, head);
    TSAN_ACQUIRE(home);
    leave_home(home);
}

/* Readers may still be in it, or a snapshot of it may still be written. */
static void give_up(struct node *node, struct home *home)
{
    if (registry_is_held(home->registry)) {
        home->next = node->held;
        node->held = home;
        return;
    }
    TSAN_RELEASE(home);
    call_rcu(&home->head, leave_later);
}

static void give_up_released(struct node *node)
{
    struct home **link = &node->held;
    while (*link != NULL) {
        struct home *home = *link;
        if (registry_is_held(home->registry)) {
            link = &home->next;
        } else {
            *link = home->next;
            give_up(node, home);
        }
    }
}

static void move_in(struct node *node, struct home *home)
{
    node->home = home;
    node->registry = home->registry;
    view_source_set(&node->views, home->registry);
}

void replica_init(struct node *node)
{
    move_in(node, make_home());
}

void replica_done(struct node *node)
{
    rcu_barrier(); /* no growth is in progress any more */
    CHECK(node->held == NULL);
    leave_home(node->home);
    node->home = NULL;
    node->registry = NULL;
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
    expiry_settle(node);
    registry_begin(node->registry, index, &stamp);
}

static void count(struct node *node, const struct command *command, const struct result *result)
{
    if (command->kind == COMMAND_EXPIRE || command->kind == COMMAND_KEEP_EVENTS ||
        command->kind == COMMAND_STATE_BYTES || command->kind == COMMAND_PROBERS ||
        (command->kind == COMMAND_TOKEN_CREATE && command->token_create.turn == TOKEN_TURN_ONLY)) {
        expiry_applied(node, result->expired);
        metric_add(METRIC_expired_total, result->expired + result->reaped);
    } else {
        metric_add(METRIC_heartbeats_total, result->renewed);
        metric_add(METRIC_registrations_full_total, result->status == ST_FULL);
    }
}

static void app_apply(void *ctx, uint32_t position, const uint8_t *data, size_t len,
                      struct consensus_op *op)
{
    struct node *node = ctx;
    struct wire_command decoded;
    struct result result;
    enum status status = wire_command_decode(data, len, registry_limits(node->registry), &decoded);
    CHECK(status != ST_CORRUPT); /* the entry's checksum was valid: a command of a later version? */
    if (status == ST_OK) {
        registry_apply(node->registry, position, &decoded.command, &result);
        wire_command_done(&decoded);
    } else {
        /* A newer version accepted it. All replicas refuse it: the limits are part of the state. */
        result = (struct result){.status = status, .index = registry_index(node->registry)};
    }
    count(node, &decoded.command, &result);
    if (op != NULL) {
        CONTAINER_OF(op, struct node_write, op)->result = result;
    } else {
        free(result.missed);
    }
}

void replica_tell_listeners(struct node *node)
{
    struct node_listener *listener = atomic_load(&node->listeners);
    for (; listener != NULL; listener = listener->next) {
        listener->told(listener);
    }
}

/* The history has something new, or is another one. */
static void tell_history(struct node *node)
{
    atomic_store_explicit(&node->changed_ns, clock_monotonic_ns(), memory_order_relaxed);
    replica_tell_listeners(node);
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
        tell_history(node);
    }
    probe_published(node);
    blocking_published(node);
    metric_observe_us(HISTOGRAM_view_seconds, (clock_monotonic_ns() - begun_ns) / 1000);
}

/* --- snapshots --- */

static void *app_take(void *ctx)
{
    struct node *node = ctx;
    return registry_snapshot_take(node->registry);
}

static void app_encode(void *snapshot, void (*write)(void *sink, const void *data, size_t len),
                       void *sink)
{
    wire_snapshot_encode(snapshot, write, sink);
}

static void app_release(void *ctx, void *snapshot)
{
    registry_snapshot_release(snapshot);
    give_up_released(ctx);
}

struct restore {
    struct home *home;
    struct wire_restore wire;
};

static void *app_restore_begin(void *ctx)
{
    (void)ctx;
    struct restore *restore = mem_alloc(sizeof *restore);
    restore->home = make_home();
    wire_restore_init(&restore->wire, restore->home->registry);
    return restore;
}

static enum status app_restore_feed(void *restore, const uint8_t *data, size_t len)
{
    return wire_restore_feed(&((struct restore *)restore)->wire, data, len);
}

static enum status app_restore_end(void *restore)
{
    return wire_restore_end(&((struct restore *)restore)->wire);
}

/* Its home remains. */
static struct home *end_restore(struct restore *restore)
{
    struct home *home = restore->home;
    wire_restore_done(&restore->wire);
    free(restore);
    return home;
}

static void app_restore_swap(void *ctx, void *restore)
{
    struct node *node = ctx;
    struct home *old = node->home;
    move_in(node, end_restore(restore));
    give_up(node, old);
    tell_history(node);
    probe_published(node);
    blocking_restored(node);
}

static void app_restore_drop(void *ctx, void *restore)
{
    give_up(ctx, end_restore(restore)); /* it has no readers, but may be large */
}

/* --- others --- */

static void app_set_level(void *ctx, uint16_t level)
{
    struct node *node = ctx;
    registry_set_level(node->registry, level);
}

static uint64_t app_hash(void *ctx)
{
    const struct node *node = ctx;
    return registry_hash(node->registry);
}

static uint64_t app_items(void *ctx)
{
    const struct node *node = ctx;
    const struct view *view = registry_view(node->registry);
    uint64_t items = 0;
    for (size_t i = 0; i < HEALTH_COUNT; i++) {
        items += view->counts[i];
    }
    return items;
}

static void app_tick(void *ctx, uint64_t now_ms)
{
    struct node *node = ctx;
    probe_tick(node);
    expiry_tick(node, now_ms);
    blocking_tick(node, now_ms);
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

struct consensus_fsm replica_app(struct node *node)
{
    return (struct consensus_fsm){
        .ctx = node,
        .level_min = LEVEL_MIN,
        .level_max = LEVEL_MAX,
        .stamp = app_stamp,
        .begin = app_begin,
        .apply = app_apply,
        .end = app_end,
        .publish = app_publish,
        .set_level = app_set_level,
        .understands = wire_command_understands,
        .hash = app_hash,
        .items = app_items,
        .take = app_take,
        .encode = app_encode,
        .release = app_release,
        .restore_begin = app_restore_begin,
        .restore_feed = app_restore_feed,
        .restore_end = app_restore_end,
        .restore_swap = app_restore_swap,
        .restore_drop = app_restore_drop,
        .tick = app_tick,
        .leadership = app_leadership,
        .propose = app_propose,
    };
}
