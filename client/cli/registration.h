/* The options of a registration, which `register` and `run` share.
 *
 * Thread: the only one. */
#ifndef MUSTER_CLI_REGISTRATION_H
#define MUSTER_CLI_REGISTRATION_H

#include "client/cli/cli.h"

/* Sets a text member. Returns false, after a complaint, if it is not UTF-8. NULL sets nothing. */
bool registration_set_text(const struct cli *cli, json_t *body, const char *member,
                           const char *text);
/* Makes the options the body of POST /register; `check`: the one that has its checks. Returns
 * false, after a complaint, if one of them is malformed. */
bool registration_body(const struct cli *cli, const char *name, const char *check, json_t *body);

#endif
