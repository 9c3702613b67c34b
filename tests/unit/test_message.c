/* libraft's messages come back as they went, and no damaged one does harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/message.h"
#include "server/base/limits.h"

#define WIRE_BYTES_MAX (1024 * 1024)
#define KINDS          8

/* The messages under test; memory that they point to lives in the fixture. */
struct fixture {
    struct raft_message messages[KINDS];
    struct raft_entry entries[4];
    struct raft_buffer change;
    struct raft_configuration conf;
    uint8_t data[64];
};

static void fill_entries(struct fixture *f)
{
    assert_int_equal(raft_configuration_encode(&f->conf, &f->change), 0);
    for (size_t i = 0; i < sizeof f->data; i++) {
        f->data[i] = (uint8_t)(i * 7);
    }
    f->entries[0] =
        (struct raft_entry){.term = 4, .type = RAFT_COMMAND, .buf = {.base = f->data, .len = 64}};
    f->entries[1] = (struct raft_entry){.term = 5, .type = RAFT_CHANGE, .buf = f->change};
    f->entries[2] = (struct raft_entry){.term = 5, .type = RAFT_COMMAND, .buf = {.len = 0}};
    f->entries[3] = (struct raft_entry){
        .term = 1ull << 40, .type = RAFT_BARRIER, .buf = {.base = f->data + 8, .len = 8}};
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    raft_configuration_init(&f->conf);
    assert_int_equal(raft_configuration_add(&f->conf, 1, "127.0.0.1:9100", RAFT_VOTER), 0);
    assert_int_equal(raft_configuration_add(&f->conf, 2, "[::1]:9100", RAFT_STANDBY), 0);
    assert_int_equal(raft_configuration_add(&f->conf, 1ull << 50, "c.example:1", RAFT_SPARE), 0);
    fill_entries(f);
    struct raft_message *m = f->messages;
    for (size_t i = 0; i < KINDS; i++) {
        /* libraft compares whole structs nowhere, but this test does: no padding left undefined. */
        memset(&m[i], 0, sizeof m[i]);
    }
    m[0].type = RAFT_REQUEST_VOTE;
    m[0].request_vote = (struct raft_request_vote){.version = 2,
                                                   .term = 9,
                                                   .candidate_id = 3,
                                                   .last_log_index = 1ull << 33,
                                                   .last_log_term = 8,
                                                   .disrupt_leader = true,
                                                   .pre_vote = true};
    m[1].type = RAFT_REQUEST_VOTE_RESULT;
    m[1].request_vote_result = (struct raft_request_vote_result){.version = 2,
                                                                 .term = 9,
                                                                 .vote_granted = true,
                                                                 .pre_vote = true,
                                                                 .features = 1,
                                                                 .capacity = 65535};
    m[2].type = RAFT_APPEND_ENTRIES;
    m[2].append_entries = (struct raft_append_entries){.term = 9,
                                                       .prev_log_index = 100,
                                                       .prev_log_term = 7,
                                                       .leader_commit = 99,
                                                       .entries = f->entries,
                                                       .n_entries = 4};
    m[3] = m[2];
    m[3].append_entries.entries = NULL;
    m[3].append_entries.n_entries = 0;
    m[4].type = RAFT_APPEND_ENTRIES_RESULT;
    m[4].append_entries_result = (struct raft_append_entries_result){.version = 2,
                                                                     .term = 9,
                                                                     .rejected = 5,
                                                                     .last_log_index = 4,
                                                                     .features = 1,
                                                                     .capacity = 512};
    m[5].type = RAFT_INSTALL_SNAPSHOT;
    m[5].install_snapshot = (struct raft_install_snapshot){.term = 9,
                                                           .last_index = 1000,
                                                           .last_term = 8,
                                                           .conf = f->conf,
                                                           .conf_index = 1,
                                                           .data = {.base = f->data, .len = 61}};
    m[6].type = RAFT_TIMEOUT_NOW;
    m[6].timeout_now =
        (struct raft_timeout_now){.term = 9, .last_log_index = 1000, .last_log_term = 8};
    m[7] = m[2];
    m[7].append_entries.entries = f->entries + 2; /* without any data */
    m[7].append_entries.n_entries = 1;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    raft_configuration_close(&f->conf);
    raft_free(f->change.base);
    free(f);
    return 0;
}

/* What travels: the encoding and, behind it, the data of a snapshot. A copy of the exact size, so
 * that the sanitizer sees a read behind its end. */
static uint8_t *wire(const struct raft_message *message, size_t *ret_len)
{
    struct buffer b;
    buffer_init(&b, WIRE_BYTES_MAX);
    message_encode(message, &b);
    if (message->type == RAFT_INSTALL_SNAPSHOT) {
        buffer_append(&b, message->install_snapshot.data.base, message->install_snapshot.data.len);
    }
    assert_false(b.overflowed);
    uint8_t *copy = malloc(b.len);
    memcpy(copy, b.data, b.len);
    *ret_len = b.len;
    buffer_done(&b);
    return copy;
}

static void assert_same_entries(const struct raft_append_entries *a,
                                const struct raft_append_entries *b)
{
    for (unsigned i = 0; i < a->n_entries; i++) {
        assert_int_equal(a->entries[i].term, b->entries[i].term);
        assert_int_equal(a->entries[i].type, b->entries[i].type);
        assert_int_equal(a->entries[i].buf.len, b->entries[i].buf.len);
        if (a->entries[i].buf.len > 0) {
            assert_memory_equal(a->entries[i].buf.base, b->entries[i].buf.base,
                                a->entries[i].buf.len);
            assert_int_equal((uintptr_t)b->entries[i].buf.base % 8, 0);
        }
        assert_non_null(b->entries[i].batch);
        assert_ptr_equal(b->entries[i].batch, b->entries[0].batch);
    }
}

static void assert_same_snapshot(const struct raft_install_snapshot *a,
                                 const struct raft_install_snapshot *b)
{
    assert_int_equal(a->conf.n, b->conf.n);
    for (unsigned i = 0; i < a->conf.n; i++) {
        assert_int_equal(a->conf.servers[i].id, b->conf.servers[i].id);
        assert_int_equal(a->conf.servers[i].role, b->conf.servers[i].role);
        assert_string_equal(a->conf.servers[i].address, b->conf.servers[i].address);
    }
    assert_int_equal(a->data.len, b->data.len);
    assert_memory_equal(a->data.base, b->data.base, a->data.len);
}

/* Compares the rest byte by byte, after the pointers were made the same. */
static void assert_same(const struct raft_message *a, const struct raft_message *b)
{
    struct raft_message copy = *b;
    assert_int_equal(a->type, b->type);
    if (a->type == RAFT_APPEND_ENTRIES) {
        assert_int_equal(a->append_entries.n_entries, b->append_entries.n_entries);
        assert_same_entries(&a->append_entries, &b->append_entries);
        copy.append_entries.entries = a->append_entries.entries;
    } else if (a->type == RAFT_INSTALL_SNAPSHOT) {
        assert_same_snapshot(&a->install_snapshot, &b->install_snapshot);
        copy.install_snapshot.conf.servers = a->install_snapshot.conf.servers;
        copy.install_snapshot.data.base = a->install_snapshot.data.base;
    }
    size_t again_len;
    size_t len;
    uint8_t *again = wire(&copy, &again_len);
    uint8_t *bytes = wire(a, &len);
    assert_int_equal(len, again_len);
    assert_memory_equal(bytes, again, len);
    free(again);
    free(bytes);
}

static void each_type_round_trips(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < KINDS; i++) {
        size_t len;
        uint8_t *bytes = wire(&f->messages[i], &len);
        struct raft_message out;
        assert_int_equal(message_decode(bytes, len, &out), ST_OK);
        assert_same(&f->messages[i], &out);
        message_done(&out);
        free(bytes);
    }
}

static void fields_are_what_the_sender_said(void **state)
{
    struct fixture *f = *state;
    size_t len;
    struct raft_message out;
    uint8_t *bytes = wire(&f->messages[0], &len);
    assert_int_equal(message_decode(bytes, len, &out), ST_OK);
    assert_int_equal(out.request_vote.version, 2);
    assert_int_equal(out.request_vote.candidate_id, 3);
    assert_int_equal(out.request_vote.last_log_index, 1ull << 33);
    assert_true(out.request_vote.disrupt_leader);
    assert_true(out.request_vote.pre_vote);
    free(bytes);
    bytes = wire(&f->messages[4], &len);
    assert_int_equal(message_decode(bytes, len, &out), ST_OK);
    assert_int_equal(out.append_entries_result.version, 2);
    assert_int_equal(out.append_entries_result.rejected, 5);
    assert_int_equal(out.append_entries_result.features, 1);
    assert_int_equal(out.append_entries_result.capacity, 512);
    free(bytes);
}

static void no_entries_gives_a_null_array(void **state)
{
    struct fixture *f = *state;
    size_t len;
    uint8_t *bytes = wire(&f->messages[3], &len);
    struct raft_message out;
    assert_int_equal(message_decode(bytes, len, &out), ST_OK);
    assert_null(out.append_entries.entries);
    assert_int_equal(out.append_entries.n_entries, 0);
    free(bytes);
}

static void truncation_anywhere_is_corrupt(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < KINDS; i++) {
        size_t len;
        uint8_t *bytes = wire(&f->messages[i], &len);
        for (size_t cut = 0; cut < len; cut++) {
            uint8_t *part = malloc(cut > 0 ? cut : 1);
            memcpy(part, bytes, cut);
            struct raft_message out;
            assert_int_equal(message_decode(part, cut, &out), ST_CORRUPT);
            free(part);
        }
        free(bytes);
    }
}

static void a_byte_too_many_is_corrupt(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < KINDS; i++) {
        size_t len;
        uint8_t *bytes = wire(&f->messages[i], &len);
        bytes = realloc(bytes, len + 1);
        bytes[len] = 0;
        struct raft_message out;
        assert_int_equal(message_decode(bytes, len + 1, &out), ST_CORRUPT);
        free(bytes);
    }
}

static void flipped_bytes_do_no_harm(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < KINDS; i++) {
        size_t len;
        uint8_t *bytes = wire(&f->messages[i], &len);
        for (size_t at = 0; at < len; at++) {
            uint8_t right = bytes[at];
            for (unsigned value = 0; value < 256; value++) {
                bytes[at] = (uint8_t)value;
                struct raft_message out;
                if (message_decode(bytes, len, &out) == ST_OK) {
                    message_done(&out);
                }
            }
            bytes[at] = right;
        }
        free(bytes);
    }
}

static void noise_does_no_harm(void **state)
{
    (void)state;
    srandom(20261121);
    for (int round = 0; round < 200000; round++) {
        uint8_t bytes[96];
        size_t len = (size_t)random() % sizeof bytes;
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (uint8_t)(random() % 3 == 0 ? random() : 0);
        }
        bytes[0] = (uint8_t)(random() % 8);
        struct raft_message out;
        if (message_decode(bytes, len, &out) == ST_OK) {
            message_done(&out);
        }
    }
}

static enum status decode_change(struct fixture *f, void *data, size_t len)
{
    struct raft_entry entry = {.term = 1, .type = RAFT_CHANGE, .buf = {.base = data, .len = len}};
    struct raft_message message = f->messages[2];
    message.append_entries.entries = &entry;
    message.append_entries.n_entries = 1;
    size_t wire_len;
    uint8_t *bytes = wire(&message, &wire_len);
    struct raft_message out;
    enum status status = message_decode(bytes, wire_len, &out);
    if (status == ST_OK) {
        message_done(&out);
    }
    free(bytes);
    return status;
}

/* libraft reads behind the end of such an entry. */
static void malformed_configuration_entry_is_corrupt(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(decode_change(f, f->change.base, f->change.len), ST_OK);
    assert_int_equal(decode_change(f, f->change.base, f->change.len - 8), ST_CORRUPT);
    assert_int_equal(decode_change(f, f->data, 8), ST_CORRUPT);
    assert_int_equal(decode_change(f, NULL, 0), ST_CORRUPT);
    ((uint8_t *)f->change.base)[1] = 200; /* the number of servers */
    assert_int_equal(decode_change(f, f->change.base, f->change.len), ST_CORRUPT);
}

static void snapshot_with_too_many_members_is_corrupt(void **state)
{
    struct fixture *f = *state;
    struct raft_configuration big;
    raft_configuration_init(&big);
    for (unsigned i = 0; i <= MEMBERS_MAX; i++) {
        char address[32];
        (void)snprintf(address, sizeof address, "host%u:1", i);
        assert_int_equal(raft_configuration_add(&big, i + 1, address, RAFT_VOTER), 0);
    }
    struct raft_message message = f->messages[5];
    message.install_snapshot.conf = big;
    size_t len;
    uint8_t *bytes = wire(&message, &len);
    struct raft_message out;
    assert_int_equal(message_decode(bytes, len, &out), ST_CORRUPT);
    free(bytes);
    raft_configuration_close(&big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_round_trips),
        cmocka_unit_test(fields_are_what_the_sender_said),
        cmocka_unit_test(no_entries_gives_a_null_array),
        cmocka_unit_test(truncation_anywhere_is_corrupt),
        cmocka_unit_test(a_byte_too_many_is_corrupt),
        cmocka_unit_test(flipped_bytes_do_no_harm),
        cmocka_unit_test(noise_does_no_harm),
        cmocka_unit_test_setup_teardown(malformed_configuration_entry_is_corrupt, set_up,
                                        tear_down),
        cmocka_unit_test(snapshot_with_too_many_members_is_corrupt),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
