/* The log on disk. The input selects its content, records, frames and segments, and damage to them;
 * checksums, sequence and chain are correct unless the input says otherwise. A refused log is not
 * touched; an accepted one can be written to, and is the same after the next start, with one more
 * entry. */
#include "consensus/disk/wal_format.h"
#include "tests/fuzz/disk.h"

#define SEGMENT      WAL_SEGMENT_BYTES_MIN
#define SEGMENTS_MAX 4

/* The log being made. */
struct maker {
    struct input in;
    uint8_t segments[SEGMENTS_MAX][SEGMENT];
    uint64_t count; /* of segments */
    size_t at;      /* in the last; where the next frame goes */
    size_t last_at; /* of the last frame */
    uint64_t sequence;
    uint32_t parent;
    struct wal_tail tail; /* as in a correct log */
};

static void put_frame(struct maker *m, enum wal_kind kind, const uint8_t *payload, size_t len,
                      uint32_t records)
{
    if (wal_extent(len) > SEGMENT - m->at) {
        return;
    }
    uint8_t *frame = m->segments[m->count - 1] + m->at;
    if (len > 0) {
        memcpy(frame + WAL_HEADER_BYTES, payload, len);
    }
    struct wal_header h = {.kind = kind,
                           .len = (uint32_t)len,
                           .records = records,
                           .parent = m->parent,
                           .sequence = ++m->sequence,
                           .cluster = fuzz_cluster};
    wal_seal(frame, &h);
    m->parent = h.checksum;
    m->last_at = m->at;
    m->at += wal_extent(len);
}

static void begin_segment(struct maker *m)
{
    if (m->count == SEGMENTS_MAX) {
        return;
    }
    uint8_t bytes[WAL_SEGMENT_INFO_SIZE];
    m->count++;
    m->at = 0;
    struct wal_segment_info info = {
        .number = m->count, .bytes = SEGMENT, .state = m->tail.state, .last = m->tail.last};
    wal_segment_info_encode(&info, bytes);
    put_frame(m, WAL_SEGMENT, bytes, sizeof bytes, 0);
}

static void close_segment(struct maker *m)
{
    uint8_t bytes[WAL_CLOSE_INFO_SIZE];
    store_u64(bytes, m->count + 1);
    put_frame(m, WAL_CLOSE, bytes, sizeof bytes, 0);
    begin_segment(m);
}

static void make_state(struct maker *m, struct wal_record *r)
{
    uint8_t what = input_u8(&m->in);
    r->state = m->tail.state;
    r->state.term += what & 3;
    r->state.vote = (what & 4) != 0 ? input_u8(&m->in) : r->state.vote;
    r->state.commit += (what & 8) != 0 ? input_u8(&m->in) % 8 : 0;
    r->state.boot += (what & 16) != 0 ? 1 : 0;
    if ((what & 32) != 0) {
        r->state.commit = input_u64(&m->in);
    }
}

/* One record. The tail follows if it is valid. */
static void make_record(struct maker *m, struct buffer *b)
{
    uint8_t data[256];
    uint8_t what = input_u8(&m->in);
    struct wal_record r = {.type = (enum wal_record_type)(1 + what % 4), .data = data};
    r.position = m->tail.last;
    switch (r.type) {
    case WAL_STATE:
        make_state(m, &r);
        break;
    case WAL_ENTRY:
        r.entry_type = input_u8(&m->in);
        r.len = input_u8(&m->in);
        input_bytes(&m->in, data, r.len);
        r.position.index++;
        r.position.term += what >> 6;
        r.position.checksum =
            log_checksum(m->tail.last.checksum, r.position.term, r.entry_type, data, r.len);
        break;
    case WAL_TRUNCATE:
        r.position.index -= input_u8(&m->in) % 8;
        break;
    case WAL_RESET:
        r.position.index += input_u8(&m->in);
        r.position.checksum = input_u32(&m->in);
        break;
    }
    if ((what & 8) != 0) { /* invalid */
        r.position.index += input_u8(&m->in);
        r.position.term += input_u8(&m->in);
        r.position.checksum += input_u8(&m->in);
    }
    wal_record_encode(b, &r);
    const char *ignored UNUSED = wal_tail_apply(&m->tail, &r);
}

static void make_frame(struct maker *m)
{
    struct buffer b;
    buffer_init(&b, SEGMENT / 2);
    uint8_t count = input_u8(&m->in) % 8;
    for (uint8_t i = 0; i < count; i++) {
        make_record(m, &b);
    }
    if (input_u8(&m->in) == 0xff) {
        buffer_append_u64(&b, input_u64(&m->in));
    }
    put_frame(m, WAL_RECORDS, b.data, b.len, count);
    buffer_done(&b);
}

/* Possible damage. */
static void spoil(struct maker *m)
{
    uint8_t *segment = m->segments[m->count - 1];
    uint8_t what = input_u8(&m->in);
    size_t at = (size_t)input_u8(&m->in) % (SEGMENT / FILE_SECTOR_BYTES) * FILE_SECTOR_BYTES;
    switch (what % 5) {
    case 0:
        memset(segment + at, 0, FILE_SECTOR_BYTES);
        break;
    case 1:
        memset(segment + m->last_at, 0, FILE_SECTOR_BYTES);
        break;
    case 2:
        input_bytes(&m->in, segment + at, 8);
        break;
    case 3:
        m->sequence++;
        break;
    case 4:
        m->at += m->at + FILE_SECTOR_BYTES < SEGMENT ? FILE_SECTOR_BYTES : 0;
        break;
    }
}

static void same_log(const struct log *a, const struct log *b)
{
    CHECK(log_first_index(a) == log_first_index(b) && log_last_index(a) == log_last_index(b));
    CHECK(log_last_term(a) == log_last_term(b) && log_last_checksum(a) == log_last_checksum(b));
    CHECK(a->bytes == b->bytes);
}

/* Adds an entry, and starts again. */
static void go_on(struct files_disk *disk, struct wal *wal, struct wal_loaded *loaded,
                  uint64_t snapshot_index)
{
    char error[256] = "";
    struct wal_loaded again;
    struct wal_frame frame;
    struct log *log = &loaded->log;
    wal_frame_init(&frame);
    uint64_t index = log_last_index(log) + 1;
    if (index < UINT64_MAX - 1) {
        (void)log_append(log, log_last_term(log), 1, "one more", 8);
        wal_frame_entry(&frame, index, log_get(log, index));
    }
    wal_frame_state(&frame, &loaded->state);
    CHECK(wal_write(wal, &frame) == 0);
    wal_frame_done(&frame);
    wal_close(wal);
    wal = wal_open(files_boot(disk), &fuzz_cluster, snapshot_index, &again, error, sizeof error);
    CHECK(wal != NULL);
    same_log(log, &again.log);
    CHECK(memcmp(&loaded->state, &again.state, sizeof again.state) == 0);
    log_done(&again.log);
    wal_close(wal);
}

static void try_log(struct files_disk *disk, uint64_t snapshot_index)
{
    char error[512] = "";
    struct wal_loaded loaded;
    struct wal *wal =
        wal_open(files_boot(disk), &fuzz_cluster, snapshot_index, &loaded, error, sizeof error);
    CHECK((wal == NULL) == (error[0] != '\0'));
    if (wal == NULL) {
        CHECK(fuzz_changes(disk) == 0);
        return;
    }
    wal_set_segment_bytes(wal, SEGMENT);
    CHECK(log_first_index(&loaded.log) <= snapshot_index + 1);
    go_on(disk, wal, &loaded, snapshot_index);
    log_done(&loaded.log);
}

static void put_segments(struct files_disk *disk, const struct maker *m)
{
    for (uint64_t i = 0; i < m->count; i++) {
        char name[WAL_NAME_SIZE];
        wal_name(i + 1, name);
        files_put(disk, name, m->segments[i], SEGMENT);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct files_disk *disk = fuzz_disk();
    files_put(disk, "log-0000000000000001", data, len);
    try_log(disk, 0);
    files_destroy(disk);

    struct maker *m = mem_zalloc(1, sizeof *m);
    m->in = (struct input){.at = data, .left = len};
    uint64_t snapshot_index = input_u8(&m->in);
    m->tail.last.index = input_u8(&m->in) % 4; /* of what was compacted */
    begin_segment(m);
    while (m->in.left > 0) {
        uint8_t what = input_u8(&m->in) % 16;
        if (what < 12) {
            make_frame(m);
        } else if (what < 14) {
            close_segment(m);
        } else {
            spoil(m);
        }
    }
    disk = fuzz_disk();
    put_segments(disk, m);
    try_log(disk, snapshot_index);
    files_destroy(disk);
    free(m);
    return 0;
}
