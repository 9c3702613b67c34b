/* The kernel's files keep the contract of files.h; the directory is locked by one process. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "consensus/disk/files_posix.h"
#include "consensus/disk/snapshot_file.h"
#include "consensus/disk/wal.h"
#include "tests/unit/remove_tree.h"

struct fixture {
    char parent[64];
    char dir[96];
    char error[1024];
    struct files *files;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    (void)snprintf(f->parent, sizeof f->parent, "/tmp/muster-files-XXXXXX");
    assert_non_null(mkdtemp(f->parent));
    (void)snprintf(f->dir, sizeof f->dir, "%s/data", f->parent);
    f->files = files_posix_open(f->dir, f->error, sizeof f->error);
    assert_string_equal(f->error, "");
    assert_non_null(f->files);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    files_posix_close(f->files);
    remove_tree(f->parent);
    free(f);
    return 0;
}

static int open_file(const struct fixture *f, const char *name, enum file_mode mode)
{
    int file = -1;
    assert_int_equal(f->files->open(f->files->ctx, name, mode, &file), 0);
    return file;
}

static void close_file(const struct fixture *f, int file)
{
    f->files->close(f->files->ctx, file);
}

static void put(const struct fixture *f, int file, uint64_t at, const void *data, size_t len,
                bool durable)
{
    assert_int_equal(f->files->write(f->files->ctx, file, at, data, len, durable), 0);
}

static size_t get(const struct fixture *f, int file, uint64_t at, void *data, size_t len)
{
    size_t got = 0;
    assert_int_equal(f->files->read(f->files->ctx, file, at, data, len, &got), 0);
    return got;
}

static void assert_refused(struct fixture *f, const char *dir, const char *word)
{
    assert_null(files_posix_open(dir, f->error, sizeof f->error));
    if (strstr(f->error, word) == NULL) {
        print_error("\"%s\" is not in \"%s\"\n", word, f->error);
    }
    assert_non_null(strstr(f->error, word));
    assert_non_null(strstr(f->error, dir));
}

static void new_directory_is_made_for_its_user_alone(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    assert_int_equal(stat(f->dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

static void directory_that_cannot_be_made_is_refused(void **state)
{
    struct fixture *f = *state;
    char dir[128];
    (void)snprintf(dir, sizeof dir, "%s/no/such/parent", f->parent);
    assert_refused(f, dir, "cannot create the data directory");
    (void)snprintf(dir, sizeof dir, "%s/file", f->parent);
    int fd = open(dir, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(close(fd), 0);
    assert_refused(f, dir, "cannot open the data directory");
}

static void second_process_is_refused(void **state)
{
    struct fixture *f = *state;
    char expected[64];
    (void)snprintf(expected, sizeof expected, "in use by process %ld", (long)getpid());
    assert_refused(f, f->dir, expected);
    files_posix_close(f->files);
    f->files = files_posix_open(f->dir, f->error, sizeof f->error);
    assert_non_null(f->files);
}

static void lock_goes_with_the_process(void **state)
{
    struct fixture *f = *state;
    files_posix_close(f->files);
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        _exit(files_posix_open(f->dir, f->error, sizeof f->error) != NULL ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    f->files = files_posix_open(f->dir, f->error, sizeof f->error);
    assert_non_null(f->files);
}

static void what_is_written_is_read(void **state)
{
    const struct fixture *f = *state;
    uint8_t data[5000];
    uint8_t back[6000];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 7);
    }
    for (int durable = 0; durable < 2; durable++) {
        int file = open_file(f, "a", FILE_CREATE);
        put(f, file, 0, data, 1000, durable != 0);
        put(f, file, 1000, data + 1000, sizeof data - 1000, durable != 0);
        assert_int_equal(get(f, file, 0, back, sizeof back), sizeof data);
        assert_memory_equal(back, data, sizeof data);
        close_file(f, file);
        file = open_file(f, "a", FILE_READ);
        assert_int_equal(get(f, file, 4990, back, 100), 10);
        assert_memory_equal(back, data + 4990, 10);
        assert_int_equal(get(f, file, 9000, back, 100), 0);
        close_file(f, file);
    }
}

/* Alternately through the page cache and bypassing it, aligned and not: same content. */
static void sectors_written_past_the_cache_are_read(void **state)
{
    const struct fixture *f = *state;
    enum { BYTES = 64 * 1024 };
    uint8_t *model = calloc(1, BYTES);
    uint8_t *back = malloc(BYTES);
    unsigned seed = 5;
    int file = open_file(f, "a", FILE_CREATE);
    assert_int_equal(f->files->preallocate(f->files->ctx, file, BYTES), 0);
    assert_int_equal(f->files->sync(f->files->ctx, file), 0);
    for (int i = 0; i < 400; i++) {
        size_t unit = rand_r(&seed) % 4 == 0 ? 1 : FILE_SECTOR_BYTES;
        size_t at = (size_t)rand_r(&seed) % (BYTES / unit) * unit;
        size_t len = ((size_t)rand_r(&seed) % 16 + 1) * unit;
        len = len < BYTES - at ? len : BYTES - at;
        memset(model + at, rand_r(&seed) & 255, len);
        put(f, file, at, model + at, len, rand_r(&seed) % 3 != 0);
        assert_int_equal(get(f, file, 0, back, BYTES), BYTES);
        assert_memory_equal(back, model, BYTES);
    }
    close_file(f, file);
    free(model);
    free(back);
}

static void preallocated_file_is_long_and_zero(void **state)
{
    const struct fixture *f = *state;
    enum { BYTES = 1536 * 1024 };
    uint8_t *back = malloc(BYTES + 1);
    int file = open_file(f, "a", FILE_CREATE);
    put(f, file, 0, "hello", 5, false);
    for (uint64_t bytes = BYTES / 2; bytes <= BYTES; bytes += BYTES / 2) {
        assert_int_equal(f->files->preallocate(f->files->ctx, file, bytes), 0);
        assert_int_equal(get(f, file, 0, back, BYTES + 1), bytes);
        assert_memory_equal(back, "hello", 5);
        for (size_t i = 5; i < bytes; i++) {
            assert_int_equal(back[i], 0);
        }
    }
    assert_int_equal(f->files->preallocate(f->files->ctx, file, 10), 0);
    assert_int_equal(get(f, file, 0, back, BYTES + 1), BYTES);
    close_file(f, file);
    free(back);
}

static void preallocation_without_room_changes_nothing(void **state)
{
    const struct fixture *f = *state;
    uint8_t back[16];
    int file = open_file(f, "a", FILE_CREATE);
    put(f, file, 0, "hello", 5, true);
    uint64_t more = f->files->free_bytes(f->files->ctx);
    assert_true(more > 0 && more < UINT64_MAX);
    int rc = f->files->preallocate(f->files->ctx, file, more * 1000);
    assert_true(rc == -ENOSPC || rc == -EFBIG);
    assert_int_equal(get(f, file, 0, back, sizeof back), 5);
    close_file(f, file);
}

static void created_file_is_empty(void **state)
{
    const struct fixture *f = *state;
    char back[8];
    int file = open_file(f, "a", FILE_CREATE);
    put(f, file, 0, "hello", 5, true);
    close_file(f, file);
    file = open_file(f, "a", FILE_WRITE);
    assert_int_equal(get(f, file, 0, back, sizeof back), 5);
    close_file(f, file);
    file = open_file(f, "a", FILE_CREATE);
    assert_int_equal(get(f, file, 0, back, sizeof back), 0);
    close_file(f, file);
}

static void missing_file_is_an_error(void **state)
{
    const struct fixture *f = *state;
    int file;
    assert_int_equal(f->files->open(f->files->ctx, "none", FILE_READ, &file), -ENOENT);
    assert_int_equal(f->files->open(f->files->ctx, "none", FILE_WRITE, &file), -ENOENT);
    assert_int_equal(f->files->unlink(f->files->ctx, "none"), -ENOENT);
    assert_int_equal(f->files->rename(f->files->ctx, "none", "more"), -ENOENT);
}

static void file_opened_for_reading_cannot_be_written(void **state)
{
    const struct fixture *f = *state;
    close_file(f, open_file(f, "a", FILE_CREATE));
    int file = open_file(f, "a", FILE_READ);
    assert_int_equal(f->files->write(f->files->ctx, file, 0, "x", 1, false), -EBADF);
    assert_int_equal(f->files->write(f->files->ctx, file, 0, "x", 1, true), -EBADF);
    close_file(f, file);
}

struct seen {
    size_t count;
    uint64_t bytes_of_b;
    bool directory;
};

static void see(void *data, const char *name, uint64_t bytes)
{
    struct seen *s = data;
    s->count++;
    if (strcmp(name, "b") == 0) {
        s->bytes_of_b = bytes;
    }
    s->directory = s->directory || strcmp(name, "raft") == 0;
}

static void files_are_listed_renamed_and_removed(void **state)
{
    const struct fixture *f = *state;
    char path[128];
    int file = open_file(f, "a", FILE_CREATE);
    put(f, file, 0, "hello", 5, false);
    close_file(f, file);
    close_file(f, open_file(f, "b", FILE_CREATE));
    assert_int_equal(f->files->rename(f->files->ctx, "a", "b"), 0);
    (void)snprintf(path, sizeof path, "%s/raft", f->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    struct seen s = {0};
    assert_int_equal(f->files->list(f->files->ctx, see, &s), 0);
    assert_int_equal(s.count, 3); /* and the lock */
    assert_int_equal(s.bytes_of_b, 5);
    assert_true(s.directory);
    assert_int_equal(f->files->unlink(f->files->ctx, "b"), 0);
    assert_int_equal(f->files->sync_dir(f->files->ctx), 0);
    s = (struct seen){0};
    assert_int_equal(f->files->list(f->files->ctx, see, &s), 0);
    assert_int_equal(s.count, 2);
}

static void open_file_outlives_its_name(void **state)
{
    const struct fixture *f = *state;
    char back[8];
    int file = open_file(f, "a", FILE_CREATE);
    put(f, file, 0, "hello", 5, false);
    assert_int_equal(f->files->unlink(f->files->ctx, "a"), 0);
    assert_int_equal(get(f, file, 0, back, sizeof back), 5);
    close_file(f, file);
}

static void too_many_files_are_refused(void **state)
{
    const struct fixture *f = *state;
    int files[64];
    int more;
    close_file(f, open_file(f, "a", FILE_CREATE));
    for (int i = 0; i < 64; i++) {
        files[i] = open_file(f, "a", FILE_READ);
    }
    assert_int_equal(f->files->open(f->files->ctx, "a", FILE_READ, &more), -EMFILE);
    for (int i = 0; i < 64; i++) {
        close_file(f, files[i]);
    }
    close_file(f, open_file(f, "a", FILE_READ));
}

/* --- the log on the kernel's files --- */

static const struct cluster_id cluster = {.bytes = {4, 2}};

static struct wal *open_log(struct fixture *f, uint64_t snapshot_index, struct wal_loaded *loaded)
{
    struct wal *wal =
        wal_open(f->files, &cluster, snapshot_index, loaded, f->error, sizeof f->error);
    assert_string_equal(f->error, "");
    assert_non_null(wal);
    wal_set_segment_bytes(wal, 65536);
    return wal;
}

/* Writes entries forever, and reports the index of each durable one. */
static void write_until_killed(struct fixture *f, int told)
{
    struct wal_loaded loaded;
    struct wal_frame frame;
    uint8_t data[3000];
    memset(data, 7, sizeof data);
    f->files = files_posix_open(f->dir, f->error, sizeof f->error);
    struct wal *wal = open_log(f, 0, &loaded);
    wal_frame_init(&frame);
    for (;;) {
        uint64_t index = log_last_index(&loaded.log) + 1;
        (void)log_append(&loaded.log, 1, 1, data, (size_t)(index * 37 % sizeof data));
        wal_frame_entry(&frame, index, log_get(&loaded.log, index));
        if (wal_write(wal, &frame) != 0 ||
            write(told, &index, sizeof index) != (ssize_t)sizeof index) {
            _exit(1);
        }
        wal_frame_clear(&frame);
    }
}

static void log_survives_the_death_of_its_process(void **state)
{
    struct fixture *f = *state;
    uint64_t last = 0;
    assert_int_equal(wal_create_sized(f->files, &cluster, &(struct wal_state){0}, 65536), 0);
    for (int round = 0; round < 8; round++) {
        int pipes[2];
        files_posix_close(f->files);
        f->files = NULL;
        assert_int_equal(pipe(pipes), 0);
        (void)fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            write_until_killed(f, pipes[1]);
        }
        assert_int_equal(close(pipes[1]), 0);
        for (int i = 0; i < 20 + round * 7; i++) {
            assert_int_equal(read(pipes[0], &last, sizeof last), sizeof last);
        }
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        uint64_t more;
        while (read(pipes[0], &more, sizeof more) == (ssize_t)sizeof more) {
            last = more;
        }
        assert_int_equal(close(pipes[0]), 0);
        f->files = files_posix_open(f->dir, f->error, sizeof f->error);
        assert_non_null(f->files);
        struct wal_loaded loaded;
        wal_close(open_log(f, 0, &loaded));
        assert_true(log_last_index(&loaded.log) >= last);
        assert_true(log_last_index(&loaded.log) <= last + 1);
        log_done(&loaded.log);
    }
}

static void snapshot_is_published_and_the_log_compacted(void **state)
{
    struct fixture *f = *state;
    static struct snapshot_meta meta = {.index = 150, .term = 1};
    struct wal_loaded loaded;
    struct wal_frame frame;
    uint8_t data[2000];
    memset(data, 7, sizeof data);
    assert_int_equal(wal_create_sized(f->files, &cluster, &(struct wal_state){0}, 65536), 0);
    struct wal *wal = open_log(f, 0, &loaded);
    wal_frame_init(&frame);
    for (uint64_t index = 1; index <= 200; index++) {
        (void)log_append(&loaded.log, 1, 1, data, sizeof data);
        wal_frame_entry(&frame, index, log_get(&loaded.log, index));
        assert_int_equal(wal_write(wal, &frame), 0);
        wal_frame_clear(&frame);
    }
    wal_frame_done(&frame);
    int rc;
    uint64_t bytes = wal_bytes(wal);
    uint64_t snapshot_bytes;
    struct snapshot_writer *w =
        snapshot_writer_open(f->files, SNAPSHOT_TAKEN_TEMPORARY, &cluster, &meta, NULL, &rc);
    assert_non_null(w);
    for (int i = 0; i < 5000; i++) {
        snapshot_writer_add(w, data, sizeof data);
    }
    assert_int_equal(snapshot_writer_finish(w, &snapshot_bytes), 0);
    assert_int_equal(snapshot_publish(f->files, SNAPSHOT_TAKEN_TEMPORARY, 150, 1), 0);
    assert_int_equal(wal_compact(wal, 150), 0);
    assert_true(wal_bytes(wal) < bytes / 2);
    wal_close(wal);
    log_done(&loaded.log);
    wal_close(open_log(f, 150, &loaded));
    assert_int_equal(log_last_index(&loaded.log), 200);
    assert_true(log_first_index(&loaded.log) <= 151);
    log_done(&loaded.log);
    char name[SNAPSHOT_NAME_SIZE];
    bool found = false;
    assert_int_equal(snapshot_find(f->files, &found, name), 0);
    assert_string_equal(name, "snapshot-0000000000000096-0000000000000001");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(new_directory_is_made_for_its_user_alone),
        CASE(directory_that_cannot_be_made_is_refused),
        CASE(second_process_is_refused),
        CASE(lock_goes_with_the_process),
        CASE(what_is_written_is_read),
        CASE(sectors_written_past_the_cache_are_read),
        CASE(preallocated_file_is_long_and_zero),
        CASE(preallocation_without_room_changes_nothing),
        CASE(created_file_is_empty),
        CASE(missing_file_is_an_error),
        CASE(file_opened_for_reading_cannot_be_written),
        CASE(files_are_listed_renamed_and_removed),
        CASE(open_file_outlives_its_name),
        CASE(too_many_files_are_refused),
        CASE(log_survives_the_death_of_its_process),
        CASE(snapshot_is_published_and_the_log_compacted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
