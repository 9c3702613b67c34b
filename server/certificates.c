#include "server/certificates.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/core/exposure.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/log.h"
#include "server/base/metric.h"
#include "server/base/text.h"

/* How often a failure is told that goes on. */
#define REMIND_MS (60 * 1000)

/* One of them, as it stands in the log. */
struct kind {
    const char *whom;
    uint64_t told_ms; /* when its last failure was logged; 0: it has succeeded since */
};

static struct kind for_clients = {.whom = "clients"};
static struct kind for_members = {.whom = "members"};

/* In the log, and as a warning when it is time for another. */
static void log_end(const struct kind *kind, int64_t end_s, const char *event)
{
    int64_t now_s = (int64_t)(clock_wall_ms() / 1000);
    char text[TEXT_TIME_SIZE];
    text_format_time(end_s * 1000, text);
    log_write(LOG_INFO, "tls", event, "for=%s ends=%s", kind->whom, text);
    if (end_s <= now_s) {
        log_write(LOG_WARN, "tls", "the certificate has ended: it is refused", "for=%s ended=%s",
                  kind->whom, text);
    } else if (end_s - now_s < EXPOSURE_END_IS_NEAR_S) {
        log_write(LOG_WARN, "tls", "the certificate ends soon", "for=%s ends=%s days=%" PRId64,
                  kind->whom, text, (end_s - now_s) / 86400);
    }
}

static bool members_have_certificate(const struct certificates *c)
{
    return c->members != NULL && link_tls_has_certificate(c->members);
}

/* Of the one that ends first. */
static void count_end(const struct certificates *c)
{
    int64_t clients_s = c->clients != NULL ? tls_expires_s(c->clients) : INT64_MAX;
    int64_t members_s = c->members != NULL ? link_tls_expires_s(c->members) : INT64_MAX;
    metric_set(METRIC_tls_certificate_end_seconds, clients_s < members_s ? clients_s : members_s);
}

/* What the doors of HTTP speak. */
static const char *const protocols[] = {
#ifdef MUSTER_H2
    "h2",
#endif
    "http/1.1", NULL};

static bool open_clients(const struct config *config, struct certificates *c, char *error,
                         size_t error_size)
{
    const struct tls_options options = {
        .cert = config->tls_cert,
        .key = config->tls_key,
        .client_ca = config->tls_client_ca,
        .client_required = config->tls_client_required,
        .principal = config->tls_principal,
        .protocols = protocols,
    };
    c->clients = tls_open(&options, error, error_size);
    if (c->clients == NULL) {
        return false;
    }
    log_end(&for_clients, tls_expires_s(c->clients), "certificate read");
    return true;
}

static bool open_members(const struct config *config, struct certificates *c, char *error,
                         size_t error_size)
{
    bool old = strcmp(config->cluster_secret_old, SECRET_NONE) != 0;
    struct link_tls_options options = {
        .secrets = {config->cluster_secret, old ? config->cluster_secret_old : NULL},
        .mixed = config->peer_tls != 0,
    };
    if (config->peer_ca[0] != '\0') {
        options.files = (struct credential_files){
            .cert = config->peer_cert, .key = config->peer_key, .ca = config->peer_ca};
    }
    c->members = link_tls_open(&options, error, error_size);
    if (c->members == NULL) {
        return false;
    }
    log_write(LOG_INFO, "tls", "links between members are encrypted", "with=%s required=%s",
              members_have_certificate(c) ? "certificates" : "secret",
              config->peer_tls == 0 ? "yes" : "no");
    if (members_have_certificate(c)) {
        log_end(&for_members, link_tls_expires_s(c->members), "certificate read");
    }
    return true;
}

bool certificates_open(const struct config *config, struct certificates *ret_certificates,
                       char *error, size_t error_size)
{
    struct certificates *c = ret_certificates;
    *c = (struct certificates){.clients = NULL};
    bool clients = config->tls_cert[0] != '\0';
    bool members = config->peer_ca[0] != '\0' || config->cluster_secret[0] != '\0';
    if ((clients && !open_clients(config, c, error, error_size)) ||
        (members && !open_members(config, c, error, error_size))) {
        certificates_close(c);
        return false;
    }
    if (certificates_have_files(c)) {
        count_end(c);
    }
    return true;
}

bool certificates_have_files(const struct certificates *c)
{
    return c->clients != NULL || members_have_certificate(c);
}

static void note(struct kind *kind, enum tls_refreshed refreshed, int64_t end_s, bool forced,
                 const char *error)
{
    uint64_t now_ms = clock_monotonic_ms();
    switch (refreshed) {
    case TLS_UNCHANGED:
        break;
    case TLS_RELOADED:
        kind->told_ms = 0;
        log_end(kind, end_s, "certificate read again");
        break;
    case TLS_FAILED:
        metric_add(METRIC_tls_reload_failures_total, 1);
        if (forced || kind->told_ms == 0 || now_ms - kind->told_ms >= REMIND_MS) {
            kind->told_ms = now_ms;
            log_write(LOG_ERROR, "tls",
                      "the certificate cannot be read again; the one before goes on to count",
                      "for=%s error=\"%s\"", kind->whom, error);
        }
        break;
    }
}

void certificates_refresh(const struct certificates *c, bool forced)
{
    char error[512];
    if (c->clients != NULL) {
        enum tls_refreshed refreshed = tls_refresh(c->clients, forced, error, sizeof error);
        note(&for_clients, refreshed, tls_expires_s(c->clients), forced, error);
    }
    if (members_have_certificate(c)) {
        enum tls_refreshed refreshed = link_tls_refresh(c->members, forced, error, sizeof error);
        note(&for_members, refreshed, link_tls_expires_s(c->members), forced, error);
    }
    count_end(c);
}

void certificates_close(struct certificates *c)
{
    tls_free(c->clients);
    link_tls_free(c->members);
    *c = (struct certificates){.clients = NULL};
}
