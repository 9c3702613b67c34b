/* A door: one protocol that programs speak to a replica. Each translates to the operations of
 * server/node and to nothing else, and knows nothing of the others. To add one: a folder, a struct
 * door_kind in it, and a row in doors.def.
 *
 * Thread: all calls: main. */
#ifndef MUSTER_API_CORE_DOOR_H
#define MUSTER_API_CORE_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/core/exposure.h"
#include "server/node/node.h"

struct audit;
struct rate_limits;
struct tls;

/* What the doors are told. Texts are borrowed until doors_stop; those of secrets from files may
 * change before doors_reload. */
struct door_options {
    const char *http;            /* host:port; an empty host is every address, IPv6 and IPv4 */
    struct tls *tls;             /* for all listeners; outlives the doors. NULL: plain */
    struct audit *audit;         /* outlives the doors. NULL: no audit log */
    struct rate_limits *limits;  /* of all doors; outlives them */
    unsigned threads;            /* 1..HTTP_THREADS_MAX */
    unsigned connections;        /* of clients */
    unsigned connections_of_one; /* client's address */
    unsigned spare;              /* more of each thread, which are told that there are too many */
    uint32_t ttl_ms;             /* of a registration that names none */
    uint32_t reap_after_ms;      /* likewise; 0: never */
    /* host:port, where this replica says that it is reached. NULL: nowhere. */
    const char *advertise_http, *advertise_peer;
    const char *allow_host;      /* other names of it, between commas; "*": any. NULL or "": none */
    const char *cors;            /* origins whose pages may read, between commas; likewise */
    enum anonymous anonymous;    /* what those may do who have no token */
    struct exposure exposure;    /* how it is reached and protected */
    uint32_t tbfs_reap_after_ms; /* of a server of the older HTTP registry; 0: never */
    const char *tbfs_service;    /* likewise: the service that it is an instance of */
    /* Another address of the same door, for clients of Consul. NULL or "": closed. */
    const char *consul_http;
    const char *grpc;          /* host:port of gRPC alone; NULL or "": closed */
    unsigned grpc_connections; /* of its clients */
    /* host:port of the three ports of ZeroMQ. NULL or "": closed. */
    const char *zmq_requests, *zmq_heartbeats, *zmq_events;
    /* The same under CURVE, with this server's secret key, and a file of clients' keys; NULL or "":
     * any. */
    const char *zmq_curve_requests, *zmq_curve_heartbeats, *zmq_curve_events;
    const char *zmq_curve_key, *zmq_curve_clients;
    const char *zmq_reply;    /* the word before its answers; NULL if all are closed */
    unsigned zmq_connections; /* of clients */
    bool zmq_unique_types;    /* a registration is to be the only one of its type */
    const char *amqp_url;     /* of the broker that gets the events. NULL or "": none */
    const char *amqp_exchange;
    const char *amqp_ca; /* file of the certificates that a broker with TLS may have */
    /* host:port of the older registry of Docker Swarm. NULL or "": closed. */
    const char *swarm_http;
    const char *docker; /* URL of the daemon. NULL or "": none is asked */
    uint32_t swarm_refresh_ms, swarm_metrics_ms;
    /* Labels of services, for the autoscaler. */
    const char *swarm_label_enabled, *swarm_label_metric, *swarm_label_cpu, *swarm_label_memory,
        *swarm_label_min, *swarm_label_max;
    const char *webhook_url;     /* that gets the events. NULL or "": none */
    const char *webhook_secret;  /* for its signature. NULL or "": not signed */
    const char *webhook_ca;      /* file. NULL or "": the system's */
    const char *checks_allow;    /* to what active checks may connect (api/prober/allow.h) */
    const char *checks_ca;       /* file, for targets with TLS. NULL or "": the system's */
    unsigned checks_connections; /* to targets */
    const char *datacenter;      /* a label, in lower case */
    const char *dns;             /* host:port of both UDP and TCP. NULL or "": closed */
    const char *dns_domain, *dns_near;
    uint32_t dns_ttl_ms, dns_negative_ttl_ms;
    bool dns_warning;         /* instances that are `warning` are answered like `passing` ones */
    unsigned dns_udp_bytes;   /* of an answer, DNS_UDP_BYTES_MIN..MAX */
    unsigned dns_connections; /* over TCP */
};

struct door;

struct door_kind {
    const char *name;
    /* Binds its sockets, and does nothing else: a port in use is found before anything is begun.
     * False with a sentence in `error`; *ret_door NULL when the options leave this door closed. */
    bool (*open)(const struct door_options *options, struct door **ret_door, char *error,
                 size_t error_size);
    /* Begins to serve. The node outlives the door. False with a sentence in `error`; stop follows.
     */
    bool (*start)(struct door *door, struct node *node, char *error, size_t error_size);
    /* Reads again what it may, as its options say by now. False with a sentence: all is as before.
     * NULL: it has nothing of that kind. */
    bool (*reload)(struct door *door, char *error, size_t error_size);
    /* Takes nothing new, and says so to who asks. */
    void (*drain)(struct door *door);
    /* Closes and frees it, whether it was started or not. The node has answered all (node_stop). */
    void (*stop)(struct door *door);
};

/* The first member of each kind's own structure. */
struct door {
    const struct door_kind *kind;
};

struct doors;

/* Opens those of the product (doors.def), all or none. NULL with a sentence in `error`. */
struct doors *doors_open(const struct door_options *options, char *error, size_t error_size);
/* The same with other kinds. `kinds` ends with NULL. */
struct doors *doors_open_kinds(const struct door_kind *const *kinds,
                               const struct door_options *options, char *error, size_t error_size);
/* Starts all of them, in the order of the table. False with a sentence; doors_stop follows. */
MUST_USE bool doors_start(struct doors *doors, struct node *node, char *error, size_t error_size);
/* Each reads its files again, and says in the log if one could not. */
void doors_reload(struct doors *doors);
void doors_drain(struct doors *doors);
/* Closes and frees them. */
void doors_stop(struct doors *doors);

#endif
