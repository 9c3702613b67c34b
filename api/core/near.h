/* How near an instance is to who asks, by the address of the asker: in the same subnet, or in the
 * zone to which its subnet belongs.
 *
 * Thread: any; immutable once parsed. Owns: nothing. */
#ifndef MUSTER_API_CORE_NEAR_H
#define MUSTER_API_CORE_NEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/core/ip_network.h"
#include "server/base/compiler.h"
#include "server/base/limits.h"

#define NEAR_RULES_MAX 32
/* 0: the nearest. */
#define NEAR_CLASSES 3

enum near_how {
    NEAR_OFF,    /* all are alike */
    NEAR_SUBNET, /* 0: the same /24 or /64; 1: the same /16 or /48; 2: others */
    NEAR_ZONES,  /* 0: the zone of the asker's subnet; 1: others */
};

struct near_rule {
    struct ip_network network;
    char zone[NAME_BYTES_MAX + 1];
};

struct near {
    enum near_how how;
    size_t count;
    struct near_rule rules[NEAR_RULES_MAX];
};

/* From "no", "subnet", or "10.1.0.0/16=eu-a,2001:db8::/32=eu-b". False if it is none of them. */
MUST_USE bool near_parse(const char *text, struct near *ret_near);
/* The zone of the longest subnet that has the address; NULL: none. */
const char *near_zone_of(const struct near *near, const struct ip_address *asker);
/* How near an instance with that address (NULL: it has a name) and zone is to the asker, whose zone
 * is `asker_zone`. */
unsigned near_class(const struct near *near, const struct ip_address *asker, const char *asker_zone,
                    const struct ip_address *address, const char *zone);

#endif
