/* The simulator: see README.md. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/base/text.h"
#include "tests/mutants/mutant.h"
#include "tests/sim/checks.h"
#include "tests/sim/consensus_sim.h"
#include "tests/sim/deaths.h"
#include "tests/sim/faults.h"
#include "tests/sim/growth.h"
#include "tests/sim/member.h"
#include "tests/sim/net.h"
#include "tests/sim/operators.h"
#include "tests/sim/oracle.h"
#include "tests/sim/probes.h"
#include "tests/sim/rng.h"
#include "tests/sim/workload.h"
#include "tests/sim/world.h"

#define STEPS_DEFAULT  30000
#define FAULTS_NS      (40 * SECOND)
#define ELECTIONS_MOST 10 /* limit, in election timeouts, until it must serve */
#define SILENT_NS      (20 * SECOND)
#define SETTLE_NS      (9 * SECOND)
#define JOBS_MAX       64
#define WITHIN_MS      120000 /* of wall-clock time: a run takes a tenth of a second */
#define FORMING_NS     (4 * SECOND)

static uint64_t within_ms = WITHIN_MS;

/* --- one run --- */

static void begin_run(void)
{
    rng_seed(options.seed);
    if (options.replicas == 0) {
        options.replicas = rng_chance(700000) ? 3 : 5;
    }
    members_count = options.replicas;
    if (growth_is_on()) {
        unsigned all;
        operators_draw_growth(&options.replicas, &all);
        members_count = all;
    }
    member_install_clocks();
    for (size_t i = 0; i < members_count; i++) {
        member_init(&members[i], i + 1);
        members[i].outside = members[i].joins = i >= options.replicas;
    }
    faults_draw();
    net_init();
    for (size_t i = 0; i < members_count; i++) {
        member_start(&members[i]);
    }
}

/* Returns whether there is a cluster. If none was formed, a member has lost its directory or cannot
 * start with it: with an empty one they must form it. */
static void form_at_last(void)
{
    world_run(world_now_ns() + FORMING_NS, 0);
    if (checks_is_formed()) {
        return;
    }
    if (!faults_heal_unformed()) {
        world_violation("forms_when_all_are_there", "no cluster is formed");
    }
    world_run(world_now_ns() + FORMING_NS, 0);
    if (!checks_is_formed()) {
        world_violation("forms_when_all_are_there", "no cluster is formed, with empty directories");
    }
}

/* The founder lost the cluster again before it informed anybody: the others wait for it, as all
 * first members must be there. Nothing was acknowledged. */
static bool is_known_to_nobody(void)
{
    for (size_t i = 0; i < members_count; i++) {
        const struct sim_member *m = &members[i];
        if (m->damage == 0 && m->up && m->consensus->engine.running) {
            return false;
        }
    }
    return true;
}

/* False: there is no cluster to heal. */
static bool heal(void)
{
    faults_heal();
    if (!checks_is_formed()) {
        form_at_last();
    }
    if (oracle_acknowledged() == 0 && is_known_to_nobody()) {
        world_trace("the cluster is known to nobody");
        return false;
    }
    operators_stop();
    uint64_t healed_ns = world_now_ns();
    workload_probe();
    world_run(healed_ns + ELECTIONS_MOST * ELECTION_TIMEOUT_MS * MS * 10 / 9, 0);
    if (!workload_probed()) {
        world_violation("serves_after_healing",
                        "member %" PRIu64 " took no write within %d election timeouts",
                        workload_not_probed()->id, ELECTIONS_MOST);
    }
    operators_heal();
    versions_upgrade_all();
    healed_ns = world_now_ns();
    world_run(world_now_ns() + SILENT_NS, 0);
    workload_check_silent(healed_ns);
    probes_check_run();
    return true;
}

static void end_run(void)
{
    uint64_t term = checks_term();
    workload_end();
    world_run(world_now_ns() + SETTLE_NS, 0);
    checks_converged();
    probes_check_run();
    if (growth_is_on() && checks_term() != term) {
        world_violation("no_election_without_cause",
                        "term %" PRIu64 " after %" PRIu64 ", though all is healed", checks_term(),
                        term);
    }
    if (!growth_is_on()) {
        probes_take_over();
    }
    for (size_t i = 0; i < members_count; i++) {
        member_stop(&members[i]);
        world_run(world_now_ns() + rng_below(SECOND), 0);
    }
    world_run(world_now_ns() + (tuning.write_timeout_ms + 4000) * MS, 0);
    for (size_t i = 0; i < members_count; i++) {
        if (members[i].up) {
            world_violation("stops_in_time", "member %" PRIu64, members[i].id);
        }
    }
}

static void crashed(int signal_number)
{
    world_violation("does_not_crash", "signal %d", signal_number);
}

static void took_too_long(int signal_number UNUSED)
{
    signal(SIGALRM, SIG_DFL);
    (void)alarm(5); /* ends the process even if the report hangs */
    world_violation("ends_in_time", "more than %" PRIu64 " ms on the wall clock", within_ms);
}

/* A run that hangs ends, and is reported like any other violation. */
static void limit_run(void)
{
    struct sigaction action = {.sa_handler = took_too_long, .sa_flags = SA_NODEFER};
    struct itimerval limit = {.it_value = {.tv_sec = (time_t)(within_ms / 1000),
                                           .tv_usec = (suseconds_t)(within_ms % 1000 * 1000)}};
    if (sigaction(SIGALRM, &action, NULL) != 0 || setitimer(ITIMER_REAL, &limit, NULL) != 0) {
        perror("setitimer");
        exit(2);
    }
}

static int run(void)
{
    limit_run();
    printf("seed %" PRIu64 "\n", options.seed);
    signal(SIGABRT, crashed);
    signal(SIGSEGV, crashed);
    begin_run();
    workload_start();
    probes_start();
    faults_start();
    operators_start();
    world_run(FAULTS_NS, options.steps);
    if (heal()) {
        end_run();
    }
    world_verdict("clean");
    return 0;
}

/* --- many runs, each in a process of its own --- */

struct job {
    pid_t pid;
    int out;
    int figures;
    uint64_t seed;
};

static struct figures total;
static uint64_t runs_done, runs_broken;

static void start_job(struct job *job, uint64_t seed)
{
    int out[2];
    int numbers[2];
    if (pipe(out) != 0 || pipe(numbers) != 0) {
        perror("pipe");
        exit(2);
    }
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(2);
    }
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(numbers[0]);
        figures_fd = numbers[1];
        options.seed = seed;
        exit(run());
    }
    close(out[1]);
    close(numbers[1]);
    *job = (struct job){.pid = pid, .out = out[0], .figures = numbers[0], .seed = seed};
}

static void add_figures(int fd)
{
    struct figures one;
    if (read(fd, &one, sizeof one) == (ssize_t)sizeof one) {
#define X(name) total.name += one.name;
        FIGURES(X)
#undef X
    }
}

/* Prints the output of a broken run; the last line is its verdict. */
static void finish_job(struct job *job)
{
    char text[16384];
    size_t len = 0;
    ssize_t got;
    int status = 0;
    while (len < sizeof text - 1 && (got = read(job->out, text + len, sizeof text - 1 - len)) > 0) {
        len += (size_t)got;
    }
    text[len] = '\0';
    add_figures(job->figures);
    close(job->out);
    close(job->figures);
    while (waitpid(job->pid, &status, 0) < 0 && errno == EINTR) {
    }
    runs_done++;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        runs_broken++;
        printf("%s", text);
        if (WIFSIGNALED(status)) {
            printf("VIOLATION does_not_crash: signal %d seed=%" PRIu64 "\n", WTERMSIG(status),
                   job->seed);
        }
    }
    job->pid = 0;
}

static void print_totals(void)
{
#define X(name) printf("  %-20s %" PRIu64 "\n", #name, total.name);
    FIGURES(X)
#undef X
}

/* Starts no run later than `most_s` (0: no limit). */
static int run_many(uint64_t from, uint64_t to, unsigned jobs_count, bool stop_at_first,
                    uint64_t most_s)
{
    struct job jobs[JOBS_MAX] = {{0}};
    time_t begun = time(NULL);
    uint64_t next = from;
    unsigned slot = 0;
    printf("seeds %" PRIu64 "-%" PRIu64 "\n", from, to);
    for (uint64_t finished = 0; finished <= to - from; slot = (slot + 1) % jobs_count) {
        if (most_s > 0 && (uint64_t)(time(NULL) - begun) >= most_s && next <= to) {
            to = next - 1;
        }
        if (jobs[slot].pid != 0) {
            finish_job(&jobs[slot]);
            finished++;
            if (runs_done % 200 == 0) {
                printf("%" PRIu64 " runs, %" PRIu64 " broken, %" PRIu64
                       " simulated hours, %lld s\n",
                       runs_done, runs_broken, total.simulated_ms / 3600000,
                       (long long)(time(NULL) - begun));
                fflush(stdout);
            }
            if (stop_at_first && runs_broken > 0) {
                break;
            }
        }
        if (next <= to) {
            start_job(&jobs[slot], next++);
        }
    }
    print_totals();
    printf("%s runs=%" PRIu64 " broken=%" PRIu64 " seconds=%lld\n",
           runs_broken == 0 ? "clean" : "VIOLATION", runs_done, runs_broken,
           (long long)(time(NULL) - begun));
    return runs_broken > 0;
}

/* --- command line --- */

static NORETURN void usage(void)
{
    fprintf(stderr,
            "usage: muster_sim --seed N [--steps N] [--replicas 3|5] [--trace] [--mutant NAME]\n"
            "       muster_sim --seeds FROM-TO [--jobs N] [--stop-at-first] ...\n"
            "       muster_sim --fresh SECONDS [--jobs N] ...       seeds of this moment\n"
            "       muster_sim --deaths[=STEP] [--jobs N]           at every file call (or every "
            "STEPth)\n"
            "       muster_sim --list-mutants\n"
            "A run that takes longer than --within-ms N [%d] is broken; 0: no limit.\n",
            WITHIN_MS);
    exit(2);
}

static uint64_t number(const char *text)
{
    uint64_t value;
    if (!text_parse_u64(text, UINT64_MAX, &value)) {
        usage();
    }
    return value;
}

static void parse_range(const char *text, uint64_t *ret_from, uint64_t *ret_to)
{
    char from[24];
    const char *dash = strchr(text, '-');
    if (dash == NULL || (size_t)(dash - text) >= sizeof from) {
        usage();
    }
    memcpy(from, text, (size_t)(dash - text));
    from[dash - text] = '\0';
    *ret_from = number(from);
    *ret_to = number(dash + 1);
    if (*ret_to < *ret_from) {
        usage();
    }
}

int main(int argc, char *argv[])
{
    enum {
        SEED = 1,
        SEEDS,
        STEPS,
        REPLICAS,
        JOBS,
        TRACE,
        MUTANT,
        LIST_MUTANTS,
        STOP,
        FRESH,
        WITHIN,
        DEATHS
    };
    static const struct option list[] = {{"seed", required_argument, NULL, SEED},
                                         {"seeds", required_argument, NULL, SEEDS},
                                         {"steps", required_argument, NULL, STEPS},
                                         {"replicas", required_argument, NULL, REPLICAS},
                                         {"jobs", required_argument, NULL, JOBS},
                                         {"trace", no_argument, NULL, TRACE},
                                         {"mutant", required_argument, NULL, MUTANT},
                                         {"list-mutants", no_argument, NULL, LIST_MUTANTS},
                                         {"stop-at-first", no_argument, NULL, STOP},
                                         {"fresh", required_argument, NULL, FRESH},
                                         {"within-ms", required_argument, NULL, WITHIN},
                                         {"deaths", optional_argument, NULL, DEATHS},
                                         {0}};
    uint64_t from = 0;
    uint64_t to = 0;
    uint64_t jobs = 1;
    uint64_t most_s = 0;
    uint64_t step = 0; /* 0: do not enumerate deaths */
    bool stop_at_first = false;
    options.steps = STEPS_DEFAULT;
    for (int option; (option = getopt_long(argc, argv, "", list, NULL)) != -1;) {
        switch (option) {
        case SEED:
            options.seed = number(optarg);
            break;
        case SEEDS:
            parse_range(optarg, &from, &to);
            break;
        case STEPS:
            options.steps = number(optarg);
            break;
        case REPLICAS:
            options.replicas = (unsigned)number(optarg);
            break;
        case JOBS:
            jobs = number(optarg);
            break;
        case TRACE:
            options.trace = true;
            break;
        case MUTANT:
            options.mutant = optarg;
            break;
        case LIST_MUTANTS:
            mutant_list();
            return 0;
        case STOP:
            stop_at_first = true;
            break;
        case DEATHS:
            step = optarg != NULL ? number(optarg) : 1;
            break;
        case FRESH:
            most_s = number(optarg);
            from = (uint64_t)time(NULL) * 10000;
            to = from + 1000000;
            break;
        case WITHIN:
            within_ms = number(optarg);
            break;
        default:
            usage();
        }
    }
    if (optind != argc || jobs == 0 || jobs > JOBS_MAX ||
        (options.replicas != 0 && options.replicas != 3 && options.replicas != 5) ||
        (options.mutant != NULL && !mutant_choose(options.mutant))) {
        usage();
    }
    if (step > 0) {
        return deaths_enumerate((unsigned)jobs, (unsigned)step);
    }
    return to > 0 ? run_many(from, to, (unsigned)jobs, stop_at_first, most_s) : run();
}
