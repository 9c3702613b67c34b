/* A snapshot holds the whole state as of one index, and what is made from it goes on alike. */
#include "tests/unit/random_command.h"

#include "server/base/limits.h"
#include "server/registry/snapshot.h"
#include "server/wire/pack.h"
#include "server/wire/wire_snapshot.h"

#define BYTES_MAX (64u * 1024 * 1024)

static struct registry *create(void)
{
    return registry_create(&(struct registry_options){.retire = NULL});
}

static void encode(struct registry *registry, struct buffer *out)
{
    struct registry_snapshot *snapshot = registry_snapshot_take(registry);
    buffer_init(out, BYTES_MAX);
    wire_snapshot_encode(snapshot, out);
    registry_snapshot_release(snapshot);
    assert_false(out->overflowed);
}

/* NULL when refused. From a copy of just that length, so that reading beyond it is seen. */
static struct registry *decode(const uint8_t *data, size_t len)
{
    struct registry *registry = create();
    uint8_t *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, data, len);
    enum status status = wire_snapshot_decode(copy, len, registry);
    free(copy);
    if (status != ST_OK) {
        assert_int_equal(status, ST_CORRUPT);
        registry_destroy(registry);
        return NULL;
    }
    return registry;
}

static struct registry *copy_of(struct registry *registry)
{
    struct buffer bytes;
    encode(registry, &bytes);
    struct registry *copy = decode(bytes.data, bytes.len);
    buffer_done(&bytes);
    assert_non_null(copy);
    return copy;
}

static void assert_same(struct registry *a, struct registry *b)
{
    assert_true(registry_hash(a) == registry_hash(b));
    assert_int_equal(registry_index(a), registry_index(b));
    assert_int_equal(registry_now_ms(a), registry_now_ms(b));
    assert_verified(a);
    assert_verified(b);
    rcu_read_lock();
    assert_same_views(registry_view(a), registry_view(b));
    rcu_read_unlock();
}

/* Two services; of their instances one is lapsed, one in maintenance, one warns. */
static void fill(struct fixture *f)
{
    const struct slice id = slice_of("web-2");
    struct command command = command_register("web-1", "web");
    struct registration *g = &command.register_.registration;
    g->type = slice_of("http");
    g->zone = slice_of("north");
    g->tags_count = 2;
    g->tags[0] = slice_of("v1");
    g->tags[1] = slice_of("gr\xc3\xbcn");
    g->metadata_count = 1;
    g->metadata[0] = (struct pair){slice_of("version"), slice_of("2.1")};
    fixture_apply(f, &command);
    g->id = slice_of("db-1");
    g->name = slice_of("db");
    g->ttl_ms = TTL_MS_MAX;
    fixture_apply(f, &command);
    g->id = id;
    g->ttl_ms = TTL_MS;
    g->tags_count = 0;
    fixture_apply(f, &command);
    fixture_register(f, "gone-1", "gone");
    fixture_deregister(f, "gone-1");
    command = command_maintenance("db-1", true, "upgrade");
    fixture_apply(f, &command);
    command = command_heartbeat(&id);
    command.heartbeat.status_given = command.heartbeat.note_given = true;
    command.heartbeat.status = HEALTH_WARNING;
    command.heartbeat.note = slice_of("slow");
    f->now_ms = 1000 + TTL_MS;
    fixture_apply(f, &command);
    fixture_expire(f, EVERY);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_CRITICAL);
}

/* --- round trips --- */

static void an_empty_registry_comes_back(void **state)
{
    struct fixture *f = *state;
    struct registry *copy = copy_of(f->registry);
    assert_same(f->registry, copy);
    registry_destroy(copy);
}

static void everything_comes_back(void **state)
{
    struct fixture *f = *state;
    fill(f);
    struct registry *copy = copy_of(f->registry);
    assert_same(f->registry, copy);
    registry_destroy(copy);
}

static void a_copy_of_a_copy_has_the_same_bytes(void **state)
{
    struct fixture *f = *state;
    struct buffer first;
    struct buffer second;
    fill(f);
    encode(f->registry, &first);
    struct registry *copy = decode(first.data, first.len);
    encode(copy, &second);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
    registry_destroy(copy);
    buffer_done(&first);
    buffer_done(&second);
}

static void lease_references_and_deadlines_hold_in_the_copy(void **state)
{
    struct fixture *f = *state;
    fill(f);
    const struct lease_ref ref = fixture_ref(f, "web-1");
    uint64_t deadline_ms = fixture_deadline_ms(f, "web-2");
    struct registry *copy = copy_of(f->registry);
    registry_destroy(f->registry);
    f->registry = copy;
    assert_int_equal(fixture_renew(f, &ref, 1)->renewed, 1);
    assert_int_equal(fixture_health(f, "web-1"), HEALTH_PASSING);
    assert_int_equal(fixture_deadline_ms(f, "web-2"), deadline_ms);
    assert_int_equal(registry_due(f->registry, deadline_ms - 1), 0);
    assert_int_equal(registry_due(f->registry, deadline_ms), 2);
}

static void a_snapshot_stays_as_it_was_while_the_registry_goes_on(void **state)
{
    struct fixture *f = *state;
    struct buffer before;
    struct buffer after;
    unsigned seed = 99;
    fill(f);
    encode(f->registry, &before);
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
    buffer_init(&after, BYTES_MAX);
    wire_snapshot_encode(held, &after);
    registry_snapshot_release(held);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    buffer_done(&before);
    buffer_done(&after);
}

static void memory_waits_for_the_last_snapshot(void **state)
{
    struct fixture *f = *state;
    fill(f);
    struct registry_snapshot *held = registry_snapshot_take(f->registry);
    const struct record *record = fixture_record(f, "web-1");
    fixture_deregister(f, "web-1");
    assert_string_equal(record_id(record), "web-1"); /* else the sanitizer speaks */
    registry_snapshot_release(held);
    fixture_heartbeat(f, "web-2");
}

/* --- the same commands on two replicas, one of which starts again and again from a snapshot --- */

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
        *f = (struct fixture){.registry = create(), .now_ms = 1000};
        struct registry *other = create();
        for (int i = 0; i < 1200; i++) {
            f->now_ms += random_step_ms(&seed);
            apply_to_both(f, other, &seed);
            assert_true(registry_hash(f->registry) == registry_hash(other));
            assert_verified(other);
            if (random_below(&seed, 5) == 0) {
                /* The leader looks for what is due; its wheel turns, the other's does not. */
                (void)registry_due(f->registry, f->now_ms + random_below(&seed, 100000));
            }
            if (random_below(&seed, 25) == 0) {
                struct registry *copy = copy_of(other);
                registry_destroy(other);
                other = copy;
                assert_same(f->registry, other);
            }
        }
        assert_same(f->registry, other);
        registry_destroy(other);
    }
}

/* --- what is damaged --- */

static void every_truncation_is_refused(void **state)
{
    struct fixture *f = *state;
    struct buffer bytes;
    fill(f);
    encode(f->registry, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        assert_null(decode(bytes.data, len));
    }
    buffer_append_byte(&bytes, 0);
    assert_null(decode(bytes.data, bytes.len));
    buffer_done(&bytes);
}

static void no_flipped_byte_breaks_more_than_what_it_says(void **state)
{
    struct fixture *f = *state;
    struct buffer bytes;
    fill(f);
    encode(f->registry, &bytes);
    for (size_t i = 0; i < bytes.len; i++) {
        static const uint8_t flips[] = {0x01, 0x80, 0xff, 0x10};
        for (size_t k = 0; k < sizeof flips; k++) {
            bytes.data[i] ^= flips[k];
            struct registry *registry = decode(bytes.data, bytes.len);
            if (registry != NULL) {
                assert_verified(registry);
                registry_destroy(registry);
            }
            bytes.data[i] ^= flips[k];
        }
    }
    buffer_done(&bytes);
}

static void other_magic_or_version_is_refused(void **state)
{
    struct buffer b;
    (void)state;
    for (uint64_t version = 0; version < 4; version++) {
        buffer_init(&b, 1000);
        pack_text(&b, version == 1 || version == 2 ? "MUST" : "MUSR", 4);
        pack_uint(&b, version);
        for (int i = 0; i < 11; i++) {
            pack_uint(&b, i == 7 ? EVENTS_KEPT_DEFAULT : 0);
        }
        assert_null(decode(b.data, b.len));
        buffer_done(&b);
    }
}

static void a_snapshot_that_says_nothing_of_events_kept_is_read(void **state)
{
    struct buffer b;
    (void)state;
    buffer_init(&b, 1000);
    pack_text(&b, "MUSR", 4);
    pack_uint(&b, 1);
    for (int i = 0; i < 10; i++) {
        pack_uint(&b, 0);
    }
    struct registry *r = decode(b.data, b.len);
    assert_non_null(r);
    assert_int_equal(registry_events_kept(r), EVENTS_KEPT_DEFAULT);
    registry_destroy(r);
    buffer_done(&b);
}

static struct record *record_at(const char *id, uint64_t index, uint32_t slot)
{
    const struct command command = command_register(id, "web");
    struct record *r = record_create(&command.register_.registration);
    r->index = index;
    r->slot = slot;
    return r;
}

static void instances_that_contradict_each_other_are_refused(void **state)
{
    static const struct {
        const char *id;
        uint64_t index;
        uint32_t slot;
    } bad[] = {
        {"a", 5, 2},          /* the id is there */
        {"b", 5, 1},          /* the slot is taken */
        {"b", 11, 2},         /* from behind the snapshot's index */
        {"b", 5, UINT32_MAX}, /* beyond the table */
        {"b", 5, (1u << 24)}, /* just beyond it */
    };
    const struct snapshot_head head = {
        .index = 10, .events_kept = EVENTS_KEPT_DEFAULT, .instances = 2, .services = 1};
    struct registry *r = create();
    (void)state;
    assert_int_equal(registry_restore_head(r, &head), ST_OK);
    assert_int_equal(registry_restore_instance(r, record_at("a", 10, 1), 0, 0, 0), ST_OK);
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct record *record = record_at(bad[i].id, bad[i].index, bad[i].slot);
        assert_int_equal(registry_restore_instance(r, record, 0, 0, 0), ST_CORRUPT);
        free(record);
    }
    assert_int_equal(registry_restore_service(r, "db", 1), ST_CORRUPT);
    assert_int_equal(registry_restore_service(r, "web", 11), ST_CORRUPT);
    assert_int_equal(registry_restore_service(r, "web", 10), ST_OK);
    assert_int_equal(registry_restore_end(r, &head), ST_CORRUPT); /* one is missing */
    registry_destroy(r);
}

static void events_that_do_not_follow_each_other_are_refused(void **state)
{
    const struct snapshot_head head = {
        .index = 10, .events_kept = EVENTS_KEPT_DEFAULT, .events_last = 7, .events = 2};
    struct event event = {.sequence = 6, .index = 10, .record = record_at("a", 10, 1)};
    struct registry *r = create();
    (void)state;
    assert_int_equal(registry_restore_head(r, &head), ST_OK);
    event.sequence = 7;
    assert_int_equal(registry_restore_event(r, &event), ST_CORRUPT);
    event.sequence = 6;
    event.index = 11;
    assert_int_equal(registry_restore_event(r, &event), ST_CORRUPT);
    event.index = 10;
    assert_int_equal(registry_restore_event(r, &event), ST_OK);
    assert_int_equal(registry_restore_end(r, &head), ST_CORRUPT); /* one is missing */
    registry_destroy(r);
}

static void heads_that_cannot_be_are_refused(void **state)
{
    static const struct snapshot_head heads[] = {
        {.events_kept = 100, .events = 1},
        {.events_kept = 100, .events = 101, .events_last = UINT32_MAX},
        {.events_kept = EVENTS_KEPT_MIN - 1},
        {.events_kept = EVENTS_KEPT_MAX + 1},
        {.events_kept = 100, .instances = (1u << 24) + 1},
        {.events_kept = 100, .events_last = UINT64_MAX},
        {.events_kept = 100, .events_last = UINT64_MAX, .events = 1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(heads); i++) {
        struct registry *r = create();
        assert_int_equal(registry_restore_head(r, &heads[i]), ST_CORRUPT);
        registry_destroy(r);
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
        CASE(a_replica_restored_at_any_point_goes_on_alike),
        CASE(every_truncation_is_refused),
        CASE(no_flipped_byte_breaks_more_than_what_it_says),
        CASE(other_magic_or_version_is_refused),
        CASE(a_snapshot_that_says_nothing_of_events_kept_is_read),
        CASE(instances_that_contradict_each_other_are_refused),
        CASE(events_that_do_not_follow_each_other_are_refused),
        CASE(heads_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
