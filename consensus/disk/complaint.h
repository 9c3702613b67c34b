/* Why something is refused: one sentence, into memory of the caller's.
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

/* Always false, so that callers can return it. */
PRINTF_LIKE(2, 3) bool complain(const struct complaint *c, const char *format, ...);

#endif
