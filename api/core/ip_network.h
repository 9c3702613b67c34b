/* Addresses and networks of the internet protocol, both versions in one form.
 *
 * Thread: any; values. */
#ifndef MUSTER_API_CORE_IP_NETWORK_H
#define MUSTER_API_CORE_IP_NETWORK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "server/base/compiler.h"

/* Before an IPv4 address that stands as an IPv6 address: ::ffff:a.b.c.d. */
#define IP_MAPPED_BYTES 12
#define IP_MAPPED_BITS  (8 * IP_MAPPED_BYTES)

/* An IPv6 address in network byte order; IPv4 as ::ffff:a.b.c.d. */
struct ip_address {
    uint8_t bytes[16];
};

struct ip_network {
    struct ip_address address;
    unsigned bits; /* of it that count, 0..128 */
};

/* An address as text; false if it is a name. */
MUST_USE bool ip_address_parse(const char *text, struct ip_address *ret_address);
/* From an address of a socket; false if it is of another family. */
MUST_USE bool ip_address_of_socket(const struct sockaddr *socket, struct ip_address *ret_address);
bool ip_address_is_ipv4(const struct ip_address *address);
/* Whether the first bits are the same; of IPv4 the first IP_MAPPED_BITS always are. */
bool ip_address_same(const struct ip_address *a, const struct ip_address *b, unsigned bits);
/* "10.1.0.0/16", "2001:db8::/32", or an address alone. */
MUST_USE bool ip_network_parse(const char *text, struct ip_network *ret_network);
bool ip_network_has(const struct ip_network *network, const struct ip_address *address);

#endif
