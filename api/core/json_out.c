#include "api/core/json_out.h"

#include <inttypes.h>
#include <string.h>

#include "server/base/text.h"

struct json_out json_out_to(struct buffer *out)
{
    return (struct json_out){.out = out};
}

static void separate(struct json_out *json)
{
    if (json->comma) {
        buffer_append_byte(json->out, ',');
    }
    json->comma = true;
}

void json_out_begin(struct json_out *json, char bracket)
{
    separate(json);
    buffer_append_byte(json->out, (uint8_t)bracket);
    json->comma = false;
}

void json_out_end(struct json_out *json, char bracket)
{
    buffer_append_byte(json->out, (uint8_t)bracket);
    json->comma = true;
}

/* Room for `len` bytes more, which count as written; NULL: there is none. */
static uint8_t *extend(struct buffer *out, size_t len)
{
    if (!buffer_reserve(out, len)) {
        return NULL;
    }
    out->len += len;
    return out->data + out->len - len;
}

/* In one piece: an answer has hundreds of them. */
void json_out_key_n(struct json_out *json, const char *key, size_t len)
{
    uint8_t *at = extend(json->out, json->comma + 1 + len + 2);
    if (at != NULL) {
        if (json->comma) {
            *at++ = ',';
        }
        *at++ = '"';
        memcpy(at, key, len);
        memcpy(at + len, "\":", 2);
    }
    json->comma = false;
}

static void append_escape(struct buffer *out, unsigned char c)
{
    switch (c) {
    case '"':
        buffer_append(out, "\\\"", 2);
        break;
    case '\\':
        buffer_append(out, "\\\\", 2);
        break;
    case '\n':
        buffer_append(out, "\\n", 2);
        break;
    case '\r':
        buffer_append(out, "\\r", 2);
        break;
    case '\t':
        buffer_append(out, "\\t", 2);
        break;
    default:
        buffer_printf(out, "\\u%04x", c);
        break;
    }
}

static bool is_escaped(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\' || c == 0x7f;
}

static void append_quoted(struct buffer *out, const char *text, size_t len)
{
    size_t i = 0;
    while (i < len && !is_escaped((unsigned char)text[i])) {
        i++;
    }
    if (i == len) { /* nearly always */
        uint8_t *at = extend(out, len + 2);
        if (at != NULL) {
            at[0] = at[len + 1] = '"';
            if (len > 0) {
                memcpy(at + 1, text, len);
            }
        }
        return;
    }
    buffer_append_byte(out, '"');
    size_t plain = 0; /* where the bytes not yet written begin */
    for (; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (is_escaped(c)) {
            buffer_append(out, text + plain, i - plain);
            append_escape(out, c);
            plain = i + 1;
        }
    }
    buffer_append(out, text + plain, len - plain);
    buffer_append_byte(out, '"');
}

void json_out_key_text(struct json_out *json, const char *key)
{
    separate(json);
    append_quoted(json->out, key, strlen(key));
    buffer_append_byte(json->out, ':');
    json->comma = false;
}

void json_out_text_n(struct json_out *json, const char *text, size_t len)
{
    separate(json);
    append_quoted(json->out, text, len);
}

void json_out_text(struct json_out *json, const char *text)
{
    json_out_text_n(json, text, strlen(text));
}

void json_out_u64(struct json_out *json, uint64_t value)
{
    char digits[TEXT_U64_SIZE];
    separate(json);
    buffer_append_text(json->out, text_format_u64(value, digits));
}

void json_out_bool(struct json_out *json, bool value)
{
    separate(json);
    buffer_append_text(json->out, value ? "true" : "false");
}

void json_out_null(struct json_out *json)
{
    separate(json);
    buffer_append(json->out, "null", 4);
}

void json_out_raw(struct json_out *json, const char *value)
{
    json_out_raw_n(json, value, strlen(value));
}

void json_out_raw_n(struct json_out *json, const char *value, size_t len)
{
    separate(json);
    buffer_append(json->out, value, len);
}

void json_out_seconds(struct json_out *json, uint64_t duration_ms)
{
    json_out_u64(json, duration_ms / 1000);
    if (duration_ms % 1000 != 0) {
        buffer_printf(json->out, ".%03u", (unsigned)(duration_ms % 1000));
    }
}

void json_out_time(struct json_out *json, int64_t wall_ms)
{
    char text[TEXT_TIME_SIZE];
    text_format_time(wall_ms, text);
    json_out_text(json, text);
}

void json_out_hex(struct json_out *json, uint64_t value)
{
    separate(json);
    buffer_printf(json->out, "\"%016" PRIx64 "\"", value);
}
