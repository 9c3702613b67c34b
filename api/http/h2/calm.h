/* What a peer of HTTP/2 may do that costs it nothing and us something: frames that ask for nothing,
 * and requests taken back. Each has a bucket.
 *
 * Thread: the worker. Owns: nothing. */
#ifndef MUSTER_API_HTTP_H2_CALM_H
#define MUSTER_API_HTTP_H2_CALM_H

#include <stdbool.h>
#include <stdint.h>

struct h2_calm {
    uint32_t noise, resets; /* that are left */
    uint64_t filled_ms;     /* monotonic */
};

void h2_calm_init(struct h2_calm *calm, uint64_t now_ms);
/* False: that was one too many. */
bool h2_calm_noise(struct h2_calm *calm, uint64_t now_ms);
bool h2_calm_reset(struct h2_calm *calm, uint64_t now_ms);
/* A frame that asked for something, or one that we sent. */
void h2_calm_work(struct h2_calm *calm);

#endif
