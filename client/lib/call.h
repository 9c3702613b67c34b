/* A request with all its attempts: failover.h says which replica is asked, http.h how, and the loop
 * when.
 *
 * Thread: the loop's. Owns: its exchange. A call is its user's memory, and stays there until
 * on_done has come or call_cancel() was called. */
#ifndef MUSTER_LIB_CALL_H
#define MUSTER_LIB_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "client/lib/failover.h"
#include "client/lib/http.h"
#include "client/lib/loop.h"

struct call {
    /* Comes once, from a turn of the loop. `answer` is the callee's when CALL_ANSWERED. */
    void (*on_done)(struct call *call, enum failover_outcome outcome, struct http_answer *answer);

    /* readable from on_done */
    struct failover_call failover;

    /* the call's own */
    struct loop *loop;
    struct http_request request;
    char *body;
    struct http_exchange exchange;
    struct loop_transfer transfer;
    struct loop_timer timer;
};

/* Borrows the failover with its servers, and the request's texts; not its body. False without
 * memory: on_done does not come then. */
MUST_USE bool call_start(struct call *call, struct loop *loop, struct failover *failover,
                         const struct http_request *request, uint64_t timeout_ms);
/* One attempt at one replica, whose answer counts whatever it is. */
MUST_USE bool call_start_once(struct call *call, struct loop *loop, struct failover *failover,
                              const struct http_request *request, uint64_t timeout_ms);
/* on_done will not come. Harmless after it has. */
void call_cancel(struct call *call);

#endif
