/* Copies of registries through the bytes of their snapshots.
 *
 * Thread: the test's. Owns: nothing. */
#ifndef MUSTER_TESTS_SNAPSHOT_FIXTURE_H
#define MUSTER_TESTS_SNAPSHOT_FIXTURE_H

#include "tests/unit/registry_fixture.h"

#include "server/registry/restore.h"
#include "server/wire/wire_restore.h"
#include "server/wire/wire_snapshot.h"

#define SNAPSHOT_BYTES_MAX (64u * 1024 * 1024)

static inline struct registry *snapshot_registry(void)
{
    return registry_create(&(struct registry_options){.retire = NULL});
}

static inline void snapshot_add(void *sink, const void *data, size_t len)
{
    buffer_append(sink, data, len);
}

static inline void snapshot_encode_held(const struct registry_snapshot *held, struct buffer *out)
{
    buffer_init(out, SNAPSHOT_BYTES_MAX);
    wire_snapshot_encode(held, snapshot_add, out);
    assert_false(out->overflowed);
}

static inline void snapshot_encode(struct registry *registry, struct buffer *out)
{
    struct registry_snapshot *snapshot = registry_snapshot_take(registry);
    snapshot_encode_held(snapshot, out);
    registry_snapshot_release(snapshot);
}

/* Decodes in two pieces, each from a copy of exact length, so that reads beyond it are detected.
 * NULL if refused. */
static inline struct registry *snapshot_decode_split(const uint8_t *data, size_t len, size_t at)
{
    struct wire_restore restore;
    struct registry *registry = snapshot_registry();
    const size_t lens[] = {at, len - at};
    enum status status = ST_OK;
    wire_restore_init(&restore, registry);
    for (size_t i = 0; i < 2 && status == ST_OK; i++) {
        uint8_t *copy = malloc(lens[i] > 0 ? lens[i] : 1);
        memcpy(copy, data + (i == 0 ? 0 : at), lens[i]);
        status = wire_restore_feed(&restore, copy, lens[i]);
        free(copy);
    }
    if (status == ST_OK) {
        status = wire_restore_end(&restore);
    }
    wire_restore_done(&restore);
    if (status != ST_OK) {
        assert_int_equal(status, ST_CORRUPT);
        registry_destroy(registry);
        return NULL;
    }
    return registry;
}

static inline struct registry *snapshot_decode(const uint8_t *data, size_t len)
{
    return snapshot_decode_split(data, len, len);
}

/* A registry restored from its snapshot. */
static inline struct registry *snapshot_copy(struct registry *registry)
{
    struct buffer bytes;
    snapshot_encode(registry, &bytes);
    struct registry *copy = snapshot_decode(bytes.data, bytes.len);
    buffer_done(&bytes);
    assert_non_null(copy);
    return copy;
}

static inline void assert_same_registries(struct registry *a, struct registry *b)
{
    assert_true(registry_hash(a) == registry_hash(b));
    assert_int_equal(registry_index(a), registry_index(b));
    assert_int_equal(registry_now_ms(a), registry_now_ms(b));
    assert_int_equal(registry_level(a), registry_level(b));
    assert_verified(a);
    assert_verified(b);
    assert_same_views(registry_view(a), registry_view(b));
}

/* Two services, with one instance expired, one in maintenance, one warning. */
static inline void snapshot_fill(struct fixture *f)
{
    const struct slice id = slice_of("web-2");
    struct command command = command_register("web-1", "web");
    struct registration *g = &command.register_.registration;
    g->type = slice_of("http");
    g->zone = slice_of("north");
    g->tags_count = 2;
    g->tags[0] = slice_of("v1");
    g->tags[1] = slice_of("gr\xc3\xbcn");
    g->metadata_count = 1;
    g->metadata[0] = (struct pair){slice_of("version"), slice_of("2.1")};
    fixture_apply(f, &command);
    g->id = slice_of("db-1");
    g->name = slice_of("db");
    g->ttl_ms = TTL_MS_MAX;
    fixture_apply(f, &command);
    g->id = id;
    g->ttl_ms = TTL_MS;
    g->tags_count = 0;
    fixture_apply(f, &command);
    fixture_register(f, "gone-1", "gone");
    fixture_deregister(f, "gone-1");
    command = command_maintenance("db-1", true, "upgrade");
    fixture_apply(f, &command);
    command = command_heartbeat(&id);
    command.heartbeat.status_given = command.heartbeat.note_given = true;
    command.heartbeat.status = HEALTH_WARNING;
    command.heartbeat.note = slice_of("slow");
    f->now_ms = 1000 + TTL_MS;
    fixture_apply(f, &command);
    fixture_expire(f, EVERY);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_CRITICAL);
}

#endif
