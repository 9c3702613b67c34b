/* Memory that readers or snapshots may still see. Readers are gone after a grace period. A snapshot
 * may be held as long as a disk takes, so memory that it cannot reach does not wait for it: what
 * was created after it was taken, and what it never uses. Otherwise a busy registry would
 * accumulate its whole past during one snapshot. */
#include <stdlib.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/registry/internal.h"

#define KIND_MASK 3u

static_assert(RETIRED_KINDS <= KIND_MASK, "what malloc gives is aligned well enough");

char registry_readers;

void registry_free_retired(void **memory, size_t count)
{
    TSAN_ACQUIRE(&registry_readers);
    for (size_t i = 0; i < count; i++) {
        uintptr_t address = (uintptr_t)memory[i];
        void *object = (void *)(address & ~(uintptr_t)KIND_MASK);
        switch ((enum retired_kind)(address & KIND_MASK)) {
        case RETIRED_SERVICE:
            services_free_view(object);
            break;
        case RETIRED_EVENT:
            events_free(object);
            break;
        case RETIRED_PLAIN:
        case RETIRED_KINDS:
            free(object);
            break;
        }
    }
    free(memory);
}

bool retire_must_keep_epoch(const struct registry *r, uint64_t epoch)
{
    return r->snapshots != NULL && epoch < r->snapshots_epoch;
}

bool retire_must_keep_index(const struct registry *r, uint64_t index)
{
    return r->snapshots != NULL && index <= r->snapshots_index;
}

void retire_memory(struct registry *r, void *memory, enum retired_kind kind, bool keep)
{
    struct retired *list = keep ? &r->kept : &r->retired;
    if (list->count == list->capacity) {
        list->capacity = list->capacity > 0 ? list->capacity * 2 : 64;
        list->memory = mem_realloc(list->memory, list->capacity * sizeof *list->memory);
    }
    list->memory[list->count++] = (void *)((uintptr_t)memory | (uintptr_t)kind);
}

void retire_record(struct registry *r, struct record *record)
{
    CHECK(record->references > 0);
    if (--record->references == 0) {
        retire_memory(r, record, RETIRED_PLAIN, retire_must_keep_index(r, record->index));
    }
}

static void give(struct registry *r, struct retired *list)
{
    if (list->count == 0) {
        return;
    }
    TSAN_RELEASE(&registry_readers);
    if (r->options.retire != NULL && r->restore == NULL) {
        r->options.retire(r->options.ctx, list->memory, list->count);
    } else {
        registry_free_retired(list->memory, list->count);
    }
    *list = (struct retired){.count = 0};
}

void retire_give(struct registry *r)
{
    give(r, &r->retired);
    if (r->snapshots == NULL) {
        give(r, &r->kept);
    }
}

void retire_done(struct registry *r)
{
    registry_free_retired(r->kept.memory, r->kept.count);
    registry_free_retired(r->retired.memory, r->retired.count);
}
