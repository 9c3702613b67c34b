/* Who asks, and whether he may, of a request: api/core/access.h on the header Authorization.
 *
 * Thread: the worker of the exchange; where a node is given, outside of a critical section. */
#ifndef MUSTER_API_HTTP_PERMIT_H
#define MUSTER_API_HTTP_PERMIT_H

#include <string.h>

#include "api/core/login.h"
#include "api/http/request.h"
#include "api/http/response.h"
#include "api/http/site.h"
#include "server/node/node.h"

struct permit {
    struct principal principal;
    enum permission needed;
    char key[STORED_NAME_SIZE]; /* the id or the service that the path names, as it is stored; "":
                                   none, or none that there can be */
    bool is_narrow;             /* he may not read all services, or asks in a namespace of his own:
                                   nothing is shared with others */
    unsigned wait_s;            /* after ST_RATE_LIMITED */
    bool is_closed;             /* he is told nothing about the replica but what he asked */
};

/* Finds out who asks for a route that was found, and in which namespace. ST_OK when he may.
 * ST_INVALID: the namespace is not valid, there are two, or the name in the path is too long for
 * it; `problem` says which. The login's namespace is not looked at. `token`: the text of one that
 * came elsewhere than in the header Authorization; NULL: none. */
MUST_USE enum status permit_find(struct permit *p, const struct node *node,
                                 const struct login *login, const char *token,
                                 const struct request *request, const struct route *route,
                                 struct problem *problem);
/* After waiting: whether he still may. */
MUST_USE enum status permit_again(struct permit *p, const struct node *node);
/* He may not, as the response says. Counts. */
void permit_refused(struct permit *p, enum status status, struct response *response);
/* What his write is to carry; borrows from the permit. */
struct guard permit_guard(const struct permit *p, const struct node *node);
/* Which services he may see by this route; borrows from the view. */
struct viewer permit_viewer(const struct permit *p, const struct view *view);
/* In which namespace he asks; "": `default`. The permit's. */
static inline const char *permit_space(const struct permit *p)
{
    return p->principal.space;
}
static inline struct slice permit_space_text(const struct permit *p)
{
    return slice_of(p->principal.space);
}
/* Whether the instance of the key is there, and not for him: it must be as if it were not. */
bool permit_hides(const struct permit *p, const struct node *node);

#endif
