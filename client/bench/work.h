/* What the load consists of: request number N as bytes. Which instance and service a number stands
 * for is arithmetic, so that millions of them take no memory.
 *
 *     instance n  has the id PREFIX-n and belongs to service n modulo the number of services
 *     service s   has the name PREFIX-s<s>
 *
 * Thread: any; constant once made. Owns: nothing. */
#ifndef MUSTER_BENCH_WORK_H
#define MUSTER_BENCH_WORK_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/buffer.h"

#define WORK_PREFIX_BYTES_MAX 64
#define WORK_INSTANCES_MAX    100000000

enum work_kind { WORK_REGISTER, WORK_HEARTBEAT, WORK_DISCOVER, WORK_DEREGISTER };

struct work {
    enum work_kind kind;
    char prefix[WORK_PREFIX_BYTES_MAX + 1];
    const char *headers; /* of each request, each with its end of line; borrowed */
    uint64_t
        instances; /* of all services; numbers beyond begin again. 0: each number is a new one */
    uint64_t services;
    uint64_t ttl_ms;
    uint32_t batch;    /* ids in one heartbeat */
    uint32_t limit;    /* of a discovery's answer; 0: none */
    uint32_t revision; /* what a registration says differs by it, and by the round */
    bool linearizable;
};

/* Appends the whole request. `body` is the caller's, to be used again and again. */
void work_write(const struct work *work, uint64_t number, const char *host, struct buffer *body,
                struct buffer *out);
/* Requests that reach each instance once. */
uint64_t work_round(const struct work *work);

#endif
