#include "api/http/replica_headers.h"

#include "api/http/exchange.h"

/* X-Muster-Index is of what was asked, where that has one; of a write it is its own. */
static void index_headers(const struct exchange *x, const struct node_status *status,
                          struct response *response)
{
    uint64_t applied = response->index != 0 ? response->index : status->applied_index;
    uint64_t written = x->late ? 0 : x->write.result.index;
    if (written > applied) {
        applied = written;
    }
    uint64_t asked = written != 0 ? written : applied;
    if (response->has_asked_index) {
        asked = response->asked_index;
    }
    response_header_u64(response, "X-Muster-Index", asked);
    response_header_u64(response, "X-Muster-Applied-Index", applied);
}

void replica_headers(const struct exchange *x, struct response *response)
{
    struct node_status status;
    node_status(x->context->node, &status);
    response_header_static(response, "Cache-Control",
                           response->is_tagged ? "no-cache" : "no-store");
    response_header_static(response, "X-Content-Type-Options", "nosniff");
    index_headers(x, &status, response);
    if (status.leader != 0) {
        response_header_u64(response, "X-Muster-Leader", status.leader);
    } else {
        response_header_static(response, "X-Muster-Leader", "none");
    }
    response_header_u64(response, "X-Muster-Staleness-Ms", status.last_contact_ms);
    if (response->status == 503) {
        response_header_static(response, "Retry-After", "1");
    }
}
