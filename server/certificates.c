#include "server/certificates.h"

#include <inttypes.h>
#include <stdio.h>

#include "api/core/exposure.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/metric.h"
#include "server/base/text.h"

/* How often a failure is told that goes on. */
#define REMIND_MS (60 * 1000)

/* In the log, in a metric, and as a warning when it is time for another. */
static void tell_end(struct tls *tls, const char *event)
{
    int64_t end_s = tls_expires_s(tls);
    int64_t now_s = (int64_t)(clock_wall_ms() / 1000);
    char text[TEXT_TIME_SIZE];
    text_format_time(end_s * 1000, text);
    metric_set(METRIC_tls_certificate_end_seconds, end_s);
    log_write(LOG_INFO, "tls", event, "ends=%s", text);
    if (end_s <= now_s) {
        log_write(LOG_WARN, "tls", "the certificate has ended: clients refuse it", "ended=%s",
                  text);
    } else if (end_s - now_s < EXPOSURE_END_IS_NEAR_S) {
        log_write(LOG_WARN, "tls", "the certificate ends soon", "ends=%s days=%" PRId64, text,
                  (end_s - now_s) / 86400);
    }
}

bool certificates_open(const struct config *config, struct tls **ret_tls, char *error,
                       size_t error_size)
{
    const struct tls_options options = {
        .cert = config->tls_cert,
        .key = config->tls_key,
        .client_ca = config->tls_client_ca,
        .client_required = config->tls_client_required,
        .protocol = "http/1.1",
    };
    *ret_tls = NULL;
    if (config->tls_cert[0] == '\0') {
        return true;
    }
    *ret_tls = tls_open(&options, error, error_size);
    if (*ret_tls == NULL) {
        return false;
    }
    tell_end(*ret_tls, "certificate read");
    return true;
}

void certificates_refresh(struct tls *tls, bool forced)
{
    static uint64_t told_ms;
    char error[512];
    uint64_t now_ms = clock_monotonic_ms();
    switch (tls_refresh(tls, forced, error, sizeof error)) {
    case TLS_UNCHANGED:
        break;
    case TLS_RELOADED:
        told_ms = 0;
        tell_end(tls, "certificate read again");
        break;
    case TLS_FAILED:
        metric_add(METRIC_tls_reload_failures_total, 1);
        if (forced || told_ms == 0 || now_ms - told_ms >= REMIND_MS) {
            told_ms = now_ms;
            log_write(LOG_ERROR, "tls",
                      "the certificate cannot be read again; the one before goes on to count",
                      "error=\"%s\"", error);
        }
        break;
    }
}
