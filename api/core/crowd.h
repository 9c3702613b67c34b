/* How many connections there are, of all clients and of each client's address
 * (client_address.h). Addresses are not stored: each has a place by hash in two
 * tables of counters, and the smaller of the two counts. So a stranger's share can be taken for
 * larger than it is, but hardly ever is, and never for smaller.
 *
 * Thread: any; atomics. */
#ifndef MUSTER_API_CORE_CROWD_H
#define MUSTER_API_CORE_CROWD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define CROWD_SLOTS 16384

struct crowd {
    uint64_t seed; /* immutable after crowd_init, as the next two */
    unsigned most;
    unsigned most_of_one;
    atomic_uint count;
    atomic_uint of_address[2][CROWD_SLOTS];
};

enum crowd_verdict {
    CROWD_FINE,
    CROWD_TOO_MANY,        /* over the limit of all */
    CROWD_TOO_MANY_OF_ONE, /* over that of its address */
    CROWD_TOO_FAST,        /* its address opens them too fast */
};

void crowd_init(struct crowd *crowd, unsigned most, unsigned most_of_one);
/* Counts a connection, which its address may open now if `is_slow`; among all of them only when the
 * verdict is fine, so that who has too many takes nothing from others. */
enum crowd_verdict crowd_enter(struct crowd *crowd, const struct sockaddr *peer, bool is_slow);
/* `verdict`: what it was told. */
void crowd_leave(struct crowd *crowd, const struct sockaddr *peer, enum crowd_verdict verdict);

#endif
