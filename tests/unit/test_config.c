/* Options of musterd: precedence, bounds, contradictions, and the message of every refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/base/compiler.h"
#include "server/config.h"

#define ARGUMENTS_MAX 24

struct variable {
    const char *name;
    const char *value;
};

static struct variable variables[4];
static struct config config;
static char error[1024];

static const char *find_variable(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(variables) && variables[i].name != NULL; i++) {
        if (strcmp(variables[i].name, name) == 0) {
            return variables[i].value;
        }
    }
    return NULL;
}

static int clear_environment(void **state UNUSED)
{
    memset(variables, 0, sizeof variables);
    memset(&config, 0, sizeof config);
    error[0] = '\0';
    return 0;
}

/* Takes the arguments as one text, separated by spaces. */
static enum config_outcome load(const char *arguments)
{
    char text[8192];
    char *argv[ARGUMENTS_MAX] = {"musterd"};
    int argc = 1;
    char *rest = text, *word;
    assert_true((size_t)snprintf(text, sizeof text, "%s", arguments) < sizeof text);
    while ((word = strsep(&rest, " ")) != NULL && argc < ARGUMENTS_MAX) {
        if (*word != '\0') {
            argv[argc++] = word;
        }
    }
    return config_load(argc, argv, find_variable, &config, error, sizeof error);
}

static void assert_runs(const char *arguments)
{
    enum config_outcome outcome = load(arguments);
    if (outcome != CONFIG_RUN) {
        fail_msg("refused \"%s\": %s", arguments, error);
    }
}

static void assert_refused(const char *arguments, const char *expected)
{
    if (load(arguments) != CONFIG_INVALID) {
        fail_msg("accepted \"%s\"", arguments);
    }
    if (strstr(error, expected) == NULL || strchr(error, '\n') != NULL) {
        fail_msg("\"%s\": \"%s\" does not say \"%s\"", arguments, error, expected);
    }
}

/* Loads a configuration file with this content. `expected` NULL: it must be accepted. */
static void load_with_file(const char *content, const char *arguments, const char *expected)
{
    char path[] = "/tmp/test_config.XXXXXX", line[256];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
    (void)snprintf(line, sizeof line, "--config %s %s", path, arguments);
    if (expected == NULL) {
        assert_runs(line);
    } else {
        assert_refused(line, expected);
        assert_memory_equal(error, path, strlen(path));
    }
    unlink(path);
}

static void no_options_is_one_member_on_port_9000(void **state UNUSED)
{
    assert_runs("");
    assert_int_equal(config.id, 1);
    assert_string_equal(config.name, "muster-1");
    assert_string_equal(config.data, "./muster-data");
    assert_string_equal(config.http, "127.0.0.1:9000");
    assert_string_equal(config.peer, "127.0.0.1:9100");
    assert_string_equal(config.advertise_http, "127.0.0.1:9000");
    assert_string_equal(config.advertise_peer, "127.0.0.1:9100");
    assert_string_equal(config.cluster_secret, "");
    assert_false(config.cluster_given);
    assert_int_equal(config.members_count, 1);
    assert_int_equal(config.members[0].id, 1);
    assert_string_equal(config.members[0].address, "127.0.0.1:9100");
    assert_int_equal(config.ttl_ms, 30000);
    assert_int_equal(config.reap_after_ms, 60000);
    assert_int_equal(config.write_timeout_ms, 5000);
    assert_int_equal(config.election_timeout_ms, 400);
    assert_int_equal(config.heartbeat_interval_ms, 40);
    assert_int_equal(config.snapshot_log_bytes, SNAPSHOT_LOG_BYTES_DEFAULT);
    assert_int_equal(config.events_kept, EVENTS_KEPT_DEFAULT);
    assert_in_range(config.http_threads, 1, HTTP_THREADS_MAX);
    assert_int_equal(config.log_level, LOG_INFO);
    assert_int_equal(config.log_format, LOG_TEXT);
}

static void flags_take_both_forms(void **state UNUSED)
{
    assert_runs("--id 7 --name=a=b --data /d --ttl=90 --reap-after 0 --write-timeout 100ms "
                "--election-timeout=1s --heartbeat-interval 0.1 --http-threads 3 "
                "--http-connections 50 --http-connections-per-address=20 "
                "--log-level debug --log-format=json --cluster-secret 0123456789abcdef");
    assert_int_equal(config.id, 7);
    assert_string_equal(config.name, "a=b");
    assert_string_equal(config.data, "/d");
    assert_int_equal(config.ttl_ms, 90000);
    assert_int_equal(config.reap_after_ms, 0);
    assert_int_equal(config.write_timeout_ms, 100);
    assert_int_equal(config.election_timeout_ms, 1000);
    assert_int_equal(config.heartbeat_interval_ms, 100);
    assert_int_equal(config.http_threads, 3);
    assert_int_equal(config.http_connections, 50);
    assert_int_equal(config.http_connections_per_address, 20);
    assert_int_equal(config.log_level, LOG_DEBUG);
    assert_int_equal(config.log_format, LOG_JSON);
    assert_string_equal(config.cluster_secret, "0123456789abcdef");
}

static void last_of_a_repeated_flag_counts(void **state UNUSED)
{
    assert_runs("--id 7 --id=8");
    assert_int_equal(config.id, 8);
}

static void flag_beats_environment_beats_file_beats_default(void **state UNUSED)
{
    variables[0] = (struct variable){"MUSTER_ID", "2"};
    variables[1] = (struct variable){"MUSTER_TTL", "2s"};
    load_with_file("id = 3\nttl = 3s\nreap-after = 3s\n", "--id 1", NULL);
    assert_int_equal(config.id, 1);
    assert_int_equal(config.ttl_ms, 2000);
    assert_int_equal(config.reap_after_ms, 3000);
    assert_int_equal(config.write_timeout_ms, 5000);
}

static void heartbeat_timeout_is_the_ttl_unless_muster_ttl_is_set(void **state UNUSED)
{
    variables[0] = (struct variable){"HEARTBEAT_TIMEOUT", "45"};
    assert_runs("");
    assert_int_equal(config.ttl_ms, 45000);
    variables[1] = (struct variable){"MUSTER_TTL", "10s"};
    assert_runs("");
    assert_int_equal(config.ttl_ms, 10000);
}

static void empty_and_unknown_variables_are_ignored(void **state UNUSED)
{
    variables[0] = (struct variable){"MUSTER_ID", ""};
    variables[1] = (struct variable){"MUSTER_NO_SUCH_THING", "1"};
    assert_runs("");
    assert_int_equal(config.id, 1);
}

static void bad_variable_is_named(void **state UNUSED)
{
    variables[0] = (struct variable){"MUSTER_HTTP_THREADS", "many"};
    assert_refused("", "MUSTER_HTTP_THREADS: ");
    variables[0] = (struct variable){"HEARTBEAT_TIMEOUT", "0"};
    assert_refused("", "HEARTBEAT_TIMEOUT: ");
    variables[0] = (struct variable){"MUSTER_JOIN", "nonsense://a:9000"};
    assert_refused("", "MUSTER_JOIN: ");
}

static void values_out_of_bounds_are_refused(void **state UNUSED)
{
    static const struct {
        const char *flag, *bad[6], *good[3];
    } cases[] = {
        {"--id", {"0", "-1", "9223372036854775808", "1x"}, {"1", "9223372036854775807"}},
        {"--ttl", {"999ms", "86401s", "5x", "-1"}, {"1s", "24h"}},
        {"--reap-after", {"1ms", "999ms", "169h", "x"}, {"0", "1s", "168h"}},
        {"--write-timeout", {"99ms", "301s"}, {"100ms", "5m"}},
        {"--election-timeout", {"49ms", "61s"}, {"50ms", "60s"}},
        {"--heartbeat-interval", {"4ms", "31s", "201ms", "0"}, {"5ms", "200ms"}},
        {"--http-threads", {"0", "65", "x"}, {"1", "64"}},
        {"--http-connections", {"3", "16385", "x"}, {"4", "16384"}},
        {"--http-connections-per-address", {"0", "16385", "x"}, {"1", "16384"}},
        {"--snapshot-log-bytes",
         {"65535", "65GiB", "1MB", "KiB", "0.5GiB", "99999999999999999999999999"},
         {"65536", "64KiB", "64GiB"}},
        {"--allow-host", {"", "a:80", "http://a", "a,,b", "a,", "*,a"}, {"*", "a.example,b"}},
        {"--cors",
         {"", "a.example", "ftp://a", "http://a/", "https://", "http://a:x"},
         {"*", "https://a.example,http://b:8080", "http://[::1]"}},
#ifdef MUSTER_PROBER
        {"--checks-allow",
         {"", "all", "10.0.0.0/33", "instance,off", "any,", "a.example"},
         {"off", "any", "instance,10.0.0.0/8,2001:db8::/32"}},
#endif
        {"--log-level", {"loud", "INFO"}, {"error", "warn"}},
        {"--log-format", {"xml"}, {"text", "json"}},
        {"--http", {"9000", "host", "host:0", "host:65536", "::1:9000"}, {":9000", "[::1]:9000"}},
        {"--peer", {"", "a/b:1"}, {"[::]:9100", "localhost:1"}},
        {"--advertise-http", {":9000", "0.0.0.0:9000", "[::]:9000"}, {"a.example:80"}},
        {"--advertise-peer", {":9100", "0.0.0.0:9100", "[0:0::0]:1"}, {"[fe80::1]:80"}},
        {"--name", {"\x1b[m", "\xff"}, {"n\xc3\xa4me"}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char line[256], named[64];
        (void)snprintf(named, sizeof named, "%s: ", cases[i].flag);
        for (size_t k = 0; k < 6 && cases[i].bad[k] != NULL; k++) {
            (void)snprintf(line, sizeof line, "%s=%s", cases[i].flag, cases[i].bad[k]);
            /* The one bound that depends on another option names both. */
            assert_refused(line, strcmp(cases[i].bad[k], "201ms") == 0 ? "half of" : named);
        }
        for (size_t k = 0; k < 3 && cases[i].good[k] != NULL; k++) {
            (void)snprintf(line, sizeof line, "%s=%s", cases[i].flag, cases[i].good[k]);
            assert_runs(line);
        }
    }
}

static void texts_have_a_longest_length(void **state UNUSED)
{
    static const struct {
        const char *flag;
        int max;
    } cases[] = {{"--name", NAME_BYTES_MAX},
                 {"--data", CONFIG_TEXT_MAX - 1},
                 {"--cluster-secret", SECRET_BYTES_MAX}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char line[CONFIG_TEXT_MAX + 64];
        (void)snprintf(line, sizeof line, "%s=%0*d", cases[i].flag, cases[i].max, 0);
        assert_runs(line);
        (void)snprintf(line, sizeof line, "%s=%0*d", cases[i].flag, cases[i].max + 1, 0);
        assert_refused(line, cases[i].flag);
        (void)snprintf(line, sizeof line, "%s=", cases[i].flag);
        assert_refused(line, "must not be empty");
    }
}

static void secret_is_never_quoted(void **state UNUSED)
{
    assert_refused("--cluster-secret=hush\x01hush-hush-hush", "--cluster-secret: ");
    assert_null(strstr(error, "hush"));
}

static void short_secret_is_refused_with_how_to_make_one(void **state UNUSED)
{
    assert_refused("--cluster-secret=hush-hush-hush-", "--cluster-secret: ");
    assert_null(strstr(error, "hush"));
    assert_non_null(strstr(error, "16 to 256 bytes"));
    assert_non_null(strstr(error, "head -c 24 /dev/urandom | base64"));
    variables[0] = (struct variable){"MUSTER_CLUSTER_SECRET", "x"};
    assert_refused("", "MUSTER_CLUSTER_SECRET: ");
    load_with_file("cluster-secret = 0123456789abcde\n", "--cluster-secret 0123456789abcdef",
                   "cluster-secret: ");
}

static void sizes_have_binary_units(void **state UNUSED)
{
    assert_runs("--snapshot-log-bytes 3MiB");
    assert_int_equal(config.snapshot_log_bytes, 3 << 20);
    assert_runs("--snapshot-log-bytes 100000");
    assert_int_equal(config.snapshot_log_bytes, 100000);
    assert_runs("--snapshot-log-bytes 64GiB");
    assert_int_equal(config.snapshot_log_bytes, 64ull << 30);
}

static void command_line_mistakes_are_refused(void **state UNUSED)
{
    assert_refused("--frobnicate", "unknown option \"--frobnicate\"");
    assert_refused("--frobnicate=1", "unknown option");
    assert_refused("serve", "unknown option \"serve\"");
    assert_refused("--", "unknown option");
    assert_refused("--id", "--id: needs a value");
    assert_refused("--id --name x", "--id: needs a value");
    assert_refused("--join nonsense://a:9000", "--join: ");
    assert_refused("--join http://a:9000 --cluster 1=a:9100", "give only one of them");
    assert_refused("--voters 4", "--voters: ");
}

static void one_that_joins_has_no_id_unless_it_is_given(void **state UNUSED)
{
    assert_runs("--join a:9000,http://b:9000");
    assert_int_equal(config.join.count, 2);
    assert_string_equal(config.join.urls[0], "http://a:9000");
    assert_false(config.id_given);
    config_set_id(&config, 7);
    assert_string_equal(config.name, "muster-7");
    assert_runs("--join a:9000 --id 4 --name four");
    assert_true(config.id_given);
    config_set_id(&config, 4);
    assert_string_equal(config.name, "four");
}

static void file_takes_comments_blanks_and_spaces(void **state UNUSED)
{
    load_with_file("# a comment\n\n  \t\n id=9\t# mine\r\nname =  big web#1  \n"
                   "cluster-secret = a=b a secret for tests\nlog-level = warn",
                   "", NULL);
    assert_int_equal(config.id, 9);
    assert_string_equal(config.name, "big web#1");
    assert_string_equal(config.cluster_secret, "a=b a secret for tests");
    assert_int_equal(config.log_level, LOG_WARN);
}

static void a_secret_may_be_in_a_file(void **state UNUSED)
{
    char arguments[200];
    char path[] = "/tmp/muster-test-secret-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "a secret for tests\nmore\n", 24), 24);
    (void)snprintf(arguments, sizeof arguments, "--cluster-secret-file %s", path);
    assert_runs(arguments);
    assert_string_equal(config.cluster_secret, "a secret for tests");
    (void)snprintf(arguments, sizeof arguments,
                   "--cluster-secret-file %s --cluster-secret 0123456789abcdef", path);
    assert_refused(arguments, "only one of --cluster-secret and --cluster-secret-file");
    assert_int_equal(ftruncate(fd, 15), 0);
    (void)snprintf(arguments, sizeof arguments, "--cluster-secret-file %s", path);
    assert_refused(arguments, "its first line must be printable and of 16 to 256 bytes");
    assert_int_equal(unlink(path), 0);
    assert_refused(arguments, "cannot be read: No such file");
    assert_int_equal(close(fd), 0);
}

static void file_mistakes_name_the_line(void **state UNUSED)
{
    load_with_file("id = 1\nport = 3\n", "", ":2: unknown key \"port\"");
    load_with_file("id = 1\n\nid = 2\n", "", ":3: id is already set in line 1");
    load_with_file("id\n", "", ":1: not of the form key = value");
    load_with_file("ttl = soon\n", "", ":1: ttl: \"soon\"");
    load_with_file("ttl =\n", "", ":1: ttl: ");
    load_with_file("--id = 1\n", "", ":1: unknown key");
    load_with_file("config = other\n", "", ":1: a configuration file cannot name another");
    load_with_file("join = nonsense://a:9000\n", "", ":1: join: ");
    /* Refused even if a flag would take precedence. */
    load_with_file("id = x\n", "--id 1", ":1: id: ");
}

static void file_with_an_endless_line_is_refused(void **state UNUSED)
{
    static char content[20000];
    memset(content, 'x', sizeof content - 1);
    load_with_file(content, "", ":1: longer than");
}

static void file_that_cannot_be_read_is_refused(void **state UNUSED)
{
    assert_refused("--config /no/such/file", "/no/such/file: ");
    assert_refused("--config /", "/: ");
    variables[0] = (struct variable){"MUSTER_CONFIG", "/no/such/file"};
    assert_refused("", "/no/such/file: ");
}

static void cluster_is_sorted_by_id(void **state UNUSED)
{
    assert_runs("--id 2 --cluster 3=c:9100,1=a:9100,2=[::1]:9100");
    assert_true(config.cluster_given);
    assert_int_equal(config.members_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(config.members[i].id, i + 1);
    }
    assert_string_equal(config.members[1].address, "[::1]:9100");
}

static void cluster_mistakes_are_refused(void **state UNUSED)
{
    static const struct {
        const char *list, *expected;
    } cases[] = {
        {"2=a:1,3=b:1", "does not list this member, --id 1"},
        {"1=a:1,1=b:1", "member 1 is listed twice"},
        {"1=a:1,2=a:1", "a:1 is listed twice"},
        {"1=a:1,", "is not a member"},
        {"1=a:1,,2=b:1", "is not a member"},
        {"0=a:1", "is not a member"},
        {"a:1", "is not a member"},
        {"99999999999999999999999999=a:1", "is not a member"},
        {"1=a", "is not an address"},
        {"1=:9100", "has no host"},
        {"1=0.0.0.0:9100", "has no host"},
        {"1=a:1,2=a:2,3=a:3,4=a:4,5=a:5,6=a:6,7=a:7,8=a:8,9=a:9,10=a:10", "more than 9 members"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char line[256];
        (void)snprintf(line, sizeof line, "--cluster=%s", cases[i].list);
        assert_refused(line, cases[i].expected);
    }
    assert_refused("--cluster=", "is not a member");
}

static void wildcard_listener_advertises_the_address_in_the_cluster(void **state UNUSED)
{
    assert_runs("--id 2 --http :9000 --peer 0.0.0.0:9100 --cluster 1=a:9101,2=b:9102");
    assert_string_equal(config.advertise_peer, "b:9102");
    assert_string_equal(config.advertise_http, "b:9000");
    assert_runs("--http [::]:9000 --peer [::]:9100 --cluster 1=[fe80::1]:9101");
    assert_string_equal(config.advertise_peer, "[fe80::1]:9101");
    assert_string_equal(config.advertise_http, "[fe80::1]:9000");
}

static void advertised_address_beats_all_others(void **state UNUSED)
{
    assert_runs("--http :9000 --peer :9100 --cluster 1=a:9101 --advertise-peer p:1 "
                "--advertise-http h:2");
    assert_string_equal(config.advertise_peer, "p:1");
    assert_string_equal(config.advertise_http, "h:2");
    assert_runs("--peer :9100 --advertise-peer p:1");
    assert_string_equal(config.members[0].address, "p:1");
}

static void concrete_listener_advertises_itself(void **state UNUSED)
{
    assert_runs("--http 10.0.0.1:80 --peer 10.0.0.1:81");
    assert_string_equal(config.advertise_peer, "10.0.0.1:81");
    assert_false(config.peer_given);
    assert_runs("--http 10.0.0.1:80 --peer 10.0.0.1:81 --cluster 1=a:9101");
    assert_string_equal(config.advertise_peer, "a:9101");
    assert_true(config.peer_given);
    assert_string_equal(config.advertise_http, "10.0.0.1:80");
}

static void wildcard_listener_alone_advertises_the_machine(void **state UNUSED)
{
    char host[256];
    assert_runs("--http :9000");
    assert_int_equal(gethostname(host, sizeof host), 0);
    assert_memory_equal(config.advertise_http, host, strlen(host));
    assert_string_equal(config.advertise_http + strlen(host), ":9000");
}

static void one_port_for_both_listeners_is_a_contradiction(void **state UNUSED)
{
    assert_refused("--http a:9000 --peer a:9000", "overlap: use different ports");
    assert_refused("--http :9000 --peer a:9000", "overlap: use different ports");
    assert_runs("--http 127.0.0.1:9000 --peer 127.0.0.2:9000");
}

static void heartbeat_interval_follows_a_short_election_timeout(void **state UNUSED)
{
    assert_runs("--election-timeout 50ms");
    assert_int_equal(config.heartbeat_interval_ms, 5);
    assert_refused("--election-timeout 100ms --heartbeat-interval 51ms",
                   "--heartbeat-interval (51ms) must be at most half of --election-timeout");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, clear_environment)
    const struct CMUnitTest tests[] = {
        TEST(no_options_is_one_member_on_port_9000),
        TEST(flags_take_both_forms),
        TEST(last_of_a_repeated_flag_counts),
        TEST(flag_beats_environment_beats_file_beats_default),
        TEST(heartbeat_timeout_is_the_ttl_unless_muster_ttl_is_set),
        TEST(empty_and_unknown_variables_are_ignored),
        TEST(bad_variable_is_named),
        TEST(values_out_of_bounds_are_refused),
        TEST(texts_have_a_longest_length),
        TEST(secret_is_never_quoted),
        TEST(short_secret_is_refused_with_how_to_make_one),
        TEST(sizes_have_binary_units),
        TEST(command_line_mistakes_are_refused),
        TEST(one_that_joins_has_no_id_unless_it_is_given),
        TEST(file_takes_comments_blanks_and_spaces),
        TEST(a_secret_may_be_in_a_file),
        TEST(file_mistakes_name_the_line),
        TEST(file_with_an_endless_line_is_refused),
        TEST(file_that_cannot_be_read_is_refused),
        TEST(cluster_is_sorted_by_id),
        TEST(cluster_mistakes_are_refused),
        TEST(wildcard_listener_advertises_the_address_in_the_cluster),
        TEST(advertised_address_beats_all_others),
        TEST(concrete_listener_advertises_itself),
        TEST(wildcard_listener_alone_advertises_the_machine),
        TEST(one_port_for_both_listeners_is_a_contradiction),
        TEST(heartbeat_interval_follows_a_short_election_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
