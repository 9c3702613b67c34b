#include "server/join.h"

#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client/lib/bytes.h"
#include "client/lib/http.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/text.h"
#include "server/config.h"

/* Long enough for a cluster that is still starting to elect a leader. */
#define PATIENCE_MS 60000
#define ROUND_MS    500
/* A crashed machine counts as running until its links time out. */
#define GONE_MS    10000
#define CONNECT_MS 3000
#define ANSWER_MS  15000

/* Outcome of asking one replica. */
enum outcome {
    ACCEPTED,
    REFUSED,    /* final */
    IN_THE_WAY, /* a member with this id or address is running, or was a moment ago */
    NOT_YET,    /* unreachable, or unable to decide; another replica may answer */
};

/* --- the response --- */

static bool take_member(const json_t *from, struct consensus_member *ret_member)
{
    json_int_t id = json_integer_value(json_object_get(from, "id"));
    const char *peer = json_string_value(json_object_get(from, "peer"));
    char host[HOST_BYTES_MAX + 1];
    uint16_t port;
    if (id <= 0 || peer == NULL || strlen(peer) >= sizeof ret_member->address ||
        !text_is_printable(peer, strlen(peer)) ||
        !text_parse_address(peer, host, sizeof host, &port) || text_is_any_host(host)) {
        return false;
    }
    ret_member->id = (uint64_t)id;
    memcpy(ret_member->address, peer, strlen(peer) + 1);
    return true;
}

/* A member is listed twice while its new data directory replaces the old one. */
static bool is_listed(const struct config *config, uint64_t id)
{
    for (size_t i = 0; i < config->members_count; i++) {
        if (config->members[i].id == id) {
            return true;
        }
    }
    return false;
}

static bool take_answer(struct config *config, const json_t *body)
{
    const json_t *members = json_object_get(body, "members");
    json_int_t id = json_integer_value(json_object_get(body, "id"));
    config->members_count = 0;
    for (size_t i = 0; i < json_array_size(members); i++) {
        struct consensus_member member;
        if (!take_member(json_array_get(members, i), &member)) {
            return false;
        }
        if (is_listed(config, member.id)) {
            continue;
        }
        if (config->members_count == CLUSTER_MEMBERS_MAX) {
            return false;
        }
        config->members[config->members_count++] = member;
    }
    config_sort_members(config);
    if (id <= 0 || !is_listed(config, (uint64_t)id)) {
        return false;
    }
    config_set_id(config, (uint64_t)id);
    return true;
}

/* --- asking --- */

static bool is_stopped(void)
{
    sigset_t pending;
    sigemptyset(&pending);
    (void)sigpending(&pending);
    return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}

static int end_if_stopped(void *ctx UNUSED, curl_off_t a UNUSED, curl_off_t b UNUSED,
                          curl_off_t c UNUSED, curl_off_t d UNUSED)
{
    return is_stopped() ? 1 : 0;
}

static void make_path(const struct config *config, struct bytes *path)
{
    char id[32];
    bytes_init(path, PATH_BYTES_MAX);
    bytes_append_text(path, "/cluster/members");
    bytes_append_query(path, "peer", config->advertise_peer);
    if (config->id_given) {
        (void)snprintf(id, sizeof id, "%" PRIu64, config->id);
        bytes_append_query(path, "id", id);
    }
}

static enum outcome judge(struct config *config, const char *url, const struct http_answer *answer,
                          char *error, size_t error_size)
{
    const char *message = http_answer_message(answer);
    if (answer->status == 200 && take_answer(config, answer->body)) {
        return ACCEPTED;
    }
    if (answer->status / 100 == 4 && answer->status != 429) {
        (void)snprintf(error, error_size, "%s refuses this member: %s", url,
                       message != NULL ? message : "no reason given");
        return answer->status == 409 ? IN_THE_WAY : REFUSED;
    }
    (void)snprintf(error, error_size, "%s: status %ld%s%s", url, answer->status,
                   message != NULL ? ", " : "", message != NULL ? message : "");
    return NOT_YET;
}

static enum outcome ask(struct config *config, const char *url, char *error, size_t error_size)
{
    struct http_shared *shared = http_shared_new();
    char why[HTTP_WHY_SIZE] = "";
    struct bytes path;
    struct http_exchange exchange;
    struct http_answer answer = {.body = NULL};
    enum outcome outcome = NOT_YET;
    make_path(config, &path);
    const struct http_request request = {
        .method = "POST", .path = bytes_text(&path), .repeatable = true};
    if (shared == NULL || request.path == NULL ||
        !http_begin(&exchange, url, &request, NULL, shared)) {
        (void)snprintf(error, error_size, "out of memory");
        http_shared_free(shared);
        bytes_done(&path);
        return REFUSED;
    }
    http_limit(&exchange, CONNECT_MS, ANSWER_MS);
    curl_easy_setopt(exchange.curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(exchange.curl, CURLOPT_XFERINFOFUNCTION, end_if_stopped);
    if (http_end(&exchange, curl_easy_perform(exchange.curl), &answer, why) == HTTP_ANSWERED) {
        outcome = judge(config, url, &answer, error, error_size);
    } else {
        (void)snprintf(error, error_size, "%s: %s", url, why);
    }
    http_answer_done(&answer);
    http_done(&exchange);
    http_shared_free(shared);
    bytes_done(&path);
    return outcome;
}

static enum join_outcome ask_all(struct config *config, char *error, size_t error_size)
{
    const struct timespec pause = {.tv_nsec = ROUND_MS * 1000000L};
    uint64_t begun_ms = clock_monotonic_ms();
    bool is_said = false;
    char why[512] = "";
    do {
        for (size_t i = 0; i < config->join.count && !is_stopped(); i++) {
            enum outcome outcome = ask(config, config->join.urls[i], why, sizeof why);
            if (outcome == IN_THE_WAY) {
                outcome = clock_monotonic_ms() - begun_ms < GONE_MS ? NOT_YET : REFUSED;
            }
            if (outcome == REFUSED) {
                (void)snprintf(error, error_size, "%s", why);
            }
            if (outcome != NOT_YET) {
                return outcome == ACCEPTED ? JOIN_DONE : JOIN_REFUSED;
            }
        }
        if (!is_said) {
            is_said = true;
            log_write(LOG_WARN, "main", "no --join replica has accepted this member yet",
                      "last=\"%s\"", why);
        }
        (void)nanosleep(&pause, NULL);
    } while (clock_monotonic_ms() - begun_ms < PATIENCE_MS && !is_stopped());
    (void)snprintf(error, error_size, "no --join replica has accepted this member within %d s: %s",
                   PATIENCE_MS / 1000, why);
    return is_stopped() ? JOIN_STOPPED : JOIN_REFUSED;
}

enum join_outcome join_cluster(struct config *config, char *error, size_t error_size)
{
    uint64_t id = 0;
    if (config->join.count == 0) {
        return JOIN_DONE;
    }
    switch (consensus_look(config->data, &id, error, error_size)) {
    case CONSENSUS_DIRECTORY_REFUSED:
        return JOIN_REFUSED;
    case CONSENSUS_DIRECTORY_TAKEN:
        if (!config->id_given) {
            config_set_id(config, id);
        }
        return JOIN_DONE;
    case CONSENSUS_DIRECTORY_WAITS:
        /* A replica accepted it before; the members may have changed since. */
        config->id_given = true;
        config_set_id(config, id);
        break;
    case CONSENSUS_DIRECTORY_NEW:
        break;
    }
    enum join_outcome outcome = ask_all(config, error, error_size);
    if (outcome != JOIN_DONE) {
        return outcome;
    }
    config->cluster_given = config->peer_given = true;
    log_write(LOG_INFO, "main", "the cluster expects this member", "id=%" PRIu64 " members=%zu",
              config->id, config->members_count);
    return JOIN_DONE;
}
