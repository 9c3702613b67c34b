/* A snapshot holds the whole state at one index, and a registry restored from it behaves
 * identically. */
#include "tests/unit/random_command.h"

#include "tests/unit/snapshot_fixture.h"

#include "server/registry/internal.h"

/* --- round trips --- */

static void an_empty_registry_comes_back(void **state)
{
    struct fixture *f = *state;
    struct registry *copy = snapshot_copy(f->registry);
    assert_same_registries(f->registry, copy);
    registry_destroy(copy);
}

static void everything_comes_back(void **state)
{
    struct fixture *f = *state;
    snapshot_fill(f);
    struct registry *copy = snapshot_copy(f->registry);
    assert_same_registries(f->registry, copy);
    registry_destroy(copy);
}

static void a_copy_of_a_copy_has_the_same_bytes(void **state)
{
    struct fixture *f = *state;
    struct buffer first;
    struct buffer second;
    snapshot_fill(f);
    snapshot_encode(f->registry, &first);
    struct registry *copy = snapshot_decode(first.data, first.len);
    snapshot_encode(copy, &second);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
    registry_destroy(copy);
    buffer_done(&first);
    buffer_done(&second);
}

static void lease_references_and_deadlines_hold_in_the_copy(void **state)
{
    struct fixture *f = *state;
    snapshot_fill(f);
    const struct lease_ref ref = fixture_ref(f, "web-1");
    uint64_t deadline_ms = fixture_deadline_ms(f, "web-2");
    struct registry *copy = snapshot_copy(f->registry);
    registry_destroy(f->registry);
    f->registry = copy;
    assert_int_equal(fixture_renew(f, &ref, 1)->renewed, 1);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_PASSING);
    assert_int_equal(fixture_deadline_ms(f, "web-2"), deadline_ms);
    uint32_t living;
    assert_int_equal(registry_due(f->registry, deadline_ms - 1, &living), 0);
    assert_int_equal(registry_due(f->registry, deadline_ms, &living), 2);
}

static void a_snapshot_stays_as_it_was_while_the_registry_goes_on(void **state)
{
    struct fixture *f = *state;
    struct buffer before;
    struct buffer after;
    unsigned seed = 99;
    snapshot_fill(f);
    snapshot_encode(f->registry, &before);
    struct registry_snapshot *held = registry_snapshot_take(f->registry);
    struct registry_snapshot *other = registry_snapshot_take(f->registry);
    for (int i = 0; i < 500; i++) {
        struct random_command c;
        f->now_ms += random_step_ms(&seed);
        random_command(&c, f, &seed);
        fixture_apply(f, &c.command);
        if (i == 100) {
            registry_snapshot_release(other);
        }
    }
    snapshot_encode_held(held, &after);
    registry_snapshot_release(held);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    buffer_done(&before);
    buffer_done(&after);
}

static void memory_waits_for_the_last_snapshot(void **state)
{
    struct fixture *f = *state;
    snapshot_fill(f);
    struct registry_snapshot *held = registry_snapshot_take(f->registry);
    const struct record *record = fixture_record(f, "web-1");
    fixture_deregister(f, "web-1");
    assert_string_equal(record_id(record), "web-1"); /* otherwise the sanitizer reports it */
    registry_snapshot_release(held);
    fixture_heartbeat(f, "web-2");
}

/* A snapshot may be held as long as the disk takes. */
static void what_a_snapshot_cannot_reach_does_not_wait_for_it(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 200; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "i%03u", i);
        fixture_register(f, id, "web");
    }
    struct registry_snapshot *held = registry_snapshot_take(f->registry);
    for (unsigned i = 0; i < 20000; i++) {
        const struct slice id = slice_of("i100");
        struct command command = command_heartbeat(&id);
        command.heartbeat.status_given = true;
        command.heartbeat.status = i % 2 == 0 ? HEALTH_WARNING : HEALTH_PASSING;
        free(f->result.missed);
        fixture_begin(f);
        registry_apply(f->registry, 0, &command, &f->result);
        registry_end(f->registry);
        registry_publish(f->registry);
    }
    assert_in_range(f->registry->kept.count, 1, 1000); /* the path to it, and old events */
    registry_snapshot_release(held);
    fixture_heartbeat(f, "i100");
    assert_int_equal(f->registry->kept.count, 0);
}

static void taking_a_snapshot_copies_no_lease(void **state)
{
    struct fixture *f = *state;
    struct buffer before, after;
    snapshot_fill(f);
    snapshot_encode(f->registry, &before);
    struct registry_snapshot *held = registry_snapshot_take(f->registry);
    uint64_t deadline_ms = fixture_deadline_ms(f, "web-2");
    f->now_ms += 5;
    fixture_heartbeat(f, "web-2");
    f->now_ms += 5;
    fixture_heartbeat(f, "web-2");
    assert_int_not_equal(fixture_deadline_ms(f, "web-2"), deadline_ms);
    fixture_deregister(f, "web-1");
    fixture_register(f, "in-its-slot", "web");
    snapshot_encode_held(held, &after);
    registry_snapshot_release(held);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    buffer_done(&before);
    buffer_done(&after);
}

/* --- the same commands on two replicas, one of which repeatedly restarts from a snapshot --- */

static void apply_to_both(struct fixture *f, struct registry *other, unsigned *seed)
{
    struct random_command c[4];
    uint32_t commands = random_below(seed, 4) + 1;
    const struct stamp stamp = {.now_ms = f->now_ms, .wall_ms = WALL_MS + (int64_t)f->now_ms};
    fixture_begin(f);
    registry_begin(other, f->index, &stamp);
    for (uint32_t i = 0; i < commands; i++) {
        struct result a;
        struct result b;
        random_command(&c[i], f, seed);
        registry_apply(f->registry, i, &c[i].command, &a);
        registry_apply(other, i, &c[i].command, &b);
        assert_int_equal(a.status, b.status);
        assert_int_equal(a.incarnation, b.incarnation);
        assert_int_equal(a.created, b.created);
        assert_int_equal(a.renewed, b.renewed);
        assert_int_equal(a.expired, b.expired);
        assert_int_equal(a.reaped, b.reaped);
        assert_int_equal(a.missed_count, b.missed_count);
        for (uint32_t k = 0; k < a.missed_count; k++) {
            assert_int_equal(a.missed[k], b.missed[k]);
        }
        free(a.missed);
        free(b.missed);
    }
    fixture_end(f);
    registry_end(other);
    registry_publish(other);
}

static void a_replica_restored_at_any_point_goes_on_alike(void **state)
{
    static const unsigned seeds[] = {1, 2, 3, 20261121};
    for (size_t s = 0; s < ARRAY_LENGTH(seeds); s++) {
        unsigned seed = seeds[s];
        struct fixture *f = *state;
        print_message("seed %u\n", seed);
        registry_destroy(f->registry);
        *f = (struct fixture){.registry = snapshot_registry(), .now_ms = 1000};
        struct registry *other = snapshot_registry();
        for (int i = 0; i < 1200; i++) {
            f->now_ms += random_step_ms(&seed);
            apply_to_both(f, other, &seed);
            assert_true(registry_hash(f->registry) == registry_hash(other));
            assert_verified(other);
            if (random_below(&seed, 5) == 0) {
                /* The leader looks for due leases, which turns its wheel but not the other's. */
                uint32_t living;
                (void)registry_due(f->registry, f->now_ms + random_below(&seed, 100000), &living);
            }
            if (random_below(&seed, 25) == 0) {
                struct registry *copy = snapshot_copy(other);
                registry_destroy(other);
                other = copy;
                assert_same_registries(f->registry, other);
            }
        }
        assert_same_registries(f->registry, other);
        registry_destroy(other);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_empty_registry_comes_back),
        CASE(everything_comes_back),
        CASE(a_copy_of_a_copy_has_the_same_bytes),
        CASE(lease_references_and_deadlines_hold_in_the_copy),
        CASE(a_snapshot_stays_as_it_was_while_the_registry_goes_on),
        CASE(memory_waits_for_the_last_snapshot),
        CASE(what_a_snapshot_cannot_reach_does_not_wait_for_it),
        CASE(taking_a_snapshot_copies_no_lease),
        CASE(a_replica_restored_at_any_point_goes_on_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
