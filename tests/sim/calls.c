#include "tests/sim/calls.h"

#include <stdlib.h>

#include "tests/sim/member.h"
#include "tests/sim/oracle.h"
#include "tests/sim/world.h"

static struct sim_call *unanswered;

static void unlink_call(struct sim_call *c)
{
    struct sim_call **link = &unanswered;
    while (*link != c) {
        link = &(*link)->next;
    }
    *link = c->next;
}

static void write_done(struct node_write *write, enum status status)
{
    struct sim_call *c = CONTAINER_OF(write, struct sim_call, write);
    if (!c->abandoned) {
        unlink_call(c);
        oracle_outcome(c->operation, status, write->result.index);
        figures.writes_acknowledged += status == ST_OK;
        figures.writes_unknown += status == ST_UNKNOWN;
        figures.writes_refused += status != ST_OK && status != ST_UNKNOWN;
        c->done(c, status);
    }
    free(c);
}

void calls_prepare(struct sim_call *c)
{
    c->write.done = write_done;
    figures.writes++;
}

void calls_submitted(struct sim_call *c, enum status status)
{
    if (status != ST_OK) {
        figures.writes_refused++;
        free(c);
        return;
    }
    c->operation = oracle_last_submitted();
    c->next = unanswered;
    unanswered = c;
}

void calls_member_died(const struct sim_member *m)
{
    for (struct sim_call *c = unanswered; c != NULL;) {
        struct sim_call *next = c->next;
        if (c->member == m) {
            unlink_call(c);
            c->abandoned = true;
            oracle_outcome(c->operation, ST_UNKNOWN, 0);
            figures.writes_unknown++;
        }
        c = next;
    }
}
