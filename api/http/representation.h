/* What all answers have in common once their handlers have made them. One is refused when there is
 * no memory for it to wait in, shared where others wait for the same, compressed where the client
 * wants that, and not sent at all where the client has it (If-None-Match).
 *
 * A large answer that depends on nothing but its target and an index is kept by its worker for as
 * long as somebody is reading it: a second one who asks for the same meanwhile shares it.
 *
 * Thread: the worker of the exchange. Owns: a reference to each of those texts. */
#ifndef MUSTER_API_HTTP_REPRESENTATION_H
#define MUSTER_API_HTTP_REPRESENTATION_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/rendered.h"

#define SAME_ANSWERS_MAX 16

struct exchange;

struct same_answers {
    unsigned count;
    struct {
        char *target;
        uint64_t index;
        struct rendered *text;
    } list[SAME_ANSWERS_MAX];
};

/* A handler calls this within its critical section, before it renders what depends on nothing but
 * the target and this index of what was asked. True: the response is complete. */
bool representation_is_known(struct exchange *x, uint64_t index);
/* The response is complete. */
void representation_settle(struct exchange *x);
/* 503: all the memory that may be on its way is used up. */
void representation_refuse_memory(struct exchange *x);

/* Whether an If-None-Match header names the entity tag, by weak comparison. */
bool representation_matches(const char *if_none_match, const char *tag);

/* Lets those go that nobody reads any more. */
void same_answers_sweep(struct same_answers *same);

#endif
