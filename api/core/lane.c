#include "api/core/lane.h"

#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* In one turn: ten thousand reads may be answered at once. */
static const unsigned turn_max[LANE_KINDS] = {[LANE_WRITE] = 4096, [LANE_READ] = 512};

bool lane_open(struct lane *lane)
{
    for (unsigned kind = 0; kind < LANE_KINDS; kind++) {
        cds_wfcq_init(&lane->queues[kind].head, &lane->queues[kind].tail);
    }
    lane->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return lane->fd >= 0;
}

void lane_close(struct lane *lane)
{
    for (unsigned kind = 0; kind < LANE_KINDS; kind++) {
        cds_wfcq_destroy(&lane->queues[kind].head, &lane->queues[kind].tail);
    }
    if (lane->fd >= 0) {
        (void)close(lane->fd);
    }
}

void lane_item_init(struct lane_item *item)
{
    cds_wfcq_node_init(&item->node);
}

void lane_wake(struct lane *lane)
{
    uint64_t one = 1;
    /* Fails only when the counter is full, and then the worker is awake anyway. */
    ssize_t written = write(lane->fd, &one, sizeof one);
    (void)written;
}

void lane_give(struct lane *lane, struct lane_item *item, enum lane_kind kind)
{
    TSAN_RELEASE(item);
    if (!cds_wfcq_enqueue(&lane->queues[kind].head, &lane->queues[kind].tail, &item->node)) {
        lane_wake(lane);
    }
}

void lane_clear(struct lane *lane)
{
    uint64_t value;
    ssize_t got = read(lane->fd, &value, sizeof value);
    (void)got;
}

/* True when there is more of this kind. */
static bool run_some(struct lane *lane, enum lane_kind kind, void (*take)(struct lane_item *item))
{
    struct cds_wfcq_head *head = &lane->queues[kind].head;
    struct cds_wfcq_tail *tail = &lane->queues[kind].tail;
    for (unsigned i = 0; i < turn_max[kind]; i++) {
        struct cds_wfcq_node *node = __cds_wfcq_dequeue_blocking(head, tail);
        if (node == NULL) {
            return false;
        }
        struct lane_item *item = CONTAINER_OF(node, struct lane_item, node);
        TSAN_ACQUIRE(item);
        lane_item_init(item);
        take(item);
    }
    return !cds_wfcq_empty(head, tail);
}

bool lane_run(struct lane *lane, void (*take)(struct lane_item *item))
{
    bool writes = run_some(lane, LANE_WRITE, take);
    return run_some(lane, LANE_READ, take) || writes;
}
