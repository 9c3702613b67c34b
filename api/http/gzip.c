#include "api/http/gzip.h"

#include <string.h>
#include <strings.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"

#define WINDOW_BITS  (15 + 16) /* the largest, and the header of gzip */
#define MEMORY_LEVEL 8
#define STEP_BYTES   4096

/* --- Accept-Encoding --- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static const char *skip_blanks(const char *p)
{
    while (is_blank(*p)) {
        p++;
    }
    return p;
}

/* "0", "0.5", "1.000" in thousandths; what is none of these counts as 0. */
static int parse_weight(const char *p, const char *end)
{
    int weight = 0, scale = 1000;
    for (; p < end && !is_blank(*p); p++) {
        if (*p == '.' && scale == 100) {
            continue;
        }
        if (*p < '0' || *p > '9' || scale == 0) {
            return 0;
        }
        weight += (*p - '0') * scale;
        scale /= 10;
    }
    return skip_blanks(p) >= end && weight <= 1000 ? weight : 0;
}

/* Of one element: 1000 when it says nothing. */
static int weight_of(const char *p, const char *end)
{
    while ((p = memchr(p, ';', (size_t)(end - p))) != NULL) {
        p = skip_blanks(p + 1);
        if (p + 2 <= end && (p[0] == 'q' || p[0] == 'Q') && p[1] == '=') {
            return parse_weight(p + 2, end);
        }
    }
    return 1000;
}

static bool is_named(const char *p, size_t len, const char *name)
{
    return len == strlen(name) && strncasecmp(p, name, len) == 0;
}

bool gzip_is_accepted(const char *accept_encoding)
{
    int gzip = -1, any = -1, identity = -1;
    const char *p = accept_encoding != NULL ? accept_encoding : "";
    while (*p != '\0') {
        p = skip_blanks(p);
        const char *end = p + strcspn(p, ",");
        size_t len = strcspn(p, " \t;,");
        if (is_named(p, len, "gzip") || is_named(p, len, "x-gzip")) {
            gzip = weight_of(p, end);
        } else if (is_named(p, len, "*")) {
            any = weight_of(p, end);
        } else if (is_named(p, len, "identity")) {
            identity = weight_of(p, end);
        }
        p = *end == ',' ? end + 1 : end;
    }
    int weight = gzip >= 0 ? gzip : any;
    return weight > 0 && weight >= identity;
}

/* --- compressing --- */

/* False when it is too much for now. */
static bool allow(struct gzip *gzip, size_t len, uint64_t now_ms)
{
    uint64_t gained = clock_elapsed(gzip->since_ms, now_ms) * (GZIP_BYTES_A_SECOND / 1000);
    gzip->since_ms = now_ms;
    gzip->allowance = gained >= GZIP_BYTES_A_SECOND - gzip->allowance
                          ? GZIP_BYTES_A_SECOND
                          : gzip->allowance + (size_t)gained;
    if (len > gzip->allowance) {
        return false;
    }
    gzip->allowance -= len;
    return true;
}

static bool open_stream(struct gzip *gzip)
{
    if (gzip->is_open) {
        return deflateReset(&gzip->stream) == Z_OK;
    }
    gzip->is_open = deflateInit2(&gzip->stream, Z_BEST_SPEED, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL,
                                 Z_DEFAULT_STRATEGY) == Z_OK;
    return gzip->is_open;
}

bool gzip_compress(struct gzip *gzip, const void *data, size_t len, uint64_t now_ms,
                   struct buffer *out)
{
    size_t before = out->len;
    if (len > GZIP_BODY_BYTES_MAX || !allow(gzip, len, now_ms) || !open_stream(gzip)) {
        return false;
    }
    z_stream *z = &gzip->stream;
    z->next_in = (Bytef *)(uintptr_t)data; /* is not written to */
    z->avail_in = (uInt)len;
    int result = Z_OK;
    while (result == Z_OK && out->len - before < len) {
        size_t left = out->limit - out->len;
        if (left == 0 || !buffer_reserve(out, left < STEP_BYTES ? left : STEP_BYTES)) {
            return false;
        }
        size_t room = out->capacity - out->len;
        z->next_out = out->data + out->len;
        z->avail_out = (uInt)(room < len ? room : len);
        size_t given = z->avail_out;
        result = deflate(z, Z_FINISH);
        out->len += given - z->avail_out;
    }
    return result == Z_STREAM_END && out->len - before < len;
}

void gzip_done(struct gzip *gzip)
{
    if (gzip->is_open) {
        (void)deflateEnd(&gzip->stream);
        gzip->is_open = false;
    }
}
