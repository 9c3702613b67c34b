/* Whose replica runs which check, and which results count. */
#include "tests/unit/registry_fixture.h"

#include "server/registry/check_id.h"

#define CHECKS 20000

static struct command probers(uint32_t count, const uint64_t *members)
{
    struct command c = {.kind = COMMAND_PROBERS, .probers = {.count = count}};
    memcpy(c.probers.members, members, count * sizeof *members);
    return c;
}
#define PROBERS(...)                                                                               \
    probers(sizeof(const uint64_t[]){__VA_ARGS__} / sizeof(uint64_t),                              \
            (const uint64_t[]){__VA_ARGS__})

static const struct probers *set(struct fixture *f, struct command command)
{
    (void)fixture_apply(f, &command);
    return &fixture_view(f)->probers;
}

static struct slice nth(unsigned n)
{
    static char id[32];
    (void)snprintf(id, sizeof id, "web-%u\x1e:http", n);
    return slice_of(id);
}

/* --- who runs what --- */

static void nobody_runs_anything_without_a_set(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(prober_of(&fixture_view(f)->probers, nth(1)), 0);
    assert_false(prober_was(&fixture_view(f)->probers, nth(1), 1, UINT64_MAX));
}

static void checks_are_spread_evenly(void **state)
{
    struct fixture *f = *state;
    const struct probers *p = set(f, PROBERS(1, 2, 3, 4, 5));
    unsigned counts[6] = {0};
    for (unsigned n = 0; n < CHECKS; n++) {
        counts[prober_of(p, nth(n))]++;
    }
    for (unsigned member = 1; member <= 5; member++) {
        assert_in_range(counts[member], CHECKS / 5 * 95 / 100, CHECKS / 5 * 105 / 100);
    }
}

static void only_the_checks_of_who_leaves_move(void **state)
{
    struct fixture *f = *state;
    struct probers before = *set(f, PROBERS(1, 2, 3, 4, 5));
    const struct probers *after = set(f, PROBERS(1, 2, 4, 5));
    unsigned moved_to[6] = {0};
    for (unsigned n = 0; n < CHECKS; n++) {
        uint64_t old = prober_of(&before, nth(n));
        uint64_t new = prober_of(after, nth(n));
        assert_int_not_equal(new, 3);
        assert_true(old == new || old == 3);
        moved_to[new] += old != new;
    }
    for (unsigned member = 1; member <= 5; member++) { /* and these are spread, too */
        assert_true(member == 3 || moved_to[member] > CHECKS / 5 / 4 * 80 / 100);
    }
}

static void one_that_comes_back_gets_its_checks_back(void **state)
{
    struct fixture *f = *state;
    struct probers before = *set(f, PROBERS(1, 2, 3));
    (void)set(f, PROBERS(1, 3));
    const struct probers *after = set(f, PROBERS(1, 2, 3));
    for (unsigned n = 0; n < 1000; n++) {
        assert_int_equal(prober_of(&before, nth(n)), prober_of(after, nth(n)));
    }
}

/* --- the set --- */

static void the_epoch_moves_with_the_set_only(void **state)
{
    struct fixture *f = *state;
    uint64_t epoch = set(f, PROBERS(1, 2))->epoch;
    assert_int_equal(epoch, fixture_view(f)->index);
    assert_int_equal(set(f, PROBERS(1, 2))->epoch, epoch);
    assert_int_equal(fixture_view(f)->index, epoch + 1);
    assert_int_equal(set(f, PROBERS(2))->epoch, epoch + 2);
    assert_null(probers_find(&fixture_view(f)->probers, 1));
    assert_int_equal(probers_find(&fixture_view(f)->probers, 2)->since, epoch);
}

static void one_may_come_and_leave_in_the_same_entry(void **state)
{
    struct fixture *f = *state;
    struct command both = PROBERS(1, 2);
    struct command one = PROBERS(1);
    fixture_begin(f);
    registry_apply(f->registry, 0, &both, NULL);
    registry_apply(f->registry, 1, &one, NULL);
    fixture_end(f);
    assert_verified(f->registry);
    assert_int_equal(prober_of(&fixture_view(f)->probers, nth(1)), 1);
}

static void those_that_left_first_are_forgotten(void **state)
{
    struct fixture *f = *state;
    uint64_t left = 0;
    for (uint64_t member = 1; member <= PROBERS_MAX + 1; member++) {
        (void)set(f, PROBERS(member));
        left = member == 2 ? fixture_view(f)->index : left; /* the first did */
    }
    const struct probers *p = &fixture_view(f)->probers;
    assert_int_equal(p->count, PROBERS_MAX);
    assert_int_equal(p->rows[0].member, 2);
    assert_int_equal(p->forgotten, left);
    p = set(f, PROBERS(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16));
    assert_int_equal(p->count, PROBERS_MAX);
    (void)set(f, PROBERS(17, 18));
    assert_int_equal(fixture_view(f)->probers.count, PROBERS_MAX);
}

/* --- results --- */

static struct fixture *with_check(void **state, const char *definition)
{
    struct fixture *f = *state;
    struct command c = {.kind = COMMAND_ENROL, .enrol = {.checks_count = 1}};
    c.enrol.registration = command_register("web-1", "web").register_.registration;
    c.enrol.registration.ttl_ms = 0;
    c.enrol.registration.extra = slice_of("");
    c.enrol.checks[0] = (struct check_spec){.key = slice_of(":http"),
                                            .extra = slice_of(definition),
                                            .note = slice_of(""),
                                            .active = true,
                                            .status = HEALTH_CRITICAL};
    assert_int_equal(fixture_apply(f, &c)->status, ST_OK);
    return f;
}

static const struct record *check_of(struct fixture *f)
{
    return view_check(fixture_view(f), "web-1\x1e:http");
}

static struct command result_of(struct fixture *f, enum health status)
{
    const struct probers *p = &fixture_view(f)->probers;
    return (struct command){
        .kind = COMMAND_CHECK_RESULT,
        .check_result = {.id = slice_of("web-1\x1e:http"),
                         .definition = prober_definition(check_of(f)),
                         .member = prober_of(p, slice_of("web-1\x1e:http")),
                         .epoch = p->epoch,
                         .status = status,
                         .note = slice_of("HTTP 200")},
    };
}

static void a_result_is_the_health_of_the_check(void **state)
{
    struct fixture *f = with_check(state, "{\"http\":1}");
    (void)set(f, PROBERS(1, 2, 3));
    struct command result = result_of(f, HEALTH_PASSING);
    assert_int_equal(record_health(view_instance(fixture_view(f), "web-1")), HEALTH_CRITICAL);
    assert_int_equal(fixture_apply(f, &result)->status, ST_OK);
    assert_int_equal(record_health(view_instance(fixture_view(f), "web-1")), HEALTH_PASSING);
    assert_string_equal(record_note(check_of(f)), "HTTP 200");
    assert_true(check_of(f)->active);

    uint64_t index = check_of(f)->index;
    result.check_result.note = slice_of("HTTP 204");
    assert_int_equal(fixture_apply(f, &result)->status, ST_OK);
    assert_string_equal(record_note(check_of(f)), "HTTP 204");
    assert_int_equal(check_of(f)->index, index); /* a note is no change */
}

static void a_result_of_another_member_is_refused(void **state)
{
    struct fixture *f = with_check(state, "");
    (void)set(f, PROBERS(1, 2, 3));
    struct command result = result_of(f, HEALTH_PASSING);
    for (uint64_t member = 1; member <= 4; member++) {
        struct command other = result;
        other.check_result.member = member;
        if (member != result.check_result.member) {
            assert_int_equal(fixture_apply(f, &other)->status, ST_CONFLICT);
        }
    }
    assert_int_equal(record_health(check_of(f)), HEALTH_CRITICAL);
}

/* Another has run it in between, whether it has left again or not. */
static void a_late_result_is_refused(void **state)
{
    struct fixture *f = with_check(state, "");
    (void)set(f, PROBERS(1, 2, 3));
    struct command late = result_of(f, HEALTH_PASSING);
    uint64_t first = late.check_result.member;
    (void)set(f, PROBERS(first % 3 + 1));
    assert_int_equal(fixture_apply(f, &late)->status, ST_CONFLICT);
    (void)set(f, PROBERS(1, 2, 3));
    assert_int_equal(fixture_apply(f, &late)->status, ST_CONFLICT);
    struct command now = result_of(f, HEALTH_PASSING);
    assert_int_equal(now.check_result.member, first);
    assert_int_equal(fixture_apply(f, &now)->status, ST_OK);

    (void)set(f, PROBERS(first)); /* those that left are not asked */
    assert_int_equal(fixture_apply(f, &now)->status, ST_OK);
    (void)set(f, PROBERS(1, 2, 3)); /* nor those that come and do not get it */
    assert_int_equal(fixture_apply(f, &now)->status, ST_OK);
}

/* Of two members the one with more weight comes, and leaves again. */
static void a_result_from_before_a_short_visit_is_refused(void **state)
{
    struct fixture *f = with_check(state, "");
    uint64_t best = prober_of(set(f, PROBERS(1, 2)), slice_of("web-1\x1e:http"));
    uint64_t other = 3 - best;
    (void)set(f, PROBERS(other));
    struct command before = result_of(f, HEALTH_PASSING);
    (void)set(f, PROBERS(1, 2));
    (void)set(f, PROBERS(other));
    assert_int_equal(fixture_apply(f, &before)->status, ST_CONFLICT);
    struct command after = result_of(f, HEALTH_PASSING);
    assert_int_equal(fixture_apply(f, &after)->status, ST_OK);
}

static void a_result_from_before_what_is_forgotten_is_refused(void **state)
{
    struct fixture *f = with_check(state, "");
    (void)set(f, PROBERS(1));
    struct command before = result_of(f, HEALTH_PASSING);
    for (uint64_t member = 2; member <= PROBERS_MAX + 2; member++) {
        (void)set(f, PROBERS(1, member));
    }
    (void)set(f, PROBERS(1));
    before.check_result.member = 1;
    assert_true(fixture_view(f)->probers.forgotten > before.check_result.epoch);
    assert_int_equal(fixture_apply(f, &before)->status, ST_CONFLICT);
}

static void a_result_of_another_definition_is_refused(void **state)
{
    struct fixture *f = with_check(state, "old");
    (void)set(f, PROBERS(1));
    struct command old = result_of(f, HEALTH_PASSING);
    (void)with_check(state, "new");
    assert_int_equal(fixture_apply(f, &old)->status, ST_CONFLICT);
    (void)with_check(state, "old");
    assert_int_equal(fixture_apply(f, &old)->status, ST_OK);

    struct command gone = command_deregister("web-1", 0);
    (void)fixture_apply(f, &gone);
    assert_int_equal(fixture_apply(f, &old)->status, ST_NOT_FOUND);
    (void)with_check(state, "old"); /* of another registration */
    assert_int_equal(fixture_apply(f, &old)->status, ST_CONFLICT);
}

static void clients_say_nothing_of_an_active_check(void **state)
{
    struct fixture *f = with_check(state, "");
    struct slice id = slice_of("web-1\x1e:http");
    struct command beat = command_heartbeat(&id);
    beat.heartbeat.status_given = true;
    beat.heartbeat.status = HEALTH_PASSING;
    (void)fixture_apply(f, &beat);
    assert_int_equal(record_health(check_of(f)), HEALTH_CRITICAL);
}

static void a_passive_check_has_no_results(void **state)
{
    struct fixture *f = with_check(state, "");
    (void)set(f, PROBERS(1));
    struct command result = result_of(f, HEALTH_PASSING);
    struct command put = {.kind = COMMAND_CHECK_PUT,
                          .check_put = {.id = slice_of("web-1"),
                                        .check = {.key = slice_of(":http"),
                                                  .extra = slice_of(""),
                                                  .note = slice_of(""),
                                                  .ttl_ms = 1000}}};
    assert_int_equal(fixture_view(f)->active_count, 1);
    (void)fixture_apply(f, &put);
    assert_int_equal(fixture_view(f)->active_count, 0);
    assert_int_equal(fixture_apply(f, &result)->status, ST_NOT_FOUND);
}

/* --- what tells that there is something new to run --- */

static void the_index_of_active_checks_moves_with_definitions_only(void **state)
{
    struct fixture *f = *state;
    (void)fixture_register(f, "db-1", "db");
    assert_int_equal(fixture_view(f)->active_index, 0);
    (void)with_check(state, "one");
    uint64_t index = fixture_view(f)->active_index;
    assert_int_equal(index, fixture_view(f)->index);
    (void)set(f, PROBERS(1));
    struct command result = result_of(f, HEALTH_PASSING);
    (void)fixture_apply(f, &result);
    (void)with_check(state, "one");
    assert_int_equal(fixture_view(f)->active_index, index);
    (void)with_check(state, "two");
    assert_int_equal(fixture_view(f)->active_index, fixture_view(f)->index);
    struct command gone = command_deregister("web-1", 0);
    (void)fixture_apply(f, &gone);
    assert_int_equal(fixture_view(f)->active_index, fixture_view(f)->index);
    assert_int_equal(fixture_view(f)->active_count, 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_set_up_newest, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(nobody_runs_anything_without_a_set),
        CASE(checks_are_spread_evenly),
        CASE(only_the_checks_of_who_leaves_move),
        CASE(one_that_comes_back_gets_its_checks_back),
        CASE(the_epoch_moves_with_the_set_only),
        CASE(one_may_come_and_leave_in_the_same_entry),
        CASE(those_that_left_first_are_forgotten),
        CASE(a_result_is_the_health_of_the_check),
        CASE(a_result_of_another_member_is_refused),
        CASE(a_late_result_is_refused),
        CASE(a_result_from_before_a_short_visit_is_refused),
        CASE(a_result_from_before_what_is_forgotten_is_refused),
        CASE(a_result_of_another_definition_is_refused),
        CASE(clients_say_nothing_of_an_active_check),
        CASE(a_passive_check_has_no_results),
        CASE(the_index_of_active_checks_moves_with_definitions_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
