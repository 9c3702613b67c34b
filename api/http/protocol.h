/* Another protocol on the port of HTTP/1.1, with many requests on one connection. A connection is
 * given to it when its first bytes, or the names of ALPN, say so. Requests, routes and exchanges
 * are the same (call.c, reply.c).
 *
 * Thread: the worker. */
#ifndef MUSTER_API_HTTP_PROTOCOL_H
#define MUSTER_API_HTTP_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>

struct call;
struct connection;

struct protocol {
    const char *alpn;
    /* What its clients send first. */
    const char *preface;
    size_t preface_len;
    /* Takes the connection over; what was read of it is in its `in`. False: there is no memory. */
    bool (*open)(struct connection *c);
    /* Frees the session, and releases its calls. */
    void (*close)(struct connection *c);
    /* Goes on as far as it can. */
    void (*run)(struct connection *c);
    /* The connection's time is over. */
    void (*due)(struct connection *c);
    /* Nothing new is taken from now on. */
    void (*drain)(struct connection *c);
    /* The exchange of one of its calls is complete. Then the connection is to be run, likewise
     * after the next two: none of them closes anything. */
    void (*answer)(struct call *call);
    /* There is more of the body, a stream or download. */
    void (*resume)(struct call *call);
    /* The reader of a stream or download is too slow. */
    void (*cut)(struct call *call);
};

/* NULL: there is none, as it was not built. */
extern const struct protocol *const http_protocol;

#endif
