/* What all answers have in common once their handlers have made them. One is refused when there is
 * no memory for it to wait in, shared where others wait for the same, compressed where the client
 * wants that, and not sent at all where the client has it (If-None-Match).
 *
 * Thread: the worker of the exchange. */
#ifndef MUSTER_API_HTTP_REPRESENTATION_H
#define MUSTER_API_HTTP_REPRESENTATION_H

#include <stdbool.h>
#include <stdint.h>

struct exchange;

/* A handler calls this within its critical section, before it renders what depends on nothing but
 * the target and this index of what was asked. True: the response is complete. */
bool representation_is_known(struct exchange *x, uint64_t index);
/* The response is complete, and about to be sent. */
void representation_settle(struct exchange *x);

/* Whether an If-None-Match header names the entity tag, by weak comparison. */
bool representation_matches(const char *if_none_match, const char *tag);

#endif
