/* A cursor over the history of events, as a stream shows it: what is behind a position and matches
 * a filter, each event once and in order; or first every instance that is there, then what changes.
 * Any replica gives the same from the same position.
 *
 * Instances are presented in order of id, a part at a time, each part from the view of that moment
 * (the watermarks of Netflix's DBLog, arXiv 2010.12597, on views instead of a log): between two
 * parts come the events of those presented already, and only of those. So at any moment the
 * client knows exactly what the view says of the ids up to the last one presented; nothing is held
 * for a reader, however slow.
 *
 * Thread: one at a time, within a read-side critical section where a view is given.
 * Owns: its texts. */
#ifndef MUSTER_NODE_FEED_H
#define MUSTER_NODE_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/compiler.h"
#include "server/registry/view.h"

/* Where an event stands in the log: the same on every replica. */
struct position {
    uint64_t index;
    uint32_t place; /* among the events of the entry */
};
struct position position_of(const struct event *event);
/* Below, at or above 0 as a is before, at or behind b. */
int position_compare(struct position a, struct position b);

struct feed_filter {
    char *service; /* NULL: any; the same for the others */
    char *type;
    char *id;
    unsigned events; /* a bit for each enum event_type */
};
#define FEED_EVENTS_ALL ((1u << EVENT_TYPES) - 1)

/* Whether an event passes. */
bool feed_filter_takes(const struct feed_filter *filter, const struct event *event);

struct feed {
    /* for all to read */
    struct feed_filter filter;
    uint64_t next;   /* sequence of the first event not looked at */
    bool presenting; /* instances */
    /* private */
    bool present; /* instances come first, after a reset again */
    bool lost;    /* a reset is due */
    char *cursor; /* id of the last instance presented; NULL: of none yet */
};

enum feed_kind {
    FEED_NOTHING,   /* nothing new in this view */
    FEED_EVENT,     /* .event */
    FEED_PRESENT,   /* .record is there */
    FEED_PRESENTED, /* all instances have been presented, as of this view */
    FEED_RESET,     /* events in between are gone; the feed goes on from this view */
};
struct feed_item {
    enum feed_kind kind;
    const struct event *event;
    const struct record *record;
};

/* Takes the filter's texts (from malloc). Begins at the view: later events follow. With
 * `present` every instance that is there comes first. */
void feed_begin(struct feed *feed, const struct feed_filter *filter, bool present,
                const struct view *view);
/* Begins behind `after` instead. When the events behind it are not all there any more, the first
 * item is FEED_RESET, followed by the instances with `present`. */
void feed_resume(struct feed *feed, const struct feed_filter *filter, bool present,
                 struct position after, const struct view *view);
void feed_done(struct feed *feed);

/* The next item. What it points to is the view's. */
struct feed_item feed_next(struct feed *feed, const struct view *view);
/* Whether the event is one that the feed has still to tell; not while it presents instances. */
bool feed_awaits(const struct feed *feed, const struct event *event);
/* The caller has looked at all events up to this one for the feed, and none passes. */
void feed_pass(struct feed *feed, uint64_t sequence);
/* The last event looked at, 0.0 before the first ever: to resume behind it gives what comes next
 * here. False while instances are presented. */
MUST_USE bool feed_position(const struct feed *feed, const struct view *view,
                            struct position *ret_position);

/* The first sequence kept whose event is behind `after`. */
uint64_t feed_first_behind(const struct view *view, struct position after);
/* Whether events behind `after` may be gone. */
bool feed_is_lost(const struct view *view, struct position after);

#endif
