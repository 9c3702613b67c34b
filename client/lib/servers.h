/* The replicas' addresses: "http://a:9000,b" as a list of URLs without a slash at the end.
 *
 * Owns: nothing but its own memory. */
#ifndef MUSTER_LIB_SERVERS_H
#define MUSTER_LIB_SERVERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/compiler.h"

#define SERVERS_MAX         32
#define SERVER_URL_MAX      512
#define SERVER_PORT_DEFAULT "9000"

struct servers {
    char urls[SERVERS_MAX][SERVER_URL_MAX + 1];
    size_t count;
};

/* A URL without a scheme gets http:// and, without a port, port 9000; with a scheme it has that
 * scheme's port. A duplicate is left out. False with a sentence in `error`. */
MUST_USE bool servers_add(struct servers *servers, const char *url, size_t len, char *error,
                          size_t error_size);
/* A list between commas, at least one. */
MUST_USE bool servers_parse(const char *list, struct servers *ret_servers, char *error,
                            size_t error_size);
/* The host and port of any http or https URL; a path is left out, an IPv6 address comes without
 * brackets. */
MUST_USE bool servers_parse_host(const char *url, char *host, size_t host_size, uint16_t *ret_port);

#endif
