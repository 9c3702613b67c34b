/* What the files of this folder share: the runner, its checks, and a run under way.
 *
 * Thread: the runner's, unless stated otherwise. */
#ifndef MUSTER_API_PROBER_INTERNAL_H
#define MUSTER_API_PROBER_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/core/check_definition.h"
#include "api/core/lane.h"
#include "api/prober/allow.h"
#include "api/prober/judge.h"
#include "api/prober/output.h"
#include "api/prober/resolve.h"
#include "api/prober/schedule.h"
#include "api/prober/target.h"
#include "api/prober/target_link.h"
#include "api/prober/target_reply.h"
#include "api/prober/target_tls.h"
#include "server/base/buffer.h"
#include "server/base/log.h"
#include "server/base/thread.h"
#include "server/node/node.h"
#include "server/node/probe.h"

/* Runs begin at multiples of this time: several at once cost less than each by itself. */
#define PROBER_GRAIN_MS 100
/* Without checks of its own the runner looks this often whether it has been given some. */
#define PROBER_IDLE_MS 500

/* An output that changes while the status does not is written this often at most: as Consul. */
#define PROBER_OUTPUT_MS (5 * 60 * 1000u)

struct runner;

/* A result that is to be written, or is being written. */
struct report {
    struct lane_item item;
    struct node_write write;
    struct runner *runner;
    struct check *check; /* NULL: gone in between */
    uint64_t definition, epoch;
    enum health status;
    enum status outcome; /* of the write */
    uint64_t retry_ms;   /* while it waits */
    uint32_t attempts;
    bool is_sent;
    struct report *next, **back; /* of those that wait */
    struct output output;
};

/* One of the active checks that this replica runs. */
struct check {
    struct schedule_item item; /* when it runs next */
    uint64_t turn_ms;          /* when it was to, if its target had room */
    struct target_waiter waiter;
    char *id;            /* as stored */
    uint64_t definition; /* prober_definition() */
    struct check_definition *d;
    char *own_host;        /* of its instance or node; "": none */
    struct target *target; /* NULL: it cannot be run, and `why` says so */
    const char *why;       /* static */
    bool is_own;           /* the target is own_host */
    bool is_new;           /* has no result yet */
    struct judge judge;
    enum health shown;      /* as it was last seen or reported */
    uint64_t output_due_ms; /* a change of the output alone is not written earlier */
    struct probe *probe;    /* under way; NULL: none */
    struct report *report;  /* NULL: none */
    struct report *newer;   /* that came while `report` was being written */
};

/* In order of id. */
struct check_set {
    struct check **checks;
    size_t count;
    uint64_t version; /* node_probe_version() */
    uint64_t epoch, catalog_index;
    uint64_t scanned_ms;
    bool is_scanned;
};

enum probe_stage { PROBE_NAMES, PROBE_CONNECTS, PROBE_SHAKES, PROBE_TALKS };

/* A run of a check. */
struct probe {
    struct runner *runner;
    struct check *check;
    struct probe *next, **back; /* of those under way */
    enum probe_stage stage;
    uint64_t begun_ns;
    uint64_t deadline_ms;
    uint64_t step_ms; /* its deadline, or an earlier one for the address that is tried */
    uint64_t epoch;
    const struct check_definition *d; /* the check's; or `moved` */
    struct check_definition *moved;   /* after a redirect */
    char *moved_url;                  /* which `moved` borrows */
    struct target *target;            /* likewise; a reference */
    bool is_own;
    bool is_fresh; /* takes no kept connection */
    bool is_heard; /* the target has sent something */
    unsigned redirects;
    struct resolve_addresses addresses;
    size_t address_at;
    struct target_link *link;
    struct buffer out;
    size_t out_at;
    struct output output;
    struct target_reply reply; /* of HTTP */
};

struct runner {
    struct thread thread; /* main's */
    atomic_bool stopping; /* any thread */
    struct node *node;
    struct allow allow;
    const char *ca;
    size_t probes_max, kept_max;
    char agent[64]; /* User-Agent */
    struct target_links links;
    struct lane lane; /* reports whose writes are done; and to be woken */
    struct check_set set;
    struct schedule schedule;
    struct targets targets;
    struct resolver *resolver;
    struct target_tls *tls;
    struct probe *under_way;
    size_t under_way_count;
    bool is_held; /* more is due than may be under way */
    struct report *waiting;
    size_t writes;      /* under way */
    uint64_t now_ms;    /* of this turn, monotonic */
    uint64_t ticked_ms; /* the last tick */
    uint64_t swept_ms;
    struct log_gate gate;
};

/* --- check_set.c --- */

/* Looks whether the checks of this replica are others. */
void check_set_refresh(struct runner *r);
void check_set_done(struct runner *r);

/* --- probe.c --- */

void probe_start(struct runner *r, struct check *check, uint64_t epoch);
/* Something has happened on its connection. */
void probe_event(struct probe *p, uint32_t events);
/* Names were looked up. */
void probe_names(struct probe *p);
/* At step_ms. */
void probe_time_out(struct probe *p);
/* Ends without a result. */
void probe_abandon(struct probe *p);
/* Ends with what was found; `output` of it has been set. */
void probe_finish(struct probe *p, enum health found);
/* The same for one that failed. */
void probe_fail(struct probe *p, const char *format, ...) PRINTF_LIKE(2, 3);

/* --- talk_http.c, talk_grpc.c: the connection is there --- */

void talk_http_begin(struct probe *p);
/* Something has come, or has room. */
void talk_http(struct probe *p);
void talk_grpc_begin(struct probe *p);
void talk_grpc(struct probe *p);
/* Sends what is in `out`. False: the connection has ended. */
MUST_USE bool talk_flush(struct probe *p);
/* The connection broke, or was closed: tries another one if this was an old one. */
void talk_broken(struct probe *p, const char *how);
/* Goes on, without a connection, with another definition, to which the target has redirected. Takes
 * both. */
void probe_redirect(struct probe *p, struct check_definition *moved, char *url);
/* It is done with its connection, which may be used again if `keeps`. */
void probe_release_link(struct probe *p, bool keeps);
/* Whether its connections are worth keeping. */
bool probe_keeps(const struct probe *p);
/* "host", or "host:port" where that is not what the scheme says. */
#define AUTHORITY_SIZE (HOST_BYTES_MAX + 9)
void talk_authority(const struct check_definition *d, char out[AUTHORITY_SIZE]);

/* --- report.c --- */

/* A run has found this. */
void report_result(struct runner *r, struct check *check, uint64_t epoch, enum health found,
                   const struct output *output);
/* Tries again what was refused. */
void report_retry(struct runner *r);
/* A write is done. */
void report_take(struct lane_item *item);
/* The check goes. */
void report_forget(struct check *check);

#endif
