/* Writes of the swarm door: several on their way at once, and a wait for all.
 *
 * Thread: the door's, but for completions, which come on the loop thread. */
#ifndef MUSTER_API_SWARM_SWARM_WRITER_H
#define MUSTER_API_SWARM_SWARM_WRITER_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/node/node.h"

#define SWARM_WRITES_MAX 64

struct swarm_writer {
    struct node *node;
    sem_t free; /* slots */
    struct swarm_write {
        struct node_write write;
        struct swarm_writer *writer;
        atomic_bool busy;
    } slots[SWARM_WRITES_MAX];
    _Atomic uint32_t failed;
};

void swarm_writer_init(struct swarm_writer *w, struct node *node);
void swarm_writer_done(struct swarm_writer *w);
/* Waits for a free slot, not for the write. */
void swarm_writer_put(struct swarm_writer *w, const struct command *command);
/* Waits for all. Returns how many were not carried out since the last call; a conditional one whose
 * condition does not hold any more is none of them. */
uint32_t swarm_writer_wait(struct swarm_writer *w);

#endif
