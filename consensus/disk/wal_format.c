#include "consensus/disk/wal_format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "consensus/disk/name.h"
#include "server/base/check.h"
#include "server/base/crc32c.h"

/* Not valid UTF-8, so that text from a client can never look like a frame. */
static const uint8_t magic[4] = {0xff, 'M', 'W', 0xfe};

/* A sector with fewer bits set could become all zero, "missing", through a few bit flips. */
#define SECTOR_BITS_MIN 8
#define SECTOR_WORDS    (FILE_SECTOR_BYTES / 8)

/* Offsets in the header. */
enum {
    AT_VERSION = 4,
    AT_KIND = 6,
    AT_LEN = 8,
    AT_RECORDS = 12,
    AT_CONTENT_CRC = 16,
    AT_PARENT = 20,
    AT_SEQUENCE = 24,
    AT_MASK = 32,
    AT_CLUSTER = 40,
    AT_RESERVED = 56, /* zero */
    AT_CHECKSUM = 60,
};

/* --- frames --- */

size_t wal_extent(size_t payload_len)
{
    size_t len = WAL_HEADER_BYTES + payload_len;
    return (len + FILE_SECTOR_BYTES - 1) / FILE_SECTOR_BYTES * FILE_SECTOR_BYTES;
}

/* Whether the masked sector can be mistaken neither for a missing one nor for a frame header. */
static bool suits(const uint8_t *sector, uint64_t mask)
{
    uint8_t first[8];
    store_u64(first, load_u64(sector) ^ mask);
    if (memcmp(first, magic, sizeof magic) == 0) {
        return false;
    }
    int bits = 0;
    for (size_t i = 0; i < SECTOR_WORDS && bits < SECTOR_BITS_MIN; i++) {
        bits += __builtin_popcountll(load_u64(sector + 8 * i) ^ mask);
    }
    return bits >= SECTOR_BITS_MIN;
}

/* Terminates: candidates differ, also in their lower halves, and each sector excludes at most two.
 * Almost always 0. The step depends on the parent, so clients cannot predict the others. */
static uint64_t choose_mask(const uint8_t *frame, size_t extent, uint32_t parent)
{
    uint64_t step = 2 * (uint64_t)parent + 0x9e3779b97f4a7c15u;
    uint64_t mask = 0;
    for (size_t at = FILE_SECTOR_BYTES; at < extent;) {
        if (suits(frame + at, mask)) {
            at += FILE_SECTOR_BYTES;
        } else {
            mask += step;
            at = FILE_SECTOR_BYTES;
        }
    }
    return mask;
}

void wal_unmask(uint8_t *frame, size_t extent, uint64_t mask)
{
    for (size_t at = WAL_HEADER_BYTES; mask != 0 && at < extent; at += 8) {
        store_u64(frame + at, load_u64(frame + at) ^ mask);
    }
}

void wal_seal(uint8_t *frame, struct wal_header *header)
{
    size_t extent = wal_extent(header->len);
    header->mask = choose_mask(frame, extent, header->parent);
    wal_unmask(frame, extent, header->mask); /* XOR is its own inverse */
    header->content_crc = crc32c(0, frame + WAL_HEADER_BYTES, extent - WAL_HEADER_BYTES);
    memset(frame, 0, WAL_HEADER_BYTES);
    memcpy(frame, magic, sizeof magic);
    store_u16(frame + AT_VERSION, WAL_VERSION);
    store_u16(frame + AT_KIND, (uint16_t)header->kind);
    store_u32(frame + AT_LEN, header->len);
    store_u32(frame + AT_RECORDS, header->records);
    store_u32(frame + AT_CONTENT_CRC, header->content_crc);
    store_u32(frame + AT_PARENT, header->parent);
    store_u64(frame + AT_SEQUENCE, header->sequence);
    store_u64(frame + AT_MASK, header->mask);
    memcpy(frame + AT_CLUSTER, header->cluster.bytes, CLUSTER_ID_BYTES);
    header->checksum = crc32c(0, frame, AT_CHECKSUM);
    store_u32(frame + AT_CHECKSUM, header->checksum);
}

enum wal_look wal_header_decode(const uint8_t sector[FILE_SECTOR_BYTES],
                                struct wal_header *ret_header)
{
    if (wal_is_zero(sector, FILE_SECTOR_BYTES)) {
        return WAL_LOOK_ZERO;
    }
    if (memcmp(sector, magic, sizeof magic) != 0 ||
        load_u32(sector + AT_CHECKSUM) != crc32c(0, sector, AT_CHECKSUM)) {
        return WAL_LOOK_DAMAGED;
    }
    if (load_u16(sector + AT_VERSION) != WAL_VERSION) {
        return WAL_LOOK_VERSION;
    }
    struct wal_header header = {
        .len = load_u32(sector + AT_LEN),
        .records = load_u32(sector + AT_RECORDS),
        .content_crc = load_u32(sector + AT_CONTENT_CRC),
        .parent = load_u32(sector + AT_PARENT),
        .sequence = load_u64(sector + AT_SEQUENCE),
        .mask = load_u64(sector + AT_MASK),
        .checksum = load_u32(sector + AT_CHECKSUM),
    };
    uint16_t kind = load_u16(sector + AT_KIND);
    if (kind < WAL_SEGMENT || kind > WAL_CLOSE || load_u32(sector + AT_RESERVED) != 0) {
        return WAL_LOOK_DAMAGED;
    }
    header.kind = (enum wal_kind)kind;
    memcpy(header.cluster.bytes, sector + AT_CLUSTER, CLUSTER_ID_BYTES);
    *ret_header = header;
    return WAL_LOOK_FINE;
}

bool wal_is_zero(const uint8_t *data, size_t len)
{
    return len == 0 || (data[0] == 0 && memcmp(data, data + 1, len - 1) == 0);
}

size_t wal_missing_sectors(const uint8_t *frame, size_t extent)
{
    size_t missing = 0;
    for (size_t at = FILE_SECTOR_BYTES; at < extent; at += FILE_SECTOR_BYTES) {
        missing += wal_is_zero(frame + at, FILE_SECTOR_BYTES) ? 1 : 0;
    }
    return missing;
}

/* --- payloads --- */

static void state_encode(const struct wal_state *state, uint8_t out[WAL_STATE_BYTES])
{
    store_u64(out, state->term);
    store_u64(out + 8, state->vote);
    store_u64(out + 16, state->commit);
    store_u64(out + 24, state->boot);
}

static struct wal_state state_decode(const uint8_t in[WAL_STATE_BYTES])
{
    return (struct wal_state){.term = load_u64(in),
                              .vote = load_u64(in + 8),
                              .commit = load_u64(in + 16),
                              .boot = load_u64(in + 24)};
}

void wal_segment_info_encode(const struct wal_segment_info *info,
                             uint8_t out[WAL_SEGMENT_INFO_SIZE])
{
    store_u64(out, info->number);
    store_u64(out + 8, info->bytes);
    state_encode(&info->state, out + 16);
    store_u64(out + 48, info->last.index);
    store_u64(out + 56, info->last.term);
    store_u32(out + 64, info->last.checksum);
    store_u32(out + 68, 0);
}

void wal_segment_info_decode(const uint8_t in[WAL_SEGMENT_INFO_SIZE],
                             struct wal_segment_info *ret_info)
{
    *ret_info = (struct wal_segment_info){
        .number = load_u64(in),
        .bytes = load_u64(in + 8),
        .state = state_decode(in + 16),
        .last = {.index = load_u64(in + 48),
                 .term = load_u64(in + 56),
                 .checksum = load_u32(in + 64)},
    };
}

/* --- records --- */

static size_t padded(size_t len)
{
    return (len + 7) / 8 * 8;
}

void wal_record_encode(struct buffer *b, const struct wal_record *record)
{
    static const uint8_t zeros[8];
    uint8_t state[WAL_STATE_BYTES];
    bool is_state = record->type == WAL_STATE;
    const void *data = is_state ? state : record->data;
    size_t len = is_state ? sizeof state : record->len;
    if (is_state) {
        state_encode(&record->state, state);
    }
    buffer_append_byte(b, (uint8_t)record->type);
    buffer_append_byte(b, record->entry_type);
    buffer_append_u16(b, 0);
    buffer_append_u32(b, (uint32_t)len);
    buffer_append_u64(b, record->position.index);
    buffer_append_u64(b, record->position.term);
    buffer_append_u32(b, record->position.checksum);
    buffer_append_u32(b, 0);
    buffer_append(b, data, len);
    buffer_append(b, zeros, padded(len) - len);
}

const char *wal_record_decode(const uint8_t *data, size_t len, struct wal_record *ret_record,
                              size_t *ret_bytes)
{
    if (len < WAL_RECORD_BYTES) {
        return "a record is truncated";
    }
    struct wal_record record = {
        .entry_type = data[1],
        .len = load_u32(data + 4),
        .position = {.index = load_u64(data + 8),
                     .term = load_u64(data + 16),
                     .checksum = load_u32(data + 24)},
        .data = data + WAL_RECORD_BYTES,
    };
    uint8_t type = data[0];
    if (type < WAL_STATE || type > WAL_RESET || load_u16(data + 2) != 0 ||
        load_u32(data + 28) != 0 || (type != WAL_ENTRY && record.entry_type != 0)) {
        return "a record is of an unknown type";
    }
    record.type = (enum wal_record_type)type;
    size_t room = len - WAL_RECORD_BYTES;
    if (record.len > room || padded(record.len) > room) {
        return "a record is truncated";
    }
    if ((record.type == WAL_STATE && record.len != WAL_STATE_BYTES) ||
        (record.type > WAL_ENTRY && record.len != 0)) {
        return "a record has a wrong length";
    }
    if (record.type == WAL_STATE) {
        record.state = state_decode(record.data);
    }
    *ret_record = record;
    *ret_bytes = WAL_RECORD_BYTES + padded(record.len);
    return NULL;
}

/* --- applying records --- */

static const char *apply_state(struct wal_tail *tail, const struct wal_state *state)
{
    const struct wal_state *old = &tail->state;
    if (state->term < old->term) {
        return "the term decreases";
    }
    if (state->term == old->term && old->vote != 0 && state->vote != old->vote) {
        return "the vote changes within a term";
    }
    if (state->commit < old->commit) {
        return "the commit index decreases";
    }
    if (state->boot < old->boot) {
        return "the boot number decreases";
    }
    tail->state = *state;
    return NULL;
}

static const char *apply_entry(struct wal_tail *tail, const struct wal_record *record)
{
    const struct wal_position *last = &tail->last;
    if (record->position.index != last->index + 1) {
        return "an entry's index does not follow the previous entry's";
    }
    if (record->position.term < last->term) {
        return "an entry's term is lower than the previous entry's";
    }
    if (record->position.checksum != log_checksum(last->checksum, record->position.term,
                                                  record->entry_type, record->data, record->len)) {
        return "an entry's checksum does not follow from the previous entry's";
    }
    tail->last = record->position;
    return NULL;
}

const char *wal_tail_apply(struct wal_tail *tail, const struct wal_record *record)
{
    if (record->position.index > LOG_INDEX_MAX) {
        return "an index is out of range";
    }
    switch (record->type) {
    case WAL_STATE:
        return apply_state(tail, &record->state);
    case WAL_ENTRY:
        return apply_entry(tail, record);
    case WAL_TRUNCATE:
        if (record->position.index > tail->last.index) {
            return "a truncation begins beyond the end of the log";
        }
        if (record->position.term > tail->last.term) {
            return "a truncation raises the term of the last entry";
        }
        if (record->position.index < tail->state.commit) {
            return "committed entries are truncated";
        }
        break;
    case WAL_RESET:
        if (record->position.index < tail->state.commit) {
            return "a reset to an index below the commit index";
        }
        break;
    }
    tail->last = record->position;
    return NULL;
}

/* --- names --- */

void wal_name(uint64_t number, char out[WAL_NAME_SIZE])
{
    (void)snprintf(out, WAL_NAME_SIZE, "log-%016" PRIx64, number);
}

bool wal_name_parse(const char *name, uint64_t *ret_number)
{
    return strncmp(name, "log-", 4) == 0 && strlen(name) == 4 + NAME_DIGITS &&
           name_parse_digits(name + 4, ret_number);
}
