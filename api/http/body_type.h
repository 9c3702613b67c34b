/* Whether the body of a request is what its route takes: its type, its length, and that there is
 * one only where it is wanted.
 *
 * Thread: any. */
#ifndef MUSTER_API_HTTP_BODY_TYPE_H
#define MUSTER_API_HTTP_BODY_TYPE_H

#include <stdbool.h>
#include <stddef.h>

#include "api/http/request.h"
#include "api/http/site.h"

struct body_refusal {
    int status;       /* HTTP */
    const char *code; /* static, as the field */
    const char *field;
    char message[80];
};

/* With the body complete. `limit`: of the route; 0: it takes none. */
MUST_USE bool body_is_taken(const struct request *request, const struct site *site, size_t limit,
                            struct body_refusal *refusal);
/* Whether it is of a type that the site has for itself: also with what may follow that, parameters
 * and what is in it ("+proto"). */
bool body_is_of(const struct request *request, const struct site *site);

#endif
