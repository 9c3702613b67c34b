/* What only this machine reaches, or is.
 *
 * Thread: any. */
#ifndef MUSTER_NET_LOOPBACK_H
#define MUSTER_NET_LOOPBACK_H

#include <stdbool.h>
#include <sys/socket.h>

/* 127.0.0.0/8, also where it came through an IPv6 socket, and ::1. */
bool loopback_has(const struct sockaddr *address);
/* Whether only this machine reaches a socket that listens there: everything that the host of a
 * "host:port" stands for is on the loopback. Looks names up. False if that is not known. */
bool loopback_listens(const char *address);

#endif
