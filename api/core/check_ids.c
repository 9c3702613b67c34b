#include "api/core/check_ids.h"

#include <stdio.h>

#include "server/base/mem.h"
#include "server/registry/check_id.h"

const char *check_ids_of_key(const char *key)
{
    if (key[0] != ':' && key[0] != '=') {
        return key;
    }
    return key[1] != '\0' ? key + 1 : "default";
}

char *check_ids_make_key(const char *id)
{
    size_t size = strlen(id) + 2;
    char *key = mem_alloc(size);
    (void)snprintf(key, size, ":%s", id);
    return key;
}

char *check_ids_join(struct slice instance_id, const char *id)
{
    size_t size = instance_id.len + strlen(id) + 3;
    char *joined = mem_alloc(size);
    (void)snprintf(joined, size, "%.*s%c:%s", (int)instance_id.len, instance_id.data, CHECK_MARK,
                   id);
    return joined;
}
