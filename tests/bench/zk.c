#include "tests/bench/zk.h"

#include <stdio.h>
#include <string.h>

void zk_next_member(const char *hosts, const char **at, char out[ZK_HOST_BYTES_MAX])
{
    size_t len = strcspn(*at, ",");
    (void)snprintf(out, ZK_HOST_BYTES_MAX, "%.*s", (int)len, *at);
    *at = (*at)[len] == ',' ? *at + len + 1 : hosts;
}
