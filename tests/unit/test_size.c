/* The size of the state is counted exactly, and its bound is kept: an operation over it is refused
 * and changes nothing, and present instances can continue and leave. */
#include "tests/unit/random_command.h"
#include "tests/unit/snapshot_fixture.h"

#include "server/base/limits.h"
#include "server/registry/internal.h"
#include "server/registry/size.h"

static void raise_level_to(struct fixture *f, uint16_t level)
{
    fixture_begin(f);
    registry_set_level(f->registry, level);
    fixture_end(f);
}

static void raise_level(struct fixture *f)
{
    raise_level_to(f, LEVEL_STATE_BYTES);
}

static enum status bound(struct fixture *f, uint64_t most)
{
    const struct command command = {.kind = COMMAND_STATE_BYTES, .state_bytes = {.most = most}};
    return fixture_apply(f, &command)->status;
}

static void assert_counted(struct fixture *f)
{
    struct buffer bytes;
    snapshot_encode(f->registry, &bytes);
    assert_int_equal(registry_state_bytes(f->registry), bytes.len);
    assert_int_equal(fixture_view(f)->state_bytes, bytes.len);
    struct registry *copy = snapshot_decode(bytes.data, bytes.len);
    assert_non_null(copy);
    assert_int_equal(registry_state_bytes(copy), bytes.len);
    assert_int_equal(registry_state_bytes_max(copy), registry_state_bytes_max(f->registry));
    assert_same_registries(f->registry, copy);
    registry_destroy(copy);
    buffer_done(&bytes);
}

static void whatever_is_done_the_size_is_that_of_a_snapshot(void **state)
{
    struct fixture *f = *state;
    for (unsigned round = 0; round < 5; round++) {
        unsigned seed = 7 + round;
        for (unsigned i = 0; i < 400; i++) {
            struct random_command c;
            random_command(&c, f, &seed);
            f->now_ms += random_step_ms(&seed);
            fixture_apply(f, &c.command);
            if (i % 20 == 0) {
                assert_counted(f);
                assert_verified(f->registry);
            }
        }
        if (round > 0) {
            raise_level_to(f, round == 1 ? LEVEL_STATE_BYTES : LEVEL_MAX);
        }
        /* Numbers of every length: times of 50 days and of 300 years. */
        f->now_ms += round == 2 ? UINT64_C(10000000000000) : UINT64_C(5000000000);
    }
    assert_counted(f);
}

static void texts_and_numbers_of_every_length_are_counted(void **state)
{
    static const size_t lengths[] = {0, 1, 31, 32, 127, 128, 255};
    static char texts[ARRAY_LENGTH(lengths)][256];
    static char note[NOTE_BYTES_MAX + 1];
    struct fixture *f = *state;
    memset(note, 'n', NOTE_BYTES_MAX);
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        memset(texts[i], 'a' + (int)i, lengths[i]);
    }
    for (size_t i = 1; i < ARRAY_LENGTH(lengths); i++) {
        struct command command = command_register(texts[i], texts[ARRAY_LENGTH(lengths) - i]);
        struct registration *g = &command.register_.registration;
        g->type = g->zone = g->tags[0] = slice_of(texts[i - 1]);
        g->port = (uint16_t)(1u << (2 * i));
        g->ttl_ms = 1000u << i;
        g->tags_count = g->metadata_count = 1;
        g->metadata[0] = (struct pair){slice_of("k"), slice_of(note)};
        assert_int_equal(fixture_apply(f, &command)->status, ST_OK);
        const struct slice id = slice_of(texts[i]);
        struct command heartbeat = command_heartbeat(&id);
        heartbeat.heartbeat.note_given = true;
        heartbeat.heartbeat.note = slice_of(texts[i]);
        fixture_apply(f, &heartbeat);
        const struct command away = command_maintenance(texts[i], true, texts[i]);
        fixture_apply(f, &away);
        assert_counted(f);
    }
}

/* --- the bound --- */

static unsigned fill(struct fixture *f)
{
    for (unsigned i = 0;; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "i%06u", i);
        struct command command = command_register(id, i % 3 == 0 ? id : "web");
        uint64_t before = registry_hash(f->registry);
        uint64_t index = registry_index(f->registry);
        enum status status = fixture_apply(f, &command)->status;
        assert_in_range(registry_state_bytes(f->registry), 1,
                        registry_state_bytes_max(f->registry));
        if (status != ST_OK) {
            assert_int_equal(status, ST_FULL);
            assert_int_equal(registry_index(f->registry), index + 1);
            assert_int_not_equal(registry_hash(f->registry), before); /* only the index moved */
            assert_null(fixture_record(f, id));
            assert_verified(f->registry);
            return i;
        }
    }
}

static void without_a_bound_nothing_is_refused(void **state)
{
    struct fixture *f = *state;
    raise_level(f);
    assert_int_equal(registry_state_bytes_max(f->registry), 0);
    assert_int_equal(fixture_register(f, "web-1", "web")->status, ST_OK);
}

static void what_is_over_the_bound_is_refused_and_changes_nothing(void **state)
{
    struct fixture *f = *state;
    raise_level(f);
    assert_int_equal(bound(f, 100000), ST_OK);
    unsigned first = fill(f);
    assert_in_range(registry_state_bytes(f->registry), 95000, 100000);
    assert_counted(f);
    uint64_t bytes = registry_state_bytes(f->registry);
    uint64_t events = fixture_view(f)->events_last;
    assert_int_equal(fixture_register(f, "one-more", "web")->status, ST_FULL);
    assert_int_equal(fixture_view(f)->events_last, events);
    assert_int_equal(registry_state_bytes(f->registry), bytes);
    /* A present instance renews, shrinks, and leaves; then there is room. */
    assert_int_equal(fixture_heartbeat(f, "i000001")->renewed, 1);
    assert_int_equal(fixture_register(f, "i000001", "web")->status, ST_OK);
    struct command command = command_register("i000001", "web");
    command.register_.registration.host = slice_of("");
    assert_int_equal(fixture_apply(f, &command)->status, ST_OK);
    command.register_.registration.tags_count = 60;
    for (unsigned i = 0; i < 60; i++) {
        command.register_.registration.tags[i] = slice_of("a tag of thirty characters ..");
    }
    assert_int_equal(fixture_apply(f, &command)->status, ST_FULL);
    assert_int_equal(fixture_record(f, "i000001")->tags_count, 0);
    for (unsigned i = 1; i < 20; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "i%06u", i);
        assert_int_equal(fixture_deregister(f, id)->status, ST_OK);
        assert_in_range(registry_state_bytes(f->registry), 1, 100000);
    }
    assert_int_equal(fixture_register(f, "one-more", "web")->status, ST_OK);
    /* Raised, it takes as much again. */
    assert_int_equal(bound(f, 200000), ST_OK);
    assert_in_range(fill(f), first + first / 2, 3 * first);
    assert_counted(f);
}

static void the_bound_is_only_raised(void **state)
{
    struct fixture *f = *state;
    raise_level(f);
    assert_int_equal(bound(f, 0), ST_CONFLICT);
    assert_int_equal(bound(f, 50000), ST_OK);
    uint64_t before = registry_state_bytes_max(f->registry);
    assert_int_equal(bound(f, 49999), ST_CONFLICT);
    assert_int_equal(bound(f, 50000), ST_CONFLICT);
    assert_int_equal(registry_state_bytes_max(f->registry), before);
    assert_int_equal(bound(f, UINT64_MAX), ST_OK);
    assert_int_equal(fixture_register(f, "web-1", "web")->status, ST_OK);
    assert_counted(f);
}

static void history_never_takes_the_room_of_instances(void **state)
{
    struct fixture *f = *state;
    raise_level(f);
    assert_int_equal(bound(f, 100000), ST_OK);
    /* Thousands of events, of one instance. */
    for (unsigned i = 0; i < 3000; i++) {
        struct command command = command_register("web-1", "web");
        command.register_.registration.port = (uint16_t)(1 + i % 2);
        assert_int_equal(fixture_apply(f, &command)->status, ST_OK);
    }
    assert_in_range(registry_state_bytes(f->registry), 1, 100000 / 6);
    (void)fill(f);
    /* Notes and maintenance are accepted in a full state; old events make room. */
    static char note[401];
    memset(note, 'n', sizeof note - 1);
    for (unsigned i = 1; i < 10; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "i%06u", i);
        const struct command away = command_maintenance(id, true, note);
        assert_int_equal(fixture_apply(f, &away)->status, ST_OK);
        assert_in_range(registry_state_bytes(f->registry), 1, 100000);
    }
    assert_counted(f);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(whatever_is_done_the_size_is_that_of_a_snapshot),
        CASE(texts_and_numbers_of_every_length_are_counted),
        CASE(without_a_bound_nothing_is_refused),
        CASE(what_is_over_the_bound_is_refused_and_changes_nothing),
        CASE(the_bound_is_only_raised),
        CASE(history_never_takes_the_room_of_instances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
