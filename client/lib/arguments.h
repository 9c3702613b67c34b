/* Arguments of the public functions: which one was wrong, and structs of other versions.
 *
 * Thread: any; each has its own last complaint. Owns: nothing. */
#ifndef MUSTER_LIB_ARGUMENTS_H
#define MUSTER_LIB_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "client/include/muster.h"
#include "server/base/compiler.h"

/* Returns MUSTER_INVALID, and keeps the constant text for muster_invalid_argument(). */
enum muster_error arguments_invalid(const char *what);

/* Copies a struct that begins with its size into `own`, whose members that the caller's version
 * does not have become zero. NULL, or a constant text that says what is wrong: the size is below
 * `least`, or the caller sets members that this version does not know. */
MUST_USE const char *arguments_copy(void *own, size_t own_size, size_t least, const void *given);

#endif
