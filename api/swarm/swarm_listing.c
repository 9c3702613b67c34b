#include "api/swarm/swarm_listing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/base/naming.h"

#define LABEL_PORT   "muster.port"
#define LABEL_HIDDEN "muster.enabled"
#define THRESHOLD    70.0
#define MIN_REPLICAS 1
#define MAX_REPLICAS 2

/* --- values --- */

/* NULL if it is none. */
static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static bool is_id(const char *text)
{
    return text != NULL && naming_is_name(text, strlen(text)) && strlen(text) <= NAME_BYTES_MAX;
}

static uint16_t port_of(const json_t *object, const char *key)
{
    json_int_t port = json_integer_value(json_object_get(object, key));
    return port > 0 && port <= UINT16_MAX ? (uint16_t)port : 0;
}

/* False if it is there and no number. */
static bool label_number(const json_t *labels, const char *key, double *value)
{
    const char *text = text_of(labels, key);
    char *end;
    if (text == NULL) {
        return true;
    }
    *value = strtod(text, &end);
    return end != text && *end == '\0' && *value > -1e9 && *value < 1e9;
}

static bool label_count(const json_t *labels, const char *key, int64_t *value)
{
    const char *text = text_of(labels, key);
    char *end;
    if (text == NULL) {
        return true;
    }
    errno = 0;
    *value = strtoll(text, &end, 10);
    return end != text && *end == '\0' && errno == 0;
}

static bool label_is(const json_t *labels, const char *key, const char *wanted)
{
    const char *text = text_of(labels, key);
    return text != NULL && strcasecmp(text, wanted) == 0;
}

/* --- services --- */

static void take_ports(struct swarm_service *s, const json_t *json)
{
    const json_t *ports = json_object_get(json_object_get(json, "Endpoint"), "Ports");
    int64_t wished = 0;
    for (size_t i = 0; i < json_array_size(ports); i++) {
        const json_t *port = json_array_get(ports, i);
        const char *mode = text_of(port, "PublishMode");
        if (s->target_port == 0) {
            s->target_port = port_of(port, "TargetPort");
        }
        if (s->published_port == 0 && mode != NULL && strcmp(mode, "ingress") == 0) {
            s->published_port = port_of(port, "PublishedPort");
        }
    }
    if (label_count(s->labels, LABEL_PORT, &wished) && wished > 0 && wished <= UINT16_MAX) {
        s->target_port = (uint16_t)wished;
    }
}

static bool take_wishes(struct swarm_service *s, const struct swarm_labels *names)
{
    s->is_scaled = label_is(s->labels, names->enabled, "true");
    s->metric = text_of(s->labels, names->metric);
    s->metric = s->metric != NULL ? s->metric : "cpu";
    s->cpu_threshold = s->memory_threshold = THRESHOLD;
    s->min = MIN_REPLICAS;
    s->max = s->replicas > MAX_REPLICAS ? s->replicas : MAX_REPLICAS;
    return label_number(s->labels, names->cpu_threshold, &s->cpu_threshold) &&
           label_number(s->labels, names->memory_threshold, &s->memory_threshold) &&
           label_count(s->labels, names->min, &s->min) &&
           label_count(s->labels, names->max, &s->max);
}

static bool take_service(struct swarm_service *s, const json_t *json,
                         const struct swarm_labels *names)
{
    const json_t *spec = json_object_get(json, "Spec");
    const json_t *replicas =
        json_object_get(json_object_get(json_object_get(spec, "Mode"), "Replicated"), "Replicas");
    const char *state = text_of(json_object_get(json, "UpdateStatus"), "State");
    *s = (struct swarm_service){.id = text_of(json, "ID"),
                                .name = text_of(spec, "Name"),
                                .created_at = text_of(json, "CreatedAt"),
                                .updated_at = text_of(json, "UpdatedAt"),
                                .labels = json_object_get(spec, "Labels"),
                                .replicas = replicas != NULL ? json_integer_value(replicas) : 1};
    if (!is_id(s->id) || !is_id(s->name) || s->created_at == NULL || s->updated_at == NULL) {
        return false;
    }
    s->is_moving =
        state != NULL && (strcmp(state, "updating") == 0 || strcmp(state, "rollback_started") == 0);
    s->is_hidden = label_is(s->labels, LABEL_HIDDEN, "false");
    take_ports(s, json);
    if (!take_wishes(s, names)) {
        s->is_scaled = false; /* the autoscaler does not get it, all others do */
        return true;
    }
    return true;
}

static int compare_services(const void *left, const void *right)
{
    return strcmp(((const struct swarm_service *)left)->id,
                  ((const struct swarm_service *)right)->id);
}

static int compare_tasks(const void *left, const void *right)
{
    return strcmp(((const struct swarm_task *)left)->id, ((const struct swarm_task *)right)->id);
}

const struct swarm_service *swarm_listing_service(const struct swarm_listing *l, const char *id)
{
    const struct swarm_service key = {.id = id};
    return l->services_count > 0
               ? bsearch(&key, l->services, l->services_count, sizeof key, compare_services)
               : NULL;
}

const struct swarm_task *swarm_listing_task(const struct swarm_listing *l, const char *id)
{
    const struct swarm_task key = {.id = id};
    return l->tasks_count > 0 ? bsearch(&key, l->tasks, l->tasks_count, sizeof key, compare_tasks)
                              : NULL;
}

static void take_services(struct swarm_listing *l, const struct swarm_labels *labels)
{
    size_t count = json_array_size(l->services_json);
    l->services = mem_zalloc(count > 0 ? count : 1, sizeof *l->services);
    for (size_t i = 0; i < count; i++) {
        struct swarm_service *s = &l->services[l->services_count];
        if (take_service(s, json_array_get(l->services_json, i), labels)) {
            l->services_count++;
            l->is_moving |= s->is_moving;
        } else {
            l->left_out++;
        }
    }
    qsort(l->services, l->services_count, sizeof *l->services, compare_services);
}

/* --- tasks --- */

static const json_t *find_node(const struct swarm_listing *l, const char *id)
{
    for (size_t i = 0; id != NULL && i < json_array_size(l->nodes_json); i++) {
        const json_t *node = json_array_get(l->nodes_json, i);
        const char *other = text_of(node, "ID");
        if (other != NULL && strcmp(other, id) == 0) {
            return node;
        }
    }
    return NULL;
}

static void set_host(struct swarm_task *t, const char *text, size_t len)
{
    if (len < sizeof t->host && naming_is_host(text, len)) {
        memcpy(t->host, text, len);
        t->host[len] = '\0';
    }
}

/* The port of the node that goes to this task alone. */
static uint16_t host_port(const json_t *json)
{
    const json_t *ports =
        json_object_get(json_object_get(json_object_get(json, "Status"), "PortStatus"), "Ports");
    for (size_t i = 0; i < json_array_size(ports); i++) {
        uint16_t port = port_of(json_array_get(ports, i), "PublishedPort");
        if (port != 0) {
            return port;
        }
    }
    return 0;
}

/* Its address in the first network that is not the routing mesh's own. */
static void take_network(struct swarm_task *t, const json_t *json)
{
    const json_t *networks = json_object_get(json, "NetworksAttachments");
    for (size_t i = 0; t->host[0] == '\0' && i < json_array_size(networks); i++) {
        const json_t *attachment = json_array_get(networks, i);
        const json_t *spec = json_object_get(json_object_get(attachment, "Network"), "Spec");
        const char *address =
            json_string_value(json_array_get(json_object_get(attachment, "Addresses"), 0));
        if (address != NULL && !json_is_true(json_object_get(spec, "Ingress"))) {
            set_host(t, address, strcspn(address, "/"));
        }
    }
}

/* In this order: a port of the node for this task alone; the network of its service; the routing
 * mesh, at its node; its node, where it may have the host's network. */
static void take_address(struct swarm_task *t, const json_t *json, const json_t *node)
{
    const char *address = text_of(json_object_get(node, "Status"), "Addr");
    uint16_t own = host_port(json);
    t->port = own != 0 ? own : t->service->target_port;
    if (own == 0) {
        take_network(t, json);
    }
    if (t->host[0] == '\0' && address != NULL) {
        set_host(t, address, strlen(address));
        if (own == 0 && t->service->published_port != 0) {
            t->port = t->service->published_port;
        }
    }
    t->port = t->port != 0 ? t->port : SWARM_NO_PORT;
}

/* When a state was reached, in milliseconds since 1970; 0 if that is no time. */
static int64_t time_of(const char *text)
{
    struct tm tm = {0};
    const char *end = text != NULL ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    return end != NULL ? (int64_t)timegm(&tm) * 1000 : 0;
}

/* A clock that is apart from Docker's makes no difference but for this. */
static uint16_t weight_of(int64_t age_ms)
{
    return age_ms < 0 || age_ms >= 2 * SWARM_RAMP_MS ? SWARM_WEIGHT
           : age_ms >= SWARM_RAMP_MS                 ? SWARM_WEIGHT / 2
                                                     : SWARM_WEIGHT / 4;
}

static bool take_task(struct swarm_listing *l, struct swarm_task *t, const json_t *json)
{
    const json_t *status = json_object_get(json, "Status");
    const char *service = text_of(json, "ServiceID");
    const char *state = text_of(status, "State");
    *t = (struct swarm_task){
        .id = text_of(json, "ID"),
        .container = text_of(json_object_get(status, "ContainerStatus"), "ContainerID"),
        .node = text_of(json, "NodeID"),
        .zone = "",
        .service = service != NULL ? swarm_listing_service(l, service) : NULL,
        .slot = json_integer_value(json_object_get(json, "Slot")),
    };
    if (!is_id(t->id) || t->service == NULL || state == NULL) {
        return false;
    }
    const json_t *node = find_node(l, t->node);
    const char *zone = text_of(json_object_get(node, "Description"), "Hostname");
    t->node = is_id(t->node) ? t->node : "";
    t->zone = is_id(zone) ? zone : "";
    t->is_running = strcmp(state, "running") == 0;
    t->weight = weight_of(l->now_ms - time_of(text_of(status, "Timestamp")));
    take_address(t, json, node);
    return true;
}

static void take_tasks(struct swarm_listing *l)
{
    size_t count = json_array_size(l->tasks_json);
    l->tasks = mem_zalloc(count > 0 ? count : 1, sizeof *l->tasks);
    for (size_t i = 0; i < count; i++) {
        const json_t *json = json_array_get(l->tasks_json, i);
        const char *wanted = text_of(json, "DesiredState");
        struct swarm_task *t = &l->tasks[l->tasks_count];
        if (wanted == NULL || strcmp(wanted, "running") != 0) {
            continue; /* it goes: before its container is told */
        }
        if (take_task(l, t, json)) {
            l->tasks_count++;
            l->is_moving |= !t->is_running || t->weight < SWARM_WEIGHT;
        } else {
            l->left_out++;
        }
    }
    qsort(l->tasks, l->tasks_count, sizeof *l->tasks, compare_tasks);
}

/* --- the whole --- */

static json_t *parse_list(const char *what, struct swarm_answer answer, size_t most, char *error,
                          size_t error_size)
{
    json_error_t why;
    json_t *json = json_loadb(answer.text, answer.len, JSON_REJECT_DUPLICATES, &why);
    if (json_is_array(json) && json_array_size(json) <= most) {
        return json;
    }
    (void)snprintf(error, error_size, "the daemon's list of %s cannot be read", what);
    json_decref(json);
    return NULL;
}

bool swarm_listing_parse(struct swarm_listing *l, const struct swarm_labels *labels, int64_t now_ms,
                         struct swarm_answer services, struct swarm_answer tasks,
                         struct swarm_answer nodes, char *error, size_t error_size)
{
    *l = (struct swarm_listing){.now_ms = now_ms};
    l->services_json = parse_list("services", services, SWARM_SERVICES_MAX, error, error_size);
    l->tasks_json = l->services_json != NULL
                        ? parse_list("tasks", tasks, SWARM_TASKS_MAX, error, error_size)
                        : NULL;
    l->nodes_json = l->tasks_json != NULL
                        ? parse_list("nodes", nodes, SWARM_SERVICES_MAX, error, error_size)
                        : NULL;
    if (l->nodes_json == NULL) {
        return false;
    }
    take_services(l, labels);
    take_tasks(l);
    return true;
}

void swarm_listing_done(struct swarm_listing *l)
{
    free(l->services);
    free(l->tasks);
    json_decref(l->services_json);
    json_decref(l->tasks_json);
    json_decref(l->nodes_json);
    *l = (struct swarm_listing){.services = NULL};
}
