/* A struct muster_spec of the public header: checked, and made into a registration.
 *
 * Thread: any, with the client's mutex where a function says so. */
#ifndef MUSTER_LIB_SPEC_H
#define MUSTER_LIB_SPEC_H

#include <stdbool.h>

#include "client/include/muster.h"
#include "client/lib/registration.h"
#include "client/lib/settings.h"
#include "server/base/compiler.h"

/* Whether the text, which may be NULL, has at most `max` bytes. */
bool spec_is_bounded(const char *text, size_t max);
MUST_USE bool spec_is_valid(const struct settings *settings, const struct muster_spec *spec);
/* Requires the client's mutex. Gives a registration that is in no list yet, for
 * registration_free(). MUSTER_NO_MEMORY; MUSTER_INVALID if a text is not UTF-8. */
MUST_USE enum muster_error spec_make(struct settings *settings, const struct muster_spec *spec,
                                     struct muster_registration **ret_registration);

#endif
