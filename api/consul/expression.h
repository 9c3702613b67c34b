/* Expressions of ?filter=: Service.Tags contains "v1" and not (Node.Meta.zone == north or ...).
 *
 *     or   := and ("or" and)*      and := not ("and" not)*      not := "not" not | "(" or ")" |
 * match match := selector ("==" | "!=" | ["not"] "matches" | ["not"] "contains") value | selector
 * "is" ["not"] "empty" | value ["not"] "in" selector
 *
 * A selector that the call does not have is an error, as is an operator that it is not for.
 *
 * Thread: any; a compiled one belongs to its maker. */
#ifndef MUSTER_API_CONSUL_EXPRESSION_H
#define MUSTER_API_CONSUL_EXPRESSION_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "server/base/compiler.h"
#include "server/base/problem.h"

#define EXPRESSION_BYTES_MAX 4096
#define EXPRESSION_NODES_MAX 128
#define EXPRESSION_DEPTH_MAX 32
#define EXPRESSION_PARTS_MAX 6

/* What the entries of a call have. */
enum selectors {
    SELECTORS_HEALTH,
    SELECTORS_CATALOG,
    SELECTORS_NODE,
    SELECTORS_CHECK,
    SELECTORS_AGENT
};

struct expression;

/* NULL: it is not valid; `problem` says why. For expression_free(). */
struct expression *expression_compile(const char *text, enum selectors selectors,
                                      struct problem *problem);
void expression_free(struct expression *expression);

enum match { MATCH_NO, MATCH_YES, MATCH_ERROR };
/* An entry as it is shown. MATCH_ERROR: it looks at a key that is not there. */
MUST_USE enum match expression_match(const struct expression *expression, const json_t *entry);

#endif
