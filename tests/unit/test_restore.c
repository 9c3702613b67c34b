/* Decoding snapshots: the same in any pieces, and refused wherever they contradict themselves. */
#include "tests/unit/random_command.h"
#include "tests/unit/snapshot_fixture.h"

#include "server/base/limits.h"
#include "server/wire/pack.h"

/* --- pieces --- */

static void a_snapshot_may_be_split_anywhere(void **state)
{
    struct fixture *f = *state;
    struct buffer bytes;
    snapshot_fill(f);
    snapshot_encode(f->registry, &bytes);
    for (size_t at = 0; at <= bytes.len; at++) {
        struct registry *copy = snapshot_decode_split(bytes.data, bytes.len, at);
        assert_non_null(copy);
        assert_true(registry_hash(copy) == registry_hash(f->registry));
        registry_destroy(copy);
    }
    buffer_done(&bytes);
}

static void fill_randomly(struct fixture *f, unsigned *seed, unsigned commands)
{
    for (unsigned i = 0; i < commands; i++) {
        struct random_command c;
        f->now_ms += random_step_ms(seed);
        random_command(&c, f, seed);
        fixture_apply(f, &c.command);
    }
}

static void pieces_may_have_any_length(void **state)
{
    static const uint32_t most[] = {1, 2, 7, 100, 5000, 70000};
    struct fixture *f = *state;
    struct buffer bytes;
    unsigned seed = 3;
    fill_randomly(f, &seed, 800);
    snapshot_encode(f->registry, &bytes);
    for (size_t k = 0; k < ARRAY_LENGTH(most); k++) {
        struct wire_restore restore;
        struct registry *copy = snapshot_registry();
        wire_restore_init(&restore, copy);
        for (size_t at = 0; at < bytes.len;) {
            size_t len = 1 + random_below(&seed, most[k]);
            len = len < bytes.len - at ? len : bytes.len - at;
            assert_int_equal(wire_restore_feed(&restore, bytes.data + at, len), ST_OK);
            assert_true(restore.whole.len <= WIRE_ITEM_HEAD_BYTES + WIRE_ITEM_BYTES_MAX);
            at += len;
        }
        assert_int_equal(wire_restore_end(&restore), ST_OK);
        wire_restore_done(&restore);
        assert_same_registries(f->registry, copy);
        registry_destroy(copy);
    }
    buffer_done(&bytes);
}

struct pieces {
    size_t count, longest, total;
};

static void note_piece(void *sink, const void *data, size_t len)
{
    struct pieces *p = sink;
    assert_non_null(data);
    p->count++;
    p->total += len;
    p->longest = len > p->longest ? len : p->longest;
}

static void a_snapshot_is_written_in_bounded_pieces(void **state)
{
    struct fixture *f = *state;
    static char filler[METADATA_VALUE_BYTES_MAX];
    struct command command = command_register("", "web");
    struct registration *g = &command.register_.registration;
    struct pieces p = {0};
    memset(filler, 'x', sizeof filler);
    g->metadata_count = METADATA_MAX;
    for (size_t i = 0; i < METADATA_MAX; i++) {
        g->metadata[i] = (struct pair){slice_of("key"), {filler, sizeof filler}};
    }
    for (unsigned i = 0; i < 100; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "i%u", i);
        g->id = slice_of(id);
        fixture_apply(f, &command);
    }
    struct registry_snapshot *held = registry_snapshot_take(f->registry);
    wire_snapshot_encode(held, note_piece, &p);
    registry_snapshot_release(held);
    assert_true(p.total > 6000000); /* each instance, and its event */
    assert_true(p.longest < WIRE_PIECE_BYTES + WIRE_ITEM_HEAD_BYTES + WIRE_ITEM_BYTES_MAX);
    assert_true(p.count >= p.total / (WIRE_PIECE_BYTES + WIRE_ITEM_BYTES_MAX));
}

static void the_largest_record_fits_an_item(void **state)
{
    struct fixture *f = *state;
    static char filler[METADATA_VALUE_BYTES_MAX];
    static char ids[METADATA_MAX][METADATA_KEY_BYTES_MAX];
    memset(filler, 'x', sizeof filler);
    memset(ids, 'k', sizeof ids);
    const struct slice name = {filler, NAME_BYTES_MAX}, note = {filler, NOTE_BYTES_MAX};
    struct command command = {.kind = COMMAND_REGISTER};
    struct registration *g = &command.register_.registration;
    *g = (struct registration){.id = name, .name = name, .type = name, .host = name, .zone = name};
    g->port = UINT16_MAX;
    g->weight = WEIGHT_MAX;
    g->ttl_ms = TTL_MS_MAX;
    g->reap_after_ms = REAP_AFTER_MS_MAX;
    g->tags_count = TAGS_MAX;
    for (size_t i = 0; i < TAGS_MAX; i++) {
        g->tags[i] = (struct slice){filler, TAG_BYTES_MAX};
    }
    g->metadata_count = METADATA_MAX;
    for (size_t i = 0; i < METADATA_MAX; i++) {
        g->metadata[i].key = (struct slice){ids[i], METADATA_KEY_BYTES_MAX};
        g->metadata[i].value = (struct slice){filler, METADATA_VALUE_BYTES_MAX};
    }
    fixture_apply(f, &command);
    command = command_heartbeat(&name);
    command.heartbeat.note_given = true;
    command.heartbeat.note = note;
    fixture_apply(f, &command);
    command = (struct command){.kind = COMMAND_MAINTENANCE,
                               .maintenance = {.id = name, .enabled = true, .reason = note}};
    fixture_apply(f, &command);
    struct registry *copy = snapshot_copy(f->registry);
    assert_same_registries(f->registry, copy);
    registry_destroy(copy);
}

/* --- damage --- */

static void every_truncation_is_refused(void **state)
{
    struct fixture *f = *state;
    struct buffer bytes;
    snapshot_fill(f);
    snapshot_encode(f->registry, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        assert_null(snapshot_decode(bytes.data, len));
    }
    for (size_t more = 1; more < 20; more++) {
        buffer_append_byte(&bytes, 0);
        assert_null(snapshot_decode(bytes.data, bytes.len));
    }
    buffer_done(&bytes);
}

static void no_flipped_byte_breaks_more_than_what_it_says(void **state)
{
    struct fixture *f = *state;
    struct buffer bytes;
    snapshot_fill(f);
    snapshot_encode(f->registry, &bytes);
    for (size_t i = 0; i < bytes.len; i++) {
        static const uint8_t flips[] = {0x01, 0x80, 0xff, 0x10};
        for (size_t k = 0; k < sizeof flips; k++) {
            bytes.data[i] ^= flips[k];
            struct registry *registry = snapshot_decode_split(bytes.data, bytes.len, i);
            if (registry != NULL) {
                assert_verified(registry);
                registry_destroy(registry);
            }
            bytes.data[i] ^= flips[k];
        }
    }
    buffer_done(&bytes);
}

static void after_what_is_malformed_nothing_is_taken(void **state)
{
    struct fixture *f = *state;
    struct wire_restore restore;
    struct buffer bytes;
    const uint8_t long_item[] = {0xff, 0xff, 0xff, 0x7f};
    struct registry *registry = snapshot_registry();
    snapshot_encode(f->registry, &bytes);
    wire_restore_init(&restore, registry);
    assert_int_equal(wire_restore_feed(&restore, long_item, sizeof long_item), ST_CORRUPT);
    assert_int_equal(wire_restore_feed(&restore, bytes.data, bytes.len), ST_CORRUPT);
    assert_int_equal(wire_restore_end(&restore), ST_CORRUPT);
    wire_restore_done(&restore);
    registry_destroy(registry);
    buffer_done(&bytes);
}

/* --- heads --- */

/* The head's fields in order: magic, version, level, limits, and these. */
struct said {
    const char *magic;
    uint64_t version, level;
    struct registry_limits limits;
    uint64_t rest[11]; /* index, now, wall, changed, services, extinct index, events: last, kept;
                          instances, services, events */
};

static struct said sound_head(void)
{
    return (struct said){
        .magic = WIRE_SNAPSHOT_MAGIC,
        .version = WIRE_SNAPSHOT_VERSION,
        .level = LEVEL_MIN,
        .limits = *level_limits(LEVEL_MIN),
        .rest = {[7] = EVENTS_KEPT_DEFAULT},
    };
}

static bool is_taken(const struct said *said)
{
    struct buffer b;
    buffer_init(&b, 1000);
    buffer_append_u32(&b, 0);
    pack_text(&b, said->magic, strlen(said->magic));
    pack_uint(&b, said->version);
    pack_uint(&b, said->level);
#define X(limit, room, level_1) pack_uint(&b, said->limits.limit);
    REGISTRY_LIMITS(X)
#undef X
    for (size_t i = 0; i < ARRAY_LENGTH(said->rest); i++) {
        pack_uint(&b, said->rest[i]);
    }
    store_u32(b.data, (uint32_t)(b.len - WIRE_ITEM_HEAD_BYTES));
    struct registry *r = snapshot_decode(b.data, b.len);
    buffer_done(&b);
    if (r == NULL) {
        return false;
    }
    registry_destroy(r);
    return true;
}

static void other_magic_version_or_level_is_refused(void **state)
{
    struct said said = sound_head();
    (void)state;
    assert_true(is_taken(&said));
    said.magic = "MUST";
    assert_false(is_taken(&said));
    said.magic = "MUS";
    assert_false(is_taken(&said));
    for (uint64_t version = 0; version < 6; version++) {
        said = sound_head();
        said.version = version;
        assert_int_equal(is_taken(&said), version == WIRE_SNAPSHOT_VERSION);
    }
    static const uint64_t levels[] = {0, LEVEL_MAX + 1, UINT16_MAX, UINT16_MAX + 1 + LEVEL_MIN};
    for (size_t i = 0; i < ARRAY_LENGTH(levels); i++) {
        said = sound_head();
        said.level = levels[i];
        assert_false(is_taken(&said));
    }
}

static void heads_that_cannot_be_are_refused(void **state)
{
    static const struct {
        size_t place;
        uint64_t value;
    } bad[] = {
        {3, 1},          /* changed after the index; likewise */
        {4, 1},          /* services */
        {5, 1},          /* extinct */
        {6, UINT64_MAX}, /* the last event */
        {7, 15},         {7, EVENTS_KEPT_MAX + 1}, {8, (1u << 24) + 1ull},
        {8, 1},  /* an instance that is not there; likewise */
        {9, 1},  /* a service */
        {10, 1}, /* an event before the first */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct said said = sound_head();
        said.rest[bad[i].place] = bad[i].value;
        assert_false(is_taken(&said));
    }
    struct said said = sound_head();
    said.rest[6] = UINT32_MAX;
    assert_true(is_taken(&said)); /* all of them dropped */
    said.rest[10] = EVENTS_KEPT_DEFAULT + 1;
    assert_false(is_taken(&said));
}

static void limits_that_there_is_no_room_for_are_refused(void **state)
{
    struct said said;
    (void)state;
#define X(limit, room, level_1)                                                                    \
    said = sound_head();                                                                           \
    said.limits.limit = (room) + 1u;                                                               \
    assert_false(is_taken(&said));
    REGISTRY_LIMITS(X)
#undef X
    said = sound_head();
    said.limits.events_kept_min = 0;
    assert_false(is_taken(&said));
    said = sound_head();
    said.limits.events_kept_max = said.limits.events_kept_first - 1;
    assert_false(is_taken(&said));
    said = sound_head();
    said.limits.tags = 3; /* a level may allow less */
    assert_true(is_taken(&said));
}

/* --- contradictions --- */

static struct record *record_at(const char *id, uint64_t index, uint32_t slot)
{
    const struct command command = command_register(id, "web");
    struct record *r = record_create(&command.register_.registration);
    r->index = index;
    r->slot = slot;
    return r;
}

static struct snapshot_head head_of(uint64_t instances, uint64_t services, uint64_t events)
{
    return (struct snapshot_head){
        .level = LEVEL_MIN,
        .limits = *level_limits(LEVEL_MIN),
        .index = 10,
        .now_ms = 100,
        .events_last = events > 0 ? 7 : 0,
        .events_kept = EVENTS_KEPT_DEFAULT,
        .instances = instances,
        .services = services,
        .events = events,
    };
}

static void instances_that_contradict_each_other_are_refused(void **state)
{
    static const struct {
        const char *id;
        uint64_t index;
        uint32_t slot;
        uint64_t renewed_ms;
    } bad[] = {
        {"b", 5, 2, 0},          /* the id exists */
        {"a", 5, 2, 0},          /* sorts before an existing one */
        {"c", 5, 1, 0},          /* the slot is taken */
        {"c", 11, 2, 0},         /* from after the snapshot's index */
        {"c", 5, 2, 101},        /* renewed after the snapshot's time */
        {"c", 5, UINT32_MAX, 0}, /* beyond the table */
        {"c", 5, (1u << 24), 0}, /* just beyond it */
    };
    const struct snapshot_head head = head_of(2, 1, 0);
    struct registry *r = snapshot_registry();
    (void)state;
    assert_int_equal(registry_restore_head(r, &head), ST_OK);
    assert_int_equal(registry_restore_instance(r, record_at("b", 10, 1), 100, 0), ST_OK);
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct record *record = record_at(bad[i].id, bad[i].index, bad[i].slot);
        assert_int_equal(registry_restore_instance(r, record, bad[i].renewed_ms, 0), ST_CORRUPT);
        free(record);
    }
    assert_int_equal(registry_restore_service(r, "db", 1), ST_CORRUPT);
    assert_int_equal(registry_restore_service(r, "web", 11), ST_CORRUPT);
    assert_int_equal(registry_restore_service(r, "web", 10), ST_OK);
    assert_int_equal(registry_restore_service(r, "web", 10), ST_CORRUPT); /* twice */
    assert_int_equal(registry_restore_end(r), ST_CORRUPT);                /* one is missing */
    registry_destroy(r);
}

static void a_service_without_its_index_is_noticed(void **state)
{
    const struct snapshot_head heads[] = {head_of(1, 1, 0), head_of(1, 0, 0)};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(heads); i++) {
        struct registry *r = snapshot_registry();
        assert_int_equal(registry_restore_head(r, &heads[i]), ST_OK);
        assert_int_equal(registry_restore_instance(r, record_at("b", 10, 1), 100, 0), ST_OK);
        assert_int_equal(registry_restore_end(r), ST_CORRUPT);
        registry_destroy(r);
    }
}

static void events_that_do_not_follow_each_other_are_refused(void **state)
{
    const struct snapshot_head head = head_of(0, 0, 2);
    struct event event = {.sequence = 6, .index = 10, .record = record_at("a", 10, 1)};
    struct registry *r = snapshot_registry();
    (void)state;
    assert_int_equal(registry_restore_head(r, &head), ST_OK);
    event.sequence = 7;
    assert_int_equal(registry_restore_event(r, &event), ST_CORRUPT);
    event.sequence = 6;
    event.index = 11;
    assert_int_equal(registry_restore_event(r, &event), ST_CORRUPT);
    event.index = 10;
    assert_int_equal(registry_restore_event(r, &event), ST_OK);
    assert_int_equal(registry_restore_end(r), ST_CORRUPT); /* one is missing */
    registry_destroy(r);
}

/* Otherwise the copy would keep other events than the original. */
static void more_events_than_may_be_kept_are_refused(void **state)
{
    struct snapshot_head head = head_of(0, 0, 16);
    static char filler[METADATA_VALUE_BYTES_MAX];
    struct registry *r = snapshot_registry();
    struct command command = command_register("a", "web");
    struct registration *g = &command.register_.registration;
    (void)state;
    memset(filler, 'x', sizeof filler);
    g->metadata_count = METADATA_MAX;
    for (size_t i = 0; i < METADATA_MAX; i++) {
        g->metadata[i] = (struct pair){slice_of("key"), {filler, sizeof filler}};
    }
    head.events_kept = 16;
    head.events_last = 16;
    assert_int_equal(registry_restore_head(r, &head), ST_OK);
    struct event event = {.sequence = 1, .index = 1, .record = record_create(g)};
    assert_int_equal(registry_restore_event(r, &event), ST_OK); /* the newest one is always kept */
    event = (struct event){.sequence = 2, .index = 1, .record = record_create(g)};
    assert_int_equal(registry_restore_event(r, &event), ST_CORRUPT);
    free(event.record);
    registry_destroy(r);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_snapshot_may_be_split_anywhere),
        CASE(pieces_may_have_any_length),
        CASE(a_snapshot_is_written_in_bounded_pieces),
        CASE(the_largest_record_fits_an_item),
        CASE(every_truncation_is_refused),
        CASE(no_flipped_byte_breaks_more_than_what_it_says),
        CASE(after_what_is_malformed_nothing_is_taken),
        CASE(other_magic_version_or_level_is_refused),
        CASE(heads_that_cannot_be_are_refused),
        CASE(limits_that_there_is_no_room_for_are_refused),
        CASE(instances_that_contradict_each_other_are_refused),
        CASE(a_service_without_its_index_is_noticed),
        CASE(events_that_do_not_follow_each_other_are_refused),
        CASE(more_events_than_may_be_kept_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
