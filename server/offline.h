/* What musterd does to a data directory before it serves, or instead: --restore and --recover.
 * These are asked for once, on the command line, and are no options: a service that is started
 * again must not do them again.
 *
 * Thread: main, before there are others. Owns: nothing. */
#ifndef MUSTER_SERVER_OFFLINE_H
#define MUSTER_SERVER_OFFLINE_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/compiler.h"
#include "server/config.h"

struct offline {
    const char *restore; /* the backup; NULL: not asked for */
    bool recover;
    bool confirmed; /* --yes */
};

/* Takes its words out of the command line, for config_load to read the rest. False with a sentence.
 */
MUST_USE bool offline_scan(int *argc, char *argv[], struct offline *ret_offline, char *error,
                           size_t error_size);
/* What contradicts the options; as above. */
MUST_USE bool offline_check(const struct offline *o, const struct config *config, char *error,
                            size_t error_size);
/* Makes the directory of it; then serve. As above. */
MUST_USE bool offline_restore(const struct offline *o, const struct config *config, char *error,
                              size_t error_size);
/* Prints what there is, and what was done, to stdout. As above. */
MUST_USE bool offline_recover(const struct offline *o, const struct config *config, char *error,
                              size_t error_size);

#endif
