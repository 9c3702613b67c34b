/* Watch: a snapshot, Synced, then events; Reset where the past that was asked for is gone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <registry.pb-c.h>

#include "api/core/event_id.h"
#include "api/grpc/handlers.h"
#include "api/grpc/instance.h"
#include "api/http/stream.h"
#include "server/base/check.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

/* Above the position in an entry, a place has the cluster (api/core/event_id.h). */
#define PLACE_CLUSTER_SHIFT 32

/* Owns: the arena that its filter borrows from. */
struct watcher {
    struct stream stream;
    struct node *node;
    struct principal principal; /* who watches: what he may see is asked again for each piece */
    struct arena arena;
    struct filter filter;
    struct buffer rest; /* of a message that was too long for the last piece */
    size_t rest_at;
    size_t split; /* bytes that are left of a message of which part is written */
};

static struct watcher *of_stream(const struct stream *stream)
{
    return CONTAINER_OF(stream, struct watcher, stream);
}

static void free_stream(struct stream *stream)
{
    struct watcher *w = of_stream(stream);
    event_cursor_done(&stream->subscription.cursor);
    arena_done(&w->arena);
    buffer_done(&w->rest);
    free(w);
}

/* --- messages --- */

static void set_position(const struct watcher *w, Muster__V1__Position *out, struct event_id id)
{
    muster__v1__position__init(out);
    out->index = id.index;
    out->place = (uint64_t)event_id_cluster(w->node) << PLACE_CLUSTER_SHIFT | id.position;
}

/* Where the cursor is; NULL while instances are being given. */
static Muster__V1__Position *position(const struct watcher *w, const struct view *view,
                                      Muster__V1__Position *room)
{
    struct event_id id;
    if (!event_cursor_id(&w->stream.subscription.cursor, view, &id)) {
        return NULL;
    }
    set_position(w, room, id);
    return room;
}

static void put_reply(struct watcher *w, Muster__V1__WatchReply__WhatCase what,
                      ProtobufCMessage *message)
{
    Muster__V1__WatchReply reply = MUSTER__V1__WATCH_REPLY__INIT;
    reply.what_case = what;
    reply.event = (Muster__V1__Event *)(void *)message; /* one of a union */
    frame_put(&w->rest, &reply.base);
}

static void put_event(struct watcher *w, const struct event *event)
{
    static const Muster__V1__Event__Type types[] = {
        [EVENT_REGISTERED] = MUSTER__V1__EVENT__TYPE__REGISTERED,
        [EVENT_UPDATED] = MUSTER__V1__EVENT__TYPE__UPDATED,
        [EVENT_DEREGISTERED] = MUSTER__V1__EVENT__TYPE__DEREGISTERED,
        [EVENT_EXPIRED] = MUSTER__V1__EVENT__TYPE__EXPIRED,
        [EVENT_RECOVERED] = MUSTER__V1__EVENT__TYPE__RECOVERED,
        [EVENT_REAPED] = MUSTER__V1__EVENT__TYPE__REAPED,
        [EVENT_HEALTH] = MUSTER__V1__EVENT__TYPE__STATUS,
        [EVENT_MAINTENANCE] = MUSTER__V1__EVENT__TYPE__MAINTENANCE};
    static_assert(ARRAY_LENGTH(types) == EVENT_TYPES, "each has one");
    Muster__V1__Event message = MUSTER__V1__EVENT__INIT;
    Muster__V1__Position place;
    struct instance_out out;
    set_position(w, &place, event_id_of(event));
    instance_make(&out, event->record);
    message.type = types[event->type];
    message.unix_ms = event->wall_ms;
    message.position = &place;
    message.instance = &out.message;
    put_reply(w, MUSTER__V1__WATCH_REPLY__WHAT_EVENT, &message.base);
}

static void put_present(struct watcher *w, const struct record *record)
{
    Muster__V1__Event message = MUSTER__V1__EVENT__INIT;
    struct instance_out out;
    instance_make(&out, record);
    message.type = MUSTER__V1__EVENT__TYPE__PRESENT;
    message.instance = &out.message;
    put_reply(w, MUSTER__V1__WATCH_REPLY__WHAT_EVENT, &message.base);
}

static void put_alive(struct watcher *w, const struct view *view)
{
    Muster__V1__Alive message = MUSTER__V1__ALIVE__INIT;
    Muster__V1__Position room;
    message.position = position(w, view, &room);
    put_reply(w, MUSTER__V1__WATCH_REPLY__WHAT_ALIVE, &message.base);
}

/* A change is told of whatever the health is after it: who watches must see what goes. */
static bool is_wanted(const struct watcher *w, const struct viewer *viewer,
                      const struct record *record, bool present)
{
    struct filter filter = w->filter;
    filter.health = present ? filter.health : FILTER_ANY_HEALTH;
    return viewer_may(viewer, record_name(record)) && filter_match(&filter, record);
}

/* False when there is nothing more. */
static bool put_item(struct watcher *w, const struct view *view, const struct viewer *viewer)
{
    struct event_item item = event_cursor_next(&w->stream.subscription.cursor, view);
    Muster__V1__Synced synced = MUSTER__V1__SYNCED__INIT;
    Muster__V1__Reset reset = MUSTER__V1__RESET__INIT;
    Muster__V1__Position room;
    switch (item.kind) {
    case ITEM_NOTHING:
        return false;
    case ITEM_EVENT:
        if (is_wanted(w, viewer, item.event->record, false)) {
            metric_add(METRIC_stream_events_total, 1);
            put_event(w, item.event);
        }
        break;
    case ITEM_PRESENT:
        if (is_wanted(w, viewer, item.record, true)) {
            metric_add(METRIC_stream_events_total, 1);
            put_present(w, item.record);
        }
        break;
    case ITEM_PRESENTED:
        synced.position = position(w, view, &room);
        put_reply(w, MUSTER__V1__WATCH_REPLY__WHAT_SYNCED, &synced.base);
        break;
    case ITEM_RESET:
        metric_add(METRIC_stream_resets_total, 1);
        reset.position = position(w, view, &room);
        put_reply(w, MUSTER__V1__WATCH_REPLY__WHAT_RESET, &reset.base);
        break;
    }
    return true;
}

/* --- pieces --- */

/* How much of what is there is written: whole messages, or part of one that is too long for that.
 */
static size_t portion(struct watcher *w, size_t max)
{
    size_t len = w->split < max ? w->split : max;
    w->split -= len;
    while (w->split == 0 && w->rest_at + len < w->rest.len) {
        const uint8_t *bytes = w->rest.data + w->rest_at + len;
        const uint8_t *message;
        size_t message_len;
        CHECK(frame_scan(bytes, w->rest.len - w->rest_at - len, SIZE_MAX, &message, &message_len) ==
              FRAME_WHOLE);
        size_t framed = (size_t)(message - bytes) + message_len;
        if (framed <= max - len) {
            len += framed;
            continue;
        }
        w->stream.wants_room = len == 0 && framed <= w->stream.whole_bytes;
        if (len == 0 && !w->stream.wants_room) {
            w->split = framed - max;
            len = max;
        }
        break;
    }
    return len;
}

/* Moves what there is room for; returns how much. */
static size_t move(struct watcher *w, char *out, size_t max)
{
    w->stream.wants_room = false;
    size_t now = buffer_read(&w->rest, &w->rest_at, out, portion(w, max));
    w->stream.is_split = w->split > 0;
    if (w->rest_at == w->rest.len) {
        buffer_done(&w->rest); /* there may be thousands of watchers */
        w->rest_at = 0;
    }
    return now;
}

static void fill(struct watcher *w, const struct view *view, size_t wanted)
{
    const struct viewer viewer = principal_viewer(&w->principal, view, PERMISSION_EVENTS);
    if (w->stream.subscription.remind) {
        w->stream.subscription.remind = false;
        put_alive(w, view);
    }
    while (w->rest.len < wanted && put_item(w, view, &viewer)) {
    }
    CHECK(!w->rest.overflowed); /* an event is shorter than its text */
}

static size_t read_piece(struct stream *stream, char *out, size_t max)
{
    struct watcher *w = of_stream(stream);
    if (w->rest_at == w->rest.len && !stream->subscription.closed) {
        const struct view *view = node_view_lock(w->node);
        if (principal_may(&w->principal, view, PERMISSION_EVENTS, NULL) == ST_OK) {
            fill(w, view, max);
        } else {
            stream->subscription.closed = true; /* his token is gone */
        }
        view_unlock(&view);
    }
    return move(w, out, max);
}

static void describe(const struct stream *stream, char *out, size_t size)
{
    const struct watcher *w = CONTAINER_OF(stream, const struct watcher, stream);
    struct event_id id;
    char text[EVENT_ID_SIZE] = "";
    const struct view *view = node_view_lock(w->node);
    if (event_cursor_id(&stream->subscription.cursor, view, &id)) {
        event_id_format(id, event_id_cluster(w->node), text);
    }
    view_unlock(&view);
    (void)snprintf(out, size, "%s", text);
}

static const struct stream_kind watch_stream = {
    .read = read_piece, .describe = describe, .free = free_stream};

/* --- the call --- */

/* A copy that is its own; NULL of none. */
static char *copy(const char *text)
{
    return text != NULL && text[0] != '\0' ? mem_strdup(text) : NULL;
}

static struct event_id resume_id(const struct exchange *x, const Muster__V1__Position *after)
{
    uint32_t own = event_id_cluster(x->context->node);
    uint64_t cluster = after->place >> PLACE_CLUSTER_SHIFT;
    bool foreign = cluster != 0 && own != 0 && cluster != own;
    return (struct event_id){foreign ? UINT64_MAX : after->index, /* no log goes so far: a reset */
                             (uint32_t)after->place};
}

/* Whether this replica may lag behind the one that the client comes from. */
static bool is_ahead(const struct exchange *x, const Muster__V1__Position *after,
                     const struct view *view)
{
    struct event_id id = after != NULL ? resume_id(x, after) : (struct event_id){0, 0};
    return id.index != UINT64_MAX && id.index > view->index && !x->proven && !x->late;
}

static void begin_watch(struct exchange *x, struct call_state *s, const struct filter *filter,
                        const char *stored, const struct view *view)
{
    const Muster__V1__WatchRequest *request = (const void *)s->message;
    struct watcher *w = mem_zalloc(1, sizeof *w);
    const struct event_filter events = {.service = copy(stored),
                                        .type = NULL,
                                        .space = copy(permit_space(&x->permit)),
                                        .events = EVENT_FILTER_ALL};
    struct event_cursor *cursor = &w->stream.subscription.cursor;
    w->stream.kind = &watch_stream;
    w->node = x->context->node;
    w->principal = x->permit.principal;
    w->filter = *filter;
    w->arena = s->arena;
    s->arena = (struct arena){.blocks = NULL};
    buffer_init(&w->rest, 2 * EVENT_TEXT_BYTES_MAX);
    if (request->after != NULL) {
        event_cursor_resume(cursor, &events, true, resume_id(x, request->after), view);
    } else {
        event_cursor_begin(cursor, &events, true, view);
    }
    x->response.index = view->index;
    x->stream = &w->stream;
}

enum next grpc_watch(struct exchange *x)
{
    struct call_state *s = x->state != NULL
                               ? x->state
                               : call_begin(x, sizeof *s, &muster__v1__watch_request__descriptor);
    struct filter filter;
    struct problem problem;
    const char *service;
    char stored[STORED_NAME_SIZE] = "";
    if (s == NULL) {
        return NEXT_RESPOND;
    }
    const Muster__V1__WatchRequest *request = (const void *)s->message;
    if (!instance_filter(request->filter, &s->arena, &filter, &service, FILTER_ANY_HEALTH,
                         &problem)) {
        return call_refuse(x, &problem);
    }
    if (atomic_load(&x->context->draining)) {
        return call_fail(x, ST_STOPPING);
    }
    if (service != NULL) {
        namespace_store(permit_space(&x->permit), service, stored);
    }
    const struct view *view = node_view_lock(x->context->node);
    const struct viewer viewer = permit_viewer(&x->permit, view);
    bool ahead = is_ahead(x, request->after, view);
    bool hidden = service != NULL && !viewer_may(&viewer, stored);
    if (!ahead && !hidden) {
        begin_watch(x, s, &filter, stored, view);
    }
    view_unlock(&view);
    if (hidden) {
        return call_fail(x, ST_FORBIDDEN);
    }
    return ahead ? NEXT_PROOF : NEXT_RESPOND;
}
