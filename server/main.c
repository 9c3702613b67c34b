/* The process: options -> node -> API -> wait for a signal -> stop in reverse (server/README.md).
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/core/audit.h"
#include "api/core/door.h"
#include "api/core/rate_limit.h"
#include "server/base/compiler.h"
#include "server/base/limits.h"
#include "server/base/log.h"
#include "server/base/process.h"
#include "server/bootstrap.h"
#include "server/certificates.h"
#include "server/config.h"
#include "server/exposure_log.h"
#include "server/join.h"
#include "server/node/node.h"
#include "server/node/probe.h"
#include "server/notify.h"
#include "server/offline.h"

#define ERROR_SIZE            1024
#define STOP_PATIENCE_SECONDS 10 /* on top of two write timeouts */
#define GRPC_SHARE            16 /* likewise of the port of gRPC */
#define DNS_SHARE             16 /* of the descriptors, at most */
#define REFRESH_SECONDS       5  /* how often certificate files are checked for changes */

enum { EXIT_STOPPED = 0, EXIT_NOT_STARTED = 1, EXIT_USAGE = 2 };

static const char *find_variable(const char *name)
{
    return getenv(name);
}

/* Installed only while stopping: a second signal ends the process at once. */
static void exit_at_once(int signal_number)
{
    _exit(128 + signal_number);
}

static const int stop_signals[] = {SIGTERM, SIGINT};
/* Sent by a closing terminal, `systemctl reload` or log rotation: no reason to end. SIGHUP reads
 * files again (take_signal). */
static const int noted_signals[] = {SIGHUP, SIGUSR1, SIGUSR2};
/* The failing write already returns an error: EPIPE when the client left, EFBIG over the file size
 * limit. */
static const int ignored_signals[] = {SIGPIPE, SIGXFSZ};

static void add_signals(sigset_t *set, const int *signals, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sigaddset(set, signals[i]);
    }
}

/* Call before any thread starts: they inherit the mask, so only the main thread takes signals. */
static void block_signals(void)
{
    sigset_t set;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    for (size_t i = 0; i < ARRAY_LENGTH(ignored_signals); i++) {
        sigaction(ignored_signals[i], &ignore, NULL);
    }
    sigemptyset(&set);
    add_signals(&set, stop_signals, ARRAY_LENGTH(stop_signals));
    add_signals(&set, noted_signals, ARRAY_LENGTH(noted_signals));
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static bool is_stop(int signal_number)
{
    for (size_t i = 0; i < ARRAY_LENGTH(stop_signals); i++) {
        if (stop_signals[i] == signal_number) {
            return true;
        }
    }
    return false;
}

/* What all doors share, and TLS between members. */
struct guards {
    struct certificates certificates;
    struct audit *audit; /* NULL: no audit log */
    struct rate_limits *limits;
    struct exposure exposure;
};

/* What serves, and what it was told. */
struct served {
    struct config *config;
    const struct guards *guards;
    struct doors *doors;
    const struct node *node;
};

/* CURVE of ZeroMQ: this replica's key and those of the clients. */
static void reload_curve(const struct served *served)
{
    char error[ERROR_SIZE];
    if (config_read_curve_key(served->config, error, sizeof error)) {
        doors_reload(served->doors);
    } else {
        log_write(LOG_ERROR, "zmq", "the key cannot be read again; the one before goes on to count",
                  "error=\"%s\"", error);
    }
}

static void take_signal(int signal_number, const struct served *served)
{
    static struct log_gate gate;
    uint64_t held;
    const struct guards *guards = served->guards;
    bool has_certificates = certificates_have_files(&guards->certificates);
    bool has_curve = config_has_curve(served->config);
    if (signal_number == SIGHUP && (has_certificates || has_curve || guards->audit != NULL)) {
        if (has_certificates) {
            certificates_refresh(&guards->certificates, true);
        }
        if (has_curve) {
            reload_curve(served);
        }
        if (guards->audit != NULL) {
            audit_reopen(guards->audit);
        }
    } else if (log_gate_open(&gate, &held)) {
        log_write(LOG_INFO, "main", "signal ignored: there is nothing to reload",
                  "signal=%d held_back=%" PRIu64, signal_number, held);
    }
}

/* Returns the stop signal that arrived; from then on, another one ends the process. While waiting,
 * reloads certificates that have changed, and warns of an open replica once all tokens are known.
 */
static int wait_for_signal(const struct served *served)
{
    const struct guards *guards = served->guards;
    const struct timespec patience = {.tv_sec = REFRESH_SECONDS}, soon = {.tv_sec = 1};
    bool watches = certificates_have_files(&guards->certificates);
    bool is_told = exposure_log_tokens(&guards->exposure, served->node);
    sigset_t set;
    sigset_t stop;
    int signal_number;
    sigemptyset(&stop);
    add_signals(&stop, stop_signals, ARRAY_LENGTH(stop_signals));
    set = stop;
    add_signals(&set, noted_signals, ARRAY_LENGTH(noted_signals));
    while (!is_stop(signal_number = sigtimedwait(&set, NULL,
                                                 !is_told  ? &soon
                                                 : watches ? &patience
                                                           : NULL))) {
        is_told = is_told || exposure_log_tokens(&guards->exposure, served->node);
        if (signal_number > 0) {
            take_signal(signal_number, served);
        } else if (watches && errno == EAGAIN) {
            certificates_refresh(&guards->certificates, false);
        }
    }
    struct sigaction second = {.sa_handler = exit_at_once};
    for (size_t i = 0; i < ARRAY_LENGTH(stop_signals); i++) {
        sigaction(stop_signals[i], &second, NULL);
    }
    sigaction(SIGALRM, &second, NULL);
    pthread_sigmask(SIG_UNBLOCK, &stop, NULL);
    return signal_number;
}

static struct node *start_node(const struct config *config, struct link_tls *tls,
                               const struct descriptor_shares *shares, char *error,
                               size_t error_size)
{
    const char *old = config->cluster_secret_old;
    const struct consensus_options options = {
        .id = config->id,
        .name = config->name,
        .data_dir = config->data,
        .members = config->members,
        .members_count = config->members_count,
        .members_given = config->cluster_given,
        .peer_listen = config->peer,
        .advertise_peer = config->advertise_peer,
        .advertise_http = config->advertise_http,
        .peer_given = config->peer_given,
        .joins = config->join.count > 0,
        .voters = config->voters,
        .replace_after_ms = config->replace_after_ms,
        .secret = config->cluster_secret,
        .secret_old = old[0] == '\0'                  ? NULL
                      : strcmp(old, SECRET_NONE) == 0 ? ""
                                                      : old,
        .tls = tls,
        .plain_too = config->peer_tls != 0,
        .election_timeout_ms = config->election_timeout_ms,
        .heartbeat_interval_ms = config->heartbeat_interval_ms,
        .write_timeout_ms = config->write_timeout_ms,
        .snapshot_log_bytes = config->snapshot_log_bytes,
        .peer_connections = shares->peer_connections,
        .version = MUSTER_VERSION,
    };
    struct bootstrap bootstrap;
    bool has_bootstrap = config->bootstrap_token_file[0] != '\0';
    if (has_bootstrap &&
        !bootstrap_read(&bootstrap, config->bootstrap_token_file, error, error_size)) {
        return NULL;
    }
    const struct node_options own = {
        .events_kept = config->events_kept,
        .state_bytes = config->state_bytes,
        .bootstrap = has_bootstrap ? &bootstrap.spec : NULL,
    };
    return node_start(&options, &own, error, error_size);
}

static uint64_t zmq_connections(const struct config *config, uint64_t limit)
{
    unsigned wanted =
        config->zmq_connections > 0 ? config->zmq_connections : ZMQ_CONNECTIONS_DEFAULT;
    bool is_on = config->zmq_requests[0] != '\0' || config->zmq_heartbeats[0] != '\0' ||
                 config->zmq_events[0] != '\0' || config_has_curve(config);
    if (is_on && config->zmq_connections > limit / ZMQ_SHARE) {
        log_write(LOG_WARN, "main",
                  "the limit on open files is low: allowing fewer ZeroMQ connections",
                  "limit=%" PRIu64 " connections=%" PRIu64, limit, limit / ZMQ_SHARE);
    }
    return !is_on ? 0 : wanted < limit / ZMQ_SHARE ? wanted : limit / ZMQ_SHARE;
}

static uint64_t check_connections(uint64_t limit)
{
#ifdef MUSTER_PROBER
    uint64_t share = limit / CHECK_SHARE;
    return share > CHECK_CONNECTIONS_MAX   ? CHECK_CONNECTIONS_MAX
           : share < CHECK_CONNECTIONS_MIN ? CHECK_CONNECTIONS_MIN
                                           : share;
#else
    (void)limit;
    return 0;
#endif
}

/* Reserves descriptors for the log, snapshots and members, which clients then cannot take. */
static bool share_descriptors(const struct config *config, struct descriptor_shares *ret_shares,
                              char *error, size_t error_size)
{
    uint64_t limit = process_raise_descriptors();
    uint64_t inherited = process_inherited();
    uint64_t needed;
    uint64_t checks = check_connections(limit);
    inherited += checks > 0 ? checks + DESCRIPTORS_OF_CHECKS : 0;
    uint64_t dns = config->dns[0] != '\0' ? limit / DNS_SHARE : 0;
    dns = dns > DNS_CONNECTIONS_MAX ? DNS_CONNECTIONS_MAX : dns;
    inherited += dns > 0 ? dns + DESCRIPTORS_OF_DNS : 0;
    bool swarm = config->swarm_http[0] != '\0' || config->docker[0] != '\0';
    inherited += swarm ? SWARM_CONNECTIONS_MAX + DESCRIPTORS_OF_SWARM : 0;
    uint64_t grpc = config->grpc[0] != '\0' ? limit / GRPC_SHARE : 0;
    grpc = grpc > GRPC_CONNECTIONS_MAX ? GRPC_CONNECTIONS_MAX : grpc;
    inherited += grpc > 0 ? grpc + DESCRIPTORS_OF_GRPC : 0;
    uint64_t zmq = zmq_connections(config, limit);
    inherited += zmq > 0 ? zmq + DESCRIPTORS_OF_ZMQ : 0;
    if (!process_share(limit, inherited, config->http_threads, ret_shares, &needed)) {
        (void)snprintf(error, error_size,
                       "the limit on open files is %" PRIu64
                       " (ulimit -Hn, LimitNOFILE), but at least %" PRIu64 " are needed",
                       limit, needed);
        return false;
    }
    ret_shares->check_connections = (unsigned)checks;
    ret_shares->dns_connections = (unsigned)dns;
    ret_shares->grpc_connections = (unsigned)grpc;
    ret_shares->zmq_connections = (unsigned)zmq;
    if (ret_shares->http_threads < config->http_threads) {
        log_write(LOG_WARN, "main", "the limit on open files is low: using fewer HTTP threads",
                  "limit=%" PRIu64 " threads=%u", limit, ret_shares->http_threads);
    }
    if (config->http_connections > ret_shares->http_connections) {
        log_write(LOG_WARN, "main",
                  "the limit on open files is low: allowing fewer HTTP connections",
                  "limit=%" PRIu64 " connections=%u", limit, ret_shares->http_connections);
    } else if (config->http_connections > 0) {
        ret_shares->http_connections = config->http_connections;
    }
    if (ret_shares->http_threads > ret_shares->http_connections) {
        ret_shares->http_threads = ret_shares->http_connections;
    }
    return true;
}

/* Without --audit-log: NULL. */
static bool open_audit(const struct config *config, struct audit **ret_audit, char *error,
                       size_t error_size)
{
    const struct audit_options options = {
        .target = config->audit_log,
        .replica = config->id,
        .required = config->audit_required != 0,
    };
    if (config->audit_log[0] == '\0') {
        *ret_audit = NULL;
        return true;
    }
    *ret_audit = audit_open(&options, error, error_size);
    return *ret_audit != NULL;
}

static unsigned connections_of_one(const struct config *config, unsigned connections)
{
    return config->http_connections_per_address > 0 ? config->http_connections_per_address
                                                    : connections - connections / 4;
}

static struct doors *open_doors(const struct config *config, const struct guards *guards,
                                const struct descriptor_shares *shares, char *error,
                                size_t error_size)
{
    const struct door_options options = {
        .http = config->http,
        .tls = guards->certificates.clients,
        .audit = guards->audit,
        .limits = guards->limits,
        .threads = shares->http_threads,
        .connections = shares->http_connections,
        .connections_of_one = connections_of_one(config, shares->http_connections),
        .spare = shares->http_spare,
        .ttl_ms = config->ttl_ms,
        .reap_after_ms = config->reap_after_ms,
        .advertise_http = config->advertise_http,
        .advertise_peer = config->advertise_peer,
        .allow_host = config->allow_host,
        .cors = config->cors,
        .anonymous = config->anonymous,
        .exposure = guards->exposure,
        .tbfs_reap_after_ms = config->tbfs_reap_after_ms,
        .tbfs_service = config->tbfs_service,
        .consul_http = config->consul_http,
        .grpc = config->grpc,
        .grpc_connections = shares->grpc_connections,
        .zmq_requests = config->zmq_requests,
        .zmq_heartbeats = config->zmq_heartbeats,
        .zmq_events = config->zmq_events,
        .zmq_curve_requests = config->zmq_curve_requests,
        .zmq_curve_heartbeats = config->zmq_curve_heartbeats,
        .zmq_curve_events = config->zmq_curve_events,
        .zmq_curve_key = config->zmq_curve_key,
        .zmq_curve_clients = config->zmq_curve_clients,
        .zmq_unique_types = config->zmq_unique_types != 0,
        .zmq_connections = shares->zmq_connections,
        .checks_allow = config->checks_allow,
        .checks_ca = config->checks_ca,
        .checks_connections = shares->check_connections,
        .datacenter = config->datacenter,
        .dns = config->dns,
        .dns_domain = config->dns_domain,
        .dns_near = config->dns_near,
        .dns_ttl_ms = config->dns_ttl_ms,
        .dns_negative_ttl_ms = config->dns_negative_ttl_ms,
        .dns_warning = config->dns_warning != 0,
        .dns_udp_bytes = config->dns_udp_bytes,
        .dns_connections = shares->dns_connections,
        .zmq_reply = config->zmq_reply == 0 ? "RESPONSE" : "REP",
        .swarm_http = config->swarm_http,
        .docker = config->docker,
        .swarm_refresh_ms = config->swarm_refresh_ms,
        .swarm_metrics_ms = config->swarm_metrics_ms,
        .swarm_label_enabled = config->swarm_labels[0],
        .swarm_label_metric = config->swarm_labels[1],
        .swarm_label_cpu = config->swarm_labels[2],
        .swarm_label_memory = config->swarm_labels[3],
        .swarm_label_min = config->swarm_labels[4],
        .swarm_label_max = config->swarm_labels[5],
        .amqp_url = config->amqp_url,
        .amqp_exchange = config->amqp_exchange,
        .amqp_ca = config->amqp_ca,
        .webhook_url = config->webhook_url,
        .webhook_secret = config->webhook_secret,
        .webhook_ca = config->webhook_ca,
    };
    return doors_open(&options, error, error_size);
}

static bool runs_checks(const struct config *config)
{
#ifdef MUSTER_PROBER
    return strcmp(config->checks_allow, "off") != 0;
#else
    (void)config;
    return false;
#endif
}

static int serve(struct config *config, const struct guards *guards, char *error, size_t error_size)
{
    struct descriptor_shares shares;
    if (!share_descriptors(config, &shares, error, error_size)) {
        return EXIT_NOT_STARTED;
    }
    struct doors *doors = open_doors(config, guards, &shares, error, error_size);
    if (doors == NULL) {
        return EXIT_NOT_STARTED;
    }
    struct node *node =
        start_node(config, guards->certificates.members, &shares, error, error_size);
    if (node != NULL && !runs_checks(config)) {
        node_probe_decline(node);
    }
    if (node == NULL || !doors_start(doors, node, error, error_size)) {
        if (node != NULL) {
            node_stop(node);
        }
        doors_stop(doors);
        node_destroy(node);
        return EXIT_NOT_STARTED;
    }
    log_write(LOG_INFO, "main", "started",
              "version=%s id=%" PRIu64 " name=\"%s\" http=%s peer=%s data=\"%s\"", MUSTER_VERSION,
              config->id, config->name, config->http, config->peer, config->data);
    exposure_log_options(&guards->exposure);
    notify_send("READY=1");

    const struct served served = {.config = config, .guards = guards, .doors = doors, .node = node};
    int signal_number = wait_for_signal(&served);
    log_write(LOG_INFO, "main", "stopping", "signal=%d", signal_number);
    notify_send("STOPPING=1");
    /* The loop or the disk may hang; every acknowledged write is already on disk. */
    (void)alarm(2 * config->write_timeout_ms / 1000 + STOP_PATIENCE_SECONDS);
    doors_drain(doors);
    node_stop(node);
    doors_stop(doors);
    node_destroy(node);
    log_write(LOG_INFO, "main", "stopped", "signal=%d", signal_number);
    return EXIT_STOPPED;
}

static enum config_outcome load(int argc, char *argv[], struct config *ret_config,
                                struct offline *ret_offline, char *error, size_t error_size)
{
    if (!offline_scan(&argc, argv, ret_offline, error, error_size)) {
        return CONFIG_INVALID;
    }
    enum config_outcome outcome =
        config_load(argc, argv, find_variable, ret_config, error, error_size);
    return outcome == CONFIG_RUN && !offline_check(ret_offline, ret_config, error, error_size)
               ? CONFIG_INVALID
               : outcome;
}

static int run(struct config *config, const struct offline *offline, char *error, size_t error_size)
{
    if (offline->recover) {
        return offline_recover(offline, config, error, error_size) ? EXIT_STOPPED
                                                                   : EXIT_NOT_STARTED;
    }
    if (offline->restore != NULL && !offline_restore(offline, config, error, error_size)) {
        return EXIT_NOT_STARTED;
    }
    enum join_outcome joined = join_cluster(config, error, error_size);
    if (joined != JOIN_DONE) {
        return joined == JOIN_STOPPED ? EXIT_STOPPED : EXIT_NOT_STARTED;
    }
    const struct rate_limit_options rates = {
        .requests = config->rate_requests,
        .writes = config->rate_writes,
        .connections = config->rate_connections,
        .datagrams = config->dns_rate,
        .local = config->rate_local,
    };
    struct guards guards = {.exposure = exposure_of(config)};
    int status = EXIT_NOT_STARTED;
    if (certificates_open(config, &guards.certificates, error, error_size) &&
        open_audit(config, &guards.audit, error, error_size)) {
        guards.limits = rate_limits_new(&rates);
        status = serve(config, &guards, error, error_size);
        rate_limits_free(guards.limits);
    }
    audit_close(guards.audit, AUDIT_CLOSE_MS);
    certificates_close(&guards.certificates);
    return status;
}

/* Prints the last line, and returns the exit status. */
static int refuse_start(const char *error)
{
    char sentence[ERROR_SIZE + 16];
    (void)snprintf(sentence, sizeof sentence, "musterd: %s", error);
    log_say(sentence);
    return EXIT_NOT_STARTED;
}

int main(int argc, char *argv[])
{
    static struct config config;
    struct offline offline;
    char error[ERROR_SIZE];
    if (!process_fill_standard()) {
        return refuse_start(
            "/dev/null cannot be opened in place of a closed stdin, stdout or stderr");
    }
    enum config_outcome outcome = load(argc, argv, &config, &offline, error, sizeof error);
    if (outcome == CONFIG_HELP) {
        return fflush(stdout) == 0 ? EXIT_STOPPED : EXIT_NOT_STARTED;
    }
    if (outcome == CONFIG_INVALID) {
        fprintf(stderr, "musterd: %s\n", error);
        return EXIT_USAGE;
    }
    if (config_has_secrets(&config)) {
        process_close_memory();
    }
    config_hide(argv);
    log_setup(config.log_level, config.log_format);
    block_signals();
    if (!log_start()) {
        return refuse_start("no thread can be started; see the limit on processes (ulimit -u)");
    }
    int status = run(&config, &offline, error, sizeof error);
    if (status == EXIT_NOT_STARTED) {
        status = refuse_start(error);
    }
    log_flush(LAST_WORDS_MS);
    return status;
}
