/* A growing text of bytes with a ceiling from birth, for a library that must not end its process:
 * what passes the ceiling, or finds no memory, turns it `failed` and is dropped with all that
 * follows. Callers append freely and look once, at the end.
 *
 * Thread: one owner at a time. Owns: its bytes. */
#ifndef MUSTER_LIB_BYTES_H
#define MUSTER_LIB_BYTES_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/compiler.h"

struct bytes {
    char *data;
    size_t len;
    size_t capacity;
    size_t limit; /* most bytes it may ever hold */
    bool failed;
};

void bytes_init(struct bytes *b, size_t limit);
/* Frees the bytes; as after bytes_init. */
void bytes_done(struct bytes *b);
/* Forgets the content and a failure, keeps the memory. */
void bytes_clear(struct bytes *b);
void bytes_append(struct bytes *b, const void *data, size_t len);
void bytes_append_text(struct bytes *b, const char *text);
/* The content as a text that stays the buffer's; NULL when failed. */
const char *bytes_text(struct bytes *b);

/* --- paths of requests --- */

#define PATH_BYTES_MAX (256 * 1024)

/* Percent-encodes. */
void bytes_append_encoded(struct bytes *path, const char *text);
/* Appends ?name=value, or &name=value when there is a query already. */
void bytes_append_query(struct bytes *path, const char *name, const char *value);

#endif
