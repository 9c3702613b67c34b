#include "api/prober/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/prober/target_link.h"
#include "server/base/check.h"
#include "server/base/mem.h"

/* Of a connection: it is made anew after so long, to see that the target still accepts one, and
 * where its name leads now. One with TLS costs a hundred times as much. */
#define LIFE_MS     30000u
#define LIFE_TLS_MS 600000u
/* Since its last run. */
#define IDLE_MS     15000u
#define IDLE_TLS_MS 90000u

static const char *key_of(const void *value)
{
    return ((const struct target *)value)->key;
}

static void retire(void *ctx, void *memory, uint64_t epoch)
{
    (void)ctx, (void)epoch;
    free(memory);
}

static const struct ptree_kind kind = {.key = key_of, .retire = retire};

/* --- targets --- */

struct target *targets_take(struct targets *targets, const struct check_definition *d,
                            const char *host)
{
    char key[2 * HOST_BYTES_MAX + 64];
    const char *name = !d->tls ? "" : d->server_name[0] != '\0' ? d->server_name : d->host;
    int len = snprintf(key, sizeof key, "%d %d %u %.*s %.*s", (int)d->kind,
                       !d->tls          ? 0
                       : d->skip_verify ? 1
                                        : 2,
                       (unsigned)d->port, HOST_BYTES_MAX, host, HOST_BYTES_MAX, name);
    struct target *target = ptree_find(&targets->all, &kind, key);
    if (target != NULL) {
        return target_again(target);
    }
    target = mem_zalloc(1, sizeof *target + 2 * ((size_t)len + 1) + strlen(host) + 1);
    memcpy(target->key, key, (size_t)len + 1);
    target->references = 1;
    target->kind = d->kind;
    target->tls = d->tls;
    target->verifies = !d->skip_verify;
    target->port = d->port;
    target->name = target->key + len - strlen(name);
    char *copy = target->key + len + 1;
    memcpy(copy, host, strlen(host) + 1);
    target->host = copy;
    CHECK(ptree_put(&targets->all, &kind, target) == NULL);
    return target;
}

struct target *target_again(struct target *target)
{
    target->references++;
    return target;
}

void targets_release(struct targets *targets, struct target *target)
{
    if (target == NULL || --target->references > 0) {
        return;
    }
    while (target->kept != NULL) {
        targets_drop(targets, target->kept);
    }
    CHECK(target->under_way == 0 && ptree_remove(&targets->all, &kind, target->key) == target);
    free(target);
}

bool target_has_room(const struct target *target, uint64_t now_ms)
{
    return target->under_way < TARGET_PROBES_MAX &&
           (target->second != now_ms / 1000 || target->begun < TARGET_PROBES_A_SECOND);
}

void target_begin(struct target *target, uint64_t now_ms)
{
    if (target->second != now_ms / 1000) {
        target->second = now_ms / 1000;
        target->begun = 0;
    }
    target->begun++;
    target->under_way++;
}

void target_end(struct target *target)
{
    CHECK(target->under_way > 0);
    target->under_way--;
}

/* --- who waits --- */

void targets_wait(struct targets *targets, struct target *target, struct target_waiter *waiter)
{
    CHECK(waiter->target == NULL);
    if (target->waiting == NULL) {
        target->waiting_end = &target->waiting;
        target->next_crowded = targets->crowded;
        target->back_crowded = &targets->crowded;
        if (target->next_crowded != NULL) {
            target->next_crowded->back_crowded = &target->next_crowded;
        }
        targets->crowded = target;
    }
    waiter->target = target;
    waiter->next = NULL;
    *target->waiting_end = waiter;
    target->waiting_end = &waiter->next;
}

void targets_leave(struct target_waiter *waiter)
{
    struct target *target = waiter->target;
    if (target == NULL) {
        return;
    }
    struct target_waiter **at = &target->waiting;
    while (*at != waiter) {
        at = &(*at)->next;
    }
    *at = waiter->next;
    if (*at == NULL) {
        target->waiting_end = at;
    }
    waiter->target = NULL;
    if (target->waiting == NULL) {
        *target->back_crowded = target->next_crowded;
        if (target->next_crowded != NULL) {
            target->next_crowded->back_crowded = target->back_crowded;
        }
    }
}

struct target_waiter *target_serve(struct target *target, uint64_t now_ms)
{
    struct target_waiter *first = target->waiting;
    if (first == NULL || !target_has_room(target, now_ms)) {
        return NULL;
    }
    targets_leave(first);
    return first;
}

/* --- connections --- */

static void unlink_kept(struct targets *targets, struct target_link *link)
{
    *link->back = link->next;
    if (link->next != NULL) {
        link->next->back = link->back;
    }
    link->back = NULL;
    link->next = NULL;
    link->target->kept_count--;
    targets->kept_count--;
}

void targets_drop(struct targets *targets, struct target_link *link)
{
    CHECK(link->probe == NULL);
    unlink_kept(targets, link);
    target_link_close(link);
}

void targets_keep(struct targets *targets, struct target_link *link, uint64_t now_ms, size_t most)
{
    struct target *target = link->target;
    link->probe = NULL;
    if (targets->kept_count >= most || target->kept_count >= TARGET_PROBES_MAX ||
        now_ms - link->born_ms >= (target->tls ? LIFE_TLS_MS : LIFE_MS)) {
        target_link_close(link);
        return;
    }
    link->idle_ms = now_ms;
    link->is_used = true;
    link->next = target->kept;
    link->back = &target->kept;
    if (link->next != NULL) {
        link->next->back = &link->next;
    }
    target->kept = link;
    target->kept_count++;
    targets->kept_count++;
}

static bool is_too_old(const struct target_link *link, uint64_t now_ms)
{
    bool tls = link->target->tls;
    return now_ms - link->idle_ms >= (tls ? IDLE_TLS_MS : IDLE_MS) ||
           now_ms - link->born_ms >= (tls ? LIFE_TLS_MS : LIFE_MS);
}

struct target_link *targets_take_link(struct targets *targets, struct target *target,
                                      uint64_t now_ms)
{
    while (target->kept != NULL) {
        struct target_link *link = target->kept;
        if (!is_too_old(link, now_ms)) {
            unlink_kept(targets, link);
            return link;
        }
        targets_drop(targets, link);
    }
    return NULL;
}

void targets_sweep(struct targets *targets, uint64_t now_ms)
{
    struct ptree_iterator it;
    struct target *target;
    ptree_iterate(&it, &targets->all, 0);
    while (targets->kept_count > 0 && (target = ptree_next(&it)) != NULL) {
        for (struct target_link *link = target->kept, *next; link != NULL; link = next) {
            next = link->next;
            if (is_too_old(link, now_ms)) {
                targets_drop(targets, link);
            }
        }
    }
}
