/* The reason for a refusal: one message, in the caller's memory.
 *
 * Thread: any. Owns: nothing. */
#ifndef MUSTER_CONSENSUS_DISK_COMPLAINT_H
#define MUSTER_CONSENSUS_DISK_COMPLAINT_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/compiler.h"

struct complaint {
    char *text;
    size_t size;
};

/* Always returns false, so that callers can return it. */
PRINTF_LIKE(2, 3) bool complain(const struct complaint *c, const char *format, ...);

#endif
