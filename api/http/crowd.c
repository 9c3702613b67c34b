#include "api/http/crowd.h"

#include <string.h>
#include <sys/socket.h>

#include "server/base/compiler.h"

void crowd_add(struct crowd *crowd, int socket, uint64_t now_ms)
{
    if (crowd->count < ARRAY_LENGTH(crowd->idle)) {
        crowd->idle[crowd->count].socket = socket;
        crowd->idle[crowd->count].since_ms = now_ms;
        crowd->count++;
    }
}

void crowd_remove(struct crowd *crowd, int socket)
{
    for (unsigned i = 0; i < crowd->count; i++) {
        if (crowd->idle[i].socket == socket) {
            crowd->count--;
            memmove(&crowd->idle[i], &crowd->idle[i + 1],
                    (crowd->count - i) * sizeof crowd->idle[0]);
            return;
        }
    }
}

void crowd_press(struct crowd *crowd, uint64_t now_ms)
{
    while (crowd->count > 0 && now_ms >= crowd->idle[0].since_ms + CROWD_PATIENCE_MS) {
        /* libmicrohttpd closes it when it sees the end. */
        (void)shutdown(crowd->idle[0].socket, SHUT_RDWR);
        crowd_remove(crowd, crowd->idle[0].socket);
    }
}
