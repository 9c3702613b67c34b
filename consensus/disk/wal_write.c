#include "consensus/disk/wal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/disk/wal_internal.h"
#include "server/base/check.h"
#include "server/base/mem.h"

/* The end of each segment is reserved: a term and a vote must find room on a full disk. */
#define RESERVE_BYTES_MAX (64u * 1024)
/* The next segment is allocated in steps of this size. */
#define STEP_BYTES_MAX (256u * 1024)

/* --- segments --- */

void wal_add_segment(struct wal *wal, const struct wal_segment *segment)
{
    CHECK(wal->count == 0 || segment->number == wal->segments[wal->count - 1].number + 1);
    if (wal->count == wal->capacity) {
        wal->capacity = wal->capacity > 0 ? 2 * wal->capacity : 8;
        wal->segments = mem_realloc(wal->segments, wal->capacity * sizeof *wal->segments);
    }
    wal->segments[wal->count++] = *segment;
}

void wal_count_bytes(struct wal *wal)
{
    uint64_t bytes = wal->spare_bytes;
    for (size_t i = 0; i < wal->count; i++) {
        bytes += wal->segments[i].bytes;
    }
    atomic_store_explicit(&wal->bytes_on_disk, bytes, memory_order_relaxed);
}

uint64_t wal_bytes(const struct wal *wal)
{
    return atomic_load_explicit(&wal->bytes_on_disk, memory_order_relaxed);
}

void wal_set_segment_bytes(struct wal *wal, uint32_t segment_bytes)
{
    CHECK(segment_bytes >= WAL_SEGMENT_BYTES_MIN);
    CHECK(segment_bytes % FILE_SECTOR_BYTES == 0);
    wal->segment_bytes = segment_bytes;
}

static const struct wal_segment *current(const struct wal *wal)
{
    CHECK(wal->count > 0);
    return &wal->segments[wal->count - 1];
}

/* Space was preallocated, so ENOSPC from a write or sync leaves an unknown state. */
static int as_fatal(int rc)
{
    return rc == -ENOSPC ? -EIO : rc;
}

static uint64_t reserve_of(uint64_t segment_bytes)
{
    uint64_t share = segment_bytes / 8 / FILE_SECTOR_BYTES * FILE_SECTOR_BYTES;
    return share < RESERVE_BYTES_MAX ? share : RESERVE_BYTES_MAX;
}

/* Whether a frame of this size fits, and a close frame after it. */
static bool fits(const struct wal *wal, size_t extent, bool reserve_too)
{
    uint64_t end = current(wal)->bytes - FILE_SECTOR_BYTES;
    if (!reserve_too) {
        end -= reserve_of(current(wal)->bytes);
    }
    return wal->at <= end && extent <= end - wal->at;
}

/* The size of a new segment that can hold this frame. */
static uint64_t size_for(const struct wal *wal, size_t extent)
{
    uint64_t ends = 2 * FILE_SECTOR_BYTES; /* first frame, close frame */
    if (extent + ends + reserve_of(wal->segment_bytes) <= wal->segment_bytes) {
        return wal->segment_bytes;
    }
    return extent + ends + RESERVE_BYTES_MAX;
}

/* --- the next segment --- */

/* Extends it to `bytes`. On -ENOSPC it keeps its size. */
static int spare_grow(struct wal *wal, uint64_t bytes)
{
    const struct files *files = wal->files;
    if (wal->spare_file == WAL_NO_FILE) {
        char name[WAL_NAME_SIZE];
        wal_name(current(wal)->number + 1, name);
        int rc = files->open(files->ctx, name, FILE_CREATE, &wal->spare_file);
        if (rc != 0) {
            wal->spare_file = WAL_NO_FILE;
            return rc;
        }
        wal->spare_bytes = wal->spare_synced = 0;
    }
    if (bytes <= wal->spare_bytes) {
        return 0;
    }
    int rc = files->preallocate(files->ctx, wal->spare_file, bytes);
    if (rc == 0) {
        wal->spare_bytes = bytes;
        wal_count_bytes(wal);
    }
    return rc;
}

static int spare_sync(struct wal *wal)
{
    const struct files *files = wal->files;
    if (wal->spare_synced == wal->spare_bytes) {
        return 0;
    }
    int rc = files->sync(files->ctx, wal->spare_file);
    if (rc == 0) {
        rc = files->sync_dir(files->ctx);
    }
    if (rc == 0) {
        wal->spare_synced = wal->spare_bytes;
    }
    return as_fatal(rc);
}

/* Spreads the cost: for each byte written to the second half of the current segment, allocates two
 * bytes of the next. */
static int spare_step(struct wal *wal)
{
    uint64_t half = current(wal)->bytes / 2;
    if (wal->at <= half || wal->spare_synced >= wal->segment_bytes) {
        return 0;
    }
    uint64_t step =
        wal->segment_bytes / 8 < STEP_BYTES_MAX ? wal->segment_bytes / 8 : STEP_BYTES_MAX;
    uint64_t want = (2 * (wal->at - half) / step + 2) * step;
    int rc = spare_grow(wal, want < wal->segment_bytes ? want : wal->segment_bytes);
    if (rc == 0 && wal->spare_bytes >= wal->segment_bytes) {
        rc = spare_sync(wal);
    }
    return rc == -ENOSPC ? 0 : rc;
}

/* Seals and durably writes the first frame of a segment. Returns 0 or a negative errno. */
MUST_USE static int write_segment_header(const struct files *files, int file,
                                         struct wal_header *header,
                                         const struct wal_segment_info *info)
{
    uint8_t frame[FILE_SECTOR_BYTES] = {0};
    header->kind = WAL_SEGMENT;
    header->len = WAL_SEGMENT_INFO_SIZE;
    CHECK(wal_extent(header->len) == sizeof frame);
    wal_segment_info_encode(info, frame + WAL_HEADER_BYTES);
    wal_seal(frame, header);
    return files->write(files->ctx, file, 0, frame, sizeof frame, true);
}

/* The close frame is the parent of the next segment's first frame, so it is sealed first. It is
 * written last, once its successor is durable. */
static int switch_segment(struct wal *wal, size_t extent)
{
    const struct files *files = wal->files;
    int rc = spare_grow(wal, size_for(wal, extent));
    if (rc != 0) {
        return rc;
    }
    rc = spare_sync(wal);
    if (rc != 0) {
        return rc;
    }
    uint64_t number = current(wal)->number + 1;
    uint8_t frame[FILE_SECTOR_BYTES] = {0};
    struct wal_header close = {.kind = WAL_CLOSE,
                               .len = WAL_CLOSE_INFO_SIZE,
                               .parent = wal->parent,
                               .sequence = wal->sequence + 1,
                               .cluster = wal->cluster};
    store_u64(frame + WAL_HEADER_BYTES, number);
    wal_seal(frame, &close);
    struct wal_header first = {
        .parent = close.checksum, .sequence = close.sequence + 1, .cluster = wal->cluster};
    struct wal_segment_info info = {.number = number,
                                    .bytes = wal->spare_bytes,
                                    .state = wal->tail.state,
                                    .last = wal->tail.last};
    rc = write_segment_header(files, wal->spare_file, &first, &info);
    if (rc == 0) {
        rc = files->write(files->ctx, wal->file, wal->at, frame, sizeof frame, true);
    }
    if (rc != 0) {
        return as_fatal(rc);
    }
    files->close(files->ctx, wal->file);
    wal->file = wal->spare_file;
    wal->spare_file = WAL_NO_FILE;
    wal_add_segment(wal, &(struct wal_segment){
                             .number = number, .bytes = info.bytes, .start = info.last.index});
    wal->spare_bytes = wal->spare_synced = 0;
    wal->at = FILE_SECTOR_BYTES;
    wal->sequence = first.sequence;
    wal->parent = first.checksum;
    return 0;
}

/* --- writing --- */

/* Returns the state after this frame. Aborts on a frame that a later start would refuse. */
static struct wal_tail check_frame(const struct wal *wal, const struct wal_frame *frame,
                                   bool *ret_state_only)
{
    struct wal_tail tail = wal->tail;
    const uint8_t *data = frame->bytes.data + WAL_HEADER_BYTES;
    size_t len = frame->bytes.len - WAL_HEADER_BYTES;
    *ret_state_only = true;
    for (uint32_t i = 0; i < frame->records; i++) {
        struct wal_record record;
        size_t bytes;
        const char *wrong = wal_record_decode(data, len, &record, &bytes);
        CHECK(wrong == NULL);
        wrong = wal_tail_apply(&tail, &record);
        CHECK(wrong == NULL);
        *ret_state_only = *ret_state_only && record.type == WAL_STATE;
        data += bytes;
        len -= bytes;
    }
    CHECK(len == 0);
    return tail;
}

static int make_room(struct wal *wal, size_t extent, bool state_only)
{
    if (fits(wal, extent, false)) {
        return 0;
    }
    int rc = switch_segment(wal, extent);
    return rc == -ENOSPC && state_only && fits(wal, extent, true) ? 0 : rc;
}

static int write_frame(struct wal *wal, struct wal_frame *frame, size_t extent)
{
    const struct files *files = wal->files;
    struct buffer *b = &frame->bytes;
    struct wal_header header = {.kind = WAL_RECORDS,
                                .len = (uint32_t)(b->len - WAL_HEADER_BYTES),
                                .records = frame->records,
                                .parent = wal->parent,
                                .sequence = wal->sequence + 1,
                                .cluster = wal->cluster};
    size_t padding = extent - b->len;
    bool has_room = buffer_reserve(b, padding);
    CHECK(has_room);
    memset(b->data + b->len, 0, padding);
    b->len = extent;
    wal_seal(b->data, &header);
    int rc = files->write(files->ctx, wal->file, wal->at, b->data, extent, true);
    if (rc != 0) {
        return as_fatal(rc);
    }
    wal->at += extent;
    wal->sequence = header.sequence;
    wal->parent = header.checksum;
    return 0;
}

int wal_write(struct wal *wal, struct wal_frame *frame)
{
    CHECK(!wal_frame_is_empty(frame));
    CHECK(!frame->bytes.overflowed);
    if (wal->failed) {
        return -EIO;
    }
    bool state_only;
    struct wal_tail tail = check_frame(wal, frame, &state_only);
    size_t extent = wal_extent(frame->bytes.len - WAL_HEADER_BYTES);
    int rc = make_room(wal, extent, state_only);
    if (rc == -ENOSPC) {
        return rc;
    }
    if (rc == 0) {
        rc = write_frame(wal, frame, extent);
    }
    if (rc == 0) {
        wal->tail = tail;
        rc = spare_step(wal);
    }
    wal->failed = rc != 0;
    return rc;
}

int wal_compact(struct wal *wal, uint64_t index)
{
    const struct files *files = wal->files;
    if (wal->failed) {
        return -EIO;
    }
    int rc = 0;
    /* Each removal is durable before the next one; otherwise a power loss could leave a gap. */
    while (rc == 0 && wal->count > 1 && wal->segments[1].start <= index) {
        char name[WAL_NAME_SIZE];
        wal_name(wal->segments[0].number, name);
        rc = files->unlink(files->ctx, name);
        if (rc == 0) {
            rc = files->sync_dir(files->ctx);
        }
        if (rc == 0) {
            wal->count--;
            memmove(wal->segments, wal->segments + 1, wal->count * sizeof *wal->segments);
        }
    }
    wal->failed = rc != 0;
    wal_count_bytes(wal);
    return as_fatal(rc);
}

/* --- creating and closing --- */

struct leftovers {
    const struct files *files;
    char (*names)[WAL_NAME_SIZE];
    size_t count;
};

static void note_leftover(void *data, const char *name, uint64_t bytes UNUSED)
{
    struct leftovers *l = data;
    uint64_t number;
    if (wal_name_parse(name, &number) || strcmp(name, WAL_NEW_TEMPORARY) == 0) {
        l->names = mem_realloc(l->names, (l->count + 1) * sizeof *l->names);
        memcpy(l->names[l->count++], name, strlen(name) + 1);
    }
}

static int remove_leftovers(const struct files *files)
{
    struct leftovers l = {.files = files};
    int rc = files->list(files->ctx, note_leftover, &l);
    for (size_t i = 0; i < l.count && rc == 0; i++) {
        rc = files->unlink(files->ctx, l.names[i]);
    }
    bool any = l.count > 0;
    free(l.names);
    return rc == 0 && any ? files->sync_dir(files->ctx) : rc;
}

static int fill_first(const struct files *files, int file, const struct cluster_id *cluster,
                      const struct wal_segment_info *info)
{
    int rc = files->preallocate(files->ctx, file, info->bytes);
    if (rc != 0) {
        return rc;
    }
    rc = files->sync(files->ctx, file);
    if (rc != 0) {
        return as_fatal(rc);
    }
    struct wal_header header = {.sequence = 1, .cluster = *cluster};
    return as_fatal(write_segment_header(files, file, &header, info));
}

int wal_create_sized(const struct files *files, const struct cluster_id *cluster,
                     const struct wal_state *state, uint32_t segment_bytes)
{
    CHECK(segment_bytes >= WAL_SEGMENT_BYTES_MIN && segment_bytes % FILE_SECTOR_BYTES == 0);
    CHECK(!cluster_id_is_none(cluster));
    int rc = remove_leftovers(files);
    if (rc != 0) {
        return rc;
    }
    int file;
    rc = files->open(files->ctx, WAL_NEW_TEMPORARY, FILE_CREATE, &file);
    if (rc != 0) {
        return rc;
    }
    struct wal_segment_info info = {.number = 1, .bytes = segment_bytes, .state = *state};
    rc = fill_first(files, file, cluster, &info);
    files->close(files->ctx, file);
    char name[WAL_NAME_SIZE];
    wal_name(info.number, name);
    if (rc == 0) {
        rc = files->rename(files->ctx, WAL_NEW_TEMPORARY, name);
    }
    return rc == 0 ? files->sync_dir(files->ctx) : rc;
}

int wal_create(const struct files *files, const struct cluster_id *cluster,
               const struct wal_state *state)
{
    return wal_create_sized(files, cluster, state, WAL_SEGMENT_BYTES);
}

void wal_close(struct wal *wal)
{
    if (wal == NULL) {
        return;
    }
    const struct files *files = wal->files;
    if (wal->file != WAL_NO_FILE) {
        files->close(files->ctx, wal->file);
    }
    if (wal->spare_file != WAL_NO_FILE) {
        files->close(files->ctx, wal->spare_file);
    }
    free(wal->segments);
    free(wal);
}
