/* URLs of the servers that the older registry lists. A server sends the name of its host, or a URL,
 * and a port; clients get the two joined, and use that as it is.
 *
 * Thread: any. */
#ifndef MUSTER_API_TBFS_SERVER_URL_H
#define MUSTER_API_TBFS_SERVER_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/limits.h"
#include "server/base/problem.h"

/* It is kept as metadata. */
#define SERVER_URL_SIZE (METADATA_VALUE_BYTES_MAX + 1)

struct server_address {
    char host[HOST_BYTES_MAX + 1]; /* without brackets */
    uint16_t port;
};

/* The joined URL, character for character as the older registry makes it: "http://" in front unless
 * `url` begins with "http", and ":port" at the end unless that is 80 or 443. */
MUST_USE bool server_url_join(const char *url, uint16_t port, char ret_url[SERVER_URL_SIZE],
                              struct problem *problem);
/* Host and port that can be dialled: a port within `url` counts for more than `port`. */
MUST_USE bool server_url_address(const char *url, uint16_t port, struct server_address *ret_address,
                                 struct problem *problem);

#endif
