/* What users may register: every bound of server/base/limits.h on a registration, and valid
 * contents of its texts. All doors call this before they send a command, so that they accept the
 * same. Not part of the replicated format: the effect of an entry depends on level.h only.
 *
 * Thread: any. Owns: nothing. */
#ifndef MUSTER_REGISTRY_CHECK_H
#define MUSTER_REGISTRY_CHECK_H

#include <stdbool.h>

#include "server/base/problem.h"
#include "server/registry/record.h"

/* Strips the brackets of an IPv6 host: "[::1]" means "::1". Still borrowed. */
void registration_normalise(struct registration *r);
/* False with the field at fault and a message, in the order of the API's fields. The registration
 * must be complete, with an id and a host. */
MUST_USE bool registration_check(const struct registration *r, struct problem *problem);
/* An id or a name alone: 1 to NAME_BYTES_MAX bytes, naming_is_name, not "." or "..". */
MUST_USE bool registration_check_name(const char *field, struct slice name,
                                      struct problem *problem);
/* A text that is only displayed, such as a note: at most `max` bytes, naming_is_text. */
MUST_USE bool registration_check_text(const char *field, struct slice text, size_t max,
                                      struct problem *problem);

#endif
