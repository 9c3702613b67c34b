#include "client/bench/sse.h"

#include <string.h>

#include "server/base/compiler.h"

void sse_begin(struct sse *sse)
{
    *sse = (struct sse){.line_len = 0};
}

static bool begins(const struct sse *sse, const char *text)
{
    size_t len = strlen(text);
    return sse->line_len >= len && memcmp(sse->line, text, len) == 0;
}

static bool is_line(const struct sse *sse, const char *text)
{
    return sse->line_len == strlen(text) && begins(sse, text);
}

static void take_name(struct sse *sse)
{
    static const char *const marks[] = {"event: present", "event: synced", "event: reset"};
    sse->event = true;
    for (size_t i = 0; i < ARRAY_LENGTH(marks); i++) {
        sse->event = sse->event && !is_line(sse, marks[i]);
    }
}

/* Whether the line ends a block that is an event. */
static bool take_line(struct sse *sse)
{
    if (sse->line_len > 0 && sse->line_len <= SSE_LINE_BYTES &&
        sse->line[sse->line_len - 1] == '\r') {
        sse->line_len--;
    }
    if (sse->line_len == 0) {
        bool complete = sse->event && sse->data;
        sse->event = false;
        sse->data = false;
        return complete;
    }
    if (begins(sse, "event:")) {
        take_name(sse);
    } else if (begins(sse, "data:")) {
        sse->data = true;
    }
    return false;
}

uint32_t sse_feed(struct sse *sse, const char *bytes, size_t len)
{
    uint32_t events = 0;
    while (len > 0) {
        const char *end = memchr(bytes, '\n', len);
        size_t here = end != NULL ? (size_t)(end - bytes) : len;
        size_t room = sse->line_len < SSE_LINE_BYTES ? SSE_LINE_BYTES - sse->line_len : 0;
        memcpy(sse->line + (SSE_LINE_BYTES - room), bytes, here < room ? here : room);
        /* Of a long line only that it is long is remembered. */
        size_t line_len = sse->line_len + here;
        sse->line_len = line_len <= SSE_LINE_BYTES ? (uint32_t)line_len : SSE_LINE_BYTES + 1;
        if (end == NULL) {
            break;
        }
        events += take_line(sse);
        sse->line_len = 0;
        bytes += here + 1;
        len -= here + 1;
    }
    return events;
}
