/* Which replica is asked, and when another one or the same again: README.md, "Fail-over". A pure
 * state machine: the time and the outcome of each attempt go in, the next step comes out.
 *
 * Owns: the last refusal, until the end; borrows the list of servers. */
#ifndef MUSTER_LIB_FAILOVER_H
#define MUSTER_LIB_FAILOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/lib/http.h"
#include "client/lib/servers.h"

#define FAILOVER_WHY_SIZE 2048

/* Shared by the calls of one client. */
struct failover {
    const struct servers *servers;
    size_t preferred; /* the one that answered last */
};

enum failover_step {
    FAILOVER_TRY,   /* `server`, within connect_ms and limit_ms; then failover_note() */
    FAILOVER_PAUSE, /* come again at resume_ms */
    FAILOVER_OVER,  /* failover_end() */
};

enum failover_outcome {
    FAILOVER_ANSWERED,    /* with what the answer says */
    FAILOVER_UNREACHABLE, /* surely not done: nobody took it */
    FAILOVER_UNKNOWN,     /* a write that may or may not have happened */
};

struct failover_call {
    /* what to do */
    size_t server;
    uint64_t connect_ms;
    uint64_t limit_ms;
    uint64_t resume_ms;

    /* what was learnt */
    struct failover *failover;
    const struct http_request *request;
    bool once; /* one attempt, at the first server: its answer counts whatever it is */
    uint64_t deadline_ms;
    size_t tried; /* in this round */
    uint64_t began_ms;
    bool final;
    bool paused;
    bool unsure;   /* an attempt may have happened */
    bool answered; /* `answer` holds the last one */
    struct http_answer answer;
    int64_t pause_ms;    /* -1: nobody in this round asked to come again */
    uint64_t slowest_ms; /* that a replica took to refuse */
    char why[FAILOVER_WHY_SIZE];
};

void failover_begin(struct failover_call *call, struct failover *failover,
                    const struct http_request *request, uint64_t deadline_ms);
enum failover_step failover_next(struct failover_call *call, uint64_t now_ms);
/* Takes the answer, when there is one. */
void failover_note(struct failover_call *call, enum http_outcome outcome,
                   struct http_answer *answer, const char *why, uint64_t now_ms);
/* *ret_answer is the caller's to be done when FAILOVER_ANSWERED. `why` of the call says what went
 * wrong with each replica, `unsure` whether an attempt before the answer may have happened, too. */
enum failover_outcome failover_end(struct failover_call *call, struct http_answer *ret_answer);

#endif
