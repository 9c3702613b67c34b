/* What the audit log (api/core/audit.h) has to know of an exchange, noted before the node is asked:
 * what is changed, and whether a heartbeat only renews its lease. audited_line.h makes the line.
 *
 * Thread: the worker of the exchange. */
#ifndef MUSTER_API_HTTP_AUDITED_H
#define MUSTER_API_HTTP_AUDITED_H

#include <stdbool.h>

#include "api/core/audit.h"
#include "api/http/site.h"
#include "server/node/renew.h"

/* Of an exchange. All zeros at first. Owns: its texts. */
struct audited {
    const struct route *route; /* that the request is for, also when it was refused */
    enum next next;            /* what the node was asked for; NEXT_RESPOND: nothing */
    bool is_quiet;             /* a heartbeat that only renews */
    bool is_done;              /* has its line, or needs none */
    char *service, *id;        /* of what is changed; NULL: see the route's {variable} */
    const char *space;         /* in which namespace; "": `default`. Borrowed */
};

/* What the node is asked for: the one of these that `next` means. */
struct audited_change {
    enum next next;
    const struct command *command;
    const struct node_renewal *renewal;
    const struct consensus_change *members;
    const char *space; /* the namespace; the exchange's */
};

/* Before the node is asked. False: the audit log is required and cannot be written. `audit` may be
 * NULL. Outside of a read-side critical section, as the next. */
MUST_USE bool audited_begin(struct audited *audited, struct audit *audit, const struct node *node,
                            const struct audited_change *change);
/* Notes the instance of a heartbeat that is for one. */
void audited_note_renewal(struct audited *audited, const struct node *node,
                          const struct node_renewal *renewal);
void audited_done(struct audited *audited);

#endif
