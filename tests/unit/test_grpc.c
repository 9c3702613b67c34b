/* gRPC without a wire: outcomes, frames, and the arena that messages are unpacked into. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <registry.pb-c.h>

#include "api/grpc/frame.h"
#include "api/grpc/outcome.h"
#include "api/http/h2/calm.h"
#include "api/http/status_http.h"
#include "server/base/limits.h"
#include "server/base/status.h"

static void test_only_what_surely_did_not_happen_is_repeated_by_clients(void **state)
{
    (void)state;
    static const enum status all[] = {
#define X(name, code, text) name,
        STATUS_MAP(X)
#undef X
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        enum outcome outcome = outcome_of(status_http(all[i]), status_code(all[i]), true);
        assert_int_equal(outcome == OUTCOME_OK, all[i] == ST_OK);
        if (all[i] == ST_UNKNOWN) {
            assert_int_equal(outcome, OUTCOME_UNKNOWN);
        }
        assert_int_equal(outcome == OUTCOME_UNAVAILABLE, status_http(all[i]) == 503);
    }
    assert_int_equal(outcome_of(504, "timeout", true), OUTCOME_DEADLINE_EXCEEDED);
    assert_int_equal(outcome_of(404, "not_found", false), OUTCOME_UNIMPLEMENTED);
    assert_int_equal(outcome_of(404, "not_found", true), OUTCOME_NOT_FOUND);
}

static void test_a_message_is_percent_encoded(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 64);
    outcome_message("a_b", "50% gr\xc3\xbcn\n", &out);
    assert_int_equal(out.len, strlen("a_b: 50%25 gr%C3%BCn%0A"));
    assert_memory_equal(out.data, "a_b: 50%25 gr%C3%BCn%0A", out.len);
    buffer_done(&out);
}

static void test_a_frame_is_found_whole_or_refused(void **state)
{
    (void)state;
    static const uint8_t whole[] = {0, 0, 0, 0, 2, 'a', 'b', 'c'};
    static const uint8_t compressed[] = {1, 0, 0, 0, 1, 'a'};
    static const uint8_t long_one[] = {0, 0xff, 0xff, 0xff, 0xff};
    const uint8_t *message;
    size_t len;
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(frame_scan(whole, i, 10, &message, &len), FRAME_MORE);
    }
    assert_int_equal(frame_scan(whole, sizeof whole, 10, &message, &len), FRAME_WHOLE);
    assert_int_equal(len, 2);
    assert_memory_equal(message, "ab", 2);
    assert_int_equal(frame_scan(whole, sizeof whole, 1, &message, &len), FRAME_TOO_LONG);
    assert_int_equal(frame_scan(compressed, sizeof compressed, 10, &message, &len),
                     FRAME_COMPRESSED);
    assert_int_equal(frame_scan(long_one, sizeof long_one, SIZE_MAX / 2, &message, &len),
                     FRAME_MORE);
}

static void test_a_message_of_pieces_is_one_message(void **state)
{
    (void)state;
    Muster__V1__HeartbeatReply first = MUSTER__V1__HEARTBEAT_REPLY__INIT, second = first;
    struct buffer out;
    struct arena arena;
    first.renewed = 7;
    second.index = 9;
    buffer_init(&out, 64);
    size_t head = frame_begin(&out);
    frame_append(&out, &first.base);
    frame_append(&out, &second.base);
    frame_end(&out, head);
    const uint8_t *message;
    size_t len;
    assert_int_equal(frame_scan(out.data, out.len, 64, &message, &len), FRAME_WHOLE);
    arena_init(&arena, len);
    Muster__V1__HeartbeatReply *both =
        muster__v1__heartbeat_reply__unpack(&arena.allocator, len, message);
    assert_non_null(both);
    assert_int_equal(both->renewed, 7);
    assert_int_equal(both->index, 9);
    arena_done(&arena);
    buffer_done(&out);
}

static void test_few_bytes_cannot_take_much_memory(void **state)
{
    (void)state;
    struct arena arena;
    size_t taken = 0;
    arena_init(&arena, 100);
    while (arena_take(&arena, 1000) != NULL) {
        taken += 1000;
    }
    assert_in_range(taken, 200000, 300000);
    assert_null(arena_take(&arena, SIZE_MAX));
    arena_done(&arena);

    static uint8_t ids[2 * 600000]; /* of empty ids, two bytes each */
    for (size_t i = 0; i < sizeof ids; i += 2) {
        ids[i] = 0x0a;
    }
    arena_init(&arena, sizeof ids);
    assert_null(muster__v1__heartbeat_request__unpack(&arena.allocator, sizeof ids, ids));
    arena_done(&arena);
}

static void test_a_text_with_a_nul_is_none(void **state)
{
    (void)state;
    struct arena arena;
    const ProtobufCBinaryData bad = {3, (uint8_t *)(uintptr_t) "a\0b"}, empty = {0, NULL};
    arena_init(&arena, 10);
    assert_null(arena_text(&arena, &bad));
    assert_string_equal(arena_text(&arena, &empty), "");
    arena_done(&arena);
}

static void test_floods_are_told_from_work(void **state)
{
    (void)state;
    struct h2_calm calm;
    h2_calm_init(&calm, 1000);
    for (unsigned i = 0; i < 100 * H2_NOISE_MAX; i++) { /* each frame of ours, two windows */
        h2_calm_work(&calm);
        assert_true(h2_calm_noise(&calm, 1000) && h2_calm_noise(&calm, 1000));
    }
    unsigned taken = 0;
    while (h2_calm_noise(&calm, 1000)) {
        taken++;
    }
    assert_in_range(taken, 1, H2_NOISE_MAX);
    assert_false(h2_calm_noise(&calm, 1999));
    for (unsigned i = 0; i < H2_NOISE_A_SECOND; i++) {
        assert_true(h2_calm_noise(&calm, 2000));
    }
    assert_false(h2_calm_noise(&calm, 2000));
    for (unsigned i = 0; i < H2_RESETS_MAX; i++) {
        assert_true(h2_calm_reset(&calm, 2000));
    }
    assert_false(h2_calm_reset(&calm, 2000));
    assert_true(h2_calm_reset(&calm, 1000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_surely_did_not_happen_is_repeated_by_clients),
        cmocka_unit_test(test_a_message_is_percent_encoded),
        cmocka_unit_test(test_a_frame_is_found_whole_or_refused),
        cmocka_unit_test(test_a_message_of_pieces_is_one_message),
        cmocka_unit_test(test_few_bytes_cannot_take_much_memory),
        cmocka_unit_test(test_a_text_with_a_nul_is_none),
        cmocka_unit_test(test_floods_are_told_from_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
