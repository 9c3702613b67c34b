/* The in-memory disk of tests/sim: durable data stays, other data is lost in every possible way. */
#include <errno.h>

#include "tests/unit/disk_fixture.h"

struct here {
    uint64_t chance;
    struct files_disk *disk;
    const struct files *files;
    int deaths;
};

static uint64_t draw(void *data)
{
    struct here *h = data;
    return fixture_random(&h->chance);
}

static void count_death(void *data)
{
    struct here *h = data;
    h->deaths++;
}

static int set_up(void **state)
{
    struct here *h = mem_zalloc(1, sizeof *h);
    h->disk = files_create(&(struct files_options){.random = draw, .died = count_death, .data = h});
    h->files = files_boot(h->disk);
    *state = h;
    return 0;
}

static int tear_down(void **state)
{
    struct here *h = *state;
    files_destroy(h->disk);
    free(h);
    return 0;
}

static int create(struct here *h, const char *name)
{
    int file = -1;
    assert_int_equal(h->files->open(h->files->ctx, name, FILE_CREATE, &file), 0);
    return file;
}

static void put(struct here *h, int file, uint64_t at, int byte, size_t len, bool durable)
{
    uint8_t data[8192];
    memset(data, byte, sizeof data);
    assert_int_equal(h->files->write(h->files->ctx, file, at, data, len, durable), 0);
}

static void lose_power(struct here *h)
{
    files_lose_power(h->disk);
    h->files = files_boot(h->disk);
}

static void start_anew(struct here *h)
{
    files_empty(h->disk);
    h->files = files_boot(h->disk);
}

static void what_is_durable_survives_a_loss_of_power(void **state)
{
    struct here *h = *state;
    for (int i = 0; i < 50; i++) {
        start_anew(h);
        int file = create(h, "a");
        put(h, file, 0, 1, 600, false);
        put(h, file, 600, 2, 600, true);
        put(h, file, 1200, 3, 10, false);
        assert_int_equal(h->files->sync(h->files->ctx, file), 0);
        assert_int_equal(h->files->preallocate(h->files->ctx, file, 3000), 0);
        assert_int_equal(h->files->sync(h->files->ctx, file), 0);
        assert_int_equal(h->files->sync_dir(h->files->ctx), 0);
        h->files->close(h->files->ctx, file);
        lose_power(h);
        assert_int_equal(files_size(h->disk, "a"), 3000);
        const uint8_t *content = files_content(h->disk, "a");
        for (size_t j = 0; j < 3000; j++) {
            assert_int_equal(content[j], j < 600 ? 1 : j < 1200 ? 2 : j < 1210 ? 3 : 0);
        }
    }
}

/* Every combination of four sectors occurs, and no sector is torn. */
static void what_is_not_durable_is_lost_kept_or_torn_by_sectors(void **state)
{
    struct here *h = *state;
    bool seen[16] = {false};
    for (int i = 0; i < 400; i++) {
        start_anew(h);
        int file = create(h, "a");
        put(h, file, 0, 1, 4 * FILE_SECTOR_BYTES, true);
        assert_int_equal(h->files->sync_dir(h->files->ctx), 0);
        put(h, file, 0, 2, 4 * FILE_SECTOR_BYTES, false);
        lose_power(h);
        const uint8_t *content = files_content(h->disk, "a");
        size_t set = 0;
        for (size_t j = 0; j < 4 * FILE_SECTOR_BYTES; j++) {
            assert_int_equal(content[j], content[j / FILE_SECTOR_BYTES * FILE_SECTOR_BYTES]);
            set |= (size_t)(content[j] - 1) << j / FILE_SECTOR_BYTES;
        }
        seen[set] = true;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(seen); i++) {
        assert_true(seen[i]);
    }
}

static void everything_survives_the_death_of_the_process(void **state)
{
    struct here *h = *state;
    int file = create(h, "a");
    put(h, file, 0, 1, 100, false);
    assert_int_equal(h->files->rename(h->files->ctx, "a", "b"), 0);
    files_kill(h->disk);
    assert_false(files_is_alive(h->disk));
    h->files = files_boot(h->disk);
    assert_int_equal(files_size(h->disk, "b"), 100);
    assert_int_equal(files_content(h->disk, "b")[99], 1);
}

/* A truncated file is the old one or an empty one, never a mixture. */
static void emptied_file_is_old_or_new(void **state)
{
    struct here *h = *state;
    bool seen[3] = {false};
    for (int i = 0; i < 200; i++) {
        start_anew(h);
        int file = create(h, "a");
        put(h, file, 0, 1, 2000, true);
        assert_int_equal(h->files->sync_dir(h->files->ctx), 0);
        h->files->close(h->files->ctx, file);
        file = create(h, "a");
        put(h, file, 0, 2, 1000, false);
        lose_power(h);
        const uint8_t *content = files_content(h->disk, "a");
        uint64_t size = files_size(h->disk, "a");
        for (size_t j = 0; j < size; j++) {
            assert_true(size == 2000 ? content[j] == 1 : content[j] != 1);
        }
        seen[size == 2000 ? 0 : size > 0 ? 1 : 2] = true;
    }
    assert_true(seen[0] && seen[1] && seen[2]);
}

/* Directory changes are independent: all eight combinations of three occur. */
static void names_are_lost_or_kept_each_for_itself(void **state)
{
    struct here *h = *state;
    bool seen[8] = {false};
    for (int i = 0; i < 400; i++) {
        start_anew(h);
        h->files->close(h->files->ctx, create(h, "old"));
        h->files->close(h->files->ctx, create(h, "gone"));
        assert_int_equal(h->files->sync_dir(h->files->ctx), 0);
        h->files->close(h->files->ctx, create(h, "new"));
        assert_int_equal(h->files->rename(h->files->ctx, "old", "renamed"), 0);
        assert_int_equal(h->files->unlink(h->files->ctx, "gone"), 0);
        lose_power(h);
        bool has_new = files_size(h->disk, "new") != UINT64_MAX;
        bool renamed = files_size(h->disk, "renamed") != UINT64_MAX;
        bool gone = files_size(h->disk, "gone") == UINT64_MAX;
        assert_int_equal(files_size(h->disk, "old") == UINT64_MAX, renamed);
        seen[(has_new ? 1 : 0) + (renamed ? 2 : 0) + (gone ? 4 : 0)] = true;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(seen); i++) {
        assert_true(seen[i]);
    }
}

static void names_survive_after_sync_dir(void **state)
{
    struct here *h = *state;
    for (int i = 0; i < 20; i++) {
        start_anew(h);
        h->files->close(h->files->ctx, create(h, "old"));
        h->files->close(h->files->ctx, create(h, "gone"));
        assert_int_equal(h->files->rename(h->files->ctx, "old", "renamed"), 0);
        assert_int_equal(h->files->unlink(h->files->ctx, "gone"), 0);
        assert_int_equal(h->files->sync_dir(h->files->ctx), 0);
        lose_power(h);
        assert_int_equal(files_name_count(h->disk), 1);
        assert_string_equal(files_name(h->disk, 0), "renamed");
    }
}

static void dead_process_changes_nothing(void **state)
{
    struct here *h = *state;
    const struct files *old = h->files;
    int file = create(h, "a");
    put(h, file, 0, 1, 10, true);
    files_plan(h->disk, &(struct files_plan){.calls = 1, .fate = FILES_DIE_BEFORE});
    put(h, file, 0, 2, 5, true);
    assert_int_equal(old->write(old->ctx, file, 5, "xyz", 3, true), -EIO);
    assert_int_equal(h->deaths, 1);
    uint64_t calls = files_count(h->disk, FILES_CALLS);
    assert_int_equal(old->write(old->ctx, file, 0, "xyz", 3, true), -EIO);
    assert_int_equal(old->rename(old->ctx, "a", "b"), -EIO);
    assert_int_equal(old->unlink(old->ctx, "a"), -EIO);
    old->close(old->ctx, file);
    assert_int_equal(files_count(h->disk, FILES_CALLS), calls);
    h->files = files_boot(h->disk);
    assert_int_equal(old->unlink(old->ctx, "a"), -EIO);
    assert_int_equal(files_content(h->disk, "a")[4], 2);
    assert_int_equal(files_content(h->disk, "a")[5], 1);
    assert_int_equal(h->deaths, 1);
}

static void call_is_done_when_death_comes_after_it(void **state)
{
    struct here *h = *state;
    files_plan(h->disk, &(struct files_plan){.calls = 0, .fate = FILES_DIE_AFTER});
    int file;
    assert_int_equal(h->files->open(h->files->ctx, "a", FILE_CREATE, &file), -EIO);
    assert_int_equal(files_size(h->disk, "a"), 0);
    assert_false(files_is_alive(h->disk));
}

static void write_is_half_done_when_death_comes_in_it(void **state)
{
    struct here *h = *state;
    bool prefix = false;
    bool hole = false;
    for (int i = 0; i < 100; i++) {
        uint8_t data[4 * FILE_SECTOR_BYTES];
        memset(data, 1, sizeof data);
        start_anew(h);
        int file = create(h, "a");
        assert_int_equal(h->files->preallocate(h->files->ctx, file, sizeof data), 0);
        files_plan(h->disk, &(struct files_plan){.fate = FILES_DIE_AMID});
        assert_int_equal(h->files->write(h->files->ctx, file, 0, data, sizeof data, true), -EIO);
        const uint8_t *content = files_content(h->disk, "a");
        bool first = content[0] == 1;
        bool last = content[sizeof data - 1] == 1;
        prefix = prefix || (first && !last);
        hole = hole || (!first && last);
    }
    assert_true(prefix && hole);
}

static void errors_come_when_planned(void **state)
{
    struct here *h = *state;
    int file;
    files_plan(h->disk,
               &(struct files_plan){.calls = 1, .more = 1, .fate = FILES_ERROR, .error = EMFILE});
    file = create(h, "a");
    int other;
    assert_int_equal(h->files->open(h->files->ctx, "b", FILE_CREATE, &other), -EMFILE);
    assert_int_equal(h->files->sync(h->files->ctx, file), -EMFILE);
    assert_int_equal(h->files->sync(h->files->ctx, file), 0);
    assert_int_equal(files_size(h->disk, "b"), UINT64_MAX);
    assert_int_equal(h->deaths, 0);
}

static void full_disk_refuses_what_needs_room(void **state)
{
    struct here *h = *state;
    files_set_capacity(h->disk, 1000);
    int file = create(h, "a");
    put(h, file, 0, 1, 600, false);
    assert_int_equal(h->files->free_bytes(h->files->ctx), 400);
    assert_int_equal(h->files->preallocate(h->files->ctx, file, 1001), -ENOSPC);
    assert_int_equal(h->files->preallocate(h->files->ctx, file, 1000), 0);
    put(h, file, 600, 1, 400, false);
    assert_int_equal(h->files->write(h->files->ctx, file, 999, "xy", 2, true), -ENOSPC);
    assert_int_equal(h->files->unlink(h->files->ctx, "a"), 0);
    assert_int_equal(h->files->free_bytes(h->files->ctx), 1000);
}

static void copy_of_a_directory_can_be_put_back(void **state)
{
    struct here *h = *state;
    int file = create(h, "a");
    put(h, file, 0, 1, 100, false);
    struct files_image *image = files_copy(h->disk);
    put(h, file, 0, 2, 200, true);
    h->files->close(h->files->ctx, create(h, "b"));
    files_flip_bit(h->disk, "a", 8);
    assert_int_equal(files_content(h->disk, "a")[1], 3);
    files_cut(h->disk, "a", 150);
    assert_int_equal(files_size(h->disk, "a"), 150);
    files_put_back(h->disk, image);
    files_image_destroy(image);
    /* A process that has it open writes to the deleted file. */
    put(h, file, 0, 9, 300, true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(files_name_count(h->disk), 1);
        assert_int_equal(files_size(h->disk, "a"), 100);
        assert_int_equal(files_content(h->disk, "a")[0], 1);
        lose_power(h);
    }
    files_remove(h->disk, "a");
    lose_power(h);
    assert_int_equal(files_name_count(h->disk), 0);
}

/* Same random source, same losses. */
static void clone_loses_what_its_original_loses(void **state)
{
    struct here *h = *state;
    for (int i = 0; i < 50; i++) {
        start_anew(h);
        int file = create(h, "a");
        put(h, file, 0, 1, 3000, true);
        assert_int_equal(h->files->rename(h->files->ctx, "a", "b"), 0);
        h->files->close(h->files->ctx, create(h, "c"));
        put(h, file, 500, 2, 4000, false);
        struct files_disk *clone =
            files_clone(h->disk, &(struct files_options){.random = draw, .data = h});
        uint64_t chance = h->chance;
        files_lose_power(clone);
        h->chance = chance;
        files_lose_power(h->disk);
        assert_int_equal(files_name_count(clone), files_name_count(h->disk));
        for (size_t j = 0; j < files_name_count(clone); j++) {
            const char *name = files_name(clone, j);
            assert_string_equal(name, files_name(h->disk, j));
            assert_int_equal(files_size(clone, name), files_size(h->disk, name));
            if (files_size(clone, name) > 0) {
                assert_memory_equal(files_content(clone, name), files_content(h->disk, name),
                                    files_size(clone, name));
            }
        }
        files_destroy(clone);
        h->files = files_boot(h->disk);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(what_is_durable_survives_a_loss_of_power),
        CASE(what_is_not_durable_is_lost_kept_or_torn_by_sectors),
        CASE(everything_survives_the_death_of_the_process),
        CASE(emptied_file_is_old_or_new),
        CASE(names_are_lost_or_kept_each_for_itself),
        CASE(names_survive_after_sync_dir),
        CASE(dead_process_changes_nothing),
        CASE(call_is_done_when_death_comes_after_it),
        CASE(write_is_half_done_when_death_comes_in_it),
        CASE(errors_come_when_planned),
        CASE(full_disk_refuses_what_needs_room),
        CASE(copy_of_a_directory_can_be_put_back),
        CASE(clone_loses_what_its_original_loses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
