/* Batches of operations, and the log entries that carry them. All numbers little endian.
 *
 *   batch: origin u64, boot u64, serial u64, count u32, zero u32, then count times
 *           length u32, bytes
 *   entry:  header of 64 bytes, stamp, then `batches` times: length u32, batch; zeros up to a
 *           multiple of 8
 *   header: magic u32, crc32c u32 (of all that follows it, padding included), length u32 (without
 *           padding), version u16, batches u16, index u64, term u64, cluster 16 bytes, proposer
 *           u64, stamp length u16, level u16, zeros
 *
 * Thread: any. */
#ifndef MUSTER_CONSENSUS_ENTRY_H
#define MUSTER_CONSENSUS_ENTRY_H

#include <stddef.h>
#include <stdint.h>

#include "consensus/disk/ids.h"
#include "server/base/buffer.h"
#include "server/base/compiler.h"
#include "server/base/status.h"

#define ENTRY_HEADER_BYTES 64
#define BATCH_HEADER_BYTES 32
#define ENTRY_STAMP_MAX    64

struct batch_header {
    uint64_t origin; /* life of the member that took it; 0: the leader's own operation */
    uint64_t boot;   /* of that life: rises with every start */
    uint64_t serial; /* of that boot: rises with every batch, from 1 */
    uint32_t count;
};
/* A batch is a header and operations (batch_append); the count is set at the end. */
void batch_begin(struct buffer *out, const struct batch_header *header);
void batch_append(struct buffer *out, const uint8_t *data, size_t len);
void batch_set_count(struct buffer *out, uint32_t count);
void batch_set_number(struct buffer *out, uint64_t boot, uint64_t serial);

/* Checks the header and that all operations are there, none longer than OP_BYTES_MAX, at most
 * BATCH_OPS_MAX of them. */
MUST_USE enum status batch_check(const uint8_t *data, size_t len, struct batch_header *ret_header);
/* The next operation of a checked batch; *at is 0 at the beginning. */
const uint8_t *batch_next(const uint8_t *data, size_t *at, size_t *ret_len);

struct entry_header {
    uint64_t index;
    uint64_t term;
    struct cluster_id cluster;
    uint64_t proposer; /* a life */
    uint16_t level;    /* of the replicated format, from this entry on */
    uint16_t batches;
    uint16_t stamp_len;
};
/* An entry is begun with its stamp, filled, then sealed (padding and checksum). */
void entry_begin(struct buffer *out, const struct entry_header *header, const uint8_t *stamp);
void entry_append_batch(struct buffer *out, const uint8_t *data, size_t len);
void entry_seal(struct buffer *out, uint16_t batches);

/* Checks everything: checksum, lengths, every batch, the number of operations. */
MUST_USE enum status entry_check(const uint8_t *data, size_t len, struct entry_header *ret_header);
const uint8_t *entry_stamp(const uint8_t *data);
/* The next batch of a checked entry; *at is 0 at the beginning. */
const uint8_t *entry_next_batch(const uint8_t *data, size_t *at, size_t *ret_len);

#endif
