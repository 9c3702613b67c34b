#include "api/http/route_find.h"

#include <string.h>

#include "api/http/body_type.h"

static bool owns_path(const struct site *site, const char *path)
{
    size_t len = site->prefix != NULL ? strlen(site->prefix) : 0;
    return len > 0 && strncmp(path, site->prefix, len) == 0 &&
           (path[len] == '/' || path[len] == '\0');
}

enum route_result route_find(const struct site *const *sites, struct request *request,
                             const struct site **ret_site, const struct route **ret_route,
                             unsigned *methods, struct problem *problem)
{
    enum route_result result = ROUTE_NO_PATH;
    const struct site *owner = NULL;
    for (; *sites != NULL; sites++) {
        if ((*sites)->trailers != NULL && !request->can_trail) {
            continue;
        }
        enum route_result here = router_find(*sites, request, ret_route, methods, problem);
        if (here == ROUTE_FOUND || here == ROUTE_BAD_PARAM) {
            *ret_site = *sites;
            return here;
        }
        if (here == ROUTE_NO_METHOD) {
            *ret_site = *sites;
            result = here;
        } else if (owns_path(*sites, request->path) || body_is_of(request, *sites)) {
            owner = *sites;
        }
    }
    if (result == ROUTE_NO_PATH && owner != NULL) {
        *ret_site = owner;
    }
    return result;
}
