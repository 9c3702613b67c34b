/* JSON bodies: each limit just met and just exceeded, types, unknown fields, text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/native/body.h"
#include "server/base/limits.h"

#define TTL_MS        30000
#define REAP_AFTER_MS 60000

static struct problem problem;
static struct body_register reg;
static struct command command;

static struct buffer text_of(const char *json)
{
    struct buffer text;
    buffer_init(&text, 16 * 1024 * 1024);
    buffer_append_text(&text, json);
    return text;
}

/* As the handler does, for a client at 10.0.0.9. */
static bool parse_register(const char *json)
{
    static const uint8_t random[16] = {0, 1, 2, 3, 4, 5, 0xff, 7, 0xff, 9, 10, 11, 12, 13, 14, 15};
    struct buffer text = text_of(json);
    body_register_done(&reg);
    bool good =
        body_register_parse(&reg, &command, &text, TTL_MS, REAP_AFTER_MS, &problem) &&
        body_register_complete(&reg, &command.register_.registration, random, "10.0.0.9", &problem);
    buffer_done(&text);
    return good;
}

/* A registration with one more member. */
static bool with(const char *member)
{
    char json[4096];
    (void)snprintf(json, sizeof json, "{\"name\":\"web\",\"port\":80,%s}", member);
    return parse_register(json);
}

/* Every field of an instance can be given, and its type is checked. */
static void every_field_of_the_table_is_read(void **state)
{
    static const char *const fields[] = {
#define TEXT(field, name, limit)        name,
#define NUMBER(field, name, type, most) name,
#include "server/registry/fields.def"
    };
    (void)state;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        char json[256];
        (void)snprintf(
            json, sizeof json, "{\"name\":%s,\"port\":%s,\"%s\":{}}",
            strcmp(fields[i], "name") == 0 ? "{}" : "\"web\"",
            strcmp(fields[i], "port") == 0 ? "{}" : "80",
            strcmp(fields[i], "name") == 0 || strcmp(fields[i], "port") == 0 ? "tags" : fields[i]);
        assert_false(parse_register(json));
        assert_string_equal(problem.field, fields[i]);
    }
}

static void assert_refused(bool good, const char *field)
{
    assert_false(good);
    assert_string_equal(problem.field, field);
    assert_true(problem.message[0] != '\0');
}

/* A text member of this length. */
static bool with_text(const char *field, size_t len)
{
    char member[2048];
    int n = snprintf(member, sizeof member, "\"%s\":\"", field);
    memset(member + n, 'x', len);
    memcpy(member + n + len, "\"", 2);
    return with(member);
}

/* `open`, then `count` different items, then `close`: "t0","t1" or, as members, "t0":"","t1":"". */
static char *list(const char *open, unsigned count, bool members, const char *close)
{
    struct buffer out;
    buffer_init(&out, 16 * 1024 * 1024);
    buffer_append_text(&out, open);
    for (unsigned i = 0; i < count; i++) {
        buffer_printf(&out, "%s\"t%u\"%s", i > 0 ? "," : "", i, members ? ":\"\"" : "");
    }
    buffer_append(&out, close, strlen(close) + 1);
    size_t len;
    return (char *)buffer_take(&out, &len);
}

static void short_registration_gets_the_defaults(void **state)
{
    (void)state;
    assert_true(parse_register("{\"name\":\"web\",\"port\":8080}"));
    const struct registration *r = &command.register_.registration;
    assert_int_equal(command.kind, COMMAND_REGISTER);
    assert_int_equal(r->port, 8080);
    assert_int_equal(r->weight, 1);
    assert_int_equal(r->ttl_ms, TTL_MS);
    assert_int_equal(r->reap_after_ms, REAP_AFTER_MS);
    assert_false(reg.has_id || reg.has_host || command.register_.health_given);
    assert_int_equal(command.register_.health, HEALTH_PASSING);
    assert_int_equal(r->type.len + r->zone.len + r->tags_count + r->metadata_count, 0);
}

static void full_registration_is_taken_over(void **state)
{
    (void)state;
    assert_true(with("\"id\":\"w1\",\"host\":\"::1\",\"type\":\"http\",\"zone\":\"eu\",\"ttl\":1.5,"
                     "\"reap_after\":\"2m\",\"weight\":0,\"health\":\"warning\","
                     "\"incarnation\":65536,\"tags\":[\"b\",\"a\"],"
                     "\"metadata\":{\"z\":\"1\",\"a\":\"\"}"));
    const struct registration *r = &command.register_.registration;
    assert_memory_equal(r->id.data, "w1", 2);
    assert_int_equal(r->ttl_ms, 1500);
    assert_int_equal(r->reap_after_ms, 120000);
    assert_int_equal(r->weight, 0);
    assert_int_equal(command.register_.health, HEALTH_WARNING);
    assert_int_equal(command.register_.incarnation, 65536);
    assert_memory_equal(r->tags[0].data, "b", 1);
    /* By key, so that the order in the body does not matter. */
    assert_memory_equal(r->metadata[0].key.data, "a", 1);
    assert_memory_equal(r->metadata[1].key.data, "z", 1);
}

static void body_must_be_one_json_object(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "[]",
                                      "null",
                                      "{",
                                      "{} {}",
                                      "{\"name\":\"a\",\"name\":\"b\"}",
                                      "\"web\"",
                                      "{\"name\":\"\\u0000\",\"port\":1}",
                                      "{'name':'a'}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(parse_register(bad[i]));
    }
}

static void required_fields_are_named(void **state)
{
    (void)state;
    assert_refused(parse_register("{\"port\":80}"), "name");
    assert_refused(parse_register("{\"name\":\"web\"}"), "port");
    assert_refused(parse_register("{\"name\":\"\",\"port\":80}"), "name");
}

static void unknown_fields_are_named(void **state)
{
    (void)state;
    char member[400];
    assert_refused(with("\"prot\":1"), "prot");
    (void)snprintf(member, sizeof member, "\"%0300d\":1", 0);
    assert_refused(with(member), "(a name of 300 bytes)");
    /* Turned around, or not seen: told, not repeated. */
    assert_refused(with("\"a\xe2\x80\xae\":1"), "(a name of 4 bytes)");
    assert_refused(with("\"\":1"), "(a name of 0 bytes)");
}

static void types_are_strict(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"\"id\":1", "id"},
                                           {"\"host\":7", "host"},
                                           {"\"tags\":[null]", "tags"},
                                           {"\"weight\":\"1\"", "weight"},
                                           {"\"weight\":1.0", "weight"},
                                           {"\"tags\":\"a\"", "tags"},
                                           {"\"tags\":[1]", "tags"},
                                           {"\"metadata\":[]", "metadata"},
                                           {"\"metadata\":{\"k\":1}", "metadata.k"},
                                           {"\"ttl\":true", "ttl"},
                                           {"\"ttl\":\"\"", "ttl"},
                                           {"\"ttl\":\"5x\"", "ttl"},
                                           {"\"health\":1", "health"},
                                           {"\"health\":\"ok\"", "health"},
                                           {"\"health\":\"maintenance\"", "health"},
                                           {"\"incarnation\":\"1\"", "incarnation"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_refused(with(cases[i][0]), cases[i][1]);
    }
}

static void numbers_are_limited(void **state)
{
    (void)state;
    static const char *const good[] = {"\"weight\":0",      "\"weight\":65535",
                                       "\"ttl\":1",         "\"ttl\":86400",
                                       "\"ttl\":\"24h\"",   "\"ttl\":\"1000ms\"",
                                       "\"reap_after\":0",  "\"reap_after\":604800",
                                       "\"incarnation\":1", "\"incarnation\":9007199254740991"};
    static const char *const bad[][2] = {{"\"weight\":-1", "weight"},
                                         {"\"weight\":65536", "weight"},
                                         {"\"ttl\":0", "ttl"},
                                         {"\"ttl\":-1", "ttl"},
                                         {"\"ttl\":0.999", "ttl"},
                                         {"\"ttl\":86400.001", "ttl"},
                                         {"\"ttl\":86400.0001", "ttl"},
                                         {"\"ttl\":0.9999", "ttl"},
                                         {"\"ttl\":1e300", "ttl"},
                                         {"\"ttl\":\"999ms\"", "ttl"},
                                         {"\"reap_after\":-0.001", "reap_after"},
                                         {"\"reap_after\":604800.001", "reap_after"},
                                         {"\"incarnation\":0", "incarnation"},
                                         {"\"incarnation\":9007199254740992", "incarnation"}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(with(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_refused(with(bad[i][0]), bad[i][1]);
    }
}

static void port_is_limited(void **state)
{
    (void)state;
    assert_true(parse_register("{\"name\":\"a\",\"port\":1}"));
    assert_true(parse_register("{\"name\":\"a\",\"port\":65535}"));
    assert_refused(parse_register("{\"name\":\"a\",\"port\":0}"), "port");
    assert_refused(parse_register("{\"name\":\"a\",\"port\":65536}"), "port");
    assert_refused(parse_register("{\"name\":\"a\",\"port\":-1}"), "port");
    assert_refused(parse_register("{\"name\":\"a\",\"port\":\"80\"}"), "port");
}

static void texts_are_limited(void **state)
{
    (void)state;
    static const char *const fields[] = {"id", "host", "type", "zone"};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        assert_true(with_text(fields[i], NAME_BYTES_MAX));
        assert_refused(with_text(fields[i], NAME_BYTES_MAX + 1), fields[i]);
    }
    assert_refused(with_text("id", 0), "id");
    assert_refused(with_text("host", 0), "host");
    assert_true(with_text("type", 0));
}

static void texts_are_printable_utf8(void **state)
{
    (void)state;
    assert_true(with("\"id\":\"caf\xc3\xa9/\xe2\x82\xac \xf0\x9f\x98\x80\""));
    assert_refused(with("\"id\":\"a\\nb\""), "id");
    assert_refused(with("\"zone\":\"a\\u007f\""), "zone");
    assert_refused(with("\"type\":\"\\u0085\""), "type");
    assert_false(with("\"id\":\"\xff\""));
    assert_false(with("\"id\":\"\xc0\x80\""));
    assert_false(with("\"id\":\"\xed\xa0\x80\""));
    assert_false(with("\"id\":\"\\ud800\""));
}

static void ids_that_paths_cannot_name_are_refused(void **state)
{
    (void)state;
    assert_refused(with("\"id\":\".\""), "id");
    assert_refused(with("\"id\":\"..\""), "id");
    assert_true(with("\"id\":\"...\""));
    assert_refused(parse_register("{\"name\":\"..\",\"port\":1}"), "name");
}

static void tags_are_limited(void **state)
{
    (void)state;
    char *most = list("\"tags\":[", TAGS_MAX, false, "]");
    char *over = list("\"tags\":[", TAGS_MAX + 1, false, "]");
    char member[600];
    assert_true(with(most));
    assert_int_equal(command.register_.registration.tags_count, TAGS_MAX);
    assert_refused(with(over), "tags");
    (void)snprintf(member, sizeof member, "\"tags\":[\"%0*d\"]", TAG_BYTES_MAX, 0);
    assert_true(with(member));
    (void)snprintf(member, sizeof member, "\"tags\":[\"%0*d\"]", TAG_BYTES_MAX + 1, 0);
    assert_refused(with(member), "tags");
    assert_refused(with("\"tags\":[\"\"]"), "tags");
    assert_refused(with("\"tags\":[\"a\",\"b\",\"a\"]"), "tags");
    free(most);
    free(over);
}

static bool with_metadata(size_t key_len, size_t value_len)
{
    char key[256], value[1024], member[2048];
    memset(key, 'k', key_len);
    key[key_len] = '\0';
    memset(value, 'v', value_len);
    value[value_len] = '\0';
    (void)snprintf(member, sizeof member, "\"metadata\":{\"%s\":\"%s\"}", key, value);
    return with(member);
}

static void metadata_is_limited(void **state)
{
    (void)state;
    char *most = list("\"metadata\":{", METADATA_MAX, true, "}");
    char *over = list("\"metadata\":{", METADATA_MAX + 1, true, "}");
    assert_true(with(most));
    assert_int_equal(command.register_.registration.metadata_count, METADATA_MAX);
    assert_refused(with(over), "metadata");
    assert_true(with_metadata(METADATA_KEY_BYTES_MAX, METADATA_VALUE_BYTES_MAX));
    assert_refused(with_metadata(METADATA_KEY_BYTES_MAX + 1, 1), "metadata");
    assert_false(with_metadata(METADATA_KEY_BYTES_MAX, METADATA_VALUE_BYTES_MAX + 1));
    assert_int_equal(strlen(problem.field), strlen("metadata.") + METADATA_KEY_BYTES_MAX);
    assert_refused(with_metadata(0, 1), "metadata");
    assert_refused(with("\"metadata\":{\"a\\tb\":\"c\"}"), "metadata");
    assert_refused(with("\"metadata\":{\"a\":\"b\\tc\"}"), "metadata.a");
    free(most);
    free(over);
}

static void made_id_is_name_and_version_4_uuid(void **state)
{
    (void)state;
    assert_true(parse_register("{\"name\":\"web\",\"port\":1}"));
    assert_string_equal(reg.made_id, "web-00010203-0405-4f07-bf09-0a0b0c0d0e0f");
    assert_int_equal(command.register_.registration.id.len, strlen(reg.made_id));
}

static void made_id_needs_a_name_that_leaves_room(void **state)
{
    (void)state;
    char json[400];
    int room = NAME_BYTES_MAX - 37;
    (void)snprintf(json, sizeof json, "{\"name\":\"%0*d\",\"port\":1}", room, 0);
    assert_true(parse_register(json));
    (void)snprintf(json, sizeof json, "{\"name\":\"%0*d\",\"port\":1}", room + 1, 0);
    assert_refused(parse_register(json), "id");
    (void)snprintf(json, sizeof json, "{\"name\":\"%0*d\",\"port\":1}", NAME_BYTES_MAX + 1, 0);
    assert_refused(parse_register(json), "name");
}

static void assert_host(const char *expected)
{
    const struct slice *host = &command.register_.registration.host;
    assert_int_equal(host->len, strlen(expected));
    assert_memory_equal(host->data, expected, host->len);
}

static void host_is_the_callers_when_none_is_given(void **state)
{
    (void)state;
    assert_true(parse_register("{\"name\":\"web\",\"port\":1}"));
    assert_host("10.0.0.9");
    assert_true(with("\"host\":null"));
    assert_host("10.0.0.9");
}

static void brackets_of_an_ipv6_host_are_taken_off(void **state)
{
    (void)state;
    assert_true(with("\"host\":\"[2001:db8::7]\""));
    assert_host("2001:db8::7");
    assert_refused(with("\"host\":\"[10.0.0.5]\""), "host");
    assert_refused(with("\"host\":\"[::1]:80\""), "host");
    assert_refused(with("\"host\":\"[::]\""), "host");
}

static void null_is_as_if_the_field_were_not_there(void **state)
{
    (void)state;
    assert_true(with("\"id\":null,\"host\":null,\"type\":null,\"zone\":null,\"tags\":null,"
                     "\"metadata\":null,\"ttl\":null,\"reap_after\":null,\"weight\":null,"
                     "\"health\":null,\"incarnation\":null"));
    const struct registration *r = &command.register_.registration;
    assert_int_equal(r->ttl_ms, TTL_MS);
    assert_int_equal(r->reap_after_ms, REAP_AFTER_MS);
    assert_int_equal(r->weight, 1);
    assert_int_equal(r->tags_count + r->metadata_count, 0);
    assert_true(with("\"metadata\":{\"a\":null,\"b\":\"c\"}"));
    assert_int_equal(r->metadata_count, 1);
    assert_refused(parse_register("{\"name\":null,\"port\":1}"), "name");
    assert_refused(parse_register("{\"name\":\"web\",\"port\":null}"), "port");
}

static void only_0_keeps_an_instance_for_good(void **state)
{
    (void)state;
    static const char *const good[] = {"0", "0.0", "-0.0", "\"0\"", "\"0ms\""};
    static const char *const small[] = {"0.0001", "1e-9", "0.001", "\"0.5ms\"", "\"0.001ms\""};
    char member[64];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        (void)snprintf(member, sizeof member, "\"reap_after\":%s", good[i]);
        assert_true(with(member));
        assert_int_equal(command.register_.registration.reap_after_ms, 0);
    }
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++) {
        (void)snprintf(member, sizeof member, "\"reap_after\":%s", small[i]);
        assert_true(with(member));
        assert_int_equal(command.register_.registration.reap_after_ms, 1);
    }
}

static bool parse_heartbeat(const char *json, struct body_heartbeat *body)
{
    struct buffer text = text_of(json);
    bool good = body_heartbeat_parse(body, &text, &problem);
    buffer_done(&text);
    return good;
}

static void assert_heartbeat_refused(const char *json, const char *field)
{
    struct body_heartbeat body;
    assert_refused(parse_heartbeat(json, &body), field);
    body_heartbeat_done(&body);
}

static void heartbeat_names_one_or_many(void **state)
{
    (void)state;
    struct body_heartbeat body;
    assert_true(parse_heartbeat("{\"id\":\"a\"}", &body));
    assert_true(body.single && !body.details && body.count == 1);
    body_heartbeat_done(&body);
    assert_true(parse_heartbeat("{\"id\":\"a\",\"ids\":null,\"status\":null,\"note\":null,"
                                "\"incarnation\":null}",
                                &body));
    assert_true(body.single && !body.details && body.count == 1);
    body_heartbeat_done(&body);
    assert_true(parse_heartbeat("{\"ids\":[\"a\",\"b\"]}", &body));
    assert_true(!body.single && body.count == 2);
    assert_memory_equal(body.ids[1].data, "b", 1);
    body_heartbeat_done(&body);
    assert_true(parse_heartbeat("{\"id\":\"a\",\"status\":\"critical\",\"note\":\"\"}", &body));
    assert_true(body.details && body.status_given && body.note_given && body.note.len == 0);
    assert_int_equal(body.status, HEALTH_CRITICAL);
    body_heartbeat_done(&body);
}

static void contradicting_heartbeats_are_refused(void **state)
{
    (void)state;
    assert_heartbeat_refused("{}", "id");
    assert_heartbeat_refused("{\"id\":\"a\",\"ids\":[\"b\"]}", "ids");
    assert_heartbeat_refused("{\"ids\":[\"a\"],\"status\":\"passing\"}", "ids");
    assert_heartbeat_refused("{\"ids\":[]}", "ids");
    assert_heartbeat_refused("{\"ids\":\"a\"}", "ids");
    assert_heartbeat_refused("{\"ids\":[\"a\",1]}", "ids");
    assert_heartbeat_refused("{\"ids\":[\"\"]}", "ids");
    assert_heartbeat_refused("{\"id\":\"a\",\"status\":\"maintenance\"}", "status");
    assert_heartbeat_refused("{\"id\":\"a\",\"incarnation\":0}", "incarnation");
    assert_heartbeat_refused("{\"id\":\"a\",\"ttl\":1}", "ttl");
}

static void heartbeat_ids_are_limited(void **state)
{
    (void)state;
    struct body_heartbeat body;
    char *most = list("{\"ids\":[", HEARTBEAT_IDS_MAX, false, "]}");
    char *over = list("{\"ids\":[", HEARTBEAT_IDS_MAX + 1, false, "]}");
    assert_true(parse_heartbeat(most, &body));
    assert_int_equal(body.count, HEARTBEAT_IDS_MAX);
    body_heartbeat_done(&body);
    assert_heartbeat_refused(over, "ids");
    free(most);
    free(over);
}

static void note_is_limited(void **state)
{
    (void)state;
    struct body_heartbeat body;
    char json[700];
    (void)snprintf(json, sizeof json, "{\"id\":\"a\",\"note\":\"%0*d\"}", NOTE_BYTES_MAX, 0);
    assert_true(parse_heartbeat(json, &body));
    body_heartbeat_done(&body);
    (void)snprintf(json, sizeof json, "{\"id\":\"a\",\"note\":\"%0*d\"}", NOTE_BYTES_MAX + 1, 0);
    assert_heartbeat_refused(json, "note");
}

static bool parse_maintenance(const char *json, struct body_maintenance *body)
{
    struct buffer text = text_of(json);
    bool good = body_maintenance_parse(body, &text, &problem);
    buffer_done(&text);
    body_maintenance_done(body);
    return good;
}

static void maintenance_needs_a_flag(void **state)
{
    (void)state;
    struct body_maintenance body;
    char json[700];
    assert_true(parse_maintenance("{\"enabled\":true}", &body));
    assert_true(body.enabled);
    assert_true(parse_maintenance("{\"enabled\":false,\"reason\":\"done\"}", &body));
    assert_false(body.enabled);
    assert_refused(parse_maintenance("{}", &body), "enabled");
    assert_refused(parse_maintenance("{\"enabled\":1}", &body), "enabled");
    assert_refused(parse_maintenance("{\"enabled\":true,\"why\":\"\"}", &body), "why");
    (void)snprintf(json, sizeof json, "{\"enabled\":true,\"reason\":\"%0*d\"}", NOTE_BYTES_MAX, 0);
    assert_true(parse_maintenance(json, &body));
    (void)snprintf(json, sizeof json, "{\"enabled\":true,\"reason\":\"%0*d\"}", NOTE_BYTES_MAX + 1,
                   0);
    assert_refused(parse_maintenance(json, &body), "reason");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_of_the_table_is_read),
        cmocka_unit_test(short_registration_gets_the_defaults),
        cmocka_unit_test(full_registration_is_taken_over),
        cmocka_unit_test(body_must_be_one_json_object),
        cmocka_unit_test(required_fields_are_named),
        cmocka_unit_test(unknown_fields_are_named),
        cmocka_unit_test(types_are_strict),
        cmocka_unit_test(numbers_are_limited),
        cmocka_unit_test(port_is_limited),
        cmocka_unit_test(texts_are_limited),
        cmocka_unit_test(texts_are_printable_utf8),
        cmocka_unit_test(ids_that_paths_cannot_name_are_refused),
        cmocka_unit_test(tags_are_limited),
        cmocka_unit_test(metadata_is_limited),
        cmocka_unit_test(made_id_is_name_and_version_4_uuid),
        cmocka_unit_test(made_id_needs_a_name_that_leaves_room),
        cmocka_unit_test(host_is_the_callers_when_none_is_given),
        cmocka_unit_test(brackets_of_an_ipv6_host_are_taken_off),
        cmocka_unit_test(null_is_as_if_the_field_were_not_there),
        cmocka_unit_test(only_0_keeps_an_instance_for_good),
        cmocka_unit_test(heartbeat_names_one_or_many),
        cmocka_unit_test(contradicting_heartbeats_are_refused),
        cmocka_unit_test(heartbeat_ids_are_limited),
        cmocka_unit_test(note_is_limited),
        cmocka_unit_test(maintenance_needs_a_flag),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    body_register_done(&reg);
    return failed;
}
