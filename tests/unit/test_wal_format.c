/* Frames: what is written can be read, and no sector looks missing. */
#include "consensus/disk/wal_format.h"
#include "tests/unit/disk_fixture.h"

static void frame_survives(const uint8_t *payload, size_t len, uint32_t parent)
{
    size_t extent = wal_extent(len);
    uint8_t *frame = mem_zalloc(1, extent);
    if (len > 0) {
        memcpy(frame + WAL_HEADER_BYTES, payload, len);
    }
    struct wal_header h = {.kind = WAL_RECORDS,
                           .len = (uint32_t)len,
                           .records = 7,
                           .parent = parent,
                           .sequence = 99,
                           .cluster = {.bytes = {5}}};
    wal_seal(frame, &h);
    struct wal_header back;
    assert_int_equal(wal_header_decode(frame, &back), WAL_LOOK_FINE);
    assert_int_equal(back.kind, WAL_RECORDS);
    assert_int_equal(back.len, len);
    assert_int_equal(back.records, 7);
    assert_int_equal(back.parent, parent);
    assert_int_equal(back.sequence, 99);
    assert_int_equal(back.checksum, h.checksum);
    assert_true(cluster_id_equal(&back.cluster, &h.cluster));
    assert_int_equal(wal_missing_sectors(frame, extent), 0);
    for (size_t at = FILE_SECTOR_BYTES; at < extent; at += FILE_SECTOR_BYTES) {
        struct wal_header other;
        assert_int_equal(wal_header_decode(frame + at, &other), WAL_LOOK_DAMAGED);
        /* A few flipped bits do not make it zero. */
        int bits = 0;
        for (size_t i = 0; i < FILE_SECTOR_BYTES; i++) {
            bits += __builtin_popcount(frame[at + i]);
        }
        assert_true(bits >= 8);
    }
    wal_unmask(frame, extent, back.mask);
    if (len > 0) {
        assert_memory_equal(frame + WAL_HEADER_BYTES, payload, len);
    }
    free(frame);
}

static void any_payload_survives(void **state)
{
    (void)state;
    uint64_t chance = 1;
    uint8_t payload[20000];
    for (size_t len = 0; len < sizeof payload; len = len * 4 / 3 + 1) {
        memset(payload, 0, sizeof payload);
        frame_survives(payload, len, 0);
        payload[len / 2] = 1;
        frame_survives(payload, len, 0xffffffff);
        for (size_t i = 0; i < len; i++) {
            payload[i] = (uint8_t)fixture_random(&chance);
        }
        frame_survives(payload, len, (uint32_t)chance);
    }
}

/* As an adversary would make it: each sector excludes another mask. */
static void payload_that_rules_out_masks_survives(void **state)
{
    (void)state;
    enum { SECTORS = 40 };
    uint8_t payload[SECTORS * FILE_SECTOR_BYTES];
    uint32_t parent = 12345;
    uint64_t step = 2 * (uint64_t)parent + 0x9e3779b97f4a7c15u;
    memset(payload, 0x55, sizeof payload);
    for (uint64_t i = 0; i + 1 < SECTORS; i++) {
        size_t at = (size_t)(i + 1) * FILE_SECTOR_BYTES - WAL_HEADER_BYTES;
        for (size_t j = 0; j < FILE_SECTOR_BYTES; j += 8) {
            store_u64(payload + at + j, i * step);
        }
    }
    frame_survives(payload, sizeof payload, parent);
}

/* Entries that contain whole frames, like a log inside a log. */
static void frames_in_a_payload_are_not_taken_for_frames(void **state)
{
    (void)state;
    uint8_t inner[FILE_SECTOR_BYTES] = {0};
    struct wal_header h = {.kind = WAL_CLOSE, .len = 8, .cluster = {.bytes = {5}}};
    store_u64(inner + WAL_HEADER_BYTES, 9);
    wal_seal(inner, &h);
    uint8_t payload[8 * FILE_SECTOR_BYTES];
    for (size_t at = 0; at < sizeof payload; at += FILE_SECTOR_BYTES) {
        memcpy(payload + at, inner, FILE_SECTOR_BYTES);
    }
    frame_survives(payload, sizeof payload, 3);
    frame_survives(payload + WAL_HEADER_BYTES, sizeof payload - WAL_HEADER_BYTES, 3);
    /* Aligned to the sectors of the frame. */
    memset(payload, 1, sizeof payload);
    for (size_t at = FILE_SECTOR_BYTES - WAL_HEADER_BYTES; at + FILE_SECTOR_BYTES < sizeof payload;
         at += FILE_SECTOR_BYTES) {
        memcpy(payload + at, inner, FILE_SECTOR_BYTES);
    }
    frame_survives(payload, sizeof payload, 3);
}

static void any_flipped_bit_of_a_header_is_noticed(void **state)
{
    (void)state;
    uint8_t frame[FILE_SECTOR_BYTES] = {0};
    struct wal_header h = {.kind = WAL_SEGMENT, .len = 10};
    wal_seal(frame, &h);
    for (size_t bit = 0; bit < WAL_HEADER_BYTES * 8; bit++) {
        frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(wal_header_decode(frame, &h), WAL_LOOK_DAMAGED);
        frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(wal_header_decode(frame, &h), WAL_LOOK_FINE);
    memset(frame, 0, sizeof frame);
    assert_int_equal(wal_header_decode(frame, &h), WAL_LOOK_ZERO);
}

static void segment_info_survives(void **state)
{
    (void)state;
    struct wal_segment_info info = {.number = 1,
                                    .bytes = 2,
                                    .state = {.term = 3, .vote = 4, .commit = 5, .boot = 6},
                                    .last = {.index = 7, .term = 8, .checksum = 9}};
    struct wal_segment_info back;
    uint8_t bytes[WAL_SEGMENT_INFO_SIZE];
    wal_segment_info_encode(&info, bytes);
    wal_segment_info_decode(bytes, &back);
    assert_memory_equal(&info.state, &back.state, sizeof info.state);
    assert_int_equal(back.number, 1);
    assert_int_equal(back.bytes, 2);
    assert_int_equal(back.last.index, 7);
    assert_int_equal(back.last.term, 8);
    assert_int_equal(back.last.checksum, 9);
}

static void records_survive_and_are_never_read_beyond_their_end(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 1 << 16);
    const struct wal_record records[] = {
        {.type = WAL_STATE, .state = {.term = 3, .vote = 4, .commit = 5, .boot = 6}},
        {.type = WAL_ENTRY,
         .entry_type = 3,
         .len = 11,
         .position = {.index = 7, .term = 8, .checksum = 9},
         .data = (const uint8_t *)"hello world"},
        {.type = WAL_ENTRY, .entry_type = 1, .position = {.index = 8, .term = 8, .checksum = 9}},
        {.type = WAL_TRUNCATE, .position = {.index = 7, .term = 8, .checksum = 9}},
        {.type = WAL_RESET, .position = {.index = 1, .term = 2, .checksum = 3}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(records); i++) {
        struct wal_record back;
        size_t bytes = 0;
        buffer_clear(&b);
        wal_record_encode(&b, &records[i]);
        for (size_t len = 0; len < b.len; len++) {
            uint8_t *copy = mem_alloc(len + 1);
            memcpy(copy, b.data, len);
            assert_non_null(wal_record_decode(copy, len, &back, &bytes));
            free(copy);
        }
        assert_null(wal_record_decode(b.data, b.len, &back, &bytes));
        assert_int_equal(bytes, b.len);
        assert_int_equal(back.type, records[i].type);
        assert_int_equal(back.position.index, records[i].position.index);
        assert_int_equal(back.position.term, records[i].position.term);
        assert_int_equal(back.position.checksum, records[i].position.checksum);
        assert_memory_equal(&back.state, &records[i].state, sizeof back.state);
        if (records[i].type == WAL_ENTRY) {
            assert_int_equal(back.entry_type, records[i].entry_type);
            assert_int_equal(back.len, records[i].len);
            assert_memory_equal(back.data, b.data + WAL_RECORD_BYTES, back.len);
        }
    }
    buffer_done(&b);
}

static void names_are_sixteen_digits(void **state)
{
    (void)state;
    char name[WAL_NAME_SIZE];
    uint64_t number = 0;
    wal_name(0xfedcba9876543210u, name);
    assert_string_equal(name, "log-fedcba9876543210");
    assert_true(wal_name_parse(name, &number));
    assert_true(number == 0xfedcba9876543210u);
    static const char *const others[] = {"log-",
                                         "log-1",
                                         "log-fedcba987654321G",
                                         "log-FEDCBA9876543210",
                                         "log-fedcba98765432100",
                                         "log.new",
                                         "Log-fedcba9876543210",
                                         ""};
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        assert_false(wal_name_parse(others[i], &number));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_payload_survives),
        cmocka_unit_test(payload_that_rules_out_masks_survives),
        cmocka_unit_test(frames_in_a_payload_are_not_taken_for_frames),
        cmocka_unit_test(any_flipped_bit_of_a_header_is_noticed),
        cmocka_unit_test(segment_info_survives),
        cmocka_unit_test(records_survive_and_are_never_read_beyond_their_end),
        cmocka_unit_test(names_are_sixteen_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
