/* A check that the replicas run, as an option says it: KIND=TARGET[,KEY=VALUE]..., or a JSON
 * object.
 *
 * Thread: the only one. */
#ifndef MUSTER_CLI_CHECK_OPTION_H
#define MUSTER_CLI_CHECK_OPTION_H

#include "client/cli/cli.h"

/* Makes all values of that option the `checks` of a registration; none of them: nothing. "none"
 * alone makes an empty list. False, after a complaint, if one is malformed. */
bool check_option_set(const struct cli *cli, const char *option, json_t *body);

#endif
