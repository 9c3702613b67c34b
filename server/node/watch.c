/* Reads that wait for an index or a change. They live on the loop: they come through its queue and
 * are looked at only when an entry has touched what they ask for. */
#include <stdio.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/metric.h"
#include "server/node/internal.h"
#include "server/registry/mix.h"

static struct node_wait **bucket_of(struct node *node, const char *service)
{
    return &node->watch.by_service[mix_bytes(service, strlen(service)) % WATCH_BUCKETS];
}

static struct node_wait **list_of(struct node *node, const struct node_wait *wait)
{
    switch (wait->kind) {
    case NODE_WAIT_SERVICE:
        return bucket_of(node, wait->name);
    case NODE_WAIT_SERVICES:
        return &node->watch.services;
    case NODE_WAIT_CHANGED:
        return &node->watch.changed;
    case NODE_WAIT_APPLIED:
    case NODE_WAIT_LINEAR:
        break;
    }
    return &node->watch.applied;
}

static bool is_reached(const struct node *node, const struct node_wait *wait)
{
    struct consensus_status status;
    const struct view *view = registry_view(node->registry);
    switch (wait->kind) {
    case NODE_WAIT_SERVICE:
        return view_service_index(view, wait->name) > wait->index;
    case NODE_WAIT_SERVICES:
        return view->services_index > wait->index;
    case NODE_WAIT_CHANGED:
        return view->changed_index > wait->index;
    case NODE_WAIT_APPLIED:
        consensus_status(node->consensus, &status);
        return status.applied_index >= wait->index || view->index >= wait->index;
    case NODE_WAIT_LINEAR:
        break;
    }
    return true;
}

static void finish(struct node *node, struct node_wait *wait, enum status status)
{
    atomic_fetch_sub_explicit(&node->watch.count, 1, memory_order_relaxed);
    metric_add(METRIC_waiters, -1);
    wait->done(wait, status);
}

/* Ten thousand may wait for one service, which is looked up once for all. */
static void look_at_service(struct node *node, const char *service)
{
    uint64_t index = view_service_index(registry_view(node->registry), service);
    struct node_wait **link = bucket_of(node, service);
    while (*link != NULL) {
        struct node_wait *wait = *link;
        if (index > wait->index && strcmp(wait->name, service) == 0) {
            *link = wait->next;
            finish(node, wait, ST_OK);
        } else {
            link = &wait->next;
        }
    }
}

static void look_at(struct node *node, struct node_wait **list)
{
    struct node_wait **link = list;
    while (*link != NULL) {
        struct node_wait *wait = *link;
        if (is_reached(node, wait)) {
            *link = wait->next;
            finish(node, wait, ST_OK);
        } else {
            link = &wait->next;
        }
    }
}

/* All services of a bucket. Those who wait for one stand together, and it is looked up once. */
static void look_at_bucket(struct node *node, struct node_wait **list)
{
    char name[NAME_BYTES_MAX + 1] = ""; /* a name is never empty */
    uint64_t index = 0;
    struct node_wait **link = list;
    while (*link != NULL) {
        struct node_wait *wait = *link;
        if (strcmp(wait->name, name) != 0) {
            (void)snprintf(name, sizeof name, "%s", wait->name);
            index = view_service_index(registry_view(node->registry), wait->name);
        }
        if (index > wait->index) {
            *link = wait->next;
            finish(node, wait, ST_OK);
        } else {
            link = &wait->next;
        }
    }
}

static void expect(struct watch *w, const struct node_wait *wait)
{
    if (wait->deadline_ms < w->deadline_ms) {
        w->deadline_ms = wait->deadline_ms;
    }
}

static void time_out(struct node *node, struct node_wait **list, uint64_t now_ms)
{
    struct node_wait **link = list;
    while (*link != NULL) {
        struct node_wait *wait = *link;
        if (now_ms >= wait->deadline_ms) {
            *link = wait->next;
            finish(node, wait, is_reached(node, wait) ? ST_OK : ST_TIMEOUT);
        } else {
            expect(&node->watch, wait);
            link = &wait->next;
        }
    }
}

void watch_add(struct node *node, struct node_wait *wait)
{
    if (node->watch.stopped) {
        finish(node, wait, ST_STOPPING);
    } else if (is_reached(node, wait)) {
        finish(node, wait, ST_OK);
    } else {
        struct node_wait **list = list_of(node, wait);
        wait->deadline_ms = clock_monotonic_ms() + wait->timeout_ms;
        wait->next = *list;
        *list = wait;
        expect(&node->watch, wait);
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
    if (now_ms < w->deadline_ms) {
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

static void fail_list(struct node *node, struct node_wait **list, enum status status)
{
    while (*list != NULL) {
        struct node_wait *wait = *list;
        *list = wait->next;
        finish(node, wait, status);
    }
}

void watch_fail_all(struct node *node, enum status status)
{
    struct watch *w = &node->watch;
    w->stopped = true;
    fail_list(node, &w->applied, status);
    fail_list(node, &w->services, status);
    fail_list(node, &w->changed, status);
    for (size_t i = 0; i < WATCH_BUCKETS; i++) {
        fail_list(node, &w->by_service[i], status);
    }
}
