#include "api/core/swarm_entry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_SECONDS 60
#define NUMBER_MAX     1e15

bool swarm_entry_is(const struct record *record, const char *type)
{
    return namespace_has(SWARM_SPACE, record_id(record)) && strcmp(record_type(record), type) == 0;
}

/* --- services --- */

static const char *field(const struct record *record, const char *key, const char *otherwise)
{
    const char *value = record_metadata_value(record, key);
    return value != NULL ? value : otherwise;
}

static void render_labels(struct json_out *json, const struct record *record)
{
    const char *key = record_metadata(record);
    json_out_key(json, "labels");
    json_out_begin(json, '{');
    for (unsigned i = 0; i < record->metadata_count; i++) {
        const char *value = key + strlen(key) + 1;
        if (key[0] != SWARM_MARK) {
            json_out_key_text(json, key);
            json_out_text(json, value);
        }
        key = value + strlen(value) + 1;
    }
    json_out_end(json, '}');
}

/* A number that we have written ourselves. */
static void member_number(struct json_out *json, const char *name, const struct record *record,
                          const char *key)
{
    json_out_key(json, name);
    json_out_raw(json, field(record, key, "0"));
}

void swarm_entry_render(struct json_out *json, const struct record *record)
{
    json_out_begin(json, '{');
    json_out_member_text(json, "id", namespace_bare(record_id(record)));
    json_out_member_text(json, "name", namespace_bare(record_name(record)));
    render_labels(json, record);
    member_number(json, "current_replicas", record, "@replicas");
    json_out_member_text(json, "metric", field(record, "@metric", "cpu"));
    json_out_key(json, "thresholds");
    json_out_begin(json, '{');
    member_number(json, "cpu", record, "@cpu");
    member_number(json, "memory", record, "@memory");
    json_out_end(json, '}');
    member_number(json, "min_replicas", record, "@min");
    member_number(json, "max_replicas", record, "@max");
    json_out_member_text(json, "created_at", field(record, "@created_at", ""));
    json_out_member_text(json, "updated_at", field(record, "@updated_at", ""));
    json_out_end(json, '}');
}

/* The next of a type in the namespace; NULL: there are no more. */
static const struct record *next_of(struct ptree_iterator *it, const char *type)
{
    const struct record *record;
    while ((record = ptree_next(it)) != NULL && namespace_has(SWARM_SPACE, record_id(record))) {
        if (strcmp(record_type(record), type) == 0) {
            return record;
        }
    }
    return NULL;
}

static void begin(struct ptree_iterator *it, const struct view *view)
{
    ptree_iterate(it, &view->instances,
                  view_rank_of_namespace(view, &view->instances, SWARM_SPACE));
}

size_t swarm_entries_render(struct json_out *json, const struct view *view,
                            bool (*may)(const void *viewer, const char *service),
                            const void *viewer)
{
    struct ptree_iterator it;
    size_t count = 0;
    begin(&it, view);
    for (const struct record *r; (r = next_of(&it, SWARM_TYPE_SERVICE)) != NULL;) {
        if (viewer == NULL || may(viewer, namespace_bare(record_name(r)))) {
            swarm_entry_render(json, r);
            count++;
        }
    }
    return count;
}

size_t swarm_entries_count(const struct view *view)
{
    struct ptree_iterator it;
    size_t count = 0;
    begin(&it, view);
    while (next_of(&it, SWARM_TYPE_SERVICE) != NULL) {
        count++;
    }
    return count;
}

const struct record *swarm_entry_find(const struct view *view, const char *name)
{
    char stored[STORED_NAME_SIZE];
    struct ptree_iterator it;
    namespace_store(SWARM_SPACE, name, stored);
    const struct service_view *service = stored[0] != '\0' ? view_service(view, stored) : NULL;
    if (service == NULL) {
        return NULL;
    }
    ptree_iterate(&it, &service->instances, 0);
    for (const struct record *r; (r = ptree_next(&it)) != NULL;) {
        if (strcmp(record_type(r), SWARM_TYPE_SERVICE) == 0) {
            return r;
        }
    }
    return NULL;
}

/* --- usage --- */

/* A number, and what follows it; NULL if there is none. */
static const char *take_number(const char *text, double *ret_number)
{
    char *end;
    *ret_number = strtod(text, &end);
    return end != text && *ret_number >= 0 && *ret_number < NUMBER_MAX ? end : NULL;
}

bool swarm_usage_parse(const char *text, struct swarm_usage *u)
{
    double containers, taken_s;
    double *const numbers[] = {&u->cpu, &u->memory, &containers, &taken_s};
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        text = take_number(text, numbers[i]);
        if (text == NULL || *text != (i + 1 < ARRAY_LENGTH(numbers) ? ' ' : '\0')) {
            return false;
        }
    }
    u->containers = (uint64_t)containers;
    u->taken_s = (int64_t)taken_s;
    return u->containers > 0;
}

bool swarm_usage_find(const struct view *view, const char *service, struct swarm_usage *ret_usage)
{
    struct ptree_iterator it;
    *ret_usage = (struct swarm_usage){.containers = 0};
    begin(&it, view);
    for (const struct record *r; (r = next_of(&it, SWARM_TYPE_METRICS)) != NULL;) {
        const char *text = r->expired ? NULL : record_metadata_value(r, service);
        struct swarm_usage one;
        if (text != NULL && swarm_usage_parse(text, &one)) {
            ret_usage->cpu += one.cpu * (double)one.containers;
            ret_usage->memory += one.memory * (double)one.containers;
            ret_usage->containers += one.containers;
            if (one.taken_s > ret_usage->taken_s) {
                ret_usage->taken_s = one.taken_s;
            }
        }
    }
    if (ret_usage->containers == 0) {
        return false;
    }
    ret_usage->cpu /= (double)ret_usage->containers;
    ret_usage->memory /= (double)ret_usage->containers;
    return true;
}

void swarm_number_render(struct json_out *json, double number)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%.15g", number);
    if (strcspn(text, ".e") == strlen(text)) {
        (void)snprintf(text, sizeof text, "%.1f", number);
    }
    json_out_raw(json, text);
}

void swarm_usage_render(struct json_out *json, const struct swarm_usage *u)
{
    json_out_begin(json, '{');
    json_out_key(json, "cpu_pct");
    swarm_number_render(json, u->cpu);
    json_out_key(json, "memory_bytes");
    swarm_number_render(json, u->memory);
    json_out_member_u64(json, "window_seconds", WINDOW_SECONDS);
    json_out_member_u64(json, "timestamp", u->taken_s > 0 ? (uint64_t)u->taken_s : 0);
    json_out_member_text(json, "source", "docker");
    json_out_end(json, '}');
}
