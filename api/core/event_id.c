#include "api/core/event_id.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/base/text.h"

#define CLUSTER_MAX  ((1u << 20) - 1)
#define POSITION_MAX UINT64_C(9999999999999999) /* sixteen digits */

uint32_t event_id_cluster(struct node *node)
{
    uint32_t tag = node_cluster_tag(node);
    return tag == 0 ? 0 : tag % CLUSTER_MAX + 1;
}

bool event_id_parse(const char *text, struct event_id *ret_id, uint32_t *ret_cluster)
{
    char index[TEXT_U64_SIZE];
    size_t len = strcspn(text, ".");
    uint64_t position;
    if (text[len] == '\0' || len >= sizeof index) {
        return false;
    }
    memcpy(index, text, len);
    index[len] = '\0';
    if (!text_parse_u64(index, UINT64_MAX, &ret_id->index) ||
        !text_parse_u64(text + len + 1, POSITION_MAX, &position)) {
        return false;
    }
    ret_id->position = (uint32_t)position;
    *ret_cluster = (uint32_t)(position >> 32);
    return true;
}

void event_id_format(struct event_id id, uint32_t cluster, char out[EVENT_ID_SIZE])
{
    (void)snprintf(out, EVENT_ID_SIZE, "%" PRIu64 ".%" PRIu64, id.index,
                   (uint64_t)cluster << 32 | id.position);
}
