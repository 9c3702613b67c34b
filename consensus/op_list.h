/* Lists of waiting operations, linked through the operations themselves.
 *
 * Thread: loop. Owns: nothing; an operation belongs to its submitter. */
#ifndef MUSTER_CONSENSUS_OP_LIST_H
#define MUSTER_CONSENSUS_OP_LIST_H

#include <stdint.h>

#include "consensus/consensus.h"

struct op_list {
    struct consensus_op *first, **end;
};

void op_list_init(struct op_list *list);
void op_list_add(struct op_list *list, struct consensus_op *op);
/* Removes and returns the first; NULL if empty. */
struct consensus_op *op_list_take(struct op_list *list);
/* Moves all of `from` to the front of the other list. */
void op_list_move(struct op_list *from, struct op_list *to_front_of);
/* Removes those past their deadline or given up, and completes them with `status`. */
void op_list_expire(struct op_list *list, uint64_t now_ms, enum status status);

#endif
