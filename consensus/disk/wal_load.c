#include "consensus/disk/wal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/disk/wal_internal.h"
#include "server/base/check.h"
#include "server/base/crc32c.h"
#include "server/base/mem.h"

#define PIECE_BYTES (1024u * 1024)

/* The part of the current file that is in memory. */
struct window {
    int file;
    uint64_t size; /* of the file */
    uint8_t *data;
    size_t capacity;
    uint64_t at;
    size_t len;
};

enum ending {
    ENDING_CLOSED,
    ENDING_OPEN, /* without a close frame */
};

struct loader {
    const struct files *files;
    const struct cluster_id *cluster;
    char *error;
    size_t error_size;
    struct wal *wal; /* as far as it was read */
    struct log log;
    struct window window;
    char name[WAL_NAME_SIZE];    /* of the current segment */
    uint64_t spare_number;       /* allocated but unused segment; 0: none */
    uint64_t mend_from, mend_to; /* incomplete last frame; equal: none */
};

/* Always returns false, so that callers can return it. */
PRINTF_LIKE(2, 3) static bool refuse(struct loader *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(l->error, l->error_size, format, args);
    va_end(args);
    return false;
}

static bool refuse_at(struct loader *l, uint64_t at, const char *what)
{
    return refuse(l, "%s is damaged at byte %" PRIu64 ": %s", l->name, at, what);
}

static bool refuse_io(struct loader *l, const char *verb, int rc)
{
    return refuse(l, "cannot %s %s: %s", verb, l->name, strerror(-rc));
}

/* --- reading --- */

/* Returns `len` bytes at `at`, which must lie inside the file. Only moves forward. */
static bool window_get(struct loader *l, uint64_t at, size_t len, uint8_t **ret_data)
{
    struct window *w = &l->window;
    CHECK(at + len <= w->size && at >= w->at);
    if (at + len > w->at + w->len) {
        size_t keep = at < w->at + w->len ? (size_t)(w->at + w->len - at) : 0;
        size_t want = w->size - at < PIECE_BYTES ? (size_t)(w->size - at) : PIECE_BYTES;
        want = want < len ? len : want;
        if (keep > 0) {
            memmove(w->data, w->data + (at - w->at), keep);
        }
        if (want > w->capacity) {
            w->data = mem_realloc(w->data, want);
            w->capacity = want;
        }
        uint64_t left = w->size - at - keep;
        size_t more = left < want - keep ? (size_t)left : want - keep;
        size_t got = 0;
        int rc = l->files->read(l->files->ctx, w->file, at + keep, w->data + keep, more, &got);
        if (rc != 0) {
            return refuse_io(l, "read", rc);
        }
        if (got < more) {
            return refuse_at(l, at + keep + got, "the file ends here");
        }
        w->at = at;
        w->len = keep + more;
    }
    *ret_data = w->data + (at - w->at);
    return true;
}

/* Scans the rest of the segment. *ret_end: the end of the last nonzero sector, or `at`. *ret_frame:
 * the position of the first intact frame header, or UINT64_MAX. */
static bool scan_rest(struct loader *l, uint64_t at, uint64_t *ret_end, uint64_t *ret_frame)
{
    uint64_t end = at;
    uint64_t frame = UINT64_MAX;
    while (at < l->window.size) {
        uint64_t left = l->window.size - at;
        size_t len = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
        uint8_t *data = NULL;
        if (!window_get(l, at, len, &data)) {
            return false;
        }
        for (size_t i = 0; i < len && !wal_is_zero(data + i, len - i);) {
            size_t part = len - i < FILE_SECTOR_BYTES ? len - i : FILE_SECTOR_BYTES;
            struct wal_header header;
            enum wal_look look =
                part == FILE_SECTOR_BYTES ? wal_header_decode(data + i, &header) : WAL_LOOK_DAMAGED;
            if ((look == WAL_LOOK_FINE || look == WAL_LOOK_VERSION) && frame == UINT64_MAX) {
                frame = at + i;
            }
            i += part;
            end = look != WAL_LOOK_ZERO ? at + i : end;
        }
        at += len;
    }
    *ret_end = end;
    *ret_frame = frame;
    return true;
}

/* --- frames --- */

/* Handles the end of the log: there is no frame at `at`, or an incomplete one, of size `extent` if
 * its header is intact (else 0). Nothing may follow it. */
static bool end_log(struct loader *l, uint64_t at, size_t extent)
{
    uint64_t from = at + (extent > 0 ? extent : FILE_SECTOR_BYTES);
    uint64_t end;
    uint64_t frame;
    if (!scan_rest(l, from, &end, &frame)) {
        return false;
    }
    if (frame == UINT64_MAX && extent > 0 && end > from) {
        frame = from;
    }
    if (frame != UINT64_MAX) {
        return refuse(l,
                      "%s is damaged at byte %" PRIu64
                      ": a frame is missing or incomplete, but data follows at byte %" PRIu64,
                      l->name, at, frame);
    }
    l->wal->at = at;
    l->mend_from = at;
    l->mend_to = extent == 0 && end == from ? at : end;
    return true;
}

static bool check_header(struct loader *l, uint64_t at, const struct wal_header *h)
{
    const struct wal *wal = l->wal;
    bool first_of_all = at == 0 && wal->count == 0;
    if (!cluster_id_equal(&h->cluster, l->cluster)) {
        char text[CLUSTER_ID_TEXT_SIZE];
        cluster_id_text(&h->cluster, text);
        return refuse(l, "%s belongs to another cluster, %s, at byte %" PRIu64, l->name, text, at);
    }
    if ((h->kind == WAL_SEGMENT) != (at == 0)) {
        return refuse_at(l, at, "unexpected kind of frame");
    }
    if (!first_of_all && (h->sequence != wal->sequence + 1 || h->parent != wal->parent)) {
        return refuse_at(l, at, "the frame does not follow the previous one (sequence or parent)");
    }
    uint64_t end = l->window.size - (h->kind == WAL_CLOSE ? 0 : FILE_SECTOR_BYTES);
    if (h->len > WAL_FRAME_BYTES_MAX || at > end || wal_extent(h->len) > end - at) {
        return refuse_at(l, at, "the frame exceeds the segment");
    }
    if ((h->kind == WAL_SEGMENT && h->len != WAL_SEGMENT_INFO_SIZE) ||
        (h->kind == WAL_CLOSE && h->len != WAL_CLOSE_INFO_SIZE) ||
        (h->kind == WAL_RECORDS) != (h->records > 0)) {
        return refuse_at(l, at, "the frame has a wrong length");
    }
    return true;
}

static bool truncate(struct loader *l, uint64_t at, const struct wal_position *last)
{
    struct wal_position there;
    if (last->index + 1 < log_first_index(&l->log)) {
        /* The segment that held this entry was compacted; the record has all that is needed. */
        log_reset(&l->log, last->index, last->term, last->checksum);
        return true;
    }
    if (!log_position(&l->log, last->index, &there.term, &there.checksum) ||
        there.term != last->term || there.checksum != last->checksum) {
        return refuse_at(l, at, "a truncation names an entry that is not in the log");
    }
    log_truncate(&l->log, last->index + 1);
    return true;
}

static bool apply(struct loader *l, uint64_t at, const struct wal_record *r)
{
    const char *wrong = wal_tail_apply(&l->wal->tail, r);
    if (wrong != NULL) {
        return refuse_at(l, at, wrong);
    }
    switch (r->type) {
    case WAL_STATE:
        break;
    case WAL_ENTRY:
        (void)log_append(&l->log, r->position.term, r->entry_type, r->data, r->len);
        break;
    case WAL_TRUNCATE:
        return truncate(l, at, &r->position);
    case WAL_RESET:
        log_reset(&l->log, r->position.index, r->position.term, r->position.checksum);
        break;
    }
    return true;
}

static bool read_records(struct loader *l, uint64_t at, const struct wal_header *h,
                         const uint8_t *frame)
{
    const uint8_t *data = frame + WAL_HEADER_BYTES;
    size_t len = h->len;
    for (uint32_t i = 0; i < h->records; i++) {
        struct wal_record record;
        size_t bytes;
        const char *wrong = wal_record_decode(data, len, &record, &bytes);
        if (wrong != NULL) {
            return refuse_at(l, at, wrong);
        }
        if (!apply(l, at, &record)) {
            return false;
        }
        data += bytes;
        len -= bytes;
    }
    return len == 0 || refuse_at(l, at, "a frame has data after its last record");
}

static bool read_segment_info(struct loader *l, const uint8_t *frame, uint64_t number)
{
    struct wal *wal = l->wal;
    struct wal_segment_info info;
    wal_segment_info_decode(frame + WAL_HEADER_BYTES, &info);
    if (info.number != number || info.last.index > LOG_INDEX_MAX) {
        return refuse_at(l, 0, "it contains another segment");
    }
    if (info.bytes != l->window.size) {
        return refuse(l, "%s is damaged: it is %" PRIu64 " bytes long, but was %" PRIu64, l->name,
                      l->window.size, info.bytes);
    }
    if (wal->count == 0) {
        wal->tail = (struct wal_tail){.state = info.state, .last = info.last};
        log_reset(&l->log, info.last.index, info.last.term, info.last.checksum);
    } else if (memcmp(&info.state, &wal->tail.state, sizeof info.state) != 0 ||
               info.last.index != wal->tail.last.index || info.last.term != wal->tail.last.term ||
               info.last.checksum != wal->tail.last.checksum) {
        return refuse_at(l, 0, "it does not continue the previous segment");
    }
    wal_add_segment(wal, &(struct wal_segment){
                             .number = number, .bytes = info.bytes, .start = info.last.index});
    return true;
}

/* Applies a frame whose header and content were verified. */
static bool take_frame(struct loader *l, uint64_t number, uint64_t at, const struct wal_header *h,
                       const uint8_t *frame)
{
    switch (h->kind) {
    case WAL_SEGMENT:
        if (!read_segment_info(l, frame, number)) {
            return false;
        }
        break;
    case WAL_RECORDS:
        if (!read_records(l, at, h, frame)) {
            return false;
        }
        break;
    case WAL_CLOSE:
        if (load_u64(frame + WAL_HEADER_BYTES) != number + 1) {
            return refuse_at(l, at, "the close frame names the wrong successor");
        }
        break;
    }
    l->wal->sequence = h->sequence;
    l->wal->parent = h->checksum;
    return true;
}

/* Reads and applies the frame at *at. *ret_ended: the segment ends here. */
static bool read_frame(struct loader *l, uint64_t number, uint64_t *at, bool *ret_ended,
                       enum ending *ret_ending)
{
    uint8_t *frame = NULL;
    *ret_ended = true;
    *ret_ending = ENDING_OPEN;
    if (*at + FILE_SECTOR_BYTES > l->window.size) {
        return refuse_at(l, *at,
                         *at == 0 ? "the file is too short"
                                  : "the segment is full but has no close frame");
    }
    if (!window_get(l, *at, FILE_SECTOR_BYTES, &frame)) {
        return false;
    }
    struct wal_header h;
    switch (wal_header_decode(frame, &h)) {
    case WAL_LOOK_FINE:
        break;
    case WAL_LOOK_ZERO:
        return *at > 0 ? end_log(l, *at, 0) : refuse_at(l, 0, "the first frame is missing");
    case WAL_LOOK_VERSION:
        return refuse(l, "%s has a format version that this program does not support", l->name);
    case WAL_LOOK_DAMAGED:
        return refuse_at(l, *at, "wrong checksum of a frame header");
    }
    if (!check_header(l, *at, &h)) {
        return false;
    }
    size_t extent = wal_extent(h.len);
    if (!window_get(l, *at, extent, &frame)) {
        return false;
    }
    if (crc32c(0, frame + WAL_HEADER_BYTES, extent - WAL_HEADER_BYTES) != h.content_crc) {
        return wal_missing_sectors(frame, extent) > 0
                   ? end_log(l, *at, extent)
                   : refuse_at(l, *at, "wrong checksum of a frame");
    }
    wal_unmask(frame, extent, h.mask);
    if (!take_frame(l, number, *at, &h, frame)) {
        return false;
    }
    *at += extent;
    *ret_ended = h.kind == WAL_CLOSE;
    *ret_ending = *ret_ended ? ENDING_CLOSED : ENDING_OPEN;
    return true;
}

/* --- segments --- */

static bool open_segment(struct loader *l, uint64_t number, uint64_t bytes)
{
    wal_name(number, l->name);
    l->window.size = bytes;
    l->window.at = 0;
    l->window.len = 0;
    int rc = l->files->open(l->files->ctx, l->name, FILE_READ, &l->window.file);
    return rc == 0 || refuse_io(l, "open", rc);
}

static bool read_segment(struct loader *l, uint64_t number, uint64_t bytes, enum ending *ret_ending)
{
    if (!open_segment(l, number, bytes)) {
        return false;
    }
    bool fine = true;
    bool ended = false;
    for (uint64_t at = 0; fine && !ended;) {
        fine = read_frame(l, number, &at, &ended, ret_ending);
    }
    l->files->close(l->files->ctx, l->window.file);
    return fine;
}

/* Checks the successor of an open segment: preallocated, it has at most a first frame. */
static bool check_spare(struct loader *l, uint64_t number, uint64_t bytes)
{
    if (!open_segment(l, number, bytes)) {
        return false;
    }
    size_t first = bytes < FILE_SECTOR_BYTES ? (size_t)bytes : FILE_SECTOR_BYTES;
    uint8_t *data = NULL;
    struct wal_header header;
    uint64_t end = 0;
    uint64_t frame;
    bool fine = window_get(l, 0, first, &data);
    bool unused =
        fine && (wal_is_zero(data, first) ||
                 (first == FILE_SECTOR_BYTES && wal_header_decode(data, &header) == WAL_LOOK_FINE &&
                  header.kind == WAL_SEGMENT && cluster_id_equal(&header.cluster, l->cluster)));
    fine = fine && scan_rest(l, first, &end, &frame);
    l->files->close(l->files->ctx, l->window.file);
    if (fine && (!unused || end > first)) {
        return refuse(
            l, "%s is damaged: it is in use although the previous segment has no close frame",
            l->name);
    }
    l->spare_number = number;
    return fine;
}

struct found {
    struct wal_segment *segments;
    size_t count;
};

static void note_segment(void *data, const char *name, uint64_t bytes)
{
    struct found *f = data;
    uint64_t number;
    if (wal_name_parse(name, &number)) {
        f->segments = mem_realloc(f->segments, (f->count + 1) * sizeof *f->segments);
        f->segments[f->count++] = (struct wal_segment){.number = number, .bytes = bytes};
    }
}

static int by_number(const void *a, const void *b)
{
    const struct wal_segment *x = a;
    const struct wal_segment *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static bool read_all(struct loader *l, const struct found *f)
{
    if (f->count == 0) {
        return refuse(l, "the log (log-...) is missing");
    }
    for (size_t i = 0; i < f->count; i++) {
        uint64_t number = f->segments[i].number;
        uint64_t bytes = f->segments[i].bytes;
        if (i > 0 && number != f->segments[i - 1].number + 1) {
            wal_name(f->segments[i - 1].number + 1, l->name);
            return refuse(l, "%s is missing", l->name);
        }
        enum ending ending;
        if (!read_segment(l, number, bytes, &ending)) {
            return false;
        }
        bool last = i + 1 == f->count;
        if (ending == ENDING_CLOSED && last) {
            wal_name(number + 1, l->name);
            return refuse(l, "%s is missing", l->name);
        }
        if (ending == ENDING_OPEN && !last) {
            if (i + 2 < f->count || f->segments[i + 1].number != number + 1) {
                return refuse_at(
                    l, l->wal->at,
                    "the segment ends here without a close frame, but later segments exist");
            }
            l->wal->spare_bytes = f->segments[i + 1].bytes;
            return check_spare(l, number + 1, f->segments[i + 1].bytes);
        }
    }
    return true;
}

static bool check_range(struct loader *l, uint64_t snapshot_index)
{
    uint64_t begins = log_first_index(&l->log);
    uint64_t last = log_last_index(&l->log);
    uint64_t commit = l->wal->tail.state.commit;
    if (begins > snapshot_index + 1) {
        return refuse(l,
                      "the log begins with entry %" PRIu64 ", but the newest snapshot holds "
                      "entries only up to %" PRIu64,
                      begins, snapshot_index);
    }
    if (commit > last && commit > snapshot_index) {
        return refuse(l,
                      "the log ends with entry %" PRIu64 ", though entries up to %" PRIu64
                      " were committed",
                      last, commit);
    }
    return true;
}

/* --- preparing to write --- */

static int write_zeros(const struct files *files, int file, uint64_t from, uint64_t to)
{
    uint8_t *zeros = mem_zalloc(1, PIECE_BYTES);
    int rc = 0;
    while (from < to && rc == 0) {
        size_t len = to - from < PIECE_BYTES ? (size_t)(to - from) : PIECE_BYTES;
        rc = files->write(files->ctx, file, from, zeros, len, true);
        from += len;
    }
    free(zeros);
    return rc;
}

/* If only the process died, some of what was read may exist only in the page cache. Sync it before
 * anybody relies on it; only the last two segments can be affected. */
static bool settle(struct loader *l)
{
    struct wal *wal = l->wal;
    const struct files *files = l->files;
    for (size_t i = wal->count < 2 ? 0 : wal->count - 2; i < wal->count; i++) {
        if (wal->file != WAL_NO_FILE) {
            files->close(files->ctx, wal->file);
            wal->file = WAL_NO_FILE;
        }
        wal_name(wal->segments[i].number, l->name);
        int rc = files->open(files->ctx, l->name, FILE_WRITE, &wal->file);
        if (rc != 0) {
            wal->file = WAL_NO_FILE;
            return refuse_io(l, "open", rc);
        }
        rc = files->sync(files->ctx, wal->file);
        if (rc != 0) {
            return refuse_io(l, "sync", rc);
        }
    }
    int rc = write_zeros(files, wal->file, l->mend_from, l->mend_to);
    if (rc != 0) {
        return refuse_io(l, "write", rc);
    }
    rc = files->sync_dir(files->ctx);
    if (rc != 0) {
        return refuse(l, "cannot sync the directory: %s", strerror(-rc));
    }
    if (l->spare_number != 0) {
        wal_name(l->spare_number, l->name);
        rc = files->open(files->ctx, l->name, FILE_WRITE, &wal->spare_file);
        if (rc != 0) {
            wal->spare_file = WAL_NO_FILE;
            return refuse_io(l, "open", rc);
        }
    }
    return true;
}

struct wal *wal_open(const struct files *files, const struct cluster_id *cluster,
                     uint64_t snapshot_index, struct wal_loaded *ret_loaded, char *error,
                     size_t error_size)
{
    struct wal *wal = mem_zalloc(1, sizeof *wal);
    wal->files = files;
    wal->cluster = *cluster;
    wal->segment_bytes = WAL_SEGMENT_BYTES;
    wal->file = wal->spare_file = WAL_NO_FILE;
    struct loader l = {
        .files = files, .cluster = cluster, .error = error, .error_size = error_size, .wal = wal};
    log_init(&l.log);
    struct found found = {0};
    int rc = files->list(files->ctx, note_segment, &found);
    if (found.count > 0) {
        qsort(found.segments, found.count, sizeof *found.segments, by_number);
    }
    bool fine = rc == 0 ? read_all(&l, &found) && check_range(&l, snapshot_index) && settle(&l)
                        : refuse(&l, "cannot list the directory: %s", strerror(-rc));
    free(found.segments);
    free(l.window.data);
    if (!fine) {
        log_done(&l.log);
        wal_close(wal);
        return NULL;
    }
    wal_count_bytes(wal);
    *ret_loaded = (struct wal_loaded){.state = wal->tail.state, .log = l.log};
    return wal;
}
