#include "client/bench/bench.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/base/text.h"

#define REACHABLE_MS 3000
/* Preparing and removing: enough to keep the replicas busy, each step tried this often. */
#define PREPARE_CONNECTIONS 64
#define ATTEMPTS            3
/* Files that the process needs besides its connections. */
#define OTHER_FILES 64

struct run {
    const struct bench_options *options;
    struct target targets[TARGETS_MAX];
    struct target living[TARGETS_MAX]; /* those that respond */
    uint32_t living_count;
    struct work work;
    uint32_t refusal; /* the commonest status of what failed of the data last; 0: no answers */
};

static atomic_bool interrupted;

static void on_signal(int number)
{
    (void)number;
    atomic_store(&interrupted, true);
}

/* The second signal ends the process as if there were no handler. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    atomic_store(&interrupted, false);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

static bool allow_files(uint64_t connections)
{
    struct rlimit limit;
    uint64_t wanted = connections + OTHER_FILES;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return false;
    }
    if (limit.rlim_cur >= wanted) {
        return true;
    }
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= wanted;
}

static const char *find_fault(const struct bench_options *o)
{
    if (o->urls_count == 0 || o->urls_count > TARGETS_MAX) {
        return "too many replicas are given";
    }
    if (o->threads > o->connections) {
        return "--threads is more than --connections";
    }
    if (o->requests == 0 && o->duration_ms == 0) {
        return "--duration must not be 0 without --requests";
    }
    if (o->instances > WORK_INSTANCES_MAX / o->services) {
        return "--instances times --services is more than 100000000";
    }
    if (o->instances == 0 && o->kind != BENCH_REGISTER) {
        return "--instances must not be 0";
    }
    if (o->ttl_ms < TTL_MS_MIN || o->ttl_ms > TTL_MS_MAX || o->ttl_ms % 1000 != 0) {
        return "--ttl must be whole seconds from 1s to 24h";
    }
    if (o->reuse && o->prefix == NULL) {
        return "--reuse needs the --prefix of the data";
    }
    if (o->prefix != NULL &&
        (*o->prefix == '\0' || strlen(o->prefix) > WORK_PREFIX_BYTES_MAX ||
         strspn(o->prefix, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(o->prefix))) {
        return "--prefix must be up to 64 of a-z, 0-9 and -";
    }
    if (!allow_files(o->kind == BENCH_WATCH ? o->watchers + o->urls_count : o->connections)) {
        return "the connections are more files than the process may open (ulimit -n)";
    }
    return NULL;
}

static uint32_t random_number(void)
{
    uint32_t number;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number) {
        number = (uint32_t)clock_monotonic_ns();
    }
    return number;
}

static void make_work(struct run *run)
{
    const struct bench_options *o = run->options;
    static const enum work_kind kinds[] = {
        [BENCH_REGISTER] = WORK_REGISTER,
        [BENCH_HEARTBEAT] = WORK_HEARTBEAT,
        [BENCH_DISCOVER] = WORK_DISCOVER,
        [BENCH_WATCH] = WORK_REGISTER,
    };
    run->work = (struct work){
        .kind = kinds[o->kind],
        .headers = o->headers,
        .instances = o->instances * o->services,
        .services = o->services,
        .ttl_ms = o->ttl_ms,
        .batch = o->batch,
        .limit = o->limit,
        .revision = random_number() % 1000000,
        .linearizable = o->linearizable,
    };
    if (o->prefix != NULL) {
        (void)snprintf(run->work.prefix, sizeof run->work.prefix, "%s", o->prefix);
    } else {
        (void)snprintf(run->work.prefix, sizeof run->work.prefix, "bench-%08" PRIx32,
                       random_number());
    }
}

static struct load_options load_options_of(const struct run *run, const struct work *work)
{
    const struct bench_options *o = run->options;
    return (struct load_options){
        .work = work,
        .targets = run->targets,
        .targets_count = o->urls_count,
        .connections = o->connections,
        .threads = o->threads,
        .timeout_ms = o->timeout_ms,
        .stop = &interrupted,
    };
}

static void notice(const struct bench_options *o, const char *format, ...) PRINTF_LIKE(2, 3);

static void notice(const struct bench_options *o, const char *format, ...)
{
    char sentence[1024];
    va_list args;
    if (o->on_notice == NULL) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    o->on_notice(sentence);
}

/* Leaves out replicas that took nothing and failed, and names them, as long as there are others. */
static void drop_dead(struct run *run, const struct load_result *load)
{
    uint32_t kept = 0;
    bool dead[TARGETS_MAX] = {false};
    for (uint32_t i = 0; i < run->living_count; i++) {
        const struct load_target *target = &load->targets[i];
        dead[i] = target->succeeded == 0 && target->failed + target->connect_failures > 0;
        kept += !dead[i];
    }
    if (kept == 0) {
        return;
    }
    kept = 0;
    for (uint32_t i = 0; i < run->living_count; i++) {
        if (dead[i]) {
            notice(run->options, "http://%s does not respond", run->living[i].name);
        } else {
            run->living[kept++] = run->living[i];
        }
    }
    run->living_count = kept;
}

static uint32_t commonest_refusal(const struct load_result *load)
{
    uint32_t found = 0;
    for (uint32_t status = 300; status <= LOAD_STATUS_MAX; status++) {
        if (load->statuses[status] > (found > 0 ? load->statuses[found] : 0)) {
            found = status;
        }
    }
    return found;
}

/* Sends the work once for each of `count` numbers; again when some of it failed, which changes
 * nothing where it had been done. Returns how many failed at last. */
static uint64_t do_all(struct run *run, enum work_kind kind, uint64_t count, const char *progress,
                       const atomic_bool *stop)
{
    struct load_result *result = mem_alloc(sizeof *result);
    struct work work = run->work;
    uint64_t failed = count;
    work.kind = kind;
    for (int attempt = 0; attempt < ATTEMPTS && failed > 0 && count > 0; attempt++) {
        struct load_options load = load_options_of(run, &work);
        /* One that does not respond would cost each of its requests the timeout. */
        load.targets = run->living;
        load.targets_count = run->living_count;
        load.connections = count < PREPARE_CONNECTIONS ? (uint32_t)count : PREPARE_CONNECTIONS;
        if (load.connections < run->living_count) {
            load.connections = run->living_count;
        }
        if (run->living_count > 1 && load.timeout_ms > REACHABLE_MS) {
            load.timeout_ms = REACHABLE_MS;
        }
        load.threads = 1;
        load.requests = count;
        load.stop = stop;
        load.progress = run->options->progress ? progress : NULL;
        load_run(&load, result);
        drop_dead(run, result);
        failed = count - result->succeeded;
        run->refusal = commonest_refusal(result);
        if (kind == WORK_DEREGISTER) {
            /* What is not there need not be removed. */
            failed -= result->statuses[404];
        }
        if (stop != NULL && atomic_load(stop)) {
            break;
        }
    }
    free(result);
    return failed;
}

/* Names the replicas that failed under the load. */
static void name_failed(const struct run *run, const struct load_result *load)
{
    const struct bench_options *o = run->options;
    for (uint32_t i = 0; i < o->urls_count && o->urls_count > 1; i++) {
        const struct load_target *target = &load->targets[i];
        uint64_t failed = target->failed + target->unfinished;
        if (target->failed > 0 || target->connect_failures > 0 ||
            (target->succeeded == 0 && failed > 0)) {
            notice(o,
                   "%s: %" PRIu64 " requests succeeded, %" PRIu64 " did not, and %" PRIu64
                   " connections failed",
                   o->urls[i], target->succeeded, failed, target->connect_failures);
        }
    }
}

static void name_unwatched(const struct run *run, const struct watch_result *watch)
{
    for (uint32_t i = 0; i < run->living_count; i++) {
        if (watch->targets_ready[i] == 0 && run->options->watchers > i) {
            notice(run->options, "http://%s %s: none of its watchers is in place",
                   run->living[i].name, watch->refused > 0 ? "refuses" : "does not respond");
        }
    }
}

static enum bench_outcome measure(const struct run *run, struct bench_result *result, char *error,
                                  size_t error_size)
{
    const struct bench_options *o = run->options;
    struct load_options load = load_options_of(run, &run->work);
    load.requests = o->requests;
    load.duration_ms = o->duration_ms;
    load.warmup_ms = o->warmup_ms;
    load.rate = o->rate;
    load.progress = o->progress ? "measuring" : NULL;
    load_run(&load, &result->load);
    name_failed(run, &result->load);
    if (result->load.succeeded == 0) {
        (void)snprintf(error, error_size, "not one request succeeded");
        return BENCH_REFUSED;
    }
    return BENCH_DONE;
}

static enum bench_outcome measure_watch(const struct run *run, struct bench_result *result,
                                        char *error, size_t error_size)
{
    const struct bench_options *o = run->options;
    const struct watch_options watch = {
        .work = &run->work,
        .targets = run->living,
        .targets_count = run->living_count,
        .watchers = o->watchers,
        .stream = o->stream,
        .requests = o->requests,
        .duration_ms = o->duration_ms,
        .rate = o->rate,
        .timeout_ms = o->timeout_ms,
        .stop = &interrupted,
        .progress = o->progress,
    };
    watch_run(&watch, &result->watch);
    name_unwatched(run, &result->watch);
    if (result->watch.told == 0) {
        (void)snprintf(error, error_size, "no watcher was told of any write");
        return BENCH_REFUSED;
    }
    return BENCH_DONE;
}

static enum bench_outcome resolve(struct run *run, char *error, size_t error_size)
{
    const struct bench_options *o = run->options;
    bool reachable[TARGETS_MAX];
    for (uint32_t i = 0; i < o->urls_count; i++) {
        if (!target_resolve(o->urls[i], &run->targets[i], error, error_size)) {
            return BENCH_USAGE;
        }
    }
    target_probe(run->targets, o->urls_count, REACHABLE_MS, reachable);
    for (uint32_t i = 0; i < o->urls_count; i++) {
        if (reachable[i]) {
            run->living[run->living_count++] = run->targets[i];
        }
    }
    if (run->living_count == 0) {
        (void)snprintf(error, error_size, "no replica reachable");
        return BENCH_UNREACHABLE;
    }
    for (uint32_t i = 0; i < o->urls_count; i++) {
        if (!reachable[i]) {
            notice(o, "%s does not respond", o->urls[i]);
        }
    }
    return BENCH_DONE;
}

enum bench_outcome bench_run(const struct bench_options *options, struct bench_result *ret_result,
                             char *error, size_t error_size)
{
    struct run run = {.options = options};
    const char *fault = find_fault(options);
    enum bench_outcome outcome;
    if (fault != NULL) {
        (void)snprintf(error, error_size, "%s", fault);
        return BENCH_USAGE;
    }
    outcome = resolve(&run, error, error_size);
    if (outcome != BENCH_DONE) {
        return outcome;
    }
    make_work(&run);
    memset(ret_result, 0, sizeof *ret_result);
    memcpy(ret_result->prefix, run.work.prefix, sizeof ret_result->prefix);
    catch_signals();

    uint64_t made = options->reuse ? 0 : run.work.instances;
    uint64_t failed = do_all(&run, WORK_REGISTER, made, "preparing", &interrupted);
    if (failed > 0) {
        int len = snprintf(error, error_size,
                           "%" PRIu64 " of %" PRIu64
                           " instances could not be registered before the measurement",
                           failed, made);
        if (run.refusal > 0 && len > 0 && (size_t)len < error_size) {
            (void)snprintf(error + len, error_size - (size_t)len,
                           " (most were answered with %" PRIu32 ")", run.refusal);
        }
        outcome = BENCH_REFUSED;
    } else if (options->kind == BENCH_WATCH) {
        outcome = measure_watch(&run, ret_result, error, error_size);
    } else {
        outcome = measure(&run, ret_result, error, error_size);
    }
    if (options->kind == BENCH_REGISTER && run.work.instances == 0) {
        made = ret_result->load.numbers;
    }
    if (!options->keep && !options->reuse) {
        ret_result->left = do_all(&run, WORK_DEREGISTER, made, "removing", NULL);
    }
    return outcome;
}
