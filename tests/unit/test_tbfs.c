/* The dialect of the older HTTP registry: recognising its bodies, joining and splitting URLs, and
 * mapping its servers to instances. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/tbfs/body.h"
#include "api/tbfs/entry.h"
#include "server/base/compiler.h"

#define TTL_MS        30000
#define REAP_AFTER_MS 3600000

static struct problem problem;
static struct tbfs_registration body;
static struct command command;

static struct buffer text_of(const char *json)
{
    struct buffer text;
    buffer_init(&text, 1024 * 1024);
    buffer_append_text(&text, json);
    return text;
}

static enum tbfs_body parse(const char *json)
{
    struct buffer text = text_of(json);
    tbfs_registration_done(&body);
    memset(&problem, 0, sizeof problem);
    enum tbfs_body found = tbfs_registration_parse(&body, &text, &problem);
    buffer_done(&text);
    return found;
}

static enum tbfs_body with(const char *members)
{
    char json[2048];
    (void)snprintf(json, sizeof json, "{\"server_id\":\"a\",%s}", members);
    return parse(json);
}

static void assert_bad(enum tbfs_body found, const char *field)
{
    assert_int_equal(found, TBFS_BODY_BAD);
    assert_string_equal(problem.field, field);
    assert_true(problem.message[0] != '\0');
}

static void a_url_gets_its_scheme_and_its_port(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        uint16_t port;
        const char *joined;
    } cases[] = {
        {"node-1", 8000, "http://node-1:8000"},
        {"node-1", 80, "http://node-1"},
        {"node-1", 443, "http://node-1"},
        {"node-1", 1, "http://node-1:1"},
        {"node-1", 65535, "http://node-1:65535"},
        {"http://node-1", 8000, "http://node-1:8000"},
        {"https://node-1", 443, "https://node-1"},
        {"https://node-1", 8443, "https://node-1:8443"},
        {"http://node-1/files", 8000, "http://node-1/files:8000"},
        {"http://node-1/files", 80, "http://node-1/files"},
        {"http://node-1:8123", 80, "http://node-1:8123"},
        {"http://node-1:8123", 8000, "http://node-1:8123:8000"},
        /* It only has to start with "http". */
        {"httpd-1", 8000, "httpd-1:8000"},
        {"ftp://node-1", 21, "http://ftp://node-1:21"},
        {"10.0.0.1", 8000, "http://10.0.0.1:8000"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char joined[SERVER_URL_SIZE];
        assert_true(server_url_join(cases[i].url, cases[i].port, joined, &problem));
        assert_string_equal(joined, cases[i].joined);
    }
}

static void a_url_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char url[SERVER_URL_SIZE], joined[SERVER_URL_SIZE];
    memset(url, 'x', sizeof url);
    url[SERVER_URL_SIZE - 1 - strlen("http://:8000")] = '\0';
    assert_true(server_url_join(url, 8000, joined, &problem));
    assert_int_equal(strlen(joined), METADATA_VALUE_BYTES_MAX);
    assert_false(server_url_join(url, 10000, joined, &problem));
    assert_string_equal(problem.field, "url");
}

static void host_and_port_are_what_can_be_dialled(void **state)
{
    (void)state;
    static const struct {
        const char *url, *host;
        uint16_t port;
    } cases[] = {
        {"node-1", "node-1", 8000},
        {"http://node-1", "node-1", 8000},
        {"https://node-1/files?x=1#y", "node-1", 8000},
        {"http://node-1:8123/files", "node-1", 8123},
        {"node-1:8123", "node-1", 8123},
        {"http://user:secret@node-1:8123", "node-1", 8123},
        {"http://[2001:db8::1]:8123", "2001:db8::1", 8123},
        {"http://[2001:db8::1]", "2001:db8::1", 8000},
        {"[::1]", "::1", 8000},
        {"::1", "::1", 8000},
        {"httpd-1", "httpd-1", 8000},
        {"http://node-1:", NULL, 0},
        {"http://node-1:x", NULL, 0},
        {"http://node-1:0", NULL, 0},
        {"http://node-1:65536", NULL, 0},
        {"http://[::1]x", NULL, 0},
        {"http://[::1", NULL, 0},
        {"http://[]", NULL, 0},
        {"", NULL, 0},
        {"http://", NULL, 0},
        {"http:///path", NULL, 0},
        {"http://:8000", NULL, 0},
        {"node 1", NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct server_address address;
        bool good = server_url_address(cases[i].url, 8000, &address, &problem);
        assert_int_equal(good, cases[i].host != NULL);
        if (good) {
            assert_string_equal(address.host, cases[i].host);
            assert_int_equal(address.port, cases[i].port);
        } else {
            assert_string_equal(problem.field, "url");
        }
    }
}

static void the_host_is_bounded(void **state)
{
    (void)state;
    char url[HOST_BYTES_MAX + 2];
    struct server_address address;
    memset(url, 'x', sizeof url);
    url[HOST_BYTES_MAX + 1] = '\0';
    assert_false(server_url_address(url, 1, &address, &problem));
    url[HOST_BYTES_MAX] = '\0';
    assert_true(server_url_address(url, 1, &address, &problem));
    assert_string_equal(address.host, url);
}

static void a_body_is_of_this_dialect_when_it_has_a_server_id(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum tbfs_body found;
    } cases[] = {
        {"{\"server_id\":\"a\",\"url\":\"h\"}", TBFS_BODY_GOOD},
        {"{\"name\":\"web\",\"port\":80,\"tags\":[\"server_id\"]}", TBFS_BODY_OTHER},
        {"{\"name\":\"web\",\"port\":80,\"metadata\":{\"server_id\":\"a\"}}", TBFS_BODY_OTHER},
        {"[\"server_id\"]", TBFS_BODY_BAD},
        {"\"server_id\" ", TBFS_BODY_BAD},
        {"{\"server_id\":", TBFS_BODY_BAD},
        {"{\"server_id\":null,\"url\":\"h\"}", TBFS_BODY_BAD},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buffer text = text_of(cases[i].json);
        assert_int_equal(parse(cases[i].json), cases[i].found);
        assert_true(tbfs_body_may_be(&text));
        buffer_done(&text);
    }
}

static void bodies_of_others_are_told_at_a_glance(void **state)
{
    (void)state;
    static const char *const others[] = {"",
                                         "{}",
                                         "{\"id\":\"web-1\"}",
                                         "{\"server_ids\":[]}",
                                         "{\"name\":\"web\",\"port\":80}",
                                         "server_id"};
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        struct buffer text = text_of(others[i]);
        assert_false(tbfs_body_may_be(&text));
        buffer_done(&text);
    }
}

static void a_server_becomes_an_instance_of_the_service(void **state)
{
    (void)state;
    assert_int_equal(with("\"url\":\"node-1\",\"port\":8123,\"ip\":\"10.0.0.1\""), TBFS_BODY_GOOD);
    memset(&command, 0xff, sizeof command);
    tbfs_registration_command(&body, "files", TTL_MS, REAP_AFTER_MS, &command);
    const struct registration *r = &command.register_.registration;
    assert_int_equal(command.kind, COMMAND_REGISTER);
    assert_true(command.register_.health_given);
    assert_int_equal(command.register_.health, HEALTH_PASSING);
    assert_int_equal(command.register_.incarnation, 0);
    assert_string_equal(r->id.data, "a");
    assert_string_equal(r->name.data, "files");
    assert_string_equal(r->host.data, "node-1");
    assert_int_equal(r->port, 8123);
    assert_int_equal(r->weight, 1);
    assert_int_equal(r->ttl_ms, TTL_MS);
    assert_int_equal(r->reap_after_ms, REAP_AFTER_MS);
    assert_int_equal(r->tags_count + r->type.len + r->zone.len, 0);
    assert_int_equal(r->metadata_count, 2);
    assert_string_equal(r->metadata[0].key.data, "ip");
    assert_string_equal(r->metadata[0].value.data, "10.0.0.1");
    assert_string_equal(r->metadata[1].key.data, "url");
    assert_string_equal(r->metadata[1].value.data, "http://node-1:8123");
}

static void what_may_be_absent_has_its_default(void **state)
{
    (void)state;
    static const char *const given[] = {"\"url\":\"h\"", "\"url\":\"h\",\"port\":null,\"ip\":null",
                                        "\"url\":\"h\",\"colour\":\"red\",\"health\":7"};
    for (size_t i = 0; i < ARRAY_LENGTH(given); i++) {
        assert_int_equal(with(given[i]), TBFS_BODY_GOOD);
        assert_string_equal(body.url, "http://h:8000");
        assert_null(body.ip.data);
        tbfs_registration_command(&body, "servers", TTL_MS, 0, &command);
        assert_int_equal(command.register_.registration.metadata_count, 1);
        assert_int_equal(command.register_.registration.reap_after_ms, 0);
    }
}

static void a_port_may_be_any_form_of_a_whole_number(void **state)
{
    (void)state;
    static const char *const good[] = {"8123", "8123.0", "\"8123\""};
    static const char *const bad[] = {"0",     "65536", "-1",   "8123.5", "\"\"",
                                      "\"x\"", "true",  "[80]", "1e300",  "\"65536\""};
    char members[64];
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        (void)snprintf(members, sizeof members, "\"url\":\"h\",\"port\":%s", good[i]);
        assert_int_equal(with(members), TBFS_BODY_GOOD);
        assert_int_equal(body.address.port, 8123);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        (void)snprintf(members, sizeof members, "\"url\":\"h\",\"port\":%s", bad[i]);
        assert_bad(with(members), "port");
    }
}

static void bad_fields_are_named(void **state)
{
    (void)state;
    assert_bad(with("\"port\":80"), "url");
    assert_bad(with("\"url\":7"), "url");
    assert_bad(with("\"url\":\"\""), "url");
    assert_bad(with("\"url\":\"a\\u0000b\""), "");
    assert_bad(with("\"url\":\"a\\nb\""), "url");
    assert_bad(with("\"url\":\"h\",\"ip\":7"), "ip");
    assert_bad(parse("{\"server_id\":7,\"url\":\"h\"}"), "server_id");
    assert_bad(parse("{\"server_id\":\"\",\"url\":\"h\"}"), "server_id");
    assert_bad(parse("{\"server_id\":\"..\",\"url\":\"h\"}"), "server_id");
}

static void a_heartbeat_needs_only_the_id(void **state)
{
    (void)state;
    struct tbfs_heartbeat beat;
    struct buffer text = text_of("{\"server_id\":\"a\",\"colour\":\"red\"}");
    assert_int_equal(tbfs_heartbeat_parse(&beat, &text, &problem), TBFS_BODY_GOOD);
    assert_string_equal(beat.server_id.data, "a");
    tbfs_heartbeat_done(&beat);
    buffer_done(&text);
}

static void times_have_no_offset_and_a_fraction_only_where_there_is_one(void **state)
{
    (void)state;
    static const struct {
        int64_t wall_ms;
        const char *text;
    } cases[] = {{1764339390441, "\"2025-11-28T14:16:30.441000\""},
                 {1764339390000, "\"2025-11-28T14:16:30\""},
                 {1764339390001, "\"2025-11-28T14:16:30.001000\""}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buffer out;
        buffer_init(&out, 64);
        struct json_out json = json_out_to(&out);
        tbfs_time_render(&json, cases[i].wall_ms);
        buffer_append_byte(&out, 0);
        assert_string_equal((const char *)out.data, cases[i].text);
        buffer_done(&out);
    }
}

static void active_is_what_is_discovered(void **state)
{
    (void)state;
    struct record record = {.declared = HEALTH_PASSING};
    assert_string_equal(tbfs_status(&record), "active");
    record.declared = HEALTH_WARNING;
    assert_string_equal(tbfs_status(&record), "active");
    record.declared = HEALTH_CRITICAL;
    assert_string_equal(tbfs_status(&record), "inactive");
    record.declared = HEALTH_PASSING;
    record.expired = true;
    assert_string_equal(tbfs_status(&record), "inactive");
    record.expired = false;
    record.maintenance = true;
    assert_string_equal(tbfs_status(&record), "inactive");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_gets_its_scheme_and_its_port),
        cmocka_unit_test(a_url_that_is_too_long_is_refused),
        cmocka_unit_test(host_and_port_are_what_can_be_dialled),
        cmocka_unit_test(the_host_is_bounded),
        cmocka_unit_test(a_body_is_of_this_dialect_when_it_has_a_server_id),
        cmocka_unit_test(bodies_of_others_are_told_at_a_glance),
        cmocka_unit_test(a_server_becomes_an_instance_of_the_service),
        cmocka_unit_test(what_may_be_absent_has_its_default),
        cmocka_unit_test(a_port_may_be_any_form_of_a_whole_number),
        cmocka_unit_test(bad_fields_are_named),
        cmocka_unit_test(a_heartbeat_needs_only_the_id),
        cmocka_unit_test(times_have_no_offset_and_a_fraction_only_where_there_is_one),
        cmocka_unit_test(active_is_what_is_discovered),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tbfs_registration_done(&body);
    return failed;
}
