/* Server-sent events (WHATWG HTML, section 9.2) out of bytes that arrive in any pieces.
 *
 * Thread: one owner at a time. Owns: what it has gathered, at most SSE_LINE_BYTES_MAX for a line
 * and SSE_DATA_BYTES_MAX for the data of an event. */
#ifndef MUSTER_LIB_SSE_H
#define MUSTER_LIB_SSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/lib/bytes.h"
#include "server/base/compiler.h"

/* An instance is at most 64 KiB as it was registered; escaped in JSON it can be six times that. */
#define SSE_LINE_BYTES_MAX (512 * 1024)
#define SSE_DATA_BYTES_MAX (1024 * 1024)
#define SSE_NAME_BYTES_MAX 63

struct sse_event {
    const char *name; /* "message" when the stream named none */
    const char *data; /* NUL-terminated */
    size_t data_len;
};

/* The event is the parser's, for the time of the call. */
typedef void (*sse_event_cb)(void *ctx, const struct sse_event *event);

struct sse {
    sse_event_cb on_event;
    void *ctx;
    /* The id up to the last complete block, "" before the first. A block that has only an id moves
     * it and is no event. */
    char last_id[SSE_NAME_BYTES_MAX + 1];

    /* the parser's own */
    char id[SSE_NAME_BYTES_MAX + 1];
    char name[SSE_NAME_BYTES_MAX + 1];
    struct bytes line;
    struct bytes data;
    bool has_data;
    bool after_cr;
    uint8_t bom; /* bytes of a byte order mark seen at the start; 3: no longer looking */
};

void sse_init(struct sse *sse, sse_event_cb on_event, void *ctx);
void sse_done(struct sse *sse);
/* False when the stream is not one that can be followed: a line, an event or an id is too long, or
 * there is no memory. Nothing may be fed after that. */
MUST_USE bool sse_feed(struct sse *sse, const char *data, size_t len);

#endif
