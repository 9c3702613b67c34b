/* The links between members: one outgoing TCP connection to each other member, for sending, and one
 * incoming from each, for receiving; IPv4 and IPv6, by host name (resolved at each attempt but for
 * the first ones after a loss, which go to the address that worked). After the handshake
 * (hello.h) a connection carries checksummed frames. A connection that breaks the rules is closed
 * and the reason logged, rate-limited; nothing else is disturbed.
 *
 *   frame:  length u32 (of what follows the header), type u8, flags u8, zero u16, crc32c u32 (of
 *           type, flags, zero and content), content
 *
 * Messages above PEER_PIECE_BYTES sent with `bulk` travel in pieces (flag MORE) between other
 * frames, so that a snapshot does not hold up heartbeats. Order is kept within each of the two.
 *
 * The process must ignore SIGPIPE (libuv writes with write(2)).
 *
 * Thread: loop. Callbacks never come from inside a call of this module.
 * Owns: its sockets, timers and buffers. */
#ifndef MUSTER_CONSENSUS_PEER_H
#define MUSTER_CONSENSUS_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "server/base/compiler.h"
#include "server/base/status.h"

struct peers;

enum peer_state {
    PEER_UP,      /* the outgoing link is ready for frames */
    PEER_DOWN,    /* it broke, or could not be made for some reason other than PEER_REFUSED */
    PEER_REFUSED, /* it broke or was never there, and a fresh attempt was refused by the peer's
                     kernel (ECONNREFUSED): no process listens there any more */
};

struct peers_options {
    uv_loop_t *loop;
    uint64_t id;
    uint64_t cluster_id;
    const char *listen; /* host:port, copied */
    const char *secret; /* "" when none, copied */
    uint32_t retry_ms;  /* between connection attempts, with some jitter; the first is at once */
    void *ctx;
    /* A whole message from a member; `data` is borrowed. */
    void (*receive)(void *ctx, uint64_t from, uint8_t type, const uint8_t *data, size_t len);
    /* Each change of state of the outgoing link to a member. */
    void (*state)(void *ctx, uint64_t id, enum peer_state state);
};

/* Listens. NULL and a sentence when the address cannot be bound. */
struct peers *peers_create(const struct peers_options *options, char *error, size_t error_size);
/* Closes everything; fires the `sent` callbacks with ST_STOPPING, then `closed`. */
void peers_close(struct peers *p, void (*closed)(void *ctx));
/* After `closed`. */
void peers_destroy(struct peers *p);

/* Adds a member to keep a link to, or changes its address. Copies. Ourselves: ignored. At most
 * MEMBERS_MAX. */
void peers_set(struct peers *p, uint64_t id, const char *address);
void peers_remove(struct peers *p, uint64_t id);
bool peers_is_up(const struct peers *p, uint64_t id);

/* Sends one message: `head` (copied) and `payload` (borrowed until `sent`, may be NULL). `sent`
 * (may be NULL) is called once with ST_OK when written to the socket, else ST_IO or ST_STOPPING.
 * Returns ST_OK when queued; ST_IO when the link is not up, ST_BUSY when more than
 * PEER_QUEUE_BYTES_MAX or two bulk messages are waiting, ST_TOO_LARGE when above
 * PEER_FRAME_BYTES_MAX or PEER_BULK_BYTES_MAX; then `sent` is not called. */
MUST_USE enum status peers_send(struct peers *p, uint64_t to, uint8_t type, bool bulk,
                                const void *head, size_t head_len, const void *payload,
                                size_t payload_len, void (*sent)(void *data, enum status status),
                                void *data);

/* For metrics. */
struct peers_counters {
    uint64_t frames_sent, frames_received, bytes_sent, bytes_received;
    uint64_t rejected; /* connections closed for breaking the rules, handshake included */
};
void peers_counters(const struct peers *p, struct peers_counters *ret_counters);

#endif
