/* What the files of HTTP/2 share: a session of a connection, and its streams.
 *
 *     bytes of the connection -> session.c -> nghttp2 -> callbacks.c -> stream.c -> exchange
 *     exchange -> stream.c -> nghttp2 -> session.c -> bytes of the connection
 *
 * nghttp2 knows the frames, the compression of heads and the windows; it has no thread, no socket
 * and no clock.
 *
 * Thread: the worker. */
#ifndef MUSTER_API_HTTP_H2_INTERNAL_H
#define MUSTER_API_HTTP_H2_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include <nghttp2/nghttp2.h>
#include <urcu/list.h>

#include "api/http/h2/calm.h"
#include "api/http/internal.h"
#include "server/base/buffer.h"

/* A head while it comes: name NUL value NUL..., the fields behind those that HTTP/2 has in place of
 * a request line. One at a time, as nothing may come in between. */
struct h2_block {
    struct buffer text;
    size_t method, path, host; /* where they are; SIZE_MAX: nowhere */
    size_t fields;
    size_t count;
    uint64_t bytes;    /* of all that came, also of what is not kept */
    uint64_t begun_ms; /* monotonic; 0: there is none */
};

/* Owns: its streams and the nghttp2 session, until the connection closes. */
struct h2_session {
    struct connection *connection;
    nghttp2_session *nghttp2;
    struct cds_list_head streams;
    unsigned count;
    struct h2_block block;
    struct h2_calm calm;
    bool wants_room; /* the body of a stream waits until a window is larger */
    bool is_leaving; /* GOAWAY was said */
    bool is_flood;   /* it sent too much: nothing of it is looked at any more */
    uint64_t heard_ms, pinged_ms, idle_ms, looked_ms; /* monotonic; 0: never */
    uint64_t sent_seen;                               /* of the connection, at the last look */
};

/* One request. Owns: its call. */
struct h2_stream {
    struct h2_session *session;
    struct cds_list_head place;
    int32_t id;
    struct call *call;    /* NULL while its head comes */
    bool is_whole;        /* the client has sent all of it */
    bool is_started;      /* the exchange has it */
    bool is_answered;     /* the head of the answer was given to nghttp2 */
    bool is_refused;      /* to be reset: what comes of it is not looked at */
    bool is_over;         /* the exchange of a duplex has failed: its answer ends */
    size_t unused;        /* bytes that a duplex has taken and not dealt with */
    size_t body_at;       /* of a plain answer */
    uint64_t given, seen; /* bytes of the answer; at the last look */
    uint64_t looked_ms;   /* monotonic: when it was last looked at */
};

/* --- session.c --- */

/* Nothing more of it counts, and it is told so. */
void h2_session_calm(struct h2_session *session);
/* No new requests: those that are there are answered. */
void h2_session_leave(struct h2_session *session);

/* --- callbacks.c --- */

/* A session of a server. NULL: no memory. */
nghttp2_session *h2_callbacks_open(struct h2_session *session);

/* --- stream.c --- */

/* NULL: there are too many. */
struct h2_stream *h2_stream_open(struct h2_session *session, int32_t id);
void h2_stream_close(struct h2_stream *stream);
/* The session's block is its head. */
void h2_stream_head(struct h2_stream *stream, bool is_whole);
/* A piece of the body. */
void h2_stream_body(struct h2_stream *stream, const void *data, size_t len);
/* The body is complete. */
void h2_stream_whole(struct h2_stream *stream);
/* The rest of the answer may be there: of a duplex, when the replica stops. */
void h2_stream_wake(struct h2_stream *stream);
/* Looks whether the client is too slow, to send or to take. */
void h2_stream_look(struct h2_stream *stream);

/* --- body.c --- */

/* Gives the body of the answer to nghttp2 (nghttp2_data_source_read_callback). */
ssize_t h2_body_read(nghttp2_session *nghttp2, int32_t id, uint8_t *to, size_t max, uint32_t *flags,
                     nghttp2_data_source *source, void *ctx);
/* The client's windows may be larger. */
void h2_body_room(struct h2_session *session);
/* Ends a body by its trailers. What was not given of it is dropped; windows do not count for them.
 */
void h2_body_end(struct h2_stream *stream);

/* --- fields.c --- */

/* Of an answer: those of the response, and the ones that every answer has. */
#define H2_FIELDS_MAX (RESPONSE_HEADERS_MAX + 8)

/* Fields, and a copy of their values, which are borrowed for a moment. */
struct h2_fields {
    nghttp2_nv nv[H2_FIELDS_MAX];
    size_t values[H2_FIELDS_MAX];
    size_t count;
    struct buffer *text; /* the worker's */
};
/* Whether how it went is told before a body, as there is none. */
bool h2_fields_are_all(const struct call *call);
void h2_fields_of_head(struct call *call, struct h2_fields *fields);
void h2_fields_of_trailers(struct call *call, struct h2_fields *fields);

/* Of struct protocol. */
void h2_answer(struct call *call);
void h2_resume(struct call *call);
void h2_cut(struct call *call);

#endif
