#include "consensus/disk/ids.h"

#include <sys/random.h>

#include "server/base/check.h"

static void random_bytes(void *out, size_t len)
{
    CHECK(len <= 256); /* up to this size getrandom() is never short */
    CHECK(getrandom(out, len, 0) == (ssize_t)len);
}

struct cluster_id cluster_id_make(void)
{
    struct cluster_id id;
    do {
        random_bytes(id.bytes, sizeof id.bytes);
    } while (cluster_id_is_none(&id));
    return id;
}

uint64_t life_make(void)
{
    uint64_t life;
    do {
        random_bytes(&life, sizeof life);
        life &= INT64_MAX;
    } while (life == 0);
    return life;
}
