/* A port that clients of ZeroMQ connect to, and their connections.
 *
 * Thread: endpoint_listen, endpoint_close: main. The rest: the door's.
 * Owns: its descriptor and its clients. */
#ifndef MUSTER_API_ZMQ_ENDPOINT_H
#define MUSTER_API_ZMQ_ENDPOINT_H

#include "api/zmq/zmq_client.h"

struct endpoint {
    struct pollee pollee;
    const char *option;  /* of the command line; static */
    const char *address; /* host:port, borrowed; "": it is off */
    struct zmq_service service;
    int fd;            /* listens; -1: off */
    bool is_listening; /* epoll tells of connections */
    struct zmq_clients *all;
    struct cds_list_head clients;
};

/* Binds and listens. True without an address: it is off. False with a sentence. */
MUST_USE bool endpoint_listen(struct endpoint *e, const char *option, const char *address,
                              const struct zmq_service *service, char *error, size_t error_size);
/* Begins to take connections. */
void endpoint_start(struct endpoint *e, struct zmq_clients *all);
/* Closes the connections, too. */
void endpoint_close(struct endpoint *e);

/* About once a second: the times of its clients, and whether it may accept again. */
void endpoint_look(struct endpoint *e);
/* The keys of clients have changed. Returns how many connections it closed for that. */
size_t endpoint_check_keys(struct endpoint *e);
/* To all who subscribed to the topic and for whom `may` is true. False: too much waits for some. */
MUST_USE bool endpoint_publish(struct endpoint *e, const char *topic, struct shared_text *text,
                               bool (*may)(const struct zmq_client *, void *), void *data);

#endif
