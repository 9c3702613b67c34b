#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/registry/internal.h"

#define WORD_BITS 64u

void leases_init(struct leases *leases)
{
    memset(leases, 0, sizeof *leases);
    memset(leases->heads, 0xff, sizeof leases->heads); /* NONE */
}

void leases_done(struct leases *leases)
{
    for (uint32_t i = 0; i < LEASE_BLOCKS && leases->blocks[i] != NULL; i++) {
        free(leases->blocks[i]);
    }
    free(leases->used);
    free(leases->due);
    leases_init(leases);
}

struct lease *leases_at(const struct leases *leases, uint32_t slot)
{
    return &leases->blocks[slot / LEASES_BLOCK][slot % LEASES_BLOCK];
}

static void add_block(struct leases *leases)
{
    uint32_t words = leases->slots / WORD_BITS;
    uint32_t more = LEASES_BLOCK / WORD_BITS;
    leases->blocks[leases->slots / LEASES_BLOCK] = mem_zalloc(LEASES_BLOCK, sizeof(struct lease));
    leases->used = mem_realloc(leases->used, (words + more) * sizeof *leases->used);
    memset(leases->used + words, 0, more * sizeof *leases->used);
    leases->slots += LEASES_BLOCK;
}

uint32_t leases_take_slot(struct leases *leases)
{
    for (;;) {
        uint32_t words = leases->slots / WORD_BITS;
        for (uint32_t w = leases->first_free_word; w < words; w++) {
            if (leases->used[w] != UINT64_MAX) {
                uint32_t bit = (uint32_t)__builtin_ctzll(~leases->used[w]);
                leases->first_free_word = w;
                leases->used[w] |= (uint64_t)1 << bit;
                return w * WORD_BITS + bit;
            }
        }
        leases->first_free_word = words;
        if (leases->slots == INSTANCES_MAX) {
            return NONE;
        }
        add_block(leases);
    }
}

bool leases_take_this_slot(struct leases *leases, uint32_t slot)
{
    if (slot >= INSTANCES_MAX) {
        return false;
    }
    while (slot >= leases->slots) {
        add_block(leases);
    }
    uint64_t mask = (uint64_t)1 << (slot % WORD_BITS);
    if ((leases->used[slot / WORD_BITS] & mask) != 0) {
        return false;
    }
    leases->used[slot / WORD_BITS] |= mask;
    return true;
}

void leases_free_slot(struct leases *leases, uint32_t slot)
{
    uint32_t w = slot / WORD_BITS;
    leases_unlink(leases, slot);
    leases_at(leases, slot)->instance = NULL;
    leases->used[w] &= ~((uint64_t)1 << (slot % WORD_BITS));
    if (w < leases->first_free_word) {
        leases->first_free_word = w;
    }
}

void leases_link(struct leases *leases, uint32_t slot)
{
    struct lease *lease = leases_at(leases, slot);
    uint64_t deadline = atomic_load_explicit(&lease->deadline_ms, memory_order_relaxed);
    if (deadline == NEVER) {
        lease->bucket = WHEEL_BUCKETS;
        return;
    }
    uint64_t tick = deadline / WHEEL_TICK_MS;
    if (tick < leases->cursor) {
        tick = leases->cursor;
    } else if (tick > leases->cursor + WHEEL_BUCKETS - 1) {
        tick = leases->cursor + WHEEL_BUCKETS - 1; /* checked again when the wheel comes round */
    }
    uint32_t *head = &leases->heads[tick % WHEEL_BUCKETS];
    lease->bucket = (uint16_t)(tick % WHEEL_BUCKETS);
    lease->previous = NONE;
    lease->next = *head;
    if (*head != NONE) {
        leases_at(leases, *head)->previous = slot;
    }
    *head = slot;
}

void leases_unlink(struct leases *leases, uint32_t slot)
{
    struct lease *lease = leases_at(leases, slot);
    if (lease->bucket == WHEEL_BUCKETS) {
        return;
    }
    if (lease->previous == NONE) {
        leases->heads[lease->bucket] = lease->next;
    } else {
        leases_at(leases, lease->previous)->next = lease->next;
    }
    if (lease->next != NONE) {
        leases_at(leases, lease->next)->previous = lease->previous;
    }
    lease->bucket = WHEEL_BUCKETS;
}

static void note_due(struct leases *leases, uint32_t slot)
{
    if (leases->due_count == leases->due_capacity) {
        leases->due_capacity = leases->due_capacity > 0 ? leases->due_capacity * 2 : 64;
        leases->due = mem_realloc(leases->due, leases->due_capacity * sizeof *leases->due);
    }
    leases->due[leases->due_count++] = slot;
}

void leases_collect_due(struct leases *leases, uint64_t until_ms)
{
    uint64_t last = until_ms / WHEEL_TICK_MS;
    leases->due_count = 0;
    if (last < leases->cursor) {
        last = leases->cursor; /* what is overdue waits in the cursor's bucket */
    }
    /* One turn visits every bucket, however far time has advanced. */
    uint64_t first = leases->cursor;
    if (last - first >= WHEEL_BUCKETS) {
        first = last - (WHEEL_BUCKETS - 1);
    }
    leases->cursor = last;
    for (uint64_t tick = first; tick <= last; tick++) {
        uint32_t slot = leases->heads[tick % WHEEL_BUCKETS];
        leases->heads[tick % WHEEL_BUCKETS] = NONE;
        while (slot != NONE) {
            struct lease *lease = leases_at(leases, slot);
            uint32_t next = lease->next;
            lease->bucket = WHEEL_BUCKETS;
            if (atomic_load_explicit(&lease->deadline_ms, memory_order_relaxed) <= until_ms) {
                note_due(leases, slot);
            } else {
                leases_link(leases, slot);
            }
            slot = next;
        }
    }
    for (uint32_t i = 0; i < leases->due_count; i++) {
        leases_link(leases, leases->due[i]);
    }
}

void leases_start_at(struct leases *leases, uint64_t now_ms)
{
    leases->cursor = now_ms / WHEEL_TICK_MS;
}
