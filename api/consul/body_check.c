/* Definitions of checks. */
#include "api/consul/body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/consul/keep.h"
#include "api/core/check_kept.h"
#include "server/base/mem.h"
#include "server/base/naming.h"

#define REAP_AFTER_LEAST_MS (60 * 1000)
#define INVALID             "Invalid check: "

/* --- how it is run --- */

/* What says how a check is run. */
static const struct {
    const char *key;
    enum check_kind kind;
} kinds[] = {{"HTTP", CHECK_HTTP}, {"TCP", CHECK_TCP}, {"GRPC", CHECK_GRPC}};

static const char *const scripts[] = {"Args", "ScriptArgs", "Script", "DockerContainerID"};
static const char *const not_run[] = {"UDP", "H2Ping", "AliasService", "AliasNode", "OSService"};

static bool is_given(const json_t *json, const char *key)
{
    const json_t *value = body_get(json, key);
    return (json_is_string(value) && json_string_value(value)[0] != '\0') ||
           json_array_size(value) > 0;
}

/* One that stays critical for ever, as nothing runs it, would be worse than one that is refused. */
static bool check_runnable(const json_t *json, struct problem *problem)
{
    for (size_t i = 0; i < ARRAY_LENGTH(scripts); i++) {
        if (is_given(json, scripts[i])) {
            problem_set(problem, "", "Scripts are disabled on this agent, and cannot be enabled");
            return false;
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(not_run); i++) {
        if (is_given(json, not_run[i])) {
            problem_set(problem, "", INVALID "%s is not run here: HTTP, TCP, GRPC and TTL are",
                        not_run[i]);
            return false;
        }
    }
    return true;
}

/* Clients count from 0 or from 1: both mean the first. */
static bool take_count(const json_t *json, const char *key, uint16_t *count,
                       struct problem *problem)
{
    int64_t value;
    if (!body_integer(json, key, &value, problem)) {
        return false;
    }
    if (value < 0 || value > CHECK_RESULTS_MAX) {
        problem_set(problem, "", INVALID "%s must be from 0 to %d", key, CHECK_RESULTS_MAX);
        return false;
    }
    *count = (uint16_t)(value > 0 ? value : 1);
    return true;
}

static bool take_counts(const json_t *json, struct check_definition *d, struct problem *problem)
{
    if (!take_count(json, "SuccessBeforePassing", &d->rise, problem) ||
        !take_count(json, "FailuresBeforeCritical", &d->fall, problem) ||
        !take_count(json, "FailuresBeforeWarning", &d->warn, problem)) {
        return false;
    }
    if (body_get(json, "FailuresBeforeWarning") == NULL) {
        d->warn = d->fall;
    }
    if (d->warn > d->fall) {
        problem_set(problem, "",
                    INVALID "FailuresBeforeWarning can't be higher than FailuresBeforeCritical");
        return false;
    }
    return true;
}

static bool take_bool(const json_t *json, const char *key, bool *ret, struct problem *problem)
{
    const json_t *value = body_get(json, key);
    if (value != NULL && !json_is_boolean(value)) {
        problem_set(problem, "", "Request decode failed: %s must be true or false", key);
        return false;
    }
    *ret = json_is_true(value);
    return true;
}

/* What is for another kind is ignored. */
static bool take_request(const json_t *json, struct check_definition *d, struct problem *problem)
{
    const char *method;
    bool grpc_tls;
    if (!body_text(json, "Method", &method, problem) ||
        !body_text(json, "Body", &d->body, problem) ||
        !body_text(json, "TLSServerName", &d->server_name, problem) ||
        !take_bool(json, "TLSSkipVerify", &d->skip_verify, problem) ||
        !take_bool(json, "DisableRedirects", &d->disable_redirects, problem) ||
        !take_bool(json, "GRPCUseTLS", &grpc_tls, problem)) {
        return false;
    }
    d->method = method[0] != '\0' ? method : d->method;
    d->tls = d->kind == CHECK_GRPC && grpc_tls;
    if (d->kind != CHECK_HTTP) {
        d->method = "GET";
        d->body = "";
        d->disable_redirects = false;
        return true;
    }
    return check_definition_take_headers(d, body_get(json, "Header"), problem);
}

struct times {
    uint32_t ttl, interval, timeout, reap_after;
};

static bool take_times(const json_t *json, struct times *t, struct problem *problem)
{
    if (!body_duration_ms(json, "TTL", TTL_MS_MAX, &t->ttl, problem) ||
        !body_duration_ms(json, "Interval", CHECK_INTERVAL_MS_MAX, &t->interval, problem) ||
        !body_duration_ms(json, "Timeout", CHECK_INTERVAL_MS_MAX, &t->timeout, problem) ||
        !body_duration_ms(json, "DeregisterCriticalServiceAfter", REAP_AFTER_MS_MAX, &t->reap_after,
                          problem)) {
        return false;
    }
    if (t->reap_after > 0 && t->reap_after < REAP_AFTER_LEAST_MS) {
        t->reap_after = REAP_AFTER_LEAST_MS;
    }
    if (t->interval > 0 && t->ttl > 0) {
        problem_set(problem, "", INVALID "Interval and TTL cannot both be specified");
        return false;
    }
    return true;
}

/* In the registry's words, and what it gives of another range moved into it. */
static bool settle(const struct times *t, struct check_definition *d, struct problem *problem)
{
    struct problem found;
    if (t->interval == 0) {
        problem_set(problem, "",
                    INVALID "Interval must be > 0 for Script, HTTP, TCP, or GRPC checks");
        return false;
    }
    d->interval_ms = t->interval < CHECK_INTERVAL_MS_MIN ? CHECK_INTERVAL_MS_MIN : t->interval;
    uint32_t most = d->interval_ms < CHECK_TIMEOUT_MS_MAX ? d->interval_ms : CHECK_TIMEOUT_MS_MAX;
    d->timeout_ms = t->timeout > most ? most : t->timeout;
    if (d->timeout_ms > 0 && d->timeout_ms < CHECK_TIMEOUT_MS_MIN) {
        d->timeout_ms = CHECK_TIMEOUT_MS_MIN;
    }
    if (!check_definition_settle(d, &found)) {
        problem_set(problem, "", INVALID "%.60s %s", found.field, found.message);
        return false;
    }
    return true;
}

/* Unchanged: it is none that is run. */
static bool take_definition(const json_t *json, const struct times *t, struct check_kept *kept,
                            struct problem *problem)
{
    struct check_definition *d = &kept->definition;
    const char *target;
    size_t i = 0;
    if (!check_runnable(json, problem)) {
        return false;
    }
    while (i < ARRAY_LENGTH(kinds) && !is_given(json, kinds[i].key)) {
        i++;
    }
    if (i == ARRAY_LENGTH(kinds)) {
        return true;
    }
    if (!body_text(json, kinds[i].key, &target, problem)) {
        return false;
    }
    check_definition_init(d, kinds[i].kind, target);
    kept->is_active =
        take_counts(json, d, problem) && take_request(json, d, problem) && settle(t, d, problem);
    return kept->is_active;
}

/* --- one check --- */

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
        problem_set(problem, "", INVALID "an id or name is printable, and has at most %d bytes",
                    NAME_BYTES_MAX);
        return false;
    }
    return true;
}

static bool finish(struct enrolment *e, struct check_spec *spec, const char *check_id,
                   struct slice service_id, const struct check_kept *kept, struct problem *problem)
{
    struct buffer key;
    char *extra = check_kept_make(kept);
    if (extra == NULL) {
        problem_set(problem, "", INVALID "its definition has at most %d bytes", EXTRA_BYTES_MAX);
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
    struct check_kept kept = {.json = NULL};
    if (e->checks_count == CHECKS_MAX) {
        problem_set(problem, "", INVALID "a service has at most %d", CHECKS_MAX);
        return false;
    }
    if (!json_is_object(json)) {
        problem_set(problem, "", "Request decode failed: a check must be an object");
        return false;
    }
    if ((is_agent && !take_times(json, &t, problem)) || !take_texts(json, &said, problem)) {
        return false;
    }
    if (said.status[0] != '\0' && !body_status(said.status, &spec.status)) {
        problem_set(problem, "", "Status for checks must 'passing', 'warning', 'critical'");
        return false;
    }
    const char *check_id = said.id[0] != '\0' ? said.id : default_id;
    const char *name = said.name[0] != '\0' ? said.name : default_name;
    if (!check_names(check_id, name, problem) ||
        (is_agent && !take_definition(json, &t, &kept, problem))) {
        return false;
    }
    if (is_agent && !kept.is_active && t.ttl == 0) {
        problem->message[0] = '\0'; /* it is none */
        return false;
    }
    spec.ttl_ms = t.ttl;
    spec.active = kept.is_active;
    spec.reap_after_ms = t.reap_after;
    kept.name = name;
    kept.notes = said.notes;
    kept.type = kept.is_active ? check_kind_name(kept.definition.kind) : is_agent ? "ttl" : "";
    e->checks[e->checks_count] = spec;
    return finish(e, &e->checks[e->checks_count], check_id, service_id, &kept, problem);
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
            problem_set(problem, "", INVALID "a service has at most %d", CHECKS_MAX);
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
