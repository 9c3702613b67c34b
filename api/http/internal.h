/* What the files of the transport share: a connection, its call, and how the answer is sent.
 *
 * Thread: the worker, but for an exchange's `wake`. */
#ifndef MUSTER_API_HTTP_INTERNAL_H
#define MUSTER_API_HTTP_INTERNAL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <urcu/list.h>

#include "api/http/exchange.h"
#include "api/http/framing.h"
#include "api/http/head.h"
#include "api/http/protocol.h"
#include "api/http/worker.h"

struct call;
struct tls_session;

/* --- connection.c --- */

/* One connection of a client: bytes in, requests to exchanges, answers out.
 *
 *     (HANDSHAKE, of TLS) -> HEAD
 *     HEAD -> BODY -> (NODE: the exchange is stopped) -> SENDING, STREAM or DOWNLOAD -> HEAD
 *                                                     \-> LINGER, when the connection is to end
 *
 *     HANDSHAKE or HEAD -> PROTOCOL -> LINGER, when it speaks another protocol (protocol.h)
 *
 * Every state but NODE and STREAM has a time when it is over: `due_ms`. Nothing is read while a
 * request is being answered: what a client sends ahead waits in the kernel.
 *
 * Thread: the worker that has accepted it.
 * Owns: its socket, and its call until the client has the answer or has gone away. */
enum connection_state {
    CONNECTION_HANDSHAKE,
    CONNECTION_HEAD,
    CONNECTION_BODY,
    CONNECTION_NODE,
    CONNECTION_SENDING,
    CONNECTION_STREAM,
    CONNECTION_DOWNLOAD,
    CONNECTION_PROTOCOL,
    CONNECTION_LINGER,
    CONNECTION_CLOSED,
};

union peer_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct connection {
    struct worker *worker;
    struct cds_list_head place;   /* among the worker's, or its closed ones */
    struct cds_list_head ready;   /* among those to be run; empty: not there */
    struct cds_list_head crowded; /* among those over a limit that have not asked for anything */
    enum connection_state state;
    int fd;
    struct tls_session *tls;    /* NULL: plain */
    bool readable, writable;    /* since the kernel said so, until it said otherwise */
    bool ended;                 /* the client has closed its half */
    bool is_cut;                /* to be closed at once */
    bool is_last;               /* the connection is to end after the answer */
    bool begun;                 /* a byte of a handshake or head was seen */
    bool asked;                 /* a head was complete: it speaks HTTP/1.1 */
    void *session;              /* of its protocol; NULL: HTTP/1.1 */
    enum crowd_verdict verdict; /* not fine: gets one answer */
    uint64_t due_ms;            /* monotonic; 0: never */
    union peer_address peer;
    uint64_t client;   /* of rate limits */
    struct call *call; /* NULL: between requests */
    /* What was read and not used: in the worker's memory while the connection runs, else in its
     * own. */
    char *in, *in_own;
    size_t in_len, in_size;
    size_t scanned, skipped; /* of a head; empty lines before it */
    /* What is to be sent: text, likewise, then the body from `body_at`. */
    const char *out;
    char *out_own;
    size_t out_len, out_size;
    size_t body_at;
    uint64_t sent,
        taken; /* of an answer: given to the kernel; as of the last look, by the client */
};

/* Takes the socket over. */
void connection_open(struct worker *worker, int fd, const struct sockaddr_storage *peer,
                     enum crowd_verdict verdict);
/* epoll has said this of it. */
void connection_event(struct connection *c, uint32_t events);
/* Goes on as far as it can. */
void connection_run(struct connection *c);
/* To be run in this turn of the worker, or the next. */
void connection_ready(struct connection *c);
/* Its time is over. */
void connection_due(struct connection *c);
/* The exchange is complete: answers. Then to be run. */
void connection_answer(struct connection *c);
/* Closes it; the memory is the worker's to free at the end of the turn. */
void connection_close(struct connection *c);

/* For protocols. Reads what has come, into `in`. False: nothing for now, or it is closed. */
bool connection_fill(struct connection *c);
/* Says that no more is sent, and waits for the client to see it. */
void connection_linger(struct connection *c);
/* Closes it, and throws away what the kernel has for the client. */
void connection_reset(struct connection *c);

/* --- channel.c --- */

/* The bytes of a connection: plain, or of TLS where the door has a certificate.
 *
 * Thread: the worker. */
MUST_USE bool channel_open(struct connection *c);
void channel_close(struct connection *c);
/* Says that no more is sent. */
void channel_end(struct connection *c);
/* As recv and sendmsg. The first notes whether there may be more. */
ssize_t channel_recv(struct connection *c, char *to, size_t size);
ssize_t channel_send(struct connection *c, struct iovec *pieces, size_t count);

/* Sends the text `out`, as far as the kernel takes it. False: the connection is broken. */
MUST_USE bool channel_flush(struct connection *c);
/* After the handshake: whether the client has chosen http_protocol. */
bool channel_speaks_protocol(const struct connection *c);

/* The name of the client's certificate; "" when there is none. Borrowed from the connection. */
const char *channel_certificate(const struct connection *c);

enum handshake {
    HANDSHAKE_DONE,
    HANDSHAKE_WAITS,  /* for the client, or for the next turn of the worker */
    HANDSHAKE_PLAIN,  /* it speaks no TLS, and was told so */
    HANDSHAKE_FAILED, /* likewise, if it could be */
};
enum handshake channel_handshake(struct connection *c);

/* --- call.c --- */

/* One request of a connection with its exchange, and its ways to the node and back: the node's loop
 * gives it back on the worker's lane when it is done with it. The client may have gone away by
 * then; the call is freed when both are done.
 *
 * Thread: the worker, but for the exchange's `wake`. */
struct call {
    struct exchange exchange;
    struct worker *worker;
    struct connection *connection; /* NULL: the client has gone away, or has its answer */
    void *request;                 /* the connection's protocol's; NULL: HTTP/1.1 */
    union peer_address peer;
    struct lane_item finished;  /* on the worker's lane */
    struct cds_list_head place; /* while the node has it and is not late: among the worker's */
    bool held;                  /* by the node */
    bool late;                  /* answered without the node */
    bool subscribed;            /* to events, */
    bool idle;                  /* and has all that there are */
    bool downloading;           /* the body is a download that has begun */
    bool streamed;              /* the last piece of a stream or download is on its way */
    uint64_t downloaded;        /* bytes */
    struct framing framing;
    uint64_t received;       /* bytes of body */
    uint64_t begun_ms, seen; /* of the body: when it began; received at the last look */
    struct head head;
    size_t text_len;
    char text[]; /* of the head */
};

/* With room for a head of so many bytes. */
struct call *call_new(struct connection *c, size_t head_len);
/* With its head parsed: finds the route, or why there is none. */
void call_route(struct call *call);
/* Whether to answer before the body: it is over the limit, and the client either waits to be asked
 * for it or would send more than we care to throw away. */
bool call_must_refuse_body(const struct call *call);
/* What came of the body is over that limit. */
bool call_is_too_long(const struct call *call);
/* At the end of each HTTP_RATE_MS: whether the body comes too slowly. */
bool call_is_slow(struct call *call);
/* The exchange was stopped: the node has the call. Closes the connection when nobody waits for the
 * answer. */
void call_hold(struct call *call);
/* The connection is done with it. */
void call_release(struct call *call);

/* Goes on with calls that the node is done with. True when there are more of them. */
bool call_resume_finished(struct worker *worker);
/* Answers those that the node should have answered by now. */
void call_answer_late(struct worker *worker);

/* --- reply.c --- */

/* What an answer says, whatever the wire is.
 *
 * Thread: the worker. */
enum body_kind { BODY_PLAIN, BODY_STREAM, BODY_DOWNLOAD };
enum body_kind reply_body_kind(const struct call *call);
/* Of a plain answer: its own, or one that is shared. */
const char *reply_body(const struct response *response, size_t *ret_len);
bool reply_has_body(int status);
/* The exchange is complete: settles how it is told, notes it in the audit log, counts it. Once. */
void reply_settle(struct call *call);
/* Calls `add` with each field of the head, of which none is about the wire. */
void reply_fields(struct call *call, field_add_fn *add, void *ctx);
/* Whether how it went is told behind the body (site.h). */
bool reply_has_trailers(const struct call *call);

/* --- answer.c --- */

/* Sends the answer of a connection's call: a body that is there, a stream, or a download.
 *
 * Thread: the worker. */
enum answer_progress {
    ANSWER_OVER,    /* the kernel has all of it */
    ANSWER_BLOCKED, /* goes on when the client takes more, or when there is more */
    ANSWER_BROKEN,  /* the connection is of no use any more */
};

/* Makes the head; returns the state that the connection is in until it is over. */
enum connection_state answer_begin(struct connection *c);
enum answer_progress answer_go_on(struct connection *c);
/* At the end of each HTTP_RATE_MS: whether the client takes less than the least. */
bool answer_is_slow(struct connection *c);
/* Before others use the worker's memory. */
void answer_keep_rest(struct connection *c);

/* Sets up the worker's subscriptions. */
void answer_start(struct worker *worker);
/* Cuts off the clients that are too slow for a download. */
void answer_cut_slow(struct worker *worker);

#endif
