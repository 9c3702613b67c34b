/* What checks connect to, and the connections to it that are kept for the next run. Checks of one
 * target share its bounds.
 *
 * Thread: one. Owns: the kept connections. */
#ifndef MUSTER_API_PROBER_TARGET_H
#define MUSTER_API_PROBER_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/core/check_definition.h"
#include "server/base/ptree.h"

struct target_link;

/* At one target at a time by one replica; and probes that begin in a second. */
#define TARGET_PROBES_MAX      16
#define TARGET_PROBES_A_SECOND 1000

/* Part of a check whose target has no room for it. All zeros: it does not wait. */
struct target_waiter {
    struct target *target;
    struct target_waiter *next;
};

struct target {
    unsigned references;
    unsigned under_way; /* probes */
    uint64_t second;    /* in which `begun` probes have begun */
    unsigned begun;
    struct target_link *kept; /* the one used last comes first */
    size_t kept_count;
    struct target_waiter *waiting, **waiting_end; /* first come, first served */
    struct target *next_crowded, **back_crowded;  /* of those where somebody waits */
    enum check_kind kind;
    bool tls, verifies;
    uint16_t port;
    const char *name; /* for its certificate; in `key` */
    const char *host; /* to connect to; in `key` */
    char key[];
};

struct targets {
    struct ptree all;  /* by key */
    size_t kept_count; /* connections of all of them */
    struct target *crowded;
};

/* The target of a definition that is reached at `host`; give it back to targets_release. */
struct target *targets_take(struct targets *targets, const struct check_definition *d,
                            const char *host);
/* The same again. */
struct target *target_again(struct target *target);
/* NULL is allowed. With the last reference the connections that are kept are closed. */
void targets_release(struct targets *targets, struct target *target);

/* Whether another probe may begin there. */
bool target_has_room(const struct target *target, uint64_t now_ms);
void target_begin(struct target *target, uint64_t now_ms);
void target_end(struct target *target);
/* Waits in line until target_serve. */
void targets_wait(struct targets *targets, struct target *target, struct target_waiter *waiter);
/* Nothing if it does not wait. */
void targets_leave(struct target_waiter *waiter);
/* Who is next at a target, of those in a list that begins with `crowded`, once there is room: no
 * longer in line. NULL: nobody. */
struct target_waiter *target_serve(struct target *target, uint64_t now_ms);

/* Keeps a connection that is in order, or closes it. */
void targets_keep(struct targets *targets, struct target_link *link, uint64_t now_ms, size_t most);
/* A kept connection that is young enough, no longer kept; NULL: there is none. */
struct target_link *targets_take_link(struct targets *targets, struct target *target,
                                      uint64_t now_ms);
/* Closes one that is kept. */
void targets_drop(struct targets *targets, struct target_link *link);
/* Closes those that have been kept for too long. */
void targets_sweep(struct targets *targets, uint64_t now_ms);

#endif
