/* Log entries and their batches: what is sealed can be read back, what is damaged is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/entry.h"
#include "server/base/crc32c.h"
#include "server/base/limits.h"

static const struct entry_header header = {.index = 1ull << 40,
                                           .term = 7,
                                           .cluster = {.bytes = {1, 2, 3, [15] = 0xff}},
                                           .proposer = 1ull << 62,
                                           .level = 300,
                                           .stamp_len = 5};
static const uint8_t stamp[ENTRY_STAMP_MAX] = "stamp";

/* `count` operations: "0", "11", "222", ... */
static void make_batch(struct buffer *out, uint64_t serial, uint32_t count)
{
    const struct batch_header batch = {.origin = 2, .boot = 9, .serial = serial};
    buffer_init(out, BATCH_BYTES_MAX + 64);
    batch_begin(out, &batch);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t op[16];
        memset(op, '0' + (int)(i % 10), sizeof op);
        batch_append(out, op, (size_t)(i % 10) + 1);
    }
    batch_set_count(out, count);
}

/* An entry with batches of 0, 1, 2, ... operations. */
static void make_entry(struct buffer *out, uint16_t batches)
{
    buffer_init(out, ENTRY_BYTES_MAX);
    entry_begin(out, &header, stamp);
    for (uint16_t i = 0; i < batches; i++) {
        struct buffer batch;
        make_batch(&batch, i + 1u, i);
        entry_append_batch(out, batch.data, batch.len);
        buffer_done(&batch);
    }
    entry_seal(out, batches);
    assert_false(out->overflowed);
}

/* From memory of exact size. */
static enum status check_entry(const uint8_t *data, size_t len)
{
    struct entry_header found;
    uint8_t *exact = malloc(len > 0 ? len : 1);
    memcpy(exact, data, len);
    enum status status = entry_check(exact, len, &found);
    free(exact);
    return status;
}

static enum status check_batch(const uint8_t *data, size_t len)
{
    struct batch_header found;
    uint8_t *exact = malloc(len > 0 ? len : 1);
    memcpy(exact, data, len);
    enum status status = batch_check(exact, len, &found);
    free(exact);
    return status;
}

/* Recomputes the checksum, so that what follows it is checked. */
static void checksum(struct buffer *b)
{
    store_u32(b->data + 4, crc32c(0, b->data + 8, b->len - 8));
}

/* --- entries --- */

static void an_entry_comes_back_with_all_its_operations(void **state)
{
    struct buffer b;
    struct entry_header found;
    size_t at = 0;
    (void)state;
    make_entry(&b, 5);
    assert_int_equal(entry_check(b.data, b.len, &found), ST_OK);
    assert_true(found.index == header.index);
    assert_true(cluster_id_equal(&found.cluster, &header.cluster));
    assert_int_equal(found.term, 7);
    assert_true(found.proposer == header.proposer);
    assert_int_equal(found.level, 300);
    assert_int_equal(found.batches, 5);
    assert_int_equal(found.stamp_len, 5);
    assert_memory_equal(entry_stamp(b.data), "stamp", 5);
    for (uint32_t i = 0; i < 5; i++) {
        struct batch_header batch;
        size_t len;
        size_t op_at = 0;
        const uint8_t *data = entry_next_batch(b.data, &at, &len);
        assert_int_equal(batch_check(data, len, &batch), ST_OK);
        assert_int_equal(batch.origin, 2);
        assert_int_equal(batch.boot, 9);
        assert_int_equal(batch.serial, i + 1);
        assert_int_equal(batch.count, i);
        for (uint32_t k = 0; k < i; k++) {
            size_t op_len;
            const uint8_t *op = batch_next(data, &op_at, &op_len);
            assert_int_equal(op_len, k + 1);
            assert_int_equal(op[k], '0' + k);
        }
    }
    buffer_done(&b);
}

static void an_entry_is_padded_to_a_multiple_of_eight(void **state)
{
    (void)state;
    for (uint16_t batches = 0; batches < 10; batches++) {
        struct buffer b;
        make_entry(&b, batches);
        assert_int_equal(b.len % 8, 0);
        assert_int_equal(check_entry(b.data, b.len), ST_OK);
        buffer_done(&b);
    }
}

static void every_truncation_of_an_entry_is_refused(void **state)
{
    struct buffer b;
    (void)state;
    make_entry(&b, 4);
    for (size_t len = 0; len < b.len; len++) {
        assert_int_equal(check_entry(b.data, len), ST_CORRUPT);
    }
    for (int i = 0; i < 8; i++) {
        buffer_append_byte(&b, 0);
        assert_int_equal(check_entry(b.data, b.len), ST_CORRUPT);
    }
    buffer_done(&b);
}

static void every_flipped_bit_of_an_entry_is_found(void **state)
{
    struct buffer b;
    (void)state;
    make_entry(&b, 4);
    for (size_t bit = 0; bit < b.len * 8; bit++) {
        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(check_entry(b.data, b.len), ST_CORRUPT);
        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    buffer_done(&b);
}

/* Even with a valid checksum, it cannot make the reader go out of bounds. */
static void no_changed_byte_behind_a_right_checksum_crashes(void **state)
{
    struct buffer b;
    (void)state;
    make_entry(&b, 4);
    for (size_t at = 8; at < b.len; at++) {
        uint8_t was = b.data[at];
        for (unsigned value = 0; value <= UINT8_MAX; value += 5) {
            struct entry_header found;
            b.data[at] = (uint8_t)value;
            checksum(&b);
            if (entry_check(b.data, b.len, &found) == ST_OK) {
                size_t next = 0;
                for (uint16_t i = 0; i < found.batches; i++) {
                    size_t len;
                    const uint8_t *batch = entry_next_batch(b.data, &next, &len);
                    assert_true(batch + len <= b.data + b.len);
                }
            }
        }
        b.data[at] = was;
    }
    buffer_done(&b);
}

static void an_entry_of_another_version_or_magic_is_refused(void **state)
{
    struct buffer b;
    (void)state;
    make_entry(&b, 1);
    b.data[12]++;
    checksum(&b);
    assert_int_equal(check_entry(b.data, b.len), ST_CORRUPT);
    b.data[12]--;
    b.data[0]++;
    checksum(&b);
    assert_int_equal(check_entry(b.data, b.len), ST_CORRUPT);
    b.data[0]--;
    checksum(&b);
    assert_int_equal(check_entry(b.data, b.len), ST_OK);
    buffer_done(&b);
}

static void more_or_fewer_batches_than_said_are_refused(void **state)
{
    struct buffer b;
    (void)state;
    make_entry(&b, 3);
    for (uint16_t said = 0; said < 6; said++) {
        store_u16(b.data + 14, said);
        checksum(&b);
        assert_int_equal(check_entry(b.data, b.len), said == 3 ? ST_OK : ST_CORRUPT);
    }
    buffer_done(&b);
}

static void a_stamp_up_to_the_limit_comes_back(void **state)
{
    struct entry_header full = header;
    struct entry_header found;
    struct buffer b;
    (void)state;
    full.stamp_len = ENTRY_STAMP_MAX;
    buffer_init(&b, ENTRY_BYTES_MAX);
    entry_begin(&b, &full, stamp);
    entry_seal(&b, 0);
    assert_int_equal(entry_check(b.data, b.len, &found), ST_OK);
    assert_memory_equal(entry_stamp(b.data), stamp, ENTRY_STAMP_MAX);
    store_u16(b.data + 56, ENTRY_STAMP_MAX + 1); /* the length of the stamp in the header */
    checksum(&b);
    assert_int_equal(check_entry(b.data, b.len), ST_CORRUPT);
    buffer_done(&b);
}

/* Nine batches have more operations than an entry has positions. */
static void an_entry_of_too_many_operations_is_refused(void **state)
{
    struct buffer b;
    struct buffer batch;
    uint16_t batches = 0;
    (void)state;
    buffer_init(&b, ENTRY_BYTES_MAX);
    entry_begin(&b, &header, stamp);
    const struct batch_header blank = {.origin = 2, .boot = 9, .serial = 1};
    buffer_init(&batch, BATCH_BYTES_MAX);
    batch_begin(&batch, &blank);
    for (uint32_t left = ENTRY_OPS_MAX; left > 0; batches++) {
        uint32_t count = left < BATCH_OPS_MAX ? left : BATCH_OPS_MAX;
        batch.len = BATCH_HEADER_BYTES;
        for (uint32_t i = 0; i < count; i++) {
            batch_append(&batch, NULL, 0);
        }
        batch_set_count(&batch, count);
        entry_append_batch(&b, batch.data, batch.len);
        left -= count;
    }
    size_t full = b.len;
    entry_seal(&b, batches);
    assert_int_equal(check_entry(b.data, b.len), ST_OK);
    b.len = full;
    batch.len = BATCH_HEADER_BYTES;
    batch_append(&batch, NULL, 0);
    batch_set_count(&batch, 1);
    entry_append_batch(&b, batch.data, batch.len);
    entry_seal(&b, batches + 1);
    assert_int_equal(check_entry(b.data, b.len), ST_CORRUPT);
    buffer_done(&batch);
    buffer_done(&b);
}

/* --- batches --- */

static void every_truncation_of_a_batch_is_refused(void **state)
{
    struct buffer b;
    (void)state;
    make_batch(&b, 1, 12);
    assert_int_equal(check_batch(b.data, b.len), ST_OK);
    for (size_t len = 0; len < b.len; len++) {
        assert_int_equal(check_batch(b.data, len), ST_CORRUPT);
    }
    buffer_append_byte(&b, 0);
    assert_int_equal(check_batch(b.data, b.len), ST_CORRUPT);
    buffer_done(&b);
}

static void no_changed_byte_of_a_batch_crashes(void **state)
{
    struct buffer b;
    (void)state;
    make_batch(&b, 1, 12);
    for (size_t at = 0; at < b.len; at++) {
        uint8_t was = b.data[at];
        for (unsigned value = 0; value <= UINT8_MAX; value++) {
            b.data[at] = (uint8_t)value;
            (void)check_batch(b.data, b.len);
        }
        b.data[at] = was;
    }
    buffer_done(&b);
}

static void a_batch_has_so_many_operations_and_no_more(void **state)
{
    struct buffer b;
    (void)state;
    make_batch(&b, 1, BATCH_OPS_MAX);
    assert_int_equal(check_batch(b.data, b.len), ST_OK);
    buffer_done(&b);
    make_batch(&b, 1, BATCH_OPS_MAX + 1);
    assert_int_equal(check_batch(b.data, b.len), ST_CORRUPT);
    buffer_done(&b);
}

static void an_operation_is_so_long_and_no_longer(void **state)
{
    (void)state;
    for (size_t len = OP_BYTES_MAX; len <= OP_BYTES_MAX + 1; len++) {
        const struct batch_header batch = {.origin = 1, .count = 1};
        uint8_t *op = calloc(1, len);
        struct buffer b;
        buffer_init(&b, BATCH_BYTES_MAX);
        batch_begin(&b, &batch);
        batch_append(&b, op, len);
        assert_false(b.overflowed);
        assert_int_equal(check_batch(b.data, b.len), len == OP_BYTES_MAX ? ST_OK : ST_CORRUPT);
        buffer_done(&b);
        free(op);
    }
}

static void a_batch_is_so_long_and_no_longer(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        const struct batch_header batch = {.origin = 1, .count = 2};
        const size_t second = BATCH_BYTES_MAX - BATCH_HEADER_BYTES - 8 - OP_BYTES_MAX + more;
        uint8_t *op = calloc(1, OP_BYTES_MAX);
        struct buffer b;
        buffer_init(&b, BATCH_BYTES_MAX + 1);
        batch_begin(&b, &batch);
        batch_append(&b, op, OP_BYTES_MAX);
        batch_append(&b, op, second);
        assert_false(b.overflowed);
        assert_int_equal(check_batch(b.data, b.len), more == 0 ? ST_OK : ST_CORRUPT);
        buffer_done(&b);
        free(op);
    }
}

/* A skipped batch is resent under another number. */
static void a_batch_gets_another_number_and_keeps_the_rest(void **state)
{
    struct batch_header found;
    struct buffer b;
    size_t at = 0;
    size_t len;
    (void)state;
    make_batch(&b, 1, 3);
    batch_set_number(&b, UINT64_MAX, 1ull << 40);
    assert_int_equal(batch_check(b.data, b.len, &found), ST_OK);
    assert_true(found.origin == 2 && found.boot == UINT64_MAX && found.serial == 1ull << 40);
    assert_int_equal(found.count, 3);
    assert_memory_equal(batch_next(b.data, &at, &len), "0", 1);
    buffer_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_comes_back_with_all_its_operations),
        cmocka_unit_test(an_entry_is_padded_to_a_multiple_of_eight),
        cmocka_unit_test(every_truncation_of_an_entry_is_refused),
        cmocka_unit_test(every_flipped_bit_of_an_entry_is_found),
        cmocka_unit_test(no_changed_byte_behind_a_right_checksum_crashes),
        cmocka_unit_test(an_entry_of_another_version_or_magic_is_refused),
        cmocka_unit_test(more_or_fewer_batches_than_said_are_refused),
        cmocka_unit_test(a_stamp_up_to_the_limit_comes_back),
        cmocka_unit_test(an_entry_of_too_many_operations_is_refused),
        cmocka_unit_test(every_truncation_of_a_batch_is_refused),
        cmocka_unit_test(no_changed_byte_of_a_batch_crashes),
        cmocka_unit_test(a_batch_has_so_many_operations_and_no_more),
        cmocka_unit_test(an_operation_is_so_long_and_no_longer),
        cmocka_unit_test(a_batch_is_so_long_and_no_longer),
        cmocka_unit_test(a_batch_gets_another_number_and_keeps_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
