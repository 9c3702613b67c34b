/* Writes that the node has: registrations, deregistrations and renewals. Each is answered once:
 * when the node is done with it, or ZMQ_ANSWER_MS after it came, as these clients take a later
 * answer for that to their next request.
 *
 * Thread: the worker. */
#ifndef MUSTER_API_ZMQ_PENDING_H
#define MUSTER_API_ZMQ_PENDING_H

#include "api/zmq/internal.h"

/* The command of a registration or deregistration; it is copied. */
void pending_write(const struct ask *ask, const struct command *command);
void pending_renew(const struct ask *ask);
/* For the worker's lane. */
void pending_finish(struct lane_item *item);
/* Answers those whose time is over. Returns in how many milliseconds the next one is; -1: none. */
long pending_answer_late(struct zmq_worker *worker);
/* Writes a line to the audit log for one who was refused. */
void pending_audit_refusal(const struct ask *ask, enum status status, uint64_t held_back);

#endif
