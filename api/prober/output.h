/* The output of a run as a note that may be shown: valid UTF-8 in one line, of bounded length.
 *
 * Thread: values; any. */
#ifndef MUSTER_API_PROBER_OUTPUT_H
#define MUSTER_API_PROBER_OUTPUT_H

#include <stddef.h>

#include "server/base/compiler.h"
#include "server/base/limits.h"

struct output {
    size_t len;
    char text[OUTPUT_BYTES_MAX + 1];
};

/* Replaces what is there. What is too long is cut off, as is the last character that is not whole.
 */
void output_say(struct output *output, const char *format, ...) PRINTF_LIKE(2, 3);
/* Adds foreign bytes. Whatever may not stand in a note is a space or, if it is no text, a '?'. */
void output_add(struct output *output, const char *bytes, size_t len);
/* Takes a space at its end away. Once it is complete. */
void output_trim(struct output *output);

#endif
