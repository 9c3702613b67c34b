#include "server/node/event_cursor.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

struct event_id event_id_of(const struct event *event)
{
    return (struct event_id){.index = event->index, .position = event->position};
}

int event_id_compare(struct event_id a, struct event_id b)
{
    if (a.index != b.index) {
        return a.index < b.index ? -1 : 1;
    }
    return (a.position > b.position) - (a.position < b.position);
}

/* --- the filter --- */

static const char *space_of(const struct event_filter *filter)
{
    return filter->space != NULL ? filter->space : "";
}

static bool takes_record(const struct event_filter *filter, const struct record *record)
{
    return namespace_has(space_of(filter), record_id(record)) &&
           (filter->service == NULL || strcmp(filter->service, record_name(record)) == 0) &&
           (filter->type == NULL || strcmp(filter->type, record_type(record)) == 0) &&
           (filter->id == NULL || strcmp(filter->id, record_id(record)) == 0);
}

bool event_filter_matches(const struct event_filter *filter, const struct event *event)
{
    return (filter->events & 1u << event->type) != 0 && takes_record(filter, event->record);
}

/* --- where to start --- */

uint64_t event_cursor_first_after(const struct view *view, struct event_id after)
{
    uint64_t low = view->events_first, high = view->events_last + 1;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const struct event *event = view_event(view, middle);
        /* One that is dropped during the search is before all that are kept. */
        if (event == NULL || event_id_compare(event_id_of(event), after) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool event_cursor_is_lost(const struct view *view, struct event_id after)
{
    /* Dropped events may have been after it. */
    return view->events_first > 1 && event_cursor_first_after(view, after) == view->events_first;
}

static void begin(struct event_cursor *cursor, const struct event_filter *filter, bool present)
{
    *cursor = (struct event_cursor){.filter = *filter, .present = present};
}

void event_cursor_begin(struct event_cursor *cursor, const struct event_filter *filter,
                        bool present, const struct view *view)
{
    begin(cursor, filter, present);
    cursor->presenting = present;
    cursor->next = view->events_last + 1;
}

void event_cursor_resume(struct event_cursor *cursor, const struct event_filter *filter,
                         bool present, struct event_id after, const struct view *view)
{
    /* The caller has caught up with the leader: the log has no such index. */
    bool lost = event_cursor_is_lost(view, after) || after.index > view->index;
    begin(cursor, filter, present);
    cursor->lost = lost;
    cursor->next = lost ? view->events_last + 1 : event_cursor_first_after(view, after);
}

void event_cursor_done(struct event_cursor *cursor)
{
    free(cursor->filter.service);
    free(cursor->filter.type);
    free(cursor->filter.id);
    free(cursor->filter.space);
    free(cursor->last_id);
    *cursor = (struct event_cursor){.next = 0};
}

/* --- continuing --- */

/* While presenting, only events of instances already given. */
static bool is_due(const struct event_cursor *cursor, const struct event *event)
{
    if (!cursor->presenting) {
        return event_filter_matches(&cursor->filter, event);
    }
    return cursor->last_id != NULL && strcmp(record_id(event->record), cursor->last_id) <= 0 &&
           event_filter_matches(&cursor->filter, event);
}

static const struct event *next_event(struct event_cursor *cursor, const struct view *view)
{
    while (cursor->next <= view->events_last) {
        const struct event *event = view_event(view, cursor->next);
        if (event == NULL) {
            cursor->lost = true; /* dropped since the view was made */
            return NULL;
        }
        cursor->next++;
        if (is_due(cursor, event)) {
            return event;
        }
    }
    return NULL;
}

static const struct record *next_instance(const struct event_cursor *cursor,
                                          const struct view *view)
{
    const struct event_filter *filter = &cursor->filter;
    const struct ptree *instances = &view->instances;
    struct ptree_iterator it;
    if (filter->id != NULL) {
        const struct record *record =
            cursor->last_id == NULL ? view_instance(view, filter->id) : NULL;
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
                  cursor->last_id != NULL
                      ? view_rank_after(view, instances, cursor->last_id)
                      : view_rank_of_namespace(view, instances, space_of(filter)));
    for (const struct record *record; (record = ptree_next(&it)) != NULL &&
                                      namespace_has(space_of(filter), record_id(record));) {
        if (takes_record(filter, record)) {
            return record;
        }
    }
    return NULL;
}

static struct event_item present(struct event_cursor *cursor, const struct view *view)
{
    const struct record *record = next_instance(cursor, view);
    free(cursor->last_id);
    cursor->last_id = NULL;
    if (record == NULL) {
        cursor->presenting = false;
        return (struct event_item){.kind = ITEM_PRESENTED};
    }
    cursor->last_id = mem_strdup(record_id(record));
    return (struct event_item){.kind = ITEM_PRESENT, .record = record};
}

static struct event_item reset(struct event_cursor *cursor, const struct view *view)
{
    cursor->lost = false;
    cursor->presenting = cursor->present;
    cursor->next = view->events_last + 1;
    free(cursor->last_id);
    cursor->last_id = NULL;
    return (struct event_item){.kind = ITEM_RESET};
}

struct event_item event_cursor_next(struct event_cursor *cursor, const struct view *view)
{
    if (cursor->lost || cursor->next < view->events_first) {
        return reset(cursor, view);
    }
    const struct event *event = next_event(cursor, view);
    if (event != NULL) {
        return (struct event_item){.kind = ITEM_EVENT, .event = event, .record = event->record};
    }
    if (cursor->lost) {
        return reset(cursor, view);
    }
    if (cursor->presenting) {
        return present(cursor, view);
    }
    return (struct event_item){.kind = ITEM_NOTHING};
}

bool event_cursor_awaits(const struct event_cursor *cursor, const struct event *event)
{
    return event->sequence >= cursor->next && event_filter_matches(&cursor->filter, event);
}

void event_cursor_pass(struct event_cursor *cursor, uint64_t sequence)
{
    if (!cursor->presenting && !cursor->lost && cursor->next <= sequence) {
        cursor->next = sequence + 1;
    }
}

bool event_cursor_id(const struct event_cursor *cursor, const struct view *view,
                     struct event_id *ret_id)
{
    if (cursor->presenting || cursor->lost) {
        return false;
    }
    if (cursor->next <= 1) {
        *ret_id = (struct event_id){.index = 0}; /* before the first event ever */
        return true;
    }
    const struct event *event = view_event(view, cursor->next - 1);
    if (event == NULL) {
        return false;
    }
    *ret_id = event_id_of(event);
    return true;
}
