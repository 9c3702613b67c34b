#include "tests/unit/engine_fixture.h"

static size_t app_stamp(void *ctx, uint8_t *out)
{
    const struct host *h = ctx;
    store_u64(out, h->world->now_ms);
    return 8;
}

static void app_begin(void *ctx UNUSED, uint64_t index UNUSED, const uint8_t *stamp UNUSED,
                      size_t stamp_len)
{
    CHECK(stamp_len == 8 || stamp_len == 0);
}

static void app_apply(void *ctx, uint32_t position UNUSED, const uint8_t *data, size_t len,
                      struct consensus_op *op)
{
    struct host *h = ctx;
    if (op != NULL) {
        CHECK(op->len == len); /* its own operation, though the bytes were handed over */
        ((struct op *)op)->applied++;
    }
    buffer_append_u32(&h->state.ops, (uint32_t)len);
    buffer_append(&h->state.ops, data, len);
    CHECK(!h->state.ops.overflowed);
    h->state.count++;
}

static void app_nothing(void *ctx UNUSED)
{
}

static void *app_take(void *ctx)
{
    const struct host *h = ctx;
    struct state *copy = mem_zalloc(1, sizeof *copy);
    buffer_init(&copy->ops, STATE_BYTES_MAX);
    buffer_append(&copy->ops, h->state.ops.data, h->state.ops.len);
    copy->count = h->state.count;
    return copy;
}

static void app_encode(void *snapshot, void (*write)(void *sink, const void *data, size_t len),
                       void *sink)
{
    const struct state *s = snapshot;
    uint8_t count[8];
    store_u64(count, s->count);
    write(sink, count, sizeof count);
    if (s->ops.len > 0) {
        write(sink, s->ops.data, s->ops.len);
    }
}

static void free_state(void *ctx UNUSED, void *state)
{
    struct state *s = state;
    buffer_done(&s->ops);
    free(s);
}

static void *app_restore_begin(void *ctx UNUSED)
{
    struct state *s = mem_zalloc(1, sizeof *s);
    buffer_init(&s->ops, STATE_BYTES_MAX);
    return s;
}

static enum status app_restore_feed(void *restore, const uint8_t *data, size_t len)
{
    struct state *s = restore;
    buffer_append(&s->ops, data, len);
    return s->ops.overflowed ? ST_CORRUPT : ST_OK;
}

/* Moves the count from the front, and checks all operations. */
static enum status app_restore_end(void *restore)
{
    struct state *s = restore;
    uint64_t count = 0;
    size_t at = 8;
    if (s->ops.len < 8) {
        return ST_CORRUPT;
    }
    s->count = load_u64(s->ops.data);
    while (at < s->ops.len) {
        if (s->ops.len - at < 4 || load_u32(s->ops.data + at) > s->ops.len - at - 4) {
            return ST_CORRUPT;
        }
        at += 4 + (size_t)load_u32(s->ops.data + at);
        count++;
    }
    memmove(s->ops.data, s->ops.data + 8, s->ops.len - 8);
    s->ops.len -= 8;
    return count == s->count ? ST_OK : ST_CORRUPT;
}

static void app_restore_swap(void *ctx, void *restore)
{
    struct host *h = ctx;
    struct state *s = restore;
    buffer_done(&h->state.ops);
    h->state = *s;
    h->installs++;
    free(s);
}

static bool app_understands(const uint8_t *data, size_t len, uint16_t level)
{
    return len > 0 && data[0] >= '1' && data[0] <= '9' && data[0] - '0' <= level;
}

static void app_set_level(void *ctx, uint16_t level)
{
    struct host *h = ctx;
    h->level = level;
}

static uint64_t app_hash(void *ctx)
{
    const struct host *h = ctx;
    return (h->state.count << 32 | crc32c(0, h->state.ops.data, h->state.ops.len)) + h->hash_error;
}

static uint64_t app_items(void *ctx)
{
    return ((const struct host *)ctx)->state.count;
}

static void app_leadership(void *ctx, bool leader)
{
    struct host *h = ctx;
    h->leaderships += leader;
}

static bool app_propose(void *ctx UNUSED, struct buffer *out UNUSED)
{
    return false;
}

const struct consensus_fsm engine_app = {
    .stamp = app_stamp,
    .begin = app_begin,
    .apply = app_apply,
    .end = app_nothing,
    .publish = app_nothing,
    .take = app_take,
    .encode = app_encode,
    .release = free_state,
    .restore_begin = app_restore_begin,
    .restore_feed = app_restore_feed,
    .restore_end = app_restore_end,
    .restore_swap = app_restore_swap,
    .restore_drop = free_state,
    .understands = app_understands,
    .set_level = app_set_level,
    .hash = app_hash,
    .items = app_items,
    .leadership = app_leadership,
    .propose = app_propose,
};
