/* The effect of registrations, updates and removals, and what they leave unchanged. */
#include "tests/unit/registry_fixture.h"

/* The index of a service, present or not. */
static uint64_t service_index(const struct fixture *f, const char *name)
{
    return view_service_index(fixture_view(f), name);
}

/* Registers web-1 of web; returns its incarnation. */
static uint64_t with_web_1(struct fixture *f)
{
    return fixture_register(f, "web-1", "web")->incarnation;
}

/* --- register --- */

static void registering_makes_a_passing_instance(void **state)
{
    struct fixture *f = *state;
    const struct result *result = fixture_register(f, "web-1", "web");
    const struct record *record = fixture_record(f, "web-1");
    const struct view *view = fixture_view(f);
    assert_int_equal(result->status, ST_OK);
    assert_true(result->created);
    assert_int_equal(result->index, 1);
    assert_int_equal(result->ttl_ms, TTL_MS);
    assert_int_equal(record->incarnation, result->incarnation);
    assert_int_equal(record->index, 1);
    assert_int_equal(record->registered_ms, WALL_MS + 1000);
    assert_int_equal(record_health(record), HEALTH_PASSING);
    assert_int_equal(fixture_deadline_ms(f, "web-1"), 1000 + TTL_MS);
    assert_int_equal(view->index, 1);
    assert_int_equal(view->changed_index, 1);
    assert_int_equal(view->services_index, 1);
    assert_int_equal(view->counts[HEALTH_PASSING], 1);
    assert_int_equal(view_service(view, "web")->counts[HEALTH_PASSING], 1);
    assert_int_equal(service_index(f, "web"), 1);
    assert_int_equal(registry_count(f->registry), 1);
    assert_int_equal(fixture_events(f), 1);
    assert_event(f, 1, EVENT_REGISTERED, "web-1");
}

static void incarnation_is_the_place_in_the_log(void **state)
{
    struct fixture *f = *state;
    const struct command a = command_register("a", "web");
    const struct command b = command_register("b", "web");
    struct result in_a;
    struct result in_b;
    f->index = 41;
    fixture_begin(f);
    registry_apply(f->registry, 3, &a, &in_a);
    registry_apply(f->registry, UINT16_MAX, &b, &in_b);
    fixture_end(f);
    assert_int_equal(in_a.incarnation, 42ull << 16 | 3);
    assert_int_equal(in_b.incarnation, 42ull << 16 | UINT16_MAX);
}

static void health_declared_at_registration_counts(void **state)
{
    struct fixture *f = *state;
    struct command command = command_register("web-1", "web");
    command.register_.health_given = true;
    command.register_.health = HEALTH_CRITICAL;
    fixture_apply(f, &command);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_CRITICAL);
    assert_int_equal(fixture_view(f)->counts[HEALTH_CRITICAL], 1);
}

static void registering_the_same_again_is_a_heartbeat(void **state)
{
    struct fixture *f = *state;
    uint64_t incarnation = with_web_1(f);
    const struct record *record = fixture_record(f, "web-1");
    f->now_ms += 4000;
    const struct result *result = fixture_register(f, "web-1", "web");
    assert_int_equal(result->status, ST_OK);
    assert_false(result->created);
    assert_int_equal(result->incarnation, incarnation);
    assert_ptr_equal(fixture_record(f, "web-1"), record);
    assert_int_equal(fixture_deadline_ms(f, "web-1"), f->now_ms + TTL_MS);
    assert_int_equal(fixture_events(f), 1);
    assert_int_equal(service_index(f, "web"), 1);
    assert_int_equal(fixture_view(f)->changed_index, 1);
    assert_int_equal(fixture_view(f)->services_index, 1);
    assert_int_equal(fixture_view(f)->index, 2);
    assert_int_equal(registry_touched(f->registry).count, 0);
}

static void registering_the_same_in_another_health_is_a_health_event(void **state)
{
    struct fixture *f = *state;
    uint64_t incarnation = with_web_1(f);
    struct command command = command_register("web-1", "web");
    command.register_.health_given = true;
    command.register_.health = HEALTH_WARNING;
    assert_int_equal(fixture_apply(f, &command)->incarnation, incarnation);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_WARNING);
    assert_event(f, 2, EVENT_HEALTH, "web-1");
    assert_int_equal(service_index(f, "web"), 2);
    /* Without a given health it stays the same. */
    fixture_register(f, "web-1", "web");
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_WARNING);
    assert_int_equal(fixture_events(f), 2);
}

static void other_content_without_incarnation_takes_the_id_over(void **state)
{
    struct fixture *f = *state;
    uint64_t incarnation = with_web_1(f);
    struct command command = command_register("web-1", "web");
    command.register_.registration.port = 9090;
    f->now_ms += 500;
    const struct result *result = fixture_apply(f, &command);
    assert_int_equal(result->status, ST_OK);
    assert_false(result->created);
    assert_true(result->incarnation > incarnation);
    assert_int_equal(result->incarnation, 2ull << 16);
    const struct record *record = fixture_record(f, "web-1");
    assert_int_equal(record->port, 9090);
    assert_int_equal(record->incarnation, result->incarnation);
    assert_int_equal(record->registered_ms, WALL_MS + 1500);
    assert_int_equal(fixture_events(f), 2);
    assert_event(f, 2, EVENT_UPDATED, "web-1");
    assert_int_equal(service_index(f, "web"), 2);
}

static void other_content_with_the_current_incarnation_keeps_it(void **state)
{
    struct fixture *f = *state;
    uint64_t incarnation = with_web_1(f);
    const struct slice id = slice_of("web-1");
    struct command warned = command_heartbeat(&id);
    warned.heartbeat.status_given = warned.heartbeat.note_given = true;
    warned.heartbeat.status = HEALTH_WARNING;
    warned.heartbeat.note = slice_of("slow disk");
    fixture_apply(f, &warned);
    struct command command = command_register("web-1", "web");
    command.register_.registration.port = 9090;
    command.register_.incarnation = incarnation;
    f->now_ms += 500;
    const struct result *result = fixture_apply(f, &command);
    assert_int_equal(result->status, ST_OK);
    assert_int_equal(result->incarnation, incarnation);
    const struct record *record = fixture_record(f, "web-1");
    assert_int_equal(record->port, 9090);
    assert_int_equal(record->incarnation, incarnation);
    assert_int_equal(record->registered_ms, WALL_MS + 1000);
    assert_int_equal(record_health(record), HEALTH_WARNING);
    assert_string_equal(record_note(record), "slow disk");
    assert_event(f, 3, EVENT_UPDATED, "web-1");
}

static void a_take_over_begins_without_the_note_and_health_of_the_one_before(void **state)
{
    struct fixture *f = *state;
    with_web_1(f);
    const struct slice id = slice_of("web-1");
    struct command warned = command_heartbeat(&id);
    warned.heartbeat.status_given = warned.heartbeat.note_given = true;
    warned.heartbeat.status = HEALTH_CRITICAL;
    warned.heartbeat.note = slice_of("going down");
    fixture_apply(f, &warned);
    struct command command = command_register("web-1", "web");
    command.register_.registration.port = 9090;
    fixture_apply(f, &command);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_PASSING);
    assert_string_equal(record_note(fixture_record(f, "web-1")), "");
}

static void maintenance_outlives_a_take_over(void **state)
{
    struct fixture *f = *state;
    with_web_1(f);
    const struct command maintenance = command_maintenance("web-1", true, "upgrade");
    fixture_apply(f, &maintenance);
    struct command command = command_register("web-1", "web");
    command.register_.registration.port = 9090;
    fixture_apply(f, &command);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_MAINTENANCE);
    assert_string_equal(record_reason(fixture_record(f, "web-1")), "upgrade");
}

static void registering_with_an_older_incarnation_is_a_conflict(void **state)
{
    struct fixture *f = *state;
    uint64_t old = with_web_1(f);
    struct command other = command_register("web-1", "web");
    other.register_.registration.port = 9090;
    uint64_t current = fixture_apply(f, &other)->incarnation;
    uint64_t deadline_ms = fixture_deadline_ms(f, "web-1");
    f->now_ms += 5000;
    /* Whether it changes something or nothing. */
    for (uint16_t port = 9090; port <= 9091; port++) {
        other.register_.incarnation = old;
        other.register_.registration.port = port;
        const struct result *result = fixture_apply(f, &other);
        assert_int_equal(result->status, ST_CONFLICT);
        assert_int_equal(result->incarnation, current);
    }
    assert_int_equal(fixture_record(f, "web-1")->port, 9090);
    assert_int_equal(fixture_deadline_ms(f, "web-1"), deadline_ms);
    assert_int_equal(fixture_events(f), 2);
    assert_int_equal(fixture_view(f)->changed_index, 2);
}

static void an_update_may_move_an_instance_to_another_service(void **state)
{
    struct fixture *f = *state;
    uint64_t incarnation = with_web_1(f);
    fixture_register(f, "web-2", "web");
    struct command command = command_register("web-1", "shop");
    command.register_.incarnation = incarnation;
    fixture_apply(f, &command);
    assert_int_equal(ptree_count(&view_service(fixture_view(f), "web")->instances), 1);
    assert_int_equal(ptree_count(&view_service(fixture_view(f), "shop")->instances), 1);
    assert_int_equal(service_index(f, "web"), 3);
    assert_int_equal(service_index(f, "shop"), 3);
    assert_int_equal(registry_touched(f->registry).count, 2);
    /* The last instance to leave ends the service. */
    command = command_register("web-2", "shop");
    fixture_apply(f, &command);
    assert_null(view_service(fixture_view(f), "web"));
    assert_int_equal(fixture_view(f)->extinct_index, 4);
    assert_int_equal(fixture_view(f)->services_count, 1);
}

/* --- deregister --- */

static void deregistered_is_gone_at_once(void **state)
{
    struct fixture *f = *state;
    uint64_t first = with_web_1(f);
    struct lease_ref ref;
    assert_int_equal(fixture_deregister(f, "web-1")->status, ST_OK);
    assert_null(fixture_record(f, "web-1"));
    assert_int_equal(registry_count(f->registry), 0);
    assert_event(f, 2, EVENT_DEREGISTERED, "web-1");
    assert_int_equal(fixture_heartbeat(f, "web-1")->status, ST_NOT_FOUND);
    assert_int_equal(fixture_deregister(f, "web-1")->status, ST_NOT_FOUND);
    rcu_read_lock();
    assert_false(view_find_lease(registry_view(f->registry), "web-1", 5, &ref));
    rcu_read_unlock();
    f->now_ms += REAP_AFTER_MS + TTL_MS;
    assert_int_equal(fixture_expire(f, EVERY)->expired, 0);
    assert_int_equal(fixture_events(f), 2);
    /* Its next life has a higher incarnation. */
    assert_true(with_web_1(f) > first);
}

static void deregister_of_an_older_incarnation_is_refused(void **state)
{
    struct fixture *f = *state;
    uint64_t old = with_web_1(f);
    struct command successor = command_register("web-1", "web");
    successor.register_.registration.host = slice_of("10.0.0.2");
    uint64_t current = fixture_apply(f, &successor)->incarnation;
    struct command command = command_deregister("web-1", old);
    assert_int_equal(fixture_apply(f, &command)->status, ST_CONFLICT);
    assert_non_null(fixture_record(f, "web-1"));
    command.deregister.incarnation = current;
    assert_int_equal(fixture_apply(f, &command)->status, ST_OK);
    assert_null(fixture_record(f, "web-1"));
}

static void a_service_ends_with_its_last_instance_and_that_is_remembered(void **state)
{
    struct fixture *f = *state;
    with_web_1(f);
    fixture_register(f, "web-2", "web");
    assert_int_equal(service_index(f, "never"), 0);
    fixture_deregister(f, "web-1");
    assert_non_null(view_service(fixture_view(f), "web"));
    assert_int_equal(fixture_view(f)->extinct_index, 0);
    assert_int_equal(service_index(f, "web"), 3);
    fixture_deregister(f, "web-2");
    assert_null(view_service(fixture_view(f), "web"));
    assert_int_equal(fixture_view(f)->services_count, 0);
    assert_int_equal(fixture_view(f)->services_index, 4);
    assert_int_equal(service_index(f, "web"), 4); /* a reader waiting since 3 wakes up */
    fixture_register(f, "db-1", "db");
    assert_int_equal(service_index(f, "web"), 4);
    assert_int_equal(registry_touched(f->registry).count, 1);
    assert_string_equal(registry_touched(f->registry).services[0], "db");
}

/* --- maintenance --- */

static void maintenance_hides_and_shows_again(void **state)
{
    struct fixture *f = *state;
    with_web_1(f);
    struct command command = command_maintenance("web-1", true, "upgrade");
    assert_int_equal(fixture_apply(f, &command)->status, ST_OK);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_MAINTENANCE);
    assert_false(record_discoverable(fixture_record(f, "web-1")));
    assert_string_equal(record_reason(fixture_record(f, "web-1")), "upgrade");
    assert_event(f, 2, EVENT_MAINTENANCE, "web-1");
    fixture_apply(f, &command); /* the same again */
    fixture_heartbeat(f, "web-1");
    assert_int_equal(fixture_events(f), 2);
    command = command_maintenance("web-1", false, "forgotten");
    fixture_apply(f, &command);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_PASSING);
    assert_string_equal(record_reason(fixture_record(f, "web-1")), "");
    assert_event(f, 3, EVENT_MAINTENANCE, "web-1");
    command = command_maintenance("web-9", true, "");
    assert_int_equal(fixture_apply(f, &command)->status, ST_NOT_FOUND);
}

static void maintenance_is_no_heartbeat(void **state)
{
    struct fixture *f = *state;
    with_web_1(f);
    uint64_t deadline_ms = fixture_deadline_ms(f, "web-1");
    const struct command command = command_maintenance("web-1", true, "");
    f->now_ms += 5000;
    fixture_apply(f, &command);
    assert_int_equal(fixture_deadline_ms(f, "web-1"), deadline_ms);
}

/* --- entries --- */

static void cluster_time_never_goes_back(void **state)
{
    struct fixture *f = *state;
    f->now_ms = 5000;
    with_web_1(f);
    f->now_ms = 100;
    fixture_heartbeat(f, "web-1");
    assert_int_equal(registry_now_ms(f->registry), 5000);
    assert_int_equal(fixture_deadline_ms(f, "web-1"), 5000 + TTL_MS);
    assert_int_equal(fixture_view(f)->wall_ms, WALL_MS + 100);
}

static void commands_of_an_entry_see_each_other_but_readers_see_only_its_end(void **state)
{
    struct fixture *f = *state;
    const struct command add = command_register("web-1", "web");
    const struct command remove = command_deregister("web-1", 0);
    fixture_begin(f);
    registry_apply(f->registry, 0, &add, NULL);
    registry_apply(f->registry, 1, &remove, NULL);
    registry_apply(f->registry, 2, &add, NULL);
    assert_int_equal(fixture_view(f)->index, 0);
    assert_null(fixture_record(f, "web-1"));
    fixture_end(f);
    assert_int_equal(fixture_record(f, "web-1")->incarnation, 1ull << 16 | 2);
    assert_int_equal(fixture_events(f), 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(view_event(fixture_view(f), 1 + i)->position, i);
        assert_int_equal(view_event(fixture_view(f), 1 + i)->index, 1);
    }
}

static void a_refused_command_changes_nothing_but_the_position(void **state)
{
    struct fixture *f = *state;
    uint64_t incarnation = with_web_1(f);
    struct registry *other = registry_create(&(struct registry_options){.retire = NULL});
    const struct stamp stamp = {.now_ms = f->now_ms, .wall_ms = WALL_MS + (int64_t)f->now_ms};
    const struct command add = command_register("web-1", "web");
    registry_begin(other, 1, &stamp);
    registry_apply(other, 0, &add, NULL);
    registry_end(other);
    registry_publish(other);
    const struct command refused = command_deregister("web-1", incarnation + 1);
    assert_int_equal(fixture_apply(f, &refused)->status, ST_CONFLICT);
    registry_begin(other, 2, &stamp);
    registry_end(other);
    registry_publish(other);
    assert_true(registry_hash(f->registry) == registry_hash(other));
    registry_destroy(other);
}

static void entries_published_together_leave_the_same_state(void **state)
{
    struct fixture *f = *state;
    struct registry *together = registry_create(&(struct registry_options){.retire = NULL});
    const struct stamp stamp = {.now_ms = f->now_ms, .wall_ms = WALL_MS + (int64_t)f->now_ms};
    const struct command commands[] = {
        command_register("web-1", "web"), command_register("web-2", "web"),
        command_register("db-1", "db"),   command_deregister("db-1", 0),
        command_deregister("web-1", 0),
    };
    for (uint64_t i = 0; i < ARRAY_LENGTH(commands); i++) {
        (void)fixture_apply(f, &commands[i]);
        registry_begin(together, i + 1, &stamp);
        registry_apply(together, 0, &commands[i], NULL);
        registry_end(together);
        assert_true(registry_hash(f->registry) == registry_hash(together));
        assert_true(registry_view(together)->index == 0);
    }
    registry_publish(together);
    const struct view *view = registry_view(together);
    assert_true(view->hash == registry_view(f->registry)->hash);
    assert_true(view_service_index(view, "web") ==
                view_service_index(registry_view(f->registry), "web"));
    assert_int_equal(registry_touched(together).count, 2);
    assert_null(registry_verify(together));
    registry_begin(together, ARRAY_LENGTH(commands) + 1, &stamp);
    assert_int_equal(registry_touched(together).count, 0);
    registry_end(together);
    registry_destroy(together);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(registering_makes_a_passing_instance),
        CASE(incarnation_is_the_place_in_the_log),
        CASE(health_declared_at_registration_counts),
        CASE(registering_the_same_again_is_a_heartbeat),
        CASE(registering_the_same_in_another_health_is_a_health_event),
        CASE(other_content_without_incarnation_takes_the_id_over),
        CASE(other_content_with_the_current_incarnation_keeps_it),
        CASE(a_take_over_begins_without_the_note_and_health_of_the_one_before),
        CASE(maintenance_outlives_a_take_over),
        CASE(registering_with_an_older_incarnation_is_a_conflict),
        CASE(an_update_may_move_an_instance_to_another_service),
        CASE(deregistered_is_gone_at_once),
        CASE(deregister_of_an_older_incarnation_is_refused),
        CASE(a_service_ends_with_its_last_instance_and_that_is_remembered),
        CASE(maintenance_hides_and_shows_again),
        CASE(maintenance_is_no_heartbeat),
        CASE(cluster_time_never_goes_back),
        CASE(commands_of_an_entry_see_each_other_but_readers_see_only_its_end),
        CASE(a_refused_command_changes_nothing_but_the_position),
        CASE(entries_published_together_leave_the_same_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
