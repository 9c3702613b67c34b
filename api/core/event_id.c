#include "api/core/event_id.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/base/text.h"

bool event_id_parse(const char *text, struct event_id *ret_id)
{
    char index[EVENT_ID_SIZE];
    size_t len = strcspn(text, ".");
    uint64_t log_index;
    uint64_t position;
    if (text[len] == '\0' || len >= sizeof index) {
        return false;
    }
    memcpy(index, text, len);
    index[len] = '\0';
    if (!text_parse_u64(index, UINT64_MAX, &log_index) ||
        !text_parse_u64(text + len + 1, UINT32_MAX, &position)) {
        return false;
    }
    *ret_id = (struct event_id){.index = log_index, .position = (uint32_t)position};
    return true;
}

void event_id_format(struct event_id id, char out[EVENT_ID_SIZE])
{
    (void)snprintf(out, EVENT_ID_SIZE, "%" PRIu64 ".%" PRIu32, id.index, id.position);
}
