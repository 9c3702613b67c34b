/* The lines of the audit log that exchanges make (api/core/audit.h). One rule for all routes, so
 * that a new one needs nothing. A line is written for
 *
 *   - each request to a route that changes something, whatever its outcome; but not for a heartbeat
 *     that gives no health or note, or only what this replica knows of the instance already;
 *   - each request that was refused because of its sender: 401, 403, 421. Of those that came too
 *     fast (429) one a second of each worker, with the number of the others.
 *
 * Thread: the worker of the exchange. */
#ifndef MUSTER_API_HTTP_AUDITED_LINE_H
#define MUSTER_API_HTTP_AUDITED_LINE_H

struct exchange;

/* The response is complete. */
void audited_end(struct exchange *x);
/* The node is done with it, and its client has gone away. */
void audited_abandon(struct exchange *x);

#endif
