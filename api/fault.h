/* What is wrong with a request: the field or parameter at fault and a sentence that says what to
 * change. Parsers fill one and return false.
 *
 * Thread: values; any. */
#ifndef MUSTER_API_FAULT_H
#define MUSTER_API_FAULT_H

#include <stddef.h>

#include "server/base/compiler.h"

#define FAULT_FIELD_SIZE   192 /* holds "metadata." and the longest key */
#define FAULT_MESSAGE_SIZE 384

struct fault {
    char field[FAULT_FIELD_SIZE]; /* "" when it is no single field */
    char message[FAULT_MESSAGE_SIZE];
};

void fault_set(struct fault *fault, const char *field, const char *format, ...) PRINTF_LIKE(3, 4);
/* For a field that the client named: says the name's size when it cannot be shown. */
void fault_set_named(struct fault *fault, const char *name, const char *format, ...)
    PRINTF_LIKE(3, 4);

#endif
