/* The application of the simulated engine: the node, observed by the oracle. The newer version has
 * an operation kind that the older one does not know, and that does nothing.
 *
 * The state of a process may drift: its hash then differs (faults.c). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/registry/snapshot.h"
#include "tests/mutants/mutant.h"
#include "tests/sim/checks.h"
#include "tests/sim/consensus_sim.h"
#include "tests/sim/oracle.h"

#define NEW_KIND_BYTES 16
/* No encoded command starts with this byte, which MessagePack never uses. */
static const uint8_t new_kind[8] = {0xc1, 'n', 'e', 'w', 'k', 'i', 'n', 'd'};

uint8_t *app_new_kind(uint64_t tag, size_t *ret_len)
{
    uint8_t *data = mem_alloc(NEW_KIND_BYTES);
    memcpy(data, new_kind, sizeof new_kind);
    memcpy(data + sizeof new_kind, &tag, sizeof tag);
    *ret_len = NEW_KIND_BYTES;
    return data;
}

bool app_is_new_kind(const uint8_t *data, size_t len)
{
    return len == NEW_KIND_BYTES && memcmp(data, new_kind, sizeof new_kind) == 0;
}

/* The oracle ignores entries of another cluster. */
static bool is_ours(const struct consensus *c)
{
    return (c->member->damage & DAMAGE_FORKED) == 0;
}

static size_t app_stamp(void *ctx, uint8_t *out)
{
    struct consensus *c = ctx;
    size_t len = c->app.stamp(c->app.ctx, out);
    oracle_stamped(out, len);
    return len;
}

static void app_begin(void *ctx, uint64_t index, const uint8_t *stamp, size_t stamp_len)
{
    struct consensus *c = ctx;
    if (is_ours(c)) {
        oracle_begin(c->member, index, stamp, stamp_len);
    }
    c->app.begin(c->app.ctx, index, stamp, stamp_len);
}

static void app_apply(void *ctx, uint32_t position, const uint8_t *data, size_t len,
                      struct consensus_op *op)
{
    struct consensus *c = ctx;
    if (is_ours(c)) {
        oracle_apply(position, data, len);
    }
    if (app_is_new_kind(data, len)) {
        checks_new_kind(c->member);
    } else {
        c->app.apply(c->app.ctx, position, data, len, op);
    }
}

static void app_end(void *ctx)
{
    struct consensus *c = ctx;
    c->app.end(c->app.ctx);
    if (is_ours(c)) {
        oracle_end(c->member);
    }
}

static void app_publish(void *ctx)
{
    struct consensus *c = ctx;
    c->app.publish(c->app.ctx);
    oracle_published(c->member);
}

static void *app_take(void *ctx)
{
    struct consensus *c = ctx;
    figures.snapshots_stored++;
    return c->app.take(c->app.ctx);
}

/* Counts the bytes that the product encodes. */
struct encoding {
    void (*write)(void *sink, const void *data, size_t len);
    void *sink;
    uint64_t bytes;
};

static void count_and_write(void *sink, const void *data, size_t len)
{
    struct encoding *e = sink;
    e->bytes += len;
    e->write(e->sink, data, len);
}

/* Called without a context, from the pool: see struct consensus_fsm. */
static void app_encode(void *snapshot, void (*write)(void *sink, const void *data, size_t len),
                       void *sink)
{
    const struct consensus *c = member_current->consensus;
    struct encoding e = {.write = write, .sink = sink};
    struct snapshot_head head;
    registry_snapshot_head(snapshot, &head);
    c->app.encode(snapshot, count_and_write, &e);
    figures.checks++;
    if (e.bytes != head.state_bytes) {
        world_violation("the_state_is_counted",
                        "a snapshot has %" PRIu64 " bytes, and %" PRIu64 " were counted", e.bytes,
                        head.state_bytes);
    }
}

static void app_release(void *ctx, void *snapshot)
{
    struct consensus *c = ctx;
    c->app.release(c->app.ctx, snapshot);
}

static void *app_restore_begin(void *ctx)
{
    struct consensus *c = ctx;
    return c->app.restore_begin(c->app.ctx);
}

static void app_restore_swap(void *ctx, void *restore)
{
    struct consensus *c = ctx;
    c->app.restore_swap(c->app.ctx, restore);
    figures.snapshots_installed += c->member->up;
    if (is_ours(c)) {
        oracle_restored(c->member);
    }
}

static void app_restore_drop(void *ctx, void *restore)
{
    struct consensus *c = ctx;
    c->app.restore_drop(c->app.ctx, restore);
}

/* Called without a context: use the running member. */
static bool app_understands(const uint8_t *data, size_t len, uint16_t level)
{
    const struct sim_member *m = member_current;
    if (app_is_new_kind(data, len)) {
        return m->level_max >= LEVEL_NEW &&
               (level >= LEVEL_NEW || mutant_is(MUTANT_new_kind_ungated));
    }
    return m->consensus->app.understands(data, len, level < LEVEL_NEW ? level : LEVEL_NEW - 1);
}

static void app_set_level(void *ctx, uint16_t level)
{
    struct consensus *c = ctx;
    checks_level(c->member, level);
    c->app.set_level(c->app.ctx, level < LEVEL_NEW ? level : LEVEL_NEW - 1);
}

static uint64_t app_hash(void *ctx)
{
    struct consensus *c = ctx;
    return c->app.hash(c->app.ctx) ^ c->member->drift;
}

static void app_tick(void *ctx, uint64_t now_ms)
{
    struct consensus *c = ctx;
    c->app.tick(c->app.ctx, now_ms);
}

static void app_leadership(void *ctx, bool leader)
{
    struct consensus *c = ctx;
    checks_leadership(c->member, leader, raft_current_term(&c->engine.driver.raft));
    c->app.leadership(c->app.ctx, leader);
}

static bool app_propose(void *ctx, struct buffer *out)
{
    struct consensus *c = ctx;
    return c->app.propose(c->app.ctx, out);
}

struct consensus_fsm app_watched(struct consensus *c)
{
    return (struct consensus_fsm){
        .ctx = c,
        .stamp = app_stamp,
        .begin = app_begin,
        .apply = app_apply,
        .end = app_end,
        .publish = app_publish,
        .take = app_take,
        .encode = app_encode,
        .release = app_release,
        .restore_begin = app_restore_begin,
        .restore_feed = c->app.restore_feed,
        .restore_end = c->app.restore_end,
        .restore_swap = app_restore_swap,
        .restore_drop = app_restore_drop,
        .level_min = 1,
        .level_max = c->member->level_max,
        .understands = app_understands,
        .set_level = app_set_level,
        .hash = app_hash,
        .tick = app_tick,
        .leadership = app_leadership,
        .propose = app_propose,
    };
}
