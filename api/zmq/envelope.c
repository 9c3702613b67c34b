#include "api/zmq/envelope.h"

#include <string.h>

static bool is_word(struct slice frame, const char *word)
{
    return frame.len == strlen(word) && memcmp(frame.data, word, frame.len) == 0;
}

bool envelope_parse(const struct slice *frames, size_t count, struct envelope *ret,
                    struct slice *ret_body)
{
    memset(ret, 0, sizeof *ret);
    ret->wants_answer = true;
    if (count > 0 && frames[0].len == 0) {
        ret->is_delimited = true;
        frames++;
        count--;
    }
    ret->is_typed = count > 1;
    if (count < 1 || count > 2) {
        return false;
    }
    ret->wants_answer =
        !ret->is_typed || !(is_word(frames[0], "REQ_NO_REPLY") || is_word(frames[0], "NO-REQ"));
    *ret_body = frames[count - 1];
    return true;
}
