/* One HTTP answer as the handlers make it.
 *
 * Thread: one owner at a time. Owns: its body. */
#ifndef MUSTER_API_REPLY_H
#define MUSTER_API_REPLY_H

#include <stdint.h>

#include "api/fault.h"
#include "api/json_out.h"
#include "server/base/buffer.h"
#include "server/base/status.h"

/* A listing of more is refused with a hint at pages. */
#define REPLY_BYTES_MAX (512u * 1024 * 1024)

struct reply {
    int status;               /* HTTP */
    const char *content_type; /* static */
    const char *allow;        /* of 405: static or borrowed from the route; else NULL */
    uint64_t index;           /* of the view that the body was made from; 0: of none */
    struct buffer body;
};

void reply_init(struct reply *reply);
void reply_done(struct reply *reply);

/* Starts a JSON body over, with status 200. */
struct json_out reply_json(struct reply *reply);
/* An error body in place of whatever was there. */
void reply_error(struct reply *reply, int status, const char *code, const char *field,
                 const char *message);
void reply_status(struct reply *reply, enum status status);
/* 400 for what the fault says. */
void reply_fault(struct reply *reply, const struct fault *fault);

#endif
