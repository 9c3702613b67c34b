/* A small file that holds a secret, read at the start.
 *
 * Thread: main. Owns: nothing; the caller wipes what was read. */
#ifndef MUSTER_SERVER_SECRET_FILE_H
#define MUSTER_SERVER_SECRET_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/compiler.h"

/* What fits of it into `text`, ended with NUL. If it is a pipe, waits up to 5 s for its end. False,
 * with a sentence that names the option. */
MUST_USE bool secret_file_read(const char *option, const char *path, char *text, size_t text_size,
                               char *error, size_t error_size);

#endif
