/* The effect of heartbeats, by id and by lease, and which instances they do not reach. */
#include "tests/unit/registry_fixture.h"

/* Registers web-1 of web; returns its incarnation. */
static uint64_t with_web_1(struct fixture *f)
{
    return fixture_register(f, "web-1", "web")->incarnation;
}

/* --- by id --- */

static void heartbeats_move_no_index(void **state)
{
    struct fixture *f = *state;
    with_web_1(f);
    const struct lease_ref ref = fixture_ref(f, "web-1");
    f->now_ms += 1000;
    assert_int_equal(fixture_heartbeat(f, "web-1")->renewed, 1);
    assert_int_equal(fixture_deadline_ms(f, "web-1"), f->now_ms + TTL_MS);
    f->now_ms += 1000;
    assert_int_equal(fixture_renew(f, &ref, 1)->renewed, 1);
    assert_int_equal(fixture_deadline_ms(f, "web-1"), f->now_ms + TTL_MS);
    assert_int_equal(fixture_view(f)->index, 3);
    assert_int_equal(fixture_view(f)->changed_index, 1);
    assert_int_equal(fixture_view(f)->services_index, 1);
    assert_int_equal(view_service_index(fixture_view(f), "web"), 1);
    assert_int_equal(fixture_record(f, "web-1")->index, 1);
    assert_int_equal(fixture_events(f), 1);
    assert_int_equal(registry_touched(f->registry).count, 0);
}

static void heartbeat_of_an_unknown_id_is_not_found(void **state)
{
    struct fixture *f = *state;
    with_web_1(f);
    const struct result *result = fixture_heartbeat(f, "web");
    assert_int_equal(result->status, ST_NOT_FOUND);
    assert_int_equal(result->renewed, 0);
    assert_int_equal(result->missed_count, 1);
    assert_int_equal(fixture_heartbeat(f, "web-10")->status, ST_NOT_FOUND);
}

static void heartbeat_of_many_says_which_were_not_there(void **state)
{
    struct fixture *f = *state;
    with_web_1(f);
    fixture_register(f, "web-2", "web");
    const struct slice ids[] = {slice_of("x"), slice_of("web-1"), slice_of("y"), slice_of("web-2")};
    const struct command command = {.kind = COMMAND_HEARTBEAT,
                                    .heartbeat = {.ids = ids, .count = 4}};
    const struct result *result = fixture_apply(f, &command);
    assert_int_equal(result->status, ST_OK);
    assert_int_equal(result->renewed, 2);
    assert_int_equal(result->missed_count, 2);
    assert_int_equal(result->missed[0], 0);
    assert_int_equal(result->missed[1], 2);
}

static void heartbeat_of_an_older_incarnation_is_refused(void **state)
{
    struct fixture *f = *state;
    const struct slice id = slice_of("web-1");
    struct command late = command_heartbeat(&id);
    late.heartbeat.incarnation = with_web_1(f);
    struct command successor = command_register("web-1", "web");
    successor.register_.registration.host = slice_of("10.0.0.2");
    uint64_t current = fixture_apply(f, &successor)->incarnation;
    uint64_t deadline_ms = fixture_deadline_ms(f, "web-1");
    late.heartbeat.status_given = true;
    late.heartbeat.status = HEALTH_CRITICAL;
    f->now_ms += 100;
    const struct result *result = fixture_apply(f, &late);
    assert_int_equal(result->status, ST_CONFLICT);
    assert_int_equal(result->incarnation, current);
    assert_int_equal(result->renewed, 0);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_PASSING);
    assert_int_equal(fixture_deadline_ms(f, "web-1"), deadline_ms);
    late.heartbeat.incarnation = current;
    assert_int_equal(fixture_apply(f, &late)->status, ST_OK);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_CRITICAL);
}

static void heartbeat_with_a_status_moves_health_at_will(void **state)
{
    static const enum health healths[] = {HEALTH_WARNING, HEALTH_CRITICAL, HEALTH_PASSING};
    struct fixture *f = *state;
    const struct slice id = slice_of("web-1");
    struct command command = command_heartbeat(&id);
    with_web_1(f);
    command.heartbeat.status_given = true;
    for (uint64_t i = 0; i < ARRAY_LENGTH(healths); i++) {
        command.heartbeat.status = healths[i];
        fixture_apply(f, &command);
        assert_int_equal(fixture_health(f, "web-1"), healths[i]);
        assert_int_equal(fixture_view(f)->counts[healths[i]], 1);
        assert_event(f, 2 + i, EVENT_HEALTH, "web-1");
        assert_int_equal(view_service_index(fixture_view(f), "web"), f->index);
        /* Repeated, it is a heartbeat. */
        fixture_apply(f, &command);
        assert_int_equal(fixture_events(f), 2 + i);
    }
}

static void a_note_stays_until_the_status_or_the_note_changes(void **state)
{
    struct fixture *f = *state;
    const struct slice id = slice_of("web-1");
    struct command plain = command_heartbeat(&id);
    struct command noted = command_heartbeat(&id);
    struct command status = command_heartbeat(&id);
    with_web_1(f);
    noted.heartbeat.note_given = true;
    noted.heartbeat.note = slice_of("warming up");
    status.heartbeat.status_given = true;
    status.heartbeat.status = HEALTH_PASSING;
    fixture_apply(f, &noted);
    assert_event(f, 2, EVENT_HEALTH, "web-1");
    fixture_apply(f, &plain);
    fixture_apply(f, &noted);
    fixture_apply(f, &status); /* the one it has */
    assert_string_equal(record_note(fixture_record(f, "web-1")), "warming up");
    assert_int_equal(fixture_events(f), 2);
    status.heartbeat.status = HEALTH_WARNING;
    fixture_apply(f, &status);
    assert_string_equal(record_note(fixture_record(f, "web-1")), "");
    assert_int_equal(fixture_events(f), 3);
}

/* --- by lease --- */

static void renewals_of_leases_that_are_gone_are_missed(void **state)
{
    struct fixture *f = *state;
    with_web_1(f);
    fixture_register(f, "web-2", "web");
    const struct lease_ref refs[] = {
        fixture_ref(f, "web-1"),
        fixture_ref(f, "web-2"),
        {.slot = 77, .generation = 0},         /* never used */
        {.slot = UINT32_MAX, .generation = 0}, /* beyond the table */
    };
    fixture_deregister(f, "web-1");
    const struct result *result = fixture_renew(f, refs, ARRAY_LENGTH(refs));
    assert_int_equal(result->status, ST_OK);
    assert_int_equal(result->renewed, 1);
    assert_int_equal(result->missed_count, 3);
    assert_int_equal(result->missed[0], 0);
    assert_int_equal(result->missed[1], 2);
    assert_int_equal(result->missed[2], 3);
}

static void a_renewal_does_not_reach_the_next_holder_of_the_slot(void **state)
{
    struct fixture *f = *state;
    with_web_1(f);
    const struct lease_ref old = fixture_ref(f, "web-1");
    fixture_deregister(f, "web-1");
    fixture_register(f, "other", "web");
    assert_int_equal(fixture_ref(f, "other").slot, old.slot);
    assert_true(fixture_ref(f, "other").generation != old.generation);
    uint64_t deadline_ms = fixture_deadline_ms(f, "other");
    f->now_ms += 100;
    assert_int_equal(fixture_renew(f, &old, 1)->missed_count, 1);
    assert_int_equal(fixture_deadline_ms(f, "other"), deadline_ms);
}

static void a_reference_outlives_updates_of_its_instance(void **state)
{
    struct fixture *f = *state;
    with_web_1(f);
    const struct lease_ref ref = fixture_ref(f, "web-1");
    struct command command = command_register("web-1", "shop");
    fixture_apply(f, &command);
    assert_int_equal(fixture_renew(f, &ref, 1)->renewed, 1);
}

static void slots_are_taken_lowest_first(void **state)
{
    struct fixture *f = *state;
    char id[16];
    for (uint32_t i = 0; i < 200; i++) {
        (void)snprintf(id, sizeof id, "i%03u", i);
        fixture_register(f, id, "web");
        assert_int_equal(fixture_ref(f, id).slot, i);
    }
    fixture_deregister(f, "i150");
    fixture_deregister(f, "i007");
    fixture_register(f, "a", "web");
    fixture_register(f, "b", "web");
    fixture_register(f, "c", "web");
    assert_int_equal(fixture_ref(f, "a").slot, 7);
    assert_int_equal(fixture_ref(f, "b").slot, 150);
    assert_int_equal(fixture_ref(f, "c").slot, 200);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(heartbeats_move_no_index),
        CASE(heartbeat_of_an_unknown_id_is_not_found),
        CASE(heartbeat_of_many_says_which_were_not_there),
        CASE(heartbeat_of_an_older_incarnation_is_refused),
        CASE(heartbeat_with_a_status_moves_health_at_will),
        CASE(a_note_stays_until_the_status_or_the_note_changes),
        CASE(renewals_of_leases_that_are_gone_are_missed),
        CASE(a_renewal_does_not_reach_the_next_holder_of_the_slot),
        CASE(a_reference_outlives_updates_of_its_instance),
        CASE(slots_are_taken_lowest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
