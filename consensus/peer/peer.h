/* Links between members: an outgoing TCP connection to each other member, for sending, and an
 * incoming one from each, for receiving; IPv4 and IPv6, by host name (resolved at each attempt,
 * except the first ones after a loss, which use the address that worked). After the handshakes, of
 * TLS if it is on (secure.h) and ours (handshake.h), a connection carries checksummed frames. A
 * connection that breaks the rules is closed and the reason logged, rate-limited; nothing else is
 * affected.
 *
 *   frame:  length u32 (of what follows the header), type u8, three zero bytes, crc32c u32 (of
 *           type, zeros and content), content
 *
 * A message is a frame. Bulk messages are passed to the socket one at a time, so that other
 * messages overtake waiting ones. Within each of the two classes, order is kept.
 *
 * The process must ignore SIGPIPE (libuv writes with write(2)).
 *
 * Thread: loop. Callbacks are never called from inside a function of this module, and may call its
 * functions. Owns: its sockets, timers and buffers. */
#ifndef MUSTER_PEER_PEER_H
#define MUSTER_PEER_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/peer/hello.h"
#include "server/base/compiler.h"
#include "server/base/status.h"

struct link_tls;
struct peers;
struct uv_loop_s;

enum peer_state {
    PEER_UP,      /* the outgoing link is ready for frames */
    PEER_DOWN,    /* it broke, or failed for a reason other than PEER_REFUSED */
    PEER_REFUSED, /* it broke or never was, and a new attempt was refused by the peer's kernel
                     (ECONNREFUSED): no process listens there any more */
};

struct peers_options {
    struct uv_loop_s *loop;
    struct hello_facts self;
    const char *listen;   /* host:port, copied */
    unsigned connections; /* limit on incoming ones; 0: PEER_CONNECTIONS_MAX */
    const char *secret;   /* "": none; copied */
    /* Another one that is accepted, and tried last; "": members without one; NULL: none. Copied. */
    const char *secret_old;
    /* Links are made and accepted with TLS. Borrowed. NULL: without. */
    struct link_tls *tls;
    bool plain_too;    /* with `tls`: also without it, as the last resort */
    uint32_t retry_ms; /* between connection attempts, with jitter; the first is immediate */
    void *ctx;
    /* Whether to admit an authenticated process, on either side of a link, after hello_judge has
     * accepted it: HELLO_ACCEPTED, or one of HELLO_REFUSED and above. */
    enum hello_verdict (*admit)(void *ctx, const struct hello_facts *theirs);
    /* A complete message; `data` and `from` are borrowed. */
    void (*receive)(void *ctx, const struct hello_facts *from, uint8_t type, const uint8_t *data,
                    size_t len);
    /* The state of the outgoing link to a member changed. `facts`: the member's, on PEER_UP;
     * otherwise NULL. */
    void (*state)(void *ctx, uint64_t id, enum peer_state state, const struct hello_facts *facts);
    /* The authenticated other side refuses us. May be NULL. */
    void (*rejected)(void *ctx, uint64_t by, enum hello_verdict verdict);
    /* A member has connected to us. May be NULL. */
    void (*incoming)(void *ctx, const struct hello_facts *facts);
};

/* Listens. NULL with a message if it cannot bind the address. */
struct peers *peers_create(const struct peers_options *options, char *error, size_t error_size);
/* Closes everything; calls each `sent` with ST_STOPPING, then `closed`. */
void peers_close(struct peers *p, void (*closed)(void *ctx));
/* After `closed`. */
void peers_destroy(struct peers *p);

/* Changes our own facts, except the member id. Re-establishes all links. */
void peers_set_self(struct peers *p, const struct hello_facts *self);
/* Keeps a link to a member, or changes its address. Copies. Ignores our id. At most LINKS_MAX. */
void peers_set(struct peers *p, uint64_t id, const char *address);
/* Closes the links, in both directions, of members that `admit` would refuse by now. They retry,
 * and get the reason. */
void peers_review(struct peers *p);
/* Also closes its incoming link; whether it may return is up to `admit`. */
void peers_remove(struct peers *p, uint64_t id);
bool peers_is_up(const struct peers *p, uint64_t id);
/* Why a member is not connected; "" if it is, or nothing is known yet. Borrowed until the next
 * call. */
const char *peers_trouble(const struct peers *p, uint64_t id);

/* The content is `head`, then `payload`. */
struct peer_message {
    uint8_t type;
    bool bulk;        /* lets other messages overtake it */
    const void *head; /* copied */
    size_t head_len;
    const void *payload; /* borrowed until `sent`; may be NULL */
    size_t payload_len;
    /* Called once: ST_OK when written to the socket, else ST_IO or ST_STOPPING. May be NULL. */
    void (*sent)(void *data, enum status status);
    void *data;
};
/* ST_OK: queued. Otherwise `sent` is not called: ST_IO: the link is not up; ST_BUSY:
 * PEER_QUEUE_BYTES_MAX, or two bulk messages, are waiting; ST_TOO_LARGE: longer than
 * PEER_FRAME_BYTES_MAX, or PEER_BULK_BYTES_MAX. */
MUST_USE enum status peers_send(struct peers *p, uint64_t to, const struct peer_message *message);

#endif
