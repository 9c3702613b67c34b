/* What a Docker daemon says, as it was recorded of 20.10 and 28.2 and cut to what matters; and what
 * it must not be able to do by saying something else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/core/swarm_entry.h"
#include "api/swarm/docker.h"
#include "api/swarm/swarm_listing.h"
#include "api/swarm/swarm_record.h"
#include "api/swarm/swarm_stats.h"
#include "server/base/compiler.h"

static const struct swarm_labels labels = {.enabled = "autoscaler.enabled",
                                           .metric = "autoscaler.metric",
                                           .cpu_threshold = "autoscaler.cpu.threshold",
                                           .memory_threshold = "autoscaler.memory.threshold",
                                           .min = "autoscaler.min",
                                           .max = "autoscaler.max"};

#define SERVICE(id, name, labels, mode, rest)                                                      \
    "{\"ID\":\"" id "\",\"Version\":{\"Index\":14},"                                               \
    "\"CreatedAt\":\"2026-11-30T09:24:27.601475284Z\","                                            \
    "\"UpdatedAt\":\"2026-11-30T09:24:27.607754747Z\","                                            \
    "\"Spec\":{\"Name\":\"" name "\",\"Labels\":{" labels "},\"Mode\":{" mode "}}" rest "}"
#define REPLICATED(n) "\"Replicated\":{\"Replicas\":" #n "}"
#define TASK(id, service, state, wanted, rest)                                                     \
    "{\"ID\":\"" id "\",\"ServiceID\":\"" service                                                  \
    "\",\"Slot\":3,\"NodeID\":\"node1\",\"Status\":{\"State\":\"" state                            \
    "\",\"ContainerStatus\":{\"ContainerID\":\"66e770\"},\"PortStatus\":{}},\"DesiredState\":"     \
    "\"" wanted "\"" rest "}"
#define NODES                                                                                      \
    "[{\"ID\":\"node1\",\"Description\":{\"Hostname\":\"vm-1\"},\"Status\":{\"State\":\"ready\","  \
    "\"Addr\":\"192.168.0.7\"}}]"

#define NOW_MS 1796030670000 /* 2026-11-30T09:24:30Z */

static struct swarm_answer answer(const char *text)
{
    return (struct swarm_answer){text, strlen(text)};
}

static struct swarm_listing parse(const char *services, const char *tasks)
{
    struct swarm_listing listing;
    char error[200] = "";
    assert_true(swarm_listing_parse(&listing, &labels, NOW_MS, answer(services), answer(tasks),
                                    answer(NODES), error, sizeof error));
    return listing;
}

static void a_service_has_its_wishes(void **state UNUSED)
{
    struct swarm_listing l = parse(
        "[" SERVICE("s1", "web",
                    "\"autoscaler.enabled\":\"True\",\"autoscaler.cpu.threshold\":\"62.5\","
                    "\"autoscaler.min\":\"2\",\"team\":\"a\"",
                    REPLICATED(3), "") "," SERVICE("s2", "agent", "", "\"Global\":{}",
                                                   "") "," SERVICE("s3", "bad",
                                                                   "\"autoscaler.enabled\":"
                                                                   "\"true\",\"autoscaler.max\":"
                                                                   "\"many\"",
                                                                   REPLICATED(1), "") "]",
        "[]");
    assert_int_equal(l.services_count, 3);
    const struct swarm_service *s = swarm_listing_service(&l, "s1");
    assert_true(s->is_scaled);
    assert_string_equal(s->metric, "cpu");
    assert_int_equal(s->replicas, 3);
    assert_int_equal(s->min, 2);
    assert_int_equal(s->max, 3);
    assert_true(s->cpu_threshold == 62.5 && s->memory_threshold == 70);
    s = swarm_listing_service(&l, "s2");
    assert_false(s->is_scaled);
    assert_int_equal(s->replicas, 1);
    assert_int_equal(s->max, 2);
    assert_false(swarm_listing_service(&l, "s3")->is_scaled);
    assert_null(swarm_listing_service(&l, "s4"));
    swarm_listing_done(&l);
}

static void a_task_has_an_address(void **state UNUSED)
{
    static const char *const services = "[" SERVICE(
        "s1", "web", "", REPLICATED(3),
        ",\"Endpoint\":{\"Ports\":[{\"TargetPort\":80,\"PublishedPort\":8080,"
        "\"PublishMode\":\"ingress\"}]}") "," SERVICE("s2", "plain", "", REPLICATED(1),
                                                      "") "," SERVICE("s3", "told",
                                                                      "\"muster.port\":"
                                                                      "\"9000\"",
                                                                      REPLICATED(1), "") "]";
    struct swarm_listing l = parse(
        services, "[" TASK("t3", "s1", "running", "running",
                           ",\"NetworksAttachments\":[{\"Network\":{"
                           "\"Spec\":{\"Name\":\"ingress\","
                           "\"Ingress\":true}},\"Addresses\":[\"10.0.0."
                           "5/24\"]},{\"Network\":{\"Spec\":{"
                           "\"Name\":\"ov\"}},\"Addresses\":[\"10.0.1.9/"
                           "24\"]}]") ","
                                      "{\"ID\":\"t1\",\"ServiceID\":"
                                      "\"s1\",\"NodeID\":\"node1\","
                                      "\"DesiredState\":\"running\","
                                      "\"Status\":{\"State\":"
                                      "\"running\",\"PortStatus\":{"
                                      "\"Ports\":[{\"TargetPort\":80,"
                                      "\"PublishedPort\":32768,"
                                      "\"PublishMode\":\"host\"}]}}}"
                                      "," TASK("t2", "s1", "starting", "running", "") "," TASK(
                                          "t4", "s2", "running", "running",
                                          "") "," TASK("t5", "s3", "running", "running",
                                                       "") "," TASK("t6", "s1",
                                                                    "run"
                                                                    "nin"
                                                                    "g",
                                                                    "shu"
                                                                    "tdo"
                                                                    "wn",
                                                                    "") "]");
    const struct {
        const char *id, *host;
        uint16_t port;
        bool is_running;
    } wanted[] = {{"t1", "192.168.0.7", 32768, true}, /* of the node, for it alone */
                  {"t2", "192.168.0.7", 8080, false}, /* the routing mesh */
                  {"t3", "10.0.1.9", 80, true},       /* its own network */
                  {"t4", "192.168.0.7", SWARM_NO_PORT, true},
                  {"t5", "192.168.0.7", 9000, true}};
    assert_int_equal(l.tasks_count, ARRAY_LENGTH(wanted)); /* the one that goes is not there */
    assert_true(l.is_moving);
    for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
        const struct swarm_task *t = &l.tasks[i];
        assert_string_equal(t->id, wanted[i].id);
        assert_string_equal(t->host, wanted[i].host);
        assert_int_equal(t->port, wanted[i].port);
        assert_int_equal(t->is_running, wanted[i].is_running);
        assert_string_equal(t->zone, "vm-1");
        assert_ptr_equal(swarm_listing_task(&l, wanted[i].id), t);
    }
    swarm_listing_done(&l);
}

static uint16_t weight_since(const char *timestamp)
{
    static char tasks[512];
    (void)snprintf(tasks, sizeof tasks,
                   "[{\"ID\":\"t1\",\"ServiceID\":\"s1\",\"NodeID\":\"node1\","
                   "\"DesiredState\":\"running\",\"Status\":{\"State\":\"running\","
                   "\"Timestamp\":\"%s\"}}]",
                   timestamp);
    struct swarm_listing l = parse("[" SERVICE("s1", "web", "", REPLICATED(1), "") "]", tasks);
    assert_int_equal(l.tasks_count, 1);
    uint16_t weight = l.tasks[0].weight;
    assert_int_equal(l.is_moving, weight < SWARM_WEIGHT);
    swarm_listing_done(&l);
    return weight;
}

static void a_new_task_gets_its_share_little_by_little(void **state UNUSED)
{
    assert_int_equal(weight_since("2026-11-30T09:24:30.068974443Z"), SWARM_WEIGHT / 4);
    assert_int_equal(weight_since("2026-11-30T09:24:28Z"), SWARM_WEIGHT / 4);
    assert_int_equal(weight_since("2026-11-30T09:24:27Z"), SWARM_WEIGHT / 2);
    assert_int_equal(weight_since("2026-11-30T09:24:24Z"), SWARM_WEIGHT);
    assert_int_equal(weight_since("2026-11-29T09:24:24Z"), SWARM_WEIGHT);
    assert_int_equal(weight_since("2026-11-30T09:25:00Z"), SWARM_WEIGHT); /* a clock ahead */
    assert_int_equal(weight_since("yesterday"), SWARM_WEIGHT);
}

static void what_is_not_as_it_should_be_is_left_out(void **state UNUSED)
{
    struct swarm_listing l =
        parse("[1,{},null,{\"ID\":7},{\"ID\":\"x\",\"Spec\":[]},{\"ID\":\"\",\"Spec\":{\"Name\":"
              "\"a\"}}," SERVICE("s1", "web", "\"n\":7", REPLICATED(1), "") "]",
              "[1,{},{\"DesiredState\":\"running\"}," TASK("t1", "gone", "running", "running",
                                                           "") "," TASK("t2", "s1", "running",
                                                                        "running", "") "]");
    assert_int_equal(l.services_count, 1);
    assert_int_equal(l.tasks_count, 1);
    assert_int_equal(l.left_out, 6 + 2);
    swarm_listing_done(&l);
}

static void what_is_no_list_makes_nothing_gone(void **state UNUSED)
{
    static const char *const wrong[] = {"",   "{}", "[", "null", "{\"message\":\"no manager\"}",
                                        "[]x"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        for (unsigned which = 0; which < 3; which++) {
            struct swarm_listing l;
            char error[200] = "";
            assert_false(
                swarm_listing_parse(&l, &labels, NOW_MS, answer(which == 0 ? wrong[i] : "[]"),
                                    answer(which == 1 ? wrong[i] : "[]"),
                                    answer(which == 2 ? wrong[i] : "[]"), error, sizeof error));
            assert_non_null(strstr(error, "cannot be read"));
            swarm_listing_done(&l);
        }
    }
}

static void a_label_that_does_not_fit_is_left_out_and_counted(void **state UNUSED)
{
    static char services[8192];
    char value[600];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    (void)snprintf(services, sizeof services,
                   "[" SERVICE("s1", "web",
                               "\"autoscaler.enabled\":\"true\",\"long\":\"%s\","
                               "\"@cpu\":\"1\",\"\":\"e\"",
                               REPLICATED(1), "") "]",
                   value);
    struct swarm_listing l = parse(services, "[]");
    struct swarm_texts texts;
    struct registration r;
    size_t left_out = 0;
    assert_true(swarm_record_service(&l.services[0], &texts, &r, &left_out));
    assert_int_equal(left_out, 3);
    assert_int_equal(r.metadata_count, 9);
    swarm_listing_done(&l);
}

static void usage_is_the_difference_of_two_samples(void **state UNUSED)
{
#define STATS(total, system, cpus)                                                                 \
    "{\"read\":\"2026-11-30T09:24:53Z\",\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":" #total     \
    ",\"percpu_usage\":[1,2,3]},\"system_cpu_usage\":" #system cpus                                \
    "},\"memory_stats\":{\"usage\":331776}}"
    static const char first[] = STATS(1000, 100000, ",\"online_cpus\":2");
    static const char second[] = STATS(6000, 110000, ",\"online_cpus\":2");
    static const char third[] = STATS(6000, 120000, "");
    struct swarm_sample a, b, c;
    assert_true(swarm_sample_parse(&a, first, strlen(first)));
    assert_true(swarm_sample_parse(&b, second, strlen(second)));
    assert_true(swarm_sample_parse(&c, third, strlen(third)));
    assert_int_equal(a.memory, 331776);
    assert_int_equal(c.processors, 3);
    assert_true(swarm_sample_cpu(&a, &b) == 100); /* 5000 of 10000, of two */
    assert_true(swarm_sample_cpu(&b, &c) == 0);
    assert_true(swarm_sample_cpu(&b, &a) == 0); /* started again */
    assert_true(swarm_sample_cpu(NULL, &a) == 0);
    static const char *const wrong[] = {
        "", "{}", "[]", "{\"cpu_stats\":{}}", STATS(-1, 5, ""), STATS("1", 5, "")};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        assert_false(swarm_sample_parse(&a, wrong[i], strlen(wrong[i])));
    }
}

static void events_that_matter_are_told_from_others(void **state UNUSED)
{
    static const struct {
        bool matters;
        const char *text;
    } events[] = {
        {true, "{\"Type\":\"service\",\"Action\":\"update\",\"Actor\":{\"ID\":\"s\"}}"},
        {true, "{\"Type\":\"node\",\"Action\":\"update\"}"},
        {true, "{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"Attributes\":{"
               "\"com.docker.swarm.task.id\":\"t\"}}}"},
        {true, "{\"Type\":\"container\",\"Action\":\"health_status: healthy\",\"Actor\":{"
               "\"Attributes\":{\"com.docker.swarm.task.id\":\"t\"}}}"},
        {false, "{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"Attributes\":{}}}"},
        {false, "{\"Type\":\"container\",\"Action\":\"exec_start\",\"Actor\":{\"Attributes\":{"
                "\"com.docker.swarm.task.id\":\"t\"}}}"},
        {false, "{\"Type\":\"network\",\"Action\":\"connect\"}"},
        {false, "{\"Type\":7}"},
        {false, "[]"},
        {false, ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(events); i++) {
        assert_int_equal(docker_event_matters(events[i].text, strlen(events[i].text)),
                         events[i].matters);
    }
}

static void a_usage_is_read_as_it_was_written(void **state UNUSED)
{
    struct swarm_usage u;
    assert_true(swarm_usage_parse("12.5 331776 3 1796031524", &u));
    assert_true(u.cpu == 12.5 && u.memory == 331776 && u.containers == 3);
    assert_int_equal(u.taken_s, 1796031524);
    static const char *const wrong[] = {"", "1 2 3", "1 2 3 4 5", "1 2 0 4", "-1 2 3 4", "a b c d"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        assert_false(swarm_usage_parse(wrong[i], &u));
    }
}

static void the_url_of_a_daemon_is_checked(void **state UNUSED)
{
    char base[DOCKER_URL_SIZE], socket[DOCKER_URL_SIZE];
    assert_true(docker_url_parse("unix:///var/run/docker.sock", base, socket));
    assert_string_equal(socket, "/var/run/docker.sock");
    assert_true(docker_url_parse("tcp://10.0.0.1:2375", base, socket));
    assert_string_equal(base, "http://10.0.0.1:2375");
    assert_string_equal(socket, "");
    static const char *const wrong[] = {
        "", "unix://x", "/var/run/docker.sock", "tcp://", "tcp://a/b", "http://a@b", "https://a"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        assert_false(docker_is_url(wrong[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_service_has_its_wishes),
        cmocka_unit_test(a_task_has_an_address),
        cmocka_unit_test(a_new_task_gets_its_share_little_by_little),
        cmocka_unit_test(what_is_not_as_it_should_be_is_left_out),
        cmocka_unit_test(what_is_no_list_makes_nothing_gone),
        cmocka_unit_test(a_label_that_does_not_fit_is_left_out_and_counted),
        cmocka_unit_test(usage_is_the_difference_of_two_samples),
        cmocka_unit_test(events_that_matter_are_told_from_others),
        cmocka_unit_test(a_usage_is_read_as_it_was_written),
        cmocka_unit_test(the_url_of_a_daemon_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
