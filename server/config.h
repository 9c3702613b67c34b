/* The configuration as one validated struct. A flag overrides the environment, which overrides the
 * file, which overrides the default. server/config.def lists every key once.
 *
 * Thread: main, before there are others. Owns: nothing. */
#ifndef MUSTER_SERVER_CONFIG_H
#define MUSTER_SERVER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/core/access.h"
#include "client/lib/servers.h"
#include "consensus/consensus.h"
#include "server/base/limits.h"
#include "server/base/log.h"
#include "server/net/tls_peer.h"

#define CONFIG_TEXT_MAX 4096

struct config {
    uint64_t id;
    bool id_given; /* by the user */
    char name[NAME_BYTES_MAX + 1];
    bool name_given;
    char data[CONFIG_TEXT_MAX];
    char http[ADDRESS_SIZE];
    char peer[ADDRESS_SIZE];
    char advertise_http[ADDRESS_SIZE];
    char advertise_peer[ADDRESS_SIZE];
    char cluster_secret[SECRET_BYTES_MAX + 1];
    char cluster_secret_file[CONFIG_TEXT_MAX];     /* read into cluster_secret; empty: none */
    char cluster_secret_old[SECRET_BYTES_MAX + 1]; /* empty: none; or SECRET_NONE */
    bool cluster_given;
    bool peer_given; /* the user gave advertise_peer, by --advertise-peer or in --cluster */
    struct consensus_member members[MEMBERS_MAX]; /* in order of id */
    size_t members_count;
    struct servers join; /* empty without --join */
    unsigned voters;
    uint32_t replace_after_ms;
    uint32_t ttl_ms;
    uint32_t reap_after_ms;
    char tbfs_service[NAME_BYTES_MAX + 1];
    uint32_t tbfs_reap_after_ms;
    char consul_http[ADDRESS_SIZE];  /* empty: off */
    char grpc[ADDRESS_SIZE];         /* empty: off */
    char zmq_requests[ADDRESS_SIZE]; /* empty: off; the same for the next two */
    char zmq_heartbeats[ADDRESS_SIZE];
    char zmq_events[ADDRESS_SIZE];
    unsigned zmq_reply;                    /* 0: RESPONSE; 1: REP */
    char zmq_curve_requests[ADDRESS_SIZE]; /* likewise */
    char zmq_curve_heartbeats[ADDRESS_SIZE];
    char zmq_curve_events[ADDRESS_SIZE];
    char zmq_curve_key_file[CONFIG_TEXT_MAX];
    char zmq_curve_key[ZMQ_KEY_TEXT + 1];    /* from its file */
    char zmq_curve_clients[CONFIG_TEXT_MAX]; /* a file; empty: any */
    unsigned zmq_unique_types;               /* 1: yes */
    unsigned zmq_connections;                /* 0: the default */
    char swarm_http[ADDRESS_SIZE];           /* empty: closed */
    char docker[CONFIG_TEXT_MAX];            /* URL; empty: none */
    uint32_t swarm_refresh_ms;
    uint32_t swarm_metrics_ms;
    char swarm_labels[6][METADATA_KEY_BYTES_MAX + 1]; /* enabled, metric, cpu, memory, min, max */
    char amqp_url[CONFIG_TEXT_MAX];                   /* a secret; empty: none */
    char amqp_url_file[CONFIG_TEXT_MAX];              /* read into amqp_url; empty: none */
    char amqp_exchange[CONFIG_TEXT_MAX];
    char amqp_ca[CONFIG_TEXT_MAX];
    char webhook_url[CONFIG_TEXT_MAX];         /* empty: none, likewise the next three */
    char webhook_secret[SECRET_BYTES_MAX + 1]; /* from its file */
    char webhook_secret_file[CONFIG_TEXT_MAX];
    char webhook_ca[CONFIG_TEXT_MAX];
    char checks_allow[CONFIG_TEXT_MAX];
    char checks_ca[CONFIG_TEXT_MAX]; /* file; empty: the system's */
    char datacenter[LABEL_BYTES_MAX + 1];
    char dns[ADDRESS_SIZE]; /* empty: off */
    char dns_domain[CONFIG_TEXT_MAX];
    char dns_near[CONFIG_TEXT_MAX];
    uint32_t dns_ttl_ms, dns_negative_ttl_ms;
    unsigned dns_warning; /* 1: yes */
    unsigned dns_udp_bytes;
    unsigned dns_rate; /* per second; 0: unlimited */
    uint32_t write_timeout_ms;
    uint32_t election_timeout_ms;
    uint32_t heartbeat_interval_ms;
    uint64_t snapshot_log_bytes;
    unsigned events_kept;
    uint64_t state_bytes;
    unsigned http_threads;
    unsigned http_connections;             /* 0: as many as the limit on open files allows */
    unsigned http_connections_per_address; /* 0: three quarters of http_connections */
    unsigned rate_requests, rate_writes, rate_connections; /* per second; 0: unlimited */
    unsigned rate_local;                                   /* 1: also for clients on this machine */
    char allow_host[CONFIG_TEXT_MAX]; /* comma-separated names, or "*"; empty: none */
    char cors[CONFIG_TEXT_MAX];       /* comma-separated origins, or "*"; empty: none */
    char tls_cert[CONFIG_TEXT_MAX];   /* path; empty: none; the same for the next two */
    char tls_key[CONFIG_TEXT_MAX];
    char tls_client_ca[CONFIG_TEXT_MAX];
    unsigned tls_client_required; /* 1: yes */
    enum tls_principal tls_principal;
    char peer_ca[CONFIG_TEXT_MAX];   /* files; empty: none */
    char peer_cert[CONFIG_TEXT_MAX]; /* once settled: that of tls_cert, if not given */
    char peer_key[CONFIG_TEXT_MAX];
    unsigned peer_tls;                          /* 0: required; 1: optional */
    char bootstrap_token_file[CONFIG_TEXT_MAX]; /* empty: none */
    char audit_log[CONFIG_TEXT_MAX];            /* path, "stderr" or "syslog"; empty: none */
    unsigned audit_required;                    /* 1: yes */
    enum anonymous anonymous;
    enum log_level log_level;
    enum log_format log_format;
};

enum config_outcome {
    CONFIG_RUN,     /* *ret_config is complete and consistent */
    CONFIG_HELP,    /* --help or --version was given, and is printed to stdout: exit 0 */
    CONFIG_INVALID, /* `error` has one line with what is wrong, and where: exit 2 */
};
/* Loads all sources, and the configuration file if there is one. `environment` looks up a variable
 * (getenv in production). Writes nothing but the help text. */
enum config_outcome config_load(int argc, char *const argv[],
                                const char *(*environment)(const char *name),
                                struct config *ret_config, char *error, size_t error_size);

/* Wipes secrets from the command line and the environment of this process, where others of the
 * machine could read them. `argv` ends with NULL. */
void config_hide(char *argv[]);
/* Whether the process has, or reads, secrets of its own. */
bool config_has_secrets(const struct config *config);
/* Whether it has ports of ZeroMQ under CURVE. */
bool config_has_curve(const struct config *config);
/* Reads its key from its file, at the start and again later. False with a sentence: the key is what
 * it was. */
MUST_USE bool config_read_curve_key(struct config *config, char *error, size_t error_size);

/* Sets the id assigned by the data directory or the cluster, and the default name made from it. */
void config_set_id(struct config *config, uint64_t id);
/* Sorts the members by id. */
void config_sort_members(struct config *config);

#endif
