/* Registries for targets: created, checked, and copied through a snapshot.
 *
 * Thread: the only one. */
#ifndef MUSTER_TESTS_FUZZ_REGISTRY_H
#define MUSTER_TESTS_FUZZ_REGISTRY_H

#include <urcu.h>

#include "server/registry/registry.h"
#include "server/registry/view.h"
#include "server/wire/wire_restore.h"
#include "server/wire/wire_snapshot.h"
#include "tests/fuzz/fuzz.h"

#define FUZZ_SNAPSHOT_BYTES_MAX (64u * 1024 * 1024)

static inline struct registry *fuzz_registry_create(void)
{
    static bool registered;
    if (!registered) {
        rcu_register_thread();
        registered = true;
    }
    return registry_create(&(struct registry_options){.retire = NULL});
}

static inline void fuzz_registry_check(struct registry *registry)
{
    const char *broken = registry_verify(registry);
    if (broken != NULL) {
        check_failed(__FILE__, __LINE__, broken);
    }
}

static inline void fuzz_snapshot_add(void *sink, const void *data, size_t len)
{
    CHECK(len < WIRE_PIECE_BYTES + WIRE_ITEM_HEAD_BYTES + WIRE_ITEM_BYTES_MAX);
    buffer_append(sink, data, len);
}

static inline void fuzz_snapshot_encode(const struct registry_snapshot *snapshot,
                                        struct buffer *out)
{
    buffer_init(out, FUZZ_SNAPSHOT_BYTES_MAX);
    wire_snapshot_encode(snapshot, fuzz_snapshot_add, out);
    CHECK(!out->overflowed);
}

static inline void fuzz_registry_encode(struct registry *registry, struct buffer *out)
{
    struct registry_snapshot *snapshot = registry_snapshot_take(registry);
    fuzz_snapshot_encode(snapshot, out);
    registry_snapshot_release(snapshot);
}

/* In pieces of at most `most` bytes, of all lengths in turn. NULL if refused. */
static inline struct registry *fuzz_registry_decode(const uint8_t *data, size_t len, size_t most)
{
    struct registry *registry = fuzz_registry_create();
    struct wire_restore restore;
    enum status status = ST_OK;
    size_t turn = 0;
    wire_restore_init(&restore, registry);
    for (size_t at = 0; at < len && status == ST_OK;) {
        size_t piece = most - turn++ % most;
        piece = piece < len - at ? piece : len - at;
        uint8_t *copy = fuzz_copy(data + at, piece);
        status = wire_restore_feed(&restore, copy, piece);
        free(copy);
        at += piece;
    }
    if (status == ST_OK) {
        status = wire_restore_end(&restore);
    }
    wire_restore_done(&restore);
    if (status != ST_OK) {
        CHECK(status == ST_CORRUPT);
        registry_destroy(registry);
        return NULL;
    }
    fuzz_registry_check(registry);
    return registry;
}

/* A copy of `registry` through its snapshot. */
static inline struct registry *fuzz_registry_copy(struct registry *registry)
{
    struct buffer bytes, again;
    fuzz_registry_encode(registry, &bytes);
    struct registry *copy = fuzz_registry_decode(bytes.data, bytes.len, bytes.len);
    CHECK(copy != NULL);
    CHECK(registry_hash(copy) == registry_hash(registry));
    fuzz_registry_encode(copy, &again);
    CHECK(again.len == bytes.len && memcmp(again.data, bytes.data, bytes.len) == 0);
    buffer_done(&bytes);
    buffer_done(&again);
    return copy;
}

#endif
