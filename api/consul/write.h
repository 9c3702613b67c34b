/* What the handlers of writes share.
 *
 * Thread: the worker. */
#ifndef MUSTER_API_CONSUL_WRITE_H
#define MUSTER_API_CONSUL_WRITE_H

#include "api/consul/body.h"
#include "api/http/exchange.h"

/* 200 with an empty body, as below /v1/agent; or `true`, as below /v1/catalog. */
enum next write_done(struct exchange *x);
enum next write_true(struct exchange *x);
/* The answer to an outcome that is not ST_OK. */
enum next write_failed(struct exchange *x, enum status status);
/* 400 with what the problem says. */
enum next write_bad(struct exchange *x, const struct problem *problem);

/* `finish` of a write below /v1/agent, with exchange_outcome(). */
enum next write_finish(struct exchange *x, enum status status);

/* The state of a write of one enrolment. */
struct enrolling {
    struct enrolment enrolment;
    char caller[NODE_SIZE];
    char id[STORED_NAME_SIZE]; /* of the node, or of the owner of a check */
};
/* Makes it the exchange's. */
struct enrolling *write_begin_enrolling(struct exchange *x);
/* The registration and its checks; borrows from the enrolment. */
void write_enrol(struct command *c, const struct enrolment *e);
/* A node: MARK NAME. `id` has room for a stored name. */
void write_node(struct command *c, const char *name, const char *address, char *id);
/* After write_node(): with that check, and the caller as its agent. */
void write_node_check(struct command *c, struct enrolling *e, const struct check_spec *check);

/* 404 of a check: nobody, or several. */
enum next write_unknown_check(struct exchange *x, enum found found, unsigned count);

#endif
