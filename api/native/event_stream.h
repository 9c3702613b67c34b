/* One event stream as text (Server-sent events: WHATWG HTML, section 9.2). It is read a piece at a
 * time, as the client takes it; what does not fit is made later from the view of that time, so that
 * a stream holds one event at most.
 *
 *     id: 17.1641853288448000
 *     event: registered
 *     data: {"id":"17.1641853288448000","event":"registered",...}
 *
 * Ids are positions in the log, the same on every replica. A block of an id alone is a bookmark: it
 * moves the position to resume at, past events that do not match, and browsers dispatch nothing for
 * it. While instances are presented no id is sent: a client that comes back then begins anew.
 *
 * Thread: the worker that owns the connection. Owns: its cursor and texts. */
#ifndef MUSTER_API_HTTP_EVENT_STREAM_H
#define MUSTER_API_HTTP_EVENT_STREAM_H

#include "api/core/access.h"
#include "api/http/stream.h"
#include "api/native/event_query.h"

/* Takes the query's filter. Within a read-side critical section. The stream is freed by its kind.
 */
struct stream *event_stream_open(struct node *node, const struct principal *principal,
                                 struct event_query *query, const struct view *view);

#endif
