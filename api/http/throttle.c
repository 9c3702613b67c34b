#include "api/http/throttle.h"

#include <inttypes.h>

#include "api/core/client_address.h"
#include "server/base/clock.h"

#define LATER "; nothing was done; try again later"

/* In the namespace of the request; 0: no bound. */
static unsigned writes_max(const struct throttle *t)
{
    const char *space = permit_space(t->permit);
    const struct view *view = node_view_lock(t->node);
    const struct namespace_use *use =
        view->quotas_count > 0 ? view_namespace(view, space[0] != '\0' ? space : NAMESPACE_DEFAULT)
                               : NULL;
    unsigned most = use != NULL ? use->quota.writes : 0;
    view_unlock(&view);
    return most;
}

static const char *sentence(bool writes, enum throttle_bucket bucket, const struct principal *p)
{
    switch (bucket) {
    case THROTTLE_ADDRESS:
        return writes ? "too many writes of this address" LATER
                      : "too many requests of this address" LATER;
    case THROTTLE_NAMESPACE:
        return "too many writes in this namespace" LATER;
    case THROTTLE_PRINCIPAL:
        break;
    }
    if (p->token[0] == '\0') {
        return writes ? "too many writes with this certificate" LATER
                      : "too many requests with this certificate" LATER;
    }
    return writes ? "too many writes with this token" LATER
                  : "too many requests with this token" LATER;
}

const char *throttle_take(const struct throttle *t, enum rate rate, enum throttle_bucket bucket,
                          unsigned *ret_wait_s)
{
    const char *who = principal_name(&t->permit->principal);
    uint64_t now_ns = clock_monotonic_ns();
    bool taken = true;
    switch (bucket) {
    case THROTTLE_ADDRESS:
        taken = rate_limits_take(t->limits, rate, t->client, NULL, now_ns, ret_wait_s);
        break;
    case THROTTLE_PRINCIPAL:
        taken =
            who[0] == '\0' || rate_limits_take(t->limits, rate, t->client, who, now_ns, ret_wait_s);
        break;
    case THROTTLE_NAMESPACE:
        taken = !permission_has_namespace(t->permit->needed) ||
                rate_limits_take_namespace(t->limits, permit_space(t->permit), writes_max(t),
                                           now_ns, ret_wait_s);
        break;
    }
    return taken ? NULL : sentence(rate == RATE_WRITES, bucket, &t->permit->principal);
}

void throttle_report(struct log_gate *gate, const struct request *request, const char *who,
                     const char *why)
{
    char address[INET6_ADDRSTRLEN];
    uint64_t held;
    if (log_gate_open(gate, &held)) {
        client_address_text(request->peer, address);
        log_write(LOG_WARN, "http", "a client is over a limit on rates",
                  "address=\"%s\" principal=\"%s\" why=\"%s\" held_back=%" PRIu64, address,
                  who[0] != '\0' ? who : "anonymous", why, held);
    }
}
