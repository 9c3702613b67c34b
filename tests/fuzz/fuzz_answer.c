/* A server's response to the load generator: HTTP with an event stream as its body, in one piece
 * and in several, with the same result.
 *
 * Input: the size of the pieces, then the bytes. */
#include "client/bench/answer.h"
#include "client/lib/sse.h"
#include "tests/fuzz/fuzz.h"

struct outcome {
    struct answer answer;
    struct sse sse;
    enum answer_verdict verdict;
    bool broken; /* the stream */
    uint32_t events;
    uint64_t body_bytes;
    size_t used;
};

static void count_event(void *data, const struct sse_event *event)
{
    struct outcome *outcome = data;
    (void)event;
    outcome->events++;
}

static void take_body(void *data, const char *bytes, size_t len)
{
    struct outcome *outcome = data;
    outcome->body_bytes += len;
    outcome->broken = outcome->broken || !sse_feed(&outcome->sse, bytes, len);
}

static void feed(struct outcome *outcome, const uint8_t *data, size_t len, size_t step)
{
    outcome->answer.body_cb = take_body;
    outcome->answer.data = outcome;
    sse_init(&outcome->sse, count_event, outcome);
    answer_begin(&outcome->answer);
    outcome->verdict = ANSWER_MORE;
    while (outcome->verdict == ANSWER_MORE && outcome->used < len) {
        size_t piece = len - outcome->used < step ? len - outcome->used : step;
        size_t used;
        /* A copy, so that reads beyond the piece are detected. */
        char *copy = malloc(piece);
        CHECK(copy != NULL);
        memcpy(copy, data + outcome->used, piece);
        outcome->verdict = answer_feed(&outcome->answer, copy, piece, &used);
        free(copy);
        CHECK(used <= piece);
        CHECK(outcome->verdict != ANSWER_MORE || used == piece);
        outcome->used += used;
    }
    CHECK(outcome->answer.kept_len <= ANSWER_KEPT_BYTES);
    CHECK(strlen(outcome->answer.kept) <= outcome->answer.kept_len);
    sse_done(&outcome->sse);
    (void)answer_number(&outcome->answer, "index");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct outcome nothing;
    struct outcome whole = nothing;
    struct outcome torn = nothing;
    struct input in = {.at = data, .left = len};
    size_t step = (size_t)input_u8(&in) % 64 + 1;
    feed(&whole, in.at, in.left, in.left + 1);
    feed(&torn, in.at, in.left, step);
    CHECK(whole.verdict == torn.verdict);
    if (whole.verdict == ANSWER_DONE) {
        CHECK(whole.used == torn.used);
        CHECK(whole.answer.status >= 200 && whole.answer.status <= 599);
    }
    if (whole.verdict != ANSWER_MALFORMED) {
        CHECK(whole.body_bytes == torn.body_bytes);
        CHECK(whole.events == torn.events && whole.broken == torn.broken);
        CHECK(whole.body_bytes == whole.answer.body_bytes);
    }
    return 0;
}
