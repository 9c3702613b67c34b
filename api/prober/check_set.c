/* Which of the active checks are this replica's, and what they ask. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/core/check_kept.h"
#include "api/prober/internal.h"
#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/base/metric.h"
#include "server/base/random.h"
#include "server/registry/check_id.h"

/* A change of what is registered, which may be an instance's host, is seen this much later. */
#define CATALOG_MS 1000

/* --- one check --- */

static void clear(struct runner *r, struct check *c)
{
    if (c->probe != NULL) {
        probe_abandon(c->probe);
    }
    report_forget(c);
    targets_leave(&c->waiter);
    targets_release(&r->targets, c->target);
    c->target = NULL;
    free(c->d);
    free(c->own_host);
    c->d = NULL;
    c->own_host = NULL;
}

static void remove_check(struct runner *r, struct check *c)
{
    clear(r, c);
    schedule_remove(&r->schedule, &c->item);
    free(c->id);
    free(c);
}

/* The host of the instance or node that the check is of; "": not known. */
static const char *find_own_host(const struct view *view, const char *id)
{
    char owner[STORED_NAME_SIZE];
    size_t len = check_owner_len(id);
    CHECK(len < sizeof owner);
    memcpy(owner, id, len);
    owner[len] = '\0';
    const struct record *record =
        checks_is_check(owner) ? view_check(view, owner) : view_instance(view, owner);
    return record != NULL ? record_host(record) : "";
}

static bool is_loopback(const char *host)
{
    struct ip_address address;
    static const struct ip_address one = {.bytes = {[15] = 1}};
    if (strcasecmp(host, "localhost") == 0) {
        return true;
    }
    return ip_address_parse(host, &address) &&
           (memcmp(&address, &one, sizeof one) == 0 ||
            (ip_address_is_ipv4(&address) && address.bytes[IP_MAPPED_BYTES] == 127));
}

/* Who says `localhost` means the machine of the instance, not that of this replica. */
static const char *find_target_host(const struct check *c)
{
    return c->own_host[0] != '\0' && is_loopback(c->d->host) ? c->own_host : c->d->host;
}

static void load(struct runner *r, struct check *c, const struct record *record,
                 const char *own_host)
{
    c->definition = prober_definition(record);
    c->own_host = mem_strdup(own_host);
    c->d = check_kept_load(record_extra(record));
    c->why = NULL;
    c->judge = (struct judge){.good = 0};
    c->shown = (enum health)record->declared;
    c->is_new = record_note(record)[0] == '\0';
    if (c->d == NULL) {
        c->why = "not checked: its definition is not one that this version runs";
        return;
    }
    const char *host = find_target_host(c);
    c->is_own = strcasecmp(host, own_host) == 0;
    c->target = targets_take(&r->targets, c->d, host);
}

/* A number that stands for the check, the same on all replicas. */
static uint64_t seed_of(const struct check *c)
{
    uint64_t seed = c->definition;
    return random_next(&seed);
}

static void begin(struct runner *r, struct check *c)
{
    uint32_t interval_ms = c->d != NULL ? c->d->interval_ms : CHECK_INTERVAL_MS_DEFAULT;
    uint64_t due_ms = schedule_begin_ms(r->now_ms, interval_ms, seed_of(c), &c->turn_ms);
    c->output_due_ms = c->is_new ? 0 : r->now_ms + seed_of(c) % PROBER_OUTPUT_MS;
    schedule_put(&r->schedule, &c->item, due_ms);
}

static struct check *add(struct runner *r, const struct record *record, const char *own_host)
{
    struct check *c = mem_zalloc(1, sizeof *c);
    c->id = mem_strdup(record_id(record));
    load(r, c, record, own_host);
    begin(r, c);
    return c;
}

/* As it is registered now. */
static void renew(struct runner *r, struct check *c, const struct record *record,
                  const char *own_host)
{
    if (c->definition != prober_definition(record)) {
        clear(r, c);
        load(r, c, record, own_host);
        begin(r, c);
        c->output_due_ms = 0; /* what is there is about something else */
    } else if (strcmp(c->own_host, own_host) != 0) {
        clear(r, c);
        load(r, c, record, own_host);
        schedule_put(&r->schedule, &c->item, c->turn_ms);
    }
}

/* --- all of them --- */

static void scan(struct runner *r, const struct view *view)
{
    struct check_set *set = &r->set;
    struct check **old = set->checks;
    size_t old_count = set->count, at = 0, room = 0;
    struct ptree_iterator it;
    set->checks = NULL;
    set->count = 0;
    ptree_iterate(&it, &view->checks, 0);
    for (const struct record *record; (record = ptree_next(&it)) != NULL;) {
        const char *id = record_id(record);
        if (!record->active || !node_probe_is_ours(r->node, view, record)) {
            continue;
        }
        while (at < old_count && strcmp(old[at]->id, id) < 0) {
            remove_check(r, old[at++]);
        }
        if (set->count == room) {
            room = room > 0 ? 2 * room : 64;
            set->checks = mem_realloc(set->checks, room * sizeof(struct check *));
        }
        const char *own_host = find_own_host(view, id);
        if (at < old_count && strcmp(old[at]->id, id) == 0) {
            renew(r, old[at], record, own_host);
            set->checks[set->count++] = old[at++];
        } else {
            set->checks[set->count++] = add(r, record, own_host);
        }
    }
    while (at < old_count) {
        remove_check(r, old[at++]);
    }
    free(old);
    metric_set(METRIC_checks_assigned, (int64_t)set->count);
}

void check_set_refresh(struct runner *r)
{
    struct check_set *set = &r->set;
    uint64_t version = node_probe_version(r->node);
    const struct view *view = node_view_lock(r->node);
    bool is_other =
        !set->is_scanned || version != set->version ||
        (view->catalog_index != set->catalog_index && r->now_ms - set->scanned_ms >= CATALOG_MS);
    if (is_other && (view->active_index > 0 || set->count > 0)) {
        scan(r, view);
    }
    if (is_other) {
        set->is_scanned = true;
        set->version = version;
        set->epoch = view->probers.epoch;
        set->catalog_index = view->catalog_index;
        set->scanned_ms = r->now_ms;
    }
    view_unlock(&view);
}

void check_set_done(struct runner *r)
{
    for (size_t i = 0; i < r->set.count; i++) {
        remove_check(r, r->set.checks[i]);
    }
    free(r->set.checks);
    r->set = (struct check_set){.checks = NULL};
}
