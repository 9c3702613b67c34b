/* A data directory is used by one process, of the right member, and never after damage. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "consensus/storage.h"
#include "tests/unit/remove_tree.h"

#define SLOT_STRIDE 512

struct fixture {
    char parent[64];
    char dir[96];
    char error[1024];
};

static const struct storage_identity us = {
    .member_id = 1, .cluster_id = 0xfeedfacecafef00d, .members = "1=a:9100,2=b:9100"};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    (void)snprintf(f->parent, sizeof f->parent, "/tmp/muster-storage-XXXXXX");
    assert_non_null(mkdtemp(f->parent));
    (void)snprintf(f->dir, sizeof f->dir, "%s/data", f->parent);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    remove_tree(f->parent);
    free(f);
    return 0;
}

static struct storage *open_as(struct fixture *f, const struct storage_identity *identity,
                               bool cluster_given)
{
    struct storage_identity found;
    f->error[0] = '\0';
    return storage_open(f->dir, identity, cluster_given, &found, f->error, sizeof f->error);
}

static struct storage *open_fine(struct fixture *f)
{
    struct storage *s = open_as(f, &us, true);
    assert_string_equal(f->error, "");
    assert_non_null(s);
    return s;
}

static void assert_refused(struct fixture *f, const char *word)
{
    assert_null(open_as(f, &us, true));
    if (strstr(f->error, word) == NULL) {
        print_error("\"%s\" is not in \"%s\"\n", word, f->error);
    }
    assert_non_null(strstr(f->error, word));
    assert_non_null(strstr(f->error, f->dir));
}

static const char *path_of(const struct fixture *f, const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", f->dir, name);
    return path;
}

static void put_file(const struct fixture *f, const char *name)
{
    int fd = open(path_of(f, name), O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(close(fd), 0);
}

static void remove_file(const struct fixture *f, const char *name)
{
    assert_int_equal(remove(path_of(f, name)), 0);
}

static void flip_bit(const struct fixture *f, const char *name, off_t bit)
{
    int fd = open(path_of(f, name), O_RDWR);
    assert_true(fd >= 0);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, bit / 8), 1);
    byte ^= (uint8_t)(1 << bit % 8);
    assert_int_equal(pwrite(fd, &byte, 1, bit / 8), 1);
    assert_int_equal(close(fd), 0);
}

static off_t size_of(const struct fixture *f, const char *name)
{
    struct stat s;
    assert_int_equal(stat(path_of(f, name), &s), 0);
    return s.st_size;
}

/* A directory that has been in use: a published log with one file, and a mark. */
static void make_used(struct fixture *f, uint64_t term, uint64_t index)
{
    struct storage *s = open_fine(f);
    put_file(f, "raft.new/metadata1");
    assert_int_equal(storage_publish(s), ST_OK);
    assert_int_equal(storage_mark(s, term, index), ST_OK);
    assert_int_equal(storage_sync(s), ST_OK);
    storage_close(s);
}

static void assert_watermark(const struct storage *s, uint64_t term, uint64_t index)
{
    uint64_t found_term;
    uint64_t found_index;
    storage_watermark(s, &found_term, &found_index);
    assert_int_equal(found_term, term);
    assert_int_equal(found_index, index);
}

static void new_directory_takes_the_identity(void **state)
{
    struct fixture *f = *state;
    struct storage_identity found;
    struct storage *s = storage_open(f->dir, &us, false, &found, f->error, sizeof f->error);
    assert_non_null(s);
    assert_int_equal(found.member_id, us.member_id);
    assert_int_equal(found.cluster_id, us.cluster_id);
    assert_string_equal(found.members, us.members);
    assert_true(storage_is_new(s));
    assert_int_equal(storage_boot(s), 1);
    assert_watermark(s, 0, 0);
    assert_string_equal(storage_raft_dir(s), path_of(f, "raft"));
    assert_string_equal(storage_staging_dir(s), path_of(f, "raft.new"));
    assert_true(storage_free_bytes(s) > 0);
    storage_close(s);
    struct stat st;
    assert_int_equal(stat(f->dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

static void longest_members_text_survives(void **state)
{
    struct fixture *f = *state;
    struct storage_identity big = us;
    memset(big.members, 'a', sizeof big.members - 1);
    struct storage *s = open_as(f, &big, true);
    assert_non_null(s);
    storage_close(s);
    struct storage_identity found;
    s = storage_open(f->dir, &big, true, &found, f->error, sizeof f->error);
    assert_non_null(s);
    assert_string_equal(found.members, big.members);
    storage_close(s);
}

static void boot_number_rises_with_every_start(void **state)
{
    struct fixture *f = *state;
    for (uint64_t boot = 1; boot <= 5; boot++) {
        struct storage *s = open_fine(f);
        assert_int_equal(storage_boot(s), boot);
        assert_int_equal(storage_mark(s, 0, 0), ST_OK);
        storage_close(s);
    }
}

static void boot_number_survives_the_loss_of_either_slot(void **state)
{
    struct fixture *f = *state;
    storage_close(open_fine(f));
    for (uint64_t boot = 2; boot < 8; boot++) {
        flip_bit(f, "watermark", (off_t)(boot % 2) * SLOT_STRIDE * 8 + 140);
        struct storage *s = open_fine(f);
        assert_int_equal(storage_boot(s), boot);
        storage_close(s);
    }
}

static void other_member_is_refused(void **state)
{
    struct fixture *f = *state;
    struct storage_identity other = us;
    other.member_id = 2;
    storage_close(open_as(f, &other, true));
    assert_refused(f, "belongs to member 2, but this is member 1: use --id 2 or another --data");
}

static void other_cluster_is_refused_when_one_was_given(void **state)
{
    struct fixture *f = *state;
    struct storage_identity other = us;
    other.cluster_id++;
    storage_close(open_as(f, &other, true));
    assert_refused(f, "belongs to another cluster");
    struct storage_identity found;
    struct storage *s = storage_open(f->dir, &us, false, &found, f->error, sizeof f->error);
    assert_non_null(s);
    assert_int_equal(found.cluster_id, other.cluster_id);
    storage_close(s);
}

static void second_process_is_refused(void **state)
{
    struct fixture *f = *state;
    struct storage *s = open_fine(f);
    char expected[64];
    (void)snprintf(expected, sizeof expected, "in use by process %ld", (long)getpid());
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        /* The inherited lock goes with the descriptors, so the child opens its own. */
        struct storage *second = open_as(f, &us, true);
        _exit(second == NULL && strstr(f->error, expected) != NULL ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    storage_close(s);
    storage_close(open_fine(f));
}

static void lock_goes_with_the_process(void **state)
{
    struct fixture *f = *state;
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct storage *s = open_as(f, &us, true);
        if (s == NULL) {
            _exit(1);
        }
        assert_int_equal(storage_mark(s, 0, 0), ST_OK);
        _exit(0); /* without closing */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct storage *s = open_fine(f);
    assert_int_equal(storage_boot(s), 2);
    storage_close(s);
}

static void directory_that_cannot_be_made_is_refused(void **state)
{
    struct fixture *f = *state;
    (void)snprintf(f->dir, sizeof f->dir, "%s/no/such/parent", f->parent);
    assert_refused(f, "cannot create");
    (void)snprintf(f->dir, sizeof f->dir, "%s/file", f->parent);
    int fd = open(f->dir, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(close(fd), 0);
    assert_refused(f, "cannot open");
}

static void published_log_is_found_again(void **state)
{
    struct fixture *f = *state;
    make_used(f, 3, 17);
    struct storage *s = open_fine(f);
    assert_false(storage_is_new(s));
    assert_watermark(s, 3, 17);
    assert_int_equal(access(path_of(f, "raft/metadata1"), F_OK), 0);
    assert_int_not_equal(access(path_of(f, "raft.new"), F_OK), 0);
    storage_close(s);
}

/* The process died before storage_publish. */
static void leftover_staging_is_emptied(void **state)
{
    struct fixture *f = *state;
    struct storage *s = open_fine(f);
    put_file(f, "raft.new/metadata1");
    put_file(f, "raft.new/open-1");
    storage_close(s);
    s = open_fine(f);
    assert_true(storage_is_new(s));
    assert_int_equal(access(path_of(f, "raft.new"), F_OK), 0);
    assert_int_not_equal(access(path_of(f, "raft.new/metadata1"), F_OK), 0);
    assert_int_not_equal(access(path_of(f, "raft.new/open-1"), F_OK), 0);
    storage_close(s);
}

/* The process died between the files of the first start. */
static void half_made_directory_is_completed(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkdir(f->dir, 0700), 0);
    put_file(f, "identity.new");
    put_file(f, "watermark.new");
    int fd = open(path_of(f, "watermark"), O_WRONLY | O_CREAT, 0600);
    assert_int_equal(ftruncate(fd, 2 * SLOT_STRIDE), 0);
    assert_int_equal(close(fd), 0);
    struct storage *s = open_fine(f);
    assert_int_equal(storage_boot(s), 1);
    storage_close(s);
}

static void empty_raft_directory_counts_as_new(void **state)
{
    struct fixture *f = *state;
    storage_close(open_fine(f));
    assert_int_equal(mkdir(path_of(f, "raft"), 0700), 0);
    struct storage *s = open_fine(f);
    assert_true(storage_is_new(s));
    put_file(f, "raft.new/metadata1");
    assert_int_equal(storage_publish(s), ST_OK);
    assert_false(storage_is_new(s));
    storage_close(s);
}

static void watermark_is_the_last_one_marked(void **state)
{
    struct fixture *f = *state;
    make_used(f, 1, 1);
    for (uint64_t i = 2; i < 20; i++) {
        struct storage *s = open_fine(f);
        assert_watermark(s, i / 2, i - 1);
        for (uint64_t j = 0; j < i % 3; j++) {
            assert_int_equal(storage_mark(s, 99, 1000 + j), ST_OK);
        }
        assert_int_equal(storage_mark(s, (i + 1) / 2, i),
                         ST_OK); /* lower than the ones before: a log may become shorter */
        assert_watermark(s, (i + 1) / 2, i);
        storage_close(s);
    }
}

static void torn_slot_leaves_the_mark_before(void **state)
{
    struct fixture *f = *state;
    make_used(f, 3, 17);
    /* The first start writes marks 1 and 2, make_used the third: in slot 3 % 2. */
    flip_bit(f, "watermark", SLOT_STRIDE * 8 + 200);
    struct storage *s = open_fine(f);
    assert_watermark(s, 0, 0);
    assert_int_equal(storage_mark(s, 4, 20), ST_OK);
    assert_int_equal(storage_mark(s, 4, 21), ST_OK);
    storage_close(s);
    flip_bit(f, "watermark", SLOT_STRIDE * 8 + 200); /* of 4^20 or 4^21, whichever lies there */
    s = open_fine(f);
    uint64_t term;
    uint64_t index;
    storage_watermark(s, &term, &index);
    assert_true(term == 4 && (index == 20 || index == 21));
    storage_close(s);
}

static void watermark_with_both_slots_damaged_is_refused(void **state)
{
    struct fixture *f = *state;
    make_used(f, 3, 17);
    flip_bit(f, "watermark", 200);
    flip_bit(f, "watermark", SLOT_STRIDE * 8 + 200);
    assert_refused(f, "watermark is damaged");
    assert_non_null(strstr(f->error, "move the directory aside"));
    assert_non_null(strstr(f->error, "nothing was changed"));
}

static void every_flipped_bit_of_a_slot_is_noticed(void **state)
{
    struct fixture *f = *state;
    make_used(f, 3, 17);
    flip_bit(f, "watermark", 200); /* one is gone already */
    for (off_t bit = 0; bit < 64 * 8; bit++) {
        flip_bit(f, "watermark", SLOT_STRIDE * 8 + bit);
        assert_refused(f, "watermark is damaged");
        flip_bit(f, "watermark", SLOT_STRIDE * 8 + bit);
    }
    storage_close(open_fine(f));
}

static void watermark_of_another_size_is_refused(void **state)
{
    struct fixture *f = *state;
    make_used(f, 3, 17);
    assert_int_equal(truncate(path_of(f, "watermark"), SLOT_STRIDE), 0);
    assert_refused(f, "watermark is damaged");
    assert_int_equal(truncate(path_of(f, "watermark"), 2 * SLOT_STRIDE + 1), 0);
    assert_refused(f, "watermark is damaged");
}

static void missing_watermark_is_refused(void **state)
{
    struct fixture *f = *state;
    make_used(f, 3, 17);
    remove_file(f, "watermark");
    assert_refused(f, "watermark is missing");
}

static void emptied_watermark_is_refused(void **state)
{
    struct fixture *f = *state;
    make_used(f, 3, 17);
    assert_int_equal(truncate(path_of(f, "watermark"), 0), 0);
    assert_int_equal(truncate(path_of(f, "watermark"), 2 * SLOT_STRIDE), 0);
    assert_refused(f, "watermark is empty");
}

static void every_flipped_bit_of_the_identity_is_noticed(void **state)
{
    struct fixture *f = *state;
    make_used(f, 3, 17);
    off_t bits = size_of(f, "identity") * 8;
    for (off_t bit = 0; bit < bits; bit++) {
        flip_bit(f, "identity", bit);
        assert_refused(f, "identity is damaged");
        flip_bit(f, "identity", bit);
    }
    storage_close(open_fine(f));
}

static void truncated_identity_is_refused(void **state)
{
    struct fixture *f = *state;
    make_used(f, 3, 17);
    for (off_t size = size_of(f, "identity") - 1; size >= 0; size--) {
        assert_int_equal(truncate(path_of(f, "identity"), size), 0);
        assert_refused(f, "identity is damaged");
    }
}

static void log_without_identity_is_refused(void **state)
{
    struct fixture *f = *state;
    make_used(f, 3, 17);
    remove_file(f, "identity");
    assert_refused(f, "identity is missing");
}

static void watermark_without_identity_and_log_is_refused(void **state)
{
    struct fixture *f = *state;
    make_used(f, 3, 17);
    remove_file(f, "identity");
    remove_file(f, "raft/metadata1");
    assert_refused(f, "watermark tells of a log");
}

static void identity_without_log_is_refused(void **state)
{
    struct fixture *f = *state;
    make_used(f, 3, 17);
    remove_file(f, "raft/metadata1");
    assert_refused(f, "the log in raft/ is gone");
    remove_file(f, "raft");
    assert_refused(f, "the log in raft/ is gone");
    assert_int_not_equal(access(path_of(f, "raft.new"), F_OK), 0);
}

static void closing_null_is_fine(void **state)
{
    (void)state;
    storage_close(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(new_directory_takes_the_identity),
        TEST(longest_members_text_survives),
        TEST(boot_number_rises_with_every_start),
        TEST(boot_number_survives_the_loss_of_either_slot),
        TEST(other_member_is_refused),
        TEST(other_cluster_is_refused_when_one_was_given),
        TEST(second_process_is_refused),
        TEST(lock_goes_with_the_process),
        TEST(directory_that_cannot_be_made_is_refused),
        TEST(published_log_is_found_again),
        TEST(leftover_staging_is_emptied),
        TEST(half_made_directory_is_completed),
        TEST(empty_raft_directory_counts_as_new),
        TEST(watermark_is_the_last_one_marked),
        TEST(torn_slot_leaves_the_mark_before),
        TEST(watermark_with_both_slots_damaged_is_refused),
        TEST(every_flipped_bit_of_a_slot_is_noticed),
        TEST(watermark_of_another_size_is_refused),
        TEST(missing_watermark_is_refused),
        TEST(emptied_watermark_is_refused),
        TEST(every_flipped_bit_of_the_identity_is_noticed),
        TEST(truncated_identity_is_refused),
        TEST(log_without_identity_is_refused),
        TEST(watermark_without_identity_and_log_is_refused),
        TEST(identity_without_log_is_refused),
        TEST(closing_null_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
