/* How much clients may do in a second: token buckets, for each client's address, for each token and
 * certificate, and for writes in each namespace that has a quota of them.
 *
 * A bucket is one number, the time at which it is full again (GCRA, the virtual scheduling
 * algorithm of ITU-T I.371). Full ones need no memory, so a table of fixed size holds those in use:
 * a bucket has four places by hash, and takes that of the fullest there. Whoever loses his that way
 * begins with a full one: memory is bounded, and the limit errs in favour of the client. Two
 * threads that take a place at the same moment may do so, too.
 *
 * Thread: any; atomics, no locks. */
#ifndef MUSTER_CORE_RATE_LIMIT_H
#define MUSTER_CORE_RATE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "server/base/compiler.h"

/* Most buckets at a time; 16 bytes each. */
#define RATE_LIMIT_BUCKETS 65536
/* A bucket holds what may be done in so many seconds. */
#define RATE_LIMIT_BURST_S 10

enum rate {
    RATE_REQUESTS,    /* calls of any kind */
    RATE_WRITES,      /* changes; a renewal of leases is none, however many it renews */
    RATE_CONNECTIONS, /* new ones */
    /* What is sent to an address that anybody may have given as his: answers over UDP, one for each
     * 512 bytes. The burst is of one second. */
    RATE_DATAGRAMS,
    /* Credentials that are not good: those for one token from one address, and all of an address.
     * (login.h) */
    RATE_LOGINS_OF_TOKEN,
    RATE_LOGINS_OF_ADDRESS,
    RATES,
};

struct rate_limit_options {
    unsigned requests, writes, connections, datagrams; /* a second; 0: no limit */
    bool local; /* clients on this machine are limited, too */
};

struct rate_limits;

struct rate_limits *rate_limits_new(const struct rate_limit_options *options);
void rate_limits_free(struct rate_limits *limits);

/* Stands for a client's address below; 0: it has no limits. */
uint64_t rate_limits_client(const struct rate_limits *limits, const struct sockaddr *peer);
/* Takes one. False when there is none: *ret_wait_s says in how many seconds there is, at least 1.
 * `token`: the id of the token or what the certificate is called (principal_name) whose bucket it
 * is; "" or NULL: the address's. `now_ns`: monotonic.
 */
MUST_USE bool rate_limits_take(struct rate_limits *limits, enum rate rate, uint64_t client,
                               const char *token, uint64_t now_ns, unsigned *ret_wait_s);
/* The same, and takes none. */
MUST_USE bool rate_limits_has(struct rate_limits *limits, enum rate rate, uint64_t client,
                              const char *token, uint64_t now_ns, unsigned *ret_wait_s);
/* Takes several of an address at once, or none; more than a full bucket has count as that many. */
MUST_USE bool rate_limits_take_many(struct rate_limits *limits, enum rate rate, uint64_t client,
                                    unsigned count, uint64_t now_ns);
/* Takes a write from the bucket of a namespace, which gives `a_second` of them; 0: no
 * limit. */
MUST_USE bool rate_limits_take_namespace(struct rate_limits *limits, const char *space,
                                         unsigned a_second, uint64_t now_ns, unsigned *ret_wait_s);

#endif
