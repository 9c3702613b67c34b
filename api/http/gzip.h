/* Answers compressed with gzip. A worker compresses while its other clients wait, so what it takes
 * in is limited: for one body, and for a second.
 *
 * Thread: one worker. Owns: the state of the compressor, about 270 KB once it has been used. */
#ifndef MUSTER_API_HTTP_GZIP_H
#define MUSTER_API_HTTP_GZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zlib.h>

#include "server/base/buffer.h"

struct gzip {
    z_stream stream;
    bool is_open;
    size_t allowance; /* bytes that it may still take in */
    uint64_t since_ms;
};

/* Whether the value of an Accept-Encoding header (NULL: there is none) wants gzip rather than the
 * plain bytes. */
bool gzip_is_accepted(const char *accept_encoding);
/* Appends the compressed bytes to `out`. False, with any content, when that does not make it
 * smaller, when it is more than may be compressed now, or when `out` overflows. */
MUST_USE bool gzip_compress(struct gzip *gzip, const void *data, size_t len, uint64_t now_ms,
                            struct buffer *out);
/* Accepts one that is all zeros. */
void gzip_done(struct gzip *gzip);

#endif
