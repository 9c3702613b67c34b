/* The client's parser of event streams: the events do not depend on the pieces, and their texts are
 * terminated and within their limits.
 *
 * Input: a byte that says where to split, and the stream. */
#include "client/lib/sse.h"

#include "server/base/crc32c.h"
#include "tests/fuzz/fuzz.h"

struct seen {
    struct sse sse;
    uint32_t sum;
    size_t count;
};

static void on_event(void *ctx, const struct sse_event *event)
{
    struct seen *seen = ctx;
    CHECK(event->data[event->data_len] == '\0' && event->data_len <= SSE_DATA_BYTES_MAX);
    CHECK(strlen(event->name) <= SSE_NAME_BYTES_MAX && *event->name != '\0');
    CHECK(strlen(seen->sse.last_id) <= SSE_NAME_BYTES_MAX);
    CHECK(strpbrk(event->name, "\r\n") == NULL && strpbrk(seen->sse.last_id, "\r\n") == NULL);
    seen->sum = crc32c(seen->sum, event->name, strlen(event->name) + 1);
    seen->sum = crc32c(seen->sum, event->data, event->data_len + 1);
    seen->sum = crc32c(seen->sum, seen->sse.last_id, strlen(seen->sse.last_id) + 1);
    seen->count++;
}

/* False if the stream was abandoned. */
static bool run(struct seen *seen, const uint8_t *data, size_t len, size_t piece)
{
    bool good = true;
    *seen = (struct seen){.count = 0};
    sse_init(&seen->sse, on_event, seen);
    for (size_t at = 0; good && at < len; at += piece) {
        size_t n = piece < len - at ? piece : len - at;
        uint8_t *copy = fuzz_copy(data + at, n);
        good = sse_feed(&seen->sse, (const char *)copy, n);
        free(copy);
    }
    sse_done(&seen->sse);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct input in = {.at = data, .left = len};
    struct seen whole, cut;
    size_t piece = input_u8(&in) % 16 + 1;
    bool good = run(&whole, in.at, in.left, in.left + 1);
    CHECK(run(&cut, in.at, in.left, piece) == good);
    CHECK(whole.count == cut.count && whole.sum == cut.sum);
    CHECK(strcmp(whole.sse.last_id, cut.sse.last_id) == 0);
    return 0;
}
