/* A client's connection: greeting and handshake, requests or subscriptions in, answers and events
 * out, PING to those who are silent.
 *
 *     GREETING -> HANDSHAKE -> OPEN -> CLOSED     each of them -> CLOSED
 *
 * What it holds is bounded: input by the largest message and a budget of all, output by not reading
 * from those who do not read, and by a budget. A client that is cut off may come back.
 *
 * Thread: the door's. */
#ifndef MUSTER_API_ZMQ_ZMQ_CLIENT_H
#define MUSTER_API_ZMQ_ZMQ_CLIENT_H

#include <netinet/in.h>
#include <sys/socket.h>

#include <urcu/list.h>

#include "api/core/crowd.h"
#include "api/zmq/curve.h"
#include "api/zmq/envelope.h"
#include "api/zmq/outgoing.h"
#include "api/zmq/zmtp.h"
#include "server/base/log.h"

#define ZMQ_INPUT_BYTES       (64 * 1024)
#define ZMQ_SUBSCRIPTIONS_MAX 16
#define ZMQ_TOPIC_BYTES_MAX   255

struct zmq_client;

/* What epoll tells something, by the pointer that it keeps. */
struct pollee {
    void (*event)(struct pollee *self, uint32_t events);
};

/* A request: its frames, of which those beyond ENVELOPE_FRAMES_MAX are missing. */
struct incoming {
    struct slice frames[ENVELOPE_FRAMES_MAX];
    size_t count;
    bool is_cut; /* there were more */
};

/* What all clients of the door share. */
struct zmq_clients {
    int epoll_fd;
    uint64_t now_ms;       /* monotonic, of this turn */
    struct budget waiting; /* to be sent */
    struct budget unread;  /* parts of messages */
    struct crowd crowd;    /* connections, of all and of each address */
    struct rate_limits *limits;
    struct cds_list_head ready;  /* have something to do in this turn */
    struct cds_list_head closed; /* to be freed at its end */
    struct log_gate gate, accept_gate;
    uint64_t accept_after_ms; /* out of descriptors until then */
    void (*take)(struct zmq_client *from, const struct incoming *in);
    uint8_t input[ZMQ_INPUT_BYTES];
};

enum zmq_client_state { ZMQ_GREETING, ZMQ_HANDSHAKE, ZMQ_OPEN, ZMQ_CLOSED };

/* A message of which some frames are there, by their place behind its first byte. */
struct partial {
    size_t scanned;
    size_t count;
    bool is_cut;
    struct {
        size_t at, len;
    } frames[ENVELOPE_FRAMES_MAX];
};

struct zmq_client {
    struct pollee pollee;
    struct cds_list_head place; /* of its endpoint's, or of those closed */
    struct cds_list_head ready;
    struct zmq_clients *all;
    const char *type;    /* of this side's socket: "ROUTER" or "PUB" */
    struct curve *curve; /* NULL: plain */
    const char *name;    /* of its key; "": it is nobody */
    enum zmq_client_state state;
    int fd;
    unsigned holders;  /* who may still want to answer it */
    uint32_t interest; /* what epoll tells of it */
    struct sockaddr_storage peer;
    char address[INET6_ADDRSTRLEN];
    uint64_t client; /* for rate limits */
    struct buffer in;
    struct partial partial;
    bool is_stalled; /* whole requests wait in `in` */
    bool is_blocked; /* the kernel takes no more output */
    bool is_pinged;
    uint64_t heard_ms, opened_ms;
    uint64_t partial_since_ms; /* 0: no message is incomplete */
    struct outgoing out;
    unsigned topics_count;
    char *topics[ZMQ_SUBSCRIPTIONS_MAX]; /* how they begin */
};

/* What a port is. */
struct zmq_service {
    const char *type;              /* "ROUTER" or "PUB"; static */
    const struct curve_keys *keys; /* of its clients, under CURVE; NULL: plain */
};

/* Of a connection that was accepted and counted, which is now its, into a list. */
void zmq_client_open(struct zmq_clients *all, struct cds_list_head *place,
                     const struct zmq_service *service, int fd,
                     const struct sockaddr_storage *peer);
void zmq_client_close(struct zmq_client *c);
/* The keys of clients have changed: closes it if its own is none of them any more, or has another
 * name. True: it did. */
bool zmq_client_check_key(struct zmq_client *c);
/* Frees those that are closed and that nobody holds. */
void zmq_clients_reap(struct zmq_clients *all);

/* Those that are ready. True: some still are. */
MUST_USE bool zmq_clients_run(struct zmq_clients *all);
/* About once a second: its times. */
void zmq_client_look(struct zmq_client *c);

/* It is there for as long as it is held, and may be closed meanwhile. */
struct zmq_client *zmq_client_hold(struct zmq_client *c);
void zmq_client_release(struct zmq_client *c);

/* For what is sent to it: gives it a turn. */
void zmq_client_ready(struct zmq_client *c);
/* A frame that is a command. */
void zmq_client_command(struct zmq_client *c, const void *body, size_t len);

enum zmq_sent {
    ZMQ_SENT,
    ZMQ_GONE, /* the client is */
    ZMQ_FULL, /* too much waits to be read; the buffer is as it was */
};
/* Takes what is in the buffer. */
MUST_USE enum zmq_sent zmq_client_answer(struct zmq_client *c, const struct envelope *to,
                                         const char *word, struct buffer *text);
/* If it subscribed to the topic. False: it reads too slowly, and does not get it. */
MUST_USE bool zmq_client_publish(struct zmq_client *c, const char *topic, struct shared_text *text);

#endif
