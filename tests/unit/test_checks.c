/* Checks in the state machine: leases of their own, an instance as healthy as the worst of them,
 * clocks that take it away, and what of it is seen where. */
#include "tests/unit/snapshot_fixture.h"

#include "server/registry/check_id.h"
#include "server/registry/internal.h"
#include "server/wire/wire_command.h"

#define LONG_MS (20 * 24 * 3600 * 1000ull)

static struct check_spec ttl_check(const char *key, uint32_t ttl_ms, enum health status)
{
    return (struct check_spec){.key = slice_of(key),
                               .extra = slice_of(""),
                               .note = slice_of(""),
                               .ttl_ms = ttl_ms,
                               .status = status};
}

static struct command command_enrol(const char *id, const char *name)
{
    struct command c = {.kind = COMMAND_ENROL};
    c.enrol.registration = command_register(id, name).register_.registration;
    c.enrol.registration.ttl_ms = c.enrol.registration.reap_after_ms = 0;
    c.enrol.registration.extra = slice_of("");
    return c;
}

static void add(struct command *c, struct check_spec spec)
{
    c->enrol.checks[c->enrol.checks_count++] = spec;
}

/* web-1 with a check "a" of 10 s and "b" of 20 s. */
static void enrol_two(struct fixture *f)
{
    struct command c = command_enrol("web-1", "web");
    add(&c, ttl_check("a", 10000, HEALTH_PASSING));
    add(&c, ttl_check("b", 20000, HEALTH_PASSING));
    assert_int_equal(fixture_apply(f, &c)->status, ST_OK);
}

static enum status say(struct fixture *f, const char *id, enum health status, const char *note)
{
    const struct slice one = slice_of(id);
    struct command c = command_heartbeat(&one);
    c.heartbeat.status_given = c.heartbeat.note_given = true;
    c.heartbeat.status = status;
    c.heartbeat.note = slice_of(note);
    return fixture_apply(f, &c)->status;
}

static void pass_time(struct fixture *f, uint64_t ms)
{
    f->now_ms += ms;
    fixture_expire(f, EVERY);
}

static const struct record *check_of(struct fixture *f, const char *id)
{
    return view_check(fixture_view(f), id);
}

static void an_instance_is_as_healthy_as_the_worst_of_its_checks(void **state)
{
    struct fixture *f = *state;
    enrol_two(f);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_PASSING);
    assert_int_equal(say(f,
                         "web-1\x1e"
                         "a",
                         HEALTH_WARNING, "slow"),
                     ST_OK);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_WARNING);
    assert_int_equal(say(f,
                         "web-1\x1e"
                         "b",
                         HEALTH_CRITICAL, "down"),
                     ST_OK);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_CRITICAL);
    assert_int_equal(say(f,
                         "web-1\x1e"
                         "b",
                         HEALTH_PASSING, ""),
                     ST_OK);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_WARNING);
    /* What is said of the instance itself does not count. */
    assert_int_equal(say(f, "web-1", HEALTH_PASSING, ""), ST_OK);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_WARNING);
    fixture_deregister(f, "web-1\x1e"
                          "a");
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_PASSING);
}

static void each_check_has_a_lease_of_its_own(void **state)
{
    struct fixture *f = *state;
    enrol_two(f);
    for (unsigned i = 0; i < 5; i++) {
        pass_time(f, 8000);
        const struct lease_ref ref = fixture_ref(f, "web-1\x1e"
                                                    "a");
        fixture_renew(f, &ref, 1);
    }
    assert_int_equal(check_of(f, "web-1\x1e"
                                 "a")
                         ->declared,
                     HEALTH_PASSING);
    assert_int_equal(check_of(f, "web-1\x1e"
                                 "b")
                         ->declared,
                     HEALTH_CRITICAL);
    assert_string_equal(record_note(check_of(f, "web-1\x1e"
                                                "b")),
                        "TTL expired");
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_CRITICAL);
    const struct lease_ref ref = fixture_ref(f, "web-1\x1e"
                                                "b");
    fixture_renew(f, &ref, 1);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_PASSING);
    assert_string_equal(record_note(check_of(f, "web-1\x1e"
                                                "b")),
                        "");
}

static void an_instance_without_a_lease_stays(void **state)
{
    struct fixture *f = *state;
    struct command c = command_enrol("web-1", "web");
    fixture_apply(f, &c);
    pass_time(f, LONG_MS);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_PASSING);
    fixture_heartbeat(f, "web-1");
    pass_time(f, LONG_MS);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_PASSING);
}

/* The brake is a share of these. */
static void only_what_is_to_be_heard_from_counts_as_leased(void **state)
{
    struct fixture *f = *state;
    struct command c = command_enrol("web-1", "web");
    c.enrol.registration.ttl_ms = 0;
    add(&c, ttl_check("a", 1000, HEALTH_PASSING));
    add(&c, ttl_check("b", 0, HEALTH_PASSING));
    fixture_apply(f, &c);
    assert_int_equal(registry_count(f->registry), 3);
    assert_int_equal(registry_leased(f->registry), 1);
    c.enrol.checks[0].ttl_ms = 0;
    c.enrol.registration.ttl_ms = 5000;
    c.enrol.registration.id = slice_of("web-2");
    fixture_apply(f, &c);
    assert_int_equal(registry_leased(f->registry), 2);
    c = command_deregister("web-2", 0);
    fixture_apply(f, &c);
    assert_int_equal(registry_leased(f->registry), 1);
}

static void what_was_critical_for_too_long_takes_its_instance_along(void **state)
{
    struct fixture *f = *state;
    struct command c = command_enrol("web-1", "web");
    add(&c, ttl_check("a", 10000, HEALTH_PASSING));
    add(&c, ttl_check("b", 0, HEALTH_PASSING));
    c.enrol.checks[1].reap_after_ms = 60000;
    fixture_apply(f, &c);
    pass_time(f, 30000); /* "a" has no such clock */
    assert_int_equal(say(f,
                         "web-1\x1e"
                         "b",
                         HEALTH_CRITICAL, "down"),
                     ST_OK);
    pass_time(f, 50000);
    /* To say it again does not set it back; to recover does. */
    assert_int_equal(say(f,
                         "web-1\x1e"
                         "b",
                         HEALTH_CRITICAL, "still"),
                     ST_OK);
    assert_int_equal(say(f,
                         "web-1\x1e"
                         "b",
                         HEALTH_WARNING, ""),
                     ST_OK);
    assert_int_equal(say(f,
                         "web-1\x1e"
                         "b",
                         HEALTH_CRITICAL, "down"),
                     ST_OK);
    pass_time(f, 50000);
    assert_int_equal(say(f,
                         "web-1\x1e"
                         "b",
                         HEALTH_CRITICAL, "still"),
                     ST_OK);
    assert_non_null(fixture_record(f, "web-1"));
    pass_time(f, 10001);
    assert_null(fixture_record(f, "web-1"));
    assert_null(check_of(f, "web-1\x1e"
                            "a"));
    assert_null(check_of(f, "web-1\x1e"
                            "b"));
    assert_int_equal(registry_count(f->registry), 0);
}

static uint64_t incarnation_of(struct fixture *f)
{
    return fixture_record(f, "web-1")->incarnation;
}

static void an_incarnation_counts_as_with_a_registration(void **state)
{
    struct fixture *f = *state;
    struct command c = command_enrol("web-1", "web");
    c.enrol.takes_over = true;
    add(&c, ttl_check("a", 0, HEALTH_PASSING));
    fixture_apply(f, &c);
    uint64_t first = incarnation_of(f);
    fixture_apply(f, &c); /* the same */
    assert_int_equal(incarnation_of(f), first);
    c.enrol.registration.port = 81;
    fixture_apply(f, &c);
    uint64_t second = incarnation_of(f);
    assert_true(second > first);
    c.enrol.registration.port = 82;
    c.enrol.incarnation = first;
    assert_int_equal(fixture_apply(f, &c)->status, ST_CONFLICT);
    c.enrol.incarnation = second;
    assert_int_equal(fixture_apply(f, &c)->status, ST_OK);
    assert_int_equal(incarnation_of(f), second);
    assert_int_equal(fixture_record(f, "web-1")->port, 82);
}

static void without_its_checks_an_instance_is_passing(void **state)
{
    struct fixture *f = *state;
    for (uint16_t other_port = 0; other_port < 2; other_port++) {
        struct command c = command_enrol("web-1", "web");
        c.enrol.only_these = true;
        add(&c, ttl_check("a", 0, HEALTH_CRITICAL));
        fixture_apply(f, &c);
        assert_int_equal(fixture_health(f, "web-1"), HEALTH_CRITICAL);
        c.enrol.checks_count = 0;
        c.enrol.registration.port = (uint16_t)(c.enrol.registration.port + other_port);
        fixture_apply(f, &c);
        assert_int_equal(fixture_health(f, "web-1"), HEALTH_PASSING);
    }
    /* What it said of itself stays when it had none. */
    struct command c = command_enrol("web-1", "web");
    c.enrol.only_these = true;
    fixture_apply(f, &c);
    assert_int_equal(say(f, "web-1", HEALTH_WARNING, ""), ST_OK);
    fixture_apply(f, &c);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_WARNING);
}

/* Beats and notes wake nobody. */
static void a_note_with_the_same_status_moves_no_index(void **state)
{
    struct fixture *f = *state;
    enrol_two(f);
    uint64_t index = view_service_index(fixture_view(f), "web");
    assert_int_equal(say(f,
                         "web-1\x1e"
                         "a",
                         HEALTH_PASSING, "12 requests"),
                     ST_OK);
    fixture_heartbeat(f, "web-1\x1e"
                         "b");
    struct command again = command_enrol("web-1", "web");
    add(&again, ttl_check("a", 10000, HEALTH_CRITICAL));
    add(&again, ttl_check("b", 20000, HEALTH_CRITICAL));
    fixture_apply(f, &again);
    assert_string_equal(record_note(check_of(f, "web-1\x1e"
                                                "a")),
                        "12 requests");
    assert_int_equal(view_service_index(fixture_view(f), "web"), index);
    assert_int_equal(fixture_view(f)->changed_index, index);
    assert_int_equal(say(f,
                         "web-1\x1e"
                         "a",
                         HEALTH_WARNING, "12 requests"),
                     ST_OK);
    assert_true(view_service_index(fixture_view(f), "web") > index);
    assert_true(fixture_view(f)->changed_index > index);
    assert_int_equal(fixture_view(f)->catalog_index, index);
}

/* The output of a check is longer than a note, and what the state has no room for is cut. */
static void a_check_has_a_long_note(void **state)
{
    struct fixture *f = *state;
    char output[OUTPUT_BYTES_MAX + 1];
    memset(output, 'x', OUTPUT_BYTES_MAX);
    output[OUTPUT_BYTES_MAX] = '\0';
    output[NOTE_BYTES_MAX - 1] = '\xc3'; /* a character of two bytes where it would be cut */
    output[NOTE_BYTES_MAX] = '\xa4';
    enrol_two(f);
    assert_int_equal(say(f, "web-1", HEALTH_PASSING, output), ST_TOO_LARGE);
    assert_int_equal(say(f, "web-1\x1e\x61", HEALTH_WARNING, output), ST_OK);
    assert_string_equal(record_note(check_of(f, "web-1\x1e\x61")), output);
    assert_string_equal(record_note(fixture_record(f, "web-1")), "");
    struct registry *copy = snapshot_copy(f->registry);
    assert_same_registries(f->registry, copy);
    registry_destroy(copy);

    struct command c = {.kind = COMMAND_STATE_BYTES};
    c.state_bytes.most = registry_state_bytes(f->registry) + NOTE_BYTES_MAX;
    assert_int_equal(fixture_apply(f, &c)->status, ST_OK);
    assert_int_equal(say(f, "web-1\x1e\x62", HEALTH_CRITICAL, output), ST_OK);
    assert_int_equal(strlen(record_note(check_of(f, "web-1\x1e\x62"))), NOTE_BYTES_MAX - 1);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_CRITICAL);
    /* It may stay as long as it is. */
    output[0] = 'y';
    assert_int_equal(say(f, "web-1\x1e\x61", HEALTH_WARNING, output), ST_OK);
    assert_string_equal(record_note(check_of(f, "web-1\x1e\x61")), output);
}

static void another_registration_keeps_the_checks_unless_it_says_only_these(void **state)
{
    struct fixture *f = *state;
    enrol_two(f);
    uint64_t incarnation = fixture_record(f, "web-1")->incarnation;
    say(f,
        "web-1\x1e"
        "a",
        HEALTH_WARNING, "slow");
    struct command c = command_enrol("web-1", "shop");
    fixture_apply(f, &c);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_WARNING);
    assert_int_equal(fixture_record(f, "web-1")->incarnation, incarnation);
    c.enrol.only_these = true;
    add(&c, ttl_check("b", 1000, HEALTH_CRITICAL));
    fixture_apply(f, &c);
    assert_null(check_of(f, "web-1\x1e"
                            "a"));
    assert_int_equal(check_of(f, "web-1\x1e"
                                 "b")
                         ->ttl_ms,
                     1000);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_PASSING);
}

static void a_check_needs_an_owner_and_goes_with_it(void **state)
{
    struct fixture *f = *state;
    const struct check_spec spec = ttl_check("a", 1000, HEALTH_CRITICAL);
    struct command put = {.kind = COMMAND_CHECK_PUT,
                          .check_put = {.id = slice_of("web-1"), .check = spec}};
    assert_int_equal(fixture_apply(f, &put)->status, ST_NOT_FOUND);
    fixture_register(f, "web-1", "web"); /* with a lease of its own */
    assert_int_equal(fixture_apply(f, &put)->status, ST_OK);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_CRITICAL);
    put.check_put.id = slice_of("web-1\x1e"
                                "a");
    assert_int_equal(fixture_apply(f, &put)->status, ST_NOT_FOUND);
    fixture_deregister(f, "web-1");
    assert_null(check_of(f, "web-1\x1e"
                            "a"));
}

static void nodes_stand_beside_the_instances(void **state)
{
    struct fixture *f = *state;
    struct command c = command_enrol("\x1enode-1", "");
    c.enrol.registration.host = slice_of("10.0.0.9");
    add(&c, ttl_check("alive", 0, HEALTH_WARNING));
    assert_int_equal(fixture_apply(f, &c)->status, ST_OK);
    assert_non_null(check_of(f, "\x1enode-1"));
    assert_int_equal(check_of(f, "\x1enode-1")->declared, HEALTH_WARNING);
    assert_int_equal(fixture_view(f)->services_count, 0);
    assert_int_equal(ptree_count(&fixture_view(f)->instances), 0);
    assert_int_equal(fixture_deregister(f, "\x1enode-1")->status, ST_OK);
    assert_int_equal(registry_count(f->registry), 0);
}

static void a_snapshot_has_checks_nodes_and_what_doors_keep(void **state)
{
    struct fixture *f = *state;
    enrol_two(f);
    struct command c = command_enrol("\x1enode-1", "");
    c.enrol.registration.extra = slice_of("k=v");
    add(&c, ttl_check("alive", 5000, HEALTH_WARNING));
    c.enrol.checks[0].extra = slice_of("n=name");
    fixture_apply(f, &c);
    c = command_enrol("web-2", "web");
    c.enrol.registration.extra = slice_of("o=10.0.0.1");
    c.space = slice_of("shop");
    add(&c, ttl_check("a", 5000, HEALTH_CRITICAL));
    fixture_apply(f, &c);
    struct registry *copy = snapshot_copy(f->registry);
    assert_same_registries(f->registry, copy);
    assert_string_equal(record_extra(view_instance(registry_view(copy), "\x1fshop\x1fweb-2")),
                        "o=10.0.0.1");
    assert_string_equal(record_extra(view_check(registry_view(copy), "\x1enode-1\x1e"
                                                                     "alive")),
                        "n=name");
    registry_destroy(f->registry);
    f->registry = copy;
    pass_time(f, 30000);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_CRITICAL);
}

/* The wire refuses keys and ids that would be of something else. */
static void keys_and_ids_cannot_be_mistaken(void **state)
{
    static const char *const keys[] = {"",
                                       "a\x1e"
                                       "b",
                                       "a\x1f"
                                       "b"};
    static const char *const ids[] = {"", "\x1e",
                                      "a\x1e"
                                      "b",
                                      "\x1e"
                                      "a\x1e"
                                      "b"};
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        assert_false(check_key_is_valid(slice_of(keys[i])));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        assert_false(check_owner_is_valid(slice_of(ids[i])));
    }
    assert_true(check_key_is_valid(slice_of(":")));
    assert_true(check_owner_is_valid(slice_of("a")));
    assert_true(check_owner_is_valid(slice_of("\x1e"
                                              "a")));
    (void)f;
}

static void too_long_together_is_refused(void **state)
{
    struct fixture *f = *state;
    char id[NAME_BYTES_MAX];
    memset(id, 'x', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    struct command c = command_enrol(id, "web");
    add(&c, ttl_check("a", 1000, HEALTH_PASSING));
    assert_int_equal(fixture_apply(f, &c)->status, ST_TOO_LARGE);
    assert_null(fixture_record(f, id));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_set_up_newest, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_instance_is_as_healthy_as_the_worst_of_its_checks),
        CASE(each_check_has_a_lease_of_its_own),
        CASE(an_instance_without_a_lease_stays),
        CASE(only_what_is_to_be_heard_from_counts_as_leased),
        CASE(what_was_critical_for_too_long_takes_its_instance_along),
        CASE(an_incarnation_counts_as_with_a_registration),
        CASE(without_its_checks_an_instance_is_passing),
        CASE(a_note_with_the_same_status_moves_no_index),
        CASE(a_check_has_a_long_note),
        CASE(another_registration_keeps_the_checks_unless_it_says_only_these),
        CASE(a_check_needs_an_owner_and_goes_with_it),
        CASE(nodes_stand_beside_the_instances),
        CASE(a_snapshot_has_checks_nodes_and_what_doors_keep),
        CASE(keys_and_ids_cannot_be_mistaken),
        CASE(too_long_together_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
