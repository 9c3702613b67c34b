#include "client/bench/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum state {
    STATUS_LINE,
    HEADERS,
    BODY,       /* of a known length */
    CHUNK_SIZE, /* the line before a chunk */
    CHUNK,      /* its bytes */
    CHUNK_END,  /* the empty line behind it */
    TRAILERS,   /* what follows the last chunk, up to an empty line */
};

void answer_begin(struct answer *answer)
{
    answer->status = 0;
    answer->keep_alive = true;
    answer->kept_len = 0;
    answer->kept[0] = '\0';
    answer->body_bytes = 0;
    answer->state = STATUS_LINE;
    answer->chunked = false;
    answer->has_length = false;
    answer->head_bytes = 0;
    answer->line_len = 0;
    answer->left = 0;
}

static bool parse_number(const char *text, size_t len, unsigned base, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (len == 0) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned digit = text[i] >= '0' && text[i] <= '9'   ? (unsigned)(text[i] - '0')
                         : text[i] >= 'a' && text[i] <= 'f' ? (unsigned)(text[i] - 'a') + 10
                         : text[i] >= 'A' && text[i] <= 'F' ? (unsigned)(text[i] - 'A') + 10
                                                            : 99;
        if (digit >= base || value > ANSWER_BODY_BYTES_MAX) {
            return false;
        }
        value = value * base + digit;
    }
    *ret_value = value;
    return value <= ANSWER_BODY_BYTES_MAX;
}

static bool take_status_line(struct answer *answer, const char *line, size_t len)
{
    uint64_t status;
    if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ' ||
        (len > 12 && line[12] != ' ') || !parse_number(line + 9, 3, 10, &status) || status < 100 ||
        status > 599) {
        return false;
    }
    answer->status = (int)status;
    answer->keep_alive = line[7] != '0';
    answer->state = HEADERS;
    return true;
}

/* If the line is the header `name`, its value without the spaces around it. */
static bool is_header(const char *line, size_t len, const char *name, const char **ret_value,
                      size_t *ret_len)
{
    size_t name_len = strlen(name);
    if (len <= name_len || line[name_len] != ':' || strncasecmp(line, name, name_len) != 0) {
        return false;
    }
    size_t begin = name_len + 1;
    while (begin < len && (line[begin] == ' ' || line[begin] == '\t')) {
        begin++;
    }
    while (len > begin && (line[len - 1] == ' ' || line[len - 1] == '\t')) {
        len--;
    }
    *ret_value = line + begin;
    *ret_len = len - begin;
    return true;
}

static bool take_header(struct answer *answer, const char *line, size_t len)
{
    const char *value;
    size_t value_len;
    switch (line[0]) {
    case 'C':
    case 'c':
        if (is_header(line, len, "Content-Length", &value, &value_len)) {
            uint64_t length;
            if (!parse_number(value, value_len, 10, &length) ||
                (answer->has_length && length != answer->left)) {
                return false;
            }
            answer->left = length;
            answer->has_length = true;
        } else if (is_header(line, len, "Connection", &value, &value_len)) {
            answer->keep_alive =
                answer->keep_alive && !(value_len == 5 && strncasecmp(value, "close", 5) == 0);
        }
        break;
    case 'T':
    case 't':
        if (is_header(line, len, "Transfer-Encoding", &value, &value_len)) {
            answer->chunked = value_len == 7 && strncasecmp(value, "chunked", 7) == 0;
            return answer->chunked;
        }
        break;
    default:
        break;
    }
    return memchr(line, ':', len) != NULL;
}

/* The empty line: what follows? */
static enum answer_verdict end_head(struct answer *answer)
{
    if (answer->status < 200) {
        /* 100 Continue and its like come before the answer itself. */
        answer_begin(answer);
        return ANSWER_MORE;
    }
    if (answer->status == 204 || answer->status == 304) {
        return ANSWER_DONE;
    }
    if (answer->chunked) {
        answer->state = CHUNK_SIZE;
        return answer->has_length ? ANSWER_MALFORMED : ANSWER_MORE;
    }
    answer->state = BODY;
    if (!answer->has_length) {
        return ANSWER_MALFORMED;
    }
    return answer->left == 0 ? ANSWER_DONE : ANSWER_MORE;
}

/* Up to the chunk's extensions. */
static size_t chunk_size_len(const char *line, size_t len)
{
    size_t n = 0;
    while (n < len && line[n] != ';' && line[n] != ' ' && line[n] != '\t') {
        n++;
    }
    return n;
}

static enum answer_verdict take_line(struct answer *answer, const char *line, size_t len)
{
    bool right = true;
    answer->head_bytes += (uint32_t)len + 2;
    switch ((enum state)answer->state) {
    case STATUS_LINE:
        right = take_status_line(answer, line, len);
        break;
    case HEADERS:
        if (len == 0) {
            return end_head(answer);
        }
        right = take_header(answer, line, len);
        break;
    case CHUNK_SIZE:
        right = parse_number(line, chunk_size_len(line, len), 16, &answer->left);
        answer->state = answer->left > 0 ? CHUNK : TRAILERS;
        /* A stream that runs for hours has no limit on its chunks together. */
        answer->head_bytes = 0;
        break;
    case CHUNK_END:
        right = len == 0;
        answer->state = CHUNK_SIZE;
        break;
    case TRAILERS:
        if (len == 0) {
            return ANSWER_DONE;
        }
        break;
    case BODY:
    case CHUNK:
        break;
    }
    return right && answer->head_bytes <= ANSWER_HEAD_BYTES_MAX ? ANSWER_MORE : ANSWER_MALFORMED;
}

/* Takes bytes up to the end of the line, if it is there. Lines that arrive whole, as nearly all do,
 * are read where they are; only the pieces of a torn one are copied. */
static enum answer_verdict feed_line(struct answer *answer, const char *bytes, size_t len,
                                     size_t *ret_used)
{
    const char *end = memchr(bytes, '\n', len);
    size_t here = end != NULL ? (size_t)(end - bytes) : len;
    const char *line = bytes;
    size_t line_len = here;
    *ret_used = end != NULL ? here + 1 : here;
    if (answer->line_len + here >= sizeof answer->line) {
        return ANSWER_MALFORMED;
    }
    if (answer->line_len > 0 || end == NULL) {
        memcpy(answer->line + answer->line_len, bytes, here);
        answer->line_len += (uint32_t)here;
        answer->line[answer->line_len] = '\n';
        line = answer->line;
        line_len = answer->line_len;
    }
    if (end == NULL) {
        return ANSWER_MORE;
    }
    answer->line_len = 0;
    if (line_len > 0 && line[line_len - 1] == '\r') {
        line_len--;
    }
    return take_line(answer, line, line_len);
}

static enum answer_verdict feed_body(struct answer *answer, const char *bytes, size_t len,
                                     size_t *ret_used)
{
    size_t here = len < answer->left ? len : (size_t)answer->left;
    size_t room = ANSWER_KEPT_BYTES - answer->kept_len;
    if (room > 0) {
        size_t kept = here < room ? here : room;
        memcpy(answer->kept + answer->kept_len, bytes, kept);
        answer->kept_len += (uint32_t)kept;
        answer->kept[answer->kept_len] = '\0';
    }
    if (answer->body_cb != NULL) {
        answer->body_cb(answer->data, bytes, here);
    }
    answer->body_bytes += here;
    answer->left -= here;
    *ret_used = here;
    if (answer->left > 0) {
        return ANSWER_MORE;
    }
    if (answer->state == BODY) {
        return ANSWER_DONE;
    }
    answer->state = CHUNK_END;
    return ANSWER_MORE;
}

enum answer_verdict answer_feed(struct answer *answer, const char *bytes, size_t len,
                                size_t *ret_used)
{
    enum answer_verdict verdict = ANSWER_MORE;
    size_t at = 0;
    while (verdict == ANSWER_MORE && at < len) {
        bool body = answer->state == BODY || answer->state == CHUNK;
        size_t used;
        verdict = (body ? feed_body : feed_line)(answer, bytes + at, len - at, &used);
        at += used;
    }
    *ret_used = at;
    return verdict;
}

uint64_t answer_number(const struct answer *answer, const char *name)
{
    char quoted[64];
    int quoted_len = snprintf(quoted, sizeof quoted, "\"%s\":", name);
    const char *at = strstr(answer->kept, quoted);
    return at != NULL ? strtoull(at + quoted_len, NULL, 10) : 0;
}
