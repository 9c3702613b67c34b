/* The format of snapshots and backups: a sequence of blocks, each with its kind, number, length,
 * checksums, the checksum of the previous block and the cluster id, so that a block from another
 * file, in another order or of another length is detected. All numbers are little endian, all
 * checksums CRC-32C, all reserved bytes zero.
 *
 *   head 'H'   what Raft must know: struct snapshot_meta
 *   info 'I'   backups only, second: struct snapshot_info
 *   chunk 'C'  the next bytes of the state, any number of chunks
 *   foot 'F'   the number of chunks, and of bytes of state (u64 each); nothing follows
 *
 * Thread: any. Pure. */
#ifndef MUSTER_BASE_SNAPSHOT_BLOCK_H
#define MUSTER_BASE_SNAPSHOT_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/cluster_id.h"
#include "server/base/limits.h"

#define SNAPSHOT_VERSION           1
#define SNAPSHOT_CHUNK_BYTES       (256u * 1024)
#define SNAPSHOT_BLOCK_HEADER      48
#define SNAPSHOT_META_BYTES        40 /* excluding the configuration */
#define SNAPSHOT_INFO_BYTES        40
#define SNAPSHOT_FOOTER_BYTES      16
#define SNAPSHOT_BLOCK_MAX         (SNAPSHOT_BLOCK_HEADER + SNAPSHOT_CHUNK_BYTES)
#define SNAPSHOT_CONFIGURATION_MAX (MEMBERS_MAX * (HOST_BYTES_MAX + 64))

struct snapshot_meta {
    uint64_t index, term; /* of the last entry in it */
    uint32_t checksum;    /* of that entry: consensus/disk/log.h */
    uint16_t level;       /* of the replicated format in it */
    uint64_t configuration_index;
    size_t
        configuration_len; /* Raft's configuration, in the format of raft_configuration_encode() */
    uint8_t configuration[SNAPSHOT_CONFIGURATION_MAX];
};

/* What people want to know of a backup, and what a restore is checked against. */
struct snapshot_info {
    uint64_t hash;     /* of the state, equal on all members at this index */
    uint64_t items;    /* number of items in the state */
    uint64_t taken_ms; /* wall clock, since 1970 */
    uint64_t member;   /* the member that took it */
};

enum snapshot_block {
    SNAPSHOT_HEAD = 'H',
    SNAPSHOT_INFO = 'I',
    SNAPSHOT_CHUNK = 'C',
    SNAPSHOT_FOOT = 'F',
};

/* A position in the file. Each block carries the checksum of its predecessor. */
struct snapshot_chain {
    struct cluster_id cluster;
    uint64_t number; /* of the next block */
    uint32_t parent; /* checksum of the previous block */
};

/* Writes the header in front of a body of `len` bytes, and advances the chain. */
void snapshot_block_seal(struct snapshot_chain *chain, uint8_t *block, enum snapshot_block kind,
                         size_t len);
/* Checks the header only. Returns NULL or a description of the error. */
const char *snapshot_block_check(const struct snapshot_chain *chain, const uint8_t *block,
                                 enum snapshot_block *ret_kind, size_t *ret_len);
/* The cluster that it claims to belong to. */
struct cluster_id snapshot_block_cluster(const uint8_t *block);
/* Checks the body, and advances the chain. */
bool snapshot_block_accept(struct snapshot_chain *chain, const uint8_t *block, size_t len);

/* Encodes the body of the first block; returns its length. */
size_t snapshot_meta_encode(const struct snapshot_meta *meta, uint8_t *out);
/* `len` must be at least SNAPSHOT_META_BYTES. Returns false if a field is invalid. */
bool snapshot_meta_decode(const uint8_t *in, size_t len, struct snapshot_meta *ret_meta);

/* The same for the body of a backup's second block, of SNAPSHOT_INFO_BYTES. */
size_t snapshot_info_encode(const struct snapshot_info *info, uint8_t *out);
bool snapshot_info_decode(const uint8_t *in, struct snapshot_info *ret_info);

#endif
