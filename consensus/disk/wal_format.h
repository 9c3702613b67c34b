/* The format of the log on disk: frames and the records in them. See README.md.
 *
 * Bugs that this exists to avoid: accepting a frame from another file, position or history
 * (sequence, parent, cluster id); confusing an incomplete frame with a damaged one (the mask keeps
 * every sector of a frame well away from all zero).
 *
 * Thread: any. Pure. */
#ifndef MUSTER_CONSENSUS_DISK_WAL_FORMAT_H
#define MUSTER_CONSENSUS_DISK_WAL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/disk/files.h"
#include "consensus/disk/ids.h"
#include "consensus/disk/wal.h"
#include "server/base/buffer.h"
#include "server/base/compiler.h"

#define WAL_VERSION           1
#define WAL_HEADER_BYTES      64
#define WAL_RECORD_BYTES      32 /* excluding its data */
#define WAL_STATE_BYTES       32
#define WAL_SEGMENT_INFO_SIZE 72
#define WAL_CLOSE_INFO_SIZE   8

enum wal_kind {
    WAL_SEGMENT = 1, /* first of a segment; holds a struct wal_segment_info */
    WAL_RECORDS = 2,
    WAL_CLOSE = 3, /* last of a segment; holds the next segment's number */
};

struct wal_header {
    enum wal_kind kind;
    uint32_t len; /* of the payload, excluding padding */
    uint32_t records;
    uint32_t content_crc; /* of everything after the header, masked, including padding */
    uint32_t parent;      /* checksum of the previous frame */
    uint64_t sequence;    /* increases by one from frame to frame */
    uint64_t mask;        /* XORed onto each 8 bytes after the header */
    struct cluster_id cluster;
    uint32_t checksum; /* of the header, which includes content_crc: identifies the frame */
};

/* Identifies an entry of Raft's log; all zero: the position before the first entry. */
struct wal_position {
    uint64_t index, term;
    uint32_t checksum;
};

struct wal_segment_info {
    uint64_t number;
    uint64_t bytes; /* size of the file */
    /* At the beginning of this segment, so that older segments can be removed. */
    struct wal_state state;
    struct wal_position last;
};

enum wal_record_type {
    WAL_STATE = 1,
    WAL_ENTRY = 2,
    WAL_TRUNCATE = 3, /* position: the last entry that is kept */
    WAL_RESET = 4,    /* position: the entry before the next */
};

struct wal_record {
    enum wal_record_type type;
    uint8_t entry_type;
    uint32_t len;
    struct wal_position position; /* WAL_ENTRY: its own */
    const uint8_t *data;          /* WAL_ENTRY: len bytes */
    struct wal_state state;       /* WAL_STATE */
};

/* --- frames --- */

/* The size of a frame, rounded up to whole sectors. */
size_t wal_extent(size_t payload_len);
/* Takes wal_extent(header->len) bytes: space for the header, the payload, zeros. Chooses and
 * applies the mask, computes the checksums and writes the header. */
void wal_seal(uint8_t *frame, struct wal_header *header);

enum wal_look {
    WAL_LOOK_FINE,
    WAL_LOOK_ZERO,    /* all zero */
    WAL_LOOK_VERSION, /* intact, but of an unsupported version */
    WAL_LOOK_DAMAGED,
};
/* Decodes the header of the frame that may begin in this sector. */
enum wal_look wal_header_decode(const uint8_t sector[FILE_SECTOR_BYTES],
                                struct wal_header *ret_header);
bool wal_is_zero(const uint8_t *data, size_t len);
/* Counts all-zero sectors after the first. A complete frame has none. */
size_t wal_missing_sectors(const uint8_t *frame, size_t extent);
/* Requires that content_crc was verified. */
void wal_unmask(uint8_t *frame, size_t extent, uint64_t mask);

void wal_segment_info_encode(const struct wal_segment_info *info,
                             uint8_t out[WAL_SEGMENT_INFO_SIZE]);
void wal_segment_info_decode(const uint8_t in[WAL_SEGMENT_INFO_SIZE],
                             struct wal_segment_info *ret_info);

/* --- records --- */

void wal_record_encode(struct buffer *b, const struct wal_record *record);
/* Decodes one record from at most `len` bytes. Returns NULL or a description of the error. */
const char *wal_record_decode(const uint8_t *data, size_t len, struct wal_record *ret_record,
                              size_t *ret_bytes);

/* --- applying records --- */

struct wal_tail {
    struct wal_state state;
    struct wal_position last; /* of the log */
};
/* Returns NULL, or why the record contradicts the log; then `tail` is unchanged. Both the reader
 * and the writer use this, so nothing can be written that a later start would refuse. */
const char *wal_tail_apply(struct wal_tail *tail, const struct wal_record *record);

/* --- names --- */

#define WAL_NAME_SIZE     24
#define WAL_NEW_TEMPORARY "log.new"
void wal_name(uint64_t number, char out[WAL_NAME_SIZE]);
bool wal_name_parse(const char *name, uint64_t *ret_number);

#endif
