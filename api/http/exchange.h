/* One request on its way to an answer. It may stop several times:
 *
 *     read:   what server/node/read.h waits for (consistency, min_index, index and wait) -> handler
 *     write:  handler -> command -> the handler's `finish`, which may send another command
 *
 * Each stop is an operation of the node; when it is over, `wake` is called, and exchange_resume
 * goes on. Handlers only look and fill in: they never submit anything themselves.
 *
 * Thread: one worker; `wake` is called on the node's loop thread.
 * Owns: request, response and state. */
#ifndef MUSTER_API_HTTP_EXCHANGE_H
#define MUSTER_API_HTTP_EXCHANGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/core/crowd.h"
#include "api/core/exposure.h"
#include "api/http/audited.h"
#include "api/http/gzip.h"
#include "api/http/origin.h"
#include "api/http/permit.h"
#include "api/http/request.h"
#include "api/http/response.h"
#include "api/http/same_answers.h"
#include "api/http/site.h"
#include "server/base/log.h"
#include "server/node/node.h"
#include "server/node/read.h"
#include "server/node/renew.h"

#define TURNS_SLOTS 1024

struct audit;
struct tls;

/* What all workers share. Immutable after start, but for the atomics. */
struct api_context {
    struct node *node;
    const struct site *const *sites; /* of this port (site.h). NULL: http_sites */
    void *own;                       /* of the door whose port it is; NULL: nothing */
    struct tls *tls;                 /* NULL: plain */
    struct audit *audit;             /* NULL: no audit log */
    struct origins origins;          /* which web pages may ask, and by which names */
    struct rate_limits *limits;
    enum anonymous anonymous; /* what those may do who have no token */
    struct exposure exposure; /* which warnings are due */
    uint32_t ttl_ms;
    uint32_t reap_after_ms;
    uint32_t tbfs_reap_after_ms; /* of what api/tbfs registers */
    const char *tbfs_service;    /* likewise: the name of its service */
    const char *datacenter;      /* of api/consul: the name of this one */
    uint64_t started_ms;
    atomic_bool draining;  /* streams end, no more are begun */
    struct crowd crowd;    /* the connections of all workers */
    struct budget answers; /* memory of those that wait to be read */
    struct budget bodies;  /* of those that are being received */
    /* For strategy=round_robin, by hash of the service's name. */
    _Atomic uint32_t turns[TURNS_SLOTS];
};

/* What the exchanges of one worker share. */
struct worker_scratch {
    uint64_t random; /* state of its generator */
    struct log_gate rate_gate, audit_gate;
    struct same_answers same;
    struct gzip gzip;
    struct command command; /* large; filled in by a handler, done with when it was submitted */
};

enum stage { STAGE_READ, STAGE_HANDLE, STAGE_WRITE, STAGE_DONE };

struct download;
struct stream;

struct exchange {
    struct api_context *context;
    struct worker_scratch *scratch;
    struct request request;
    struct response response;
    uint64_t client;           /* for rate limits */
    const char *certificate;   /* its name (access.h); borrowed until exchange_start returns */
    const char *target;        /* as it came; borrowed */
    const struct site *site;   /* whose route it is, or whose error */
    const struct route *route; /* NULL: the response is an error already */
    struct permit permit;      /* who asks, once the route is found */
    struct audited audited;
    bool late; /* what the node still has of it must not be looked at */

    enum stage stage;
    bool proven;           /* the leader proof was there */
    bool was_read;         /* what NEXT_READ asked for is there */
    uint64_t deadline_ms;  /* monotonic: when its client does not wait any longer; 0: not said */
    struct stream *stream; /* the body is this, in place of the response's */
    struct download
        *download; /* likewise; it is to be ended first, if the node has a file for it */

    /* Of the handlers of writes. */
    void *state;
    void (*state_free)(void *state);
    enum next (*finish)(struct exchange *x, enum status status);

    /* The stop. */
    void (*wake)(struct exchange *x);
    enum status outcome;
    uint64_t due_ms; /* monotonic: when a write should be over */
    struct node_read read;
    struct node_write write;
    struct node_renewal renewal;
    struct node_change change;
};

void exchange_init(struct exchange *x, struct api_context *context, struct worker_scratch *scratch,
                   void (*wake)(struct exchange *x));
/* Not while stopped. */
void exchange_done(struct exchange *x);
/* Takes the target apart and finds the route. When that fails, `response` says why, and route is
 * NULL.
 */
void exchange_route(struct exchange *x, const char *target);
/* After that, for a connection over a limit, on the number of them or on how fast they are opened:
 * refused, but for what tells how the replica is. */
void exchange_crowded(struct exchange *x, bool too_fast);
/* Answers with an error before a handler has looked at the request. */
void exchange_refuse(struct exchange *x, int status, const char *code, const char *field,
                     const char *message);
/* With the body complete. True: the response is complete. False: `wake` will be called, then
 * exchange_resume is to be. */
MUST_USE bool exchange_start(struct exchange *x);
MUST_USE bool exchange_resume(struct exchange *x);
/* Another turn of one whose route is a duplex, and which is complete: the handler once more. */
MUST_USE bool exchange_again(struct exchange *x);
/* Counts one more request of the same client. False: it is one too many, as the response says. */
MUST_USE bool exchange_may_ask(struct exchange *x);
/* A stopped exchange whose response nobody wants any more: `wake` is called soon. */
void exchange_cancel(struct exchange *x);
/* Whether a stopped exchange should have gone on by now (monotonic), or nobody waits for it. */
bool exchange_is_late(struct exchange *x, uint64_t now_ms);
/* It has not: makes the response nevertheless. The exchange stays the node's until `wake` is
 * called, and is not resumed then. */
void exchange_late(struct exchange *x);

/* The sites that are asked, of the port that it came to. */
static inline const struct site *const *exchange_sites(const struct exchange *x)
{
    return x->context->sites != NULL ? x->context->sites : http_sites;
}

/* For strategy=round_robin: the number of this call among those for the same name. Names that share
 * a slot share turns, which is harmless. */
uint32_t exchange_take_turn(struct exchange *x, const char *name);

/* In `finish` of a write: what came of it, once the way there was good. */
static inline enum status exchange_outcome(const struct exchange *x, enum status status)
{
    return status == ST_OK ? x->write.result.status : status;
}

#endif
