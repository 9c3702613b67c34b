#include "api/http/replica_headers.h"

#include "api/http/exchange.h"

void replica_headers(const struct exchange *x, struct response *response)
{
    struct node_status status;
    node_status(x->context->node, &status);
    uint64_t index = response->index != 0 ? response->index : status.applied_index;
    if (!x->late && x->write.result.index > index) {
        index = x->write.result.index;
    }
    response_header(response, "Cache-Control", "no-store");
    response_header_u64(response, "X-Muster-Index", index);
    if (status.leader != 0) {
        response_header_u64(response, "X-Muster-Leader", status.leader);
    } else {
        response_header(response, "X-Muster-Leader", "none");
    }
    response_header_u64(response, "X-Muster-Staleness-Ms", status.last_contact_ms);
    if (response->status == 503) {
        response_header(response, "Retry-After", "1");
    }
}
