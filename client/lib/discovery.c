#include "client/lib/discovery.h"

#include <string.h>

void discovery_init(struct discovery *discovery, struct core *core)
{
    *discovery = (struct discovery){.core = core};
}

struct service *discovery_find(struct discovery *discovery, const char *name,
                               enum muster_error *ret_error)
{
    struct service *service = discovery->services;
    while (service != NULL && strcmp(service->name, name) != 0) {
        service = service->next;
    }
    if (service != NULL) {
        return service;
    }
    if (discovery->count == DISCOVERY_SERVICES_MAX) {
        *ret_error = MUSTER_TOO_MANY;
        return NULL;
    }
    service = service_create(discovery->core, name);
    if (service == NULL) {
        *ret_error = MUSTER_NO_MEMORY;
        return NULL;
    }
    service->next = discovery->services;
    discovery->services = service;
    discovery->count++;
    loop_wake(&discovery->core->loop);
    return service;
}

void discovery_work(struct discovery *discovery)
{
    for (struct service *one = discovery->services; one != NULL; one = one->next) {
        service_work(one);
    }
}

bool discovery_dispatch(struct discovery *discovery)
{
    bool done = true;
    for (struct service *one = discovery->services; one != NULL; one = one->next) {
        done = service_dispatch(one) && done;
    }
    return done;
}

void discovery_stop(struct discovery *discovery)
{
    while (discovery->services != NULL) {
        struct service *next = discovery->services->next;
        service_destroy(discovery->services);
        discovery->services = next;
    }
}
