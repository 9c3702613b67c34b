/* How a call went, in gRPC's words: from the status and code that every site of HTTP has.
 *
 * Thread: any. */
#ifndef MUSTER_API_GRPC_OUTCOME_H
#define MUSTER_API_GRPC_OUTCOME_H

#include "api/http/site.h"

enum outcome {
    OUTCOME_OK = 0,
    OUTCOME_UNKNOWN = 2,
    OUTCOME_INVALID_ARGUMENT = 3,
    OUTCOME_DEADLINE_EXCEEDED = 4,
    OUTCOME_NOT_FOUND = 5,
    OUTCOME_PERMISSION_DENIED = 7,
    OUTCOME_RESOURCE_EXHAUSTED = 8,
    OUTCOME_ABORTED = 10,
    OUTCOME_UNIMPLEMENTED = 12,
    OUTCOME_INTERNAL = 13,
    OUTCOME_UNAVAILABLE = 14,
    OUTCOME_UNAUTHENTICATED = 16,
};

/* `code`: of the error ("" when there is none). `has_route`: whether the call was found. A write of
 * which nobody knows whether it happened is never one that clients repeat by themselves. */
enum outcome outcome_of(int status, const char *code, bool has_route);
/* As grpc-message has it: percent-encoded (gRPC over HTTP/2). */
void outcome_message(const char *code, const char *text, struct buffer *out);

/* Of struct site. */
void outcome_error(struct response *response, int status, const char *code, const char *field,
                   const char *message);
void outcome_trailers(const struct exchange *x, field_add_fn *add, void *ctx);

#endif
