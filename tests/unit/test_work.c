/* The load generator's requests, byte for byte where it matters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "client/bench/work.h"

static struct work example(enum work_kind kind)
{
    return (struct work){.kind = kind,
                         .headers = "",
                         .prefix = "p",
                         .instances = 10,
                         .services = 3,
                         .ttl_ms = 30000,
                         .batch = 4,
                         .revision = 7};
}

static char *write_text(const struct work *work, uint64_t number)
{
    struct buffer body, out;
    buffer_init(&body, 1 << 20);
    buffer_init(&out, 1 << 20);
    work_write(work, number, "h:1", &body, &out);
    buffer_append_byte(&out, 0);
    buffer_done(&body);
    size_t len;
    return (char *)buffer_take(&out, &len);
}

/* The JSON after the head, whose Content-Length must match. */
static json_t *write_body(const struct work *work, uint64_t number, const char *head)
{
    char *text = write_text(work, number);
    assert_memory_equal(text, head, strlen(head));
    char *body = strstr(text, "\r\n\r\n") + 4;
    assert_int_equal(strtoul(strstr(text, "Content-Length: ") + 16, NULL, 10), strlen(body));
    json_t *json = json_loads(body, 0, NULL);
    assert_non_null(json);
    free(text);
    return json;
}

static void assert_member(const json_t *json, const char *name, const char *expected)
{
    assert_string_equal(json_string_value(json_object_get(json, name)), expected);
}

static void registration_names_instance_and_service(void **state)
{
    (void)state;
    struct work work = example(WORK_REGISTER);
    json_t *json = write_body(&work, 5, "POST /register HTTP/1.1\r\nHost: h:1\r\n");
    assert_member(json, "id", "p-5");
    assert_member(json, "name", "p-s2");
    assert_member(json, "host", "10.0.0.5");
    assert_int_equal(json_integer_value(json_object_get(json, "ttl")), 30);
    assert_member(json_object_get(json, "metadata"), "revision", "7");
    json_decref(json);
}

static void second_round_changes_the_same_instances(void **state)
{
    (void)state;
    struct work work = example(WORK_REGISTER);
    json_t *json = write_body(&work, 15, "POST /register");
    assert_member(json, "id", "p-5");
    assert_member(json_object_get(json, "metadata"), "revision", "8");
    json_decref(json);
}

static void registrations_without_a_number_of_instances_are_all_new(void **state)
{
    (void)state;
    struct work work = example(WORK_REGISTER);
    work.instances = 0;
    json_t *json = write_body(&work, 123456789, "POST /register");
    assert_member(json, "id", "p-123456789");
    assert_member(json_object_get(json, "metadata"), "revision", "7");
    json_decref(json);
}

static void heartbeats_in_batches_reach_each_instance_once_a_round(void **state)
{
    (void)state;
    struct work work = example(WORK_HEARTBEAT);
    int seen[10] = {0};
    assert_int_equal(work_round(&work), 3);
    for (uint64_t number = 3; number < 6; number++) {
        json_t *json = write_body(&work, number, "POST /heartbeat HTTP/1.1\r\n");
        json_t *ids = json_object_get(json, "ids");
        for (size_t i = 0; i < json_array_size(ids); i++) {
            seen[strtoul(json_string_value(json_array_get(ids, i)) + 2, NULL, 10)]++;
        }
        json_decref(json);
    }
    for (int i = 0; i < 10; i++) {
        assert_int_equal(seen[i], 1);
    }
}

static void heartbeat_of_one_is_the_single_kind(void **state)
{
    (void)state;
    struct work work = example(WORK_HEARTBEAT);
    work.batch = 1;
    json_t *json = write_body(&work, 12, "POST /heartbeat");
    assert_member(json, "id", "p-2");
    assert_null(json_object_get(json, "ids"));
    json_decref(json);
}

static void reads_and_removals_are_one_line(void **state)
{
    (void)state;
    struct work work = example(WORK_DISCOVER);
    char *text = write_text(&work, 4);
    assert_string_equal(text, "GET /services/p-s1 HTTP/1.1\r\nHost: h:1\r\n\r\n");
    free(text);
    work.linearizable = true;
    work.limit = 10;
    text = write_text(&work, 4);
    assert_string_equal(text, "GET /services/p-s1?consistency=linearizable&limit=10 HTTP/1.1\r\n"
                              "Host: h:1\r\n\r\n");
    free(text);
    work = example(WORK_DEREGISTER);
    text = write_text(&work, 4);
    assert_string_equal(text, "DELETE /instances/p-4 HTTP/1.1\r\nHost: h:1\r\n\r\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registration_names_instance_and_service),
        cmocka_unit_test(second_round_changes_the_same_instances),
        cmocka_unit_test(registrations_without_a_number_of_instances_are_all_new),
        cmocka_unit_test(heartbeats_in_batches_reach_each_instance_once_a_round),
        cmocka_unit_test(heartbeat_of_one_is_the_single_kind),
        cmocka_unit_test(reads_and_removals_are_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
