/* The door of DNS: services, nodes and addresses as names below a domain, over UDP and TCP. */
#include <stdlib.h>
#include <string.h>

#include "api/core/door.h"
#include "api/dns/worker.h"
#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/mem.h"

extern const struct door_kind dns_door;

struct dns {
    struct door door;
    struct dns_worker worker;
};

static struct dns_worker *worker_of(struct door *door)
{
    return &CONTAINER_OF(door, struct dns, door)->worker;
}

static void dns_stop(struct door *door)
{
    dns_worker_stop(worker_of(door));
    free(CONTAINER_OF(door, struct dns, door));
}

/* The options have been checked where they were read. */
static void settle(struct dns_settings *settings, const struct door_options *options)
{
    size_t len = strlen(options->datacenter);
    CHECK(dns_name_parse(options->dns_domain, &settings->domain));
    CHECK(near_parse(options->dns_near, &settings->near) && len <= DNS_LABEL_BYTES);
    memcpy(settings->datacenter, options->datacenter, len + 1);
    settings->ttl_s = options->dns_ttl_ms / 1000;
    settings->negative_ttl_s = options->dns_negative_ttl_ms / 1000;
    settings->has_warning = options->dns_warning;
    settings->udp_size = (uint16_t)options->dns_udp_bytes;
    settings->anonymous = options->anonymous;
}

static bool dns_open(const struct door_options *options, struct door **ret_door, char *error,
                     size_t error_size)
{
    if (options->dns == NULL || options->dns[0] == '\0') {
        return true;
    }
    struct dns *dns = mem_zalloc(1, sizeof *dns);
    dns->door.kind = &dns_door;
    dns->worker.options = *options;
    settle(&dns->worker.settings, options);
    if (!dns_worker_open(&dns->worker, options->dns, error, error_size)) {
        dns_stop(&dns->door);
        return false;
    }
    *ret_door = &dns->door;
    return true;
}

static bool dns_start(struct door *door, struct node *node, char *error, size_t error_size)
{
    const struct door_options *options = &worker_of(door)->options;
    if (!dns_worker_start(worker_of(door), node, error, error_size)) {
        return false;
    }
    log_write(LOG_INFO, "dns", "listening", "address=\"%s\" domain=\"%s\"", options->dns,
              options->dns_domain);
    return true;
}

static void dns_drain(struct door *door)
{
    dns_worker_drain(worker_of(door));
}

const struct door_kind dns_door = {
    .name = "dns", .open = dns_open, .start = dns_start, .drain = dns_drain, .stop = dns_stop};
