/* What the target of an active check answers: HTTP/1.1, or HTTP/2 with a call of grpc.health.v1, in
 * one piece and in several, with the same result.
 *
 * Input: the protocol, the size of the pieces, then the bytes. */
#include "api/prober/health_call.h"
#include "api/prober/target_reply.h"
#include "server/base/naming.h"
#include "tests/fuzz/fuzz.h"

static enum target_reply_state feed(struct target_reply *r, const uint8_t *data, size_t len,
                                    size_t step, bool is_head)
{
    enum target_reply_state state = REPLY_MORE;
    memset(r, 0, sizeof *r);
    target_reply_begin(r, is_head);
    for (size_t at = 0; at < len && state == REPLY_MORE; at += step) {
        size_t piece = len - at < step ? len - at : step;
        uint8_t *copy = fuzz_copy(data + at, piece);
        state = target_reply_feed(r, (const char *)copy, piece);
        free(copy);
    }
    return state == REPLY_MORE ? target_reply_end(r) : state;
}

static void check_text(const char *bytes, size_t len)
{
    struct output output;
    output_say(&output, "%s", "");
    output_add(&output, bytes, len);
    output_trim(&output);
    CHECK(output.len <= OUTPUT_BYTES_MAX && strlen(output.text) == output.len);
    CHECK(naming_is_text(output.text, output.len));
}

static void http(const uint8_t *data, size_t len, size_t step, bool is_head)
{
    static struct target_reply whole, torn;
    enum target_reply_state state = feed(&whole, data, len, len + 1, is_head);
    CHECK(feed(&torn, data, len, step, is_head) == state);
    if (state == REPLY_OVER) {
        CHECK(whole.status >= 200 && whole.status <= 599 && whole.status == torn.status);
        CHECK(strcmp(whole.location, torn.location) == 0);
        CHECK(whole.body_len == torn.body_len &&
              memcmp(whole.body, torn.body, whole.body_len) == 0);
        check_text(whole.body, whole.body_len);
        check_text(whole.reason, strlen(whole.reason));
    }
}

static enum health call(const uint8_t *data, size_t len, size_t step, struct output *output)
{
    struct health_session *s = health_session_new();
    const uint8_t *out;
    CHECK(s != NULL && health_session_ask(s, "a.example:1", false, "service", "fuzz"));
    bool good = true;
    for (size_t at = 0; at < len && good && !health_session_answer(s)->is_over; at += step) {
        size_t piece = len - at < step ? len - at : step;
        uint8_t *copy = fuzz_copy(data + at, piece);
        while (health_session_take(s, &out) > 0) {
        }
        good = health_session_put(s, copy, piece);
        free(copy);
    }
    enum health health = health_judge(health_session_answer(s), output);
    (void)health_session_is_good(s);
    health_session_free(s);
    return health;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct input in = {.at = data, .left = len};
    uint8_t protocol = input_u8(&in) % 3;
    size_t step = (size_t)input_u8(&in) % 64 + 1;
    struct output whole, torn;
    if (protocol < 2) {
        http(in.at, in.left, step, protocol == 1);
        return 0;
    }
    enum health health = call(in.at, in.left, in.left + 1, &whole);
    enum health other = call(in.at, in.left, step, &torn);
    CHECK(naming_is_text(whole.text, whole.len) && naming_is_text(torn.text, torn.len));
    /* What comes behind an answer is not read in pieces: it cannot make it good. */
    CHECK(health != HEALTH_PASSING || other == HEALTH_PASSING);
    return 0;
}
