/* A record has all of its registration, and its hash detects every difference. */
#include "tests/unit/registry_fixture.h"

#include "server/base/limits.h"

/* A registration with a value in every field. */
static struct registration full(void)
{
    return (struct registration){
        .id = slice_of("web-1"),
        .name = slice_of("web"),
        .type = slice_of("http"),
        .host = slice_of("10.0.0.5"),
        .zone = slice_of("north"),
        .port = 8080,
        .weight = 3,
        .ttl_ms = 5000,
        .reap_after_ms = 7000,
        .tags_count = 3,
        .tags = {slice_of("blue"), slice_of(""), slice_of("v2")},
        .metadata_count = 2,
        .metadata = {{slice_of("version"), slice_of("2.1")}, {slice_of("empty"), slice_of("")}},
    };
}

static void assert_slice(struct slice slice, const char *text)
{
    assert_int_equal(slice.len, strlen(text));
    assert_memory_equal(slice.data, text, slice.len);
}

static void everything_registered_is_in_the_record(void **state)
{
    const struct registration g = full();
    struct record *r = record_create(&g);
    (void)state;
    assert_string_equal(record_id(r), "web-1");
    assert_string_equal(record_name(r), "web");
    assert_string_equal(record_type(r), "http");
    assert_string_equal(record_host(r), "10.0.0.5");
    assert_string_equal(record_zone(r), "north");
    assert_string_equal(record_note(r), "");
    assert_string_equal(record_reason(r), "");
    assert_int_equal(r->port, 8080);
    assert_int_equal(r->weight, 3);
    assert_int_equal(r->ttl_ms, 5000);
    assert_int_equal(r->reap_after_ms, 7000);
    assert_int_equal(r->references, 1);
    assert_true(record_has_tag(r, "blue"));
    assert_true(record_has_tag(r, ""));
    assert_true(record_has_tag(r, "v2"));
    assert_false(record_has_tag(r, "v"));
    assert_false(record_has_tag(r, "version"));
    assert_string_equal(record_metadata_value(r, "version"), "2.1");
    assert_string_equal(record_metadata_value(r, "empty"), "");
    assert_null(record_metadata_value(r, "2.1"));
    assert_null(record_metadata_value(r, ""));
    free(r);
}

static void a_record_gives_back_its_registration(void **state)
{
    const struct registration g = full();
    struct registration back;
    struct record *r = record_create(&g);
    (void)state;
    record_registration(r, &back);
    assert_slice(back.id, "web-1");
    assert_slice(back.zone, "north");
    assert_int_equal(back.tags_count, 3);
    assert_slice(back.tags[1], "");
    assert_slice(back.tags[2], "v2");
    assert_int_equal(back.metadata_count, 2);
    assert_slice(back.metadata[0].value, "2.1");
    assert_slice(back.metadata[1].key, "empty");
    assert_true(record_same_content(r, &back));
    free(r);
}

static void the_largest_registration_fits(void **state)
{
    static char filler[NOTE_BYTES_MAX + METADATA_VALUE_BYTES_MAX];
    struct registration g = full();
    memset(filler, 'x', sizeof filler);
    g.id = g.name = g.type = g.zone = (struct slice){filler, NAME_BYTES_MAX};
    g.host = (struct slice){filler, HOST_BYTES_MAX};
    g.tags_count = TAGS_MAX;
    g.metadata_count = METADATA_MAX;
    for (size_t i = 0; i < TAGS_MAX; i++) {
        g.tags[i] = (struct slice){filler, TAG_BYTES_MAX};
    }
    for (size_t i = 0; i < METADATA_MAX; i++) {
        g.metadata[i] =
            (struct pair){{filler, METADATA_KEY_BYTES_MAX}, {filler, METADATA_VALUE_BYTES_MAX}};
    }
    const struct slice note = {filler, NOTE_BYTES_MAX};
    struct record *plain = record_create(&g);
    struct record *r = record_copy(plain, &note, &note);
    (void)state;
    assert_true(record_same_content(r, &g));
    assert_int_equal(strlen(record_note(r)), NOTE_BYTES_MAX);
    assert_int_equal(strlen(record_reason(r)), NOTE_BYTES_MAX);
    assert_int_equal(r->tags_count, TAGS_MAX);
    assert_int_equal(r->metadata_count, METADATA_MAX);
    free(plain);
    free(r);
}

/* Each change to a full registration must be detected. */
static void longer(struct slice *text)
{
    static char longer_by_one[64];
    (void)snprintf(longer_by_one, sizeof longer_by_one, "%.*s0", (int)text->len, text->data);
    *text = slice_of(longer_by_one);
}
#define TEXT(field, name, limit)                                                                   \
    static void other_##field(struct registration *g)                                              \
    {                                                                                              \
        longer(&g->field);                                                                         \
    }
#define NUMBER(field, name, type, most)                                                            \
    static void other_##field(struct registration *g)                                              \
    {                                                                                              \
        g->field++;                                                                                \
    }
#include "server/registry/fields.def"
static void one_tag_less(struct registration *g)
{
    g->tags_count--;
}
static void other_tag(struct registration *g)
{
    g->tags[2] = slice_of("v3");
}
static void tags_in_other_order(struct registration *g)
{
    g->tags[0] = slice_of("v2");
    g->tags[2] = slice_of("blue");
}
static void tag_cut_elsewhere(struct registration *g)
{
    g->tags[0] = slice_of("");
    g->tags[1] = slice_of("blue");
}
static void one_pair_less(struct registration *g)
{
    g->metadata_count--;
}
static void other_key(struct registration *g)
{
    g->metadata[0].key = slice_of("versio");
}
static void other_value(struct registration *g)
{
    g->metadata[1].value = slice_of("2.1");
}

static void every_difference_is_noticed(void **state)
{
    static void (*const changes[])(struct registration *) = {
#define TEXT(field, name, limit)        other_##field,
#define NUMBER(field, name, type, most) other_##field,
#include "server/registry/fields.def"
        one_tag_less,  other_tag, tags_in_other_order, tag_cut_elsewhere,
        one_pair_less, other_key, other_value,
    };
    const struct registration g = full();
    struct record *r = record_create(&g);
    (void)state;
    assert_true(record_same_content(r, &g));
    for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
        struct registration changed = full();
        changes[i](&changed);
        struct record *other = record_create(&changed);
        assert_false(record_same_content(r, &changed));
        assert_true(record_hash(r) != record_hash(other));
        free(other);
    }
    free(r);
}

static void the_hash_notices_every_state_but_not_the_slot(void **state)
{
    const struct registration g = full();
    const struct slice word = slice_of("word");
    struct record *r = record_create(&g);
    uint64_t hash = record_hash(r);
    (void)state;
    struct record *changed[] = {
        record_copy(r, NULL, NULL),  record_copy(r, NULL, NULL),  record_copy(r, NULL, NULL),
        record_copy(r, NULL, NULL),  record_copy(r, NULL, NULL),  record_copy(r, NULL, NULL),
        record_copy(r, &word, NULL), record_copy(r, NULL, &word),
    };
    changed[0]->incarnation++;
    changed[1]->index++;
    changed[2]->registered_ms++;
    changed[3]->declared = HEALTH_WARNING;
    changed[4]->expired = true;
    changed[5]->maintenance = true;
    for (size_t i = 0; i < ARRAY_LENGTH(changed); i++) {
        assert_true(record_hash(changed[i]) != hash);
        free(changed[i]);
    }
    r->slot++;
    r->references++;
    assert_true(record_hash(r) == hash);
    free(r);
}

static void a_copy_keeps_all_but_the_text_given(void **state)
{
    const struct registration g = full();
    const struct slice note = slice_of("slow disk");
    const struct slice reason = slice_of("upgrade");
    const struct slice none = slice_of("");
    struct record *r = record_create(&g);
    (void)state;
    r->incarnation = 11;
    r->index = 12;
    r->registered_ms = 13;
    r->slot = 14;
    r->references = 15;
    r->declared = HEALTH_WARNING;
    r->expired = true;
    r->maintenance = true;
    struct record *noted = record_copy(r, &note, NULL);
    struct record *both = record_copy(noted, NULL, &reason);
    assert_string_equal(record_note(both), "slow disk");
    assert_string_equal(record_reason(both), "upgrade");
    assert_int_equal(both->references, 1);
    assert_int_equal(both->slot, 14);
    assert_true(record_same_content(both, &g));
    struct record *back = record_copy(both, &none, &none);
    assert_true(record_hash(back) == record_hash(r));
    assert_int_equal(record_size(back), record_size(r));
    free(back);
    free(both);
    free(noted);
    free(r);
}

static void health_is_critical_before_maintenance_before_declared(void **state)
{
    const struct registration g = full();
    struct record *r = record_create(&g);
    (void)state;
    for (int i = 0; i < 12; i++) {
        r->declared = (uint8_t)(i % 3);
        r->maintenance = i / 3 % 2 == 1;
        r->expired = i / 6 == 1;
        enum health expected = r->expired       ? HEALTH_CRITICAL
                               : r->maintenance ? HEALTH_MAINTENANCE
                                                : (enum health)r->declared;
        assert_int_equal(record_health(r), expected);
        assert_int_equal(record_discoverable(r),
                         expected == HEALTH_PASSING || expected == HEALTH_WARNING);
    }
    free(r);
}

static void health_and_event_names_are_read_back(void **state)
{
    (void)state;
    for (int i = 0; i < HEALTH_COUNT; i++) {
        enum health health = HEALTH_COUNT;
        assert_true(health_parse(health_name((enum health)i), &health));
        assert_int_equal(health, i);
    }
    for (int i = 0; i < EVENT_TYPES; i++) {
        enum event_type type = EVENT_TYPES;
        assert_true(event_type_parse(event_type_name((enum event_type)i), &type));
        assert_int_equal(type, i);
    }
    enum health health = HEALTH_WARNING;
    enum event_type type = EVENT_REAPED;
    assert_false(health_parse("Passing", &health));
    assert_false(health_parse("", &health));
    assert_false(event_type_parse("register", &type));
    assert_int_equal(health, HEALTH_WARNING);
    assert_int_equal(type, EVENT_REAPED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_registered_is_in_the_record),
        cmocka_unit_test(a_record_gives_back_its_registration),
        cmocka_unit_test(the_largest_registration_fits),
        cmocka_unit_test(every_difference_is_noticed),
        cmocka_unit_test(the_hash_notices_every_state_but_not_the_slot),
        cmocka_unit_test(a_copy_keeps_all_but_the_text_given),
        cmocka_unit_test(health_is_critical_before_maintenance_before_declared),
        cmocka_unit_test(health_and_event_names_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
