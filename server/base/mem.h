/* Allocation that never returns NULL: the server aborts when memory runs out, as a replica that
 * cannot apply a committed command must not continue.
 *
 * Thread: any. Owns: the caller frees with free(). */
#ifndef MUSTER_BASE_MEM_H
#define MUSTER_BASE_MEM_H

#include <stddef.h>

#include "server/base/compiler.h"

MUST_USE void *mem_alloc(size_t size);
/* Zeroed; also aborts if count * size overflows. */
MUST_USE void *mem_zalloc(size_t count, size_t size);
MUST_USE void *mem_realloc(void *old, size_t size);
MUST_USE char *mem_strdup(const char *text);
/* A NUL-terminated copy of len bytes. */
MUST_USE char *mem_strndup(const char *text, size_t len);
/* Wipes `size` bytes, or a text, and frees them. NULL is allowed. */
void mem_wipe_free(void *memory, size_t size);
void mem_free_secret(char *text);

#endif
