/* A snapshot is read as written, or refused; and is published atomically. */
#include <errno.h>
#include <inttypes.h>

#include "consensus/disk/snapshot_file.h"
#include "server/base/crc32c.h"
#include "server/base/snapshot_block.h"
#include "tests/unit/disk_fixture.h"

struct here {
    uint64_t chance;
    struct files_disk *disk;
    const struct files *files;
    struct snapshot_meta meta;
    uint8_t *state;
    size_t len;
    char error[512];
};

static const struct cluster_id cluster = {.bytes = {9, 9, 9}};

static int set_up(void **state)
{
    struct here *h = mem_zalloc(1, sizeof *h);
    h->disk = files_create(&(struct files_options){.random = fixture_random, .data = &h->chance});
    h->files = files_boot(h->disk);
    h->meta = (struct snapshot_meta){.index = 77,
                                     .term = 5,
                                     .checksum = 0xabcdef01,
                                     .level = 2,
                                     .configuration_index = 70,
                                     .configuration_len = 33};
    for (size_t i = 0; i < h->meta.configuration_len; i++) {
        h->meta.configuration[i] = (uint8_t)(i * 3);
    }
    *state = h;
    return 0;
}

static int tear_down(void **state)
{
    struct here *h = *state;
    files_destroy(h->disk);
    free(h->state);
    free(h);
    return 0;
}

static void make_state(struct here *h, size_t len)
{
    h->state = mem_realloc(h->state, len + 1);
    h->len = len;
    for (size_t i = 0; i < len; i++) {
        h->state[i] = (uint8_t)(i * 7 + i / 1000);
    }
}

static int write_it(struct here *h, size_t piece)
{
    int rc = 0;
    uint64_t bytes = 0;
    struct snapshot_writer *w =
        snapshot_writer_open(h->files, SNAPSHOT_TAKEN_TEMPORARY, &cluster, &h->meta, NULL, &rc);
    if (w == NULL) {
        assert_int_not_equal(rc, 0);
        return rc;
    }
    for (size_t at = 0; at < h->len; at += piece) {
        snapshot_writer_add(w, h->state + at, h->len - at < piece ? h->len - at : piece);
    }
    rc = snapshot_writer_finish(w, &bytes);
    if (rc == 0) {
        assert_int_equal(bytes, files_size(h->disk, SNAPSHOT_TAKEN_TEMPORARY));
    }
    return rc;
}

/* All of it. False: refused. */
static bool read_it(struct here *h, const char *name, bool raw, struct buffer *ret_bytes)
{
    struct snapshot_meta meta;
    h->error[0] = '\0';
    struct snapshot_reader *r =
        snapshot_reader_open(h->files, name, &cluster, &meta, h->error, sizeof h->error);
    bool fine = r != NULL;
    size_t len = 1;
    if (fine) {
        assert_int_equal(snapshot_reader_file_bytes(r), files_size(h->disk, name));
        assert_int_equal(meta.index, h->meta.index);
        assert_int_equal(meta.term, h->meta.term);
        assert_int_equal(meta.checksum, h->meta.checksum);
        assert_int_equal(meta.level, h->meta.level);
        assert_int_equal(meta.configuration_index, h->meta.configuration_index);
        assert_int_equal(meta.configuration_len, h->meta.configuration_len);
        assert_memory_equal(meta.configuration, h->meta.configuration, meta.configuration_len);
    }
    while (fine && len > 0) {
        const uint8_t *data;
        fine = raw ? snapshot_reader_raw(r, &data, &len, h->error, sizeof h->error)
                   : snapshot_reader_next(r, &data, &len, h->error, sizeof h->error);
        if (fine) {
            buffer_append(ret_bytes, data, len);
        }
    }
    snapshot_reader_close(r);
    assert_int_equal(fine, h->error[0] == '\0');
    return fine;
}

static void assert_reads_back(struct here *h, const char *name)
{
    struct buffer b;
    buffer_init(&b, 1u << 30);
    bool fine = read_it(h, name, false, &b);
    assert_string_equal(h->error, "");
    assert_true(fine);
    assert_int_equal(b.len, h->len);
    if (b.len > 0) {
        assert_memory_equal(b.data, h->state, h->len);
    }
    buffer_clear(&b);
    assert_true(read_it(h, name, true, &b));
    assert_int_equal(b.len, files_size(h->disk, name));
    assert_memory_equal(b.data, files_content(h->disk, name), b.len);
    buffer_done(&b);
}

static void assert_refused(struct here *h, const char *name, const char *word)
{
    struct buffer b;
    buffer_init(&b, 1u << 30);
    for (int raw = 0; raw < 2; raw++) {
        assert_false(read_it(h, name, raw != 0, &b));
        if (strstr(h->error, word) == NULL) {
            print_error("\"%s\" is not in \"%s\"\n", word, h->error);
        }
        assert_non_null(strstr(h->error, word));
        assert_non_null(strstr(h->error, name));
    }
    buffer_done(&b);
}

static void snapshot_is_read_as_it_was_written(void **state)
{
    struct here *h = *state;
    static const size_t lengths[] = {0,
                                     1,
                                     1000,
                                     SNAPSHOT_CHUNK_BYTES - 1,
                                     SNAPSHOT_CHUNK_BYTES,
                                     SNAPSHOT_CHUNK_BYTES + 1,
                                     3 * SNAPSHOT_CHUNK_BYTES,
                                     40 * SNAPSHOT_CHUNK_BYTES + 5};
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        make_state(h, lengths[i]);
        assert_int_equal(write_it(h, i % 2 == 0 ? 777 : 700000), 0);
        assert_reads_back(h, SNAPSHOT_TAKEN_TEMPORARY);
    }
}

static void largest_configuration_survives(void **state)
{
    struct here *h = *state;
    h->meta.configuration_len = SNAPSHOT_CONFIGURATION_MAX;
    memset(h->meta.configuration, 0xee, SNAPSHOT_CONFIGURATION_MAX);
    make_state(h, 10);
    assert_int_equal(write_it(h, 10), 0);
    assert_reads_back(h, SNAPSHOT_TAKEN_TEMPORARY);
    h->meta.configuration_len = 0;
    assert_int_equal(write_it(h, 10), 0);
    assert_reads_back(h, SNAPSHOT_TAKEN_TEMPORARY);
}

static const char name_77[] = "snapshot-000000000000004d-0000000000000005";

static void published_snapshot_takes_the_place_of_older_ones(void **state)
{
    struct here *h = *state;
    char name[SNAPSHOT_NAME_SIZE] = "";
    bool found = true;
    assert_int_equal(snapshot_find(h->files, &found, name), 0);
    assert_false(found);
    files_put(h->disk, "snapshot-0000000000000002-0000000000000001", "x", 1);
    files_put(h->disk, "snapshot-000000000000004d-0000000000000004", "x", 1);
    files_put(h->disk, "snapshot-2-1", "x", 1);
    files_put(h->disk, "snapshot-000000000000004D-0000000000000009", "x", 1);
    files_put(h->disk, "snapshot-000000000000004e-00000000000000050", "x", 1);
    make_state(h, 100);
    assert_int_equal(write_it(h, 100), 0);
    assert_int_equal(snapshot_publish(h->files, SNAPSHOT_TAKEN_TEMPORARY, 77, 5), 0);
    assert_int_equal(snapshot_find(h->files, &found, name), 0);
    assert_true(found);
    assert_string_equal(name, name_77);
    assert_reads_back(h, name);
    assert_int_equal(files_name_count(h->disk), 4); /* foreign files stay */
    /* A newer one stays. */
    files_put(h->disk, "snapshot-0000000000000100-0000000000000005", "x", 1);
    assert_int_equal(write_it(h, 100), 0);
    assert_int_equal(snapshot_publish(h->files, SNAPSHOT_TAKEN_TEMPORARY, 77, 5), 0);
    assert_int_equal(snapshot_find(h->files, &found, name), 0);
    assert_string_equal(name, "snapshot-0000000000000100-0000000000000005");
}

static void temporary_files_are_swept(void **state)
{
    struct here *h = *state;
    assert_int_equal(snapshot_sweep(h->files), 0);
    files_put(h->disk, SNAPSHOT_TAKEN_TEMPORARY, "x", 1);
    files_put(h->disk, SNAPSHOT_RECEIVED_TEMPORARY, "x", 1);
    files_put(h->disk, name_77, "x", 1);
    assert_int_equal(snapshot_sweep(h->files), 0);
    assert_int_equal(files_name_count(h->disk), 1);
}

static void snapshot_of_another_cluster_is_refused(void **state)
{
    struct here *h = *state;
    struct cluster_id other = cluster;
    struct snapshot_meta meta;
    other.bytes[15] = 1;
    make_state(h, 10);
    assert_int_equal(write_it(h, 10), 0);
    assert_null(snapshot_reader_open(h->files, SNAPSHOT_TAKEN_TEMPORARY, &other, &meta, h->error,
                                     sizeof h->error));
    assert_non_null(strstr(h->error, "belongs to another cluster"));
}

static void snapshot_under_the_name_of_another_is_refused(void **state)
{
    struct here *h = *state;
    make_state(h, 10);
    assert_int_equal(write_it(h, 10), 0);
    assert_int_equal(snapshot_publish(h->files, SNAPSHOT_TAKEN_TEMPORARY, 78, 5), 0);
    assert_refused(h, "snapshot-000000000000004e-0000000000000005", "it contains another snapshot");
}

static void missing_snapshot_is_refused(void **state)
{
    struct here *h = *state;
    assert_refused(h, name_77, "cannot open");
}

static void any_flipped_bit_is_refused(void **state)
{
    struct here *h = *state;
    make_state(h, 300);
    assert_int_equal(write_it(h, 300), 0);
    uint64_t bits = files_size(h->disk, SNAPSHOT_TAKEN_TEMPORARY) * 8;
    for (uint64_t bit = 0; bit < bits; bit++) {
        files_flip_bit(h->disk, SNAPSHOT_TAKEN_TEMPORARY, bit);
        assert_refused(h, SNAPSHOT_TAKEN_TEMPORARY, "");
        files_flip_bit(h->disk, SNAPSHOT_TAKEN_TEMPORARY, bit);
    }
    assert_reads_back(h, SNAPSHOT_TAKEN_TEMPORARY);
    make_state(h, 2 * SNAPSHOT_CHUNK_BYTES + 100);
    assert_int_equal(write_it(h, 10000), 0);
    bits = files_size(h->disk, SNAPSHOT_TAKEN_TEMPORARY) * 8;
    for (int i = 0; i < 300; i++) {
        uint64_t bit = fixture_random(&h->chance) % bits;
        files_flip_bit(h->disk, SNAPSHOT_TAKEN_TEMPORARY, bit);
        assert_refused(h, SNAPSHOT_TAKEN_TEMPORARY, "at byte");
        files_flip_bit(h->disk, SNAPSHOT_TAKEN_TEMPORARY, bit);
    }
}

static void any_other_length_is_refused(void **state)
{
    struct here *h = *state;
    make_state(h, 300);
    assert_int_equal(write_it(h, 300), 0);
    uint8_t file[4096] = {0};
    size_t len = (size_t)files_size(h->disk, SNAPSHOT_TAKEN_TEMPORARY);
    memcpy(file, files_content(h->disk, SNAPSHOT_TAKEN_TEMPORARY), len);
    for (size_t other = 0; other < sizeof file; other += other < len + 100 ? 1 : 97) {
        files_put(h->disk, SNAPSHOT_TAKEN_TEMPORARY, file, other);
        if (other != len) {
            assert_refused(h, SNAPSHOT_TAKEN_TEMPORARY, "at byte");
        }
    }
}

/* Chunks of a file: left out, duplicated, reordered, or from another file. */
static void chunks_in_any_other_order_are_refused(void **state)
{
    struct here *h = *state;
    make_state(h, 3 * SNAPSHOT_CHUNK_BYTES);
    assert_int_equal(write_it(h, 100000), 0);
    size_t len = (size_t)files_size(h->disk, SNAPSHOT_TAKEN_TEMPORARY);
    uint8_t *file = mem_alloc(len);
    memcpy(file, files_content(h->disk, SNAPSHOT_TAKEN_TEMPORARY), len);
    h->meta.index++;
    assert_int_equal(write_it(h, 100000), 0);
    uint8_t *foreign = mem_alloc(len);
    memcpy(foreign, files_content(h->disk, SNAPSHOT_TAKEN_TEMPORARY), len);
    h->meta.index--;
    size_t head = SNAPSHOT_BLOCK_HEADER + SNAPSHOT_META_BYTES + h->meta.configuration_len;
    size_t foot = len - SNAPSHOT_BLOCK_HEADER - SNAPSHOT_FOOTER_BYTES;
    uint8_t *changed = mem_alloc(5 * (size_t)SNAPSHOT_BLOCK_MAX);
    /* Three digits of base 6: which chunk; 3: none; 4 and 5: the other file's second and third. */
    for (unsigned order = 0; order < 216; order++) {
        unsigned digits[] = {order % 6, order / 6 % 6, order / 36};
        size_t to = head;
        memcpy(changed, file, head);
        for (size_t i = 0; i < 3; i++) {
            const uint8_t *from = digits[i] > 3 ? foreign : file;
            size_t chunk = digits[i] > 3 ? digits[i] - 3 : digits[i];
            if (digits[i] != 3) {
                memcpy(changed + to, from + head + chunk * SNAPSHOT_BLOCK_MAX, SNAPSHOT_BLOCK_MAX);
                to += SNAPSHOT_BLOCK_MAX;
            }
        }
        memcpy(changed + to, file + foot, len - foot);
        files_put(h->disk, SNAPSHOT_TAKEN_TEMPORARY, changed, to + len - foot);
        if (order == 0 * 1 + 1 * 6 + 2 * 36) {
            assert_reads_back(h, SNAPSHOT_TAKEN_TEMPORARY);
        } else {
            assert_refused(h, SNAPSHOT_TAKEN_TEMPORARY, "does not follow the previous one");
        }
    }
    free(changed);
    free(foreign);
    free(file);
}

/* Valid checksums, invalid content: as from a faulty writer. */
static void blocks_of_a_wrong_shape_are_refused(void **state)
{
    struct here *h = *state;
    static const struct {
        enum snapshot_block kinds[3];
        size_t lens[3];
        const char *word;
    } cases[] = {
        {{SNAPSHOT_CHUNK}, {100}, "a chunk is misplaced"},
        {{SNAPSHOT_FOOT}, {SNAPSHOT_FOOTER_BYTES}, "its last block is wrong"},
        {{SNAPSHOT_HEAD}, {SNAPSHOT_META_BYTES - 1}, "its first block is wrong"},
        {{SNAPSHOT_HEAD},
         {SNAPSHOT_META_BYTES + SNAPSHOT_CONFIGURATION_MAX + 1},
         "its first block is wrong"},
        {{SNAPSHOT_HEAD}, {SNAPSHOT_META_BYTES}, "its first block is wrong"}, /* of zeros */
        {{(enum snapshot_block)'X'}, {100}, "of an unknown kind"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint8_t *file = mem_zalloc(3, SNAPSHOT_BLOCK_MAX);
        size_t at = 0;
        struct snapshot_chain chain = {.cluster = cluster};
        for (size_t j = 0; j < 3 && cases[i].lens[j] > 0; j++) {
            snapshot_block_seal(&chain, file + at, cases[i].kinds[j], cases[i].lens[j]);
            at += SNAPSHOT_BLOCK_HEADER + cases[i].lens[j];
        }
        files_put(h->disk, name_77, file, at);
        assert_refused(h, name_77, cases[i].word);
        free(file);
    }
}

static void second_head_and_wrong_counts_are_refused(void **state)
{
    struct here *h = *state;
    for (int i = 0; i < 4; i++) {
        uint8_t *file = mem_zalloc(3, SNAPSHOT_BLOCK_MAX);
        struct snapshot_chain chain = {.cluster = cluster};
        size_t len = snapshot_meta_encode(&h->meta, file + SNAPSHOT_BLOCK_HEADER);
        snapshot_block_seal(&chain, file, SNAPSHOT_HEAD, len);
        size_t at = SNAPSHOT_BLOCK_HEADER + len;
        uint8_t *body = file + at + SNAPSHOT_BLOCK_HEADER;
        if (i == 0) {
            snapshot_block_seal(&chain, file + at, SNAPSHOT_HEAD,
                                snapshot_meta_encode(&h->meta, body));
            at += SNAPSHOT_BLOCK_HEADER + len;
        } else {
            store_u64(body, i == 1 ? 1 : 0);
            store_u64(body + 8, i == 2 ? 1 : 0);
            snapshot_block_seal(&chain, file + at, SNAPSHOT_FOOT, SNAPSHOT_FOOTER_BYTES);
            at += SNAPSHOT_BLOCK_HEADER + SNAPSHOT_FOOTER_BYTES;
        }
        files_put(h->disk, SNAPSHOT_TAKEN_TEMPORARY, file, at);
        if (i < 3) {
            assert_refused(h, SNAPSHOT_TAKEN_TEMPORARY,
                           i == 0 ? "its first block is wrong" : "the totals in its last block");
        } else {
            make_state(h, 0);
            assert_reads_back(h, SNAPSHOT_TAKEN_TEMPORARY);
        }
        free(file);
    }
}

static void block_of_another_number_or_parent_is_refused(void **state)
{
    struct here *h = *state;
    for (int i = 0; i < 2; i++) {
        uint8_t file[1024] = {0};
        struct snapshot_chain chain = {.cluster = cluster};
        size_t len = snapshot_meta_encode(&h->meta, file + SNAPSHOT_BLOCK_HEADER);
        snapshot_block_seal(&chain, file, SNAPSHOT_HEAD, len);
        len += SNAPSHOT_BLOCK_HEADER;
        chain.number += i == 0 ? 1 : 0;
        chain.parent += i == 1 ? 1 : 0;
        snapshot_block_seal(&chain, file + len, SNAPSHOT_FOOT, SNAPSHOT_FOOTER_BYTES);
        files_put(h->disk, SNAPSHOT_TAKEN_TEMPORARY, file,
                  len + SNAPSHOT_BLOCK_HEADER + SNAPSHOT_FOOTER_BYTES);
        assert_refused(h, SNAPSHOT_TAKEN_TEMPORARY, "does not follow the previous one");
    }
}

static void another_version_is_refused(void **state)
{
    struct here *h = *state;
    make_state(h, 10);
    assert_int_equal(write_it(h, 10), 0);
    uint8_t file[1024];
    size_t len = (size_t)files_size(h->disk, SNAPSHOT_TAKEN_TEMPORARY);
    memcpy(file, files_content(h->disk, SNAPSHOT_TAKEN_TEMPORARY), len);
    store_u16(file + 4, 2);
    store_u32(file + 44, crc32c(0, file, 44));
    files_put(h->disk, SNAPSHOT_TAKEN_TEMPORARY, file, len);
    assert_refused(h, SNAPSHOT_TAKEN_TEMPORARY,
                   "a format version that this program does not support");
}

static int receive(struct here *h, const uint8_t *file, size_t len, size_t piece)
{
    int rc = 0;
    struct snapshot_receiver *r = snapshot_receiver_open(h->files, &rc);
    if (r == NULL) {
        return rc;
    }
    for (size_t at = 0; at < len && rc == 0; at += piece) {
        rc = snapshot_receiver_add(r, file + at, len - at < piece ? len - at : piece);
    }
    if (rc != 0) {
        snapshot_receiver_abandon(r);
        return rc;
    }
    return snapshot_receiver_finish(r);
}

static void received_snapshot_is_the_one_that_was_sent(void **state)
{
    struct here *h = *state;
    make_state(h, 2 * SNAPSHOT_CHUNK_BYTES + 99);
    assert_int_equal(write_it(h, 5000), 0);
    struct buffer sent;
    buffer_init(&sent, 1u << 30);
    assert_true(read_it(h, SNAPSHOT_TAKEN_TEMPORARY, true, &sent));
    assert_int_equal(receive(h, sent.data, sent.len, 1111), 0);
    assert_reads_back(h, SNAPSHOT_RECEIVED_TEMPORARY);
    /* Half of it is refused. */
    assert_int_equal(receive(h, sent.data, sent.len / 2, 1111), 0);
    assert_refused(h, SNAPSHOT_RECEIVED_TEMPORARY, "at byte");
    buffer_done(&sent);
}

static void abandoned_snapshot_is_removed(void **state)
{
    struct here *h = *state;
    int rc;
    struct snapshot_receiver *r = snapshot_receiver_open(h->files, &rc);
    assert_non_null(r);
    assert_int_equal(snapshot_receiver_add(r, "x", 1), 0);
    snapshot_receiver_abandon(r);
    assert_int_equal(files_name_count(h->disk), 0);
}

static void full_disk_is_told_and_given_back(void **state)
{
    struct here *h = *state;
    make_state(h, 3 * SNAPSHOT_CHUNK_BYTES);
    files_set_capacity(h->disk, 2 * SNAPSHOT_CHUNK_BYTES);
    assert_int_equal(write_it(h, 100000), -ENOSPC);
    assert_int_equal(files_used(h->disk), 0);
    assert_int_equal(receive(h, h->state, h->len, 100000), -ENOSPC);
    assert_int_equal(files_used(h->disk), 0);
}

static void error_of_any_call_is_told(void **state)
{
    struct here *h = *state;
    make_state(h, 40 * SNAPSHOT_CHUNK_BYTES);
    uint64_t before = files_count(h->disk, FILES_CALLS);
    assert_int_equal(write_it(h, 100000), 0);
    uint64_t calls = files_count(h->disk, FILES_CALLS) - before;
    assert_true(calls > 40);
    for (uint64_t n = 0; n < calls; n++) {
        files_plan(h->disk, &(struct files_plan){.calls = n, .fate = FILES_ERROR, .error = EIO});
        assert_int_equal(write_it(h, 100000), -EIO);
    }
    make_state(h, 1000);
    assert_int_equal(write_it(h, 1000), 0);
    struct buffer b;
    buffer_init(&b, 1u << 30);
    bool fine = false;
    for (uint64_t n = 0; n < 20 && !fine; n++) {
        files_plan(h->disk, &(struct files_plan){.calls = n, .fate = FILES_ERROR, .error = EIO});
        fine = read_it(h, SNAPSHOT_TAKEN_TEMPORARY, false, &b);
        assert_true(fine || strstr(h->error, "Input/output error") != NULL);
    }
    assert_true(fine);
    buffer_done(&b);
}

/* A crash at each call of writing and publishing, with every outcome. */
static void publishing_leaves_the_old_one_or_the_new_one(void **state)
{
    struct here *h = *state;
    uint64_t new_ones = 0;
    uint64_t tries = 0;
    make_state(h, SNAPSHOT_CHUNK_BYTES + 1000);
    for (uint64_t i = 0; i < 3 * 12 * 6; i++) {
        char name[SNAPSHOT_NAME_SIZE] = "";
        bool found = false;
        files_empty(h->disk);
        h->files = files_boot(h->disk);
        h->meta.index = 76;
        assert_int_equal(write_it(h, 1000), 0);
        assert_int_equal(snapshot_publish(h->files, SNAPSHOT_TAKEN_TEMPORARY, 76, 5), 0);
        h->meta.index = 77;
        files_plan(h->disk,
                   &(struct files_plan){.calls = i / 3 % 12,
                                        .fate = (enum files_fate)(FILES_DIE_BEFORE + i % 3)});
        int rc = write_it(h, 1000);
        if (rc == 0) {
            rc = snapshot_publish(h->files, SNAPSHOT_TAKEN_TEMPORARY, 77, 5);
        }
        files_kill(h->disk);
        if (i % 4 > 0) {
            files_lose_power(h->disk);
        }
        h->files = files_boot(h->disk);
        assert_int_equal(snapshot_sweep(h->files), 0);
        assert_int_equal(snapshot_find(h->files, &found, name), 0);
        assert_true(found);
        bool is_new = strcmp(name, name_77) == 0;
        assert_true(is_new || rc != 0);
        h->meta.index = is_new ? 77 : 76;
        assert_reads_back(h, name);
        new_ones += is_new ? 1 : 0;
        tries++;
    }
    assert_true(new_ones > 20 && tries - new_ones > 20);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(snapshot_is_read_as_it_was_written),
        CASE(largest_configuration_survives),
        CASE(published_snapshot_takes_the_place_of_older_ones),
        CASE(temporary_files_are_swept),
        CASE(snapshot_of_another_cluster_is_refused),
        CASE(snapshot_under_the_name_of_another_is_refused),
        CASE(missing_snapshot_is_refused),
        CASE(any_flipped_bit_is_refused),
        CASE(any_other_length_is_refused),
        CASE(chunks_in_any_other_order_are_refused),
        CASE(blocks_of_a_wrong_shape_are_refused),
        CASE(second_head_and_wrong_counts_are_refused),
        CASE(block_of_another_number_or_parent_is_refused),
        CASE(another_version_is_refused),
        CASE(received_snapshot_is_the_one_that_was_sent),
        CASE(abandoned_snapshot_is_removed),
        CASE(full_disk_is_told_and_given_back),
        CASE(error_of_any_call_is_told),
        CASE(publishing_leaves_the_old_one_or_the_new_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
