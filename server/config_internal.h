/* What concerns several options: contradictions between them, and what is worked out from others
 * when it was not given (the name, what is advertised, threads, the heartbeat interval).
 *
 * Thread: main. Pure but for the host's name and its number of cores. */
#ifndef MUSTER_SERVER_CONFIG_INTERNAL_H
#define MUSTER_SERVER_CONFIG_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/compiler.h"

struct config;

/* With all sources read. False, with a line in `error`. */
MUST_USE bool config_settle(struct config *config, char *error, size_t error_size);

#endif
