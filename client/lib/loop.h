/* What one thread waits for: transfers (libcurl's multi interface) and timers.
 *
 * Thread: one owner, which calls all of this; loop_wake() alone is for any thread.
 * Owns: the multi handle with its connections; transfers and timers are their users'. */
#ifndef MUSTER_LIB_LOOP_H
#define MUSTER_LIB_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <curl/curl.h>

#include "client/lib/http.h"
#include "server/base/compiler.h"

/* Idle connections that are kept. */
#define LOOP_CONNECTIONS_MAX 64
#define LOOP_NEVER           UINT64_MAX

struct loop_timer {
    uint64_t due_ms; /* LOOP_NEVER: not set */
    void (*on_due)(struct loop_timer *timer);
    struct loop_timer *next, *previous;
};

struct loop_transfer {
    CURL *curl;
    /* The handle has left the loop; it is the callee's. */
    void (*on_done)(struct loop_transfer *transfer, CURLcode code);
};

struct loop {
    CURLM *multi;
    struct http_shared *shared;
    struct loop_timer *timers;
    struct loop_timer *next_timer; /* that a walk over them comes to; removal moves it on */
};

/* False without memory. */
MUST_USE bool loop_init(struct loop *loop);
/* There must be no transfer left. */
void loop_done(struct loop *loop);
/* Runs what is due, and waits for it at most wait_ms. `extra`, with its count, are more descriptors
 * to wait for; NULL for none. */
void loop_turn(struct loop *loop, uint64_t wait_ms, struct curl_waitfd *extra,
               unsigned extra_count);
/* Ends a wait at once. Any thread. */
void loop_wake(struct loop *loop);

/* A timer that is not set; loop_set() may be called any number of times until loop_unset(). */
void loop_set(struct loop *loop, struct loop_timer *timer, uint64_t due_ms);
void loop_unset(struct loop *loop, struct loop_timer *timer);

/* on_done comes from a later loop_turn(), unless it is removed before. False without memory. */
MUST_USE bool loop_add(struct loop *loop, struct loop_transfer *transfer);
void loop_remove(struct loop *loop, struct loop_transfer *transfer);

#endif
