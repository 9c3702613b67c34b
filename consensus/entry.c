#include "consensus/entry.h"

#include <string.h>

#include "server/base/check.h"
#include "server/base/crc32c.h"
#include "server/base/limits.h"

#define MAGIC   0x4554534du /* "MSTE" */
#define VERSION 2

enum { /* offsets in the header */
       AT_MAGIC = 0,
       AT_CRC = 4,
       AT_LENGTH = 8,
       AT_VERSION = 12,
       AT_BUNDLES = 14,
       AT_INDEX = 16,
       AT_TERM = 24,
       AT_CLUSTER = 32,
       AT_PROPOSER = 48,
       AT_STAMP_LEN = 56,
       AT_LEVEL = 58,
};

/* --- batches --- */

void batch_begin(struct buffer *out, const struct batch_header *header)
{
    buffer_append_u64(out, header->origin);
    buffer_append_u64(out, header->boot);
    buffer_append_u64(out, header->serial);
    buffer_append_u32(out, header->count);
    buffer_append_u32(out, 0);
}

void batch_append(struct buffer *out, const uint8_t *data, size_t len)
{
    buffer_append_u32(out, (uint32_t)len);
    buffer_append(out, data, len);
}

void batch_set_count(struct buffer *out, uint32_t count)
{
    store_u32(out->data + 24, count);
}

void batch_set_number(struct buffer *out, uint64_t boot, uint64_t serial)
{
    store_u64(out->data + 8, boot);
    store_u64(out->data + 16, serial);
}

enum status batch_check(const uint8_t *data, size_t len, struct batch_header *ret_header)
{
    if (len < BATCH_HEADER_BYTES || len > BATCH_BYTES_MAX) {
        return ST_CORRUPT;
    }
    struct batch_header header = {
        .origin = load_u64(data),
        .boot = load_u64(data + 8),
        .serial = load_u64(data + 16),
        .count = load_u32(data + 24),
    };
    if (header.count > BATCH_OPS_MAX) {
        return ST_CORRUPT;
    }
    size_t at = BATCH_HEADER_BYTES;
    for (uint32_t i = 0; i < header.count; i++) {
        if (len - at < 4) {
            return ST_CORRUPT;
        }
        size_t op_len = load_u32(data + at);
        at += 4;
        if (op_len > OP_BYTES_MAX || op_len > len - at) {
            return ST_CORRUPT;
        }
        at += op_len;
    }
    if (at != len) {
        return ST_CORRUPT;
    }
    *ret_header = header;
    return ST_OK;
}

const uint8_t *batch_next(const uint8_t *data, size_t *at, size_t *ret_len)
{
    if (*at == 0) {
        *at = BATCH_HEADER_BYTES;
    }
    *ret_len = load_u32(data + *at);
    const uint8_t *op = data + *at + 4;
    *at += 4 + *ret_len;
    return op;
}

/* --- entries --- */

void entry_begin(struct buffer *out, const struct entry_header *header, const uint8_t *stamp)
{
    uint8_t bytes[ENTRY_HEADER_BYTES] = {0};
    CHECK(header->stamp_len <= ENTRY_STAMP_MAX);
    store_u32(bytes + AT_MAGIC, MAGIC);
    store_u16(bytes + AT_VERSION, VERSION);
    store_u64(bytes + AT_INDEX, header->index);
    store_u64(bytes + AT_TERM, header->term);
    memcpy(bytes + AT_CLUSTER, header->cluster.bytes, CLUSTER_ID_BYTES);
    store_u64(bytes + AT_PROPOSER, header->proposer);
    store_u16(bytes + AT_STAMP_LEN, header->stamp_len);
    store_u16(bytes + AT_LEVEL, header->level);
    buffer_append(out, bytes, sizeof bytes);
    buffer_append(out, stamp, header->stamp_len);
}

void entry_append_batch(struct buffer *out, const uint8_t *data, size_t len)
{
    buffer_append_u32(out, (uint32_t)len);
    buffer_append(out, data, len);
}

void entry_seal(struct buffer *out, uint16_t batches)
{
    static const uint8_t zeros[8];
    store_u32(out->data + AT_LENGTH, (uint32_t)out->len);
    store_u16(out->data + AT_BUNDLES, batches);
    buffer_append(out, zeros, (8 - out->len % 8) % 8);
    store_u32(out->data + AT_CRC, crc32c(0, out->data + AT_LENGTH, out->len - AT_LENGTH));
}

enum status entry_check(const uint8_t *data, size_t len, struct entry_header *ret_header)
{
    if (len < ENTRY_HEADER_BYTES || len % 8 != 0 || load_u32(data + AT_MAGIC) != MAGIC ||
        load_u32(data + AT_CRC) != crc32c(0, data + AT_LENGTH, len - AT_LENGTH) ||
        load_u16(data + AT_VERSION) != VERSION) {
        return ST_CORRUPT;
    }
    size_t length = load_u32(data + AT_LENGTH);
    struct entry_header header = {
        .index = load_u64(data + AT_INDEX),
        .term = load_u64(data + AT_TERM),
        .proposer = load_u64(data + AT_PROPOSER),
        .batches = load_u16(data + AT_BUNDLES),
        .stamp_len = load_u16(data + AT_STAMP_LEN),
        .level = load_u16(data + AT_LEVEL),
    };
    memcpy(header.cluster.bytes, data + AT_CLUSTER, CLUSTER_ID_BYTES);
    if (length > len || len - length >= 8 || header.stamp_len > ENTRY_STAMP_MAX ||
        ENTRY_HEADER_BYTES + (size_t)header.stamp_len > length) {
        return ST_CORRUPT;
    }
    size_t at = ENTRY_HEADER_BYTES + (size_t)header.stamp_len;
    uint32_t ops = 0;
    for (uint16_t i = 0; i < header.batches; i++) {
        struct batch_header batch;
        if (length - at < 4 || load_u32(data + at) > length - at - 4 ||
            batch_check(data + at + 4, load_u32(data + at), &batch) != ST_OK) {
            return ST_CORRUPT;
        }
        ops += batch.count;
        if (ops > ENTRY_OPS_MAX) {
            return ST_CORRUPT;
        }
        at += 4 + (size_t)load_u32(data + at);
    }
    if (at != length) {
        return ST_CORRUPT;
    }
    *ret_header = header;
    return ST_OK;
}

const uint8_t *entry_stamp(const uint8_t *data)
{
    return data + ENTRY_HEADER_BYTES;
}

const uint8_t *entry_next_batch(const uint8_t *data, size_t *at, size_t *ret_len)
{
    if (*at == 0) {
        *at = ENTRY_HEADER_BYTES + (size_t)load_u16(data + AT_STAMP_LEN);
    }
    *ret_len = load_u32(data + *at);
    const uint8_t *batch = data + *at + 4;
    *at += 4 + *ret_len;
    return batch;
}
