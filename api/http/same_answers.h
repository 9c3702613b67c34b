/* Large answers that depend on nothing but their target and an index: each is kept by its worker
 * for as long as somebody is reading it, and a second client that asks for the same shares it.
 *
 * Thread: one worker. Owns: a reference to each text. */
#ifndef MUSTER_API_HTTP_SAME_ANSWERS_H
#define MUSTER_API_HTTP_SAME_ANSWERS_H

#include <stdint.h>

#include "server/base/rendered.h"

#define SAME_ANSWERS_MAX 16

struct same_answers {
    unsigned count;
    struct {
        char *target;
        uint64_t index;
        struct rendered *text;
    } list[SAME_ANSWERS_MAX];
};

/* NULL when it is not there. Borrowed. */
struct rendered *same_answers_find(const struct same_answers *same, const char *target,
                                   uint64_t index);
/* Takes the reference. */
void same_answers_add(struct same_answers *same, const char *target, uint64_t index,
                      struct rendered *text);
/* Drops those that nobody reads any more. */
void same_answers_sweep(struct same_answers *same);

#endif
