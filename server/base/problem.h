/* A problem of a request: the field or parameter at fault, and a message that says what to change.
 * Parsers set one and return false.
 *
 * Thread: values; any. */
#ifndef MUSTER_BASE_PROBLEM_H
#define MUSTER_BASE_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/compiler.h"

#define PROBLEM_FIELD_SIZE   192 /* fits "metadata." and the longest key */
#define PROBLEM_MESSAGE_SIZE 384

struct problem {
    char field[PROBLEM_FIELD_SIZE]; /* "" if it is not about a single field */
    char message[PROBLEM_MESSAGE_SIZE];
};

void problem_set(struct problem *problem, const char *field, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* For a field named by the client: gives the name's size if it is not printable. */
void problem_set_named(struct problem *problem, const char *name, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Whether the text of a field is printable and has at most `max` bytes. */
MUST_USE bool problem_check_text(struct problem *problem, const char *field, const char *text,
                                 size_t len, size_t max);

#endif
