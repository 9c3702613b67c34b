/* Blocking queries: reads that wait for an index or a change. They live on the loop, which they
 * reach through its queue, and are checked only when an entry has touched what they watch. */
#include <stdio.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/node/internal.h"
#include "server/node/read.h"
#include "server/registry/mix.h"

static struct node_read **bucket_of(struct node *node, const char *service)
{
    return &node->blocking.by_service[mix_bytes(service, strlen(service)) % BLOCKING_BUCKETS];
}

static bool is_of_index(const struct node_read *read)
{
    return atomic_load_explicit(&read->stage, memory_order_relaxed) == NODE_READ_APPLIED;
}

/* The service under which the bucket has a read. */
static const char *service_of(const struct node_read *read)
{
    return read->watch == NODE_WATCH_INSTANCE ? read->service : read->name;
}

static uint64_t index_of(const struct node_read *read)
{
    return read->watch == NODE_WATCH_INSTANCE ? read->service_index : read->after_index;
}

static struct node_read **list_of(struct node *node, const struct node_read *read)
{
    if (is_of_index(read)) {
        return &node->blocking.applied;
    }
    switch (read->watch) {
    case NODE_WATCH_SERVICE:
    case NODE_WATCH_INSTANCE:
        break;
    case NODE_WATCH_SERVICES:
        return &node->blocking.services;
    case NODE_WATCH_CHANGED:
    case NODE_WATCH_CATALOG:
        return &node->blocking.changed;
    }
    return bucket_of(node, service_of(read));
}

uint64_t blocking_applied(const struct node *node)
{
    struct consensus_status status;
    uint64_t index = registry_view(node->registry)->index;
    consensus_status(node->consensus, &status);
    return status.applied_index > index ? status.applied_index : index;
}

static bool is_reached(struct node *node, struct node_read *read)
{
    return is_of_index(read) ? blocking_applied(node) >= read->min_index
                             : read_is_changed(read, registry_view(node->registry));
}

/* Continues a read that was taken off its list because its condition holds. */
static void go_on(struct node *node, struct node_read *read)
{
    if (is_of_index(read)) {
        blocking_add(node, read);
    } else {
        read->changed = true;
        read_finish(read, ST_OK);
    }
}

/* Likewise, because its service has changed. */
static void go_on_service(struct node *node, struct node_read *read)
{
    if (read->watch == NODE_WATCH_INSTANCE) {
        blocking_add(node, read); /* another instance of the service may have changed */
    } else {
        go_on(node, read);
    }
}

/* Ten thousand reads may wait for one service, which is looked up once for all. */
static void look_at_service(struct node *node, const char *service)
{
    uint64_t index = view_service_index(registry_view(node->registry), service);
    struct node_read **link = bucket_of(node, service);
    while (*link != NULL) {
        struct node_read *read = *link;
        if (index > index_of(read) && strcmp(service_of(read), service) == 0) {
            *link = read->next;
            go_on_service(node, read);
        } else {
            link = &read->next;
        }
    }
}

static void look_at(struct node *node, struct node_read **list)
{
    struct node_read **link = list;
    while (*link != NULL) {
        struct node_read *read = *link;
        if (is_reached(node, read)) {
            *link = read->next;
            go_on(node, read);
        } else {
            link = &read->next;
        }
    }
}

/* All services of a bucket. Reads of one service are adjacent, and it is looked up once. */
static void look_at_bucket(struct node *node, struct node_read **list)
{
    char name[NAME_BYTES_MAX + 1] = ""; /* a name is never empty */
    uint64_t index = 0;
    struct node_read **link = list;
    while (*link != NULL) {
        struct node_read *read = *link;
        if (strcmp(service_of(read), name) != 0) {
            (void)snprintf(name, sizeof name, "%s", service_of(read));
            index = view_service_index(registry_view(node->registry), name);
        }
        if (index > index_of(read)) {
            *link = read->next;
            go_on_service(node, read);
        } else {
            link = &read->next;
        }
    }
}

static bool is_cancelled(const struct node_read *read)
{
    return atomic_load_explicit(&read->cancelled, memory_order_relaxed);
}

static void expect(struct blocking *b, const struct node_read *read)
{
    if (read->until_ms < b->deadline_ms) {
        b->deadline_ms = read->until_ms;
    }
}

/* Ends reads that have timed out or were cancelled. */
static void time_out(struct node *node, struct node_read **list, uint64_t now_ms)
{
    struct node_read **link = list;
    while (*link != NULL) {
        struct node_read *read = *link;
        if (now_ms < read->until_ms && !is_cancelled(read)) {
            expect(&node->blocking, read);
            link = &read->next;
            continue;
        }
        *link = read->next;
        if (!is_cancelled(read) && is_reached(node, read)) {
            go_on(node, read);
        } else {
            read_finish(read, is_of_index(read) ? ST_TIMEOUT : ST_OK);
        }
    }
}

void blocking_add(struct node *node, struct node_read *read)
{
    if (node->blocking.stopped) {
        read_finish(read, ST_STOPPING);
    } else if (is_cancelled(read) || read_pass(read)) {
        read_finish(read, ST_OK);
    } else {
        struct node_read **list = list_of(node, read);
        read->next = *list;
        *list = read;
        expect(&node->blocking, read);
    }
}

void blocking_published(struct node *node)
{
    struct touched touched = registry_touched(node->registry);
    look_at(node, &node->blocking.applied);
    if (touched.count == 0) {
        return; /* heartbeats wake nobody */
    }
    look_at(node, &node->blocking.services);
    look_at(node, &node->blocking.changed);
    for (size_t i = 0; i < touched.count; i++) {
        look_at_service(node, touched.services[i]);
    }
}

void blocking_tick(struct node *node, uint64_t now_ms)
{
    struct blocking *b = &node->blocking;
    look_at(node, &b->applied); /* entries without operations wake nobody else */
    if (!atomic_exchange_explicit(&b->cancelled, false, memory_order_acquire) &&
        now_ms < b->deadline_ms) {
        return;
    }
    b->deadline_ms = UINT64_MAX;
    time_out(node, &b->applied, now_ms);
    time_out(node, &b->services, now_ms);
    time_out(node, &b->changed, now_ms);
    for (size_t i = 0; i < BLOCKING_BUCKETS; i++) {
        time_out(node, &b->by_service[i], now_ms);
    }
}

void blocking_restored(struct node *node)
{
    struct blocking *b = &node->blocking;
    look_at(node, &b->applied);
    look_at(node, &b->services);
    look_at(node, &b->changed);
    for (size_t i = 0; i < BLOCKING_BUCKETS; i++) {
        look_at_bucket(node, &b->by_service[i]);
    }
}

static void fail_list(struct node_read **list, enum status status)
{
    while (*list != NULL) {
        struct node_read *read = *list;
        *list = read->next;
        read_finish(read, status);
    }
}

void blocking_fail_all(struct node *node, enum status status)
{
    struct blocking *b = &node->blocking;
    b->stopped = true;
    fail_list(&b->applied, status);
    fail_list(&b->services, status);
    fail_list(&b->changed, status);
    for (size_t i = 0; i < BLOCKING_BUCKETS; i++) {
        fail_list(&b->by_service[i], status);
    }
}
