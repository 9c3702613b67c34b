#include "server/base/snapshot_block.h"

#include <assert.h>
#include <string.h>

#include "server/base/buffer.h"
#include "server/base/check.h"
#include "server/base/crc32c.h"

static const uint8_t magic[3] = {0xff, 'M', 'S'};

/* Offsets in a block. */
enum {
    AT_KIND = 3,
    AT_VERSION = 4,
    AT_RESERVED = 6, /* zero */
    AT_LEN = 8,
    AT_PARENT = 12, /* checksum of the block before */
    AT_NUMBER = 16,
    AT_CLUSTER = 24,
    AT_BODY_CRC = 40,
    AT_CHECKSUM = 44, /* of the header, and so of the block */
};

static_assert(SNAPSHOT_CHUNK_BYTES >= SNAPSHOT_META_BYTES + SNAPSHOT_CONFIGURATION_MAX,
              "a buffer for a chunk holds any block");

/* --- blocks --- */

void snapshot_block_seal(struct snapshot_chain *chain, uint8_t *block, enum snapshot_block kind,
                         size_t len)
{
    CHECK(len <= SNAPSHOT_CHUNK_BYTES);
    memset(block, 0, SNAPSHOT_BLOCK_HEADER);
    memcpy(block, magic, sizeof magic);
    block[AT_KIND] = (uint8_t)kind;
    store_u16(block + AT_VERSION, SNAPSHOT_VERSION);
    store_u32(block + AT_LEN, (uint32_t)len);
    store_u32(block + AT_PARENT, chain->parent);
    store_u64(block + AT_NUMBER, chain->number);
    memcpy(block + AT_CLUSTER, chain->cluster.bytes, CLUSTER_ID_BYTES);
    store_u32(block + AT_BODY_CRC, crc32c(0, block + SNAPSHOT_BLOCK_HEADER, len));
    chain->parent = crc32c(0, block, AT_CHECKSUM);
    store_u32(block + AT_CHECKSUM, chain->parent);
    chain->number++;
}

const char *snapshot_block_check(const struct snapshot_chain *chain, const uint8_t *block,
                                 enum snapshot_block *ret_kind, size_t *ret_len)
{
    if (memcmp(block, magic, sizeof magic) != 0 ||
        load_u32(block + AT_CHECKSUM) != crc32c(0, block, AT_CHECKSUM)) {
        return "wrong checksum of a block header";
    }
    if (load_u16(block + AT_VERSION) != SNAPSHOT_VERSION) {
        return "it has a format version that this program does not support";
    }
    if (memcmp(block + AT_CLUSTER, chain->cluster.bytes, CLUSTER_ID_BYTES) != 0) {
        return "it belongs to another cluster";
    }
    if (load_u64(block + AT_NUMBER) != chain->number ||
        load_u32(block + AT_PARENT) != chain->parent) {
        return "a block does not follow the previous one";
    }
    size_t len = load_u32(block + AT_LEN);
    bool first = chain->number == 0;
    if (len > SNAPSHOT_CHUNK_BYTES || load_u16(block + AT_RESERVED) != 0) {
        return "a block is too long";
    }
    switch (block[AT_KIND]) {
    case SNAPSHOT_HEAD:
        if (!first || len < SNAPSHOT_META_BYTES ||
            len > SNAPSHOT_META_BYTES + SNAPSHOT_CONFIGURATION_MAX) {
            return "its first block is wrong";
        }
        break;
    case SNAPSHOT_INFO:
        if (chain->number != 1 || len != SNAPSHOT_INFO_BYTES) {
            return "its second block is wrong";
        }
        break;
    case SNAPSHOT_CHUNK:
        if (first || len == 0) {
            return "a chunk is misplaced or empty";
        }
        break;
    case SNAPSHOT_FOOT:
        if (first || len != SNAPSHOT_FOOTER_BYTES) {
            return "its last block is wrong";
        }
        break;
    default:
        return "a block is of an unknown kind";
    }
    *ret_kind = (enum snapshot_block)block[AT_KIND];
    *ret_len = len;
    return NULL;
}

struct cluster_id snapshot_block_cluster(const uint8_t *block)
{
    struct cluster_id cluster;
    memcpy(cluster.bytes, block + AT_CLUSTER, CLUSTER_ID_BYTES);
    return cluster;
}

bool snapshot_block_accept(struct snapshot_chain *chain, const uint8_t *block, size_t len)
{
    if (crc32c(0, block + SNAPSHOT_BLOCK_HEADER, len) != load_u32(block + AT_BODY_CRC)) {
        return false;
    }
    chain->number++;
    chain->parent = load_u32(block + AT_CHECKSUM);
    return true;
}

size_t snapshot_meta_encode(const struct snapshot_meta *meta, uint8_t *out)
{
    CHECK(meta->configuration_len <= SNAPSHOT_CONFIGURATION_MAX);
    store_u64(out, meta->index);
    store_u64(out + 8, meta->term);
    store_u32(out + 16, meta->checksum);
    store_u16(out + 20, meta->level);
    store_u16(out + 22, 0);
    store_u64(out + 24, meta->configuration_index);
    store_u32(out + 32, (uint32_t)meta->configuration_len);
    store_u32(out + 36, 0);
    memcpy(out + SNAPSHOT_META_BYTES, meta->configuration, meta->configuration_len);
    return SNAPSHOT_META_BYTES + meta->configuration_len;
}

bool snapshot_meta_decode(const uint8_t *in, size_t len, struct snapshot_meta *ret_meta)
{
    CHECK(len >= SNAPSHOT_META_BYTES);
    struct snapshot_meta meta;
    meta.index = load_u64(in);
    meta.term = load_u64(in + 8);
    meta.checksum = load_u32(in + 16);
    meta.level = load_u16(in + 20);
    meta.configuration_index = load_u64(in + 24);
    meta.configuration_len = load_u32(in + 32);
    if (meta.configuration_len != len - SNAPSHOT_META_BYTES || load_u16(in + 22) != 0 ||
        load_u32(in + 36) != 0 || meta.index == 0 || meta.index > INT64_MAX ||
        meta.configuration_index > meta.index) {
        return false;
    }
    memcpy(meta.configuration, in + SNAPSHOT_META_BYTES, meta.configuration_len);
    *ret_meta = meta;
    return true;
}

size_t snapshot_info_encode(const struct snapshot_info *info, uint8_t *out)
{
    store_u64(out, info->hash);
    store_u64(out + 8, info->items);
    store_u64(out + 16, info->taken_ms);
    store_u64(out + 24, info->member);
    store_u64(out + 32, 0);
    return SNAPSHOT_INFO_BYTES;
}

bool snapshot_info_decode(const uint8_t *in, struct snapshot_info *ret_info)
{
    *ret_info = (struct snapshot_info){.hash = load_u64(in),
                                       .items = load_u64(in + 8),
                                       .taken_ms = load_u64(in + 16),
                                       .member = load_u64(in + 24)};
    return load_u64(in + 32) == 0 && ret_info->taken_ms <= INT64_MAX;
}
