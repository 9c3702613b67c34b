/* Instances as what Prometheus scrapes, in the format of its HTTP service discovery: a list of
 * groups of targets, each with labels. One group for each instance, as each has labels of its own.
 */
#include "api/native/handlers.h"

#include <stdio.h>
#include <string.h>

#include "api/http/representation.h"
#include "api/native/filter_query.h"
#include "server/base/health.h"

#define LABEL_PREFIX    "__meta_muster_"
#define METADATA_PREFIX LABEL_PREFIX "metadata_"
#define LABEL_SIZE      (sizeof METADATA_PREFIX + METADATA_KEY_BYTES_MAX)

struct targets {
    struct filter filter;
    const char *service; /* NULL: all */
};

/* Also instances that discovery does not show: one that is not scraped while it is critical could
 * raise no alarm. */
static bool parse(struct targets *targets, const struct request *request, struct problem *problem)
{
    targets->service = request_query(request, "service");
    return filter_parse(&targets->filter, request, FILTER_ANY_HEALTH, problem);
}

bool check_targets(struct exchange *x, struct problem *problem)
{
    struct targets targets;
    return parse(&targets, &x->request, problem);
}

/* --- labels --- */

static void add_label(struct json_out *json, const char *name, const char *value)
{
    char label[LABEL_SIZE];
    (void)snprintf(label, sizeof label, "%s%s", LABEL_PREFIX, name);
    json_out_member_text(json, label, value);
}

/* A label's name has letters, digits and low lines only. */
static void label_of(const char *key, char out[LABEL_SIZE])
{
    size_t len = (size_t)snprintf(out, LABEL_SIZE, "%s", METADATA_PREFIX);
    for (; *key != '\0' && len < LABEL_SIZE - 1; key++) {
        bool is_plain = (*key >= 'a' && *key <= 'z') || (*key >= 'A' && *key <= 'Z') ||
                        (*key >= '0' && *key <= '9');
        out[len++] = (char)(is_plain ? *key : '_');
    }
    out[len] = '\0';
}

/* Whether an earlier key gives the same label: the first one counts. */
static bool is_taken(const struct record *record, unsigned count, const char *label)
{
    char other[LABEL_SIZE];
    const char *at = record_metadata(record);
    for (unsigned i = 0; i < count; i++) {
        label_of(at, other);
        if (strcmp(other, label) == 0) {
            return true;
        }
        at += strlen(at) + 1;
        at += strlen(at) + 1;
    }
    return false;
}

static void add_metadata(struct json_out *json, const struct record *record)
{
    char label[LABEL_SIZE];
    const char *at = record_metadata(record);
    for (unsigned i = 0; i < record->metadata_count; i++) {
        const char *value = at + strlen(at) + 1;
        label_of(at, label);
        if (!is_taken(record, i, label)) {
            json_out_member_text(json, label, value);
        }
        at = value + strlen(value) + 1;
    }
}

/* ",a,b,": so that a pattern finds a tag wherever it stands. */
static void add_tags(struct json_out *json, const struct record *record)
{
    char text[TAGS_MAX * (TAG_BYTES_MAX + 1) + 2] = ",";
    size_t len = 1;
    const char *tag = record_tags(record);
    for (unsigned i = 0; i < record->tags_count; i++) {
        size_t tag_len = strlen(tag);
        memcpy(text + len, tag, tag_len);
        text[len + tag_len] = ',';
        len += tag_len + 1;
        tag += tag_len + 1;
    }
    json_out_key(json, LABEL_PREFIX "tags");
    json_out_text_n(json, text, record->tags_count > 0 ? len : 0);
}

static void add_group(struct json_out *json, const struct record *record)
{
    char target[ADDRESS_SIZE], port[8], weight[8];
    const char *host = record_host(record);
    bool is_ipv6 = strchr(host, ':') != NULL;
    struct slice space = namespace_of(record_name(record));
    (void)snprintf(target, sizeof target, is_ipv6 ? "[%s]:%u" : "%s:%u", host, record->port);
    (void)snprintf(port, sizeof port, "%u", record->port);
    (void)snprintf(weight, sizeof weight, "%u", record->weight);
    json_out_begin(json, '{');
    json_out_key(json, "targets");
    json_out_begin(json, '[');
    json_out_text(json, target);
    json_out_end(json, ']');
    json_out_key(json, "labels");
    json_out_begin(json, '{');
    add_label(json, "service", namespace_bare(record_name(record)));
    json_out_key(json, LABEL_PREFIX "namespace");
    if (space.len > 0) {
        json_out_text_n(json, space.data, space.len);
    } else {
        json_out_text(json, NAMESPACE_DEFAULT);
    }
    add_label(json, "id", namespace_bare(record_id(record)));
    add_label(json, "type", record_type(record));
    add_label(json, "zone", record_zone(record));
    add_label(json, "health", health_name(record_health(record)));
    add_label(json, "host", host);
    add_label(json, "port", port);
    add_label(json, "weight", weight);
    add_tags(json, record);
    add_metadata(json, record);
    json_out_end(json, '}');
    json_out_end(json, '}');
}

/* --- the list --- */

static void add_groups(struct json_out *json, const struct view *view,
                       const struct ptree *instances, const struct targets *targets,
                       const char *space)
{
    struct ptree_iterator it;
    const struct record *record;
    json_out_begin(json, '[');
    ptree_iterate(&it, instances, view_rank_of_namespace(view, instances, space));
    while (!json->out->overflowed && (record = ptree_next(&it)) != NULL &&
           namespace_has(space, record_id(record))) {
        if (record->port > 0 && filter_match(&targets->filter, record)) {
            add_group(json, record);
        }
    }
    json_out_end(json, ']');
}

enum next handle_targets(struct exchange *x)
{
    static const struct ptree empty;
    struct targets targets;
    struct problem problem;
    char stored[STORED_NAME_SIZE];
    if (!parse(&targets, &x->request, &problem)) {
        response_problem(&x->response, &problem);
        return NEXT_RESPOND;
    }
    const char *space = permit_space(&x->permit);
    struct json_out json = response_json(&x->response);
    const struct view *view = node_view_lock(x->context->node);
    const struct viewer viewer = permit_viewer(&x->permit, view);
    const struct ptree *instances = &view->instances;
    targets.filter.viewer = &viewer;
    if (targets.service != NULL) {
        namespace_store(space, targets.service, stored);
        const struct service_view *service = view_service(view, stored);
        instances = service != NULL ? &service->instances : &empty;
    }
    x->response.index = view->index;
    if (!representation_is_known(x, view->changed_index)) {
        add_groups(&json, view, instances, &targets, space);
    }
    view_unlock(&view);
    return NEXT_RESPOND;
}
