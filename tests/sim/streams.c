/* Event streams as clients use them: with filters, with and without a snapshot at first, a few
 * items at a time, resumed at other members after the last id. oracle.c knows what each must
 * deliver; the client's copy, built from it, must equal the registry. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/node/event_cursor.h"
#include "server/node/read.h"
#include "tests/mutants/mutant.h"
#include "tests/sim/member.h"
#include "tests/sim/oracle.h"
#include "tests/sim/rng.h"
#include "tests/sim/workload.h"
#include "tests/sim/world.h"

#define STREAMS   6
#define TURN_MOST 12 /* items delivered in one turn */

/* What the client knows; outlives its connections. */
struct client {
    char service[8]; /* as it is stored; "": all */
    bool is_apart;   /* it follows the namespace; else `default` */
    bool present;
    bool has_position;
    struct event_id position;
    uint64_t last;            /* sequence of the event with that id */
    bool whole;               /* `copy` is complete */
    uint64_t copy[INSTANCES]; /* hash of each record; 0: not present */
};

/* One connection to one member, which takes turns in its loop. */
struct stream {
    struct sim_event event;
    struct node_read read;
    struct stream *next, **link; /* in the member's list of waiting streams */
    struct sim_member *member;
    struct client *client;
    struct event_cursor cursor;
    bool begun, proven;
    bool abandoned;
    uint64_t told; /* the cursor has delivered all matching events up to this one */
};

static struct stream *waiting;

static void take_turn(struct sim_event *event);

/* --- connections --- */

static void connect_again(struct client *c)
{
    if (workload_ended()) {
        free(c);
        return;
    }
    if (c->present && rng_chance(300000)) {
        c->has_position = false; /* a restarted client */
    }
    struct stream *s = mem_zalloc(1, sizeof *s);
    s->client = c;
    s->member = &members[rng_below(members_count)];
    s->event.run = take_turn;
    s->event.drop = take_turn;
    world_at(&s->event, rng_between(100 * US, 300 * MS), s->member);
}

static void disconnect(struct stream *s)
{
    struct client *c = s->client;
    event_cursor_done(&s->cursor);
    free(s);
    connect_again(c);
}

static void turn_later(struct stream *s, uint64_t least_ns, uint64_t most_ns)
{
    s->event.run = take_turn;
    s->event.drop = take_turn;
    world_at(&s->event, rng_between(least_ns, most_ns), s->member);
}

static void read_done(struct node_read *read, enum status status)
{
    struct stream *s = CONTAINER_OF(read, struct stream, read);
    if (s->abandoned) {
        event_cursor_done(&s->cursor);
        free(s);
        return;
    }
    *s->link = s->next;
    if (s->next != NULL) {
        s->next->link = s->link;
    }
    world_hash((uint64_t)status << 8 | (uint64_t)read->changed);
    if (status != ST_OK || rng_chance(100000)) {
        disconnect(s);
    } else {
        turn_later(s, 100 * US, 2 * MS);
    }
}

/* For a proof, or for a change after an index. */
static void wait_for(struct stream *s, bool proof, uint64_t index)
{
    bool passed;
    s->read = (struct node_read){.done = read_done,
                                 .linearizable = proof,
                                 .watch = NODE_WATCH_CHANGED,
                                 .after_index = index};
    if (!proof) {
        s->read.deadline_ms = clock_monotonic_ms() + 3000;
    }
    if (node_read(s->member->node, &s->read, &passed) != ST_OK) {
        disconnect(s);
        return;
    }
    if (passed) {
        turn_later(s, 100 * US, 2 * MS);
        return;
    }
    s->next = waiting;
    s->link = &waiting;
    if (waiting != NULL) {
        waiting->link = &s->next;
    }
    waiting = s;
}

void streams_member_died(struct sim_member *m)
{
    for (struct stream *s = waiting; s != NULL;) {
        struct stream *next = s->next;
        if (s->member == m) {
            *s->link = s->next;
            if (s->next != NULL) {
                s->next->link = s->link;
            }
            s->abandoned = true; /* freed when the member's memory is freed */
            connect_again(s->client);
        }
        s = next;
    }
}

/* --- deliveries --- */

static bool wants(const struct client *c, const struct oracle_event *e)
{
    return workload_is_apart(e->instance) == c->is_apart &&
           (c->service[0] == '\0' || strcmp(c->service, e->service) == 0);
}

/* No matching event before `sequence` was skipped. */
static void check_no_gap(struct stream *s, uint64_t sequence)
{
    for (uint64_t i = s->told + 1; i < sequence; i++) {
        const struct oracle_event *oracle = oracle_event(i);
        if (oracle == NULL || wants(s->client, oracle)) {
            world_violation("streams_are_exact", "member %" PRIu64 " leaves event %" PRIu64 " out",
                            s->member->id, i);
        }
    }
}

static unsigned number_of(const struct record *record)
{
    return workload_number_of(record) % INSTANCES;
}

static const char *space_of(const struct client *c)
{
    return c->is_apart ? NAMESPACE : "";
}

static uint64_t copy_hash(const struct record *record)
{
    return record_hash(record) | 1;
}

static void hear_event(struct stream *s, const struct event *event)
{
    struct client *c = s->client;
    const struct oracle_event *oracle = oracle_event(event->sequence);
    figures.events_streamed++;
    if (oracle == NULL || event->sequence <= s->told || !wants(c, oracle) ||
        oracle_event_hash(event) != oracle->hash) {
        world_violation("streams_are_exact",
                        "member %" PRIu64 " tells event %" PRIu64 " after %" PRIu64, s->member->id,
                        event->sequence, s->told);
    }
    bool gone = event->type == EVENT_DEREGISTERED || event->type == EVENT_REAPED;
    c->copy[number_of(event->record)] = gone ? 0 : copy_hash(event->record);
    if (!s->cursor.presenting) {
        check_no_gap(s, event->sequence);
        c->position = event_id_of(event);
        c->has_position = true;
        c->last = event->sequence;
    }
    s->told = event->sequence;
}

/* The copy must equal a listing. */
static void check_copy(const struct stream *s, const struct view *view)
{
    const struct client *c = s->client;
    uint64_t listed[INSTANCES] = {0};
    struct ptree_iterator it;
    ptree_iterate(&it, &view->instances, 0);
    for (const struct record *record; (record = ptree_next(&it)) != NULL;) {
        if (namespace_has(space_of(c), record_id(record)) &&
            (c->service[0] == '\0' || strcmp(c->service, record_name(record)) == 0)) {
            listed[number_of(record)] = copy_hash(record);
        }
    }
    figures.checks++;
    for (unsigned i = 0; i < INSTANCES; i++) {
        if (listed[i] != c->copy[i]) {
            world_violation("copies_equal_listings",
                            "i%u is %s at member %" PRIu64 " in entry %" PRIu64, i,
                            listed[i] == 0    ? "gone"
                            : c->copy[i] == 0 ? "there"
                                              : "another",
                            s->member->id, view->index);
        }
    }
}

/* Everything up to this view was delivered. */
static void hear_all(struct stream *s, const struct view *view)
{
    struct client *c = s->client;
    check_no_gap(s, view->events_last + 1);
    s->told = c->last = view->events_last;
    c->has_position = event_cursor_id(&s->cursor, view, &c->position);
    if (c->whole) {
        check_copy(s, view);
    }
}

static void hear_reset(struct stream *s, const struct view *view)
{
    struct client *c = s->client;
    if (s->told > 0 && view->events_first <= s->told) {
        world_violation("streams_are_exact",
                        "member %" PRIu64 " starts over, though it has event %" PRIu64,
                        s->member->id, s->told);
    }
    s->told = c->last = view->events_last;
    c->whole = c->has_position = false;
    memset(c->copy, 0, sizeof c->copy);
}

/* False if there is nothing more now. */
static bool hear_next(struct stream *s, const struct view *view)
{
    struct event_item item = event_cursor_next(&s->cursor, view);
    figures.checks++;
    switch (item.kind) {
    case ITEM_EVENT:
        hear_event(s, item.event);
        return true;
    case ITEM_PRESENT:
        s->client->copy[number_of(item.record)] = copy_hash(item.record);
        return true;
    case ITEM_PRESENTED:
        s->client->whole = true;
        s->told = view->events_last;
        hear_all(s, view);
        return true;
    case ITEM_RESET:
        hear_reset(s, view);
        return true;
    case ITEM_NOTHING:
        hear_all(s, view);
        break;
    }
    return false;
}

/* --- turns --- */

static void begin(struct stream *s, const struct view *view)
{
    struct client *c = s->client;
    struct event_filter filter = {.events = EVENT_FILTER_ALL};
    if (c->service[0] != '\0') {
        filter.service = mem_strdup(c->service);
    }
    filter.space = c->is_apart ? mem_strdup(NAMESPACE) : NULL;
    s->begun = true;
    if (!c->has_position) {
        memset(c->copy, 0, sizeof c->copy);
        c->whole = false;
        s->told = view->events_last;
        event_cursor_begin(&s->cursor, &filter, c->present, view);
        return;
    }
    const struct oracle_event *next = oracle_event(c->last + 1);
    if (mutant_is(MUTANT_event_lost) && next != NULL) {
        c->position = (struct event_id){.index = next->index, .position = next->position};
    }
    s->told = c->last;
    event_cursor_resume(&s->cursor, &filter, c->present, c->position, view);
}

enum turn { TURN_PROVE, TURN_WAIT, TURN_GO_ON };

/* Returns what to do when this view is exhausted. */
static enum turn hear(struct stream *s, const struct view *view)
{
    const struct client *c = s->client;
    if (!s->begun && c->has_position && c->position.index > view->index && !s->proven) {
        s->proven = true;
        return TURN_PROVE; /* the member is behind, as far as it knows */
    }
    if (!s->begun) {
        begin(s, view);
    }
    for (uint64_t left = rng_between(1, TURN_MOST); hear_next(s, view); left--) {
        if (left == 0) {
            return TURN_GO_ON;
        }
    }
    return TURN_WAIT;
}

static void take_turn(struct sim_event *event)
{
    struct stream *s = CONTAINER_OF(event, struct stream, event);
    if (member_current == NULL || !member_serves(s->member) || workload_ended()) {
        disconnect(s);
        return;
    }
    const struct view *view = node_view_lock(s->member->node);
    enum turn turn = hear(s, view);
    uint64_t index = view->changed_index;
    view_unlock(&view);
    switch (turn) {
    case TURN_PROVE:
        wait_for(s, true, 0);
        break;
    case TURN_WAIT:
        wait_for(s, false, index);
        break;
    case TURN_GO_ON:
        turn_later(s, 100 * US, 50 * MS);
        break;
    }
}

void streams_start(void)
{
    for (unsigned i = 0; i < STREAMS; i++) {
        struct client *c = mem_zalloc(1, sizeof *c);
        c->is_apart = i % 3 == 2;
        if (rng_chance(500000)) {
            unsigned number = (unsigned)rng_below(SERVICES) % 10;
            (void)snprintf(c->service, sizeof c->service,
                           c->is_apart ? "\x1f" NAMESPACE "\x1fs%u" : "s%u", number);
        }
        c->present = rng_chance(500000);
        connect_again(c);
    }
}
