/* The copies of all services that this client asked about.
 *
 * Thread: any, unless a function says otherwise. Owns: the services. */
#ifndef MUSTER_LIB_DISCOVERY_H
#define MUSTER_LIB_DISCOVERY_H

#include <stddef.h>

#include "client/include/muster.h"
#include "client/lib/core.h"
#include "client/lib/service.h"

#define DISCOVERY_SERVICES_MAX 256
#define DISCOVERY_FOLLOWS_MAX  1024

struct discovery {
    struct core *core;
    /* under the mutex; new services come in front, and stay */
    struct service *services;
    size_t count;
    size_t follows;
};

void discovery_init(struct discovery *discovery, struct core *core);
/* Requires the mutex. Finds or creates the service. NULL with the error in *ret_error. */
struct service *discovery_find(struct discovery *discovery, const char *name,
                               enum muster_error *ret_error);
/* Requires the mutex, and releases it during callbacks. Background thread. */
void discovery_work(struct discovery *discovery);
/* Requires the mutex, and releases it during callbacks. The dispatching thread. False without
 * memory. */
MUST_USE bool discovery_dispatch(struct discovery *discovery);
/* Requires the mutex. Background thread. */
void discovery_stop(struct discovery *discovery);

#endif
