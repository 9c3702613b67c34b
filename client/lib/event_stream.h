/* The event stream of the registry, followed through lost connections and replicas that go away:
 * no event twice and none left out, or a reset that says so.
 *
 * Thread: the loop's. Owns: its connection and its position. A stream is its user's memory, and
 * stays there until event_stream_stop(). */
#ifndef MUSTER_LIB_EVENT_STREAM_H
#define MUSTER_LIB_EVENT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "client/lib/bytes.h"
#include "client/lib/loop.h"
#include "client/lib/servers.h"
#include "client/lib/sse.h"

/* Comments come every 15 s; two may be lost. */
#define STREAM_SILENCE_MS_MAX 40000

enum stream_kind {
    STREAM_EVENT, /* json: the event, with id, event and instance */
    STREAM_BEGIN, /* a snapshot begins: throw away what you have, at the latest when it is synced */
    STREAM_PRESENT, /* json: an event without id whose instance is part of the snapshot */
    STREAM_SYNCED,  /* index: what was presented is the listing at this index */
    STREAM_RESET,   /* index, text: what happened before it is not known, and why */
    STREAM_UP,      /* server: a replica answers */
    STREAM_DOWN,    /* server, text: it does not, or no longer; another attempt follows by itself */
    STREAM_REFUSED, /* text, status: the question is wrong. The stream has ended */
};

struct stream_item {
    enum stream_kind kind;
    const json_t *json;
    int64_t index;
    long status;
    const char *text;
    const char *server;
    bool again;       /* STREAM_DOWN: all replicas were tried since one answered */
    const char *next; /* STREAM_DOWN: the replica that is asked next */
};

struct stream_options {
    const char *service; /* NULL: any; so the next two */
    const char *type;
    const char *id;
    const char *const *events; /* kinds; none: all */
    size_t events_count;
    const char *after; /* a position; NULL: the present */
    bool snapshot;
};

struct event_stream {
    /* From a turn of the loop; must not stop the stream. The item is the stream's. */
    void (*on_item)(void *ctx, const struct stream_item *item);
    void *ctx;

    /* the stream's own */
    struct loop *loop;
    const struct servers *servers;
    struct bytes path;
    bool snapshot;
    bool synced; /* or no snapshot was asked for */
    bool up;
    bool ended;
    size_t server;
    size_t tried;     /* since one answered for a while */
    size_t rounds;    /* through all of them, and none answered */
    int64_t asked_ms; /* the least pause that a replica of this round asked for; -1: none did */
    uint64_t began_ms;
    uint64_t heard_ms;
    char position[SSE_NAME_BYTES_MAX + 1]; /* "": none known */
    CURL *curl;
    struct curl_slist *headers;
    struct loop_transfer transfer;
    struct loop_timer timer;
    struct sse sse;
    struct bytes refusal; /* the body of an answer that is no stream */
    const char *fault;    /* what was wrong with the stream itself; NULL: nothing */
};

/* Borrows the servers, copies the options. False without memory, or when they are too long. The
 * first replica asked is `server`. */
MUST_USE bool event_stream_start(struct event_stream *stream, struct loop *loop,
                                 const struct servers *servers, size_t server,
                                 const struct stream_options *options);
/* From on_item: what came cannot be used. The stream is closed and starts over, with a snapshot if
 * one was asked for. */
void event_stream_fail(struct event_stream *stream, const char *why);
/* No item comes any more. Harmless on a stream that is zeroed or stopped. */
void event_stream_stop(struct event_stream *stream);

/* The id of an event, "17.1641853288448000", taken apart. */
struct stream_position {
    uint64_t index;
    uint32_t cluster, place; /* cluster 0: not named */
};
/* False when it is not of that form. */
MUST_USE bool event_stream_parse_position(const char *text, struct stream_position *ret_position);

#endif
