#include "consensus/op_list.h"

#include <stddef.h>

void op_list_init(struct op_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

void op_list_add(struct op_list *list, struct consensus_op *op)
{
    op->next = NULL;
    *list->end = op;
    list->end = &op->next;
}

struct consensus_op *op_list_take(struct op_list *list)
{
    struct consensus_op *op = list->first;
    if (op != NULL) {
        list->first = op->next;
        if (list->first == NULL) {
            list->end = &list->first;
        }
    }
    return op;
}

void op_list_move(struct op_list *from, struct op_list *to_front_of)
{
    if (from->first == NULL) {
        return;
    }
    if (to_front_of->first == NULL) {
        to_front_of->end = from->end;
    }
    *from->end = to_front_of->first;
    to_front_of->first = from->first;
    op_list_init(from);
}

void op_list_expire(struct op_list *list, uint64_t now_ms, enum status status)
{
    struct op_list kept;
    struct consensus_op *op;
    op_list_init(&kept);
    while ((op = op_list_take(list)) != NULL) {
        if (now_ms >= op->deadline_ms ||
            atomic_load_explicit(&op->given_up, memory_order_relaxed)) {
            op->done(op, status);
        } else {
            op_list_add(&kept, op);
        }
    }
    op_list_move(&kept, list);
}
