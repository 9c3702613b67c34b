/* The API of a Docker daemon over libcurl: several requests at once, each bounded in size and time,
 * and the stream of events, which only says that something has changed.
 *
 * Thread: one, but for docker_wake. Owns: its connections. */
#ifndef MUSTER_API_SWARM_DOCKER_H
#define MUSTER_API_SWARM_DOCKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <curl/curl.h>

#include "api/swarm/docker_url.h"
#include "server/base/buffer.h"

#define DOCKER_ERROR_SIZE 200

struct docker {
    char base[DOCKER_URL_SIZE];   /* of URLs */
    char socket[DOCKER_URL_SIZE]; /* of a unix socket; "": none */
    CURLM *multi;
    CURL *events; /* NULL: not connected */
    struct buffer line;
    bool changed; /* an event was there since it was last set to false */
    uint64_t events_retry_ms;
    atomic_bool ends;
};

struct docker_request {
    const char *path;   /* from the slash on, escaped */
    struct buffer body; /* limited by the caller; his to free */
    /* private */
    CURL *easy;
    /* results */
    bool good; /* answered with 200, complete */
    char error[DOCKER_ERROR_SIZE];
};

/* False if it is no URL of a daemon. */
MUST_USE bool docker_open(struct docker *d, const char *url);
void docker_close(struct docker *d);
/* Makes the requests, and returns when all have ended: within `within_ms`. */
void docker_get(struct docker *d, struct docker_request *requests, size_t count, long within_ms);
/* Waits for an event, for docker_wake, or so long. Connects to the stream when it has to. */
void docker_wait(struct docker *d, long within_ms);
/* Any thread: docker_wait returns. */
void docker_wake(struct docker *d);
/* Any thread: all that waits ends soon, for good. */
void docker_end(struct docker *d);

/* --- private, for tests --- */

/* Whether one event, a JSON object, is about services, or containers of tasks. */
MUST_USE bool docker_event_matters(const char *text, size_t len);

#endif
