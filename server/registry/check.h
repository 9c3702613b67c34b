/* What users may register: every bound of server/base/limits.h on a registration, and what its
 * texts may hold. All doors ask here before they send a command, so that no door takes what another
 * refuses. Not part of the replicated format: what an entry does is decided by level.h alone.
 *
 * Thread: any. Owns: nothing. */
#ifndef MUSTER_REGISTRY_CHECK_H
#define MUSTER_REGISTRY_CHECK_H

#include <stdbool.h>

#include "server/base/problem.h"
#include "server/registry/record.h"

/* Takes the brackets of an IPv6 address off the host: "[::1]" is meant as "::1". Still borrowed. */
void registration_normalise(struct registration *r);
/* False with the field at fault and a sentence, in the order of the fields of the API. The
 * registration is complete: an id and a host are there. */
MUST_USE bool registration_check(const struct registration *r, struct problem *problem);
/* An id or a name alone: 1 to NAME_BYTES_MAX bytes, naming_is_name, not "." or "..". */
MUST_USE bool registration_check_name(const char *field, struct slice name,
                                      struct problem *problem);
/* A text that is only shown, such as a note: `max` bytes at most, naming_is_text. */
MUST_USE bool registration_check_text(const char *field, struct slice text, size_t max,
                                      struct problem *problem);

#endif
