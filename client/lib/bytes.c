#include "client/lib/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 64

void bytes_init(struct bytes *b, size_t limit)
{
    *b = (struct bytes){.limit = limit};
}

void bytes_done(struct bytes *b)
{
    free(b->data);
    bytes_init(b, b->limit);
}

void bytes_clear(struct bytes *b)
{
    b->len = 0;
    b->failed = false;
}

static bool reserve(struct bytes *b, size_t len)
{
    if (b->failed || len > b->limit - b->len) {
        b->failed = true;
        return false;
    }
    size_t need = b->len + len;
    /* One more than asked for: room for the NUL of bytes_text(). */
    if (need >= b->capacity) {
        size_t capacity = b->capacity > 0 ? b->capacity : FIRST_CAPACITY;
        while (capacity <= need) {
            capacity *= 2;
        }
        char *data = realloc(b->data, capacity);
        if (data == NULL) {
            b->failed = true;
            return false;
        }
        b->data = data;
        b->capacity = capacity;
    }
    return true;
}

void bytes_append(struct bytes *b, const void *data, size_t len)
{
    if (reserve(b, len) && len > 0) {
        memcpy(b->data + b->len, data, len);
        b->len += len;
    }
}

void bytes_append_text(struct bytes *b, const char *text)
{
    bytes_append(b, text, strlen(text));
}

const char *bytes_text(struct bytes *b)
{
    if (!reserve(b, 0)) {
        return NULL;
    }
    b->data[b->len] = '\0';
    return b->data;
}

void bytes_append_encoded(struct bytes *path, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL) {
            bytes_append(path, text, 1);
        } else {
            char code[8];
            (void)snprintf(code, sizeof code, "%%%02X", (unsigned char)*text);
            bytes_append(path, code, 3);
        }
    }
}

void bytes_append_query(struct bytes *path, const char *name, const char *value)
{
    bool first = path->len == 0 || memchr(path->data, '?', path->len) == NULL;
    bytes_append(path, first ? "?" : "&", 1);
    bytes_append_encoded(path, name);
    bytes_append(path, "=", 1);
    bytes_append_encoded(path, value);
}
