/* What a member tells about itself is taken whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/engine.h"

#define MEMBERS 3
#define SENDER  2

static uint64_t fixed_time(void *ctx UNUSED)
{
    return 1234;
}

static int set_up(void **state)
{
    struct engine *e = calloc(1, sizeof *e);
    e->env.now_ms = fixed_time;
    e->members = MEMBERS;
    for (size_t i = 0; i < MEMBERS; i++) {
        e->directory[i].info.id = i + 1;
    }
    *state = e;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void append_text(struct buffer *out, const char *text)
{
    buffer_append_u16(out, (uint16_t)strlen(text));
    buffer_append_text(out, text);
}

/* Whether it was taken. */
static bool tell(struct engine *e, uint64_t from, const char *name, const char *address,
                 const char *version)
{
    struct buffer out;
    e->directory[SENDER - 1].heard_ms = 0;
    buffer_init(&out, 4096);
    buffer_append_u64(&out, 40);
    buffer_append_byte(&out, 1);
    append_text(&out, name);
    append_text(&out, address);
    append_text(&out, version);
    directory_receive(e, from, out.data, out.len);
    buffer_done(&out);
    return e->directory[SENDER - 1].heard_ms != 0;
}

static void what_a_member_tells_is_kept(void **state)
{
    struct engine *e = *state;
    const struct consensus_member_info *info = &e->directory[SENDER - 1].info;
    assert_true(tell(e, SENDER, "b\xc3\xa9ta", "b.example:9000", "0.1.0"));
    assert_int_equal(info->id, SENDER);
    assert_int_equal(info->applied_index, 40);
    assert_true(info->has_space);
    assert_string_equal(info->name, "b\xc3\xa9ta");
    assert_string_equal(info->http_address, "b.example:9000");
    assert_string_equal(info->version, "0.1.0");
    assert_false(tell(e, MEMBERS + 1, "stranger", "x:1", "0.1.0"));
}

/* They go into JSON as they are. */
static void texts_that_cannot_be_shown_are_refused(void **state)
{
    struct engine *e = *state;
    assert_false(tell(e, SENDER, "b\xff", "b.example:9000", "0.1.0"));
    assert_false(tell(e, SENDER, "beta", "b\nexample:9000", "0.1.0"));
    assert_false(tell(e, SENDER, "beta", "b.example:9000", "\xc3"));
    assert_string_equal(e->directory[SENDER - 1].info.name, "");
}

static void a_message_that_is_cut_short_is_refused(void **state)
{
    struct engine *e = *state;
    struct buffer out;
    buffer_init(&out, 4096);
    buffer_append_u64(&out, 40);
    buffer_append_byte(&out, 1);
    append_text(&out, "beta");
    append_text(&out, "b.example:9000");
    append_text(&out, "0.1.0");
    for (size_t len = 0; len < out.len; len++) {
        uint8_t *exact = malloc(len > 0 ? len : 1);
        memcpy(exact, out.data, len);
        directory_receive(e, SENDER, exact, len);
        free(exact);
    }
    assert_int_equal(e->directory[SENDER - 1].heard_ms, 0);
    buffer_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_member_tells_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(texts_that_cannot_be_shown_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_message_that_is_cut_short_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
