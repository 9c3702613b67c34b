#include "server/node/brake.h"

#include "server/base/clock.h"

void brake_begin(struct brake *brake, uint64_t now_ms)
{
    *brake = (struct brake){.window_ms = now_ms};
}

uint32_t brake_allowance(struct brake *brake, uint32_t leases, uint64_t now_ms)
{
    uint32_t most = leases / BRAKE_SHARE;
    if (most < BRAKE_FLOOR) {
        most = BRAKE_FLOOR;
    }
    /* The first expiry starts a window: otherwise the end of one and the start of the next would
     * form one burst. */
    if (brake->expired == 0 || clock_elapsed(brake->window_ms, now_ms) >= BRAKE_WINDOW_MS) {
        brake_begin(brake, now_ms);
    }
    return brake->expired < most ? most - brake->expired : 0;
}

void brake_count(struct brake *brake, uint32_t expired)
{
    brake->expired += expired;
}
