/* Counts the events in a stream of server-sent events (WHATWG HTML, section 9.2) as its bytes
 * arrive, in constant memory. Bookmarks, comments, and the marks of a listing (present, synced,
 * reset) are no events of the registry.
 *
 * Thread: one owner at a time. */
#ifndef MUSTER_BENCH_SSE_H
#define MUSTER_BENCH_SSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest line that is looked at; of longer ones the beginning is enough. */
#define SSE_LINE_BYTES 32

struct sse {
    char line[SSE_LINE_BYTES];
    uint32_t line_len; /* may be more than was kept */
    bool event;        /* the block so far names one */
    bool data;
};

/* At the beginning of a stream. */
void sse_begin(struct sse *sse);
/* How many events were completed by these bytes. */
uint32_t sse_feed(struct sse *sse, const char *bytes, size_t len);

#endif
