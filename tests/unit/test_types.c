/* Registrations that are to be the only one of their type in their namespace. */
#include "tests/unit/snapshot_fixture.h"

#include "server/wire/wire_command.h"

static enum status register_unique(struct fixture *f, const char *space, const char *id,
                                   const char *type)
{
    struct command c = command_register(id, "web");
    c.space = slice_of(space);
    c.register_.registration.type = slice_of(type);
    c.register_.registration.tags_count = 0;
    c.register_.unique_type = true;
    return fixture_apply(f, &c)->status;
}

static enum status register_plain(struct fixture *f, const char *id, const char *type)
{
    struct command c = command_register(id, "other");
    c.register_.registration.type = slice_of(type);
    return fixture_apply(f, &c)->status;
}

static void the_second_of_a_type_is_refused_until_the_first_is_gone(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(register_unique(f, "", "a", "T"), ST_OK);
    assert_int_equal(register_unique(f, "", "a", "T"), ST_OK); /* itself does not count */
    assert_int_equal(register_unique(f, "", "b", "T"), ST_DUPLICATE_TYPE);
    assert_int_equal(register_unique(f, "", "b", "T2"), ST_OK);
    assert_int_equal(register_unique(f, "", "b", "T"), ST_DUPLICATE_TYPE); /* nor may it change */
    fixture_deregister(f, "a");
    assert_int_equal(register_unique(f, "", "b", "T"), ST_OK);
    assert_int_equal(register_unique(f, "", "c", "T2"), ST_OK); /* b has left it */
}

static void those_of_other_services_count_and_those_of_other_namespaces_do_not(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(register_plain(f, "a", "T"), ST_OK);
    assert_int_equal(register_unique(f, "", "b", "T"), ST_DUPLICATE_TYPE);
    assert_int_equal(register_unique(f, "team", "b", "T"), ST_OK);
    assert_int_equal(register_unique(f, "team", "c", "T"), ST_DUPLICATE_TYPE);
    assert_int_equal(register_plain(f, "b", "T"), ST_OK); /* who does not ask is not refused */
}

static void one_that_has_expired_does_not_count(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(register_unique(f, "", "a", "T"), ST_OK);
    f->now_ms += TTL_MS + 1;
    fixture_expire(f, EVERY);
    assert_int_equal(register_unique(f, "", "b", "T"), ST_OK);
    assert_int_equal(register_unique(f, "", "a", "T"), ST_DUPLICATE_TYPE);
    assert_int_equal(fixture_heartbeat(f, "a")->status, ST_OK); /* which asks for nothing */
    fixture_deregister(f, "b");
    assert_int_equal(register_unique(f, "", "c", "T"), ST_DUPLICATE_TYPE);
}

static void a_restored_registry_knows_the_types(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(register_unique(f, "", "a", "T"), ST_OK);
    f->now_ms += TTL_MS / 2;
    assert_int_equal(register_unique(f, "", "b", "U"), ST_OK);
    f->now_ms += TTL_MS / 2 + 1;
    fixture_expire(f, EVERY);
    struct fixture g = {
        .registry = snapshot_copy(f->registry), .index = f->index, .now_ms = f->now_ms};
    assert_int_equal(register_unique(&g, "", "c", "U"), ST_DUPLICATE_TYPE);
    assert_int_equal(register_unique(&g, "", "c", "T"), ST_OK);
    registry_destroy(g.registry);
}

static void the_condition_is_in_the_log_from_its_level_on(void **state)
{
    (void)state;
    struct wire_command decoded;
    struct buffer b;
    struct command c = command_register("a", "web");
    c.space = slice_of("team");
    c.register_.registration.type = slice_of("T");
    c.register_.unique_type = true;
    buffer_init(&b, OP_BYTES_MAX);
    wire_command_encode(&c, &b);
    assert_false(wire_command_understands(b.data, b.len, LEVEL_UNIQUE_TYPES - 1));
    assert_true(wire_command_understands(b.data, b.len, LEVEL_UNIQUE_TYPES));
    assert_int_equal(wire_command_decode(b.data, b.len, level_limits(LEVEL_MAX), &decoded), ST_OK);
    assert_true(decoded.command.register_.unique_type);
    wire_command_done(&decoded);
    buffer_clear(&b);
    c.register_.registration.type = slice_of("");
    wire_command_encode(&c, &b);
    assert_int_equal(wire_command_decode(b.data, b.len, level_limits(LEVEL_MAX), &decoded),
                     ST_CORRUPT);
    buffer_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_second_of_a_type_is_refused_until_the_first_is_gone,
                                        fixture_set_up_newest, fixture_tear_down),
        cmocka_unit_test_setup_teardown(
            those_of_other_services_count_and_those_of_other_namespaces_do_not,
            fixture_set_up_newest, fixture_tear_down),
        cmocka_unit_test_setup_teardown(one_that_has_expired_does_not_count, fixture_set_up_newest,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(a_restored_registry_knows_the_types, fixture_set_up_newest,
                                        fixture_tear_down),
        cmocka_unit_test(the_condition_is_in_the_log_from_its_level_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
