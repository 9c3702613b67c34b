#include "server/registry/namespace.h"

#include <assert.h>
#include <string.h>

#include "server/base/naming.h"

static_assert(NAMESPACE_BYTES_MAX + 3 <= NAME_BYTES_MAX, "there is room for a name behind it");

bool namespace_is_other(struct slice space)
{
    return naming_is_namespace(space.data, space.len) &&
           (space.len != strlen(NAMESPACE_DEFAULT) ||
            memcmp(space.data, NAMESPACE_DEFAULT, space.len) != 0);
}

bool namespace_join(struct slice space, struct slice name, size_t most, char room[STORED_NAME_SIZE],
                    struct slice *ret_stored)
{
    if (name.len > 0 && name.data[0] == NAMESPACE_MARK) {
        return false;
    }
    if (space.len == 0) {
        *ret_stored = name;
        return name.len <= most;
    }
    size_t len = space.len + 2 + name.len;
    if (len > most || len >= STORED_NAME_SIZE) {
        return false;
    }
    room[0] = room[space.len + 1] = NAMESPACE_MARK;
    memcpy(room + 1, space.data, space.len);
    if (name.len > 0) {
        memcpy(room + space.len + 2, name.data, name.len);
    }
    room[len] = '\0';
    *ret_stored = (struct slice){room, len};
    return true;
}

void namespace_store(const char *space, const char *name, char out[STORED_NAME_SIZE])
{
    struct slice stored;
    if (!namespace_join(slice_of(space), slice_of(name), NAME_BYTES_MAX, out, &stored)) {
        stored.len = 0;
    } else if (stored.data != out) {
        memcpy(out, stored.data, stored.len);
    }
    out[stored.len] = '\0';
}

const char *namespace_bare(const char *stored)
{
    if (stored[0] != NAMESPACE_MARK) {
        return stored;
    }
    const char *end = strchr(stored + 1, NAMESPACE_MARK);
    return end != NULL ? end + 1 : stored;
}

struct slice namespace_of(const char *stored)
{
    const char *bare = namespace_bare(stored);
    return bare == stored ? (struct slice){"", 0}
                          : (struct slice){stored + 1, (size_t)(bare - stored) - 2};
}

bool namespace_has(const char *space, const char *stored)
{
    if (stored[0] != NAMESPACE_MARK) {
        return space[0] == '\0';
    }
    struct slice own = namespace_of(stored);
    return own.len == strlen(space) && memcmp(own.data, space, own.len) == 0;
}

bool namespace_is_stored(const char *stored)
{
    return stored[0] != NAMESPACE_MARK || namespace_is_other(namespace_of(stored));
}
