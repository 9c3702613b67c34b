/* libraft's messages survive encoding, entries with the checksums of their log, and damaged ones do
 * no harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/configuration.h"
#include "consensus/message.h"
#include "server/base/limits.h"

#define WIRE_BYTES_MAX (1024 * 1024)
#define KINDS          7
#define PREV           100
#define ENTRIES_AT     39 /* in an AppendEntries: after type, version, four numbers and parent */

struct fixture {
    struct raft_message messages[KINDS];
    struct log log; /* a command, a change, an empty command, a barrier */
    struct buffer change;
    struct message out;
};

static void fill_log(struct fixture *f)
{
    struct raft_configuration conf;
    uint8_t data[64];
    raft_configuration_init(&conf);
    assert_int_equal(raft_configuration_add(&conf, 1, "1@127.0.0.1:9100", RAFT_VOTER), 0);
    assert_int_equal(raft_configuration_add(&conf, 1ull << 50, "2@[::1]:9100", RAFT_STANDBY), 0);
    buffer_init(&f->change, WIRE_BYTES_MAX);
    configuration_encode(&conf, &f->change);
    raft_configuration_close(&conf);
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 7);
    }
    log_init(&f->log);
    log_reset(&f->log, PREV, 3, 0xfeedbeef);
    (void)log_append(&f->log, 4, RAFT_COMMAND, data, sizeof data);
    (void)log_append(&f->log, 5, RAFT_CHANGE, f->change.data, f->change.len);
    (void)log_append(&f->log, 5, RAFT_COMMAND, "", 0);
    (void)log_append(&f->log, 1ull << 40, RAFT_BARRIER, data + 8, 8);
}

static void fill_messages(struct raft_message *m)
{
    m[0].type = RAFT_REQUEST_VOTE;
    m[0].request_vote = (struct raft_request_vote){.version = 2,
                                                   .term = 9,
                                                   .candidate_id = INT64_MAX,
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
    m[2].append_entries = (struct raft_append_entries){.term = 1ull << 41,
                                                       .prev_log_index = PREV,
                                                       .prev_log_term = 3,
                                                       .leader_commit = 99,
                                                       .n_entries = 4};
    m[3] = m[2];
    m[3].append_entries.n_entries = 0;
    m[4].type = RAFT_APPEND_ENTRIES_RESULT;
    m[4].append_entries_result = (struct raft_append_entries_result){.version = 2,
                                                                     .term = 9,
                                                                     .rejected = 5,
                                                                     .last_log_index = 4,
                                                                     .features = 1,
                                                                     .capacity = 512};
    m[5].type = RAFT_TIMEOUT_NOW;
    m[5].timeout_now =
        (struct raft_timeout_now){.term = 9, .last_log_index = 1000, .last_log_term = 8};
    m[6] = m[2]; /* the entry without content */
    m[6].append_entries.prev_log_index = PREV + 2;
    m[6].append_entries.prev_log_term = 5;
    m[6].append_entries.n_entries = 1;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    fill_log(f);
    fill_messages(f->messages);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    log_done(&f->log);
    buffer_done(&f->change);
    free(f);
    return 0;
}

/* The encoded message in memory of exact size, so that the sanitizer detects overreads. */
static uint8_t *wire(const struct raft_message *message, const struct log *log, size_t *ret_len)
{
    struct buffer b;
    buffer_init(&b, WIRE_BYTES_MAX);
    message_encode(message, log, &b);
    assert_false(b.overflowed);
    uint8_t *copy = malloc(b.len);
    memcpy(copy, b.data, b.len);
    *ret_len = b.len;
    buffer_done(&b);
    return copy;
}

static enum status decode(struct fixture *f, const uint8_t *bytes, size_t len)
{
    uint8_t *exact = malloc(len > 0 ? len : 1);
    memcpy(exact, bytes, len);
    enum status status = message_decode(exact, len, &f->out);
    free(exact);
    return status;
}

static void each_type_round_trips(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < KINDS; i++) {
        size_t len;
        size_t again_len;
        uint8_t *bytes = wire(&f->messages[i], &f->log, &len);
        assert_int_equal(message_decode(bytes, len, &f->out), ST_OK);
        assert_int_equal(f->out.raft.type, f->messages[i].type);
        uint8_t *again = wire(&f->out.raft, &f->log, &again_len);
        assert_int_equal(len, again_len);
        assert_memory_equal(bytes, again, len);
        free(again);
        free(bytes);
    }
}

static void fields_are_what_the_sender_said(void **state)
{
    struct fixture *f = *state;
    size_t len;
    uint8_t *bytes = wire(&f->messages[0], &f->log, &len);
    assert_int_equal(message_decode(bytes, len, &f->out), ST_OK);
    assert_int_equal(f->out.raft.request_vote.version, 2);
    assert_true(f->out.raft.request_vote.candidate_id == INT64_MAX);
    assert_true(f->out.raft.request_vote.last_log_index == 1ull << 33);
    assert_true(f->out.raft.request_vote.disrupt_leader);
    assert_true(f->out.raft.request_vote.pre_vote);
    free(bytes);
    bytes = wire(&f->messages[4], &f->log, &len);
    assert_int_equal(message_decode(bytes, len, &f->out), ST_OK);
    assert_int_equal(f->out.raft.append_entries_result.version, 2);
    assert_int_equal(f->out.raft.append_entries_result.rejected, 5);
    assert_int_equal(f->out.raft.append_entries_result.features, 1);
    assert_int_equal(f->out.raft.append_entries_result.capacity, 512);
    free(bytes);
}

static void entries_come_with_the_checksums_of_the_log(void **state)
{
    struct fixture *f = *state;
    size_t len;
    uint8_t *bytes = wire(&f->messages[2], &f->log, &len);
    assert_int_equal(message_decode(bytes, len, &f->out), ST_OK);
    const struct raft_append_entries *args = &f->out.raft.append_entries;
    assert_int_equal(args->n_entries, 4);
    assert_int_equal(f->out.parent, 0xfeedbeef);
    for (unsigned i = 0; i < args->n_entries; i++) {
        const struct log_entry *entry = log_get(&f->log, PREV + 1 + i);
        assert_true(args->entries[i].term == entry->term);
        assert_int_equal(args->entries[i].type, entry->type);
        assert_int_equal(args->entries[i].buf.len, entry->len);
        assert_memory_equal(args->entries[i].buf.base, entry->data, entry->len);
        assert_int_equal(f->out.checksums[i], entry->checksum);
    }
    free(bytes);
}

/* Even without entries, so that a heartbeat detects a fork. */
static void a_message_without_entries_tells_the_checksum_before_them(void **state)
{
    struct fixture *f = *state;
    size_t len;
    uint8_t *bytes = wire(&f->messages[3], &f->log, &len);
    assert_int_equal(message_decode(bytes, len, &f->out), ST_OK);
    assert_null(f->out.raft.append_entries.entries);
    assert_int_equal(f->out.raft.append_entries.n_entries, 0);
    assert_int_equal(f->out.parent, 0xfeedbeef);
    free(bytes);
}

static void every_truncation_is_corrupt(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < KINDS; i++) {
        size_t len;
        uint8_t *bytes = wire(&f->messages[i], &f->log, &len);
        for (size_t cut = 0; cut < len; cut++) {
            assert_int_equal(decode(f, bytes, cut), ST_CORRUPT);
        }
        free(bytes);
    }
}

static void a_byte_too_many_is_corrupt(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < KINDS; i++) {
        size_t len;
        uint8_t *bytes = wire(&f->messages[i], &f->log, &len);
        bytes = realloc(bytes, len + 1);
        bytes[len] = 0;
        assert_int_equal(decode(f, bytes, len + 1), ST_CORRUPT);
        free(bytes);
    }
}

static void flipped_bytes_do_no_harm(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < KINDS; i++) {
        size_t len;
        uint8_t *bytes = wire(&f->messages[i], &f->log, &len);
        for (size_t at = 0; at < len; at++) {
            uint8_t right = bytes[at];
            for (unsigned value = 0; value < 256; value++) {
                bytes[at] = (uint8_t)value;
                (void)decode(f, bytes, len);
            }
            bytes[at] = right;
        }
        free(bytes);
    }
}

static void noise_does_no_harm(void **state)
{
    struct fixture *f = *state;
    srandom(20261121);
    for (int round = 0; round < 200000; round++) {
        uint8_t bytes[96];
        size_t len = (size_t)random() % sizeof bytes;
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (uint8_t)(random() % 3 == 0 ? random() : 0);
        }
        bytes[0] = (uint8_t)(random() % 8);
        (void)decode(f, bytes, len);
    }
}

/* Changes a byte or number at an offset. */
static void assert_corrupt_with(struct fixture *f, size_t kind, size_t at, uint8_t value)
{
    size_t len;
    uint8_t *bytes = wire(&f->messages[kind], &f->log, &len);
    assert_true(at < len);
    bytes[at] = value;
    assert_int_equal(decode(f, bytes, len), ST_CORRUPT);
    free(bytes);
}

/* Snapshots are sent in pieces: no member sends such a message. */
static void types_that_do_not_travel_are_corrupt(void **state)
{
    for (unsigned type = 0; type < 256; type++) {
        if (type < RAFT_APPEND_ENTRIES || type > RAFT_TIMEOUT_NOW ||
            type == RAFT_INSTALL_SNAPSHOT) {
            assert_corrupt_with(*state, 4, 0, (uint8_t)type);
        }
    }
}

static void unknown_flags_are_corrupt(void **state)
{
    struct fixture *f = *state;
    size_t len;
    free(wire(&f->messages[0], &f->log, &len));
    assert_corrupt_with(f, 0, len - 1, 8);
    assert_corrupt_with(f, 0, len - 1, 4); /* granted: not in a request */
    free(wire(&f->messages[1], &f->log, &len));
    assert_corrupt_with(f, 1, len - 5, 1);
}

static void more_entries_than_a_message_may_have_are_corrupt(void **state)
{
    struct fixture *f = *state;
    struct raft_message message = f->messages[2];
    struct raft_append_entries *args = &message.append_entries;
    size_t len;
    args->prev_log_index = PREV + 4;
    args->prev_log_term = 1ull << 40;
    args->n_entries = APPEND_ENTRIES_MAX;
    for (int i = 0; i <= APPEND_ENTRIES_MAX; i++) {
        (void)log_append(&f->log, 1ull << 40, RAFT_COMMAND, "", 0);
    }
    uint8_t *bytes = wire(&message, &f->log, &len);
    assert_int_equal(decode(f, bytes, len), ST_OK);
    bytes = realloc(bytes, len + 17);
    memcpy(bytes + len, bytes + len - 17, 17);
    store_u32(bytes + ENTRIES_AT - 1, APPEND_ENTRIES_MAX + 1);
    assert_int_equal(decode(f, bytes, len + 17), ST_CORRUPT);
    free(bytes);
}

static void entries_of_no_term_or_type_are_corrupt(void **state)
{
    struct fixture *f = *state;
    const size_t entry = ENTRIES_AT + 3;
    assert_corrupt_with(f, 2, entry, 0); /* term 4 */
    assert_corrupt_with(f, 2, entry + 8, 0);
    assert_corrupt_with(f, 2, entry + 8, RAFT_CHANGE + 1);
}

/* Terms never decrease in a log, and a leader has no entries of later terms. */
static void terms_that_fall_or_are_to_come_are_corrupt(void **state)
{
    struct fixture *f = *state;
    const size_t entry = ENTRIES_AT + 3;
    assert_corrupt_with(f, 2, entry, 2);              /* behind term 3 */
    assert_corrupt_with(f, 2, entry + 17, 3);         /* behind term 4 */
    assert_corrupt_with(f, 2, entry + 3 * 17 + 6, 1); /* its leader is in term 2^41 */
}

/* There is no next one. */
static void the_last_terms_and_indices_are_corrupt(void **state)
{
    for (size_t at = 2; at < 34; at += 8) {
        assert_corrupt_with(*state, 3, at + 7, 0x80);
    }
    for (size_t at = 2; at < 26; at += 8) {
        assert_corrupt_with(*state, 5, at + 7, 0x80);
        assert_corrupt_with(*state, 4, at + 7, 0x80);
    }
    assert_corrupt_with(*state, 0, 9, 0x80);
    assert_corrupt_with(*state, 1, 9, 0x80);
}

/* Only the position before the log has no term. */
static void a_term_goes_with_an_index(void **state)
{
    struct fixture *f = *state;
    assert_corrupt_with(f, 3, 10, 0);
    assert_corrupt_with(f, 3, 18, 0);
}

static enum status decode_change(struct fixture *f, const void *data, size_t len)
{
    struct raft_message message = f->messages[3];
    size_t wire_len;
    message.append_entries.n_entries = 1;
    log_truncate(&f->log, PREV + 1);
    (void)log_append(&f->log, 4, RAFT_CHANGE, data, len);
    uint8_t *bytes = wire(&message, &f->log, &wire_len);
    enum status status = decode(f, bytes, wire_len);
    free(bytes);
    return status;
}

/* libraft reads beyond the end of such an entry. */
static void a_malformed_configuration_in_an_entry_is_corrupt(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(decode_change(f, f->change.data, f->change.len), ST_OK);
    assert_int_equal(decode_change(f, f->change.data, f->change.len - 8), ST_CORRUPT);
    assert_int_equal(decode_change(f, f->change.data, 8), ST_CORRUPT);
    assert_int_equal(decode_change(f, "", 0), ST_CORRUPT);
    f->change.data[1] = 200; /* the number of servers */
    assert_int_equal(decode_change(f, f->change.data, f->change.len), ST_CORRUPT);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_type_round_trips),
        CASE(fields_are_what_the_sender_said),
        CASE(entries_come_with_the_checksums_of_the_log),
        CASE(a_message_without_entries_tells_the_checksum_before_them),
        CASE(every_truncation_is_corrupt),
        CASE(a_byte_too_many_is_corrupt),
        CASE(flipped_bytes_do_no_harm),
        CASE(noise_does_no_harm),
        CASE(types_that_do_not_travel_are_corrupt),
        CASE(unknown_flags_are_corrupt),
        CASE(more_entries_than_a_message_may_have_are_corrupt),
        CASE(entries_of_no_term_or_type_are_corrupt),
        CASE(terms_that_fall_or_are_to_come_are_corrupt),
        CASE(the_last_terms_and_indices_are_corrupt),
        CASE(a_term_goes_with_an_index),
        CASE(a_malformed_configuration_in_an_entry_is_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
