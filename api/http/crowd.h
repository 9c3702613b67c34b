/* Connections over the limit that have not asked for anything yet. When a worker has no room left,
 * the oldest of them is closed after a moment: who comes to ask how the replica is must not wait
 * behind those who only hold on.
 *
 * Thread: one worker. Owns: nothing; sockets are libmicrohttpd's. */
#ifndef MUSTER_API_HTTP_CROWD_H
#define MUSTER_API_HTTP_CROWD_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/limits.h"

#define CROWD_PATIENCE_MS 100

struct crowd {
    unsigned count;
    struct {
        int socket;
        uint64_t since_ms;
    } idle[2 * HTTP_SPARE_A_WORKER_MAX]; /* oldest first; one that finds no place only times out */
};

void crowd_add(struct crowd *crowd, int socket, uint64_t now_ms);
/* It asks for something, or is closed. */
void crowd_remove(struct crowd *crowd, int socket);
/* Shuts those down that have had their moment. */
void crowd_press(struct crowd *crowd, uint64_t now_ms);

#endif
