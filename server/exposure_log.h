/* Says once in the log what strangers could do to this replica (api/core/exposure.h).
 *
 * Thread: main. */
#ifndef MUSTER_SERVER_EXPOSURE_LOG_H
#define MUSTER_SERVER_EXPOSURE_LOG_H

#include "api/core/exposure.h"
#include "server/config.h"
#include "server/node/node.h"

/* Looks names up. */
struct exposure exposure_of(const struct config *config);
/* What follows from the options. */
void exposure_log_options(const struct exposure *exposure);
/* What follows from the tokens that there are. False: it does not know them all yet, and is to be
 * asked again. */
bool exposure_log_tokens(const struct exposure *exposure, const struct node *node);

#endif
