/* The instances of one service by id, and one of them chosen.
 *
 * Thread: one owner at a time. Owns: a reference to each. */
#ifndef MUSTER_LIB_INSTANCE_SET_H
#define MUSTER_LIB_INSTANCE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/include/muster.h"
#include "server/base/compiler.h"

/* More instances of one service than a client wants to hold. */
#define INSTANCE_SET_MAX 1000000

struct instance_set {
    const struct muster_instance **instances;
    size_t count;
    size_t capacity;
};

/* Takes the reference on success; what had this id goes. False without memory or over the limit. */
MUST_USE bool instance_set_put(struct instance_set *set, const struct muster_instance *instance);
void instance_set_remove(struct instance_set *set, const char *id);
/* Fills an empty set with references to the same instances. False without memory: it stays empty.
 */
MUST_USE bool instance_set_copy(struct instance_set *set, const struct instance_set *from);
/* Empties it, and frees its memory. */
void instance_set_done(struct instance_set *set);

/* One that is healthy and fits, NULL when there is none. Borrowed. `turn` is for round robin and
 * moves on. */
const struct muster_instance *instance_set_choose(const struct instance_set *set,
                                                  const struct muster_query *query, uint64_t *turn);

#endif
