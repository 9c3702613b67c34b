/* The requests of the renewer: made, sent, and taken apart again.
 *
 * Thread: the background's. Owns: a request its body and its path. */
#ifndef MUSTER_LIB_REGISTRATION_REQUEST_H
#define MUSTER_LIB_REGISTRATION_REQUEST_H

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
    struct muster *muster;
    struct registration_request *next, *previous;
    struct muster_registration **registrations; /* those it is about, by id; each is busy */
    size_t count;
    uint64_t version; /* of the setting that is sent */
    json_t *body;
    struct bytes path;
};

/* With the mutex. Starts a request about so many registrations and marks them busy. NULL without
 * memory. `on_done` is the call's. */
struct registration_request *registration_request_start(
    struct muster *muster, enum request_kind kind, struct muster_registration *const *registrations,
    size_t count, void (*on_done)(struct call *, enum failover_outcome, struct http_answer *));
/* Takes it out of the list and frees it; its registrations are no longer busy. With the mutex. */
void registration_request_end(struct registration_request *request);
/* The first of its registrations, or the one with this id; NULL when it is not about that. */
struct muster_registration *registration_request_find(const struct registration_request *request,
                                                      const char *id);

#endif
