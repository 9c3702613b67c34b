#include "api/native/handlers.h"

#include <inttypes.h>

#include "server/base/clock.h"
#include "server/base/metric.h"
#include "server/base/metric_text.h"
#include "server/base/process.h"

static void gauge(struct buffer *out, const char *name, const char *help, uint64_t value)
{
    buffer_printf(out, "# HELP muster_%s %s\n# TYPE muster_%s gauge\nmuster_%s %" PRIu64 "\n", name,
                  help, name, name, value);
}

static void seconds(struct buffer *out, const char *name, const char *help, uint64_t value_ms)
{
    buffer_printf(out, "# HELP muster_%s %s\n# TYPE muster_%s gauge\nmuster_%s %" PRIu64 ".%03u\n",
                  name, help, name, name, value_ms / 1000, (unsigned)(value_ms % 1000));
}

/* A label's value: the three characters that the format escapes. */
static void label(struct buffer *out, const char *name, const char *value)
{
    buffer_printf(out, "%s=\"", name);
    for (; *value != '\0'; value++) {
        if (*value == '"' || *value == '\\') {
            buffer_append_byte(out, '\\');
        }
        if (*value == '\n') {
            buffer_append_text(out, "\\n");
        } else {
            buffer_append_byte(out, (uint8_t)*value);
        }
    }
    buffer_append_byte(out, '"');
}

static void render_replica(struct buffer *out, const struct api_context *context)
{
    const struct consensus_facts *facts = node_facts(context->node);
    struct node_status status;
    node_status(context->node, &status);
    buffer_printf(out,
                  "# HELP muster_info This replica\n# TYPE muster_info gauge\n"
                  "muster_info{id=\"%" PRIu64 "\",",
                  facts->id);
    label(out, "name", facts->name);
    buffer_append_byte(out, ',');
    label(out, "version", facts->version);
    buffer_append_text(out, "} 1\n");
    gauge(out, "is_leader", "1 on the leader", status.is_leader);
    gauge(out, "level", "Level of the replicated format in use", status.level);
    gauge(out, "level_max", "Highest level that this version can speak", facts->level_max);
    gauge(out, "has_leader", "1 while a leader is known", status.leader != 0);
    gauge(out, "term", "Term of Raft", status.term);
    gauge(out, "applied_index", "Index of the log applied here", status.applied_index);
    gauge(out, "commit_index", "Index of the log known to be committed", status.commit_index);
    seconds(out, "staleness_seconds", "Since this replica last heard from a leader",
            status.last_contact_ms);
    seconds(out, "loop_stalled_seconds", "How long the loop has stood still; less than 0.5 is 0",
            status.loop_stalled_ms);
    seconds(out, "disk_stalled_seconds",
            "How long a write of the log has been on its way; less than 0.5 is 0",
            status.disk_stalled_ms);
    gauge(out, "disk_free_bytes", "Free on the file system of the data directory",
          node_disk_free(context->node));
    gauge(out, "resident_memory_bytes", "Memory in use by this process", process_resident_bytes());
    seconds(out, "uptime_seconds", "Since this replica began to serve",
            clock_monotonic_ms() - context->started_ms);
}

static void render_registry(struct exchange *x, struct buffer *out)
{
    const struct view *view = node_view_lock(x->context->node);
    x->response.index = view->index;
    gauge(out, "services", "Services that have an instance", view->services_count);
    gauge(out, "namespaces", "Namespaces that have instances or a quota",
          ptree_count(&view->namespaces));
    buffer_append_text(out, "# HELP muster_instances Instances by health\n"
                            "# TYPE muster_instances gauge\n");
    for (unsigned h = 0; h < HEALTH_COUNT; h++) {
        buffer_printf(out, "muster_instances{health=\"%s\"} %u\n", health_name((enum health)h),
                      view->counts[h]);
    }
    gauge(out, "state_bytes", "Size of the registry, as of a snapshot", view->state_bytes);
    gauge(out, "state_bytes_max", "Registrations above it are refused; 0: no bound yet",
          view->state_bytes_max);
    const struct event *oldest = view_event(view, view->events_first);
    gauge(out, "events_kept", "Events that streams can be resumed behind",
          view->events_last + 1 - view->events_first);
    gauge(out, "events_oldest_index", "Log index of the oldest event kept; 0: there is none",
          oldest != NULL ? oldest->index : 0);
    view_unlock(&view);
}

enum next handle_metrics(struct exchange *x)
{
    struct buffer *out = &x->response.body;
    x->response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    render_replica(out, x->context);
    render_registry(x, out);
    metric_render(out);
    return NEXT_RESPOND;
}
