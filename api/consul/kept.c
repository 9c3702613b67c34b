#include "api/consul/kept.h"

#include <stdlib.h>

#include "api/consul/keep.h"
#include "api/core/json_scan.h"

/* Only an address that is none is kept: another is the host of the instance. */
void kept_read(const struct record *instance, struct kept *ret_kept)
{
    struct json_scan scan = json_scan_of(record_extra(instance));
    struct slice key, value;
    *ret_kept = (struct kept){.warning = 1, .has_address = true};
    while (json_scan_next(&scan, &key, &value)) {
        if (json_scan_is(key, KEEP_KIND)) {
            ret_kept->kind = value;
        } else if (json_scan_is(key, KEEP_SOCKET)) {
            ret_kept->socket = value;
        } else if (json_scan_is(key, KEEP_TAGGED)) {
            ret_kept->tagged = value;
        } else if (json_scan_is(key, KEEP_NODE_ADDRESS)) {
            ret_kept->node_address = value;
        } else if (json_scan_is(key, KEEP_WARNING)) {
            ret_kept->warning = (uint32_t)strtoul(value.data, NULL, 10);
        } else if (json_scan_is(key, KEEP_OVERRIDE)) {
            ret_kept->has_override = value.data[0] == 't';
        } else if (json_scan_is(key, KEEP_ADDRESS)) {
            ret_kept->has_address = false;
        }
    }
}
