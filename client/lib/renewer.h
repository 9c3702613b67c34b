/* Keeps registrations registered: decides which request is due, how many may be under way, and what
 * each answer means.
 *
 * Thread: the background thread, unless a function says otherwise.
 * Owns: the registrations in its list, and their requests. */
#ifndef MUSTER_LIB_RENEWER_H
#define MUSTER_LIB_RENEWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/lib/core.h"
#include "client/lib/registration.h"

#define RENEWER_REGISTRATIONS_MAX 100000

struct registration_request;

struct renewer {
    struct core *core;

    /* under the mutex */
    struct muster_registration *first;
    size_t count;
    struct muster_registration *queue, *queue_end; /* registrations that need a request */
    bool news;                                     /* some state has not been reported yet */

    /* background thread */
    struct registration_request *requests;
    size_t requests_count;
    bool renewing;      /* a common heartbeat is under way */
    unsigned failures;  /* in a row */
    uint64_t resume_ms; /* after a failure: no request before this time */
    struct loop_timer timer;
};

void renewer_init(struct renewer *renewer, struct core *core);
/* Requires the mutex. Any thread. Takes the registration, and queues it. */
void renewer_add(struct renewer *renewer, struct muster_registration *registration);
/* Requires the mutex. Any thread. The registration needs a request. */
void renewer_queue(struct renewer *renewer, struct muster_registration *registration);
/* Requires the mutex, and releases it during callbacks. Sends what is due. */
void renewer_work(struct renewer *renewer);
/* Requires the mutex, and releases it during callbacks. The dispatching thread. Reports states. */
void renewer_dispatch(struct renewer *renewer);
/* Requires the mutex. Cancels all requests and frees all registrations. */
void renewer_stop(struct renewer *renewer);

#endif
