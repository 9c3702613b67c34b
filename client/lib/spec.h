/* A struct muster_spec of the public header: checked, and made into a registration.
 *
 * Thread: any, with the client's mutex where a function says so. */
#ifndef MUSTER_LIB_SPEC_H
#define MUSTER_LIB_SPEC_H

#include <stddef.h>

#include "client/include/muster.h"
#include "client/lib/registration.h"
#include "client/lib/settings.h"
#include "server/base/compiler.h"

/* NULL if the text, which may be NULL, has at most `max` bytes and is UTF-8; else one of the two
 * others. */
const char *spec_find_text_fault(const char *text, size_t max, const char *too_long,
                                 const char *not_utf8);
/* The same for lists of tags and metadata. NULL or a constant text. */
const char *spec_find_lists_fault(const char *const *tags, size_t tags_count,
                                  const struct muster_pair *metadata, size_t metadata_count);
/* NULL, or a constant text that says which member is wrong, and how. */
MUST_USE const char *spec_find_fault(const struct settings *settings,
                                     const struct muster_spec *spec);
/* Requires the client's mutex, and a spec without fault. Gives a registration that is in no list
 * yet, for registration_free(). MUSTER_NO_MEMORY. */
MUST_USE enum muster_error spec_make(struct settings *settings, const struct muster_spec *spec,
                                     struct muster_registration **ret_registration);

#endif
