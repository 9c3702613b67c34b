/* The body of an HTTP/1 request on the wire: of a known length, or in chunks. Strict: sizes are
 * plain hexadecimal numbers, and lines end with CR LF.
 *
 * Thread: any; one owner at a time. Owns: nothing. */
#ifndef MUSTER_API_HTTP_FRAMING_H
#define MUSTER_API_HTTP_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum framing_state {
    FRAMING_DATA,     /* of the body, or of a chunk */
    FRAMING_SIZE,     /* of the next chunk */
    FRAMING_AFTER,    /* a chunk: CR LF */
    FRAMING_TRAILERS, /* fields behind the last chunk; they are ignored */
    FRAMING_OVER,
    FRAMING_BAD,
};

struct framing {
    enum framing_state state;
    bool chunked;
    uint64_t left;  /* bytes of the data that is being read */
    unsigned line;  /* bytes of the line that is being read */
    unsigned extra; /* bytes of extensions and trailers, which are bounded */
    bool in_extension, has_digit;
    char last; /* byte of the line */
};

void framing_begin(struct framing *f, bool chunked, uint64_t length);
/* Reads from `bytes` up to the end of one piece of data, of the body or of what was given. Returns
 * how many bytes it has read; *ret_data and *ret_len are the data among them. Call it again until
 * everything is read, or the state is over or bad. */
size_t framing_read(struct framing *f, const char *bytes, size_t len, const char **ret_data,
                    size_t *ret_len);

#endif
