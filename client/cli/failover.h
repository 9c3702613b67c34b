/* Which replica is asked, and when another one or the same again: README.md, "Fail-over".
 *
 * Owns: nothing; borrows the list of servers and the connection. */
#ifndef MUSTER_CLI_FAILOVER_H
#define MUSTER_CLI_FAILOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/cli/http.h"
#include "client/cli/servers.h"

struct failover {
    struct http *http;
    const struct servers *servers;
    uint64_t timeout_ms; /* for a request with all its attempts */
    size_t preferred;    /* the one that answered last */
};

enum failover_outcome {
    FAILOVER_ANSWERED,    /* with what the answer says */
    FAILOVER_UNREACHABLE, /* surely not done: nobody took it */
    FAILOVER_UNKNOWN,     /* a write that may or may not have happened */
};

/* *ret_unsure: an attempt before the answer may have happened, too. `why` says what went wrong with
 * each replica when there is no answer. */
enum failover_outcome failover_call(struct failover *failover, const struct http_request *request,
                                    struct http_answer *ret_answer, bool *ret_unsure, char *why,
                                    size_t why_size);

#endif
