/* Who asks, and whether he may, of a request: api/core/access.h on the header Authorization.
 *
 * Thread: the worker of the exchange; where a node is given, outside of a critical section. */
#ifndef MUSTER_API_HTTP_PERMIT_H
#define MUSTER_API_HTTP_PERMIT_H

#include "api/core/login.h"
#include "api/http/request.h"
#include "api/http/response.h"
#include "api/http/site.h"
#include "server/node/node.h"

struct permit {
    struct principal principal;
    enum permission needed;
    const char *service; /* that the call names, if it is about one; the request's */
    bool is_narrow;      /* he may not read all services: nothing is shared with others */
    unsigned wait_s;     /* after ST_RATE_LIMITED */
    bool is_closed;      /* he is told nothing about the replica but what he asked */
};

/* Finds out who asks for a route that was found. ST_OK when he may. */
MUST_USE enum status permit_find(struct permit *p, const struct node *node,
                                 const struct login *login, const struct request *request,
                                 const struct route *route);
/* After waiting: whether he still may. */
MUST_USE enum status permit_again(struct permit *p, const struct node *node);
/* He may not, as the response says. Counts. */
void permit_refused(struct permit *p, enum status status, struct response *response);
/* What his write is to carry; borrows from the permit. */
struct guard permit_guard(const struct permit *p, const struct node *node);
/* Which services he may see by this route; borrows from the view. */
struct viewer permit_viewer(const struct permit *p, const struct view *view);
/* Whether an instance is there, and not for him: it must be as if it were not. */
bool permit_hides(const struct permit *p, const struct node *node, const char *id);

#endif
