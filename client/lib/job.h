/* The requests of the keeper: made, sent, and taken apart again.
 *
 * Thread: the background's. Owns: a job its body and its path. */
#ifndef MUSTER_LIB_JOB_H
#define MUSTER_LIB_JOB_H

#include "client/lib/registration.h"

enum job_kind { JOB_REGISTER, JOB_HEALTH, JOB_MAINTENANCE, JOB_REMOVE, JOB_RENEW };

struct job {
    struct call call;
    enum job_kind kind;
    struct muster *muster;
    struct job *next, *previous;
    struct muster_registration **registrations; /* those it is about, by id; each is busy */
    size_t count;
    uint64_t version; /* of the setting that is sent */
    json_t *body;
    struct bytes path;
};

/* With the mutex. Starts a request about so many registrations and marks them busy. NULL without
 * memory. `on_done` is the call's. */
struct job *job_start(struct muster *muster, enum job_kind kind,
                      struct muster_registration *const *registrations, size_t count,
                      void (*on_done)(struct call *, enum failover_outcome, struct http_answer *));
/* Takes it out of the list and frees it; its registrations are no longer busy. With the mutex. */
void job_end(struct job *job);
/* The first of its registrations, or the one with this id; NULL when it is not about that. */
struct muster_registration *job_find(const struct job *job, const char *id);

#endif
