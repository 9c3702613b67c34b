/* Leases: who expires when, who recovers, who is reaped, in which order, however time moves. */
#include "tests/unit/registry_fixture.h"

#include "server/base/limits.h"

/* One turn of the wheel of leases.c: 8192 buckets of 64 ms. */
#define WHEEL_TURN_MS (8192u * 64)

static void register_with(struct fixture *f, const char *id, uint32_t ttl_ms,
                          uint32_t reap_after_ms)
{
    struct command command = command_register(id, "web");
    command.register_.registration.ttl_ms = ttl_ms;
    command.register_.registration.reap_after_ms = reap_after_ms;
    fixture_apply(f, &command);
}

/* How many leases expire, or expired instances are reaped. */
static uint32_t expire(struct fixture *f, uint32_t limit)
{
    const struct result *result = fixture_expire(f, limit);
    return result->expired + result->reaped;
}

static uint32_t expired_at(struct fixture *f, uint64_t now_ms)
{
    f->now_ms = now_ms;
    return expire(f, EVERY);
}

static uint32_t due_at(struct fixture *f, uint64_t now_ms)
{
    uint32_t living;
    return registry_due(f->registry, now_ms, &living);
}

/* --- the life of a lease --- */

static void a_lease_expires_at_its_deadline_and_not_before(void **state)
{
    struct fixture *f = *state;
    register_with(f, "web-1", TTL_MS, REAP_AFTER_MS);
    assert_int_equal(expired_at(f, 1000 + TTL_MS - 1), 0);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_PASSING);
    assert_int_equal(due_at(f, 1000 + TTL_MS - 1), 0);
    assert_int_equal(due_at(f, 1000 + TTL_MS), 1);
    assert_int_equal(expired_at(f, 1000 + TTL_MS), 1);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_CRITICAL);
    assert_int_equal(fixture_events(f), 2);
    assert_event(f, 2, EVENT_EXPIRED, "web-1");
    assert_int_equal(view_service_index(fixture_view(f), "web"), f->index);
    assert_int_equal(fixture_view(f)->counts[HEALTH_CRITICAL], 1);
    /* Once. */
    assert_int_equal(expired_at(f, 1000 + TTL_MS + 1), 0);
    assert_int_equal(fixture_events(f), 2);
}

static void heartbeat_before_the_expiry_in_the_log_wins(void **state)
{
    struct fixture *f = *state;
    register_with(f, "web-1", TTL_MS, REAP_AFTER_MS);
    register_with(f, "web-2", TTL_MS, REAP_AFTER_MS);
    const struct slice id = slice_of("web-1");
    const struct command heartbeat = command_heartbeat(&id);
    /* Both are due when the entry is made, but the renewal comes first in it. */
    f->now_ms = 1000 + 3 * TTL_MS;
    const struct command expire = command_expire(f->now_ms, EVERY);
    fixture_begin(f);
    registry_apply(f->registry, 0, &heartbeat, NULL);
    registry_apply(f->registry, 1, &expire, NULL);
    fixture_end(f);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_PASSING);
    assert_int_equal(fixture_health(f, "web-2"), HEALTH_CRITICAL);
    assert_int_equal(fixture_deadline_ms(f, "web-1"), f->now_ms + TTL_MS);
}

static void heartbeat_after_the_expiry_recovers(void **state)
{
    struct fixture *f = *state;
    register_with(f, "web-1", TTL_MS, REAP_AFTER_MS);
    register_with(f, "web-2", TTL_MS, REAP_AFTER_MS);
    register_with(f, "web-3", TTL_MS, REAP_AFTER_MS);
    const struct lease_ref ref = fixture_ref(f, "web-2");
    assert_int_equal(expired_at(f, 50000), 3);
    f->now_ms += 1000;
    /* By id, by lease, and by registering again unchanged. */
    assert_int_equal(fixture_heartbeat(f, "web-1")->renewed, 1);
    assert_int_equal(fixture_renew(f, &ref, 1)->renewed, 1);
    fixture_register(f, "web-3", "web");
    for (uint64_t i = 0; i < 3; i++) {
        static const char *const ids[] = {"web-1", "web-2", "web-3"};
        assert_int_equal(fixture_health(f, ids[i]), HEALTH_PASSING);
        assert_int_equal(fixture_deadline_ms(f, ids[i]), f->now_ms + TTL_MS);
        assert_event(f, 7 + i, EVENT_RECOVERED, ids[i]);
    }
    assert_int_equal(fixture_events(f), 9);
    assert_int_equal(expired_at(f, 51000 + TTL_MS - 1), 0);
    assert_int_equal(expired_at(f, 51000 + TTL_MS), 3);
}

static void an_expired_instance_recovers_to_what_it_last_said(void **state)
{
    struct fixture *f = *state;
    register_with(f, "web-1", TTL_MS, REAP_AFTER_MS);
    const struct slice id = slice_of("web-1");
    struct command warned = command_heartbeat(&id);
    warned.heartbeat.status_given = true;
    warned.heartbeat.status = HEALTH_WARNING;
    fixture_apply(f, &warned);
    expired_at(f, 50000);
    fixture_heartbeat(f, "web-1");
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_WARNING);
}

static void a_lease_in_maintenance_expires_and_recovers_too(void **state)
{
    struct fixture *f = *state;
    register_with(f, "web-1", TTL_MS, REAP_AFTER_MS);
    const struct command command = command_maintenance("web-1", true, "");
    fixture_apply(f, &command);
    expired_at(f, 50000);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_CRITICAL);
    fixture_heartbeat(f, "web-1");
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_MAINTENANCE);
}

static void an_expired_instance_is_reaped_after_its_time(void **state)
{
    struct fixture *f = *state;
    register_with(f, "web-1", TTL_MS, REAP_AFTER_MS);
    assert_int_equal(expired_at(f, 20000), 1);
    assert_int_equal(fixture_deadline_ms(f, "web-1"), 20000 + REAP_AFTER_MS);
    assert_int_equal(expired_at(f, 20000 + REAP_AFTER_MS - 1), 0);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_CRITICAL);
    assert_int_equal(expired_at(f, 20000 + REAP_AFTER_MS), 1);
    assert_null(fixture_record(f, "web-1"));
    assert_event(f, 3, EVENT_REAPED, "web-1");
    assert_int_equal(record_health(view_event(fixture_view(f), 3)->record), HEALTH_CRITICAL);
    assert_null(view_service(fixture_view(f), "web"));
    assert_int_equal(fixture_view(f)->extinct_index, f->index);
    assert_int_equal(fixture_heartbeat(f, "web-1")->status, ST_NOT_FOUND);
}

static void one_expiry_never_expires_and_reaps_the_same(void **state)
{
    struct fixture *f = *state;
    register_with(f, "web-1", TTL_MS, 1);
    assert_int_equal(expired_at(f, 1000000000), 1);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_CRITICAL);
    assert_int_equal(expired_at(f, 1000000001), 1);
    assert_null(fixture_record(f, "web-1"));
}

static void without_a_reap_time_an_expired_instance_stays_for_good(void **state)
{
    struct fixture *f = *state;
    register_with(f, "web-1", TTL_MS, 0);
    assert_int_equal(expired_at(f, 20000), 1);
    assert_true(fixture_deadline_ms(f, "web-1") == UINT64_MAX);
    for (uint64_t ms = 20000; ms < 100ull * WHEEL_TURN_MS; ms += WHEEL_TURN_MS / 3) {
        assert_int_equal(expired_at(f, ms), 0);
    }
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_CRITICAL);
    /* And can recover and expire again. */
    fixture_heartbeat(f, "web-1");
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_PASSING);
    assert_int_equal(expired_at(f, f->now_ms + TTL_MS), 1);
    fixture_deregister(f, "web-1");
    assert_null(fixture_record(f, "web-1"));
}

/* --- updates --- */

static void an_update_to_a_shorter_ttl_brings_the_deadline_nearer(void **state)
{
    struct fixture *f = *state;
    register_with(f, "web-1", TTL_MS_MAX, REAP_AFTER_MS);
    f->now_ms = 5000;
    register_with(f, "web-1", 1000, REAP_AFTER_MS);
    assert_int_equal(fixture_deadline_ms(f, "web-1"), 6000);
    assert_int_equal(expired_at(f, 5999), 0);
    assert_int_equal(expired_at(f, 6000), 1);
}

static void an_update_to_a_longer_ttl_puts_the_deadline_off(void **state)
{
    struct fixture *f = *state;
    register_with(f, "web-1", 1000, REAP_AFTER_MS);
    register_with(f, "web-1", TTL_MS_MAX, REAP_AFTER_MS);
    assert_int_equal(expired_at(f, 1000 + TTL_MS_MAX - 1), 0);
    assert_int_equal(expired_at(f, 1000 + TTL_MS_MAX), 1);
}

static void an_update_of_an_expired_instance_revives_it(void **state)
{
    struct fixture *f = *state;
    register_with(f, "web-1", 2000, 0);
    assert_int_equal(expired_at(f, 20000), 1);
    register_with(f, "web-1", 1000, 0);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_PASSING);
    assert_event(f, 3, EVENT_UPDATED, "web-1");
    assert_int_equal(expired_at(f, 20999), 0);
    assert_int_equal(expired_at(f, 21000), 1);
}

static void a_recovered_lease_is_due_before_it_would_have_been_reaped(void **state)
{
    struct fixture *f = *state;
    register_with(f, "web-1", 1000, REAP_AFTER_MS_MAX);
    assert_int_equal(expired_at(f, 2000), 1);
    fixture_heartbeat(f, "web-1");
    assert_int_equal(expired_at(f, 2999), 0);
    assert_int_equal(expired_at(f, 3000), 1);
}

/* --- order and limit --- */

static void what_is_due_first_expires_first(void **state)
{
    struct fixture *f = *state;
    register_with(f, "late", 3000, REAP_AFTER_MS);
    register_with(f, "early", 1000, REAP_AFTER_MS);
    register_with(f, "middle", 2000, REAP_AFTER_MS);
    assert_int_equal(expired_at(f, 100000), 3);
    assert_event(f, 4, EVENT_EXPIRED, "early");
    assert_event(f, 5, EVENT_EXPIRED, "middle");
    assert_event(f, 6, EVENT_EXPIRED, "late");
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(view_event(fixture_view(f), 4 + i)->position, i);
    }
}

static void what_is_due_together_expires_in_the_order_of_incarnations(void **state)
{
    struct fixture *f = *state;
    register_with(f, "c", TTL_MS, REAP_AFTER_MS);
    register_with(f, "a", TTL_MS, REAP_AFTER_MS);
    register_with(f, "b", TTL_MS, REAP_AFTER_MS);
    /* A freed slot is taken again, by a younger one. */
    fixture_deregister(f, "c");
    register_with(f, "d", TTL_MS, REAP_AFTER_MS);
    assert_int_equal(expired_at(f, 100000), 3);
    assert_event(f, 6, EVENT_EXPIRED, "a");
    assert_event(f, 7, EVENT_EXPIRED, "b");
    assert_event(f, 8, EVENT_EXPIRED, "d");
}

static void the_limit_takes_the_earliest_and_leaves_the_others_due(void **state)
{
    struct fixture *f = *state;
    register_with(f, "d", 4000, REAP_AFTER_MS);
    register_with(f, "b", 2000, REAP_AFTER_MS);
    register_with(f, "c", 3000, REAP_AFTER_MS);
    register_with(f, "a", 1000, REAP_AFTER_MS);
    f->now_ms = 30000;
    assert_int_equal(fixture_expire(f, 0)->expired, 0);
    assert_int_equal(fixture_expire(f, 3)->expired, 3);
    assert_int_equal(fixture_health(f, "d"), HEALTH_PASSING);
    assert_event(f, 5, EVENT_EXPIRED, "a");
    assert_event(f, 6, EVENT_EXPIRED, "b");
    assert_event(f, 7, EVENT_EXPIRED, "c");
    uint32_t living;
    assert_int_equal(registry_due(f->registry, f->now_ms, &living), 1);
    assert_int_equal(living, 1);
    assert_int_equal(fixture_expire(f, 3)->expired, 1);
    assert_event(f, 8, EVENT_EXPIRED, "d");
    /* Reaping counts, too. Both expired at the same time, so the oldest goes first. */
    f->now_ms += REAP_AFTER_MS;
    assert_int_equal(registry_due(f->registry, f->now_ms, &living), 4);
    assert_int_equal(living, 0);
    const struct result *result = fixture_expire(f, 1);
    assert_int_equal(result->reaped, 1);
    assert_int_equal(result->expired, 0);
    assert_event(f, 9, EVENT_REAPED, "d");
    assert_int_equal(registry_count(f->registry), 3);
}

static void many_expire_at_once_and_all_are_counted(void **state)
{
    enum { MANY = 5000 };
    struct fixture *f = *state;
    char id[16];
    fixture_begin(f);
    for (uint32_t i = 0; i < MANY; i++) {
        (void)snprintf(id, sizeof id, "i%05u", i);
        const struct command command = command_register(id, "web");
        registry_apply(f->registry, i, &command, NULL);
    }
    fixture_end(f);
    f->now_ms = 1000 + TTL_MS;
    assert_int_equal(due_at(f, f->now_ms), MANY);
    assert_int_equal(expire(f, MANY - 1), MANY - 1);
    assert_int_equal(fixture_health(f, "i04999"), HEALTH_PASSING);
    assert_int_equal(expire(f, EVERY), 1);
    assert_int_equal(fixture_view(f)->counts[HEALTH_CRITICAL], MANY);
    f->now_ms += REAP_AFTER_MS;
    assert_int_equal(expire(f, EVERY), MANY);
    assert_int_equal(registry_count(f->registry), 0);
    assert_int_equal(fixture_view(f)->services_count, 0);
}

/* --- the wheel --- */

static void leases_longer_than_a_turn_of_the_wheel_expire_on_time(void **state)
{
    static const uint32_t ttls[] = {
        WHEEL_TURN_MS - 65, WHEEL_TURN_MS - 64, WHEEL_TURN_MS - 1,     WHEEL_TURN_MS,
        WHEEL_TURN_MS + 1,  WHEEL_TURN_MS + 64, 2 * WHEEL_TURN_MS + 1, TTL_MS_MAX,
    };
    for (size_t i = 0; i < ARRAY_LENGTH(ttls); i++) {
        struct fixture *f = *state;
        uint64_t begin_ms = f->now_ms;
        register_with(f, "web-1", ttls[i], 0);
        for (uint64_t ms = begin_ms; ms < begin_ms + ttls[i]; ms += 7777) {
            assert_int_equal(due_at(f, ms), 0);
        }
        assert_int_equal(expired_at(f, begin_ms + ttls[i] - 1), 0);
        assert_int_equal(expired_at(f, begin_ms + ttls[i]), 1);
        fixture_deregister(f, "web-1");
    }
}

static void a_jump_over_many_turns_finds_all_that_is_due(void **state)
{
    struct fixture *f = *state;
    char id[16];
    for (uint32_t i = 0; i < 100; i++) {
        (void)snprintf(id, sizeof id, "i%03u", i);
        register_with(f, id, 1000 + i * (TTL_MS_MAX / 100), 0);
    }
    register_with(f, "far", TTL_MS_MAX, 0);
    assert_int_equal(expired_at(f, 500 + TTL_MS_MAX), 100);
    assert_int_equal(fixture_health(f, "far"), HEALTH_PASSING);
    assert_int_equal(expired_at(f, 1000 + TTL_MS_MAX), 1);
}

static void looking_ahead_moves_nothing_that_is_replicated(void **state)
{
    struct fixture *f = *state;
    register_with(f, "web-1", 5000, 0);
    uint64_t hash = registry_hash(f->registry);
    /* A leader's clock is ahead of the log's time. */
    assert_int_equal(due_at(f, 10ull * WHEEL_TURN_MS), 1);
    assert_int_equal(due_at(f, 2000), 0);
    assert_true(registry_hash(f->registry) == hash);
    register_with(f, "web-2", 1000, 0);
    assert_int_equal(due_at(f, 1999), 0);
    assert_int_equal(due_at(f, 2000), 1);
    assert_int_equal(expired_at(f, 2000), 1);
    assert_int_equal(fixture_health(f, "web-2"), HEALTH_CRITICAL);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_PASSING);
    assert_int_equal(expired_at(f, 6000), 1);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_CRITICAL);
}

/* The wheel compared with a check of every lease. */
static void the_wheel_agrees_with_a_list_however_time_moves(void **state)
{
    enum { LEASES = 60, STEPS = 4000 };
    static const uint32_t ttls[] = {1000, 1001, 5000, 60000, WHEEL_TURN_MS + 7, TTL_MS_MAX};
    static const uint32_t steps[] = {0, 1, 63, 64, 65, 900, 40000, WHEEL_TURN_MS, 5000000};
    struct fixture *f = *state;
    uint64_t deadlines[LEASES] = {0}; /* 0: not present, or expired for good */
    unsigned seed = 20261121;
    print_message("seed %u\n", seed);
    for (int step = 0; step < STEPS; step++) {
        char id[16];
        int i = rand_r(&seed) % LEASES;
        (void)snprintf(id, sizeof id, "i%02d", i);
        if (rand_r(&seed) % 4 == 0) {
            f->now_ms += steps[(size_t)rand_r(&seed) % ARRAY_LENGTH(steps)];
        }
        switch (rand_r(&seed) % 4) {
        case 0: {
            uint32_t ttl_ms = ttls[(size_t)rand_r(&seed) % ARRAY_LENGTH(ttls)];
            register_with(f, id, ttl_ms, 0);
            deadlines[i] = f->now_ms + ttl_ms;
            break;
        }
        case 1:
            if (fixture_heartbeat(f, id)->status == ST_OK) {
                deadlines[i] = f->now_ms + fixture_record(f, id)->ttl_ms;
            }
            break;
        case 2:
            if (rand_r(&seed) % 4 == 0) {
                fixture_deregister(f, id);
                deadlines[i] = 0;
            }
            break;
        default: {
            uint32_t due = 0;
            for (int k = 0; k < LEASES; k++) {
                if (deadlines[k] != 0 && deadlines[k] <= f->now_ms) {
                    due++;
                    deadlines[k] = 0;
                }
            }
            if (rand_r(&seed) % 2 == 0) {
                assert_int_equal(due_at(f, f->now_ms), due);
            }
            assert_int_equal(expire(f, EVERY), due);
        }
        }
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_lease_expires_at_its_deadline_and_not_before),
        CASE(heartbeat_before_the_expiry_in_the_log_wins),
        CASE(heartbeat_after_the_expiry_recovers),
        CASE(an_expired_instance_recovers_to_what_it_last_said),
        CASE(a_lease_in_maintenance_expires_and_recovers_too),
        CASE(an_expired_instance_is_reaped_after_its_time),
        CASE(one_expiry_never_expires_and_reaps_the_same),
        CASE(without_a_reap_time_an_expired_instance_stays_for_good),
        CASE(an_update_to_a_shorter_ttl_brings_the_deadline_nearer),
        CASE(an_update_to_a_longer_ttl_puts_the_deadline_off),
        CASE(an_update_of_an_expired_instance_revives_it),
        CASE(a_recovered_lease_is_due_before_it_would_have_been_reaped),
        CASE(what_is_due_first_expires_first),
        CASE(what_is_due_together_expires_in_the_order_of_incarnations),
        CASE(the_limit_takes_the_earliest_and_leaves_the_others_due),
        CASE(many_expire_at_once_and_all_are_counted),
        CASE(leases_longer_than_a_turn_of_the_wheel_expire_on_time),
        CASE(a_jump_over_many_turns_finds_all_that_is_due),
        CASE(looking_ahead_moves_nothing_that_is_replicated),
        CASE(the_wheel_agrees_with_a_list_however_time_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
