/* The requests of the renewer: made, sent, and taken apart again.
 *
 * Thread: the background's. Owns: a request its body and its path. */
#ifndef MUSTER_LIB_REGISTRATION_REQUEST_H
#define MUSTER_LIB_REGISTRATION_REQUEST_H

#include "client/lib/bytes.h"
#include "client/lib/call.h"
#include "client/lib/core.h"
#include "client/lib/registration.h"

enum request_kind {
    REQUEST_REGISTER,
    REQUEST_HEALTH,
    REQUEST_MAINTENANCE,
    REQUEST_REMOVE,
    REQUEST_RENEW
};

struct registration_request {
    struct call call;
    enum request_kind kind;
    struct core *core;
    void *ctx;                                    /* the sender's */
    struct registration_request *next, *previous; /* the sender's */
    struct muster_registration **registrations;   /* those it is about, by id; each is busy */
    size_t count;
    uint64_t version; /* of the setting that is sent */
    json_t *body;
    struct bytes path;
};

/* Requires the mutex. Starts a request about `count` registrations and marks them busy. NULL
 * without memory. `on_done` is the call's. */
struct registration_request *registration_request_start(
    struct core *core, enum request_kind kind, struct muster_registration *const *registrations,
    size_t count, void (*on_done)(struct call *, enum failover_outcome, struct http_answer *));
/* Requires the mutex. Frees it; its registrations are no longer busy. */
void registration_request_end(struct registration_request *request);
/* The first of its registrations, or the one with this id; NULL when it is not about that. */
struct muster_registration *registration_request_find(const struct registration_request *request,
                                                      const char *id);

#endif
