/* The door of HTTP for others: a door may have a port of its own, with its own sites, on the same
 * code. The calls are those of struct door_kind.
 *
 * Thread: main. */
#ifndef MUSTER_API_HTTP_HTTP_DOOR_H
#define MUSTER_API_HTTP_HTTP_DOOR_H

#include "api/core/door.h"
#include "api/http/site.h"

struct http_port {
    const struct door_kind *kind; /* whose it is */
    const char *option;           /* that names its address */
    const char *address;          /* host:port; borrowed until stop */
    /* Another one, and its option; NULL or "": none. */
    const char *also_option, *also;
    const struct site *const *sites; /* ends with NULL; NULL: http_sites */
    unsigned threads, connections, connections_of_one;
    void *own; /* for its handlers (struct api_context) */
};

/* Binds it; what `port` does not say is as in `options`. False with a sentence in `error`. */
MUST_USE bool http_port_open(const struct http_port *port, const struct door_options *options,
                             struct door **ret_door, char *error, size_t error_size);
MUST_USE bool http_port_start(struct door *door, struct node *node, char *error, size_t error_size);
void http_port_drain(struct door *door);
void http_port_stop(struct door *door);

#endif
