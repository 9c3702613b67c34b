#include "server/base/mem.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"

void *mem_alloc(size_t size)
{
    void *p = malloc(size > 0 ? size : 1);
    CHECK(p != NULL);
    return p;
}

void *mem_zalloc(size_t count, size_t size)
{
    void *p = calloc(count > 0 ? count : 1, size > 0 ? size : 1);
    CHECK(p != NULL);
    return p;
}

void *mem_realloc(void *old, size_t size)
{
    void *p = realloc(old, size > 0 ? size : 1);
    CHECK(p != NULL);
    return p;
}

char *mem_strndup(const char *text, size_t len)
{
    char *copy = mem_alloc(len + 1);
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *mem_strdup(const char *text)
{
    return mem_strndup(text, strlen(text));
}

void mem_wipe_free(void *memory, size_t size)
{
    if (memory != NULL) {
        explicit_bzero(memory, size);
        free(memory);
    }
}

void mem_free_secret(char *text)
{
    mem_wipe_free(text, text != NULL ? strlen(text) : 0);
}
