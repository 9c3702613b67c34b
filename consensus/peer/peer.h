/* The links between members: one outgoing TCP connection to each other member, for sending, and one
 * incoming from each, for receiving; IPv4 and IPv6, by host name (resolved at each attempt but for
 * the first ones after a loss, which go to the address that worked). After the handshake
 * (handshake.h) a connection carries checksummed frames. A connection that breaks the rules is
 * closed and the reason logged, rate-limited; nothing else is disturbed.
 *
 *   frame:  length u32 (of what follows the header), type u8, three zero bytes, crc32c u32 (of
 *           type, zeros and content), content
 *
 * A message is a frame. Of bulk messages one at a time is given to the socket, so that other
 * messages overtake those that wait. Order is kept within each of the two.
 *
 * The process must ignore SIGPIPE (libuv writes with write(2)).
 *
 * Thread: loop. Callbacks never come from inside a call of this module, and may call it.
 * Owns: its sockets, timers and buffers. */
#ifndef MUSTER_PEER_PEER_H
#define MUSTER_PEER_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/peer/hello.h"
#include "server/base/compiler.h"
#include "server/base/status.h"

struct peers;
struct uv_loop_s;

enum peer_state {
    PEER_UP,      /* the outgoing link is ready for frames */
    PEER_DOWN,    /* it broke, or could not be made for some reason other than PEER_REFUSED */
    PEER_REFUSED, /* it broke or was never there, and a fresh attempt was refused by the peer's
                     kernel (ECONNREFUSED): no process listens there any more */
};

struct peers_options {
    struct uv_loop_s *loop;
    struct hello_facts self;
    const char *listen;   /* host:port, copied */
    unsigned connections; /* incoming, at most; 0: PEER_CONNECTIONS_MAX */
    const char *secret;   /* "" when none, copied */
    uint32_t retry_ms;    /* between connection attempts, with some jitter; the first is at once */
    void *ctx;
    /* Whether a process that has proved itself is let in, on both sides of a link, after
     * hello_judge has nothing against it: HELLO_ACCEPTED, or one of HELLO_REFUSED and up. */
    enum hello_verdict (*admit)(void *ctx, const struct hello_facts *theirs);
    /* A whole message; `data` and `from` are borrowed. */
    void (*receive)(void *ctx, const struct hello_facts *from, uint8_t type, const uint8_t *data,
                    size_t len);
    /* Each change of state of the outgoing link to a member. `facts`: what it is now, at PEER_UP;
     * else NULL. */
    void (*state)(void *ctx, uint64_t id, enum peer_state state, const struct hello_facts *facts);
    /* The other side of a link, which has proved itself, will not have us. May be NULL. */
    void (*rejected)(void *ctx, uint64_t by, enum hello_verdict verdict);
    /* A member has made its link to us. May be NULL. */
    void (*incoming)(void *ctx, const struct hello_facts *facts);
};

/* Listens. NULL and a sentence when the address cannot be bound. */
struct peers *peers_create(const struct peers_options *options, char *error, size_t error_size);
/* Closes everything; fires the `sent` callbacks with ST_STOPPING, then `closed`. */
void peers_close(struct peers *p, void (*closed)(void *ctx));
/* After `closed`. */
void peers_destroy(struct peers *p);

/* Says something else about ourselves from now on; not another member id. All links are made again.
 */
void peers_set_self(struct peers *p, const struct hello_facts *self);
/* Adds a member to keep a link to, or changes its address. Copies. Ourselves: ignored. At most
 * LINKS_MAX. */
void peers_set(struct peers *p, uint64_t id, const char *address);
/* Ends the links, in both directions, to those that `admit` would not let in any more. They try
 * again, and are told why not. */
void peers_review(struct peers *p);
/* Closes its incoming link, too; whether it may come again is for `admit` to say. */
void peers_remove(struct peers *p, uint64_t id);
bool peers_is_up(const struct peers *p, uint64_t id);
/* Why it is not; "" when it is, or nothing is known yet. Borrowed, until the next call. */
const char *peers_trouble(const struct peers *p, uint64_t id);

/* Content: `head`, then `payload`. */
struct peer_message {
    uint8_t type;
    bool bulk;        /* lets other messages overtake it */
    const void *head; /* copied */
    size_t head_len;
    const void *payload; /* borrowed until `sent`; may be NULL */
    size_t payload_len;
    /* Called once, with ST_OK when written to the socket, else ST_IO or ST_STOPPING. May be NULL.
     */
    void (*sent)(void *data, enum status status);
    void *data;
};
/* Returns ST_OK when queued. Otherwise `sent` is not called: ST_IO when the link is not up; ST_BUSY
 * when PEER_QUEUE_BYTES_MAX, or two bulk messages, are waiting; ST_TOO_LARGE when longer than
 * PEER_FRAME_BYTES_MAX, or PEER_BULK_BYTES_MAX. */
MUST_USE enum status peers_send(struct peers *p, uint64_t to, const struct peer_message *message);

#endif
