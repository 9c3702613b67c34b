#include "api/native/event_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/core/event_id.h"
#include "api/core/json_out.h"
#include "api/core/render.h"
#include "server/base/check.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

/* What a browser waits before it comes back. */
#define RETRY_MS 1000

struct event_stream {
    struct stream stream;
    struct node *node;
    struct principal principal; /* who follows: what he may see is asked again for each piece */
    struct viewer viewer;       /* that, while a piece is made */
    bool greet;                 /* the client has still to be told where the stream begins */
    uint64_t marked;            /* cursor.next when the client was last sent an id */
    struct buffer rest;         /* of a text that was too long for the last piece */
    size_t rest_at;
};

static struct event_stream *of_stream(struct stream *stream)
{
    return CONTAINER_OF(stream, struct event_stream, stream);
}

static void free_stream(struct stream *stream)
{
    struct event_stream *s = of_stream(stream);
    event_cursor_done(&stream->subscription.cursor);
    buffer_done(&s->rest);
    free(s);
}

/* --- texts --- */

static void add_bookmark(struct event_stream *s, const struct view *view, struct buffer *out)
{
    struct event_id position;
    char text[EVENT_ID_SIZE];
    if (event_cursor_id(&s->stream.subscription.cursor, view, &position)) {
        event_id_format(position, event_id_cluster(s->node), text);
        buffer_printf(out, "id: %s\n", text);
        s->marked = s->stream.subscription.cursor.next;
    }
}

static void add_reset(struct event_stream *s, const struct view *view, struct buffer *out)
{
    metric_add(METRIC_stream_resets_total, 1);
    add_bookmark(s, view, out); /* none while instances follow */
    buffer_printf(out,
                  "event: reset\ndata: {\"event\":\"reset\",\"index\":%" PRIu64
                  ",\"reason\":\"events behind the position asked for are not here: dropped, or of "
                  "another cluster\"}\n\n",
                  view->index);
}

static void add_synced(struct event_stream *s, const struct view *view, struct buffer *out)
{
    add_bookmark(s, view, out);
    buffer_printf(out, "event: synced\ndata: {\"event\":\"synced\",\"index\":%" PRIu64 "}\n\n",
                  view->index);
}

static void add_present(const struct record *record, struct buffer *out)
{
    struct json_out json = json_out_to(out);
    buffer_append_text(out, "event: present\ndata: ");
    json_out_begin(&json, '{');
    json_out_member_text(&json, "event", "present");
    json_out_key(&json, "instance");
    render_instance(&json, record);
    json_out_end(&json, '}');
    buffer_append_text(out, "\n\n");
}

/* Made by the first of all streams that tells of it. */
static const struct rendered *text_of(const struct event *event, uint32_t cluster)
{
    struct rendered *text = atomic_load_explicit(&event->rendered, memory_order_acquire);
    if (text != NULL) {
        return text;
    }
    struct buffer out;
    char id[EVENT_ID_SIZE];
    buffer_init(&out, EVENT_TEXT_BYTES_MAX);
    event_id_format(event_id_of(event), cluster, id);
    buffer_printf(&out, "id: %s\nevent: %s\ndata: ", id, event_type_name(event->type));
    struct json_out json = json_out_to(&out);
    render_event(&json, event, cluster);
    buffer_append_text(&out, "\n\n");
    CHECK(!out.overflowed); /* EVENT_TEXT_BYTES_MAX holds any record */
    return view_keep_event(event, rendered_take(&out));
}

/* --- pieces --- */

struct piece {
    char *out;
    size_t len, max;
};

/* False when it did not fit whole. */
static bool put(struct event_stream *s, struct piece *piece, const void *text, size_t len)
{
    size_t room = piece->max - piece->len;
    size_t now = len < room ? len : room;
    if (now > 0) {
        memcpy(piece->out + piece->len, text, now);
        piece->len += now;
    }
    if (now == len) {
        return true;
    }
    buffer_clear(&s->rest);
    s->rest_at = 0;
    buffer_append(&s->rest, (const char *)text + now, len - now);
    CHECK(!s->rest.overflowed);
    return false;
}

/* False when there is still some. */
static bool put_rest(struct event_stream *s, struct piece *piece)
{
    size_t left = s->rest.len - s->rest_at;
    size_t now = left < piece->max ? left : piece->max;
    if (now > 0) {
        memcpy(piece->out, s->rest.data + s->rest_at, now);
        piece->len = now;
        s->rest_at += now;
    }
    if (now < left) {
        return false;
    }
    if (s->rest.capacity > 0) {
        buffer_done(&s->rest); /* a long one is rare, and there may be ten thousand streams */
        s->rest_at = 0;
    }
    return true;
}

static void add_side_texts(struct event_stream *s, const struct view *view, struct buffer *out)
{
    if (s->greet) {
        buffer_printf(out, "retry: %d\n", RETRY_MS);
        add_bookmark(s, view, out);
        buffer_append_text(out, "\n");
    } else if (s->stream.subscription.remind) {
        buffer_append_text(out, ": still here\n");
        add_bookmark(s, view, out);
        buffer_append_text(out, "\n");
    }
    s->greet = s->stream.subscription.remind = false;
}

/* The client has come past events that did not match: it must not look at them again elsewhere. */
static bool put_end(struct event_stream *s, const struct view *view, struct buffer *scratch,
                    struct piece *piece)
{
    if (s->marked != s->stream.subscription.cursor.next) {
        s->marked = s->stream.subscription.cursor.next; /* also where there is no position */
        add_bookmark(s, view, scratch);
        buffer_append_text(scratch, "\n");
        (void)put(s, piece, scratch->data, scratch->len);
    }
    return false;
}

/* One item. False when there is nothing more, or no more room. */
static bool put_item(struct event_stream *s, const struct view *view, struct buffer *scratch,
                     struct piece *piece)
{
    struct event_item item = event_cursor_next(&s->stream.subscription.cursor, view);
    buffer_clear(scratch);
    switch (item.kind) {
    case ITEM_NOTHING:
        return put_end(s, view, scratch, piece);
    case ITEM_EVENT: {
        if (!viewer_may(&s->viewer, record_name(item.event->record))) {
            return true;
        }
        const struct rendered *text = text_of(item.event, event_id_cluster(s->node));
        size_t skip = 0;
        if (s->stream.subscription.cursor.presenting) {
            skip = (size_t)((const char *)memchr(text->data, '\n', text->len) + 1 - text->data);
        } else {
            s->marked = s->stream.subscription.cursor.next;
        }
        metric_add(METRIC_stream_events_total, 1);
        return put(s, piece, text->data + skip, text->len - skip);
    }
    case ITEM_PRESENT:
        if (!viewer_may(&s->viewer, record_name(item.record))) {
            return true;
        }
        metric_add(METRIC_stream_events_total, 1);
        add_present(item.record, scratch);
        break;
    case ITEM_PRESENTED:
        add_synced(s, view, scratch);
        break;
    case ITEM_RESET:
        add_reset(s, view, scratch);
        break;
    }
    CHECK(!scratch->overflowed);
    return put(s, piece, scratch->data, scratch->len);
}

static void put_new(struct event_stream *s, const struct view *view, struct buffer *scratch,
                    struct piece *piece)
{
    add_side_texts(s, view, scratch);
    bool more = put(s, piece, scratch->data, scratch->len);
    while (more && piece->len < piece->max) {
        more = put_item(s, view, scratch, piece);
    }
}

static size_t read_piece(struct stream *stream, char *out, size_t max)
{
    struct event_stream *s = of_stream(stream);
    struct piece piece = {.out = out, .max = max};
    struct buffer scratch;
    if (!put_rest(s, &piece) || s->stream.subscription.closed) {
        return piece.len;
    }
    buffer_init(&scratch, EVENT_TEXT_BYTES_MAX);
    const struct view *view = node_view_lock(s->node);
    if (principal_may(&s->principal, view, PERMISSION_EVENTS, NULL) == ST_OK) {
        s->viewer = principal_viewer(&s->principal, view, PERMISSION_EVENTS);
        put_new(s, view, &scratch, &piece);
    } else {
        s->stream.subscription.closed = true; /* his token is gone */
    }
    view_unlock(&view);
    buffer_done(&scratch);
    return piece.len;
}

static void describe(const struct stream *stream, char *out, size_t size)
{
    const struct event_stream *s = CONTAINER_OF(stream, const struct event_stream, stream);
    struct event_id position;
    char id[EVENT_ID_SIZE] = "";
    const struct view *view = node_view_lock(s->node);
    if (event_cursor_id(&s->stream.subscription.cursor, view, &position)) {
        event_id_format(position, event_id_cluster(s->node), id);
    }
    view_unlock(&view);
    (void)snprintf(out, size, "%s", id);
}

static const struct stream_kind event_stream = {
    .read = read_piece, .describe = describe, .free = free_stream};

struct stream *event_stream_open(struct node *node, const struct principal *principal,
                                 struct event_query *query, const struct view *view)
{
    struct event_stream *s = mem_zalloc(1, sizeof *s);
    struct event_cursor *cursor = &s->stream.subscription.cursor;
    const struct event_filter filter = event_query_take(query);
    s->stream.kind = &event_stream;
    s->node = node;
    s->principal = *principal;
    s->greet = true;
    buffer_init(&s->rest, EVENT_TEXT_BYTES_MAX);
    if (query->has_after) {
        event_cursor_resume(cursor, &filter, query->snapshot, query->after, view);
    } else {
        event_cursor_begin(cursor, &filter, query->snapshot, view);
    }
    return &s->stream;
}
