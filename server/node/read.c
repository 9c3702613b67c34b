#include "server/node/read.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/base/metric.h"
#include "server/node/internal.h"

static enum node_read_stage stage_of(const struct node_read *read)
{
    return atomic_load_explicit(&read->stage, memory_order_relaxed);
}

static void begin_stage(struct node_read *read, enum node_read_stage stage, uint64_t until_ms)
{
    read->until_ms = until_ms;
    atomic_store_explicit(&read->due_ms, until_ms, memory_order_relaxed);
    atomic_store_explicit(&read->stage, stage, memory_order_relaxed);
}

/* Returns the number of waiting reads. */
static uint32_t count(struct node *node, int change)
{
    metric_add(METRIC_waiters, change);
    return (uint32_t)change +
           atomic_fetch_add_explicit(&node->blocking.count, (uint32_t)change, memory_order_relaxed);
}

/* --- conditions --- */

/* An instance changes only when its service does. */
static bool instance_changed(struct node_read *read, const struct view *view)
{
    const struct record *record = view_instance(view, read->name);
    if (record == NULL || record->index > read->after_index) {
        return true;
    }
    if (read->service == NULL || strcmp(read->service, record_name(record)) != 0) {
        free(read->service);
        read->service = mem_strdup(record_name(record));
    }
    read->service_index = view_service_index(view, read->service);
    return false;
}

bool read_is_changed(struct node_read *read, const struct view *view)
{
    switch (read->watch) {
    case NODE_WATCH_CHANGED:
        return view->changed_index > read->after_index;
    case NODE_WATCH_SERVICES:
        return view->services_index > read->after_index;
    case NODE_WATCH_CATALOG:
        return view->catalog_index > read->after_index;
    case NODE_WATCH_SERVICE:
        return view_service_index(view, read->name) > read->after_index;
    case NODE_WATCH_INSTANCE:
        return instance_changed(read, view);
    }
    return true;
}

static uint64_t patience_ms(const struct node_read *read)
{
    return clock_monotonic_ms() + node_facts(read->node)->write_timeout_ms;
}

/* After the proof. True if nothing is left to wait for. */
static bool pass(struct node_read *read, const struct view *view, uint64_t applied)
{
    if (stage_of(read) == NODE_READ_APPLIED) {
        if (applied < read->min_index) {
            return false;
        }
        begin_stage(read, NODE_READ_CHANGE, read->deadline_ms);
    }
    if (read->deadline_ms == 0 || read_is_changed(read, view)) {
        read->changed = true;
        return true;
    }
    return clock_monotonic_ms() >= read->deadline_ms;
}

/* --- on the loop --- */

void read_finish(struct node_read *read, enum status status)
{
    (void)count(read->node, -1);
    free(read->service);
    read->service = NULL;
    read->done(read, status);
}

bool read_pass(struct node_read *read)
{
    const struct view *view = registry_view(read->node->registry);
    return pass(read, view, blocking_applied(read->node));
}

/* The proof has succeeded, or the read has come through the queue. */
static void arrived(struct consensus_op *op, enum status status)
{
    struct node_read *read = CONTAINER_OF(op, struct node_read, op);
    if (status != ST_OK) {
        bool unproven = status == ST_TIMEOUT && stage_of(read) == NODE_READ_PROOF;
        read_finish(read, unproven ? ST_NO_LEADER : status);
        return;
    }
    if (stage_of(read) == NODE_READ_PROOF) {
        begin_stage(read, NODE_READ_APPLIED, patience_ms(read));
    }
    blocking_add(read->node, read);
}

/* --- any thread --- */

/* True if the present view suffices. */
static bool pass_at_once(struct node_read *read)
{
    if (read->linearizable) {
        begin_stage(read, NODE_READ_PROOF, patience_ms(read));
        return false;
    }
    begin_stage(read, NODE_READ_APPLIED, patience_ms(read));
    const struct view *view = node_view_lock(read->node);
    bool passed = pass(read, view, view->index);
    view_unlock(&view);
    return passed;
}

static enum status submit(struct node_read *read)
{
    struct node *node = read->node;
    if (count(node, 1) > WAITERS_MAX) {
        (void)count(node, -1);
        return ST_BUSY;
    }
    read->op = (struct consensus_op){
        .lane = read->linearizable ? CONSENSUS_READ : CONSENSUS_POST,
        .done = arrived,
    };
    enum status status = consensus_submit(node->consensus, &read->op);
    if (status != ST_OK) {
        (void)count(node, -1);
    }
    return status;
}

enum status node_read(struct node *node, struct node_read *read, bool *ret_passed)
{
    enum status status = ST_OK;
    read->node = node;
    read->service = NULL;
    read->changed = false;
    atomic_store_explicit(&read->cancelled, false, memory_order_relaxed);
    *ret_passed = pass_at_once(read);
    if (!*ret_passed) {
        status = submit(read);
    }
    if (*ret_passed || status != ST_OK) {
        free(read->service);
        read->service = NULL;
    }
    return status;
}

void node_read_cancel(struct node_read *read)
{
    atomic_store_explicit(&read->cancelled, true, memory_order_relaxed);
    atomic_store_explicit(&read->op.given_up, true, memory_order_relaxed);
    atomic_store_explicit(&read->node->blocking.cancelled, true, memory_order_release);
}

uint64_t node_read_due_ms(const struct node_read *read)
{
    return atomic_load_explicit(&read->due_ms, memory_order_relaxed);
}

enum status node_read_late(const struct node_read *read)
{
    switch (stage_of(read)) {
    case NODE_READ_PROOF:
        break;
    case NODE_READ_APPLIED:
        return ST_TIMEOUT;
    case NODE_READ_CHANGE:
        return ST_OK;
    }
    return ST_STALLED;
}
