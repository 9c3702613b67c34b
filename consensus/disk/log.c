#include "consensus/disk/log.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/buffer.h"
#include "server/base/check.h"
#include "server/base/crc32c.h"
#include "server/base/mem.h"

#define CAPACITY_MIN 64

void log_init(struct log *log)
{
    *log = (struct log){.first_index = 1};
}

static struct log_entry *slot(const struct log *log, size_t i)
{
    CHECK(i < log->count);
    return &log->ring[(log->first + i) % log->capacity];
}

static void clear(struct log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        free(slot(log, i)->data);
    }
    log->first = log->count = 0;
    log->bytes = 0;
}

void log_done(struct log *log)
{
    clear(log);
    free(log->ring);
    log_init(log);
}

uint32_t log_checksum(uint32_t parent, uint64_t term, uint8_t type, const void *data, size_t len)
{
    uint8_t head[8 + 1 + 4];
    store_u64(head, term);
    head[8] = type;
    store_u32(head + 9, (uint32_t)len);
    return crc32c(crc32c(parent, head, sizeof head), data, len);
}

uint64_t log_first_index(const struct log *log)
{
    return log->first_index;
}

uint64_t log_last_index(const struct log *log)
{
    return log->first_index + log->count - 1;
}

uint64_t log_last_term(const struct log *log)
{
    return log->count > 0 ? slot(log, log->count - 1)->term : log->base_term;
}

uint32_t log_last_checksum(const struct log *log)
{
    return log->count > 0 ? slot(log, log->count - 1)->checksum : log->base_checksum;
}

const struct log_entry *log_get(const struct log *log, uint64_t index)
{
    if (index < log->first_index || index - log->first_index >= log->count) {
        return NULL;
    }
    return slot(log, (size_t)(index - log->first_index));
}

bool log_position(const struct log *log, uint64_t index, uint64_t *ret_term, uint32_t *ret_checksum)
{
    const struct log_entry *entry = log_get(log, index);
    if (entry != NULL) {
        *ret_term = entry->term;
        *ret_checksum = entry->checksum;
        return true;
    }
    if (index + 1 != log->first_index) {
        return false;
    }
    *ret_term = log->base_term;
    *ret_checksum = log->base_checksum;
    return true;
}

static void grow(struct log *log)
{
    size_t capacity = log->capacity > 0 ? log->capacity * 2 : CAPACITY_MIN;
    struct log_entry *ring = mem_alloc(capacity * sizeof *ring);
    for (size_t i = 0; i < log->count; i++) {
        ring[i] = *slot(log, i);
    }
    free(log->ring);
    log->ring = ring;
    log->capacity = capacity;
    log->first = 0;
}

uint32_t log_append(struct log *log, uint64_t term, uint8_t type, const void *data, size_t len)
{
    CHECK(term >= log_last_term(log));
    if (log->count == log->capacity) {
        grow(log);
    }
    struct log_entry entry = {
        .term = term,
        .type = type,
        .checksum = log_checksum(log_last_checksum(log), term, type, data, len),
        .len = len,
        .data = mem_alloc(len > 0 ? len : 1),
    };
    memcpy(entry.data, data, len);
    log->count++;
    log->bytes += len;
    *slot(log, log->count - 1) = entry;
    return entry.checksum;
}

void log_truncate(struct log *log, uint64_t index)
{
    CHECK(index >= log->first_index && index <= log_last_index(log) + 1);
    while (log_last_index(log) >= index) {
        struct log_entry *entry = slot(log, log->count - 1);
        log->bytes -= entry->len;
        free(entry->data);
        log->count--;
    }
}

void log_compact(struct log *log, uint64_t index)
{
    while (log->count > 0 && log->first_index <= index) {
        struct log_entry *entry = slot(log, 0);
        log->base_term = entry->term;
        log->base_checksum = entry->checksum;
        log->bytes -= entry->len;
        free(entry->data);
        log->first = (log->first + 1) % log->capacity;
        log->first_index++;
        log->count--;
    }
}

void log_reset(struct log *log, uint64_t index, uint64_t term, uint32_t checksum)
{
    clear(log);
    log->first_index = index + 1;
    log->base_term = term;
    log->base_checksum = checksum;
}
