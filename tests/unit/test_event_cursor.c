/* The cursor over events: each matching event once and in order, after any id; or all present
 * instances first; and never an undetected gap. */
#include "tests/unit/registry_fixture.h"

#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/node/event_cursor.h"

static struct event_filter everything(void)
{
    return (struct event_filter){.events = EVENT_FILTER_ALL};
}

static struct event_filter of_service(const char *name)
{
    return (struct event_filter){.service = mem_strdup(name), .events = EVENT_FILTER_ALL};
}

static struct event_item next(struct fixture *f, struct event_cursor *cursor)
{
    return event_cursor_next(cursor, fixture_view(f));
}

static void assert_next(struct fixture *f, struct event_cursor *cursor, enum event_type type,
                        const char *id)
{
    struct event_item item = next(f, cursor);
    assert_int_equal(item.kind, ITEM_EVENT);
    assert_int_equal(item.event->type, type);
    assert_string_equal(record_id(item.record), id);
}

static void assert_present(struct fixture *f, struct event_cursor *cursor, const char *id)
{
    struct event_item item = next(f, cursor);
    assert_int_equal(item.kind, ITEM_PRESENT);
    assert_string_equal(record_id(item.record), id);
}

static void assert_kind(struct fixture *f, struct event_cursor *cursor, enum event_item_kind kind)
{
    assert_int_equal(next(f, cursor).kind, kind);
}

static void a_feed_begins_at_the_present(void **state)
{
    struct fixture *f = *state;
    struct event_cursor cursor;
    struct event_filter filter = everything();
    fixture_register(f, "web-1", "web");
    event_cursor_begin(&cursor, &filter, false, fixture_view(f));
    assert_kind(f, &cursor, ITEM_NOTHING);
    fixture_register(f, "web-2", "web");
    fixture_deregister(f, "web-1");
    assert_next(f, &cursor, EVENT_REGISTERED, "web-2");
    assert_next(f, &cursor, EVENT_DEREGISTERED, "web-1");
    assert_kind(f, &cursor, ITEM_NOTHING);
    event_cursor_done(&cursor);
}

static void only_what_matches_the_filter_is_told(void **state)
{
    struct fixture *f = *state;
    struct event_cursor cursor;
    struct event_filter filter = of_service("web");
    filter.events = 1u << EVENT_DEREGISTERED;
    event_cursor_begin(&cursor, &filter, false, fixture_view(f));
    fixture_register(f, "web-1", "web");
    fixture_register(f, "db-1", "db");
    fixture_deregister(f, "db-1");
    fixture_deregister(f, "web-1");
    assert_next(f, &cursor, EVENT_DEREGISTERED, "web-1");
    assert_kind(f, &cursor, ITEM_NOTHING);
    event_cursor_done(&cursor);
}

static void a_feed_resumes_behind_any_event(void **state)
{
    struct fixture *f = *state;
    char id[16];
    for (int i = 0; i < 20; i++) {
        (void)snprintf(id, sizeof id, "web-%02d", i);
        fixture_register(f, id, "web");
    }
    for (uint64_t s = 1; s <= 20; s++) {
        struct event_cursor cursor;
        struct event_filter filter = everything();
        struct event_id after = event_id_of(view_event(fixture_view(f), s));
        event_cursor_resume(&cursor, &filter, true, after, fixture_view(f));
        for (uint64_t i = s + 1; i <= 20; i++) {
            assert_int_equal(next(f, &cursor).event->sequence, i);
        }
        assert_kind(f, &cursor, ITEM_NOTHING);
        event_cursor_done(&cursor);
    }
}

static void a_position_between_events_resumes_with_the_next(void **state)
{
    struct fixture *f = *state;
    struct event_cursor cursor;
    struct event_filter filter = everything();
    fixture_register(f, "web-1", "web");
    fixture_heartbeat(f, "web-1");
    fixture_register(f, "web-2", "web");
    struct event_id after = event_id_of(view_event(fixture_view(f), 1));
    after.index++; /* the heartbeat's entry, which made no event */
    event_cursor_resume(&cursor, &filter, false, after, fixture_view(f));
    assert_next(f, &cursor, EVENT_REGISTERED, "web-2");
    event_cursor_done(&cursor);
}

static void flood(struct fixture *f)
{
    const struct slice id = slice_of("web-1");
    struct command command = command_heartbeat(&id);
    command.heartbeat.status_given = true;
    fixture_begin(f);
    for (uint32_t i = 0; i <= EVENTS_KEPT_DEFAULT; i++) {
        command.heartbeat.status = i % 2 == 0 ? HEALTH_WARNING : HEALTH_PASSING;
        registry_apply(f->registry, i, &command, NULL);
    }
    fixture_end(f);
}

static void a_past_that_is_gone_is_said_to_be(void **state)
{
    struct fixture *f = *state;
    struct event_cursor cursor;
    struct event_filter filter = everything();
    fixture_register(f, "web-1", "web");
    struct event_id after = event_id_of(view_event(fixture_view(f), 1));
    flood(f);
    event_cursor_resume(&cursor, &filter, false, after, fixture_view(f));
    assert_kind(f, &cursor, ITEM_RESET);
    assert_kind(f, &cursor, ITEM_NOTHING);
    fixture_register(f, "web-2", "web");
    assert_next(f, &cursor, EVENT_REGISTERED, "web-2");
    event_cursor_done(&cursor);
}

static void a_reader_that_was_overtaken_is_told_so(void **state)
{
    struct fixture *f = *state;
    struct event_cursor cursor;
    struct event_filter filter = everything();
    fixture_register(f, "web-1", "web");
    event_cursor_begin(&cursor, &filter, false, fixture_view(f));
    flood(f);
    assert_kind(f, &cursor, ITEM_RESET);
    assert_kind(f, &cursor, ITEM_NOTHING);
    event_cursor_done(&cursor);
}

static void a_position_that_no_log_has_reached_is_not_waited_for(void **state)
{
    struct fixture *f = *state;
    struct event_cursor cursor;
    struct event_filter filter = everything();
    fixture_register(f, "web-1", "web");
    event_cursor_resume(&cursor, &filter, true, (struct event_id){.index = 1000000},
                        fixture_view(f));
    assert_kind(f, &cursor, ITEM_RESET);
    assert_present(f, &cursor, "web-1");
    assert_kind(f, &cursor, ITEM_PRESENTED);
    event_cursor_done(&cursor);
}

static void all_that_are_there_come_first(void **state)
{
    struct fixture *f = *state;
    struct event_cursor cursor;
    struct event_filter filter = of_service("web");
    struct event_id position;
    fixture_register(f, "b", "web");
    fixture_register(f, "a", "web");
    fixture_register(f, "c", "db");
    event_cursor_begin(&cursor, &filter, true, fixture_view(f));
    assert_present(f, &cursor, "a");
    assert_false(event_cursor_id(&cursor, fixture_view(f), &position));
    assert_present(f, &cursor, "b");
    assert_kind(f, &cursor, ITEM_PRESENTED);
    assert_true(event_cursor_id(&cursor, fixture_view(f), &position));
    assert_int_equal(position.index, fixture_view(f)->index);
    assert_kind(f, &cursor, ITEM_NOTHING);
    event_cursor_done(&cursor);
}

static void what_changes_between_two_parts_is_told_once(void **state)
{
    struct fixture *f = *state;
    struct event_cursor cursor;
    struct event_filter filter = everything();
    fixture_register(f, "b", "web");
    fixture_register(f, "d", "web");
    event_cursor_begin(&cursor, &filter, true, fixture_view(f));
    assert_present(f, &cursor, "b");
    fixture_register(f, "a", "web"); /* before last_id: an event */
    fixture_deregister(f, "b");      /* already given: an event */
    fixture_register(f, "c", "web"); /* not given yet: given as present */
    fixture_deregister(f, "d");      /* never mentioned */
    assert_next(f, &cursor, EVENT_REGISTERED, "a");
    assert_next(f, &cursor, EVENT_DEREGISTERED, "b");
    assert_present(f, &cursor, "c");
    assert_kind(f, &cursor, ITEM_PRESENTED);
    assert_kind(f, &cursor, ITEM_NOTHING);
    event_cursor_done(&cursor);
}

static void one_instance_alone_is_presented(void **state)
{
    struct fixture *f = *state;
    struct event_cursor cursor;
    struct event_filter filter = everything();
    filter.id = mem_strdup("web-2");
    filter.type = mem_strdup("");
    fixture_register(f, "web-1", "web");
    fixture_register(f, "web-2", "web");
    event_cursor_begin(&cursor, &filter, true, fixture_view(f));
    assert_present(f, &cursor, "web-2");
    assert_kind(f, &cursor, ITEM_PRESENTED);
    event_cursor_done(&cursor);
}

static void an_empty_service_is_presented_as_such(void **state)
{
    struct fixture *f = *state;
    struct event_cursor cursor;
    struct event_filter filter = of_service("web");
    struct event_id position;
    event_cursor_begin(&cursor, &filter, true, fixture_view(f));
    assert_kind(f, &cursor, ITEM_PRESENTED);
    assert_true(
        event_cursor_id(&cursor, fixture_view(f), &position)); /* nothing has happened yet */
    assert_int_equal(position.index, 0);
    event_cursor_done(&cursor);
    fixture_register(f, "web-1", "web");
    filter = of_service("web");
    event_cursor_resume(&cursor, &filter, false, position, fixture_view(f));
    assert_next(f, &cursor, EVENT_REGISTERED, "web-1");
    event_cursor_done(&cursor);
}

static void events_passed_over_are_not_looked_at_again(void **state)
{
    struct fixture *f = *state;
    struct event_cursor cursor;
    struct event_filter filter = of_service("web");
    struct event_id position;
    event_cursor_begin(&cursor, &filter, false, fixture_view(f));
    fixture_register(f, "db-1", "db");
    fixture_register(f, "db-2", "db");
    event_cursor_pass(&cursor, 2);
    event_cursor_pass(&cursor, 1); /* does not go back */
    assert_true(event_cursor_id(&cursor, fixture_view(f), &position));
    assert_int_equal(position.index, view_event(fixture_view(f), 2)->index);
    fixture_register(f, "web-1", "web");
    assert_next(f, &cursor, EVENT_REGISTERED, "web-1");
    event_cursor_done(&cursor);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_feed_begins_at_the_present),
        CASE(only_what_matches_the_filter_is_told),
        CASE(a_feed_resumes_behind_any_event),
        CASE(a_position_between_events_resumes_with_the_next),
        CASE(a_past_that_is_gone_is_said_to_be),
        CASE(a_reader_that_was_overtaken_is_told_so),
        CASE(a_position_that_no_log_has_reached_is_not_waited_for),
        CASE(all_that_are_there_come_first),
        CASE(what_changes_between_two_parts_is_told_once),
        CASE(one_instance_alone_is_presented),
        CASE(an_empty_service_is_presented_as_such),
        CASE(events_passed_over_are_not_looked_at_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
