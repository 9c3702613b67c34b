/* The load generator: its options, and its figures on stdout. The engine is client/bench. */
#include "client/cli/commands.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/bench/bench.h"
#include "client/bench/report.h"
#include "client/bench/schedule.h"
#include "client/cli/output.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/base/text.h"

#define DURATION_MS_MAX (24ull * 3600 * 1000)
#define WATCH_RATE      5
/* A token and a namespace. */
#define HEADERS_BYTES_MAX 4096

const char cmd_bench_help[] =
    "KIND is what the requests are:\n"
    "  register       new instances; with --instances N, N of them changed in turn\n"
    "  heartbeat      leases renewed, --batch of them in one request\n"
    "  discover       listings of services, each of --instances instances\n"
    "  watch          how long after a write its --watchers know of it\n"
    "\n"
    "The instances that heartbeat and discover need are registered first, and all are removed at\n"
    "the end. Ctrl-C ends the load early, with its figures. Benchmarks share the replicas with\n"
    "their users: do not run them where people depend on the answers.\n"
    "\n"
    "  --connections N  kept open, over all replicas in turn [64]\n"
    "  --threads N      of the load generator [1]\n"
    "  --duration D     of the measurement [10s]; a second later what is under way is cut off\n"
    "  --requests N     ends after N requests; without --duration that is the only end\n"
    "  --warmup D       load before the measurement, not counted [0s]\n"
    "  --rate R         open loop: R requests a second, come what may\n"
    "  --instances N    of each service [register 0, heartbeat 1000, discover 10]\n"
    "  --services N     [register 100, heartbeat 1, discover 10]\n"
    "  --ttl D          of the instances [1h]\n"
    "  --batch N        ids in one heartbeat, up to 10000 [1]\n"
    "  --limit N        instances in one listing at most\n"
    "  --consistency C  of discover: stale (default) or linearizable\n"
    "  --watchers N     of one service, over all replicas in turn [100]\n"
    "  --via V          of watch: stream (default, GET /events) or poll (index and wait)\n"
    "  --prefix P       of all ids and service names [bench- and a random part]\n"
    "  --keep           leave the instances there\n"
    "  --reuse          take those that an earlier run with this --prefix has left there\n"
    "  --timeout D      of one request [10s]\n"
    "\n"
    "Closed loop (without --rate): each connection sends its next request when the last one was\n"
    "answered. It shows the most that the replicas can do. Its p99 understates stalls: while a\n"
    "replica stands still for a second nothing is sent to it, so one request is slow where a\n"
    "thousand would have been.\n"
    "Open loop (--rate R): requests are due at fixed times, and their latency counts from then,\n"
    "also while they wait for a free connection. That is what users would see at this rate.\n"
    "Find the most with a closed loop; then measure latency at half of it with an open one.\n"
    "\n"
    "How to read it:\n"
    "  succeeded        answered with 2xx; latency is of these\n"
    "  errors           all else that was sent: by status, broken off, timed out\n"
    "  late             open loop: sent 1 ms or more after they were due (counted in latency)\n"
    "  never sent       open loop: due, but no connection became free until the end\n"
    "  unfinished       under way a second after the end, and cut off\n"
    "  http://...       the same for each replica. One that does not respond is named on stderr;\n"
    "                   the data is prepared and removed without it\n"
    "  longest gap      the longest time in which no request succeeded\n"
    "  client CPU       what the load generator itself took; it shares the machine\n"
    "\n"
    "watch makes one write at a time, --rate a second [5] at most, and waits until all watchers\n"
    "have seen it. Times run from the write's acknowledgement; one that sees it earlier counts as "
    "0,\n"
    "so look at the time of the write, and from the write to the last watcher, as well.\n"
    "\n"
    "With MUSTER_TOKEN or MUSTER_TOKEN_FILE, read once, all requests show that token; with "
    "--namespace\n"
    "all of it happens there. Replicas are asked without TLS: https:// is refused.\n"
    "\n"
    "Examples:\n"
    "  muster bench discover\n"
    "  muster bench register --connections 256 --duration 30s --warmup 5s\n"
    "  muster bench heartbeat --instances 100000 --batch 1000 --rate 50\n"
    "  muster --server http://a:9000,http://b:9000 bench discover --consistency linearizable \\\n"
    "      --rate 2000 --output json\n"
    "  muster bench watch --watchers 1000 --requests 50\n";

static void on_notice(const char *sentence)
{
    cli_complain("%s", sentence);
}

/* Sets *value if the option is there. False after having complained. */
static bool take_number(const struct cli *cli, const char *name, uint64_t min, uint64_t max,
                        uint64_t *value)
{
    const char *text = args_get(&cli->args, name);
    uint64_t parsed;
    if (text == NULL) {
        return true;
    }
    if (!text_parse_u64(text, max, &parsed) || parsed < min) {
        cli_usage(cli, "--%s %s is not a number from %" PRIu64 " to %" PRIu64, name, text, min,
                  max);
        return false;
    }
    *value = parsed;
    return true;
}

static bool take_duration(const struct cli *cli, const char *name, uint64_t *value_ms)
{
    const char *text = args_get(&cli->args, name);
    uint64_t parsed_ms;
    if (text == NULL) {
        return true;
    }
    if (!text_parse_duration_ms(text, &parsed_ms) || parsed_ms > DURATION_MS_MAX) {
        cli_usage(cli, "--%s %s is not a duration up to 24h such as 500ms or 30s", name, text);
        return false;
    }
    *value_ms = parsed_ms;
    return true;
}

static bool take_kind(const struct cli *cli, struct bench_options *options)
{
    static const enum bench_kind kinds[] = {BENCH_REGISTER, BENCH_HEARTBEAT, BENCH_DISCOVER,
                                            BENCH_WATCH};
    const char *word = cli->args.words_count == 1 ? cli->args.words[0] : "";
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        if (strcmp(word, report_kind_name(kinds[i])) == 0) {
            options->kind = kinds[i];
            return true;
        }
    }
    cli_usage(cli, "bench needs one kind of load: register, heartbeat, discover or watch");
    return false;
}

static void set_defaults(const struct cli *cli, struct bench_options *options)
{
    static const struct {
        uint64_t instances, services;
    } data[] = {
        [BENCH_REGISTER] = {0, 100},
        [BENCH_HEARTBEAT] = {1000, 1},
        [BENCH_DISCOVER] = {10, 10},
        [BENCH_WATCH] = {1, 1},
    };
    options->instances = data[options->kind].instances;
    options->services = data[options->kind].services;
    options->timeout_ms = cli->timeout_ms;
    options->ttl_ms = 3600 * 1000;
    options->rate = options->kind == BENCH_WATCH ? WATCH_RATE : 0;
    options->duration_ms = args_get(&cli->args, "requests") != NULL ? 0 : 10000;
}

static bool take_consistency(const struct cli *cli, struct bench_options *options)
{
    const char *text = args_get(&cli->args, "consistency");
    options->linearizable = text != NULL && strcmp(text, "linearizable") == 0;
    if (text != NULL && !options->linearizable && strcmp(text, "stale") != 0) {
        cli_usage(cli, "--consistency %s is neither stale nor linearizable", text);
        return false;
    }
    return true;
}

static bool take_via(const struct cli *cli, struct bench_options *options)
{
    const char *text = args_get(&cli->args, "via");
    options->stream = text == NULL || strcmp(text, "stream") == 0;
    if (!options->stream && strcmp(text, "poll") != 0) {
        cli_usage(cli, "--via %s is neither stream nor poll", text);
        return false;
    }
    return true;
}

/* An option that would change nothing is a mistake. */
static bool check_kind(const struct cli *cli, const struct bench_options *options)
{
    static const struct {
        const char *name;
        enum bench_kind kind;
    } only[] = {
        {"batch", BENCH_HEARTBEAT}, {"limit", BENCH_DISCOVER}, {"consistency", BENCH_DISCOVER},
        {"watchers", BENCH_WATCH},  {"via", BENCH_WATCH},
    };
    static const char *const not_of_watch[] = {"connections", "threads", "warmup", "instances",
                                               "services"};
    for (size_t i = 0; i < ARRAY_LENGTH(not_of_watch); i++) {
        if (args_get(&cli->args, not_of_watch[i]) != NULL && options->kind == BENCH_WATCH) {
            cli_usage(cli, "--%s is not for bench watch", not_of_watch[i]);
            return false;
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(only); i++) {
        if (args_get(&cli->args, only[i].name) != NULL && options->kind != only[i].kind) {
            cli_usage(cli, "--%s is for bench %s", only[i].name, report_kind_name(only[i].kind));
            return false;
        }
    }
    return true;
}

/* False after having complained. */
static bool take_options(const struct cli *cli, struct bench_options *options)
{
    uint64_t connections = 64;
    uint64_t threads = 1;
    uint64_t batch = 1;
    uint64_t limit = 0;
    uint64_t watchers = 100;
    if (!take_kind(cli, options) || !check_kind(cli, options)) {
        return false;
    }
    set_defaults(cli, options);
    if (!take_number(cli, "connections", 1, LOAD_CONNECTIONS_MAX, &connections) ||
        !take_number(cli, "threads", 1, LOAD_THREADS_MAX, &threads) ||
        !take_number(cli, "requests", 1, UINT32_MAX, &options->requests) ||
        !take_number(cli, "rate", 1, SCHEDULE_RATE_MAX, &options->rate) ||
        !take_number(cli, "instances", 1, WORK_INSTANCES_MAX, &options->instances) ||
        !take_number(cli, "services", 1, WORK_INSTANCES_MAX, &options->services) ||
        !take_number(cli, "batch", 1, HEARTBEAT_IDS_MAX, &batch) ||
        !take_number(cli, "limit", 1, PAGE_LIMIT_MAX, &limit) ||
        !take_number(cli, "watchers", 1, LOAD_CONNECTIONS_MAX, &watchers) ||
        !take_duration(cli, "duration", &options->duration_ms) ||
        !take_duration(cli, "warmup", &options->warmup_ms) ||
        !take_duration(cli, "ttl", &options->ttl_ms) || !take_consistency(cli, options) ||
        !take_via(cli, options)) {
        return false;
    }
    options->connections = (uint32_t)connections;
    options->threads = (uint32_t)threads;
    options->batch = (uint32_t)batch;
    options->limit = (uint32_t)limit;
    options->watchers = (uint32_t)watchers;
    options->prefix = args_get(&cli->args, "prefix");
    options->reuse = args_get(&cli->args, "reuse") != NULL;
    options->keep = args_get(&cli->args, "keep") != NULL;
    options->progress = isatty(STDERR_FILENO) == 1;
    options->on_notice = on_notice;
    return true;
}

static void print_report(const struct cli *cli, const struct bench_options *options,
                         const struct bench_result *result)
{
    if (cli->json) {
        json_t *report = report_json(options, result);
        output_json(report);
        json_decref(report);
    } else {
        report_table(stdout, options, result);
    }
}

enum cli_exit cmd_bench(struct cli *cli)
{
    struct bench_options options = {.connections = 0};
    const char *urls[SERVERS_MAX];
    char error[512];
    if (!take_options(cli, &options)) {
        return CLI_USAGE;
    }
    for (size_t i = 0; i < cli->servers.count; i++) {
        urls[i] = cli->servers.urls[i];
    }
    struct bytes headers;
    bytes_init(&headers, HEADERS_BYTES_MAX);
    http_append_identity(&headers, cli->loop.shared);
    if (bytes_text(&headers) == NULL) {
        bytes_done(&headers);
        return cli_usage(cli, "MUSTER_TOKEN is too long for a token");
    }
    options.urls = urls;
    options.headers = bytes_text(&headers);
    options.urls_count = (uint32_t)cli->servers.count;
    struct bench_result *result = mem_zalloc(1, sizeof *result);
    enum cli_exit exit_status = CLI_DONE;
    switch (bench_run(&options, result, error, sizeof error)) {
    case BENCH_DONE:
        break;
    case BENCH_USAGE:
        exit_status = cli_usage(cli, "%s", error);
        break;
    case BENCH_REFUSED:
        exit_status = CLI_REFUSED;
        cli_complain("%s", error);
        break;
    case BENCH_UNREACHABLE:
        exit_status = CLI_UNREACHABLE;
        cli_complain("%s", error);
        break;
    }
    if (exit_status == CLI_DONE || result->load.sent > 0 || result->watch.writes > 0) {
        print_report(cli, &options, result);
    }
    if (result->left > 0) {
        cli_complain("%" PRIu64 " instances could not be removed; their ids begin with %s-",
                     result->left, result->prefix);
    }
    free(result);
    explicit_bzero(headers.data, headers.len); /* a token */
    bytes_done(&headers);
    return exit_status;
}
