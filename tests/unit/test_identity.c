/* The identity is complete, old or new, or the start is refused. */
#include <errno.h>
#include <inttypes.h>

#include "consensus/disk/identity.h"
#include "server/base/crc32c.h"
#include "tests/unit/disk_fixture.h"

struct here {
    uint64_t chance;
    struct files_disk *disk;
    const struct files *files;
    char error[512];
};

static const struct identity us = {.member = 2,
                                   .life = 0x7fffffffffffffff,
                                   .cluster = {.bytes = {0xab, 1, 2}},
                                   .members = "1=a:9100,2=b:9100"};

static int set_up(void **state)
{
    struct here *h = mem_zalloc(1, sizeof *h);
    h->disk = files_create(&(struct files_options){.random = fixture_random, .data = &h->chance});
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

static enum identity_state read_it(struct here *h, struct identity *ret_identity)
{
    h->error[0] = '\0';
    enum identity_state state = identity_read(h->files, ret_identity, h->error, sizeof h->error);
    assert_int_equal(state == IDENTITY_REFUSED, h->error[0] != '\0');
    return state;
}

static void assert_is(struct here *h, const struct identity *expected)
{
    struct identity found;
    assert_int_equal(read_it(h, &found), IDENTITY_FINE);
    assert_int_equal(found.member, expected->member);
    assert_int_equal(found.life, expected->life);
    assert_true(cluster_id_equal(&found.cluster, &expected->cluster));
    assert_string_equal(found.members, expected->members);
}

static void assert_refused(struct here *h, const char *word)
{
    struct identity found;
    assert_int_equal(read_it(h, &found), IDENTITY_REFUSED);
    if (strstr(h->error, word) == NULL) {
        print_error("\"%s\" is not in \"%s\"\n", word, h->error);
    }
    assert_non_null(strstr(h->error, word));
}

static void identity_is_read_as_it_was_written(void **state)
{
    struct here *h = *state;
    assert_int_equal(identity_write(h->files, &us), 0);
    assert_is(h, &us);
    assert_string_equal((const char *)files_content(h->disk, "identity"),
                        "muster identity 2\nmember=2\nlife=9223372036854775807\n"
                        "cluster=ab010200000000000000000000000000\n"
                        "members=1=a:9100,2=b:9100\ncrc32c=231f6b58\n");
}

static void longest_members_survive(void **state)
{
    struct here *h = *state;
    struct identity big = us;
    big.member = UINT64_MAX;
    memset(big.members, 'a', sizeof big.members - 1);
    assert_int_equal(identity_write(h->files, &big), 0);
    assert_is(h, &big);
}

static void identity_of_no_cluster_survives(void **state)
{
    struct here *h = *state;
    struct identity waiting = {.member = 1, .life = 7};
    assert_int_equal(identity_write(h->files, &waiting), 0);
    assert_is(h, &waiting);
}

static void empty_directory_has_none(void **state)
{
    struct here *h = *state;
    struct identity found;
    assert_int_equal(read_it(h, &found), IDENTITY_MISSING);
    files_put(h->disk, "lock", "1", 1);
    files_put(h->disk, "identity.new", "half", 4);
    assert_int_equal(read_it(h, &found), IDENTITY_MISSING);
}

static void missing_identity_beside_a_log_is_refused(void **state)
{
    struct here *h = *state;
    static const char *const names[] = {"log-0000000000000001", "log.new", "snapshot.taken",
                                        "snapshot-0000000000000001-0000000000000001"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        files_put(h->disk, names[i], "x", 1);
        assert_refused(h, "the file identity is missing, though there is");
        assert_non_null(strstr(h->error, names[i]));
        files_empty(h->disk);
    }
}

static void directory_of_version_0_1_is_refused(void **state)
{
    struct here *h = *state;
    static const char old[] = "muster identity 1\nmember=1\ncluster=1\nmembers=1=a:1\ncrc32c=0\n";
    files_put(h->disk, "identity", old, sizeof old - 1);
    assert_refused(h, "the file identity was written by Muster 0.1, whose format this version does "
                      "not read: start with an empty directory");
    files_put(h->disk, "watermark", "x", 1);
    assert_refused(h, "the file watermark was written by Muster 0.1");
    files_put(h->disk, "raft", "", 0);
    assert_refused(h, "the directory raft was written by Muster 0.1");
}

static void any_damage_is_refused(void **state)
{
    struct here *h = *state;
    assert_int_equal(identity_write(h->files, &us), 0);
    uint64_t size = files_size(h->disk, "identity");
    for (uint64_t bit = 0; bit < size * 8; bit++) {
        files_flip_bit(h->disk, "identity", bit);
        assert_refused(h, "the file identity is damaged");
        files_flip_bit(h->disk, "identity", bit);
    }
    struct files_image *sound = files_copy(h->disk);
    for (uint64_t len = 0; len < size; len++) {
        files_cut(h->disk, "identity", len);
        assert_refused(h, "the file identity is damaged");
        files_put_back(h->disk, sound);
    }
    assert_is(h, &us);
    char longer[4096] = {0};
    memcpy(longer, files_content(h->disk, "identity"), size);
    for (size_t more = 1; size + more <= sizeof longer; more += 700) {
        files_put(h->disk, "identity", longer, size + more);
        assert_refused(h, "the file identity is damaged");
    }
    files_image_destroy(sound);
}

static void impossible_identity_is_refused(void **state)
{
    struct here *h = *state;
    static const char *const bodies[] = {
        "member=1\nlife=0\ncluster=00000000000000000000000000000000\nmembers=\n",
        "member=1\nlife=9223372036854775808\ncluster=00000000000000000000000000000000\nmembers=\n",
        "member=-1\nlife=1\ncluster=00000000000000000000000000000000\nmembers=\n",
        "member=1\nlife=1\ncluster=000000000000000000000000000000000\nmembers=\n",
        "member=1\nlife=1\ncluster=0000000000000000000000000000000G\nmembers=\n",
        "life=1\nmember=1\ncluster=00000000000000000000000000000000\nmembers=\n",
        "member=1\nlife=1\ncluster=00000000000000000000000000000000\n",
        "member=1\nlife=1\ncluster=00000000000000000000000000000000\nmembers=\nmore=1\n",
        "",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
        char text[512];
        int n = snprintf(text, sizeof text, "muster identity 2\n%s", bodies[i]);
        n += snprintf(text + n, sizeof text - (size_t)n, "crc32c=%08" PRIx32 "\n",
                      crc32c(0, text, (size_t)n));
        files_put(h->disk, "identity", text, (size_t)n);
        assert_refused(h, "the file identity is damaged");
    }
}

/* A crash and an error at each call, with every outcome: the old one or the new one. */
static void replacing_leaves_the_old_one_or_the_new_one(void **state)
{
    struct here *h = *state;
    struct identity next = us;
    next.cluster.bytes[3] = 3;
    uint64_t old_ones = 0;
    uint64_t new_ones = 0;
    for (uint64_t i = 0; i < 4 * 8 * 20; i++) {
        struct identity found;
        files_empty(h->disk);
        h->files = files_boot(h->disk);
        assert_int_equal(identity_write(h->files, &us), 0);
        files_plan(h->disk, &(struct files_plan){.calls = i / 4 % 8,
                                                 .fate = (enum files_fate)(i % 4),
                                                 .error = EIO});
        int rc = identity_write(h->files, &next);
        files_kill(h->disk);
        if (i % 3 > 0) {
            files_lose_power(h->disk);
        }
        h->files = files_boot(h->disk);
        assert_int_equal(read_it(h, &found), IDENTITY_FINE);
        bool is_next = cluster_id_equal(&found.cluster, &next.cluster);
        assert_true(is_next || cluster_id_equal(&found.cluster, &us.cluster));
        assert_true(is_next || rc != 0);
        new_ones += is_next ? 1 : 0;
        old_ones += is_next ? 0 : 1;
    }
    assert_true(old_ones > 100 && new_ones > 100);
}

static void what_was_read_lasts(void **state)
{
    struct here *h = *state;
    for (int i = 0; i < 50; i++) {
        struct identity found;
        files_empty(h->disk);
        h->files = files_boot(h->disk);
        /* The process dies after the rename, before it is durable. */
        files_plan(h->disk, &(struct files_plan){.calls = 2, .fate = FILES_DIE_AFTER});
        assert_int_not_equal(identity_write(h->files, &us), 0);
        h->files = files_boot(h->disk);
        assert_int_equal(read_it(h, &found), IDENTITY_FINE);
        files_lose_power(h->disk);
        h->files = files_boot(h->disk);
        assert_int_equal(read_it(h, &found), IDENTITY_FINE);
    }
}

static void error_of_any_call_is_refused(void **state)
{
    struct here *h = *state;
    struct identity found;
    assert_int_equal(identity_write(h->files, &us), 0);
    uint64_t before = files_count(h->disk, FILES_CALLS);
    assert_is(h, &us);
    uint64_t calls = files_count(h->disk, FILES_CALLS) - before;
    for (uint64_t n = 0; n < calls; n++) {
        files_plan(h->disk, &(struct files_plan){.calls = n, .fate = FILES_ERROR, .error = EMFILE});
        assert_int_equal(read_it(h, &found), IDENTITY_REFUSED);
        assert_non_null(strstr(h->error, "Too many open files"));
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(identity_is_read_as_it_was_written),
        CASE(longest_members_survive),
        CASE(identity_of_no_cluster_survives),
        CASE(empty_directory_has_none),
        CASE(missing_identity_beside_a_log_is_refused),
        CASE(directory_of_version_0_1_is_refused),
        CASE(any_damage_is_refused),
        CASE(impossible_identity_is_refused),
        CASE(replacing_leaves_the_old_one_or_the_new_one),
        CASE(what_was_read_lasts),
        CASE(error_of_any_call_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
