/* Snapshots: an accepted state satisfies all invariants, does not depend on the pieces, survives
 * encoding without loss, and behaves like its copy while all of its leases expire.
 *
 * Input: a byte for the size of the pieces, then the content of the items, separated by ITEM_END.
 * Their lengths are corrected here, or the fuzzer would never get past them. */
#include "tests/fuzz/registry.h"

struct leases;

#define ENTRIES   4
#define ITEM_END  0xc1 /* invalid in MessagePack and in UTF-8 */
#define SLOTS_MAX 65536u

/* A lease may be in any of 2^24 slots, and all below it then take memory: more than a gigabyte,
 * which is right for a table that was once that large, and too slow here. The linker wraps the
 * function of leases.c. */
bool __wrap_leases_take_this_slot(struct leases *leases, uint32_t slot);
bool __real_leases_take_this_slot(struct leases *leases, uint32_t slot);

bool __wrap_leases_take_this_slot(struct leases *leases, uint32_t slot)
{
    return slot < SLOTS_MAX && __real_leases_take_this_slot(leases, slot);
}

static void live_on(struct registry *a, struct registry *b)
{
    for (unsigned i = 1; i <= ENTRIES && registry_index(a) < UINT64_MAX; i++) {
        const struct stamp stamp = {.now_ms = registry_now_ms(a) + (uint64_t)i * 1000};
        const struct command command = {
            .kind = COMMAND_EXPIRE,
            .expire = {.until_ms = i < ENTRIES ? stamp.now_ms : UINT64_MAX - 1, .limit = 2 * i},
        };
        struct registry *const both[] = {a, b};
        for (size_t k = 0; k < ARRAY_LENGTH(both); k++) {
            registry_begin(both[k], registry_index(both[k]) + 1, &stamp);
            registry_apply(both[k], 0, &command, NULL);
            registry_end(both[k]);
            registry_publish(both[k]);
            fuzz_registry_check(both[k]);
        }
        CHECK(registry_hash(a) == registry_hash(b));
    }
}

static void frame(const uint8_t *data, size_t len, struct buffer *out)
{
    const uint8_t *end = data + len;
    buffer_init(out, FUZZ_SNAPSHOT_BYTES_MAX);
    for (;;) {
        const uint8_t *at = memchr(data, ITEM_END, (size_t)(end - data));
        size_t item = (size_t)((at != NULL ? at : end) - data);
        buffer_append_u32(out, (uint32_t)item);
        buffer_append(out, data, item);
        if (at == NULL) {
            return;
        }
        data = at + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct buffer bytes;
    if (len == 0) {
        return 0;
    }
    frame(data + 1, len - 1, &bytes);
    struct registry *registry = fuzz_registry_decode(bytes.data, bytes.len, bytes.len);
    struct registry *torn = fuzz_registry_decode(bytes.data, bytes.len, data[0] + 1u);
    buffer_done(&bytes);
    CHECK((registry == NULL) == (torn == NULL));
    if (registry != NULL) {
        CHECK(registry_hash(registry) == registry_hash(torn));
        registry_destroy(torn);
        struct registry *copy = fuzz_registry_copy(registry);
        live_on(registry, copy);
        registry_destroy(copy);
        registry_destroy(registry);
    }
    return 0;
}
