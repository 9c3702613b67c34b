#include "client/lib/arguments.h"

#include <string.h>

static _Thread_local const char *last = "";

enum muster_error arguments_invalid(const char *what)
{
    last = what;
    return MUSTER_INVALID;
}

const char *muster_invalid_argument(void)
{
    return last;
}

const char *arguments_copy(void *own, size_t own_size, size_t least, const void *given)
{
    size_t size;
    memcpy(&size, given, sizeof size);
    if (size < least) {
        return "size is not set: use the MUSTER_..._INIT macro";
    }
    for (size_t i = own_size; i < size; i++) {
        if (((const char *)given)[i] != '\0') {
            return "size: a member is set that this version of the library does not have";
        }
    }
    memset(own, 0, own_size);
    memcpy(own, given, size < own_size ? size : own_size);
    memcpy(own, &own_size, sizeof own_size);
    return NULL;
}
