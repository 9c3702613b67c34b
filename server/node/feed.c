#include "server/node/feed.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

struct position position_of(const struct event *event)
{
    return (struct position){.index = event->index, .place = event->position};
}

int position_compare(struct position a, struct position b)
{
    if (a.index != b.index) {
        return a.index < b.index ? -1 : 1;
    }
    return (a.place > b.place) - (a.place < b.place);
}

/* --- the filter --- */

static bool takes_record(const struct feed_filter *filter, const struct record *record)
{
    return (filter->service == NULL || strcmp(filter->service, record_name(record)) == 0) &&
           (filter->type == NULL || strcmp(filter->type, record_type(record)) == 0) &&
           (filter->id == NULL || strcmp(filter->id, record_id(record)) == 0);
}

bool feed_filter_takes(const struct feed_filter *filter, const struct event *event)
{
    return (filter->events & 1u << event->type) != 0 && takes_record(filter, event->record);
}

/* --- where to begin --- */

uint64_t feed_first_behind(const struct view *view, struct position after)
{
    uint64_t low = view->events_first, high = view->events_last + 1;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const struct event *event = view_event(view, middle);
        /* One that is dropped while we look is before all that are kept. */
        if (event == NULL || position_compare(position_of(event), after) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool feed_is_lost(const struct view *view, struct position after)
{
    /* Of those dropped it is not known whether they were before it. */
    return view->events_first > 1 && feed_first_behind(view, after) == view->events_first;
}

static void begin(struct feed *feed, const struct feed_filter *filter, bool present)
{
    *feed = (struct feed){.filter = *filter, .present = present};
}

void feed_begin(struct feed *feed, const struct feed_filter *filter, bool present,
                const struct view *view)
{
    begin(feed, filter, present);
    feed->presenting = present;
    feed->next = view->events_last + 1;
}

void feed_resume(struct feed *feed, const struct feed_filter *filter, bool present,
                 struct position after, const struct view *view)
{
    /* Nothing can be behind what no replica has applied. */
    bool lost = feed_is_lost(view, after) || after.index > view->index;
    begin(feed, filter, present);
    feed->lost = lost;
    feed->next = lost ? view->events_last + 1 : feed_first_behind(view, after);
}

void feed_done(struct feed *feed)
{
    free(feed->filter.service);
    free(feed->filter.type);
    free(feed->filter.id);
    free(feed->cursor);
    *feed = (struct feed){.next = 0};
}

/* --- going on --- */

/* Of those presented, or all. */
static bool is_due(const struct feed *feed, const struct event *event)
{
    if (!feed->presenting) {
        return feed_filter_takes(&feed->filter, event);
    }
    return feed->cursor != NULL && strcmp(record_id(event->record), feed->cursor) <= 0 &&
           feed_filter_takes(&feed->filter, event);
}

static const struct event *next_event(struct feed *feed, const struct view *view)
{
    while (feed->next <= view->events_last) {
        const struct event *event = view_event(view, feed->next);
        if (event == NULL) {
            feed->lost = true; /* dropped since the view was made */
            return NULL;
        }
        feed->next++;
        if (is_due(feed, event)) {
            return event;
        }
    }
    return NULL;
}

static const struct record *next_instance(const struct feed *feed, const struct view *view)
{
    const struct feed_filter *filter = &feed->filter;
    const struct ptree *instances = &view->instances;
    struct ptree_iterator it;
    if (filter->id != NULL) {
        const struct record *record = feed->cursor == NULL ? view_instance(view, filter->id) : NULL;
        return record != NULL && takes_record(filter, record) ? record : NULL;
    }
    if (filter->service != NULL) {
        const struct service_view *service = view_service(view, filter->service);
        if (service == NULL) {
            return NULL;
        }
        instances = &service->instances;
    }
    ptree_iterate(&it, instances,
                  feed->cursor != NULL ? view_rank_after(view, instances, feed->cursor) : 0);
    for (const struct record *record; (record = ptree_next(&it)) != NULL;) {
        if (takes_record(filter, record)) {
            return record;
        }
    }
    return NULL;
}

static struct feed_item present(struct feed *feed, const struct view *view)
{
    const struct record *record = next_instance(feed, view);
    free(feed->cursor);
    feed->cursor = NULL;
    if (record == NULL) {
        feed->presenting = false;
        return (struct feed_item){.kind = FEED_PRESENTED};
    }
    feed->cursor = mem_strdup(record_id(record));
    return (struct feed_item){.kind = FEED_PRESENT, .record = record};
}

static struct feed_item reset(struct feed *feed, const struct view *view)
{
    feed->lost = false;
    feed->presenting = feed->present;
    feed->next = view->events_last + 1;
    free(feed->cursor);
    feed->cursor = NULL;
    return (struct feed_item){.kind = FEED_RESET};
}

struct feed_item feed_next(struct feed *feed, const struct view *view)
{
    if (feed->lost || feed->next < view->events_first) {
        return reset(feed, view);
    }
    const struct event *event = next_event(feed, view);
    if (event != NULL) {
        return (struct feed_item){.kind = FEED_EVENT, .event = event, .record = event->record};
    }
    if (feed->lost) {
        return reset(feed, view);
    }
    if (feed->presenting) {
        return present(feed, view);
    }
    return (struct feed_item){.kind = FEED_NOTHING};
}

bool feed_awaits(const struct feed *feed, const struct event *event)
{
    return event->sequence >= feed->next && feed_filter_takes(&feed->filter, event);
}

void feed_pass(struct feed *feed, uint64_t sequence)
{
    if (!feed->presenting && !feed->lost && feed->next <= sequence) {
        feed->next = sequence + 1;
    }
}

bool feed_position(const struct feed *feed, const struct view *view, struct position *ret_position)
{
    if (feed->presenting || feed->lost) {
        return false;
    }
    if (feed->next <= 1) {
        *ret_position = (struct position){.index = 0}; /* before all that will ever happen */
        return true;
    }
    const struct event *event = view_event(view, feed->next - 1);
    if (event == NULL) {
        return false;
    }
    *ret_position = position_of(event);
    return true;
}
