#include "api/prober/target_reply.h"

#include <string.h>
#include <strings.h>

#include "server/base/text.h"

void target_reply_begin(struct target_reply *r, bool is_head)
{
    r->status = 0;
    r->keeps = false;
    r->reason[0] = r->location[0] = '\0';
    r->body_len = 0;
    r->is_head = is_head;
    r->in_body = r->chunked = r->has_length = false;
    r->length = 0;
    r->head_bytes = r->line_len = 0;
}

/* --- the head --- */

static bool take_status(struct target_reply *r, const char *line, size_t len)
{
    if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ' ||
        (len > 12 && line[12] != ' ')) {
        return false;
    }
    int status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (line[i] < '0' || line[i] > '9') {
            return false;
        }
        status = status * 10 + (line[i] - '0');
    }
    r->status = status;
    r->keeps = line[7] != '0';
    size_t words = len > 13 ? len - 13 : 0;
    words = words < sizeof r->reason ? words : sizeof r->reason - 1;
    memcpy(r->reason, line + len - (len > 13 ? len - 13 : 0), words);
    r->reason[words] = '\0';
    return status >= 100 && status <= 599;
}

/* If the line is the field `name`, its value without the white space around it. */
static bool is_field(const char *line, size_t len, const char *name, const char **ret_value,
                     size_t *ret_len)
{
    size_t begin = strlen(name);
    if (len <= begin || line[begin] != ':' || strncasecmp(line, name, begin) != 0) {
        return false;
    }
    for (begin++; begin < len && (line[begin] == ' ' || line[begin] == '\t');) {
        begin++;
    }
    while (len > begin && (line[len - 1] == ' ' || line[len - 1] == '\t')) {
        len--;
    }
    *ret_value = line + begin;
    *ret_len = len - begin;
    return true;
}

static bool take_length(struct target_reply *r, const char *value, size_t len)
{
    char text[TEXT_U64_SIZE];
    uint64_t length;
    if (len >= sizeof text) {
        return false;
    }
    memcpy(text, value, len);
    text[len] = '\0';
    if (!text_parse_u64(text, UINT64_MAX, &length) || (r->has_length && length != r->length)) {
        return false;
    }
    r->length = length;
    r->has_length = true;
    return true;
}

static bool take_field(struct target_reply *r, const char *line, size_t len)
{
    const char *value;
    size_t value_len;
    if (is_field(line, len, "Content-Length", &value, &value_len)) {
        return take_length(r, value, value_len);
    }
    if (is_field(line, len, "Transfer-Encoding", &value, &value_len)) {
        r->chunked = value_len == 7 && strncasecmp(value, "chunked", 7) == 0;
        return r->chunked;
    }
    if (is_field(line, len, "Connection", &value, &value_len)) {
        r->keeps = r->keeps && !(value_len == 5 && strncasecmp(value, "close", 5) == 0);
    } else if (is_field(line, len, "Location", &value, &value_len) &&
               value_len <= REPLY_LOCATION_BYTES_MAX) {
        memcpy(r->location, value, value_len);
        r->location[value_len] = '\0';
    }
    return memchr(line, ':', len) != NULL;
}

/* The empty line: what follows? */
static enum target_reply_state end_head(struct target_reply *r)
{
    if (r->status == 101) {
        return REPLY_BAD; /* nobody has asked for another protocol */
    }
    if (r->status < 200) {
        size_t head_bytes = r->head_bytes;
        target_reply_begin(r, r->is_head);
        r->head_bytes = head_bytes;
        return REPLY_MORE;
    }
    if (r->chunked && r->has_length) {
        return REPLY_BAD;
    }
    if (r->is_head || r->status == 204 || r->status == 304) {
        return REPLY_OVER;
    }
    r->in_body = true;
    if (!r->chunked && !r->has_length) {
        r->keeps = false; /* its end is that of the connection */
        r->length = UINT64_MAX;
    }
    framing_begin(&r->framing, r->chunked, r->length);
    return r->framing.state == FRAMING_OVER ? REPLY_OVER : REPLY_MORE;
}

static enum target_reply_state take_line(struct target_reply *r, const char *line, size_t len)
{
    if (len > 0 && line[len - 1] == '\r') {
        len--;
    }
    if (len == 0) {
        return r->status > 0 ? end_head(r) : REPLY_BAD;
    }
    bool good = r->status == 0 ? take_status(r, line, len) : take_field(r, line, len);
    return good ? REPLY_MORE : REPLY_BAD;
}

/* Takes up to the end of a line. What comes in pieces is put together. */
static enum target_reply_state feed_head(struct target_reply *r, const char *bytes, size_t len,
                                         size_t *ret_used)
{
    const char *end = memchr(bytes, '\n', len);
    size_t here = end != NULL ? (size_t)(end - bytes) : len;
    *ret_used = end != NULL ? here + 1 : here;
    r->head_bytes += *ret_used;
    if (r->line_len + here > sizeof r->line || r->head_bytes > REPLY_HEAD_BYTES_MAX) {
        return REPLY_BAD;
    }
    if (end != NULL && r->line_len == 0) {
        return take_line(r, bytes, here);
    }
    memcpy(r->line + r->line_len, bytes, here);
    r->line_len += here;
    if (end == NULL) {
        return REPLY_MORE;
    }
    size_t line_len = r->line_len;
    r->line_len = 0;
    return take_line(r, r->line, line_len);
}

/* --- the body --- */

static enum target_reply_state feed_body(struct target_reply *r, const char *bytes, size_t len,
                                         size_t *ret_used)
{
    const char *data = NULL;
    size_t data_len = 0;
    *ret_used = framing_read(&r->framing, bytes, len, &data, &data_len);
    size_t room = sizeof r->body - r->body_len;
    size_t kept = data_len < room ? data_len : room;
    if (kept > 0) {
        memcpy(r->body + r->body_len, data, kept);
        r->body_len += kept;
    }
    if (r->framing.state == FRAMING_BAD) {
        return REPLY_BAD;
    }
    if (data_len > kept) {
        r->keeps = false;
        return REPLY_OVER;
    }
    return r->framing.state == FRAMING_OVER ? REPLY_OVER : REPLY_MORE;
}

enum target_reply_state target_reply_feed(struct target_reply *r, const char *bytes, size_t len)
{
    enum target_reply_state state = REPLY_MORE;
    size_t at = 0;
    while (state == REPLY_MORE && at < len) {
        size_t used;
        state = (r->in_body ? feed_body : feed_head)(r, bytes + at, len - at, &used);
        at += used;
    }
    r->keeps = r->keeps && at == len; /* nobody has asked for more than one answer */
    return state;
}

enum target_reply_state target_reply_end(struct target_reply *r)
{
    bool until_end = r->in_body && !r->chunked && !r->has_length;
    r->keeps = false;
    return until_end ? REPLY_OVER : REPLY_BAD;
}
