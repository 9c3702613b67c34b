/* What a faulty program, or another version, may have written is refused, though all its checksums
 * are valid. */
#include "server/base/crc32c.h"
#include "tests/unit/disk_fixture.h"

static int set_up(void **state)
{
    int rc = fixture_set_up(state);
    fixture_reopen(*state);
    return rc;
}

/* Appends a frame with valid checksums. */
static void put_frame(struct fixture *f, enum wal_kind kind, const struct buffer *payload,
                      uint32_t records)
{
    const char *name = "log-0000000000000001";
    uint8_t content[FIXTURE_SEGMENT];
    memcpy(content, files_content(f->disk, name), sizeof content);
    size_t sectors;
    uint64_t at = fixture_last_frame(f, &sectors);
    struct wal_header last;
    assert_int_equal(wal_header_decode(content + at, &last), WAL_LOOK_FINE);
    at += sectors * FILE_SECTOR_BYTES;
    struct wal_header h = {.kind = kind,
                           .len = (uint32_t)payload->len,
                           .records = records,
                           .sequence = last.sequence + 1,
                           .parent = last.checksum,
                           .cluster = f->cluster};
    if (payload->len > 0) {
        memcpy(content + at + WAL_HEADER_BYTES, payload->data, payload->len);
    }
    wal_seal(content + at, &h);
    files_put(f->disk, name, content, sizeof content);
}

static void assert_record_refused(struct fixture *f, const struct wal_record *record,
                                  const char *word)
{
    struct files_image *before = files_copy(f->disk);
    struct buffer b;
    buffer_init(&b, 1 << 16);
    wal_record_encode(&b, record);
    put_frame(f, WAL_RECORDS, &b, 1);
    fixture_assert_refused(f, word);
    buffer_done(&b);
    files_put_back(f->disk, before);
    files_image_destroy(before);
    fixture_reopen(f);
}

static void records_that_contradict_the_log_are_refused(void **state)
{
    struct fixture *f = *state;
    f->state = (struct wal_state){.term = 5, .vote = 3, .commit = 2, .boot = 4};
    fixture_add_state(f);
    fixture_write(f);
    fixture_write_entries(f, 3, 5, 20);
    struct wal_state s = f->state;
    s.term = 4;
    assert_record_refused(f, &(struct wal_record){.type = WAL_STATE, .state = s},
                          "the term decreases");
    s = f->state;
    s.vote = 9;
    assert_record_refused(f, &(struct wal_record){.type = WAL_STATE, .state = s},
                          "the vote changes within a term");
    s = f->state;
    s.commit = 1;
    assert_record_refused(f, &(struct wal_record){.type = WAL_STATE, .state = s},
                          "the commit index decreases");
    s = f->state;
    s.boot = 3;
    assert_record_refused(f, &(struct wal_record){.type = WAL_STATE, .state = s},
                          "the boot number decreases");
    assert_record_refused(f,
                          &(struct wal_record){.type = WAL_TRUNCATE,
                                               .position = {.index = 1, .term = 5, .checksum = 1}},
                          "committed entries are truncated");
    assert_record_refused(f,
                          &(struct wal_record){.type = WAL_TRUNCATE,
                                               .position = {.index = 4, .term = 5, .checksum = 1}},
                          "a truncation begins beyond the end");
    assert_record_refused(f,
                          &(struct wal_record){.type = WAL_TRUNCATE,
                                               .position = {.index = 2, .term = 5, .checksum = 1}},
                          "a truncation names an entry that is not in the log");
    assert_record_refused(
        f,
        &(struct wal_record){.type = WAL_RESET, .position = {.index = 1, .term = 5, .checksum = 1}},
        "below the commit index");
    assert_record_refused(f,
                          &(struct wal_record){.type = WAL_RESET,
                                               .position = {.index = LOG_INDEX_MAX + 1, .term = 5}},
                          "an index is out of range");
    struct wal_position next = {
        .index = 4, .term = 5, .checksum = log_checksum(log_last_checksum(&f->log), 5, 1, "a", 1)};
    struct wal_record entry = {.type = WAL_ENTRY,
                               .entry_type = 1,
                               .len = 1,
                               .position = next,
                               .data = (const uint8_t *)"a"};
    entry.position.index = 5;
    assert_record_refused(f, &entry, "an entry's index does not follow");
    entry.position = next;
    entry.position.term = 4;
    assert_record_refused(f, &entry, "an entry's term is lower");
    entry.position = next;
    entry.entry_type = 2;
    assert_record_refused(f, &entry, "an entry's checksum does not follow");
}

/* It is valid by itself, but not the next one. */
static void frame_that_does_not_follow_is_refused(void **state)
{
    struct fixture *f = *state;
    const char *name = "log-0000000000000001";
    fixture_write_entries(f, 2, 1, 20);
    uint8_t sound[FIXTURE_SEGMENT];
    memcpy(sound, files_content(f->disk, name), sizeof sound);
    size_t sectors;
    uint64_t at = fixture_last_frame(f, &sectors);
    for (int i = 0; i < 3; i++) {
        uint8_t content[FIXTURE_SEGMENT];
        memcpy(content, sound, sizeof content);
        struct wal_header h;
        assert_int_equal(wal_header_decode(content + at, &h), WAL_LOOK_FINE);
        h.parent += i == 1 ? 1 : 0;
        h.sequence += i == 2 ? 1 : 0;
        wal_unmask(content + at, wal_extent(h.len), h.mask);
        wal_seal(content + at, &h);
        files_put(f->disk, name, content, sizeof content);
        if (i == 0) {
            fixture_reopen(f);
        } else {
            fixture_assert_refused(f, "the frame does not follow the previous one");
        }
    }
}

static void frames_of_a_wrong_shape_are_refused(void **state)
{
    struct fixture *f = *state;
    struct buffer b;
    buffer_init(&b, 1 << 16);
    struct files_image *sound = files_copy(f->disk);
    put_frame(f, WAL_RECORDS, &b, 0);
    fixture_assert_refused(f, "the frame has a wrong length");
    files_put_back(f->disk, sound);
    put_frame(f, WAL_RECORDS, &b, 1);
    fixture_assert_refused(f, "a record is truncated");
    files_put_back(f->disk, sound);
    put_frame(f, WAL_SEGMENT, &b, 0);
    fixture_assert_refused(f, "unexpected kind of frame");
    files_put_back(f->disk, sound);
    buffer_append_u64(&b, 3);
    put_frame(f, WAL_CLOSE, &b, 0);
    fixture_assert_refused(f, "the wrong successor");
    files_put_back(f->disk, sound);
    buffer_clear(&b);
    wal_record_encode(&b, &(struct wal_record){.type = WAL_STATE, .state = f->state});
    buffer_append_u64(&b, 0);
    put_frame(f, WAL_RECORDS, &b, 1);
    fixture_assert_refused(f, "data after its last record");
    files_put_back(f->disk, sound);
    for (size_t i = 0; i < WAL_RECORD_BYTES; i++) {
        buffer_clear(&b);
        wal_record_encode(&b, &(struct wal_record){.type = WAL_STATE, .state = f->state});
        b.data[i] ^= 0x80;
        put_frame(f, WAL_RECORDS, &b, 1);
        if (i < 8 || i >= 28) { /* the bytes in between are not part of the state */
            fixture_assert_refused(f, "a record ");
        }
        files_put_back(f->disk, sound);
    }
    buffer_done(&b);
    files_image_destroy(sound);
    fixture_reopen(f);
}

static void another_version_is_refused(void **state)
{
    struct fixture *f = *state;
    uint8_t content[FIXTURE_SEGMENT];
    memcpy(content, files_content(f->disk, "log-0000000000000001"), sizeof content);
    store_u16(content + 4, WAL_VERSION + 1);
    store_u32(content + 60, crc32c(0, content, 60));
    files_put(f->disk, "log-0000000000000001", content, sizeof content);
    fixture_assert_refused(f, "this program does not support");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(records_that_contradict_the_log_are_refused),
        CASE(frame_that_does_not_follow_is_refused),
        CASE(frames_of_a_wrong_shape_are_refused),
        CASE(another_version_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
