/* One keep-alive connection to a replica: one request at a time goes out, its answer comes in.
 * Nothing blocks; the owner waits with epoll, whose data pointer is the channel.
 *
 *     DOWN -> CONNECTING -> IDLE <-> BUSY, and from any of them back to DOWN
 *
 * Thread: one owner at a time. Owns: its socket and its buffer; borrows its target. */
#ifndef MUSTER_BENCH_CHANNEL_H
#define MUSTER_BENCH_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "client/bench/answer.h"
#include "client/bench/target.h"
#include "server/base/buffer.h"

#define CHANNEL_REQUEST_BYTES_MAX (2 * 1024 * 1024)
/* Room for what one read takes from a socket, shared by all channels of a thread. */
#define CHANNEL_SCRATCH_BYTES (64 * 1024)

enum channel_state { CHANNEL_DOWN, CHANNEL_CONNECTING, CHANNEL_IDLE, CHANNEL_BUSY };

enum channel_event {
    CHANNEL_NOTHING,
    CHANNEL_OPENED,    /* now IDLE */
    CHANNEL_ANSWERED,  /* now IDLE, or DOWN when the replica closes after it; see `answer` */
    CHANNEL_LOST,      /* now DOWN; no request was under way */
    CHANNEL_REFUSED,   /* now DOWN; the connection did not come about */
    CHANNEL_BROKEN,    /* now DOWN; the request under way will have no answer */
    CHANNEL_MALFORMED, /* now DOWN; what came is no answer */
};

struct channel {
    struct channel *next; /* the owner's */
    const struct target *target;
    int epoll;
    int fd;
    enum channel_state state;
    bool wants_out;
    bool counted;    /* the owner's: whether the request belongs to the measurement */
    uint64_t due_ns; /* the owner's: when the request should have been sent */
    uint64_t
        deadline_ns;   /* the owner's: of the request or of connecting; when DOWN, to try again */
    struct buffer out; /* the request; to be filled before channel_send */
    size_t sent;
    struct answer answer;
};

void channel_init(struct channel *channel, const struct target *target, int epoll);
void channel_done(struct channel *channel);
/* From DOWN. CHANNEL_NOTHING: connecting; or CHANNEL_OPENED or CHANNEL_REFUSED at once. */
enum channel_event channel_connect(struct channel *channel);
/* Sends `out`, from IDLE. CHANNEL_NOTHING, or CHANNEL_BROKEN. */
enum channel_event channel_send(struct channel *channel);
/* epoll said something of it. */
enum channel_event channel_handle(struct channel *channel, uint32_t events, char *scratch);
/* Closes the socket, whatever the state. */
void channel_close(struct channel *channel);

#endif
