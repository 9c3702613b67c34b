/* The process: options -> node -> API -> wait for a signal -> stop in reverse (server/README.md).
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/api.h"
#include "server/base/log.h"
#include "server/config.h"
#include "server/node/node.h"
#include "server/notify.h"

#define ERROR_SIZE 1024

enum { EXIT_STOPPED = 0, EXIT_NOT_STARTED = 1, EXIT_USAGE = 2 };

static const char *find_variable(const char *name)
{
    return getenv(name);
}

/* Only while stopping: the user has asked twice. */
static void exit_at_once(int signal_number)
{
    _exit(128 + signal_number);
}

static void stop_signals(sigset_t *ret_set)
{
    sigemptyset(ret_set);
    sigaddset(ret_set, SIGTERM);
    sigaddset(ret_set, SIGINT);
}

/* Before there are threads, which inherit the mask: only the main thread takes these signals. */
static void block_signals(void)
{
    sigset_t set;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    stop_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* Returns the signal that came; from then on another one ends the process. */
static int wait_for_signal(void)
{
    sigset_t set;
    int signal_number;
    stop_signals(&set);
    while (sigwait(&set, &signal_number) != 0) {
    }
    struct sigaction second = {.sa_handler = exit_at_once};
    sigaction(SIGTERM, &second, NULL);
    sigaction(SIGINT, &second, NULL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    return signal_number;
}

static struct node *start_node(const struct config *config, char *error, size_t error_size)
{
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
        .secret = config->cluster_secret,
        .election_timeout_ms = config->election_timeout_ms,
        .heartbeat_interval_ms = config->heartbeat_interval_ms,
        .write_timeout_ms = config->write_timeout_ms,
        .snapshot_log_bytes = config->snapshot_log_bytes,
        .version = MUSTER_VERSION,
    };
    return node_start(&options, config->events_kept, error, error_size);
}

static int serve(const struct config *config, char *error, size_t error_size)
{
    const struct api_options api_options = {
        .listen = config->http,
        .threads = config->http_threads,
        .ttl_ms = config->ttl_ms,
        .reap_after_ms = config->reap_after_ms,
    };
    int listen_fd = api_listen(config->http, error, error_size);
    if (listen_fd < 0) {
        return EXIT_NOT_STARTED;
    }
    struct node *node = start_node(config, error, error_size);
    if (node == NULL) {
        close(listen_fd);
        return EXIT_NOT_STARTED;
    }
    struct api *api = api_start(listen_fd, &api_options, node, error, error_size);
    if (api == NULL) {
        node_stop(node);
        node_destroy(node);
        return EXIT_NOT_STARTED;
    }
    log_write(LOG_INFO, "main", "started",
              "version=%s id=%" PRIu64 " name=\"%s\" http=%s peer=%s data=\"%s\"", MUSTER_VERSION,
              config->id, config->name, config->http, config->peer, config->data);
    notify_send("READY=1");

    int signal_number = wait_for_signal();
    log_write(LOG_INFO, "main", "stopping", "signal=%d", signal_number);
    notify_send("STOPPING=1");
    api_drain(api);
    node_stop(node);
    api_stop(api);
    node_destroy(node);
    log_write(LOG_INFO, "main", "stopped", "signal=%d", signal_number);
    return EXIT_STOPPED;
}

/* A descriptor a connection: as many as the system lets us have. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char *argv[])
{
    static struct config config;
    char error[ERROR_SIZE];
    enum config_outcome outcome =
        config_load(argc, argv, find_variable, &config, error, sizeof error);
    if (outcome == CONFIG_HELP) {
        return fflush(stdout) == 0 ? EXIT_STOPPED : EXIT_NOT_STARTED;
    }
    if (outcome == CONFIG_INVALID) {
        fprintf(stderr, "musterd: %s\n", error);
        return EXIT_USAGE;
    }
    log_setup(config.log_level, config.log_format);
    raise_descriptor_limit();
    block_signals();
    int status = serve(&config, error, sizeof error);
    if (status == EXIT_NOT_STARTED) {
        fprintf(stderr, "musterd: %s\n", error);
    }
    return status;
}
