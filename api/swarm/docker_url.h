/* The URL of a Docker daemon: unix:///path, tcp://host:port or http://host:port.
 *
 * Thread: any. */
#ifndef MUSTER_API_SWARM_DOCKER_URL_H
#define MUSTER_API_SWARM_DOCKER_URL_H

#include <stdbool.h>

#include "server/base/compiler.h"

#define DOCKER_URL_SIZE 256

/* For libcurl: what its URLs begin with, and the path of its socket ("": none). False if it is
 * none.
 */
MUST_USE bool docker_url_parse(const char *url, char base[DOCKER_URL_SIZE],
                               char socket[DOCKER_URL_SIZE]);
MUST_USE bool docker_is_url(const char *url);

#endif
