/* What is kept of the output of a check.
 *
 * Thread: any. */
#ifndef MUSTER_API_CONSUL_OUTPUT_H
#define MUSTER_API_CONSUL_OUTPUT_H

#include <stddef.h>

#include "server/base/limits.h"

/* As much of the text as fits, in whole characters and printable, and how much was cut off. `most`:
 * OUTPUT_BYTES_MAX, or NOTE_BYTES_MAX of what is no check. */
void output_take(const char *text, size_t most, char out[OUTPUT_BYTES_MAX + 1]);

#endif
