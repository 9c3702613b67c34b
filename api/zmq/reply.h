/* An answer: a JSON object with `success` first, to where its request came from.
 *
 * Thread: the worker. */
#ifndef MUSTER_API_ZMQ_REPLY_H
#define MUSTER_API_ZMQ_REPLY_H

#include "api/core/json_out.h"
#include "api/zmq/internal.h"
#include "server/base/problem.h"

/* Begin, members, send. */
struct reply {
    struct buffer text;
    struct json_out json;
};
void reply_begin(struct reply *reply, bool success);
void reply_send(struct reply *reply, struct asker *to);
/* A whole one that says what is wrong. */
void reply_error(struct asker *to, const char *error);
/* The same, with the field at fault before it. */
void reply_problem(struct asker *to, const struct problem *problem);
/* What `status` means to these clients. */
const char *reply_why(enum status status);

#endif
