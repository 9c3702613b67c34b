/* Writes of users, from their submission at a member until it answers, or dies: then nobody knows
 * their outcome, and nobody is told.
 *
 * Thread: one. Owns: calls in between. */
#ifndef MUSTER_SIM_CALLS_H
#define MUSTER_SIM_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/node/node.h"

struct sim_member;

/* First in a structure from malloc, which is freed after `done`, or instead of it. */
struct sim_call {
    struct node_write write; /* its result is valid in `done` */
    struct sim_member *member;
    void (*done)(struct sim_call *call, enum status status);
    /* private */
    struct sim_call *next;
    uint64_t operation;
    bool abandoned;
};

/* Before the write is submitted to call->member. */
void calls_prepare(struct sim_call *call);
/* With what the submission has returned. */
void calls_submitted(struct sim_call *call, enum status status);
/* Its calls will not be answered. */
void calls_member_died(const struct sim_member *m);

#endif
