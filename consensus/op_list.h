/* Lists of operations that wait, linked through the operations themselves.
 *
 * Thread: loop. Owns: nothing; an operation is its submitter's. */
#ifndef MUSTER_CONSENSUS_OP_LIST_H
#define MUSTER_CONSENSUS_OP_LIST_H

#include <stdint.h>

#include "consensus/consensus.h"

struct op_list {
    struct consensus_op *first, **end;
};

void op_list_init(struct op_list *list);
void op_list_add(struct op_list *list, struct consensus_op *op);
/* The first, taken out; NULL when the list is empty. */
struct consensus_op *op_list_take(struct op_list *list);
/* Moves all of `from` in front of what is in the other list. */
void op_list_move(struct op_list *from, struct op_list *to_front_of);
/* Takes out those whose deadline has passed, or that are given up, and finishes them with `status`.
 */
void op_list_expire(struct op_list *list, uint64_t now_ms, enum status status);

#endif
