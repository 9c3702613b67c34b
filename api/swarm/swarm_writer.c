#include "api/swarm/swarm_writer.h"

#include <errno.h>
#include <stdlib.h>

#include "server/base/check.h"
#include "server/base/compiler.h"

void swarm_writer_init(struct swarm_writer *w, struct node *node)
{
    w->node = node;
    atomic_init(&w->failed, 0);
    CHECK(sem_init(&w->free, 0, SWARM_WRITES_MAX) == 0);
    for (size_t i = 0; i < SWARM_WRITES_MAX; i++) {
        w->slots[i].writer = w;
        atomic_init(&w->slots[i].busy, false);
    }
}

void swarm_writer_done(struct swarm_writer *w)
{
    CHECK(sem_destroy(&w->free) == 0);
}

static void take(struct swarm_writer *w)
{
    while (sem_wait(&w->free) != 0) {
        CHECK(errno == EINTR);
    }
}

static void done(struct node_write *write, enum status status)
{
    struct swarm_write *slot = CONTAINER_OF(write, struct swarm_write, write);
    struct swarm_writer *w = slot->writer;
    status = status == ST_OK ? write->result.status : status;
    free(write->result.missed);
    if (status != ST_OK && status != ST_NOT_FOUND && status != ST_CONFLICT) {
        atomic_fetch_add(&w->failed, 1);
    }
    atomic_store(&slot->busy, false);
    (void)sem_post(&w->free);
}

void swarm_writer_put(struct swarm_writer *w, const struct command *command)
{
    size_t i = 0;
    take(w);
    while (atomic_load(&w->slots[i].busy)) {
        i++;
        CHECK(i < SWARM_WRITES_MAX);
    }
    struct swarm_write *slot = &w->slots[i];
    atomic_store(&slot->busy, true);
    slot->write = (struct node_write){.done = done};
    if (node_write(w->node, &slot->write, command) != ST_OK) {
        atomic_store(&slot->busy, false);
        atomic_fetch_add(&w->failed, 1);
        (void)sem_post(&w->free);
    }
}

uint32_t swarm_writer_wait(struct swarm_writer *w)
{
    for (size_t i = 0; i < SWARM_WRITES_MAX; i++) {
        take(w);
    }
    for (size_t i = 0; i < SWARM_WRITES_MAX; i++) {
        (void)sem_post(&w->free);
    }
    return atomic_exchange(&w->failed, 0);
}
