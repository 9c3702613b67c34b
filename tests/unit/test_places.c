/* Instances and the nodes that they are of: none is healthier than these. */
#include "tests/unit/snapshot_fixture.h"

#include "server/registry/check_id.h"
#include "server/registry/internal.h"
#include "server/registry/place.h"

#define OF_AGENT(name) "{\"o\":\"" name "\"}"

static void enrol(struct fixture *f, const char *id, const char *extra)
{
    struct command c = {.kind = COMMAND_ENROL};
    c.enrol.registration = command_register(id, "web").register_.registration;
    c.enrol.registration.ttl_ms = c.enrol.registration.reap_after_ms = 0;
    c.enrol.registration.extra = slice_of(extra);
    assert_int_equal(fixture_apply(f, &c)->status, ST_OK);
}

/* A node with a check of that status, in a namespace. */
static void enrol_node(struct fixture *f, const char *space, const char *id, enum health status,
                       uint32_t ttl_ms)
{
    struct command c = {.kind = COMMAND_ENROL, .space = slice_of(space)};
    const struct slice none = {"", 0};
    c.enrol.registration = (struct registration){.id = slice_of(id),
                                                 .name = none,
                                                 .type = none,
                                                 .host = slice_of("10.0.0.1"),
                                                 .zone = none,
                                                 .extra = none};
    c.enrol.checks_count = 1;
    c.enrol.checks[0] = (struct check_spec){
        .key = slice_of("=up"), .extra = none, .note = none, .status = status, .ttl_ms = ttl_ms};
    assert_int_equal(fixture_apply(f, &c)->status, ST_OK);
}

static void say(struct fixture *f, const char *id, enum health status)
{
    const struct slice one = slice_of(id);
    struct command c = command_heartbeat(&one);
    c.heartbeat.status_given = true;
    c.heartbeat.status = status;
    assert_int_equal(fixture_apply(f, &c)->status, ST_OK);
}

static void a_record_says_of_which_nodes_it_is(void **state)
{
    struct fixture *f = *state;
    enrol(f, "web@1@n1", OF_AGENT("n2"));
    enrol(f, "web@n3", "{}");
    enrol(f, "web", OF_AGENT("n2"));
    struct place_names place = place_of(view_instance(fixture_view(f), "web@1@n1"));
    assert_true(place.node.len == 2 && memcmp(place.node.data, "n1", 2) == 0);
    assert_true(place.agent.len == 2 && memcmp(place.agent.data, "n2", 2) == 0);
    place = place_of(view_instance(fixture_view(f), "web@n3"));
    assert_true(place.node.len == 2 && place.agent.len == 0);
    place = place_of(view_instance(fixture_view(f), "web"));
    assert_true(place.node.len == 0 && place.agent.len == 0);
}

static void an_instance_is_not_healthier_than_its_nodes(void **state)
{
    struct fixture *f = *state;
    enrol(f, "a@n1", OF_AGENT("n1"));
    enrol(f, "b@n2", OF_AGENT("n1"));
    enrol(f, "c@n2", OF_AGENT("n2"));
    fixture_register(f, "d@n1", "web"); /* of another door */
    enrol_node(f, "", "\x1en1", HEALTH_PASSING, 0);
    uint64_t index = view_service_index(fixture_view(f), "web");
    say(f, "\x1en1\x1e=up", HEALTH_CRITICAL);
    assert_int_equal(fixture_health(f, "a@n1"), HEALTH_CRITICAL);
    assert_int_equal(fixture_health(f, "b@n2"), HEALTH_CRITICAL);
    assert_int_equal(fixture_health(f, "c@n2"), HEALTH_PASSING);
    assert_int_equal(fixture_health(f, "d@n1"), HEALTH_PASSING);
    assert_true(view_service_index(fixture_view(f), "web") > index);
    assert_int_equal(view_service(fixture_view(f), "web")->counts[HEALTH_CRITICAL], 2);
    const struct event *last = view_event(fixture_view(f), fixture_view(f)->events_last);
    assert_int_equal(last->type, EVENT_HEALTH);
    assert_string_equal(record_id(last->record), "b@n2");
    assert_false(record_discoverable(view_instance(fixture_view(f), "a@n1")));

    say(f, "a@n1", HEALTH_PASSING); /* that it is alive itself does not help */
    assert_int_equal(fixture_health(f, "a@n1"), HEALTH_CRITICAL);
    say(f, "\x1en1\x1e=up", HEALTH_WARNING);
    assert_int_equal(fixture_health(f, "a@n1"), HEALTH_WARNING);
    say(f, "\x1en1\x1e=up", HEALTH_PASSING);
    assert_int_equal(fixture_health(f, "a@n1"), HEALTH_PASSING);
    assert_int_equal(fixture_health(f, "b@n2"), HEALTH_PASSING);
}

static void what_comes_later_is_not_healthier_either(void **state)
{
    struct fixture *f = *state;
    enrol_node(f, "", "\x1en1", HEALTH_CRITICAL, 0);
    enrol(f, "a@n1", OF_AGENT("n2"));
    assert_int_equal(fixture_health(f, "a@n1"), HEALTH_CRITICAL);
    /* It changes hands: the agent is of it, too. */
    enrol(f, "b@n2", OF_AGENT("n2"));
    assert_int_equal(fixture_health(f, "b@n2"), HEALTH_PASSING);
    enrol(f, "b@n2", OF_AGENT("n1"));
    assert_int_equal(fixture_health(f, "b@n2"), HEALTH_CRITICAL);
    enrol(f, "b@n2", OF_AGENT("n2"));
    assert_int_equal(fixture_health(f, "b@n2"), HEALTH_PASSING);
    fixture_deregister(f, "a@n1");
    say(f, "\x1en1\x1e=up", HEALTH_PASSING);
}

static void a_check_or_node_that_goes_takes_its_effect_along(void **state)
{
    struct fixture *f = *state;
    enrol(f, "a@n1", OF_AGENT("n1"));
    enrol_node(f, "", "\x1en1", HEALTH_CRITICAL, 0);
    fixture_deregister(f, "\x1en1\x1e=up");
    assert_int_equal(fixture_health(f, "a@n1"), HEALTH_PASSING);
    enrol_node(f, "", "\x1en1", HEALTH_CRITICAL, 0);
    assert_int_equal(fixture_health(f, "a@n1"), HEALTH_CRITICAL);
    fixture_deregister(f, "\x1en1");
    assert_int_equal(fixture_health(f, "a@n1"), HEALTH_PASSING);
}

static void a_check_of_a_node_that_is_silent_counts(void **state)
{
    struct fixture *f = *state;
    enrol(f, "a@n1", OF_AGENT("n1"));
    enrol_node(f, "", "\x1en1", HEALTH_PASSING, 10000);
    f->now_ms += 11000;
    fixture_expire(f, EVERY);
    assert_int_equal(fixture_health(f, "a@n1"), HEALTH_CRITICAL);
}

static void a_node_is_one_of_its_namespace(void **state)
{
    struct fixture *f = *state;
    enrol(f, "a@n1", OF_AGENT("n1"));
    enrol_node(f, "shop", "\x1en1", HEALTH_CRITICAL, 0);
    assert_int_equal(fixture_health(f, "a@n1"), HEALTH_PASSING);
}

static void one_that_has_moved_is_only_there(void **state)
{
    struct fixture *f = *state;
    enrol(f, "a@n1", OF_AGENT("n1"));
    enrol(f, "a@n2", OF_AGENT("n2"));
    enrol(f, "a@x@n1", OF_AGENT("n1")); /* another id */
    fixture_register(f, "a@n4", "web"); /* of another door */
    struct command c = {.kind = COMMAND_ENROL};
    c.enrol.registration = command_register("a@n5", "mail").register_.registration;
    c.enrol.registration.extra = slice_of(OF_AGENT("n5"));
    fixture_apply(f, &c); /* of another service */
    c.enrol.registration = command_register("a@n3", "web").register_.registration;
    c.enrol.registration.extra = slice_of(OF_AGENT("n3"));
    c.enrol.only_here = true;
    assert_int_equal(fixture_apply(f, &c)->status, ST_OK);
    assert_null(fixture_record(f, "a@n1"));
    assert_null(fixture_record(f, "a@n2"));
    assert_int_equal(ptree_count(&fixture_view(f)->instances), 4);
    assert_non_null(fixture_record(f, "a@n3"));
    assert_non_null(fixture_record(f, "a@x@n1"));
    assert_non_null(fixture_record(f, "a@n4"));
    assert_non_null(fixture_record(f, "a@n5"));
    assert_int_equal(view_event(fixture_view(f), fixture_events(f))->type, EVENT_DEREGISTERED);
}

static void a_snapshot_has_it(void **state)
{
    struct fixture *f = *state;
    enrol(f, "a@n1", OF_AGENT("n1"));
    enrol(f, "b@n2", OF_AGENT("n1"));
    enrol_node(f, "", "\x1en1", HEALTH_CRITICAL, 0);
    struct registry *copy = snapshot_copy(f->registry);
    assert_same_registries(f->registry, copy);
    registry_destroy(f->registry);
    f->registry = copy;
    assert_int_equal(fixture_health(f, "b@n2"), HEALTH_CRITICAL);
    say(f, "\x1en1\x1e=up", HEALTH_PASSING);
    assert_int_equal(fixture_health(f, "b@n2"), HEALTH_PASSING);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_set_up_newest, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_record_says_of_which_nodes_it_is),
        CASE(an_instance_is_not_healthier_than_its_nodes),
        CASE(what_comes_later_is_not_healthier_either),
        CASE(a_check_or_node_that_goes_takes_its_effect_along),
        CASE(a_check_of_a_node_that_is_silent_counts),
        CASE(a_node_is_one_of_its_namespace),
        CASE(one_that_has_moved_is_only_there),
        CASE(a_snapshot_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
