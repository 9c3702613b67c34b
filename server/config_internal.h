/* Checks that the options agree with each other, and derives the ones that were not given (name,
 * advertised addresses, threads, heartbeat interval) from the others.
 *
 * Thread: main. Pure except for the host name and the number of cores. */
#ifndef MUSTER_SERVER_CONFIG_INTERNAL_H
#define MUSTER_SERVER_CONFIG_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/compiler.h"

struct config;

/* Writes the sentence; returns false. */
PRINTF_LIKE(3, 4) bool config_refuse(char *error, size_t error_size, const char *format, ...);

/* Call when all sources are loaded. Returns false with a line in `error`. */
MUST_USE bool config_settle(struct config *config, char *error, size_t error_size);
/* The part of it about secrets, which may be in files. */
MUST_USE bool config_settle_secrets(struct config *config, char *error, size_t error_size);
/* The part of it about sinks of events, whose secrets may be in files. */
MUST_USE bool config_settle_sinks(struct config *config, char *error, size_t error_size);
/* The part of it about ZeroMQ, whose key is in a file. */
MUST_USE bool config_settle_zmq(struct config *config, char *error, size_t error_size);

/* Items of lists: a host without a port; an origin as browsers send it: scheme, host, and the port
 * if it is not the scheme's default. */
MUST_USE bool config_is_host(const char *item, size_t len);
MUST_USE bool config_is_origin(const char *item, size_t len);
/* To what active checks may connect: a whole list. */
MUST_USE bool config_is_allow(const char *text);

#endif
