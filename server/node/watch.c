/* Reads that wait for an index or a change. They live on the loop: they come through its queue and
 * are looked at only when an entry has touched what they ask for. */
#include <stdio.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/node/internal.h"
#include "server/node/read.h"
#include "server/registry/mix.h"

static struct node_read **bucket_of(struct node *node, const char *service)
{
    return &node->watch.by_service[mix_bytes(service, strlen(service)) % WATCH_BUCKETS];
}

static bool is_of_index(const struct node_read *read)
{
    return atomic_load_explicit(&read->stage, memory_order_relaxed) == NODE_READ_APPLIED;
}

/* What the bucket knows a read by. */
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
        return &node->watch.applied;
    }
    switch (read->watch) {
    case NODE_WATCH_SERVICE:
    case NODE_WATCH_INSTANCE:
        break;
    case NODE_WATCH_SERVICES:
        return &node->watch.services;
    case NODE_WATCH_CHANGED:
        return &node->watch.changed;
    }
    return bucket_of(node, service_of(read));
}

uint64_t watch_applied(const struct node *node)
{
    struct consensus_status status;
    uint64_t index = registry_view(node->registry)->index;
    consensus_status(node->consensus, &status);
    return status.applied_index > index ? status.applied_index : index;
}

static bool is_reached(struct node *node, struct node_read *read)
{
    return is_of_index(read) ? watch_applied(node) >= read->min_index
                             : read_is_changed(read, registry_view(node->registry));
}

/* Taken off its list, because what it waits for is there. */
static void go_on(struct node *node, struct node_read *read)
{
    if (is_of_index(read)) {
        watch_add(node, read);
    } else {
        read->changed = true;
        read_finish(read, ST_OK);
    }
}

/* Likewise, because its service has changed. */
static void go_on_service(struct node *node, struct node_read *read)
{
    if (read->watch == NODE_WATCH_INSTANCE) {
        watch_add(node, read); /* it may have been another one of the service */
    } else {
        go_on(node, read);
    }
}

/* Ten thousand may wait for one service, which is looked up once for all. */
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

/* All services of a bucket. Those who wait for one stand together, and it is looked up once. */
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

static void expect(struct watch *w, const struct node_read *read)
{
    if (read->until_ms < w->deadline_ms) {
        w->deadline_ms = read->until_ms;
    }
}

/* Ends those whose time is over, and those that nobody wants. */
static void time_out(struct node *node, struct node_read **list, uint64_t now_ms)
{
    struct node_read **link = list;
    while (*link != NULL) {
        struct node_read *read = *link;
        if (now_ms < read->until_ms && !is_cancelled(read)) {
            expect(&node->watch, read);
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

void watch_add(struct node *node, struct node_read *read)
{
    if (node->watch.stopped) {
        read_finish(read, ST_STOPPING);
    } else if (is_cancelled(read) || read_pass(read)) {
        read_finish(read, ST_OK);
    } else {
        struct node_read **list = list_of(node, read);
        read->next = *list;
        *list = read;
        expect(&node->watch, read);
    }
}

void watch_published(struct node *node)
{
    struct touched touched = registry_touched(node->registry);
    look_at(node, &node->watch.applied);
    if (touched.count == 0) {
        return; /* heartbeats wake nobody */
    }
    look_at(node, &node->watch.services);
    look_at(node, &node->watch.changed);
    for (size_t i = 0; i < touched.count; i++) {
        look_at_service(node, touched.services[i]);
    }
}

void watch_tick(struct node *node, uint64_t now_ms)
{
    struct watch *w = &node->watch;
    look_at(node, &w->applied); /* entries without operations wake nobody else */
    if (!atomic_exchange_explicit(&w->cancelled, false, memory_order_acquire) &&
        now_ms < w->deadline_ms) {
        return;
    }
    w->deadline_ms = UINT64_MAX;
    time_out(node, &w->applied, now_ms);
    time_out(node, &w->services, now_ms);
    time_out(node, &w->changed, now_ms);
    for (size_t i = 0; i < WATCH_BUCKETS; i++) {
        time_out(node, &w->by_service[i], now_ms);
    }
}

void watch_restored(struct node *node)
{
    struct watch *w = &node->watch;
    look_at(node, &w->applied);
    look_at(node, &w->services);
    look_at(node, &w->changed);
    for (size_t i = 0; i < WATCH_BUCKETS; i++) {
        look_at_bucket(node, &w->by_service[i]);
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

void watch_fail_all(struct node *node, enum status status)
{
    struct watch *w = &node->watch;
    w->stopped = true;
    fail_list(&w->applied, status);
    fail_list(&w->services, status);
    fail_list(&w->changed, status);
    for (size_t i = 0; i < WATCH_BUCKETS; i++) {
        fail_list(&w->by_service[i], status);
    }
}
