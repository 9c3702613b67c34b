#include "client/lib/sse.h"

#include <string.h>

#define BOM_BYTES 3

void sse_init(struct sse *sse, sse_event_cb on_event, void *ctx)
{
    *sse = (struct sse){.on_event = on_event, .ctx = ctx};
    bytes_init(&sse->line, SSE_LINE_BYTES_MAX);
    bytes_init(&sse->data, SSE_DATA_BYTES_MAX);
}

void sse_done(struct sse *sse)
{
    bytes_done(&sse->line);
    bytes_done(&sse->data);
}

/* A blank line ends a block. */
static bool end_block(struct sse *sse)
{
    memcpy(sse->last_id, sse->id, sizeof sse->last_id);
    if (sse->has_data) {
        const char *data = bytes_text(&sse->data);
        if (data == NULL) {
            return false;
        }
        const struct sse_event event = {
            .name = sse->name[0] != '\0' ? sse->name : "message",
            .data = data,
            .data_len = sse->data.len,
        };
        sse->on_event(sse->ctx, &event);
    }
    bytes_clear(&sse->data);
    sse->has_data = false;
    sse->name[0] = '\0';
    return true;
}

/* Copies a short value; an id that is cut would be another one. */
static bool take_short(char out[SSE_NAME_BYTES_MAX + 1], const char *value, size_t len)
{
    if (len > SSE_NAME_BYTES_MAX) {
        return false;
    }
    memcpy(out, value, len);
    out[len] = '\0';
    return true;
}

static bool take_field(struct sse *sse, const char *name, size_t name_len, const char *value,
                       size_t len)
{
    if (name_len == 4 && memcmp(name, "data", 4) == 0) {
        /* Lines of data are joined by line ends. */
        if (sse->has_data) {
            bytes_append(&sse->data, "\n", 1);
        }
        bytes_append(&sse->data, value, len);
        sse->has_data = true;
        return !sse->data.failed;
    }
    if (name_len == 5 && memcmp(name, "event", 5) == 0) {
        return memchr(value, '\0', len) != NULL || take_short(sse->name, value, len);
    }
    if (name_len == 2 && memcmp(name, "id", 2) == 0) {
        return memchr(value, '\0', len) != NULL || take_short(sse->id, value, len);
    }
    /* `retry`, comments and what is not known: the standard says to pass over it. */
    return true;
}

static bool end_line(struct sse *sse)
{
    const char *line = bytes_text(&sse->line);
    size_t len = sse->line.len;
    if (line == NULL) {
        return false;
    }
    bytes_clear(&sse->line);
    if (len == 0) {
        return end_block(sse);
    }
    const char *colon = memchr(line, ':', len);
    if (colon == NULL) {
        return take_field(sse, line, len, "", 0);
    }
    const char *value = colon + 1;
    size_t value_len = len - (size_t)(value - line);
    if (value_len > 0 && *value == ' ') {
        value++;
        value_len--;
    }
    return take_field(sse, line, (size_t)(colon - line), value, value_len);
}

/* One leading byte order mark is no part of the stream. Bytes that only began like one are. */
static bool skip_bom(struct sse *sse, char byte)
{
    static const char bom[BOM_BYTES] = {'\xef', '\xbb', '\xbf'};
    if (byte == bom[sse->bom]) {
        sse->bom++;
        return true;
    }
    bytes_append(&sse->line, bom, sse->bom);
    sse->bom = BOM_BYTES;
    return false;
}

bool sse_feed(struct sse *sse, const char *data, size_t len)
{
    for (size_t i = 0; i < len;) {
        if (sse->bom < BOM_BYTES && skip_bom(sse, data[i])) {
            i++;
            continue;
        }
        if (data[i] == '\n' && sse->after_cr) {
            sse->after_cr = false;
            i++;
            continue;
        }
        sse->after_cr = false;
        size_t run = 0;
        while (i + run < len && data[i + run] != '\n' && data[i + run] != '\r') {
            run++;
        }
        bytes_append(&sse->line, data + i, run);
        if (sse->line.failed) {
            return false;
        }
        i += run;
        if (i < len) {
            sse->after_cr = data[i++] == '\r';
            if (!end_line(sse)) {
                return false;
            }
        }
    }
    return true;
}
