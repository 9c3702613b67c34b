#include "consensus/entry.h"

#include "server/base/check.h"
#include "server/base/crc32c.h"
#include "server/base/limits.h"

#define MAGIC   0x4554534du /* "MSTE" */
#define VERSION 1

enum { /* offsets in the header */
       AT_MAGIC = 0,
       AT_CRC = 4,
       AT_LENGTH = 8,
       AT_VERSION = 12,
       AT_BUNDLES = 14,
       AT_INDEX = 16,
       AT_TERM = 24,
       AT_CLUSTER = 32,
       AT_PROPOSER = 40,
       AT_STAMP_LEN = 48,
};

/* --- bundles --- */

void bundle_begin(struct buffer *out, const struct bundle_header *header)
{
    buffer_append_u64(out, header->origin);
    buffer_append_u64(out, header->boot);
    buffer_append_u64(out, header->sequence);
    buffer_append_u32(out, header->count);
    buffer_append_u32(out, 0);
}

void bundle_append(struct buffer *out, const uint8_t *data, size_t len)
{
    buffer_append_u32(out, (uint32_t)len);
    buffer_append(out, data, len);
}

void bundle_set_count(struct buffer *out, uint32_t count)
{
    store_u32(out->data + 24, count);
}

void bundle_set_number(struct buffer *out, uint64_t boot, uint64_t sequence)
{
    store_u64(out->data + 8, boot);
    store_u64(out->data + 16, sequence);
}

enum status bundle_check(const uint8_t *data, size_t len, struct bundle_header *ret_header)
{
    if (len < BUNDLE_HEADER_BYTES || len > BUNDLE_BYTES_MAX) {
        return ST_CORRUPT;
    }
    struct bundle_header header = {
        .origin = load_u64(data),
        .boot = load_u64(data + 8),
        .sequence = load_u64(data + 16),
        .count = load_u32(data + 24),
    };
    if (header.count > BUNDLE_OPS_MAX) {
        return ST_CORRUPT;
    }
    size_t at = BUNDLE_HEADER_BYTES;
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

const uint8_t *bundle_next(const uint8_t *data, size_t *at, size_t *ret_len)
{
    if (*at == 0) {
        *at = BUNDLE_HEADER_BYTES;
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
    store_u64(bytes + AT_CLUSTER, header->cluster_id);
    store_u64(bytes + AT_PROPOSER, header->proposer);
    store_u16(bytes + AT_STAMP_LEN, header->stamp_len);
    buffer_append(out, bytes, sizeof bytes);
    buffer_append(out, stamp, header->stamp_len);
}

void entry_append_bundle(struct buffer *out, const uint8_t *data, size_t len)
{
    buffer_append_u32(out, (uint32_t)len);
    buffer_append(out, data, len);
}

void entry_seal(struct buffer *out, uint16_t bundles)
{
    static const uint8_t zeros[8];
    store_u32(out->data + AT_LENGTH, (uint32_t)out->len);
    store_u16(out->data + AT_BUNDLES, bundles);
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
        .cluster_id = load_u64(data + AT_CLUSTER),
        .proposer = load_u64(data + AT_PROPOSER),
        .bundles = load_u16(data + AT_BUNDLES),
        .stamp_len = load_u16(data + AT_STAMP_LEN),
    };
    if (length > len || len - length >= 8 || header.stamp_len > ENTRY_STAMP_MAX ||
        ENTRY_HEADER_BYTES + (size_t)header.stamp_len > length) {
        return ST_CORRUPT;
    }
    size_t at = ENTRY_HEADER_BYTES + (size_t)header.stamp_len;
    uint32_t ops = 0;
    for (uint16_t i = 0; i < header.bundles; i++) {
        struct bundle_header bundle;
        if (length - at < 4 || load_u32(data + at) > length - at - 4 ||
            bundle_check(data + at + 4, load_u32(data + at), &bundle) != ST_OK) {
            return ST_CORRUPT;
        }
        ops += bundle.count;
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

const uint8_t *entry_next_bundle(const uint8_t *data, size_t *at, size_t *ret_len)
{
    if (*at == 0) {
        *at = ENTRY_HEADER_BYTES + (size_t)load_u16(data + AT_STAMP_LEN);
    }
    *ret_len = load_u32(data + *at);
    const uint8_t *bundle = data + *at + 4;
    *at += 4 + *ret_len;
    return bundle;
}
