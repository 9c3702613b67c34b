/* A backup's bytes are fully checked, however they arrive, and nothing else passes for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/base/buffer.h"
#include "server/base/snapshot_scan.h"

#define STATE_BYTES (2 * SNAPSHOT_CHUNK_BYTES + 1000)

static const struct cluster_id cluster = {{1, 2, 3}};

struct here {
    uint8_t *state;
    struct buffer file, seen;
    struct snapshot_scan scan;
    uint8_t block[SNAPSHOT_BLOCK_MAX];
};

static void add_block(struct here *h, struct snapshot_chain *chain, enum snapshot_block kind,
                      size_t len)
{
    snapshot_block_seal(chain, h->block, kind, len);
    buffer_append(&h->file, h->block, SNAPSHOT_BLOCK_HEADER + len);
}

static void make_file(struct here *h, size_t state_len, bool is_backup)
{
    struct snapshot_chain chain = {.cluster = cluster};
    uint8_t *body = h->block + SNAPSHOT_BLOCK_HEADER;
    const struct snapshot_meta meta = {.index = 77,
                                       .term = 3,
                                       .checksum = 5,
                                       .level = 1,
                                       .configuration_index = 2,
                                       .configuration_len = 4};
    const struct snapshot_info info = {.hash = 11, .items = 12, .taken_ms = 13, .member = 14};
    uint64_t chunks = 0;
    buffer_clear(&h->file);
    add_block(h, &chain, SNAPSHOT_HEAD, snapshot_meta_encode(&meta, body));
    if (is_backup) {
        add_block(h, &chain, SNAPSHOT_INFO, snapshot_info_encode(&info, body));
    }
    for (size_t at = 0; at < state_len; at += SNAPSHOT_CHUNK_BYTES) {
        size_t part = state_len - at < SNAPSHOT_CHUNK_BYTES ? state_len - at : SNAPSHOT_CHUNK_BYTES;
        memcpy(body, h->state + at, part);
        add_block(h, &chain, SNAPSHOT_CHUNK, part);
        chunks++;
    }
    store_u64(body, chunks);
    store_u64(body + 8, state_len);
    add_block(h, &chain, SNAPSHOT_FOOT, SNAPSHOT_FOOTER_BYTES);
}

static int set_up(void **state)
{
    struct here *h = calloc(1, sizeof *h);
    h->state = malloc(STATE_BYTES);
    for (size_t i = 0; i < STATE_BYTES; i++) {
        h->state[i] = (uint8_t)(i * 31 + i / 777);
    }
    buffer_init(&h->file, 1u << 24);
    buffer_init(&h->seen, 1u << 24);
    make_file(h, STATE_BYTES, true);
    *state = h;
    return 0;
}

static int tear_down(void **state)
{
    struct here *h = *state;
    buffer_done(&h->file);
    buffer_done(&h->seen);
    free(h->state);
    free(h);
    return 0;
}

static const char *see(void *ctx, const uint8_t *data, size_t len)
{
    struct here *h = ctx;
    buffer_append(&h->seen, data, len);
    return NULL;
}

static const char *scan(struct here *h, const uint8_t *data, size_t len, size_t piece)
{
    snapshot_scan_init(&h->scan);
    buffer_clear(&h->seen);
    h->scan.state = see;
    h->scan.ctx = h;
    for (size_t at = 0; at < len; at += piece) {
        size_t part = len - at < piece ? len - at : piece;
        uint8_t *exact = malloc(part);
        memcpy(exact, data + at, part);
        const char *wrong = snapshot_scan_add(&h->scan, exact, part);
        free(exact);
        if (wrong != NULL) {
            assert_ptr_equal(snapshot_scan_end(&h->scan), wrong);
            return wrong;
        }
    }
    return snapshot_scan_end(&h->scan);
}

static void a_backup_in_pieces_of_any_size_is_accepted(void **state)
{
    static const size_t pieces[] = {1, 7, 47, 48, 49, 4096, SNAPSHOT_BLOCK_MAX, 1u << 24};
    struct here *h = *state;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        assert_null(scan(h, h->file.data, h->file.len, pieces[i]));
        assert_int_equal(h->scan.at, h->file.len);
        assert_int_equal(h->scan.meta.index, 77);
        assert_int_equal(h->scan.meta.level, 1);
        assert_int_equal(h->scan.info.hash, 11);
        assert_int_equal(h->scan.info.items, 12);
        assert_int_equal(h->scan.info.taken_ms, 13);
        assert_int_equal(h->scan.info.member, 14);
        assert_true(cluster_id_equal(&h->scan.chain.cluster, &cluster));
        assert_int_equal(h->scan.state_bytes, STATE_BYTES);
        assert_int_equal(h->seen.len, STATE_BYTES);
        assert_memory_equal(h->seen.data, h->state, STATE_BYTES);
    }
}

static void a_backup_cut_at_any_length_is_refused(void **state)
{
    struct here *h = *state;
    assert_string_equal(scan(h, h->file.data, 0, 1), "it is empty");
    for (size_t len = 1; len < h->file.len; len += len < 1000 ? 1 : 997) {
        assert_string_equal(scan(h, h->file.data, len, h->file.len), "it is cut short");
    }
    assert_string_equal(scan(h, h->file.data, h->file.len - 1, h->file.len), "it is cut short");
}

static void a_backup_with_any_bit_flipped_is_refused(void **state)
{
    struct here *h = *state;
    make_file(h, 3000, true);
    for (size_t bit = 0; bit < h->file.len * 8; bit++) {
        h->file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_non_null(scan(h, h->file.data, h->file.len, h->file.len));
        h->file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_null(scan(h, h->file.data, h->file.len, h->file.len));
}

static void what_follows_the_last_block_is_refused(void **state)
{
    struct here *h = *state;
    buffer_append(&h->file, "x", 1);
    assert_string_equal(scan(h, h->file.data, h->file.len, 64),
                        "there is data after its last block");
}

static void a_snapshot_is_no_backup(void **state)
{
    struct here *h = *state;
    make_file(h, 3000, false);
    assert_string_equal(scan(h, h->file.data, h->file.len, 64),
                        "it is a snapshot of a data directory, not a backup");
}

static void a_block_of_another_cluster_is_refused(void **state)
{
    struct here *h = *state;
    struct snapshot_chain chain = {.cluster = cluster};
    const struct snapshot_meta meta = {.index = 77, .configuration_index = 2};
    const struct snapshot_info info = {.hash = 11};
    buffer_clear(&h->file);
    add_block(h, &chain, SNAPSHOT_HEAD,
              snapshot_meta_encode(&meta, h->block + SNAPSHOT_BLOCK_HEADER));
    chain.cluster.bytes[0]++;
    add_block(h, &chain, SNAPSHOT_INFO,
              snapshot_info_encode(&info, h->block + SNAPSHOT_BLOCK_HEADER));
    assert_string_equal(scan(h, h->file.data, h->file.len, 64), "it belongs to another cluster");
    assert_int_equal(h->scan.at, SNAPSHOT_BLOCK_HEADER + SNAPSHOT_META_BYTES);
}

static const char *dislike(void *ctx, const uint8_t *data, size_t len)
{
    (void)ctx, (void)data, (void)len;
    return "it is not to my taste";
}

static void what_the_reader_of_the_state_says_stands(void **state)
{
    struct here *h = *state;
    snapshot_scan_init(&h->scan);
    h->scan.state = dislike;
    assert_string_equal(snapshot_scan_add(&h->scan, h->file.data, h->file.len),
                        "it is not to my taste");
    assert_string_equal(snapshot_scan_end(&h->scan), "it is not to my taste");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_backup_in_pieces_of_any_size_is_accepted),
        CASE(a_backup_cut_at_any_length_is_refused),
        CASE(a_backup_with_any_bit_flipped_is_refused),
        CASE(what_follows_the_last_block_is_refused),
        CASE(a_snapshot_is_no_backup),
        CASE(a_block_of_another_cluster_is_refused),
        CASE(what_the_reader_of_the_state_says_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
