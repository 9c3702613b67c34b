/* Events as the older ZeroMQ registry published them: two frames, a topic and a JSON text. Topics
 * are register, deregister and expire, and no others, so a recovered instance is a registered one.
 *
 * After a restart events of the past, which are applied again, are not published again. When the
 * history was replaced by a snapshot, what is there is published as registered.
 *
 * Thread: the door's. Owns: its cursor. */
#ifndef MUSTER_API_ZMQ_PUBLISHER_H
#define MUSTER_API_ZMQ_PUBLISHER_H

#include "api/core/access.h"
#include "api/core/lane.h"
#include "api/zmq/endpoint.h"
#include "server/node/event_cursor.h"
#include "server/node/node.h"

struct publisher {
    struct node *node;
    struct endpoint *endpoints[2]; /* plain, and under CURVE */
    struct lane *lane;             /* to be woken */
    enum anonymous anonymous;
    struct node_listener listener;
    struct event_cursor cursor;
    bool has_begun;
};

/* `node`, `endpoints`, `lane`, and `anonymous` are set. The listener stays with the node
 * until that is destroyed; without a port of events there is none. */
void publisher_listen(struct publisher *p);
/* Publishes what is new, but only so much that others get their turn. True: there is more. */
MUST_USE bool publisher_run(struct publisher *p);
void publisher_done(struct publisher *p);

#endif
