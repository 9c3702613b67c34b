/* Registries for targets: made, checked, and sent through a snapshot.
 *
 * Thread: the one there is. */
#ifndef MUSTER_TESTS_FUZZ_REGISTRY_H
#define MUSTER_TESTS_FUZZ_REGISTRY_H

#include <urcu.h>

#include "server/registry/registry.h"
#include "server/registry/snapshot.h"
#include "server/registry/view.h"
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

static inline void fuzz_snapshot_encode(const struct registry_snapshot *snapshot,
                                        struct buffer *out)
{
    buffer_init(out, FUZZ_SNAPSHOT_BYTES_MAX);
    wire_snapshot_encode(snapshot, out);
    CHECK(!out->overflowed);
}

static inline void fuzz_registry_encode(struct registry *registry, struct buffer *out)
{
    struct registry_snapshot *snapshot = registry_snapshot_take(registry);
    fuzz_snapshot_encode(snapshot, out);
    registry_snapshot_release(snapshot);
}

/* NULL when refused. */
static inline struct registry *fuzz_registry_decode(const uint8_t *data, size_t len)
{
    struct registry *registry = fuzz_registry_create();
    uint8_t *copy = fuzz_copy(data, len);
    enum status status = wire_snapshot_decode(copy, len, registry);
    free(copy);
    if (status != ST_OK) {
        registry_destroy(registry);
        return NULL;
    }
    fuzz_registry_check(registry);
    return registry;
}

/* What the snapshot of `registry` becomes. */
static inline struct registry *fuzz_registry_copy(struct registry *registry)
{
    struct buffer bytes, again;
    fuzz_registry_encode(registry, &bytes);
    struct registry *copy = fuzz_registry_decode(bytes.data, bytes.len);
    CHECK(copy != NULL);
    CHECK(registry_hash(copy) == registry_hash(registry));
    fuzz_registry_encode(copy, &again);
    CHECK(again.len == bytes.len && memcmp(again.data, bytes.data, bytes.len) == 0);
    buffer_done(&bytes);
    buffer_done(&again);
    return copy;
}

#endif
