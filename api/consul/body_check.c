/* Definitions of checks. */
#include "api/consul/body.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/consul/keep.h"
#include "server/base/mem.h"
#include "server/base/naming.h"

#define INTERVAL_MS_MAX     (24 * 3600 * 1000)
#define REAP_AFTER_LEAST_MS (60 * 1000)
#define DURATION_SIZE       48

/* What says how a check is run, and the type that it then has. */
static const struct {
    const char *key, *type;
} kinds[] = {{"HTTP", "http"},          {"TCP", "tcp"},           {"UDP", "udp"},
             {"GRPC", "grpc"},          {"H2Ping", "h2ping"},     {"DockerContainerID", "docker"},
             {"Args", "script"},        {"ScriptArgs", "script"}, {"Script", "script"},
             {"AliasService", "alias"}, {"AliasNode", "alias"}};

static bool is_given(const json_t *value)
{
    return (json_is_string(value) && json_string_value(value)[0] != '\0') ||
           json_array_size(value) > 0;
}

static const char *kind_of(const json_t *json)
{
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        if (is_given(body_get(json, kinds[i].key))) {
            return kinds[i].type;
        }
    }
    return NULL;
}

/* As Go writes it: 10m0s, 1s, 500ms. */
static void format_duration(uint32_t ms, char out[DURATION_SIZE])
{
    unsigned hours = ms / 3600000, minutes = ms / 60000 % 60;
    double seconds = ms % 60000 / 1000.0;
    if (ms < 1000 && ms > 0) {
        (void)snprintf(out, DURATION_SIZE, "%" PRIu32 "ms", ms);
    } else if (hours > 0) {
        (void)snprintf(out, DURATION_SIZE, "%uh%um%gs", hours, minutes, seconds);
    } else if (minutes > 0) {
        (void)snprintf(out, DURATION_SIZE, "%um%gs", minutes, seconds);
    } else {
        (void)snprintf(out, DURATION_SIZE, "%gs", seconds);
    }
}

static void set_duration(json_t *json, const char *key, uint32_t ms)
{
    char text[DURATION_SIZE];
    format_duration(ms, text);
    json_object_set_new(json, key, json_string(text));
}

static json_t *definition_of(const json_t *json, uint32_t interval_ms, uint32_t timeout_ms)
{
    static const char *const copied[] = {"HTTP", "Header",        "Method",        "Body",
                                         "TCP",  "TLSServerName", "TLSSkipVerify", "UDP",
                                         "GRPC", "GRPCUseTLS"};
    json_t *d = json_object();
    for (size_t i = 0; i < ARRAY_LENGTH(copied); i++) {
        json_t *value = body_get(json, copied[i]);
        if (value != NULL && !json_is_false(value) &&
            !(json_is_string(value) && json_string_value(value)[0] == '\0')) {
            json_object_set(d, copied[i], value);
        }
    }
    set_duration(d, "Interval", interval_ms);
    if (timeout_ms > 0) {
        set_duration(d, "Timeout", timeout_ms);
    }
    return d;
}

struct times {
    uint32_t ttl, interval, timeout, reap_after;
};

static bool take_times(const json_t *json, const char *kind, struct times *t,
                       struct problem *problem)
{
    if (!body_duration_ms(json, "TTL", TTL_MS_MAX, &t->ttl, problem) ||
        !body_duration_ms(json, "Interval", INTERVAL_MS_MAX, &t->interval, problem) ||
        !body_duration_ms(json, "Timeout", INTERVAL_MS_MAX, &t->timeout, problem) ||
        !body_duration_ms(json, "DeregisterCriticalServiceAfter", REAP_AFTER_MS_MAX, &t->reap_after,
                          problem)) {
        return false;
    }
    if (t->reap_after > 0 && t->reap_after < REAP_AFTER_LEAST_MS) {
        t->reap_after = REAP_AFTER_LEAST_MS;
    }
    if (t->interval > 0 && t->ttl > 0) {
        problem_set(problem, "", "Invalid check: Interval and TTL cannot both be specified");
        return false;
    }
    if (kind != NULL && strcmp(kind, "alias") != 0 && t->interval == 0) {
        problem_set(problem, "",
                    "Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks");
        return false;
    }
    return true;
}

struct said {
    const char *id, *name, *notes, *status;
};

static bool take_texts(const json_t *json, struct said *s, struct problem *problem)
{
    if (!body_text(json, "CheckID", &s->id, problem) ||
        (s->id[0] == '\0' && !body_text(json, "ID", &s->id, problem)) ||
        !body_text(json, "Name", &s->name, problem) ||
        !body_text(json, "Notes", &s->notes, problem) ||
        !body_text(json, "Status", &s->status, problem)) {
        return false;
    }
    return true;
}

static bool check_names(const char *check_id, const char *name, struct problem *problem)
{
    if (!naming_is_text(check_id, strlen(check_id)) || !naming_is_text(name, strlen(name)) ||
        strlen(check_id) > NAME_BYTES_MAX || strlen(name) > NAME_BYTES_MAX) {
        problem_set(problem, "",
                    "Invalid check: an id or name is printable, and has at most %d bytes",
                    NAME_BYTES_MAX);
        return false;
    }
    return true;
}

static bool finish(struct enrolment *e, struct check_spec *spec, const char *check_id,
                   struct slice service_id, json_t *keep, struct problem *problem)
{
    struct buffer key;
    char *extra = keep_dump(keep);
    if (extra == NULL) {
        problem_set(problem, "", "Invalid check: its definition has at most %d bytes",
                    EXTRA_BYTES_MAX);
        return false;
    }
    spec->extra = slice_of(enrolment_own(e, extra));
    buffer_init(&key, 2 * NAME_BYTES_MAX);
    identity_check_key(check_id, service_id, &key);
    spec->key = slice_of(enrolment_own(e, mem_strndup((const char *)key.data, key.len)));
    buffer_done(&key);
    e->checks_count++;
    return true;
}

bool body_check(struct enrolment *e, const json_t *json, const char *default_id,
                const char *default_name, struct slice service_id, bool is_agent,
                struct problem *problem)
{
    struct check_spec spec = {.note = {"", 0}, .status = HEALTH_CRITICAL};
    struct times t = {0};
    struct said said;
    const char *kind = is_agent ? kind_of(json) : NULL;
    if (e->checks_count == CHECKS_MAX) {
        problem_set(problem, "", "Invalid check: a service has at most %d", CHECKS_MAX);
        return false;
    }
    if (!json_is_object(json)) {
        problem_set(problem, "", "Request decode failed: a check must be an object");
        return false;
    }
    if ((is_agent && !take_times(json, kind, &t, problem)) || !take_texts(json, &said, problem)) {
        return false;
    }
    if (said.status[0] != '\0' && !body_status(said.status, &spec.status)) {
        problem_set(problem, "", "Status for checks must 'passing', 'warning', 'critical'");
        return false;
    }
    if (is_agent && kind == NULL && t.ttl == 0) {
        problem->message[0] = '\0'; /* it is none */
        return false;
    }
    const char *check_id = said.id[0] != '\0' ? said.id : default_id;
    const char *name = said.name[0] != '\0' ? said.name : default_name;
    if (!check_names(check_id, name, problem)) {
        return false;
    }
    json_t *keep = json_object();
    json_object_set_new(keep, KEEP_NAME, json_string(name));
    if (said.notes[0] != '\0') {
        json_object_set_new(keep, KEEP_NOTES, json_string(said.notes));
    }
    if (is_agent) {
        json_object_set_new(keep, KEEP_TYPE, json_string(kind != NULL ? kind : "ttl"));
    }
    if (kind != NULL) {
        json_object_set_new(keep, KEEP_DEFINITION, definition_of(json, t.interval, t.timeout));
    }
    spec.ttl_ms = t.ttl;
    spec.reap_after_ms = t.reap_after;
    e->checks[e->checks_count] = spec;
    return finish(e, &e->checks[e->checks_count], check_id, service_id, keep, problem);
}

/* Their default ids have numbers when there are several; an explicit id keeps its place. */
bool body_checks(struct enrolment *e, const json_t *json, struct problem *problem)
{
    const json_t *all[1 + 2 * CHECKS_MAX];
    size_t count = 0, i;
    json_t *one = body_get(json, "Check");
    const json_t *many = body_get(json, "Checks");
    char id[STORED_NAME_SIZE + 32], name[STORED_NAME_SIZE + 32];
    const char *at = strrchr(e->registration.id.data, '@');
    struct slice service = {e->registration.id.data, (size_t)(at - e->registration.id.data)};
    if (one != NULL) {
        all[count++] = one;
    }
    if (many != NULL && !json_is_array(many)) {
        problem_set(problem, "", "Request decode failed: Checks must be an array");
        return false;
    }
    json_array_foreach(many, i, one)
    {
        if (count == ARRAY_LENGTH(all)) {
            problem_set(problem, "", "Invalid check: a service has at most %d", CHECKS_MAX);
            return false;
        }
        all[count++] = one;
    }
    (void)snprintf(name, sizeof name, "Service '%.*s' check", (int)e->registration.name.len,
                   e->registration.name.data);
    for (i = 0; i < count; i++) {
        (void)snprintf(id, sizeof id, count > 1 ? "service:%.*s:%zu" : "service:%.*s",
                       (int)service.len, service.data, i + 1);
        if (!body_check(e, all[i], id, name, service, true, problem) &&
            problem->message[0] != '\0') {
            return false;
        }
    }
    return true;
}
