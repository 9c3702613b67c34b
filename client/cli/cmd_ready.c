/* Whether the replica of this machine can serve: ready. For health checks of containers and for
 * scripts. */
#include "client/cli/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/cli/authority.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/text.h"

#define PAUSE_MS 200

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL ? value : "";
}

/* The URL at which this machine reaches what musterd listens on, as its variables say. False after
 * having complained. */
static bool find_local(struct cli *cli)
{
    char host[HOST_BYTES_MAX + 1], url[SERVER_URL_MAX + 1], error[512];
    const char *address =
        *variable("MUSTER_HTTP") != '\0' ? variable("MUSTER_HTTP") : "127.0.0.1:9000";
    uint16_t port;
    if (!text_parse_address(address, host, sizeof host, &port)) {
        cli_usage(cli, "MUSTER_HTTP: \"%s\" is not an address", address);
        return false;
    }
    const char *reached = !text_is_any_host(host)     ? host
                          : strchr(host, ':') != NULL ? "::1"
                                                      : "127.0.0.1";
    bool is_v6 = strchr(reached, ':') != NULL;
    (void)snprintf(url, sizeof url, "%s://%s%s%s:%u",
                   *variable("MUSTER_TLS_CERT") != '\0' ? "https" : "http", is_v6 ? "[" : "",
                   reached, is_v6 ? "]" : "", port);
    cli->servers.count = 0;
    if (!servers_add(&cli->servers, url, strlen(url), error, sizeof error)) {
        cli_complain("%s", error);
        return false;
    }
    return true;
}

/* The replica proves that it has the key of its own certificate. Neither names nor CAs count: this
 * machine's addresses stand in few certificates. Where it asks for a certificate, it is shown its
 * own, unless there is another. False after having complained. */
static bool trust_own(struct http_shared *shared)
{
    char error[512];
    const char *cert = variable("MUSTER_TLS_CERT"), *key = variable("MUSTER_TLS_KEY");
    if (*cert == '\0') {
        return true;
    }
    shared->pin = authority_pin(cert, error, sizeof error);
    if (shared->pin == NULL) {
        cli_complain("%s", error);
        return false;
    }
    if (shared->cert == NULL && *variable("MUSTER_TLS_CLIENT_CA") != '\0' && *key != '\0') {
        free(shared->key);
        shared->cert = strdup(cert);
        shared->key = strdup(key);
    }
    return true;
}

/* One attempt. */
static enum cli_exit ask(struct cli *cli, char why[HTTP_WHY_SIZE])
{
    static const struct http_request request = {
        .method = "GET", .path = "/health/ready", .read = true};
    struct cli_question question = {.url = cli->servers.urls[0], .request = &request};
    cli_ask_all(cli, &question, 1, cli->timeout_ms);
    if (!question.answered) {
        (void)snprintf(why, HTTP_WHY_SIZE, "%s", question.why);
        return CLI_UNREACHABLE;
    }
    const char *message = http_answer_message(&question.answer);
    enum cli_exit exit_status = question.answer.status == 200 ? CLI_DONE : CLI_REFUSED;
    if (message != NULL) {
        (void)snprintf(why, HTTP_WHY_SIZE, "%s", message);
    } else {
        (void)snprintf(why, HTTP_WHY_SIZE, "status %ld", question.answer.status);
    }
    http_answer_done(&question.answer);
    return exit_status;
}

static enum cli_exit ask_until(struct cli *cli, uint64_t wait_ms)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    uint64_t end_ms = clock_monotonic_ms() + wait_ms;
    char why[HTTP_WHY_SIZE];
    enum cli_exit exit_status = ask(cli, why);
    while (exit_status != CLI_DONE && clock_monotonic_ms() + PAUSE_MS <= end_ms) {
        (void)nanosleep(&pause, NULL);
        exit_status = ask(cli, why);
    }
    if (exit_status == CLI_DONE) {
        puts("ready");
    } else {
        cli_complain("%s: %s", cli->servers.urls[0], why);
    }
    return exit_status;
}

enum cli_exit cmd_ready(struct cli *cli)
{
    const char *wait = args_get(&cli->args, "wait");
    uint64_t wait_ms = 0;
    bool is_local = args_get(&cli->args, "server") == NULL;
    if (cli->args.words_count != 0) {
        return cli_usage(cli, "ready takes options only");
    }
    if (wait != NULL && (!text_parse_duration_ms(wait, &wait_ms) || wait_ms > WAIT_MS_MAX)) {
        return cli_usage(cli, "--wait %s is not a duration up to 10m such as 2s", wait);
    }
    if (is_local && (!find_local(cli) || !trust_own(cli->loop.shared))) {
        return CLI_USAGE;
    }
    return ask_until(cli, wait_ms);
}
