/* What a command does is decided by limits that are part of the state: two builds whose constants
 * differ decide alike at one level. The linker puts the functions here in place of level.c's, so
 * that there is a second level, and another build. */
#include "tests/unit/snapshot_fixture.h"

#include "server/base/limits.h"
#include "server/registry/internal.h"
#include "server/wire/pack.h"
#include "server/wire/wire_command.h"

const struct registry_limits *__wrap_level_limits(uint16_t level);
const struct registry_limits *__real_level_limits(uint16_t level);

static struct registry_limits of_level_2;
static const struct registry_limits *of_another_build; /* NULL: its level 1 is ours */

const struct registry_limits *__wrap_level_limits(uint16_t level)
{
    if (level == 1 && of_another_build != NULL) {
        return of_another_build;
    }
    return level == 2 ? &of_level_2 : __real_level_limits(level);
}

static int set_up(void **state)
{
    of_level_2 = *__real_level_limits(1);
    of_level_2.instances = 3;
    of_level_2.tags = 2;
    of_level_2.events_kept_max = 32;
    of_level_2.events_kept_first = 32;
    of_another_build = NULL;
    return fixture_set_up(state);
}

static void raise_level(struct fixture *f)
{
    fixture_begin(f);
    registry_set_level(f->registry, 2);
    fixture_end(f);
}

/* --- what was released stays --- */

static void level_1_is_what_it_always_was(void **state)
{
    const struct registry_limits level_1 = {
        .instances = 16777216,
        .heartbeat_ids = 10000,
        .name_bytes = 255,
        .host_bytes = 255,
        .tags = 64,
        .tag_bytes = 255,
        .metadata = 64,
        .metadata_key_bytes = 128,
        .metadata_value_bytes = 512,
        .note_bytes = 512,
        .weight = 65535,
        .ttl_ms = 86400000,
        .reap_after_ms = 604800000,
        .events_kept_min = 16,
        .events_kept_max = 262144,
        .events_kept_first = 8192,
        .event_bytes_mean = 1024,
        .event_bytes_fixed = 128,
    };
    static const uint16_t kinds_of_level_1[] = {1, 2, 3, 4, 5, 6, 7};
    (void)state;
    assert_memory_equal(level_limits(1), &level_1, sizeof level_1);
    assert_true(limits_are_possible(level_limits(1)));
    for (size_t i = 0; i < ARRAY_LENGTH(kinds_of_level_1); i++) {
        assert_int_equal(command_level(kinds_of_level_1[i]), 1);
    }
    assert_int_equal(command_level(8), 2);
    assert_memory_equal(__real_level_limits(2), &level_1, sizeof level_1);
    struct registry_limits level_3 = level_1;
    level_3.tokens = 4096;
    level_3.token_scopes = 32;
    level_3.token_ttl_s = 3153600000;
    assert_memory_equal(__real_level_limits(3), &level_3, sizeof level_3);
    assert_true(limits_are_possible(__real_level_limits(3)));
    assert_int_equal(command_level(9), 3);
    assert_int_equal(command_level(10), 3);
    struct registry_limits level_4 = level_3;
    level_4.namespaces = 4096;
    assert_memory_equal(__real_level_limits(4), &level_4, sizeof level_4);
    assert_int_equal(command_level(13), 4);
    assert_int_equal(command_level(14), 4);
    assert_int_equal(command_level(15), 4);
    assert_int_equal(command_level(16), 4);
    struct registry_limits level_5 = level_4;
    level_5.checks = 16;
    level_5.extra_bytes = 4096;
    level_5.output_bytes = 4160;
    assert_memory_equal(__real_level_limits(5), &level_5, sizeof level_5);
    assert_int_equal(command_level(17), 5);
    assert_int_equal(command_level(18), 5);
    assert_int_equal(command_level(19), 5);
    assert_null(__real_level_limits(0));
    for (uint16_t level = LEVEL_MIN; level <= LEVEL_MAX; level++) {
        assert_non_null(__real_level_limits(level));
    }
    assert_null(__real_level_limits(LEVEL_MAX + 1));
}

/* The size of a struct would differ from build to build. */
static void an_event_counts_as_its_texts_and_a_constant(void **state)
{
    struct fixture *f = *state;
    struct command command = command_register("1", "12");
    struct registration *g = &command.register_.registration;
    g->type = slice_of("123");
    g->host = slice_of("1234");
    g->zone = slice_of("12345");
    g->tags_count = 2;
    g->tags[0] = slice_of("123456");
    g->tags[1] = slice_of("");
    g->metadata_count = 1;
    g->metadata[0] = (struct pair){slice_of("1234567"), slice_of("12345678")};
    fixture_apply(f, &command);
    assert_int_equal(record_text_bytes(fixture_record(f, "1")), 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8);
    assert_int_equal(f->registry->events_bytes, 128 + 36);
}

static void a_kind_is_understood_from_its_level_on(void **state)
{
    struct buffer b;
    (void)state;
    for (uint64_t kind = 0; kind < 300; kind++) {
        buffer_init(&b, 100);
        pack_uint(&b, kind);
        bool known = kind >= COMMAND_REGISTER && kind <= COMMAND_CHECK_RESULT && kind != 11 &&
                     kind != 12 && kind != 20; /* those stand before commands */
        assert_int_equal(wire_command_understands(b.data, b.len, 1),
                         known && kind < COMMAND_STATE_BYTES);
        assert_int_equal(wire_command_understands(b.data, b.len, 2),
                         known && kind < COMMAND_TOKEN_CREATE);
        assert_int_equal(wire_command_understands(b.data, b.len, 3),
                         known && kind < COMMAND_QUOTA_SET);
        assert_int_equal(wire_command_understands(b.data, b.len, UINT16_MAX), known);
        assert_false(wire_command_understands(b.data, b.len, 0));
        assert_false(wire_command_understands(b.data, b.len - 1, 1) && kind > 0x7f);
        buffer_done(&b);
    }
    assert_false(wire_command_understands(NULL, 0, 1));
}

/* --- a level rises --- */

static void the_limits_of_a_level_count_from_its_entry_on(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 4; i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "i%u", i);
        assert_int_equal(fixture_register(f, id, "web")->status, ST_OK);
    }
    uint64_t before = registry_hash(f->registry);
    raise_level(f);
    assert_int_not_equal(registry_hash(f->registry), before);
    assert_int_equal(registry_level(f->registry), 2);
    assert_int_equal(fixture_view(f)->level, 2);
    /* More are there than may be: they stay, and go on. */
    assert_int_equal(fixture_register(f, "new", "web")->status, ST_FULL);
    assert_int_equal(fixture_heartbeat(f, "i0")->status, ST_OK);
    fixture_deregister(f, "i0");
    assert_int_equal(fixture_register(f, "new", "web")->status, ST_FULL);
    fixture_deregister(f, "i1");
    assert_int_equal(fixture_register(f, "new", "web")->status, ST_OK);
}

static void events_kept_follow_the_limits(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 100; i++) {
        fixture_register(f, "web-1", i % 2 == 0 ? "web" : "shop");
    }
    assert_int_equal(registry_events_kept(f->registry), 8192);
    raise_level(f);
    assert_int_equal(registry_events_kept(f->registry), 32);
    const struct view *view = fixture_view(f);
    assert_int_equal(view->events_last - view->events_first + 1, 32);
}

static void commands_are_decoded_with_the_limits_of_the_state(void **state)
{
    struct fixture *f = *state;
    struct wire_command decoded;
    struct command command = command_register("web-1", "web");
    command.register_.registration.tags_count = 3;
    for (size_t i = 0; i < 3; i++) {
        command.register_.registration.tags[i] = slice_of("tag");
    }
    struct buffer b;
    buffer_init(&b, OP_BYTES_MAX);
    wire_command_encode(&command, &b);
    assert_int_equal(wire_command_decode(b.data, b.len, registry_limits(f->registry), &decoded),
                     ST_OK);
    wire_command_done(&decoded);
    raise_level(f);
    assert_int_equal(wire_command_decode(b.data, b.len, registry_limits(f->registry), &decoded),
                     ST_TOO_LARGE);
    assert_int_equal(decoded.command.kind, COMMAND_REGISTER);
    /* What is malformed before it is above a limit is malformed everywhere. */
    b.data[1] = 0xc1;
    assert_int_equal(wire_command_decode(b.data, b.len, registry_limits(f->registry), &decoded),
                     ST_CORRUPT);
    buffer_done(&b);
}

/* --- snapshots carry them --- */

static void a_snapshot_has_the_level_and_its_limits(void **state)
{
    struct fixture *f = *state;
    snapshot_fill(f);
    raise_level(f);
    struct registry *copy = snapshot_copy(f->registry);
    assert_same_registries(f->registry, copy);
    assert_int_equal(registry_level(copy), 2);
    assert_int_equal(registry_limits(copy)->tags, 2);
    registry_destroy(copy);
}

static void a_build_with_other_constants_goes_on_with_the_limits_of_the_snapshot(void **state)
{
    struct fixture *f = *state;
    struct registry_limits other = *__real_level_limits(1);
    struct buffer bytes;
    snapshot_fill(f);
    snapshot_encode(f->registry, &bytes);
    other.instances = 1;
    other.events_kept_first = other.events_kept_max = 16;
    of_another_build = &other;
    struct registry *copy = snapshot_decode(bytes.data, bytes.len);
    assert_non_null(copy);
    assert_same_registries(f->registry, copy);
    registry_destroy(f->registry);
    f->registry = copy;
    assert_int_equal(fixture_register(f, "one-more", "web")->status, ST_OK);
    assert_int_equal(registry_events_kept(copy), 8192);
    buffer_done(&bytes);
}

/* If they began apart, the hash says so at once. */
static void other_limits_are_another_state(void **state)
{
    struct fixture *f = *state;
    struct registry_limits other = *__real_level_limits(1);
    (void)f;
#define X(limit, room, level_1)                                                                    \
    other = *__real_level_limits(1);                                                               \
    other.limit--;                                                                                 \
    of_another_build = &other;                                                                     \
    {                                                                                              \
        struct registry *r = snapshot_registry();                                                  \
        assert_int_not_equal(registry_hash(r), registry_hash(f->registry));                        \
        registry_destroy(r);                                                                       \
    }
    REGISTRY_LIMITS(X)
#undef X
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(level_1_is_what_it_always_was),
        CASE(an_event_counts_as_its_texts_and_a_constant),
        CASE(a_kind_is_understood_from_its_level_on),
        CASE(the_limits_of_a_level_count_from_its_entry_on),
        CASE(events_kept_follow_the_limits),
        CASE(commands_are_decoded_with_the_limits_of_the_state),
        CASE(a_snapshot_has_the_level_and_its_limits),
        CASE(a_build_with_other_constants_goes_on_with_the_limits_of_the_snapshot),
        CASE(other_limits_are_another_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
