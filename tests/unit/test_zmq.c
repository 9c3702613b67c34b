/* The dialect of the older ZeroMQ registry: frames, requests, metadata of any type, and instances
 * as it shows them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/zmq/cgse_entry.h"
#include "api/zmq/cgse_metadata.h"
#include "api/zmq/cgse_request.h"
#include "api/zmq/envelope.h"
#include "server/base/compiler.h"

#define TTL_MS        30000
#define REAP_AFTER_MS 60000

static struct cgse_registration_options options = {.ttl_ms = TTL_MS,
                                                   .reap_after_ms = REAP_AFTER_MS};
static struct problem problem;
static struct cgse_request request;
static struct command command;

static void assert_slice(struct slice slice, const char *text)
{
    assert_int_equal(slice.len, strlen(text));
    assert_memory_equal(slice.data, text, slice.len);
}

/* --- frames --- */

static void the_five_framings_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *frames[3];
        size_t count;
        bool delimited, typed, wants_answer;
    } cases[] = {
        {{"", "{}"}, 2, true, false, true},
        {{"REQ", "{}"}, 2, false, true, true},
        {{"REQ_NO_REPLY", "{}"}, 2, false, true, false},
        {{"NO-REQ", "{}"}, 2, false, true, false},
        {{"{}"}, 1, false, false, true},
        {{"", "REQ", "{}"}, 3, true, true, true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct slice frames[3], body;
        struct envelope e;
        for (size_t f = 0; f < cases[i].count; f++) {
            frames[f] = slice_of(cases[i].frames[f]);
        }
        assert_true(envelope_parse(frames, cases[i].count, &e, &body));
        assert_slice(body, "{}");
        assert_int_equal(e.is_delimited, cases[i].delimited);
        assert_int_equal(e.is_typed, cases[i].typed);
        assert_int_equal(e.wants_answer, cases[i].wants_answer);
    }
}

static void what_is_no_request_can_be_answered(void **state)
{
    (void)state;
    struct slice frames[3] = {slice_of(""), slice_of(""), slice_of("{}")}, body;
    struct envelope e;
    assert_false(envelope_parse(frames, 0, &e, &body));
    assert_true(!e.is_delimited && e.wants_answer);
    assert_false(envelope_parse(frames, 1, &e, &body));
    assert_true(e.is_delimited && e.wants_answer);
    frames[0] = slice_of("REQ");
    assert_false(envelope_parse(frames, 3, &e, &body));
    assert_true(e.is_typed && e.wants_answer);
}

/* --- requests --- */

static bool parse(const char *json)
{
    cgse_request_done(&request);
    memset(&problem, 0, sizeof problem);
    return cgse_request_parse(&request, slice_of(json), &problem);
}

static void assert_refused(const char *json, const char *error)
{
    assert_false(parse(json));
    assert_string_equal(problem.field, "");
    assert_string_equal(problem.message, error);
}

static void requests_are_refused_in_the_words_of_the_older_registry(void **state)
{
    (void)state;
    assert_refused("", "Invalid JSON format");
    assert_refused("{", "Invalid JSON format");
    assert_refused("[]", "Invalid JSON format");
    assert_refused("{\"action\": \"get\", \"action\": \"list\"}", "Invalid JSON format");
    assert_refused("{}", "Missing required field: action");
    assert_refused("{\"action\": null}", "Missing required field: action");
    assert_refused("{\"action\": \"fly\"}", "Unknown action: fly");
    assert_refused("{\"action\": 7}", "Unknown action: (not a text)");
    assert_refused("{\"action\": \"get\"}", "Missing required field: service_id");
    assert_refused("{\"action\": \"renew\", \"service_id\": \"\"}",
                   "Missing required field: service_id");
    assert_refused("{\"action\": \"deregister\", \"service_id\": 7}",
                   "service_id: must be a text of at most 255 bytes");
    assert_refused("{\"action\": \"discover\"}", "Missing required field: service_type");
}

static void requests_need_only_what_their_action_needs(void **state)
{
    (void)state;
    assert_true(parse("{\"action\": \"list\"}"));
    assert_true(request.action == CGSE_LIST && request.service_type == NULL);
    assert_true(parse("{\"action\": \"list\", \"service_type\": null}"));
    assert_null(request.service_type);
    assert_true(parse("{\"action\": \"discover\", \"service_type\": \"CORE\", \"x\": 1}"));
    assert_string_equal(request.service_type, "CORE");
    assert_true(parse("{\"action\": \"health\"}"));
    assert_int_equal(request.needed, PERMISSION_OPEN);
    assert_true(parse("{\"action\": \"renew\", \"service_id\": \"a\"}"));
    assert_true(request.needed == PERMISSION_WRITE && strcmp(request.service_id, "a") == 0);
}

/* --- registrations --- */

static bool registers(const char *info, const char *rest)
{
    static const uint8_t random[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    char json[4096];
    (void)snprintf(json, sizeof json, "{\"action\": \"register\", \"service_info\": %s%s}", info,
                   rest);
    assert_true(parse(json));
    return cgse_request_registration(&request, &options, random, &command, &problem);
}

static void assert_bad(const char *info, const char *field, const char *message)
{
    assert_false(registers(info, ""));
    assert_string_equal(problem.field, field);
    assert_non_null(strstr(problem.message, message));
}

#define ADDRESS "\"host\": \"10.0.0.1\", \"port\": 80"

static void a_registration_becomes_a_command(void **state)
{
    (void)state;
    assert_true(registers("{\"name\": \"Data Store\", " ADDRESS ", \"id\": \"ds-1\", "
                          "\"type\": \"STORE\", \"tags\": [\"b\", \"a\", \"b\", \"STORE\"]}",
                          ", \"ttl\": 2.5"));
    const struct registration *r = &command.register_.registration;
    assert_slice(r->name, "Data Store");
    assert_slice(r->id, "ds-1");
    assert_slice(r->type, "STORE");
    assert_slice(r->host, "10.0.0.1");
    assert_int_equal(r->port, 80);
    assert_int_equal(r->ttl_ms, 2500);
    assert_int_equal(r->reap_after_ms, REAP_AFTER_MS);
    assert_int_equal(r->tags_count, 3);
    assert_slice(r->tags[2], "STORE");
    assert_true(command.register_.health_given && command.register_.incarnation == 0);
}

static void what_is_missing_has_its_default(void **state)
{
    (void)state;
    assert_true(registers("{\"name\": \"My Service\", " ADDRESS ", \"metadata\": "
                          "{\"type\": \"STORE\"}, \"tags\": null, \"id\": null}",
                          ""));
    const struct registration *r = &command.register_.registration;
    assert_slice(r->id, "my-service-01020304-0506-4708-890a-0b0c0d0e0f10");
    assert_slice(r->type, "STORE");
    assert_int_equal(r->ttl_ms, TTL_MS);
    assert_int_equal(r->tags_count, 0);
}

static void an_expired_one_is_kept_for_another_ttl_at_least(void **state)
{
    (void)state;
    assert_true(registers("{\"name\": \"a\", " ADDRESS "}", ", \"ttl\": 600"));
    assert_int_equal(command.register_.registration.reap_after_ms, 600000);
}

static void bad_registrations_are_refused_with_their_field(void **state)
{
    (void)state;
    assert_bad("7", "", "Missing required field: service_info");
    assert_bad("{" ADDRESS "}", "", "Missing required field in service_info: name");
    assert_bad("{\"name\": \"a\", \"port\": 1}", "", "in service_info: host");
    assert_bad("{\"name\": \"a\", \"host\": \"b\"}", "", "in service_info: port");
    assert_bad("{\"name\": 7, " ADDRESS "}", "name", "must be a text");
    assert_bad("{\"name\": \"\", " ADDRESS "}", "name", "must not be empty");
    assert_bad("{\"name\": \"a\", \"host\": \"b\", \"port\": \"80\"}", "port", "whole number");
    assert_bad("{\"name\": \"a\", \"host\": \"b\", \"port\": 0}", "port", "whole number");
    assert_bad("{\"name\": \"a\", \"host\": \"0.0.0.0\", \"port\": 1}", "host", "must be a host");
    assert_bad("{\"name\": \"a\", " ADDRESS ", \"tags\": \"x\"}", "tags", "must be a list");
    assert_bad("{\"name\": \"a\", " ADDRESS ", \"tags\": [7]}", "tags", "must be a list");
    assert_bad("{\"name\": \"a\", " ADDRESS ", \"metadata\": []}", "metadata", "an object");
    assert_bad("{\"name\": \"a\", " ADDRESS ", \"singleton\": true}", "singleton", "needs a type");
    assert_bad("{\"name\": \"a\", " ADDRESS
               ", \"singleton\": true, \"allow_duplicate_service_type\": true}",
               "", "invalid_service_type_policy");
    assert_false(registers("{\"name\": \"a\", " ADDRESS "}", ", \"ttl\": 0.5"));
    assert_string_equal(problem.field, "ttl");
    assert_false(registers("{\"name\": \"a\", " ADDRESS "}", ", \"ttl\": \"30\""));
    assert_string_equal(problem.field, "ttl");
}

static bool is_unique(const char *more)
{
    char info[200];
    (void)snprintf(info, sizeof info, "{\"name\": \"a\", " ADDRESS "%s}", more);
    assert_true(registers(info, ""));
    return command.register_.unique_type;
}

static void types_are_unique_as_the_registration_or_the_option_says(void **state)
{
    (void)state;
    assert_false(is_unique(", \"type\": \"T\""));
    assert_true(is_unique(", \"type\": \"T\", \"singleton\": true"));
    options.unique_types = true;
    assert_true(is_unique(", \"type\": \"T\""));
    assert_true(is_unique(", \"metadata\": {\"type\": \"T\"}"));
    assert_false(is_unique(""));
    assert_false(is_unique(", \"type\": \"T\", \"allow_duplicate_service_type\": true"));
    options.unique_types = false;
}

/* --- metadata --- */

/* What comes back for a value, as JSON. */
static char *there_and_back(const char *json)
{
    char *made;
    struct slice kept;
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    assert_true(cgse_metadata_pack(value, &kept, &made));
    char *text = strndup(kept.data, kept.len);
    struct buffer out;
    buffer_init(&out, 4096);
    struct json_out to = json_out_to(&out);
    cgse_metadata_render(&to, text);
    buffer_append_byte(&out, 0);
    free(text);
    free(made);
    json_decref(value);
    size_t len;
    return (char *)buffer_take(&out, &len);
}

static void metadata_of_any_type_come_back(void **state)
{
    (void)state;
    static const char *const values[] = {"\"text\"",
                                         "\"\"",
                                         "7",
                                         "-1",
                                         "0.1",
                                         "1.0",
                                         "1e300",
                                         "true",
                                         "false",
                                         "null",
                                         "[]",
                                         "[1,[2,null]]",
                                         "{\"a\":{\"b\":[true]}}",
                                         "\"json:7\"",
                                         "\"json:\"",
                                         "\"two\\nlines\"",
                                         "\"\\u202e turned\"",
                                         "\"7\"",
                                         "9223372036854775807"};
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
        char *back = there_and_back(values[i]);
        json_t *sent = json_loads(values[i], JSON_DECODE_ANY, NULL);
        json_t *got = json_loads(back, JSON_DECODE_ANY, NULL);
        assert_non_null(got);
        assert_int_equal(json_typeof(sent), json_typeof(got));
        assert_true(json_equal(sent, got));
        json_decref(sent);
        json_decref(got);
        free(back);
    }
}

static void metadata_texts_are_kept_as_they_are(void **state)
{
    (void)state;
    char *made;
    struct slice kept;
    json_t *value = json_string("north wing");
    assert_true(cgse_metadata_pack(value, &kept, &made));
    assert_slice(kept, "north wing");
    assert_null(made);
    json_decref(value);
}

static void a_text_of_another_door_is_a_text(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    struct json_out to = json_out_to(&out);
    cgse_metadata_render(&to, "json:no JSON");
    assert_int_equal(out.len, strlen("\"json:no JSON\""));
    assert_memory_equal(out.data, "\"json:no JSON\"", out.len);
    buffer_done(&out);
}

/* --- entries --- */

static char *entry(struct record *record)
{
    struct buffer out;
    buffer_init(&out, 65536);
    struct json_out json = json_out_to(&out);
    cgse_entry_render(&json, record, 1796009902123);
    buffer_append_byte(&out, 0);
    size_t len;
    return (char *)buffer_take(&out, &len);
}

static void an_entry_has_the_older_registrys_shape(void **state)
{
    (void)state;
    assert_true(registers("{\"name\": \"Data Store\", " ADDRESS ", \"id\": \"ds-1\", "
                          "\"type\": \"STORE\", \"tags\": [\"x\"], \"metadata\": "
                          "{\"n\": 7, \"type\": \"other\"}}",
                          ""));
    struct record *record = record_create(&command.register_.registration);
    char *text = entry(record);
    assert_string_equal(text, "{\"id\":\"ds-1\",\"name\":\"Data Store\",\"host\":\"10.0.0.1\","
                              "\"port\":80,\"type\":\"STORE\",\"tags\":[\"x\",\"STORE\"],"
                              "\"metadata\":{\"n\":7,\"type\":\"STORE\"},\"ttl\":30,"
                              "\"last_heartbeat\":1796009902,\"health\":\"passing\"}");
    assert_true(cgse_entry_has_type(record, "STORE") && cgse_entry_has_type(record, "x"));
    assert_false(cgse_entry_has_type(record, "other") || cgse_entry_has_type(record, ""));
    free(text);
    free(record);
}

static void an_entry_without_a_type_has_none(void **state)
{
    (void)state;
    assert_true(registers("{\"name\": \"a\", " ADDRESS ", \"id\": \"a-1\"}", ", \"ttl\": 1.5"));
    struct record *record = record_create(&command.register_.registration);
    record->declared = HEALTH_CRITICAL;
    char *text = entry(record);
    assert_string_equal(text, "{\"id\":\"a-1\",\"name\":\"a\",\"host\":\"10.0.0.1\",\"port\":80,"
                              "\"tags\":[],\"metadata\":{},\"ttl\":2,"
                              "\"last_heartbeat\":1796009902,\"health\":\"critical\"}");
    assert_true(cgse_entry_is_there(record));
    record->expired = true;
    assert_false(cgse_entry_is_there(record));
    free(text);
    free(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_five_framings_are_told_apart),
        cmocka_unit_test(what_is_no_request_can_be_answered),
        cmocka_unit_test(requests_are_refused_in_the_words_of_the_older_registry),
        cmocka_unit_test(requests_need_only_what_their_action_needs),
        cmocka_unit_test(a_registration_becomes_a_command),
        cmocka_unit_test(what_is_missing_has_its_default),
        cmocka_unit_test(an_expired_one_is_kept_for_another_ttl_at_least),
        cmocka_unit_test(bad_registrations_are_refused_with_their_field),
        cmocka_unit_test(types_are_unique_as_the_registration_or_the_option_says),
        cmocka_unit_test(metadata_of_any_type_come_back),
        cmocka_unit_test(metadata_texts_are_kept_as_they_are),
        cmocka_unit_test(a_text_of_another_door_is_a_text),
        cmocka_unit_test(an_entry_has_the_older_registrys_shape),
        cmocka_unit_test(an_entry_without_a_type_has_none),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cgse_request_done(&request);
    return failed;
}
