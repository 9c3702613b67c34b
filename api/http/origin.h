/* Who may ask: web pages may not change anything, and may read only where --cors lets them. A page
 * can make its visitor's browser send requests to a replica that the page's own server could not
 * reach, by address (another origin) or by a name of its own that it lets point there (DNS
 * rebinding). The rules and their reasons are in api/http/README.md.
 *
 * Thread: any; immutable after origins_init. Owns: nothing; the options are borrowed. */
#ifndef MUSTER_API_HTTP_ORIGIN_H
#define MUSTER_API_HTTP_ORIGIN_H

#include <stdbool.h>

#include "api/core/door.h"
#include "api/http/request.h"
#include "api/http/response.h"
#include "server/base/limits.h"

struct origins {
    const char *allow_host; /* names between commas, or "*" */
    const char *cors;       /* origins between commas, or "*" */
    char own[3][HOST_BYTES_MAX + 1];
};

void origins_init(struct origins *origins, const struct door_options *options);
/* False when the request must not be answered: the response is a 403 or a 421 then. `changes`:
 * the request may have an effect. */
MUST_USE bool origin_allows(const struct origins *origins, const struct request *request,
                            bool changes, struct response *response);
/* Adds what tells a browser whether its page may read the response: of reads alone. */
void origin_headers(const struct origins *origins, const struct request *request,
                    struct response *response);

#endif
