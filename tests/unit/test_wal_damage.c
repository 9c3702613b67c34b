/* Damage to the log is refused, or has no effect; and a refused start changes nothing on disk. An
 * incomplete last frame is distinguished from damage. */
#include <errno.h>
#include <inttypes.h>

#include "consensus/disk/wal_format.h"
#include "tests/unit/disk_fixture.h"

struct damaged {
    struct fixture f;
    struct files_image *sound;
    uint64_t refused, same;
};

static uint64_t changes_of(const struct files_disk *disk)
{
    return files_count(disk, FILES_WRITE) + files_count(disk, FILES_PREALLOCATE) +
           files_count(disk, FILES_RENAME) + files_count(disk, FILES_UNLINK);
}

static int set_up(void **state)
{
    struct damaged *d = mem_zalloc(1, sizeof *d);
    fixture_init(&d->f, 5);
    fixture_reopen(&d->f);
    *state = d;
    return 0;
}

static int tear_down(void **state)
{
    struct damaged *d = *state;
    files_image_destroy(d->sound);
    fixture_done(&d->f);
    free(d);
    return 0;
}

/* An entry of zeros and a single set bit; flipping it could make the sector look missing. */
static void write_thin_entry(struct fixture *f, size_t len)
{
    uint8_t *data = mem_zalloc(1, len);
    data[len / 2] = 1;
    (void)log_append(&f->log, log_last_term(&f->log), 1, data, len);
    free(data);
    uint64_t index = log_last_index(&f->log);
    wal_frame_entry(&f->frame, index, log_get(&f->log, index));
    fixture_write(f);
}

/* Two closed segments, an open one, and a spare one; all kinds of records. */
static void fill(struct damaged *d)
{
    struct fixture *f = &d->f;
    f->state.term = 3;
    f->state.vote = 8;
    fixture_add_state(f);
    fixture_write(f);
    fixture_write_entries(f, 5, 3, 800);
    fixture_commit(f, 4);
    fixture_add_truncate(f, 5);
    fixture_add_entry(f, 4, 700);
    fixture_write(f);
    fixture_write_entries(f, 2, 4, 900);
    fixture_add_entry(f, 4, 10);
    fixture_add_entry(f, 4, 2000);
    fixture_write(f);
    fixture_commit(f, 7);
    while (files_size(f->disk, "log-0000000000000003") != FIXTURE_SEGMENT) {
        fixture_write_entries(f, 1, 4, 300);
    }
    while (files_size(f->disk, "log-0000000000000004") == UINT64_MAX) {
        fixture_write_entries(f, 1, 4, 100);
        write_thin_entry(f, 1200);
    }
    d->sound = files_copy(f->disk);
    assert_int_equal(files_size(f->disk, "log-0000000000000003"), FIXTURE_SEGMENT);
    assert_int_not_equal(files_size(f->disk, "log-0000000000000004"), UINT64_MAX);
    assert_int_equal(files_size(f->disk, "log-0000000000000005"), UINT64_MAX);
}

/* Starts on the damaged directory: refused, or as if undamaged. Then restores the sound one. */
static void judge(struct damaged *d)
{
    struct fixture *f = &d->f;
    struct wal_loaded loaded;
    uint64_t changes = changes_of(f->disk);
    if (fixture_try_open(f, &loaded)) {
        d->same++;
        assert_true(fixture_same_state(&loaded.state, &f->state));
        fixture_assert_same_log(&loaded.log, &f->log);
        log_done(&loaded.log);
        files_put_back(f->disk, d->sound);
    } else {
        d->refused++;
        assert_int_equal(changes_of(f->disk), changes);
        assert_non_null(strstr(f->error, "log"));
    }
}

static void any_flipped_bit_is_refused_or_changes_nothing(void **state)
{
    struct damaged *d = *state;
    struct files_disk *disk = d->f.disk;
    fill(d);
    for (size_t i = 0; i < files_name_count(disk); i++) {
        char name[FILES_NAME_SIZE];
        (void)snprintf(name, sizeof name, "%s", files_name(disk, i));
        for (uint64_t bit = 0; bit < files_size(disk, name) * 8; bit++) {
            files_flip_bit(disk, name, bit);
            uint64_t refused = d->refused;
            judge(d);
            if (d->refused > refused) {
                files_flip_bit(disk, name, bit);
            }
        }
    }
    print_message("%" PRIu64 " bits: %" PRIu64 " refused, %" PRIu64 " changed nothing\n",
                  d->refused + d->same, d->refused, d->same);
    assert_true(d->refused > 3 * 8 * 5000);
}

static void flipped_bit_of_a_large_log_is_refused_or_changes_nothing(void **state)
{
    struct damaged *d = *state;
    struct fixture *f = &d->f;
    wal_set_segment_bytes(f->wal, 1024 * 1024);
    fixture_write_entries(f, 300, 1, 20000);
    d->sound = files_copy(f->disk);
    for (int i = 0; i < 300; i++) {
        char name[FILES_NAME_SIZE];
        size_t which = (size_t)(fixture_random(&f->chance) % files_name_count(f->disk));
        (void)snprintf(name, sizeof name, "%s", files_name(f->disk, which));
        uint64_t bit = fixture_random(&f->chance) % (files_size(f->disk, name) * 8);
        files_flip_bit(f->disk, name, bit);
        uint64_t refused = d->refused;
        judge(d);
        if (d->refused > refused) {
            files_flip_bit(f->disk, name, bit);
        }
    }
    assert_true(d->refused > 200);
}

static void file_cut_short_is_refused_or_changes_nothing(void **state)
{
    struct damaged *d = *state;
    struct files_disk *disk = d->f.disk;
    fill(d);
    uint64_t cuts = 0;
    for (uint64_t number = 1; number <= 4; number++) {
        char name[WAL_NAME_SIZE];
        wal_name(number, name);
        uint64_t size = files_size(disk, name);
        for (uint64_t bytes = 0; bytes < size; bytes += FILE_SECTOR_BYTES / 4) {
            files_cut(disk, name, bytes);
            uint64_t refused = d->refused;
            judge(d);
            /* A spare segment may have any length. */
            assert_int_equal(d->refused - refused, number < 4 ? 1 : 0);
            files_put_back(disk, d->sound);
            cuts++;
        }
    }
    assert_true(cuts > 200);
}

static void missing_segment_is_refused(void **state)
{
    struct damaged *d = *state;
    fill(d);
    for (uint64_t number = 1; number <= 3; number++) {
        char name[WAL_NAME_SIZE];
        wal_name(number, name);
        files_remove(d->f.disk, name);
        fixture_assert_refused(&d->f, number == 1 ? "the log begins with entry" : "is missing");
        files_put_back(d->f.disk, d->sound);
    }
    files_remove(d->f.disk, "log-0000000000000004"); /* only preallocated */
    fixture_reopen(&d->f);
    files_remove(d->f.disk, "log-0000000000000003");
    fixture_assert_refused(&d->f, "log-0000000000000003 is missing");
}

static void frames_behind_a_segment_that_is_not_closed_are_refused(void **state)
{
    struct damaged *d = *state;
    struct fixture *f = &d->f;
    const char *second = "log-0000000000000002";
    while (files_size(f->disk, second) == UINT64_MAX) {
        fixture_write_entries(f, 1, 1, 700);
    }
    /* Preallocated, with any length; or with a first frame. */
    struct wal_header h = {.kind = WAL_SEGMENT, .len = 8, .sequence = 99, .cluster = f->cluster};
    uint8_t spare[FIXTURE_SEGMENT] = {0};
    for (size_t len = 0; len < sizeof spare; len += 100) {
        files_put(f->disk, second, spare, len);
        fixture_reopen(f);
    }
    wal_seal(spare, &h);
    files_put(f->disk, second, spare, sizeof spare);
    fixture_reopen(f);
    /* Anything else comes from a segment that was in use. */
    const char *word = "it is in use although the previous segment has no close frame";
    for (size_t at = FILE_SECTOR_BYTES; at < sizeof spare; at += 777) {
        spare[at] = 1;
        files_put(f->disk, second, spare, sizeof spare);
        fixture_assert_refused(f, word);
        spare[at] = 0;
    }
    memset(spare, 0, sizeof spare);
    spare[100] = 1;
    files_put(f->disk, second, spare, sizeof spare);
    fixture_assert_refused(f, word);
    files_put(f->disk, second, spare, 300);
    fixture_assert_refused(f, word);
    memset(spare, 0, sizeof spare);
    h.kind = WAL_RECORDS;
    wal_seal(spare, &h);
    files_put(f->disk, second, spare, sizeof spare);
    fixture_assert_refused(f, word);
    h.kind = WAL_SEGMENT;
    h.cluster.bytes[0]++;
    memset(spare, 0, sizeof spare);
    wal_seal(spare, &h);
    files_put(f->disk, second, spare, sizeof spare);
    fixture_assert_refused(f, word);
}

/* The close frame was lost, though the next segment is in use. */
static void segment_that_lost_its_close_frame_is_refused(void **state)
{
    struct damaged *d = *state;
    struct fixture *f = &d->f;
    const char *first = "log-0000000000000001";
    while (wal_bytes(f->wal) < 2 * FIXTURE_SEGMENT) {
        fixture_write_entries(f, 1, 1, 700);
    }
    fixture_write_entries(f, 5, 1, 700);
    size_t sectors;
    uint64_t at = fixture_last_frame(f, &sectors);
    uint8_t segment[FIXTURE_SEGMENT];
    memcpy(segment, files_content(f->disk, first), sizeof segment);
    memset(segment + at, 0, FILE_SECTOR_BYTES);
    files_put(f->disk, first, segment, sizeof segment);
    files_remove(f->disk, "log-0000000000000003");
    fixture_assert_refused(f, "it is in use although the previous segment has no close frame");
}

/* As from a device that writes to the wrong sector, or not at all. */
static void sector_in_the_place_of_another_is_refused_or_changes_nothing(void **state)
{
    struct damaged *d = *state;
    struct files_disk *disk = d->f.disk;
    fill(d);
    char name[WAL_NAME_SIZE];
    for (uint64_t number = 1; number <= 3; number++) {
        wal_name(number, name);
        size_t sectors = (size_t)files_size(disk, name) / FILE_SECTOR_BYTES;
        uint8_t sound[FIXTURE_SEGMENT];
        memcpy(sound, files_content(disk, name), sizeof sound);
        for (size_t i = 0; i < sectors * sectors; i++) {
            const uint8_t *from = sound + i % sectors * FILE_SECTOR_BYTES;
            uint8_t changed[FIXTURE_SEGMENT];
            memcpy(changed, sound, sizeof sound);
            memcpy(changed + i / sectors * FILE_SECTOR_BYTES, from, FILE_SECTOR_BYTES);
            /* A sector of zeros in the last frame counts as never written. */
            if (number == 3 && wal_is_zero(from, FILE_SECTOR_BYTES)) {
                continue;
            }
            files_put(disk, name, changed, sizeof changed);
            judge(d);
            files_put(disk, name, sound, sizeof sound);
        }
    }
    assert_true(d->refused > 500);
}

static void segment_in_the_place_of_another_is_refused(void **state)
{
    struct damaged *d = *state;
    struct files_disk *disk = d->f.disk;
    fill(d);
    char name[WAL_NAME_SIZE];
    char other[WAL_NAME_SIZE];
    for (uint64_t i = 0; i < 9; i++) {
        wal_name(i % 3 + 1, name);
        wal_name(i / 3 + 1, other);
        files_put(disk, name, files_content(disk, other), FIXTURE_SEGMENT);
        uint64_t refused = d->refused;
        judge(d);
        assert_int_equal(d->refused - refused, i % 3 == i / 3 ? 0 : 1);
        files_put_back(disk, d->sound);
    }
}

static void older_copy_of_a_closed_segment_is_refused(void **state)
{
    struct damaged *d = *state;
    struct fixture *f = &d->f;
    fixture_write_entries(f, 2, 1, 500);
    struct files_image *old = files_copy(f->disk);
    fixture_write_entries(f, 20, 1, 1000);
    d->sound = files_copy(f->disk);
    files_put_back(f->disk, old);
    uint8_t segment[FIXTURE_SEGMENT];
    memcpy(segment, files_content(f->disk, "log-0000000000000001"), sizeof segment);
    files_put_back(f->disk, d->sound);
    files_put(f->disk, "log-0000000000000001", segment, sizeof segment);
    fixture_assert_refused(f, "without a close frame, but later segments exist");
    files_image_destroy(old);
}

/* --- an incomplete last frame --- */

/* Every subset of its sectors: the frame is there if all are; otherwise it is erased, and the log
 * continues. */
static void frame_that_lacks_any_sectors_is_mended(void **state)
{
    struct damaged *d = *state;
    struct fixture *f = &d->f;
    fixture_write_entries(f, 3, 1, 100);
    write_thin_entry(f, 2400);
    size_t sectors;
    uint64_t at = fixture_last_frame(f, &sectors);
    assert_true(sectors >= 5 && sectors < 8);
    uint8_t whole[FIXTURE_SEGMENT];
    memcpy(whole, files_content(f->disk, "log-0000000000000001"), sizeof whole);
    log_truncate(&f->log, 4);
    for (unsigned set = 0; set + 1 < 1u << sectors; set++) {
        uint8_t torn[FIXTURE_SEGMENT];
        memcpy(torn, whole, sizeof torn);
        for (size_t i = 0; i < sectors; i++) {
            if ((set >> i & 1) == 0) {
                memset(torn + at + i * FILE_SECTOR_BYTES, 0, FILE_SECTOR_BYTES);
            }
        }
        files_put(f->disk, "log-0000000000000001", torn, sizeof torn);
        fixture_reopen(f);
        const uint8_t *content = files_content(f->disk, "log-0000000000000001");
        assert_true(wal_is_zero(content + at, sizeof torn - at));
        fixture_write_entries(f, 2, 1, 300);
        fixture_reopen(f);
        log_truncate(&f->log, 4);
    }
}

static void frame_that_lacks_sectors_before_another_is_refused(void **state)
{
    struct damaged *d = *state;
    struct fixture *f = &d->f;
    fixture_write_entries(f, 2, 1, 1200);
    size_t sectors;
    uint64_t at = fixture_last_frame(f, &sectors);
    fixture_write_entries(f, 1, 1, 10);
    uint8_t whole[FIXTURE_SEGMENT];
    memcpy(whole, files_content(f->disk, "log-0000000000000001"), sizeof whole);
    for (unsigned set = 0; set + 1 < 1u << sectors; set++) {
        uint8_t torn[FIXTURE_SEGMENT];
        memcpy(torn, whole, sizeof torn);
        for (size_t i = 0; i < sectors; i++) {
            if ((set >> i & 1) == 0) {
                memset(torn + at + i * FILE_SECTOR_BYTES, 0, FILE_SECTOR_BYTES);
            }
        }
        files_put(f->disk, "log-0000000000000001", torn, sizeof torn);
        fixture_assert_refused(f, "a frame is missing or incomplete, but data follows");
    }
}

static void bit_flipped_in_a_torn_frame_is_refused_or_mended(void **state)
{
    struct damaged *d = *state;
    struct fixture *f = &d->f;
    fixture_write_entries(f, 3, 1, 100);
    size_t sectors;
    fixture_write_entries(f, 1, 1, 1400);
    uint64_t at = fixture_last_frame(f, &sectors);
    uint8_t torn[FIXTURE_SEGMENT];
    memcpy(torn, files_content(f->disk, "log-0000000000000001"), sizeof torn);
    memset(torn + at + FILE_SECTOR_BYTES, 0, FILE_SECTOR_BYTES);
    log_truncate(&f->log, 4);
    files_put(f->disk, "log-0000000000000001", torn, sizeof torn);
    d->sound = files_copy(f->disk);
    for (uint64_t bit = at * 8; bit < (at + sectors * FILE_SECTOR_BYTES) * 8; bit++) {
        files_flip_bit(f->disk, "log-0000000000000001", bit);
        judge(d);
        files_put_back(f->disk, d->sound);
    }
    assert_true(d->refused >= WAL_HEADER_BYTES * 8);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(any_flipped_bit_is_refused_or_changes_nothing),
        CASE(flipped_bit_of_a_large_log_is_refused_or_changes_nothing),
        CASE(file_cut_short_is_refused_or_changes_nothing),
        CASE(missing_segment_is_refused),
        CASE(frames_behind_a_segment_that_is_not_closed_are_refused),
        CASE(segment_that_lost_its_close_frame_is_refused),
        CASE(sector_in_the_place_of_another_is_refused_or_changes_nothing),
        CASE(segment_in_the_place_of_another_is_refused),
        CASE(older_copy_of_a_closed_segment_is_refused),
        CASE(frame_that_lacks_any_sectors_is_mended),
        CASE(frame_that_lacks_sectors_before_another_is_refused),
        CASE(bit_flipped_in_a_torn_frame_is_refused_or_mended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
