/* A cursor over the event history, as a stream reads it: every event after a given id that matches
 * a filter, once and in order; or first all present instances, then the changes to them. Every
 * replica gives the same sequence after the same id.
 *
 * Present instances are given in order of id, in batches, each from the view of that moment.
 * Between two batches come only events of instances already given (the watermarks of Netflix's
 * DBLog, arXiv 2010.12597, with views in place of a log). So at any moment the client knows exactly
 * what the view says of all ids up to the last one given, and nothing is kept for a reader, however
 * slow.
 *
 * Thread: one at a time, inside an RCU read-side critical section where a view is passed.
 * Owns: its texts. */
#ifndef MUSTER_NODE_EVENT_CURSOR_H
#define MUSTER_NODE_EVENT_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/compiler.h"
#include "server/registry/view.h"

/* The same on every replica. */
struct event_id {
    uint64_t index;    /* of the log entry */
    uint32_t position; /* among the events of that entry */
};
struct event_id event_id_of(const struct event *event);
/* Negative, 0 or positive, as strcmp(). */
int event_id_compare(struct event_id a, struct event_id b);

struct event_filter {
    char *service; /* NULL: any; likewise the next two */
    char *type;
    char *id;
    char *space; /* the namespace; NULL: `default`. The service and the id are as they are stored */
    unsigned events; /* a bit for each enum event_type */
};
#define EVENT_FILTER_ALL ((1u << EVENT_TYPES) - 1)

bool event_filter_matches(const struct event_filter *filter, const struct event *event);

struct event_cursor {
    /* read-only for the caller */
    struct event_filter filter;
    uint64_t next;   /* sequence of the first event not read yet */
    bool presenting; /* present instances are being given */
    /* private */
    bool present;  /* present instances come first, and again after a reset */
    bool lost;     /* the next item is a reset */
    char *last_id; /* of the last instance given; NULL: none yet */
};

enum event_item_kind {
    ITEM_NOTHING,   /* nothing new in this view */
    ITEM_EVENT,     /* .event */
    ITEM_PRESENT,   /* .record is present */
    ITEM_PRESENTED, /* all present instances have been given, as of this view */
    ITEM_RESET,     /* events in between are lost; the cursor goes on from this view */
};
struct event_item {
    enum event_item_kind kind;
    const struct event *event;
    const struct record *record;
};

/* Takes the filter's texts (from malloc). Starts at the view: only later events follow. With
 * `present`, all present instances come first. */
void event_cursor_begin(struct event_cursor *cursor, const struct event_filter *filter,
                        bool present, const struct view *view);
/* Starts after `after` instead. If some events after it are no longer kept, the first item is
 * ITEM_RESET, followed by the present instances with `present`. */
void event_cursor_resume(struct event_cursor *cursor, const struct event_filter *filter,
                         bool present, struct event_id after, const struct view *view);
void event_cursor_done(struct event_cursor *cursor);

/* The next item. It points into the view. */
struct event_item event_cursor_next(struct event_cursor *cursor, const struct view *view);
/* Whether the event is still to come and matches. Not valid while presenting. */
bool event_cursor_awaits(const struct event_cursor *cursor, const struct event *event);
/* Skips all events up to this one: the caller has checked that none matches. */
void event_cursor_pass(struct event_cursor *cursor, uint64_t sequence);
/* The id of the last event read, 0.0 before the first ever: resuming after it continues from here.
 * False while presenting. */
MUST_USE bool event_cursor_id(const struct event_cursor *cursor, const struct view *view,
                              struct event_id *ret_id);

/* The first kept sequence whose event is after `after`. */
uint64_t event_cursor_first_after(const struct view *view, struct event_id after);
/* Whether events after `after` may be lost. */
bool event_cursor_is_lost(const struct view *view, struct event_id after);

#endif
