/* Shared by the files of this folder.
 *
 * Everything with a libuv handle is a separate heap object, counted in peers->objects, and freed in
 * its close callback, so that no callback meets freed memory; the last one calls `closed`.
 *
 * Thread: loop. Owns: see the structs. */
#ifndef MUSTER_PEER_INTERNAL_H
#define MUSTER_PEER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "consensus/peer/handshake.h"
#include "consensus/peer/peer.h"
#include "consensus/peer/secure.h"
#include "server/base/limits.h"
#include "server/base/log.h"

/* --- frames --- */

#define FRAME_HEADER_BYTES 12

struct frame {
    uint32_t len; /* of the content */
    uint8_t type;
    uint32_t crc; /* of type, zeros and content */
};
/* `bufs` is the content. */
void frame_encode(uint8_t type, const uv_buf_t *bufs, unsigned count,
                  uint8_t out[FRAME_HEADER_BYTES]);
/* False if malformed, or longer than any frame. */
MUST_USE bool frame_decode(const uint8_t in[FRAME_HEADER_BYTES], struct frame *ret_frame);
/* The checksum of a frame with this header and content. */
uint32_t frame_crc(const uint8_t header[FRAME_HEADER_BYTES], const uint8_t *content, size_t len);

/* --- faults of a connection --- */

enum peer_fault {
    FAULT_HANDSHAKE, /* see the handshake */
    FAULT_TLS,       /* with a reason */
    FAULT_TLS_UNKNOWN,
    FAULT_PLAIN,
    FAULT_LATE,
    FAULT_CUT,
    FAULT_CUT_AT_PROOF,
    FAULT_CROWD,
    FAULT_FRAME,
    FAULT_CHECKSUM,
    FAULTS,
};

enum peer_side { SIDE_OUT, SIDE_IN, SIDES };

/* --- all links --- */

struct incoming;
struct link;
struct lookups;
struct send;

/* A way to open a link: the ways are tried in order, until one is accepted. */
struct way {
    bool tls;
    enum link_side side; /* with TLS */
    size_t secret;       /* index */
};
#define WAYS_MAX 6 /* certificate, key, plain; with each secret */

struct peers {
    struct peers_options options;
    char *secrets[HANDSHAKE_SECRETS_MAX];
    size_t secrets_count;
    struct way ways[WAYS_MAX];
    size_t ways_count;
    uint8_t raw[LINK_INPUT_BYTES / 4]; /* what a read has brought; used up before the next */
    uv_tcp_t listener;
    struct link *links[LINKS_MAX]; /* one per other member; NULL: free */
    struct lookups *lookups;
    struct incoming *incoming; /* list, oldest last */
    unsigned objects;
    bool closing;
    void (*closed)(void *ctx);
    struct log_gate fault_gates[SIDES][FAULTS];
    struct log_gate refusal_gates[SIDES][HELLO_VERDICTS];
};

/* An object was created or freed. Freeing the last calls `closed`: `p` may be gone afterwards. */
void peers_hold(struct peers *p);
void peers_drop(struct peers *p);
/* NULL if unknown. */
struct link *peers_find(const struct peers *p, uint64_t id);
/* Logs, at most once a second per reason. `detail` may be NULL. */
void peers_log_fault(struct peers *p, enum peer_side side, enum peer_fault fault,
                     const char *address, const char *detail);
/* Likewise for a handshake that ended without a link; also informs the layer above. */
void peers_report_refusal(struct peers *p, enum peer_side side, const struct handshake *h,
                          const char *address);
/* For every connection between members: no delay, quick detection of a dead machine. */
void peers_tune_socket(const uv_tcp_t *tcp);
/* Whether to admit the other side of a handshake over this connection. Calls out: may close the
 * caller. */
enum hello_verdict peers_judge(struct peers *p, const struct handshake *h, const struct secure *s);

/* --- peer_out.c: outgoing links --- */

struct link *link_create(struct peers *p, uint64_t id, const char *address);
void link_set_address(struct link *link, const char *address);
/* Starts over with a new connection. */
void link_restart(struct link *link);
/* No more callbacks; frees itself later. */
void link_remove(struct link *link);
uint64_t link_id(const struct link *link);
const char *link_trouble(const struct link *link);
const char *link_address(const struct link *link);
bool link_is_up(const struct link *link);
/* The facts of its other end; NULL if not up. */
const struct hello_facts *link_facts(const struct link *link);
enum status link_send(struct link *link, const struct peer_message *message);

/* --- peer_send.c: the queue of an outgoing connection --- */

struct send_queue {
    struct peers *p;
    struct secure *secure;
    size_t waiting_bytes; /* of frames that are not bulk */
    unsigned bulk_count;
    struct send *bulk_waiting; /* while another is being written */
    void *owner;
    void (*broken)(void *owner); /* a write failed */
};
enum status send_message(struct send_queue *q, const struct peer_message *message);
/* For the close callback of the connection: no write is in progress any more. */
void send_queue_fail(struct send_queue *q);

/* --- peer_in.c: incoming connections --- */

void incoming_accept(struct peers *p);
/* Closes those from this member; 0: all. */
void incoming_close_from(struct peers *p, uint64_t id);
/* Closes those of earlier processes of this member. */
void incoming_close_earlier(struct peers *p, const struct hello_facts *facts);
/* Closes those that `admit` would refuse by now. */
void incoming_review(struct peers *p);
bool incoming_has_later(const struct peers *p, const struct hello_facts *facts);

#endif
