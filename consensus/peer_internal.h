/* What peer.c, peer_out.c, peer_send.c and peer_in.c share.
 *
 * Everything that has a libuv handle is an object of its own on the heap and counts in
 * peers->objects; it is freed in its close callback, so that no callback meets freed memory, and
 * the last one fires `closed`.
 *
 * Thread: loop. Owns: see the structs. */
#ifndef MUSTER_CONSENSUS_PEER_INTERNAL_H
#define MUSTER_CONSENSUS_PEER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "consensus/hello.h"
#include "consensus/peer.h"
#include "server/base/limits.h"
#include "server/base/log.h"

#define PEER_ADDRESS_SIZE (HOST_BYTES_MAX + 9)

/* --- frames --- */

#define FRAME_HEADER_BYTES 12

enum frame_flag {
    FRAME_BULK = 1, /* a piece of a bulk message */
    FRAME_MORE = 2, /* and not the last one */
};

struct frame {
    uint32_t len; /* of the content */
    uint8_t type;
    uint8_t flags;
    uint16_t zero;
    uint32_t crc; /* of type, flags, zero and content */
};
/* `bufs` is the content. */
void frame_encode(uint8_t type, uint8_t flags, const uv_buf_t *bufs, unsigned count,
                  uint8_t out[FRAME_HEADER_BYTES]);
struct frame frame_decode(const uint8_t in[FRAME_HEADER_BYTES]);
/* The checksum that a frame with this header and content should have. */
uint32_t frame_crc(const uint8_t header[FRAME_HEADER_BYTES], const uint8_t *content, size_t len);

/* --- what may be wrong with a connection --- */

enum peer_fault {
    /* 0 and up: enum hello_verdict */
    FAULT_LATE = HELLO_WRONG_SECRET + 1,
    FAULT_CUT,
    FAULT_CROWD,
    FAULT_FRAME,
    FAULT_CHECKSUM,
    FAULTS,
};

enum peer_side { SIDE_OUT, SIDE_IN, SIDES };

/* --- the whole --- */

struct bulk;
struct incoming;
struct link;

struct peers {
    struct peers_options options;
    char *secret;
    uv_tcp_t listener;
    struct link *links[MEMBERS_MAX]; /* one each other member; NULL: free */
    struct incoming *incoming;       /* list, oldest last */
    unsigned objects;
    bool closing;
    void (*closed)(void *ctx);
    struct peers_counters counters;
    struct log_gate gates[SIDES][FAULTS];
};

/* An object began or ended. The last end fires `closed`: p may be gone afterwards. */
void peers_hold(struct peers *p);
void peers_drop(struct peers *p);
/* NULL when not known. */
struct link *peers_find(const struct peers *p, uint64_t id);
/* Logs, at most once a second for each reason. */
void peers_log_fault(struct peers *p, enum peer_side side, enum peer_fault fault,
                     const char *address);
/* Options of every connection between members: no delay, a dead machine is noticed in seconds. */
void peers_tune_socket(const uv_tcp_t *tcp);

/* --- peer_out.c: the links for sending --- */

struct link *link_create(struct peers *p, uint64_t id, const char *address);
void link_set_address(struct link *link, const char *address);
/* Says no more; frees itself later. */
void link_remove(struct link *link);
uint64_t link_id(const struct link *link);
bool link_is_up(const struct link *link);
enum status link_send(struct link *link, uint8_t type, bool bulk, const uv_buf_t *head,
                      const uv_buf_t *payload, void (*sent)(void *data, enum status status),
                      void *data);

/* --- peer_send.c: what waits on one outgoing connection --- */

struct send_queue {
    struct peers *p;
    uv_tcp_t *tcp;
    size_t waiting_bytes;    /* of frames that are not bulk */
    struct bulk *bulk_first; /* the first one is being written, piece by piece */
    struct bulk *bulk_last;
    unsigned bulk_count;
    void *owner;
    void (*broken)(void *owner); /* a write failed */
};
enum status send_frame(struct send_queue *q, uint8_t type, const uv_buf_t *head,
                       const uv_buf_t *payload, void (*sent)(void *data, enum status status),
                       void *data);
enum status send_bulk(struct send_queue *q, uint8_t type, const uv_buf_t *head,
                      const uv_buf_t *payload, void (*sent)(void *data, enum status status),
                      void *data);
/* From the close callback of the connection, when no write is under way any more. */
void send_queue_fail(struct send_queue *q);

/* --- peer_in.c: the connections for receiving --- */

void incoming_accept(struct peers *p);
/* Closes those from this member; 0: all. */
void incoming_close_from(struct peers *p, uint64_t id);

#endif
