/* The HTTP face of a replica (api/openapi.yaml). A few worker threads, each with its own
 * libmicrohttpd daemon and epoll loop on one shared listening socket; reads are answered from the
 * registry's view on the worker, writes are handed to the node and their connection suspended.
 *
 * Thread: api_start, api_drain, api_stop: the main thread.
 * Owns: its worker threads and sockets; borrows the node, which must outlive it. */
#ifndef MUSTER_API_API_H
#define MUSTER_API_API_H

#include <stddef.h>
#include <stdint.h>

#include "server/node/node.h"

struct api;

struct api_options {
    const char *listen;     /* host:port; an empty host is every address, IPv6 and IPv4 */
    unsigned threads;       /* 1..HTTP_THREADS_MAX */
    unsigned connections;   /* of clients */
    unsigned spare;         /* more of each thread, which are told that there are too many */
    uint32_t ttl_ms;        /* of a registration that names none */
    uint32_t reap_after_ms; /* likewise; 0: never */
};

/* Binds the address. Separate from api_start so that a port in use is found before anything else is
 * done. Returns the descriptor, or -1 with a sentence in `error`. */
int api_listen(const char *listen, char *error, size_t error_size);
/* Takes the descriptor. NULL on failure with a sentence in `error`. */
struct api *api_start(int listen_fd, const struct api_options *options, struct node *node,
                      char *error, size_t error_size);
/* Stops accepting connections and answers 503 `stopping` from /health/ready on. */
void api_drain(struct api *api);
/* Closes all connections and joins the workers. All requests must have been answered by the node
 * (node_stop). */
void api_stop(struct api *api);

#endif
