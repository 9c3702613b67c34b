/* What is kept with the record of a check (`record_extra`), as JSON: {"n": name, "t": type, "d":
 * definition, ...}. All doors keep these, so that each shows what another has defined.
 *
 * Thread: any. */
#ifndef MUSTER_API_CORE_CHECK_KEPT_H
#define MUSTER_API_CORE_CHECK_KEPT_H

#include "api/core/check_definition.h"

#define CHECK_KEPT_NAME       "n"
#define CHECK_KEPT_NOTES      "N"
#define CHECK_KEPT_TYPE       "t" /* "http", "tcp", "grpc", "ttl", or one that nothing runs */
#define CHECK_KEPT_DEFINITION "d" /* of one that is run: check_definition_json() */

/* The definition in what is kept; the caller's, for free(). NULL: there is none, or none that this
 * build can run. */
struct check_definition *check_kept_load(const char *extra);

#endif
