/* The head of an HTTP request and the body after it: the result does not depend on the pieces; and
 * an accepted head, written again as it was understood, is understood in the same way.
 *
 * Input: a byte that says where to split, and the client's bytes. */
#include "api/http/framing.h"
#include "api/http/head.h"
#include "server/base/crc32c.h"
#include "server/base/limits.h"
#include "tests/fuzz/fuzz.h"

static enum head_scan scan(const uint8_t *data, size_t len, size_t piece, size_t *ret_len)
{
    enum head_scan result = HEAD_MORE;
    size_t at = 0;
    for (size_t end = piece; result == HEAD_MORE; end += piece) {
        end = end < len ? end : len;
        uint8_t *copy = fuzz_copy(data, end);
        result = head_scan((const char *)copy, end, &at);
        CHECK(at <= end);
        free(copy);
        if (end == len) {
            break;
        }
    }
    *ret_len = at;
    return result;
}

static void write_again(const struct head *head, struct buffer *out)
{
    const char *field = head->fields;
    buffer_printf(out, "%s %s HTTP/1.%d\r\n", head->method, head->target, !head->is_http_1_0);
    for (size_t i = 0; i < head->fields_count; i++) {
        const char *value = field + strlen(field) + 1;
        bool is_host = strcasecmp(field, "Host") == 0;
        buffer_printf(out, "%s: %s\r\n", field, is_host ? head->host : value);
        field = value + strlen(value) + 1;
    }
    buffer_append_text(out, "\r\n");
}

static void try_again(const struct head *head)
{
    struct buffer text;
    struct head again;
    struct head_refusal refusal;
    size_t at = 0;
    buffer_init(&text, 2 * HTTP_HEAD_BYTES_MAX);
    write_again(head, &text);
    char *copy = (char *)fuzz_copy(text.data, text.len);
    CHECK(head_scan(copy, text.len, &at) == HEAD_COMPLETE && at == text.len);
    CHECK(head_parse(&again, copy, text.len, &refusal));
    CHECK(strcmp(again.method, head->method) == 0 && strcmp(again.target, head->target) == 0);
    CHECK(again.fields_count == head->fields_count);
    CHECK(again.chunked == head->chunked && again.has_length == head->has_length &&
          again.length == head->length && again.keep_alive == head->keep_alive &&
          again.expects_continue == head->expects_continue);
    free(copy);
    buffer_done(&text);
}

/* Returns where the body ends, and its content. */
static size_t read_body(struct framing *f, const uint8_t *data, size_t len, size_t piece,
                        uint32_t *ret_sum)
{
    size_t at = 0;
    *ret_sum = 0;
    while (at < len && f->state < FRAMING_OVER) {
        const char *part;
        size_t part_len, there = piece < len - at ? piece : len - at;
        size_t used = framing_read(f, (const char *)data + at, there, &part, &part_len);
        CHECK(used <= there && part_len <= used && used > 0);
        *ret_sum = part_len > 0 ? crc32c(*ret_sum, part, part_len) : *ret_sum;
        at += used;
    }
    return at;
}

static void try_body(bool chunked, uint64_t length, const uint8_t *data, size_t len, size_t piece)
{
    struct framing whole, cut;
    uint32_t sum, cut_sum;
    framing_begin(&whole, chunked, length);
    framing_begin(&cut, chunked, length);
    size_t end = read_body(&whole, data, len, len + 1, &sum);
    CHECK(read_body(&cut, data, len, piece, &cut_sum) == end || whole.state == FRAMING_BAD);
    CHECK(whole.state == cut.state && sum == cut_sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct input in = {.at = data, .left = len};
    struct head head;
    struct head_refusal refusal = {.message = NULL};
    size_t head_len, cut_len, piece = input_u8(&in) % 16 + 1;
    enum head_scan result = scan(in.at, in.left, in.left + 1, &head_len);
    CHECK(scan(in.at, in.left, piece, &cut_len) == result);
    if (result != HEAD_COMPLETE || head_len > HTTP_HEAD_BYTES_MAX) {
        return 0;
    }
    CHECK(cut_len == head_len);
    char *text = (char *)fuzz_copy(in.at, head_len);
    if (head_parse(&head, text, head_len, &refusal)) {
        CHECK(head.target[0] == '/' || strcmp(head.target, "*") == 0);
        CHECK(!(head.chunked && head.has_length));
        CHECK(head.is_http_1_0 || head.host != NULL);
        try_again(&head);
        try_body(head.chunked, head.length, in.at + head_len, in.left - head_len, piece);
    } else {
        CHECK(refusal.status >= 400 && refusal.message != NULL && head.method != NULL);
    }
    free(text);
    return 0;
}
