/* The wire of ZeroMQ: greeting, frames, commands and metadata, each cut short anywhere; and the
 * queue of what is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/zmq/outgoing.h"
#include "api/zmq/zmtp.h"
#include "server/base/compiler.h"

#define BYTES_MAX 1000

static void a_greeting_is_known_whole_or_in_part(void **state)
{
    (void)state;
    uint8_t greeting[ZMTP_GREETING_BYTES];
    zmtp_greeting_write("NULL", greeting);
    for (size_t len = 0; len < sizeof greeting; len++) {
        assert_int_equal(zmtp_greeting_parse("NULL", greeting, len), ZMTP_PARTIAL);
    }
    assert_int_equal(zmtp_greeting_parse("NULL", greeting, sizeof greeting), ZMTP_WHOLE);
    assert_int_equal(zmtp_greeting_parse("CURVE", greeting, sizeof greeting), ZMTP_BROKEN);
}

static void what_is_no_greeting_is_found_early(void **state)
{
    (void)state;
    uint8_t greeting[ZMTP_GREETING_BYTES];
    zmtp_greeting_write("CURVE", greeting);
    greeting[10] = 2; /* ZMTP 2.0 */
    assert_int_equal(zmtp_greeting_parse("CURVE", greeting, 10), ZMTP_PARTIAL);
    assert_int_equal(zmtp_greeting_parse("CURVE", greeting, 11), ZMTP_BROKEN);
    greeting[9] = 0;
    assert_int_equal(zmtp_greeting_parse("CURVE", greeting, 10), ZMTP_BROKEN);
    assert_int_equal(zmtp_greeting_parse("NULL", (const uint8_t *)"GET", 1), ZMTP_BROKEN);
}

static void frames_of_every_length_come_back(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 255, 256, BYTES_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        uint8_t bytes[ZMTP_FRAME_HEAD_BYTES + BYTES_MAX] = {0};
        struct zmtp_frame frame;
        size_t head = zmtp_frame_head(ZMTP_MORE, lengths[i], bytes);
        assert_int_equal(head, lengths[i] > 255 ? 9 : 2);
        for (size_t len = 0; len < head + lengths[i]; len++) {
            assert_int_equal(zmtp_frame_parse(bytes, len, BYTES_MAX, &frame), ZMTP_PARTIAL);
        }
        assert_int_equal(zmtp_frame_parse(bytes, sizeof bytes, BYTES_MAX, &frame), ZMTP_WHOLE);
        assert_int_equal(frame.flags & ~ZMTP_LONG, ZMTP_MORE);
        assert_int_equal(frame.body.len, lengths[i]);
        assert_int_equal(frame.bytes, head + lengths[i]);
    }
}

static void a_frame_over_the_limit_is_broken_before_it_is_there(void **state)
{
    (void)state;
    uint8_t head[ZMTP_FRAME_HEAD_BYTES];
    struct zmtp_frame frame;
    size_t len = zmtp_frame_head(0, BYTES_MAX + 1, head);
    assert_int_equal(zmtp_frame_parse(head, len, BYTES_MAX, &frame), ZMTP_BROKEN);
    len = zmtp_frame_head(0, SIZE_MAX, head);
    assert_int_equal(zmtp_frame_parse(head, len, BYTES_MAX, &frame), ZMTP_BROKEN);
    head[0] = 8; /* no such flag */
    assert_int_equal(zmtp_frame_parse(head, 1, BYTES_MAX, &frame), ZMTP_BROKEN);
}

static void commands_have_names(void **state)
{
    (void)state;
    struct zmtp_command command;
    assert_true(zmtp_command_parse((struct slice){"\5READYx", 7}, &command));
    assert_true(zmtp_command_is(&command, "READY"));
    assert_int_equal(command.data.len, 1);
    assert_false(zmtp_command_is(&command, "READ"));
    assert_false(zmtp_command_parse((struct slice){"\5READ", 5}, &command));
    assert_false(zmtp_command_parse((struct slice){"\0", 1}, &command));
    assert_false(zmtp_command_parse((struct slice){"", 0}, &command));
}

static void metadata_say_the_type_of_a_socket(void **state)
{
    (void)state;
    uint8_t bytes[ZMTP_METADATA_BYTES_MAX];
    struct slice type, data = {(const char *)bytes, zmtp_metadata_write("DEALER", bytes)};
    assert_true(zmtp_metadata_parse(data, &type));
    assert_true(zmtp_types_match("ROUTER", type));
    assert_false(zmtp_types_match("PUB", type));
    for (data.len--; data.len > 0; data.len--) {
        assert_false(zmtp_metadata_parse(data, &type));
    }
    assert_true(zmtp_metadata_parse(data, &type));
    assert_false(zmtp_types_match("ROUTER", type));
    assert_true(zmtp_types_match("PUB", (struct slice){"XSUB", 4}));
}

static void shared_texts_are_sent_in_order_and_their_memory_is_given_back(void **state)
{
    (void)state;
    int ends[2];
    char got[4096];
    size_t sent;
    struct budget budget;
    struct buffer text;
    struct outgoing out[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    budget_init(&budget, 2000, METRIC_zmq_waiting_bytes);
    buffer_init(&text, 4096);
    buffer_append_text(&text, "text");
    struct shared_text *shared = shared_text_new(&budget, &text);
    for (size_t i = 0; i < 2; i++) {
        outgoing_init(&out[i], &budget);
        outgoing_add(&out[i], (const uint8_t *)"head", 4, NULL);
        outgoing_add(&out[i], (const uint8_t *)"-", 1, shared);
    }
    shared_text_drop(shared);
    assert_int_equal(outgoing_send(&out[0], ends[0], &sent), OUTGOING_ALL);
    assert_int_equal(sent, 9);
    assert_int_equal(read(ends[1], got, sizeof got), 9);
    assert_memory_equal(got, "head-text", 9);
    assert_true(budget.used > 0);
    outgoing_done(&out[0]);
    outgoing_done(&out[1]);
    assert_int_equal(budget.used, 0);

    memset(got, 'x', sizeof got);
    buffer_append(&text, got, 3000);
    assert_null(shared_text_new(&budget, &text));
    assert_int_equal(text.len, 3000);
    buffer_done(&text);
    (void)close(ends[1]);
    outgoing_add(&out[0], (const uint8_t *)"head", 4, NULL);
    assert_int_equal(outgoing_send(&out[0], ends[0], &sent), OUTGOING_NOBODY);
    outgoing_done(&out[0]);
    (void)close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_greeting_is_known_whole_or_in_part),
        cmocka_unit_test(what_is_no_greeting_is_found_early),
        cmocka_unit_test(frames_of_every_length_come_back),
        cmocka_unit_test(a_frame_over_the_limit_is_broken_before_it_is_there),
        cmocka_unit_test(commands_have_names),
        cmocka_unit_test(metadata_say_the_type_of_a_socket),
        cmocka_unit_test(shared_texts_are_sent_in_order_and_their_memory_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
