/* The mass-expiry brake: if a large share of all leases would expire at once, a network failure is
 * more likely than the death of them all. In each window at most a quarter expires. A cluster of
 * ten has a brake, too; only the floor keeps a handful of instances that end together from engaging
 * it.
 *
 * Thread: loop. */
#ifndef MUSTER_NODE_BRAKE_H
#define MUSTER_NODE_BRAKE_H

#include <stdint.h>

#define BRAKE_WINDOW_MS 5000
#define BRAKE_SHARE     4
#define BRAKE_FLOOR     3

struct brake {
    uint64_t window_ms; /* monotonic: its start */
    uint32_t expired;   /* live ones that expired in it */
};

void brake_begin(struct brake *brake, uint64_t now_ms);
/* How many of `leases` may still expire in this window. */
uint32_t brake_allowance(struct brake *brake, uint32_t leases, uint64_t now_ms);
void brake_count(struct brake *brake, uint32_t expired);

#endif
