/* Assertions that stay on in every build: for programming errors, and for invariants without which
 * a replica must not continue. Never for input from outside.
 *
 * Thread: any. */
#ifndef MUSTER_BASE_CHECK_H
#define MUSTER_BASE_CHECK_H

#include "server/base/compiler.h"

#define CHECK(condition)                                                                           \
    (LIKELY(condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

/* Logs the broken condition and aborts the process. */
NORETURN void check_failed(const char *file, int line, const char *condition);

#endif
