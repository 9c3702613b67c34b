/* Who a client is by its address: an IPv4 address, or the first 64 bits of an IPv6 address, as one
 * machine or network has all of those. IPv4 counts alike where it came through an IPv6 socket.
 *
 * Thread: any. */
#ifndef MUSTER_CORE_CLIENT_ADDRESS_H
#define MUSTER_CORE_CLIENT_ADDRESS_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

/* Stands for the client; with a random seed nobody can choose addresses that collide. */
uint64_t client_address_hash(uint64_t seed, const struct sockaddr *peer);
/* The address as text; IPv4 also where it came through an IPv6 socket. Empty: of another family. */
void client_address_text(const struct sockaddr *peer, char out[INET6_ADDRSTRLEN]);

#endif
