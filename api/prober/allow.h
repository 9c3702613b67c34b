/* To which addresses checks may connect (--checks-allow). Whoever may register makes replicas send
 * requests, so by default a check reaches the machine of its own instance only; and what a machine
 * has for itself (loopback, link-local, the metadata services of clouds) is never reached unless a
 * network of the list has it.
 *
 * Thread: any; immutable once parsed. */
#ifndef MUSTER_API_PROBER_ALLOW_H
#define MUSTER_API_PROBER_ALLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "api/core/ip_network.h"

#define ALLOW_NETWORKS_MAX 64

struct allow {
    bool any;      /* every address that is not special */
    bool instance; /* the host of the check's own instance or node */
    bool loopback; /* no other machine reaches this replica: it may reach its own */
    size_t count;
    struct ip_network networks[ALLOW_NETWORKS_MAX];
};

/* From "instance", "any", "off", or networks such as "10.0.0.0/8"; several between commas. `off`
 * stands alone. False if it is none of them. */
MUST_USE bool allow_parse(const char *text, struct allow *ret_allow);
/* Nothing is allowed: no check is run. */
bool allow_is_off(const struct allow *allow);
/* NULL: a check may connect there. Otherwise a static sentence. `is_own`: it is the host of the
 * check's own instance or node. */
const char *allow_refusal(const struct allow *allow, const struct sockaddr *address, bool is_own);

#endif
