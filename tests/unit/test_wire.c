/* Bytes to commands and back: what is written is read, what breaks a limit or is damaged is
 * refused, and nothing that is read can crash. */
#include "tests/unit/command_samples.h"
#include "tests/unit/random_command.h"

#include "server/base/limits.h"
#include "server/wire/pack.h"
#include "server/wire/wire_command.h"
#include "server/wire/wire_registration.h"

/* The bytes of a command, in memory of just their length. */
static uint8_t *bytes_of(const struct command *command, size_t *ret_len)
{
    struct buffer b;
    buffer_init(&b, OP_BYTES_MAX);
    wire_command_encode(command, &b);
    assert_false(b.overflowed);
    uint8_t *exact = malloc(b.len);
    memcpy(exact, b.data, b.len);
    *ret_len = b.len;
    buffer_done(&b);
    return exact;
}

static enum status decode_only(const uint8_t *data, size_t len)
{
    struct wire_command decoded;
    enum status status = wire_command_decode(data, len, level_limits(LEVEL_MAX), &decoded);
    if (status == ST_OK) {
        wire_command_done(&decoded);
    }
    return status;
}

static enum status through_the_wire(const struct command *command)
{
    size_t len;
    uint8_t *data = bytes_of(command, &len);
    enum status status = decode_only(data, len);
    free(data);
    return status;
}

/* Decoded and encoded again, a command has the same bytes. */
static void assert_comes_back(const struct command *command)
{
    size_t len;
    size_t again_len;
    struct wire_command decoded;
    uint8_t *data = bytes_of(command, &len);
    assert_int_equal(wire_command_decode(data, len, level_limits(LEVEL_MAX), &decoded), ST_OK);
    assert_int_equal(decoded.command.kind, command->kind);
    uint8_t *again = bytes_of(&decoded.command, &again_len);
    assert_int_equal(len, again_len);
    assert_memory_equal(data, again, len);
    free(again);
    wire_command_done(&decoded);
    free(data);
}

/* --- one of each command --- */

static void every_kind_of_command_has_a_sample(void **state)
{
    static const enum command_kind kinds[] = {
#define COMMAND(KIND, member, number, level, what, fields) COMMAND_##KIND,
#include "server/registry/commands.def"
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        bool found = false;
        for (size_t j = 0; j < SAMPLES; j++) {
            found = found || sample(j).kind == kinds[i];
        }
        assert_true(found);
    }
}

static void every_command_comes_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        const struct command command = sample(i);
        assert_comes_back(&command);
    }
}

static void the_fields_of_a_command_are_where_they_were(void **state)
{
    struct wire_command decoded;
    size_t len;
    (void)state;
    struct command command = sample(0);
    uint8_t *data = bytes_of(&command, &len);
    assert_int_equal(wire_command_decode(data, len, level_limits(LEVEL_MAX), &decoded), ST_OK);
    const struct registration *g = &decoded.command.register_.registration;
    struct record *record = record_create(g);
    assert_true(record_same_content(record, &command.register_.registration));
    assert_true(decoded.command.register_.incarnation == UINT64_MAX);
    assert_true(decoded.command.register_.health_given);
    assert_int_equal(decoded.command.register_.health, HEALTH_CRITICAL);
    free(record);
    wire_command_done(&decoded);
    free(data);

    command = sample(3);
    data = bytes_of(&command, &len);
    assert_int_equal(wire_command_decode(data, len, level_limits(LEVEL_MAX), &decoded), ST_OK);
    assert_int_equal(decoded.command.heartbeat.count, 1);
    assert_int_equal(decoded.command.heartbeat.incarnation, 77);
    assert_int_equal(decoded.command.heartbeat.status, HEALTH_WARNING);
    assert_int_equal(decoded.command.heartbeat.note.len, strlen("slow disk"));
    assert_memory_equal(decoded.command.heartbeat.note.data, "slow disk", strlen("slow disk"));
    wire_command_done(&decoded);
    free(data);

    command = sample(6);
    data = bytes_of(&command, &len);
    assert_int_equal(wire_command_decode(data, len, level_limits(LEVEL_MAX), &decoded), ST_OK);
    assert_int_equal(decoded.command.expire.until_ms, 123456789012);
    assert_int_equal(decoded.command.expire.limit, 77);
    wire_command_done(&decoded);
    free(data);
}

static void random_commands_come_back(void **state)
{
    struct fixture *f = *state;
    unsigned seed = 5, seen[UINT8_MAX + 1] = {0};
    print_message("seed %u\n", seed);
    fixture_begin(f);
    registry_set_level(f->registry, LEVEL_MAX);
    fixture_end(f);
    for (int i = 0; i < 3000; i++) {
        struct random_command c;
        random_command(&c, f, &seed);
        assert_comes_back(&c.command);
        fixture_apply(f, &c.command);
        seen[c.command.kind]++;
    }
    /* All kinds meet all others, and snapshots. */
#define COMMAND(KIND, member, number, level, what, fields) assert_true(seen[COMMAND_##KIND] > 0);
#include "server/registry/commands.def"
}

/* --- damage --- */

static void every_truncation_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        size_t len;
        const struct command command = sample(i);
        uint8_t *data = bytes_of(&command, &len);
        for (size_t n = 0; n < len; n++) {
            uint8_t *part = malloc(n > 0 ? n : 1);
            memcpy(part, data, n);
            assert_int_equal(decode_only(part, n), ST_CORRUPT);
            free(part);
        }
        free(data);
    }
}

static void what_stands_behind_a_command_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        size_t len;
        const struct command command = sample(i);
        uint8_t *data = bytes_of(&command, &len);
        data = realloc(data, len + 1);
        data[len] = 0;
        assert_int_equal(decode_only(data, len + 1), ST_CORRUPT);
        free(data);
    }
}

/* Whatever it says then, it is a command that can be written again, or it is refused. */
static void no_changed_byte_crashes(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        size_t len;
        const struct command command = sample(i);
        uint8_t *data = bytes_of(&command, &len);
        for (size_t at = 0; at < len; at++) {
            uint8_t was = data[at];
            for (unsigned value = 0; value <= UINT8_MAX; value++) {
                struct wire_command decoded;
                data[at] = (uint8_t)value;
                if (wire_command_decode(data, len, level_limits(LEVEL_MAX), &decoded) == ST_OK) {
                    size_t again_len;
                    free(bytes_of(&decoded.command, &again_len));
                    wire_command_done(&decoded);
                }
            }
            data[at] = was;
        }
        free(data);
    }
}

static void noise_does_not_crash(void **state)
{
    unsigned seed = 12;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        size_t len = random_below(&seed, 60);
        uint8_t *data = malloc(len + 1);
        for (size_t k = 0; k < len; k++) {
            data[k] = (uint8_t)rand_r(&seed);
        }
        data[0] = (uint8_t)random_below(&seed, COMMAND_POLICY_DELETE + 3);
        (void)decode_only(data, len);
        free(data);
    }
}

/* --- limits --- */

static void texts_of_a_registration_are_limited(void **state)
{
    static const struct {
        size_t offset, max;
    } texts[] = {
        {offsetof(struct registration, id), NAME_BYTES_MAX},
        {offsetof(struct registration, name), NAME_BYTES_MAX},
        {offsetof(struct registration, type), NAME_BYTES_MAX},
        {offsetof(struct registration, host), HOST_BYTES_MAX},
        {offsetof(struct registration, zone), NAME_BYTES_MAX},
        {offsetof(struct registration, tags[0]), TAG_BYTES_MAX},
        {offsetof(struct registration, metadata[0].key), METADATA_KEY_BYTES_MAX},
        {offsetof(struct registration, metadata[0].value), METADATA_VALUE_BYTES_MAX},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct command command = sample(0);
        struct slice *text = (void *)((char *)&command.register_.registration + texts[i].offset);
        *text = filled(texts[i].max);
        assert_int_equal(through_the_wire(&command), ST_OK);
        *text = filled(texts[i].max + 1);
        assert_int_equal(through_the_wire(&command), ST_TOO_LARGE);
        *text = (struct slice){.data = "a\0b", .len = 3};
        assert_int_equal(through_the_wire(&command), ST_CORRUPT);
    }
}

static void numbers_of_a_registration_are_limited(void **state)
{
    struct command command = sample(0);
    struct registration *g = &command.register_.registration;
    (void)state;
    g->ttl_ms = TTL_MS_MAX;
    g->reap_after_ms = REAP_AFTER_MS_MAX;
    g->weight = WEIGHT_MAX;
    g->port = UINT16_MAX;
    assert_int_equal(through_the_wire(&command), ST_OK);
    g->ttl_ms++;
    assert_int_equal(through_the_wire(&command), ST_TOO_LARGE);
    g->ttl_ms--;
    g->reap_after_ms++;
    assert_int_equal(through_the_wire(&command), ST_TOO_LARGE);
}

/* A registration whose counts and lists are not from a struct registration. */
static enum status decode_lists(uint64_t tags, uint64_t metadata)
{
    struct buffer b;
    buffer_init(&b, OP_BYTES_MAX);
    for (int i = 0; i < 5; i++) {
        pack_text(&b, "x", 1);
    }
    for (int i = 0; i < 4; i++) {
        pack_uint(&b, 1);
    }
    pack_uint(&b, tags);
    for (uint64_t i = 0; i < tags; i++) {
        pack_text(&b, "t", 1);
    }
    pack_uint(&b, metadata);
    for (uint64_t i = 0; i < 2 * metadata; i++) {
        pack_text(&b, "m", 1);
    }
    struct registration g;
    struct unpack in = unpack_begin(b.data, b.len);
    wire_registration_decode(&in, level_limits(LEVEL_MAX), &g);
    enum status status = unpack_finished(&in) ? ST_OK : in.over ? ST_TOO_LARGE : ST_CORRUPT;
    buffer_done(&b);
    return status;
}

static void lists_of_a_registration_are_limited(void **state)
{
    (void)state;
    assert_int_equal(decode_lists(TAGS_MAX, METADATA_MAX), ST_OK);
    assert_int_equal(decode_lists(TAGS_MAX + 1, 0), ST_TOO_LARGE);
    assert_int_equal(decode_lists(0, METADATA_MAX + 1), ST_TOO_LARGE);
}

static void heartbeats_are_limited(void **state)
{
    static struct slice ids[HEARTBEAT_IDS_MAX + 1];
    struct command command = command_heartbeat(ids);
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        ids[i] = filled(NAME_BYTES_MAX);
    }
    command.heartbeat.count = HEARTBEAT_IDS_MAX; /* and such a one fits an operation */
    assert_int_equal(through_the_wire(&command), ST_OK);
    command.heartbeat.count = HEARTBEAT_IDS_MAX + 1;
    assert_int_equal(through_the_wire(&command), ST_TOO_LARGE);
    command.heartbeat.count = 0;
    assert_int_equal(through_the_wire(&command), ST_CORRUPT);
    command.heartbeat.count = 1;
    ids[0] = filled(NAME_BYTES_MAX + 1);
    assert_int_equal(through_the_wire(&command), ST_TOO_LARGE);
    ids[0] = slice_of("web-1");
    command.heartbeat.note_given = true;
    command.heartbeat.note = filled(OUTPUT_BYTES_MAX); /* it may be of a check */
    assert_int_equal(through_the_wire(&command), ST_OK);
    command.heartbeat.note = filled(OUTPUT_BYTES_MAX + 1);
    assert_int_equal(through_the_wire(&command), ST_TOO_LARGE);
}

static void renewals_are_limited(void **state)
{
    static uint8_t many[(HEARTBEAT_IDS_MAX + 1) * 8];
    struct command command = {.kind = COMMAND_RENEW, .renew = {.refs = many}};
    (void)state;
    command.renew.count = HEARTBEAT_IDS_MAX;
    assert_int_equal(through_the_wire(&command), ST_OK);
    command.renew.count = HEARTBEAT_IDS_MAX + 1;
    assert_int_equal(through_the_wire(&command), ST_TOO_LARGE);
    command.renew.count = 0;
    assert_int_equal(through_the_wire(&command), ST_CORRUPT);
    struct buffer b;
    buffer_init(&b, 100);
    pack_uint(&b, COMMAND_RENEW);
    pack_bytes(&b, many, 12); /* one and a half */
    assert_int_equal(decode_only(b.data, b.len), ST_CORRUPT);
    buffer_done(&b);
}

static void other_commands_are_limited(void **state)
{
    struct command command = command_deregister("", 0);
    (void)state;
    command.deregister.id = filled(NAME_BYTES_MAX + 1);
    assert_int_equal(through_the_wire(&command), ST_TOO_LARGE);
    command = command_maintenance("web-1", true, "");
    command.maintenance.reason = filled(NOTE_BYTES_MAX);
    assert_int_equal(through_the_wire(&command), ST_OK);
    command.maintenance.reason = filled(NOTE_BYTES_MAX + 1);
    assert_int_equal(through_the_wire(&command), ST_TOO_LARGE);
    command = sample(7);
    command.keep_events.count = EVENTS_KEPT_MIN;
    assert_int_equal(through_the_wire(&command), ST_OK);
    command.keep_events.count = EVENTS_KEPT_MIN - 1;
    assert_int_equal(through_the_wire(&command), ST_TOO_LARGE);
    command.keep_events.count = EVENTS_KEPT_MAX;
    assert_int_equal(through_the_wire(&command), ST_OK);
    command.keep_events.count = EVENTS_KEPT_MAX + 1;
    assert_int_equal(through_the_wire(&command), ST_TOO_LARGE);
    /* A health that no client can declare, and kinds that are none. */
    command = sample(3);
    command.heartbeat.status = HEALTH_MAINTENANCE;
    assert_int_equal(through_the_wire(&command), ST_CORRUPT);
    const uint8_t kinds[] = {0, COMMAND_TOKEN_REVOKE + 1, COMMAND_POLICY_DELETE + 1, 0x7f};
    for (size_t i = 0; i < sizeof kinds; i++) {
        assert_int_equal(decode_only(&kinds[i], 1), ST_CORRUPT);
    }
}

static void tokens_are_limited(void **state)
{
    (void)state;
    struct command command = sample(9);
    struct token_spec *spec = &command.token_create.spec;
    spec->scopes_count = TOKEN_SCOPES_MAX;
    for (size_t i = 0; i < TOKEN_SCOPES_MAX; i++) {
        spec->scopes[i] = (struct token_scope){.name = filled(NAME_BYTES_MAX)};
    }
    spec->description = spec->id = filled(NAME_BYTES_MAX);
    command.token_create.ttl_s = TOKEN_TTL_S_MAX;
    assert_int_equal(through_the_wire(&command), ST_OK);
    const struct command most = command;
    spec->description = filled(NAME_BYTES_MAX + 1);
    assert_int_equal(through_the_wire(&command), ST_TOO_LARGE);
    command = most;
    spec->scopes[7].name = filled(NAME_BYTES_MAX + 1);
    assert_int_equal(through_the_wire(&command), ST_TOO_LARGE);
    command = most;
    command.token_create.ttl_s++;
    assert_int_equal(through_the_wire(&command), ST_TOO_LARGE);
    command = most;
    command.token_create.turn = TOKEN_TURN_MAX + 1;
    assert_int_equal(through_the_wire(&command), ST_TOO_LARGE);
    command = most;
    spec->grants = TOKEN_GRANTS_ALL + 1;
    assert_int_equal(through_the_wire(&command), ST_TOO_LARGE);
    command = most;
    spec->hash.len--;
    assert_int_equal(through_the_wire(&command), ST_CORRUPT);
    command = most;
    spec->id.len = 0;
    assert_int_equal(through_the_wire(&command), ST_CORRUPT);
    /* More scopes than there are bytes, and than there may be. */
    size_t len;
    command = sample(9);
    uint8_t *data = bytes_of(&command, &len);
    const size_t count_at = len - sizeof "\xa3web\xc3\xc3\xa2"
                                         "db\xc2\xc2\xce\0\1\x51\x80\1";
    assert_int_equal(data[count_at], 2);
    data[count_at] = TOKEN_SCOPES_MAX;
    assert_int_equal(decode_only(data, len), ST_CORRUPT);
    data[count_at] = TOKEN_SCOPES_MAX + 1;
    assert_int_equal(decode_only(data, len), ST_TOO_LARGE);
    free(data);
    /* Below their level there are none. */
    struct wire_command decoded;
    data = bytes_of(&command, &len);
    assert_int_equal(wire_command_decode(data, len, level_limits(2), &decoded), ST_TOO_LARGE);
    free(data);
}

static void a_guard_is_of_its_level_and_guards_a_command(void **state)
{
    size_t len;
    (void)state;
    for (size_t i = SAMPLES_GUARDED; i < SAMPLES_GUARDED + 2; i++) {
        struct command command = sample(i);
        uint8_t *data = bytes_of(&command, &len);
        assert_false(wire_command_understands(data, len, LEVEL_TOKENS - 1));
        assert_true(wire_command_understands(data, len, LEVEL_TOKENS));
        free(data);
    }
    static const uint8_t malformed[][6] = {
        {11, GUARD_NONE, 0xa0, 4, 0xa0, 0},           /* none at all */
        {11, GUARD_TOKEN, 0xa0, 4, 0xa0, 0},          /* of no token */
        {11, GUARD_UNTIL_FIRST, 0xa1, 'a', 4, 0},     /* nobody's, of a token */
        {11, GUARD_CERTIFICATE, 0xa0, 4, 0xa0, 0},    /* of none */
        {11, GUARD_CERTIFICATE + 1, 0xa1, 'a', 4, 0}, /* unknown */
        {11, GUARD_UNTIL_FIRST, 0xa0, 11, 1, 0xa0},   /* of a guard */
    };
    for (size_t i = 0; i < ARRAY_LENGTH(malformed); i++) {
        assert_int_equal(decode_only(malformed[i], sizeof malformed[i]), ST_CORRUPT);
        assert_false(wire_command_understands(malformed[i], sizeof malformed[i], UINT16_MAX));
    }
    const uint8_t good[] = {11, GUARD_UNTIL_FIRST, 0xa0, 4, 0xa0, 0};
    assert_int_equal(decode_only(good, sizeof good), ST_OK);
}

static void a_stamp_comes_back_and_has_one_length(void **state)
{
    const struct stamp stamp = {.now_ms = UINT64_MAX - 1, .wall_ms = -5};
    struct stamp back;
    uint8_t bytes[WIRE_STAMP_BYTES + 1] = {0};
    (void)state;
    wire_stamp_encode(&stamp, bytes);
    assert_int_equal(wire_stamp_decode(bytes, WIRE_STAMP_BYTES, &back), ST_OK);
    assert_true(back.now_ms == stamp.now_ms);
    assert_true(back.wall_ms == stamp.wall_ms);
    assert_int_equal(wire_stamp_decode(bytes, WIRE_STAMP_BYTES - 1, &back), ST_CORRUPT);
    assert_int_equal(wire_stamp_decode(bytes, WIRE_STAMP_BYTES + 1, &back), ST_CORRUPT);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_command_has_a_sample),
        cmocka_unit_test(every_command_comes_back),
        cmocka_unit_test(the_fields_of_a_command_are_where_they_were),
        CASE(random_commands_come_back),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(what_stands_behind_a_command_is_refused),
        cmocka_unit_test(no_changed_byte_crashes),
        cmocka_unit_test(noise_does_not_crash),
        cmocka_unit_test(texts_of_a_registration_are_limited),
        cmocka_unit_test(numbers_of_a_registration_are_limited),
        cmocka_unit_test(lists_of_a_registration_are_limited),
        cmocka_unit_test(heartbeats_are_limited),
        cmocka_unit_test(renewals_are_limited),
        cmocka_unit_test(other_commands_are_limited),
        cmocka_unit_test(tokens_are_limited),
        cmocka_unit_test(a_guard_is_of_its_level_and_guards_a_command),
        cmocka_unit_test(a_stamp_comes_back_and_has_one_length),
    };
    return cmocka_run_group_tests(tests, set_up_filler, NULL);
}
