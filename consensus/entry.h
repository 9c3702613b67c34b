/* Bundles of operations, and the log entries that carry them. All numbers little endian.
 *
 *   bundle: origin u64, boot u64, sequence u64, count u32, zero u32, then count times
 *           length u32, bytes
 *   entry:  header of 64 bytes, stamp, then `bundles` times: length u32, bundle; zeros up to a
 *           multiple of 8 (libraft loses entries of other lengths)
 *   header: magic u32, crc32c u32 (of all that follows it, padding included), length u32 (without
 *           padding), version u16, bundles u16, index u64, term u64, cluster u64, proposer u64,
 *           stamp length u16, zeros
 *
 * Thread: any. */
#ifndef MUSTER_CONSENSUS_ENTRY_H
#define MUSTER_CONSENSUS_ENTRY_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/buffer.h"
#include "server/base/compiler.h"
#include "server/base/status.h"

#define ENTRY_HEADER_BYTES  64
#define BUNDLE_HEADER_BYTES 32
#define ENTRY_STAMP_MAX     64

struct bundle_header {
    uint64_t origin;   /* member that took the operations; 0: the leader's own proposal */
    uint64_t boot;     /* of that member: rises with every start */
    uint64_t sequence; /* rises with every bundle of that boot, from 1 */
    uint32_t count;
};
/* A bundle is a header followed by operations (bundle_append); the count is set at the end. */
void bundle_begin(struct buffer *out, const struct bundle_header *header);
void bundle_append(struct buffer *out, const uint8_t *data, size_t len);
void bundle_set_count(struct buffer *out, uint32_t count);
void bundle_set_number(struct buffer *out, uint64_t boot, uint64_t sequence);

/* Reading: checks the header and that all operations are there, none longer than OP_BYTES_MAX and
 * no more than BUNDLE_OPS_MAX. */
MUST_USE enum status bundle_check(const uint8_t *data, size_t len,
                                  struct bundle_header *ret_header);
/* The next operation of a checked bundle; *at is 0 to begin with. */
const uint8_t *bundle_next(const uint8_t *data, size_t *at, size_t *ret_len);

struct entry_header {
    uint64_t index;
    uint64_t term;
    uint64_t cluster_id;
    uint64_t proposer;
    uint16_t bundles;
    uint16_t stamp_len;
};
/* An entry is begun with its stamp, filled, and sealed (which sets padding and checksum). */
void entry_begin(struct buffer *out, const struct entry_header *header, const uint8_t *stamp);
void entry_append_bundle(struct buffer *out, const uint8_t *data, size_t len);
void entry_seal(struct buffer *out, uint16_t bundles);

/* Checks everything: checksum, lengths, every bundle, the number of operations. */
MUST_USE enum status entry_check(const uint8_t *data, size_t len, struct entry_header *ret_header);
const uint8_t *entry_stamp(const uint8_t *data);
/* The next bundle of a checked entry; *at is 0 to begin with. */
const uint8_t *entry_next_bundle(const uint8_t *data, size_t *at, size_t *ret_len);

#endif
