/* A start finds what was written to the log, and nothing unreadable is ever written. */
#include <errno.h>
#include <inttypes.h>

#include "consensus/disk/wal_format.h"
#include "tests/unit/disk_fixture.h"

static uint64_t segment_count(const struct fixture *f)
{
    uint64_t count = 0;
    for (size_t i = 0; i < files_name_count(f->disk); i++) {
        uint64_t number;
        count += wal_name_parse(files_name(f->disk, i), &number) ? 1 : 0;
    }
    return count;
}

static void new_log_is_empty_and_has_its_state(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f);
    assert_int_equal(log_last_index(&f->log), 0);
    assert_int_equal(wal_bytes(f->wal), FIXTURE_SEGMENT);
    assert_int_equal(files_size(f->disk, "log-0000000000000001"), FIXTURE_SEGMENT);
}

static void leftovers_of_an_earlier_creation_are_removed(void **state)
{
    struct fixture *f = *state;
    files_put(f->disk, "log-0000000000000007", "x", 1);
    files_put(f->disk, WAL_NEW_TEMPORARY, "x", 1);
    files_put(f->disk, "log-none", "x", 1);
    assert_int_equal(wal_create(f->files, &f->cluster, &f->state), 0);
    assert_int_equal(files_size(f->disk, "log-0000000000000007"), UINT64_MAX);
    assert_int_equal(files_size(f->disk, WAL_NEW_TEMPORARY), UINT64_MAX);
    assert_int_equal(files_size(f->disk, "log-none"), 1);
    assert_int_equal(files_size(f->disk, "log-0000000000000001"), WAL_SEGMENT_BYTES);
    fixture_reopen(f);
}

static void entries_and_state_are_found_again(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f);
    for (size_t i = 0; i < 40; i++) {
        f->state.term = i / 10 + 1;
        f->state.vote = i % 2 == 0 ? f->state.term : f->state.vote;
        fixture_add_state(f);
        for (size_t j = 0; j < i % 4; j++) {
            fixture_add_entry(f, f->state.term, i * j * 7);
        }
        fixture_write(f);
        fixture_reopen(f);
    }
    assert_true(segment_count(f) > 2);
}

static void frame_says_what_is_in_it(void **state)
{
    struct fixture *f = *state;
    struct wal_frame *frame = &f->frame;
    assert_true(wal_frame_is_empty(frame));
    fixture_add_state(f);
    assert_false(wal_frame_is_empty(frame));
    assert_int_equal(frame->last_index, 0);
    assert_int_equal(frame->first_index, frame->end_index);
    fixture_add_entry(f, 1, 10);
    fixture_add_entry(f, 1, 10);
    fixture_add_entry(f, 1, 10);
    assert_int_equal(frame->first_index, 1);
    assert_int_equal(frame->end_index, 4);
    assert_int_equal(frame->last_index, 3);
    assert_int_equal(frame->records, 4);
    fixture_add_truncate(f, 3);
    assert_int_equal(frame->first_index, 1);
    assert_int_equal(frame->end_index, 3);
    assert_int_equal(frame->last_index, 2);
    fixture_add_entry(f, 2, 10);
    assert_int_equal(frame->end_index, 4);
    fixture_add_reset(f, 9, 2, 77);
    assert_int_equal(frame->first_index, frame->end_index);
    assert_int_equal(frame->last_index, 9);
    fixture_add_entry(f, 2, 10);
    assert_int_equal(frame->first_index, 10);
    assert_int_equal(frame->end_index, 11);
    wal_frame_clear(frame);
    assert_true(wal_frame_is_empty(frame));
    assert_int_equal(frame->last_index, 0);
    assert_int_equal(frame->bytes.len, 0);
}

static void truncation_is_found_again(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f);
    fixture_write_entries(f, 20, 1, 300);
    for (uint64_t index = 15; index > 3; index -= 3) {
        fixture_add_truncate(f, index);
        fixture_write(f);
        fixture_reopen(f);
        fixture_write_entries(f, 2, 2 + (15 - index), 100);
        fixture_reopen(f);
    }
    fixture_add_truncate(f, log_last_index(&f->log) + 1); /* removes nothing */
    fixture_write(f);
    fixture_add_truncate(f, 1);
    fixture_write(f);
    fixture_reopen(f);
    assert_int_equal(log_last_index(&f->log), 0);
}

static void truncation_and_entries_in_one_frame_are_found_again(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f);
    for (uint64_t i = 0; i < 60; i++) {
        uint64_t last = log_last_index(&f->log);
        if (last > 5) {
            fixture_add_truncate(f, last - 3);
        }
        for (int j = 0; j < 6; j++) {
            fixture_add_entry(f, i + 1, 50);
        }
        fixture_write(f);
        fixture_reopen(f);
    }
}

static void reset_is_found_again(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f);
    fixture_write_entries(f, 5, 1, 300);
    f->snapshot_index = 1000;
    fixture_add_reset(f, 1000, 3, 0xabcdef01);
    f->state.commit = 1000;
    fixture_add_state(f);
    fixture_write(f);
    fixture_reopen(f);
    assert_int_equal(log_first_index(&f->log), 1001);
    fixture_write_entries(f, 50, 4, 300);
    fixture_reopen(f);
    /* Segments from before the reset are removed. */
    assert_int_equal(wal_compact(f->wal, 1000), 0);
    fixture_reopen(f);
}

static void reset_to_before_the_last_entry_is_found_again(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f);
    fixture_write_entries(f, 9, 1, 30);
    f->snapshot_index = 5;
    fixture_add_reset(f, 5, 2, 0xabcdef01);
    fixture_write(f);
    fixture_write_entries(f, 2, 2, 30);
    fixture_reopen(f);
    assert_int_equal(log_last_index(&f->log), 7);
}

static void frame_larger_than_a_segment_has_one_of_its_own(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f);
    fixture_write_entries(f, 1, 1, 100);
    fixture_add_entry(f, 1, 10 * FIXTURE_SEGMENT);
    fixture_write(f);
    fixture_reopen(f);
    fixture_write_entries(f, 100, 1, 1000);
    fixture_reopen(f);
    assert_true(wal_bytes(f->wal) > 20 * FIXTURE_SEGMENT);
}

/* Larger than the window for reading files. */
static void frame_of_megabytes_is_found_again(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f);
    fixture_write_entries(f, 3, 1, 3u * 1024 * 1024 + 17);
    fixture_reopen(f);
}

static void zeros_in_entries_are_found_again(void **state)
{
    struct fixture *f = *state;
    static uint8_t zeros[100000];
    fixture_reopen(f);
    for (size_t len = 0; len < sizeof zeros; len = len * 3 + 1) {
        (void)log_append(&f->log, 1, 1, zeros, len);
        uint64_t index = log_last_index(&f->log);
        wal_frame_entry(&f->frame, index, log_get(&f->log, index));
        fixture_write(f);
        fixture_reopen(f);
    }
}

static void compaction_removes_segments_whose_entries_are_all_dispensable(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f);
    fixture_write_entries(f, 100, 1, 1000);
    uint64_t segments = segment_count(f);
    uint64_t bytes = wal_bytes(f->wal);
    assert_true(segments > 10);
    assert_int_equal(wal_compact(f->wal, 0), 0);
    assert_int_equal(segment_count(f), segments);
    for (uint64_t index = 1; index <= 100; index += 9) {
        assert_int_equal(wal_compact(f->wal, index), 0);
        f->snapshot_index = index;
        fixture_reopen(f);
        struct wal_loaded loaded;
        assert_true(fixture_try_open(f, &loaded));
        assert_true(log_first_index(&loaded.log) <= index + 1);
        log_done(&loaded.log);
    }
    assert_true(segment_count(f) <= 3);
    assert_true(wal_bytes(f->wal) < bytes / 3);
    assert_int_equal(wal_compact(f->wal, UINT64_MAX), 0);
    assert_true(segment_count(f) >= 1);
    fixture_reopen(f);
}

static void log_that_begins_behind_the_snapshot_is_refused(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f);
    fixture_write_entries(f, 50, 1, 1000);
    assert_int_equal(wal_compact(f->wal, 50), 0);
    f->snapshot_index = 10;
    fixture_assert_refused(f, "but the newest snapshot holds entries only up to 10");
    f->snapshot_index = 50;
    fixture_reopen(f);
}

static void log_that_ends_before_its_commit_index_is_refused(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f);
    fixture_write_entries(f, 3, 1, 10);
    fixture_commit(f, 5);
    fixture_assert_refused(f, "entries up to 5 were committed");
    f->snapshot_index = 4;
    fixture_assert_refused(f, "entries up to 5 were committed");
    f->snapshot_index = 5;
    fixture_reopen(f);
}

static void log_of_another_cluster_is_refused(void **state)
{
    struct fixture *f = *state;
    struct cluster_id ours = f->cluster;
    f->cluster.bytes[15] = 9;
    fixture_assert_refused(
        f, "log-0000000000000001 belongs to another cluster, 01020300000000000000000000000000");
    f->cluster = ours;
    fixture_reopen(f);
}

static void missing_log_is_refused(void **state)
{
    struct fixture *f = *state;
    files_remove(f->disk, "log-0000000000000001");
    fixture_assert_refused(f, "the log (log-...) is missing");
}

/* --- a full disk --- */

static void full_disk_refuses_entries_until_there_is_room(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f);
    files_set_capacity(f->disk, files_used(f->disk));
    int rc = 0;
    uint64_t written = 0;
    while (rc == 0 && written < 100) {
        fixture_add_entry(f, 1, 500);
        rc = fixture_try_write(f);
        written += rc == 0 ? 1 : 0;
    }
    assert_int_equal(rc, -ENOSPC);
    assert_true(written > 3);
    /* The same frame, again and again. */
    for (int i = 0; i < 5; i++) {
        assert_int_equal(fixture_try_write(f), -ENOSPC);
    }
    files_set_capacity(f->disk, 0);
    fixture_write(f);
    fixture_write_entries(f, 20, 1, 500);
    fixture_reopen(f);
    assert_int_equal(log_last_index(&f->log), written + 21);
}

static void full_disk_takes_terms_and_votes(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f);
    files_set_capacity(f->disk, files_used(f->disk));
    int rc = 0;
    while (rc == 0) {
        fixture_add_entry(f, 1, 100);
        rc = fixture_try_write(f);
    }
    assert_int_equal(rc, -ENOSPC);
    wal_frame_clear(&f->frame);
    log_truncate(&f->log, log_last_index(&f->log));
    for (uint64_t term = 2; term < 4; term++) {
        f->state.term = term;
        f->state.vote = 99;
        fixture_add_state(f);
        fixture_write(f);
        fixture_reopen(f);
    }
    /* And continues once there is room again. */
    files_set_capacity(f->disk, 0);
    fixture_write_entries(f, 20, 5, 500);
    fixture_reopen(f);
}

static void reserve_of_a_segment_of_the_product_holds_many_votes(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(wal_create(f->files, &f->cluster, &f->state), 0);
    fixture_reopen(f);
    files_set_capacity(f->disk, files_used(f->disk));
    int rc = 0;
    while (rc == 0) {
        fixture_add_entry(f, 1, 200000);
        rc = fixture_try_write(f);
    }
    wal_frame_clear(&f->frame);
    log_truncate(&f->log, log_last_index(&f->log));
    uint64_t votes = 0;
    for (rc = 0; rc == 0; votes++) {
        f->state.term++;
        fixture_add_state(f);
        rc = fixture_try_write(f);
    }
    wal_frame_clear(&f->frame);
    f->state.term--;
    assert_true(votes > 100);
    fixture_reopen(f);
}

static void next_segment_is_there_before_it_is_needed(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f);
    uint64_t preallocations = files_count(f->disk, FILES_PREALLOCATE);
    uint64_t segments = 1;
    for (int i = 0; i < 200; i++) {
        fixture_add_entry(f, 1, 400);
        uint64_t before = files_count(f->disk, FILES_PREALLOCATE);
        bool has_next = segment_count(f) > segments;
        char name[WAL_NAME_SIZE];
        wal_name(segments + 1, name);
        bool whole = has_next && files_size(f->disk, name) == FIXTURE_SEGMENT;
        fixture_write(f);
        /* In small steps: at most one for each write. */
        assert_true(files_count(f->disk, FILES_PREALLOCATE) - before <= 1);
        wal_name(segments + 2, name);
        if (files_size(f->disk, name) != UINT64_MAX) {
            assert_true(whole || i == 0);
            segments++;
        }
    }
    assert_true(segments > 10);
    assert_true(files_count(f->disk, FILES_PREALLOCATE) > preallocations + segments);
}

static void spare_segment_is_used_again_after_a_restart(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f);
    for (int i = 0; i < 100; i++) {
        fixture_write_entries(f, 1, 1, 400);
        fixture_reopen(f);
        assert_true(segment_count(f) * FIXTURE_SEGMENT >= wal_bytes(f->wal));
    }
    assert_true(segment_count(f) < 12);
}

static void first_error_is_the_last_write(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f);
    files_plan(f->disk, &(struct files_plan){.fate = FILES_ERROR, .error = EIO});
    fixture_add_entry(f, 1, 10);
    assert_int_equal(fixture_try_write(f), -EIO);
    log_truncate(&f->log, 1);
    fixture_add_entry(f, 1, 10);
    uint64_t calls = files_count(f->disk, FILES_CALLS);
    assert_int_equal(fixture_try_write(f), -EIO);
    assert_int_equal(wal_compact(f->wal, 1), -EIO);
    assert_int_equal(files_count(f->disk, FILES_CALLS), calls);
}

/* After such a write the content is undefined. */
static void full_disk_in_a_write_is_fatal(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f);
    files_plan(f->disk, &(struct files_plan){.fate = FILES_ERROR, .error = ENOSPC});
    fixture_add_entry(f, 1, 10);
    assert_int_equal(fixture_try_write(f), -EIO);
}

/* --- what a start relies on --- */

/* The process died, and its data is in the page cache only; once read, it must last. */
static void what_was_loaded_lasts(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 0; i < 600; i++) {
        uint64_t chance = f->chance;
        fixture_done(f);
        fixture_init(f, chance);
        if (i % 3 == 0) {
            files_empty(f->disk);
            f->files = files_boot(f->disk);
            files_plan(f->disk, &(struct files_plan){.calls = 5, .fate = FILES_DIE_AFTER});
            assert_int_not_equal(
                wal_create_sized(f->files, &f->cluster, &f->state, FIXTURE_SEGMENT), 0);
        } else {
            fixture_reopen(f);
            fixture_write_entries(f, 25, 1, 500);
            files_plan(f->disk, &(struct files_plan){.calls = i / 3 % 8,
                                                     .fate = (enum files_fate)(1 + i % 3)});
            int rc = 0;
            while (rc == 0 && i % 3 == 1) {
                fixture_add_entry(f, 1, 700);
                rc = fixture_try_write(f);
            }
            if (i % 3 == 2) {
                f->snapshot_index = log_last_index(&f->log);
                rc = wal_compact(f->wal, f->snapshot_index);
            }
            assert_true(rc != 0 || files_is_alive(f->disk));
        }
        struct wal_loaded first;
        struct wal_loaded second;
        assert_true(fixture_try_open(f, &first));
        files_lose_power(f->disk);
        assert_true(fixture_try_open(f, &second));
        assert_true(fixture_same_state(&first.state, &second.state));
        fixture_assert_same_log(&first.log, &second.log);
        log_done(&first.log);
        log_done(&second.log);
    }
}

/* The rest of an incomplete frame is erased before the next one is written. */
static void mended_tail_never_comes_back(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 0; i < 2000; i++) {
        struct wal_loaded loaded;
        uint64_t chance = f->chance;
        fixture_done(f);
        fixture_init(f, chance);
        fixture_reopen(f);
        for (size_t len = 2500; len > 0; len = len > 10 ? 10 : 0) {
            files_plan(f->disk, &(struct files_plan){.fate = FILES_DIE_AMID});
            fixture_add_entry(f, 1, len);
            assert_int_equal(fixture_try_write(f), -EIO);
            files_lose_power(f->disk);
            if (!fixture_try_open(f, &loaded)) {
                fail_msg("refused: %s", f->error);
            }
            log_done(&f->log);
            f->log = loaded.log;
        }
        fixture_write_entries(f, 2, 1, 100);
        fixture_reopen(f);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(new_log_is_empty_and_has_its_state),
        CASE(leftovers_of_an_earlier_creation_are_removed),
        CASE(entries_and_state_are_found_again),
        CASE(frame_says_what_is_in_it),
        CASE(truncation_is_found_again),
        CASE(truncation_and_entries_in_one_frame_are_found_again),
        CASE(reset_is_found_again),
        CASE(reset_to_before_the_last_entry_is_found_again),
        CASE(frame_larger_than_a_segment_has_one_of_its_own),
        CASE(frame_of_megabytes_is_found_again),
        CASE(zeros_in_entries_are_found_again),
        CASE(compaction_removes_segments_whose_entries_are_all_dispensable),
        CASE(log_that_begins_behind_the_snapshot_is_refused),
        CASE(log_that_ends_before_its_commit_index_is_refused),
        CASE(log_of_another_cluster_is_refused),
        CASE(missing_log_is_refused),
        CASE(full_disk_refuses_entries_until_there_is_room),
        CASE(full_disk_takes_terms_and_votes),
        CASE(reserve_of_a_segment_of_the_product_holds_many_votes),
        CASE(next_segment_is_there_before_it_is_needed),
        CASE(spare_segment_is_used_again_after_a_restart),
        CASE(first_error_is_the_last_write),
        CASE(full_disk_in_a_write_is_fatal),
        CASE(what_was_loaded_lasts),
        CASE(mended_tail_never_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
