#include "api/sink/sink_feed.h"

#include <inttypes.h>
#include <string.h>

#include "api/core/json_out.h"
#include "api/core/render.h"
#include "server/base/check.h"
#include "server/base/limits.h"
#include "server/node/event_cursor.h"

/* Of a batch; one more event always fits, with what is made of it. */
#define BODIES_BYTES         (64u * 1024)
#define TRANSLATED_BYTES_MAX (16u * 1024 * 1024)

void sink_feed_init(struct sink_feed *feed, sink_translate_fn *translate)
{
    *feed = (struct sink_feed){.begun = false, .translate = translate};
    buffer_init(&feed->bodies, BODIES_BYTES + EVENT_TEXT_BYTES_MAX + TRANSLATED_BYTES_MAX);
}

void sink_feed_done(struct sink_feed *feed)
{
    buffer_done(&feed->bodies);
    feed->begun = false;
}

void sink_feed_begin(struct sink_feed *feed, struct node *node, struct event_id after)
{
    const struct view *view = node_view_lock(node);
    /* The leader has everything: the log has no such index. */
    feed->lost = event_cursor_is_lost(view, after) || after.index > view->index;
    feed->next = feed->lost ? view->events_last + 1 : event_cursor_first_after(view, after);
    view_unlock(&view);
    feed->begun = true;
    feed->confirmed = after;
    feed->batch_at = feed->batch_count = 0;
    feed->sent_first = feed->sent_count = feed->sent_bytes = 0;
}

/* --- messages --- */

static struct sink_message *add(struct sink_feed *feed, struct event_id id, uint32_t cluster)
{
    struct sink_message *m = &feed->batch[feed->batch_count++];
    *m = (struct sink_message){.id = id, .is_last = true, .body_len = feed->bodies.len};
    event_id_format(id, cluster, m->id_text);
    return m;
}

/* Until the last body is there they have only their lengths: the buffer may move. */
static void end(struct sink_feed *feed, struct sink_message *m)
{
    CHECK(!feed->bodies.overflowed);
    m->body_len = feed->bodies.len - m->body_len;
}

static void add_event(struct sink_feed *feed, const struct event *event, uint32_t cluster)
{
    struct sink_message *m = add(feed, event_id_of(event), cluster);
    struct slice space = namespace_of(record_name(event->record));
    const char *service = namespace_bare(record_name(event->record));
    m->event = event_type_name(event->type);
    m->wall_ms = event->wall_ms;
    memcpy(m->service, service, strlen(service) + 1);
    if (space.len > 0) { /* `default` has no text at all */
        memcpy(m->space, space.data, space.len);
    }
    struct json_out json = json_out_to(&feed->bodies);
    render_event(&json, event, cluster);
    end(feed, m);
}

/* A body that is too long is left out: half of it would be worse. */
static void add_translated(struct sink_feed *feed, const struct view *view,
                           const struct event *event, uint32_t cluster)
{
    for (size_t nth = 0; feed->translate != NULL && nth < SINK_FEED_MORE; nth++) {
        struct buffer body;
        char key[SINK_KEY_SIZE] = "";
        buffer_init(&body, TRANSLATED_BYTES_MAX / 2);
        bool is_there = feed->translate(view, event, nth, key, &body);
        if (is_there && !body.overflowed && body.len < TRANSLATED_BYTES_MAX - feed->bodies.len) {
            feed->batch[feed->batch_count - 1].is_last = false;
            struct sink_message *m = add(feed, event_id_of(event), cluster);
            m->event = event_type_name(event->type);
            m->wall_ms = event->wall_ms;
            memcpy(m->key, key, sizeof m->key);
            buffer_append(&feed->bodies, body.data, body.len);
            end(feed, m);
        }
        buffer_done(&body);
        if (!is_there) {
            return;
        }
    }
}

/* Its id is that of the last event before it, so it is confirmed like one. */
static void add_reset(struct sink_feed *feed, const struct view *view, uint32_t cluster)
{
    const struct event *last = view_event(view, view->events_last);
    struct event_id id = last != NULL ? event_id_of(last) : (struct event_id){view->index, 0};
    struct sink_message *m = add(feed, id, cluster);
    m->event = "reset";
    m->wall_ms = view->wall_ms;
    struct json_out json = json_out_to(&feed->bodies);
    json_out_begin(&json, '{');
    json_out_member_text(&json, "id", m->id_text);
    json_out_member_text(&json, "event", "reset");
    json_out_key(&json, "time");
    json_out_time(&json, view->wall_ms);
    json_out_member_u64(&json, "index", view->index);
    json_out_member_text(&json, "reason",
                         "events before this one were dropped: read what is there, then go on");
    json_out_end(&json, '}');
    end(feed, m);
    feed->lost = false;
    feed->next = view->events_last + 1;
}

/* False when there is nothing more. */
static bool add_next(struct sink_feed *feed, const struct view *view, uint32_t cluster)
{
    if (!feed->lost && feed->next > view->events_last) {
        return false;
    }
    const struct event *event = feed->lost ? NULL : view_event(view, feed->next);
    if (event == NULL) {
        add_reset(feed, view, cluster); /* it may have been dropped since the last call */
    } else {
        add_event(feed, event, cluster);
        add_translated(feed, view, event, cluster);
        feed->next++;
    }
    return true;
}

static void prepare(struct sink_feed *feed, struct node *node)
{
    uint32_t cluster = event_id_cluster(node);
    feed->batch_at = feed->batch_count = 0;
    buffer_clear(&feed->bodies);
    const struct view *view = node_view_lock(node);
    bool more = true;
    while (more && feed->batch_count < SINK_FEED_BATCH && feed->bodies.len < BODIES_BYTES) {
        more = add_next(feed, view, cluster);
    }
    view_unlock(&view);
    const char *at = (const char *)feed->bodies.data;
    for (size_t i = 0; i < feed->batch_count; i++) {
        feed->batch[i].body = at;
        at += feed->batch[i].body_len;
    }
}

const struct sink_message *sink_feed_next(struct sink_feed *feed, struct node *node)
{
    CHECK(feed->begun);
    if (feed->batch_at == feed->batch_count) {
        prepare(feed, node);
    }
    return feed->batch_at < feed->batch_count ? &feed->batch[feed->batch_at] : NULL;
}

/* --- what was sent --- */

void sink_feed_sent(struct sink_feed *feed, const struct sink_message *message)
{
    CHECK(feed->sent_count < SINK_WINDOW && message == &feed->batch[feed->batch_at]);
    size_t at = (feed->sent_first + feed->sent_count) % SINK_WINDOW;
    feed->sent[at] = (struct sink_sent){
        .id = message->id, .bytes = message->body_len, .is_last = message->is_last};
    feed->sent_count++;
    feed->sent_bytes += message->body_len;
    feed->batch_at++;
}

void sink_feed_confirm(struct sink_feed *feed, size_t count)
{
    CHECK(count <= feed->sent_count);
    for (size_t i = 0; i < count; i++) {
        const struct sink_sent *sent = &feed->sent[feed->sent_first];
        feed->confirmed = sent->is_last ? sent->id : feed->confirmed;
        feed->sent_bytes -= sent->bytes;
        feed->sent_first = (feed->sent_first + 1) % SINK_WINDOW;
        feed->sent_count--;
    }
}

uint64_t sink_feed_waiting(const struct sink_feed *feed, struct node *node)
{
    const struct view *view = node_view_lock(node);
    uint64_t to_come = view->events_last >= feed->next ? view->events_last + 1 - feed->next : 0;
    view_unlock(&view);
    return to_come + (feed->batch_count - feed->batch_at) + feed->sent_count;
}
