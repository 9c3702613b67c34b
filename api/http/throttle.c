#include "api/http/throttle.h"

#include <inttypes.h>

#include "server/base/clock.h"

const char *throttle_take(struct rate_limits *limits, enum rate rate, uint64_t client,
                          const char *token, unsigned *ret_wait_s)
{
    if (rate_limits_take(limits, rate, client, token, clock_monotonic_ns(), ret_wait_s)) {
        return NULL;
    }
    if (rate == RATE_WRITES) {
        return token != NULL ? "too many writes with this token; nothing was done; try again later"
                             : "too many writes of this address; nothing was done; try again later";
    }
    return token != NULL ? "too many requests with this token; nothing was done; try again later"
                         : "too many requests of this address; nothing was done; try again later";
}

void throttle_report(struct log_gate *gate, const struct request *request, const char *token,
                     const char *why)
{
    char address[INET6_ADDRSTRLEN];
    uint64_t held;
    if (log_gate_open(gate, &held)) {
        request_peer_text(request->peer, address);
        log_write(LOG_WARN, "http", "a client is over a limit on rates",
                  "address=\"%s\" token=%s why=\"%s\" held_back=%" PRIu64, address,
                  token[0] != '\0' ? token : "none", why, held);
    }
}
