#include "server/config_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/compiler.h"
#include "server/base/text.h"
#include "server/config.h"

#define HEARTBEAT_INTERVAL_MS 40

bool config_refuse(char *error, size_t error_size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(error, error_size, format, args);
    va_end(args);
    return false;
}

static void format_address(char out[ADDRESS_SIZE], const char *host, uint16_t port)
{
    bool ipv6 = strchr(host, ':') != NULL;
    (void)snprintf(out, ADDRESS_SIZE, "%s%s%s:%u", ipv6 ? "[" : "", host, ipv6 ? "]" : "", port);
}

/* The host name is the best guess when no option says how others reach this machine. */
static void guess_host(char host[HOST_BYTES_MAX + 1])
{
    if (gethostname(host, HOST_BYTES_MAX) != 0 || host[0] == '\0') {
        (void)snprintf(host, HOST_BYTES_MAX + 1, "localhost");
    }
    host[HOST_BYTES_MAX] = '\0';
}

static const struct consensus_member *find_self(const struct config *c)
{
    for (size_t i = 0; i < c->members_count; i++) {
        if (c->members[i].id == c->id) {
            return &c->members[i];
        }
    }
    return NULL;
}

/* The advertised address is the one given by the user; else the listen address, with the host that
 * the cluster knows this member by if it listens on every address. For --advertise-peer, the
 * address in --cluster comes before the listen address: a proxy or NAT may be in between. */
static bool settle_addresses(struct config *c, char *error, size_t error_size)
{
    char http_host[HOST_BYTES_MAX + 1] = "", peer_host[HOST_BYTES_MAX + 1] = "";
    char host[HOST_BYTES_MAX + 1];
    uint16_t http_port = 0, peer_port = 0, port;
    const struct consensus_member *self = find_self(c);
    if (c->cluster_given && self == NULL) {
        return config_refuse(error, error_size,
                             "--cluster does not list this member, --id %" PRIu64, c->id);
    }
    bool parsed = text_parse_address(c->http, http_host, sizeof http_host, &http_port) &&
                  text_parse_address(c->peer, peer_host, sizeof peer_host, &peer_port);
    bool http_any = text_is_any_host(http_host), peer_any = text_is_any_host(peer_host);
    if (!parsed ||
        (http_port == peer_port && (http_any || peer_any || strcmp(http_host, peer_host) == 0))) {
        return config_refuse(error, error_size,
                             "--http %s and --peer %s overlap: use different ports", c->http,
                             c->peer);
    }
    c->peer_given = c->advertise_peer[0] != '\0' || self != NULL;
    if (c->advertise_peer[0] == '\0' && self != NULL) {
        memcpy(c->advertise_peer, self->address, sizeof c->advertise_peer);
    }
    if (!text_parse_address(c->advertise_peer, host, sizeof host, &port)) {
        guess_host(host);
    }
    if (c->advertise_peer[0] == '\0') {
        format_address(c->advertise_peer, peer_any ? host : peer_host, peer_port);
    }
    if (c->advertise_http[0] == '\0') {
        format_address(c->advertise_http, http_any ? host : http_host, http_port);
    }
    if (!c->cluster_given) {
        c->members[0].id = c->id;
        memcpy(c->members[0].address, c->advertise_peer, sizeof c->advertise_peer);
        c->members_count = 1;
    }
    return true;
}

static int compare_members(const void *left, const void *right)
{
    const struct consensus_member *a = left, *b = right;
    return (a->id > b->id) - (a->id < b->id);
}

void config_sort_members(struct config *config)
{
    qsort(config->members, config->members_count, sizeof config->members[0], compare_members);
}

void config_set_id(struct config *c, uint64_t id)
{
    c->id = id;
    if (!c->name_given) {
        (void)snprintf(c->name, sizeof c->name, "muster-%" PRIu64, id);
    }
}

static bool check_tls(const struct config *c, char *error, size_t error_size)
{
    bool cert = c->tls_cert[0] != '\0', key = c->tls_key[0] != '\0';
    bool client_ca = c->tls_client_ca[0] != '\0';
    if (cert != key) {
        return config_refuse(error, error_size,
                             "--tls-cert and --tls-key go together: give both or neither");
    }
    if (client_ca && !cert) {
        return config_refuse(error, error_size, "--tls-client-ca needs --tls-cert and --tls-key");
    }
    if (c->tls_client_required != 0 && !client_ca) {
        return config_refuse(error, error_size,
                             "--tls-client-required needs --tls-client-ca, the CA to trust");
    }
    if (c->tls_principal != TLS_PRINCIPAL_NONE && !client_ca) {
        return config_refuse(error, error_size,
                             "--tls-principal needs --tls-client-ca, the CA to trust");
    }
    return true;
}

static bool check_audit(const struct config *c, char *error, size_t error_size)
{
    if (c->audit_required != 0 && c->audit_log[0] == '\0') {
        return config_refuse(error, error_size, "--audit-required needs --audit-log");
    }
    if (c->audit_required != 0 && strcmp(c->audit_log, "syslog") == 0) {
        return config_refuse(
            error, error_size,
            "--audit-required needs a file or stderr as --audit-log: syslog does not say "
            "whether it has taken a line");
    }
    return true;
}

static bool settle_peer_tls(struct config *c, char *error, size_t error_size)
{
    if ((c->peer_cert[0] != '\0') != (c->peer_key[0] != '\0')) {
        return config_refuse(error, error_size,
                             "--peer-cert and --peer-key go together: one is missing");
    }
    if (c->peer_cert[0] != '\0' && c->peer_ca[0] == '\0') {
        return config_refuse(
            error, error_size,
            "--peer-cert needs --peer-ca: whose certificates count between members");
    }
    if (c->peer_cert[0] == '\0') {
        memcpy(c->peer_cert, c->tls_cert, sizeof c->peer_cert);
        memcpy(c->peer_key, c->tls_key, sizeof c->peer_key);
    }
    if (c->peer_ca[0] != '\0' && c->peer_cert[0] == '\0') {
        return config_refuse(error, error_size,
                             "--peer-ca needs --peer-cert and --peer-key, or --tls-cert");
    }
    return true;
}

bool config_settle(struct config *c, char *error, size_t error_size)
{
    c->id_given = c->id != 0;
    c->name_given = c->name[0] != '\0';
    config_set_id(c, c->id_given ? c->id : 1);
    if (c->cluster_given && c->join.count > 0) {
        return config_refuse(error, error_size,
                             "--cluster is for the first members of a cluster, --join for members "
                             "added later: give only one of them");
    }
    if (c->http_threads == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        c->http_threads = (unsigned)(cores < 1                  ? 1
                                     : cores > HTTP_THREADS_MAX ? HTTP_THREADS_MAX
                                                                : cores);
    }
    if (c->heartbeat_interval_ms == 0) {
        uint32_t tenth = c->election_timeout_ms / 10;
        c->heartbeat_interval_ms = tenth < HEARTBEAT_INTERVAL_MS ? tenth : HEARTBEAT_INTERVAL_MS;
    }
    if (c->heartbeat_interval_ms > c->election_timeout_ms / 2) {
        return config_refuse(error, error_size,
                             "--heartbeat-interval (%" PRIu32 "ms) must be at most half of "
                             "--election-timeout (%" PRIu32 "ms)",
                             c->heartbeat_interval_ms, c->election_timeout_ms);
    }
#ifndef MUSTER_GRPC
    if (c->grpc[0] != '\0') {
        return config_refuse(error, error_size,
                             "--grpc: this musterd was built without gRPC (MUSTER_GRPC)");
    }
#endif
    return config_settle_secrets(c, error, error_size) &&
           config_settle_sinks(c, error, error_size) && config_settle_zmq(c, error, error_size) &&
           check_tls(c, error, error_size) && settle_peer_tls(c, error, error_size) &&
           check_audit(c, error, error_size) && settle_addresses(c, error, error_size);
}
