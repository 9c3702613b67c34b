#include "api/core/event_id.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/base/text.h"

bool event_id_parse(const char *text, struct position *ret_position)
{
    char index[EVENT_ID_SIZE];
    size_t len = strcspn(text, ".");
    uint64_t log_index;
    uint64_t place;
    if (text[len] == '\0' || len >= sizeof index) {
        return false;
    }
    memcpy(index, text, len);
    index[len] = '\0';
    if (!text_parse_u64(index, UINT64_MAX, &log_index) ||
        !text_parse_u64(text + len + 1, UINT32_MAX, &place)) {
        return false;
    }
    *ret_position = (struct position){.index = log_index, .place = (uint32_t)place};
    return true;
}

void event_id_format(struct position position, char out[EVENT_ID_SIZE])
{
    (void)snprintf(out, EVENT_ID_SIZE, "%" PRIu64 ".%" PRIu32, position.index, position.place);
}
