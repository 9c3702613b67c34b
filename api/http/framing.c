#include "api/http/framing.h"

#include "server/base/text.h"

/* Of chunk extensions and trailers: nobody needs any. */
#define EXTRA_BYTES_MAX 8192

void framing_begin(struct framing *f, bool chunked, uint64_t length)
{
    *f = (struct framing){.chunked = chunked, .left = chunked ? 0 : length};
    f->state = chunked ? FRAMING_SIZE : length > 0 ? FRAMING_DATA : FRAMING_OVER;
}

static enum framing_state begin_line(struct framing *f, enum framing_state state)
{
    f->line = 0;
    f->last = '\0';
    f->in_extension = f->has_digit = false;
    return state;
}

/* One byte of a line that is not its CR LF. */
static bool is_text(char c)
{
    unsigned char u = (unsigned char)c;
    return (u >= ' ' && u != 0x7f) || u == '\t';
}

static enum framing_state read_size(struct framing *f, char c)
{
    int digit = text_hex_digit(c);
    if (f->last == '\r') {
        if (c != '\n' || !f->has_digit) {
            return FRAMING_BAD;
        }
        return begin_line(f, f->left > 0 ? FRAMING_DATA : FRAMING_TRAILERS);
    }
    if (c == '\r') {
        return FRAMING_SIZE;
    }
    if (f->in_extension) {
        return is_text(c) && ++f->extra <= EXTRA_BYTES_MAX ? FRAMING_SIZE : FRAMING_BAD;
    }
    if (c == ';' && f->has_digit) {
        f->in_extension = true;
        return FRAMING_SIZE;
    }
    if (digit < 0 || f->left > UINT64_MAX >> 8 || ++f->line > 16) {
        return FRAMING_BAD;
    }
    f->has_digit = true;
    f->left = f->left * 16 + (unsigned)digit;
    return FRAMING_SIZE;
}

static enum framing_state read_after(struct framing *f, char c)
{
    if (f->last == '\0') {
        return c == '\r' ? FRAMING_AFTER : FRAMING_BAD;
    }
    return c == '\n' ? begin_line(f, FRAMING_SIZE) : FRAMING_BAD;
}

static enum framing_state read_trailer(struct framing *f, char c)
{
    if (f->last == '\r') {
        if (c != '\n') {
            return FRAMING_BAD;
        }
        return f->line == 0 ? FRAMING_OVER : begin_line(f, FRAMING_TRAILERS);
    }
    if (c == '\r') {
        return FRAMING_TRAILERS;
    }
    f->line++;
    return is_text(c) && ++f->extra <= EXTRA_BYTES_MAX ? FRAMING_TRAILERS : FRAMING_BAD;
}

static size_t read_data(struct framing *f, const char *bytes, size_t len, const char **ret_data,
                        size_t *ret_len)
{
    *ret_data = bytes;
    *ret_len = f->left < len ? (size_t)f->left : len;
    f->left -= *ret_len;
    if (f->left == 0) {
        f->state = f->chunked ? begin_line(f, FRAMING_AFTER) : FRAMING_OVER;
    }
    return *ret_len;
}

size_t framing_read(struct framing *f, const char *bytes, size_t len, const char **ret_data,
                    size_t *ret_len)
{
    *ret_len = 0;
    for (size_t i = 0; i < len; i++) {
        const char c = bytes[i];
        enum framing_state before = f->state;
        switch (before) {
        case FRAMING_DATA:
            return i + read_data(f, bytes + i, len - i, ret_data, ret_len);
        case FRAMING_SIZE:
            f->state = read_size(f, c);
            break;
        case FRAMING_AFTER:
            f->state = read_after(f, c);
            break;
        case FRAMING_TRAILERS:
            f->state = read_trailer(f, c);
            break;
        case FRAMING_OVER:
        case FRAMING_BAD:
            return i;
        }
        f->last = f->state == before ? c : '\0';
    }
    return len;
}
