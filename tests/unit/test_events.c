/* The events that are kept: in order, complete, as things were, and within the bounds. */
#include "tests/unit/registry_fixture.h"

#include "server/base/limits.h"

#define BYTES_MAX (EVENTS_KEPT_DEFAULT * EVENT_BYTES_MEAN)

/* Within one entry, toggles web-1 between passing and warning, `count` times. */
static void change_health(struct fixture *f, uint32_t count)
{
    const struct slice id = slice_of("web-1");
    struct command command = command_heartbeat(&id);
    command.heartbeat.status_given = true;
    command.heartbeat.status = fixture_health(f, "web-1");
    fixture_begin(f);
    for (uint32_t i = 0; i < count; i++) {
        command.heartbeat.status =
            command.heartbeat.status == HEALTH_PASSING ? HEALTH_WARNING : HEALTH_PASSING;
        registry_apply(f->registry, i, &command, NULL);
    }
    fixture_end(f);
}

static void an_event_says_when_and_where_in_the_log(void **state)
{
    struct fixture *f = *state;
    fixture_register(f, "web-1", "web");
    f->now_ms = 77000;
    change_health(f, 3);
    const struct view *view = fixture_view(f);
    assert_int_equal(view->events_first, 1);
    assert_int_equal(view->events_last, 4);
    for (uint32_t i = 0; i < 3; i++) {
        const struct event *event = view_event(view, 2 + i);
        assert_int_equal(event->sequence, 2 + i);
        assert_int_equal(event->index, 2);
        assert_int_equal(event->position, i);
        assert_int_equal(event->wall_ms, WALL_MS + 77000);
    }
    assert_null(view_event(view, 0));
    assert_null(view_event(view, 5));
    assert_null(view_event(view, 2 + EVENTS_KEPT_DEFAULT)); /* its slot now holds the second */
}

static void an_event_keeps_the_record_as_it_stood(void **state)
{
    struct fixture *f = *state;
    fixture_register(f, "web-1", "web");
    change_health(f, 2);
    struct command moved = command_register("web-1", "shop");
    fixture_apply(f, &moved);
    fixture_deregister(f, "web-1");
    fixture_register(f, "other", "web");
    const struct view *view = fixture_view(f);
    assert_int_equal(record_health(view_event(view, 1)->record), HEALTH_PASSING);
    assert_int_equal(record_health(view_event(view, 2)->record), HEALTH_WARNING);
    assert_int_equal(record_health(view_event(view, 3)->record), HEALTH_PASSING);
    assert_string_equal(record_name(view_event(view, 3)->record), "web");
    assert_event(f, 4, EVENT_DEREGISTERED, "web-1"); /* from its old service */
    assert_string_equal(record_name(view_event(view, 4)->record), "web");
    assert_string_equal(record_name(view_event(view, 5)->record), "shop");
    assert_event(f, 6, EVENT_DEREGISTERED, "web-1");
    assert_string_equal(record_name(view_event(view, 6)->record), "shop");
}

static void the_oldest_go_when_there_are_too_many(void **state)
{
    struct fixture *f = *state;
    fixture_register(f, "web-1", "web");
    change_health(f, EVENTS_KEPT_DEFAULT - 1);
    assert_int_equal(fixture_view(f)->events_first, 1);
    assert_event(f, 1, EVENT_REGISTERED, "web-1");
    change_health(f, 1);
    assert_int_equal(fixture_view(f)->events_first, 2);
    assert_null(view_event(fixture_view(f), 1));
    change_health(f, 3 * EVENTS_KEPT_DEFAULT);
    const struct view *view = fixture_view(f);
    assert_int_equal(view->events_last, 4 * EVENTS_KEPT_DEFAULT + 1);
    assert_int_equal(view->events_last - view->events_first, EVENTS_KEPT_DEFAULT - 1);
    for (uint64_t i = view->events_first; i <= view->events_last; i++) {
        assert_int_equal(view_event(view, i)->sequence, i);
    }
}

static void the_oldest_go_when_they_take_too_much_memory(void **state)
{
    static char filler[METADATA_VALUE_BYTES_MAX];
    struct fixture *f = *state;
    struct command command = command_register("web-1", "web");
    struct registration *g = &command.register_.registration;
    memset(filler, 'x', sizeof filler);
    g->metadata_count = METADATA_MAX;
    for (size_t i = 0; i < METADATA_MAX; i++) {
        g->metadata[i] = (struct pair){{filler, METADATA_KEY_BYTES_MAX}, {filler, sizeof filler}};
    }
    for (uint16_t i = 0; i < 400; i++) {
        g->port = i;
        fixture_apply(f, &command);
    }
    const struct view *view = fixture_view(f);
    size_t bytes = 0;
    for (uint64_t i = view->events_first; i <= view->events_last; i++) {
        bytes += 128 + record_text_bytes(view_event(view, i)->record);
    }
    assert_int_equal(view->events_last, 400);
    assert_in_range(bytes, BYTES_MAX - 65536, BYTES_MAX);
    assert_null(view_event(view, view->events_first - 1));
}

static void keep_events(struct fixture *f, uint32_t count)
{
    const struct command command = {.kind = COMMAND_KEEP_EVENTS, .keep_events = {.count = count}};
    fixture_apply(f, &command);
}

static void more_or_fewer_are_kept_when_told_so(void **state)
{
    struct fixture *f = *state;
    fixture_register(f, "web-1", "web");
    change_health(f, 99);
    keep_events(f, 16);
    assert_int_equal(fixture_view(f)->events_kept, 16);
    assert_int_equal(fixture_view(f)->events_first, 85);
    assert_int_equal(fixture_view(f)->events_last, 100);
    assert_null(view_event(fixture_view(f), 84));
    change_health(f, 1);
    assert_int_equal(fixture_view(f)->events_first, 86);
    keep_events(f, 64);
    change_health(f, 60);
    assert_int_equal(fixture_view(f)->events_first, 98);
    for (uint64_t i = 98; i <= 161; i++) {
        assert_int_equal(view_event(fixture_view(f), i)->sequence, i);
    }
    assert_null(registry_verify(f->registry));
}

static void how_many_are_kept_is_part_of_the_state(void **state)
{
    struct fixture *f = *state;
    const struct command command = {.kind = COMMAND_KEEP_EVENTS, .keep_events = {.count = 17}};
    fixture_begin(f);
    uint64_t before = registry_hash(f->registry);
    registry_apply(f->registry, 0, &command, NULL);
    assert_int_not_equal(registry_hash(f->registry), before);
    fixture_end(f);
}

static void instance_that_moves_leaves_its_old_service(void **state)
{
    struct fixture *f = *state;
    fixture_register(f, "web-1", "web");
    uint64_t incarnation = fixture_record(f, "web-1")->incarnation;
    struct command moved = command_register("web-1", "shop");
    moved.register_.incarnation = incarnation;
    fixture_apply(f, &moved);
    assert_event(f, 2, EVENT_DEREGISTERED, "web-1");
    assert_event(f, 3, EVENT_REGISTERED, "web-1");
    assert_string_equal(record_name(view_event(fixture_view(f), 2)->record), "web");
    assert_string_equal(record_name(view_event(fixture_view(f), 3)->record), "shop");
    assert_int_equal(fixture_record(f, "web-1")->incarnation, incarnation);
    moved.register_.registration.type = slice_of("grpc");
    fixture_apply(f, &moved);
    assert_event(f, 4, EVENT_DEREGISTERED, "web-1");
    assert_event(f, 5, EVENT_REGISTERED, "web-1");
}

static void refused_and_empty_commands_make_no_event(void **state)
{
    struct fixture *f = *state;
    fixture_deregister(f, "web-1");
    fixture_heartbeat(f, "web-1");
    fixture_expire(f, EVERY);
    assert_int_equal(fixture_events(f), 0);
    assert_int_equal(fixture_view(f)->events_first, 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_event_says_when_and_where_in_the_log),
        CASE(an_event_keeps_the_record_as_it_stood),
        CASE(the_oldest_go_when_there_are_too_many),
        CASE(the_oldest_go_when_they_take_too_much_memory),
        CASE(more_or_fewer_are_kept_when_told_so),
        CASE(how_many_are_kept_is_part_of_the_state),
        CASE(instance_that_moves_leaves_its_old_service),
        CASE(refused_and_empty_commands_make_no_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
