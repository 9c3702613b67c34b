#include "consensus/disk/wal.h"
#include "consensus/disk/wal_format.h"
#include "server/base/check.h"

/* A larger buffer, left by an unusually large frame, is freed rather than reused. */
#define KEPT_BYTES_MAX (4u * 1024 * 1024)

void wal_frame_init(struct wal_frame *frame)
{
    *frame = (struct wal_frame){0};
    buffer_init(&frame->bytes, WAL_FRAME_BYTES_MAX);
}

void wal_frame_done(struct wal_frame *frame)
{
    buffer_done(&frame->bytes);
    wal_frame_init(frame);
}

void wal_frame_clear(struct wal_frame *frame)
{
    struct buffer bytes = frame->bytes;
    if (bytes.capacity > KEPT_BYTES_MAX) {
        buffer_done(&bytes);
    }
    buffer_clear(&bytes);
    *frame = (struct wal_frame){.bytes = bytes};
}

bool wal_frame_is_empty(const struct wal_frame *frame)
{
    return frame->records == 0;
}

static void add(struct wal_frame *frame, const struct wal_record *record)
{
    static const uint8_t room[WAL_HEADER_BYTES];
    if (frame->records == 0) {
        CHECK(frame->bytes.len == 0);
        buffer_append(&frame->bytes, room, sizeof room);
    }
    wal_record_encode(&frame->bytes, record);
    CHECK(!frame->bytes.overflowed);
    frame->records++;
}

void wal_frame_state(struct wal_frame *frame, const struct wal_state *state)
{
    add(frame, &(struct wal_record){.type = WAL_STATE, .state = *state});
}

void wal_frame_entry(struct wal_frame *frame, uint64_t index, const struct log_entry *entry)
{
    CHECK(index > 0);
    CHECK(frame->last_index == 0 || index == frame->last_index + 1);
    CHECK(entry->len <= UINT32_MAX);
    add(frame, &(struct wal_record){
                   .type = WAL_ENTRY,
                   .entry_type = entry->type,
                   .len = (uint32_t)entry->len,
                   .position = {.index = index, .term = entry->term, .checksum = entry->checksum},
                   .data = entry->data});
    if (frame->first_index == frame->end_index) {
        frame->first_index = index;
    }
    frame->end_index = index + 1;
    frame->last_index = index;
}

void wal_frame_truncate(struct wal_frame *frame, uint64_t index, uint64_t term, uint32_t checksum)
{
    CHECK(index > 0);
    CHECK(frame->last_index == 0 || index <= frame->last_index + 1);
    add(frame,
        &(struct wal_record){.type = WAL_TRUNCATE,
                             .position = {.index = index - 1, .term = term, .checksum = checksum}});
    if (frame->first_index >= index) {
        frame->first_index = frame->end_index = index;
    } else if (frame->end_index > index) {
        frame->end_index = index;
    }
    frame->last_index = index - 1;
}

void wal_frame_reset(struct wal_frame *frame, uint64_t index, uint64_t term, uint32_t checksum)
{
    CHECK(index > 0);
    add(frame,
        &(struct wal_record){.type = WAL_RESET,
                             .position = {.index = index, .term = term, .checksum = checksum}});
    frame->first_index = frame->end_index = index + 1;
    frame->last_index = index;
}
