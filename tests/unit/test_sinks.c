/* How far sinks of events have come, in the state machine: positions only rise, there are eight at
 * most, and they are part of hash, size and snapshot from their level on and never below it. */
#include "tests/unit/snapshot_fixture.h"

#include "server/registry/internal.h"
#include "server/registry/snapshot.h"
#include "server/wire/wire_command.h"

static enum status confirm(struct fixture *f, const char *name, uint64_t index, uint32_t position)
{
    const struct command c = {
        .kind = COMMAND_SINK_CONFIRM,
        .sink_confirm = {.name = slice_of(name), .index = index, .position = position}};
    return fixture_apply(f, &c)->status;
}

static void raise_level_to(struct fixture *f, uint16_t level)
{
    fixture_begin(f);
    registry_set_level(f->registry, level);
    fixture_end(f);
}

static int set_up(void **state)
{
    (void)fixture_set_up(state);
    raise_level_to(*state, LEVEL_SINKS);
    for (unsigned i = 0; i < 20; i++) {
        fixture_register(*state, "web-1", i % 2 == 0 ? "web" : "shop");
    }
    return 0;
}

static const struct sink_position *find(struct fixture *f, const char *name)
{
    return sinks_find(&fixture_view(f)->sinks, name);
}

static void a_position_rises_and_never_falls(void **state)
{
    struct fixture *f = *state;
    assert_null(find(f, "amqp"));
    assert_int_equal(confirm(f, "amqp", 5, 2), ST_OK);
    assert_int_equal(confirm(f, "amqp", 5, 2), ST_OK);
    assert_int_equal(confirm(f, "amqp", 5, 1), ST_CONFLICT);
    assert_int_equal(confirm(f, "amqp", 4, 9), ST_CONFLICT);
    assert_int_equal(find(f, "amqp")->index, 5);
    assert_int_equal(find(f, "amqp")->position, 2);
    assert_int_equal(confirm(f, "amqp", 6, 0), ST_OK);
    assert_int_equal(find(f, "amqp")->index, 6);
    assert_int_equal(find(f, "amqp")->position, 0);
}

static void nothing_is_confirmed_that_has_not_happened(void **state)
{
    struct fixture *f = *state;
    /* The entry of the command itself is the last one. */
    assert_int_equal(confirm(f, "amqp", registry_index(f->registry) + 2, 0), ST_INVALID);
    assert_null(find(f, "amqp"));
    assert_int_equal(confirm(f, "amqp", registry_index(f->registry) + 1, 0), ST_OK);
}

static void names_are_checked(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(confirm(f, "", 1, 0), ST_INVALID);
    assert_int_equal(confirm(f, "Amqp", 1, 0), ST_INVALID);
    assert_int_equal(confirm(f, "a234567890123456789012345678901", 1, 0), ST_OK);
    assert_int_equal(confirm(f, "a2345678901234567890123456789012", 1, 0), ST_INVALID);
}

static void there_are_eight_in_order_of_name(void **state)
{
    static const char *const names[] = {"d", "a", "h", "c", "b", "g", "f", "e"};
    struct fixture *f = *state;
    for (size_t i = 0; i < SINKS_MAX; i++) {
        assert_int_equal(confirm(f, names[i], i + 1, 0), ST_OK);
    }
    uint64_t index = registry_index(f->registry);
    assert_int_equal(confirm(f, "i", 1, 0), ST_FULL);
    assert_int_equal(confirm(f, "d", index, 0), ST_OK);
    const struct sinks *sinks = &fixture_view(f)->sinks;
    assert_int_equal(sinks->count, SINKS_MAX);
    for (uint32_t i = 0; i < sinks->count; i++) {
        const char name[] = {(char)('a' + i), '\0'};
        assert_string_equal(sinks->rows[i].name, name);
    }
}

static void a_full_state_has_no_room_for_a_new_one(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(confirm(f, "amqp", 1, 0), ST_OK);
    const struct command bound = {.kind = COMMAND_STATE_BYTES, .state_bytes = {.most = 100}};
    fixture_apply(f, &bound);
    assert_int_equal(confirm(f, "webhook", 1, 0), ST_FULL);
    assert_int_equal(confirm(f, "amqp", 2, 0), ST_OK);
}

static void they_are_in_hash_size_and_snapshot(void **state)
{
    struct fixture *f = *state;
    struct buffer bytes;
    assert_int_equal(confirm(f, "webhook", 3, 1), ST_OK);
    assert_int_equal(confirm(f, "amqp", 15, 70000), ST_OK);
    uint64_t hash = sinks_hash(&fixture_view(f)->sinks);
    snapshot_encode(f->registry, &bytes);
    assert_int_equal(registry_state_bytes(f->registry), bytes.len);
    struct registry *copy = snapshot_decode(bytes.data, bytes.len);
    assert_non_null(copy);
    assert_same_registries(f->registry, copy);
    registry_destroy(copy);
    buffer_done(&bytes);
    assert_int_equal(confirm(f, "webhook", 3, 2), ST_OK);
    assert_int_not_equal(sinks_hash(&fixture_view(f)->sinks), hash);
}

/* What a member of an older version, which has none of this, would compute. */
static void below_their_level_nothing_of_them_is_there(void **state)
{
    struct fixture *f = *state;
    struct buffer b;
    const struct command c = {.kind = COMMAND_SINK_CONFIRM,
                              .sink_confirm = {.name = slice_of("amqp"), .index = 1}};
    buffer_init(&b, 100);
    wire_command_encode(&c, &b);
    assert_false(wire_command_understands(b.data, b.len, LEVEL_SINKS - 1));
    assert_true(wire_command_understands(b.data, b.len, LEVEL_SINKS));
    buffer_done(&b);
    raise_level_to(f, LEVEL_SINKS - 1);
    uint64_t size = registry_state_bytes(f->registry);
    uint64_t hash = registry_hash(f->registry);
    f->registry->work.sinks.count = 1;
    assert_int_equal(registry_hash(f->registry), hash);
    assert_int_equal(registry_state_bytes(f->registry), size);
    f->registry->work.sinks.count = 0;
}

static void restore(struct sinks sinks, enum status expected)
{
    rcu_register_thread();
    struct registry *r = snapshot_registry();
    const struct snapshot_head head = {.level = LEVEL_SINKS,
                                       .limits = *level_limits(LEVEL_SINKS),
                                       .index = 9,
                                       .events_kept = EVENTS_KEPT_MIN,
                                       .sinks = sinks};
    assert_int_equal(registry_restore_head(r, &head), expected);
    registry_destroy(r);
    rcu_unregister_thread();
}

static void a_snapshot_that_cannot_be_is_refused(void **state)
{
    (void)state;
    restore((struct sinks){.count = 2, .rows = {{"amqp", 9, 1}, {"webhook", 1, 0}}}, ST_OK);
    restore((struct sinks){.count = 2, .rows = {{"webhook", 1, 0}, {"amqp", 9, 1}}}, ST_CORRUPT);
    restore((struct sinks){.count = 2, .rows = {{"amqp", 1, 0}, {"amqp", 9, 1}}}, ST_CORRUPT);
    restore((struct sinks){.count = 1, .rows = {{"amqp", 10, 0}}}, ST_CORRUPT);
    restore((struct sinks){.count = 1, .rows = {{"AMQP", 1, 0}}}, ST_CORRUPT);
    restore((struct sinks){.count = 1, .rows = {{"", 1, 0}}}, ST_CORRUPT);
    restore((struct sinks){.count = SINKS_MAX + 1}, ST_CORRUPT);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_position_rises_and_never_falls),
        CASE(nothing_is_confirmed_that_has_not_happened),
        CASE(names_are_checked),
        CASE(there_are_eight_in_order_of_name),
        CASE(a_full_state_has_no_room_for_a_new_one),
        CASE(they_are_in_hash_size_and_snapshot),
        cmocka_unit_test_setup_teardown(below_their_level_nothing_of_them_is_there, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test(a_snapshot_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
