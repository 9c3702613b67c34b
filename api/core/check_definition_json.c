/* Definitions as JSON. */
#include <stdio.h>
#include <string.h>

#include "api/core/check_definition.h"
#include "api/core/json_in.h"
#include "server/base/compiler.h"

/* --- reading --- */

static bool is_there(const json_t *json, const char *field)
{
    return json_in_is_given(json_object_get(json, field));
}

/* A text of any bytes, to be checked later. Unchanged when it is not there. */
static bool take_text(const json_t *json, const char *field, const char **ret,
                      struct problem *problem)
{
    struct slice text;
    bool present;
    if (!json_in_string(json, field, &text, &present, problem)) {
        return false;
    }
    if (present && strlen(text.data) != text.len) {
        problem_set(problem, field, "must not have a NUL");
        return false;
    }
    *ret = present ? text.data : *ret;
    return true;
}

static bool take_kind(const json_t *json, struct check_definition *d, struct problem *problem)
{
    const char *target = NULL;
    enum check_kind kind = CHECK_HTTP;
    for (unsigned i = CHECK_HTTP; i <= CHECK_GRPC; i++) {
        const char *field = check_kind_name((enum check_kind)i);
        if (is_there(json, field) && target != NULL) {
            problem_set(problem, field, "must not be given beside %s", check_kind_name(kind));
            return false;
        }
        if (is_there(json, field)) {
            kind = (enum check_kind)i;
            if (!take_text(json, field, &target, problem)) {
                return false;
            }
        }
    }
    if (target == NULL) {
        problem_set(problem, "", "a check must have one of http, tcp and grpc");
        return false;
    }
    check_definition_init(d, kind, target);
    return true;
}

/* What other kinds have. */
static bool check_fit(const json_t *json, enum check_kind kind, struct problem *problem)
{
    static const char *const of_http[] = {"method", "headers", "body", "disable_redirects"};
    for (size_t i = 0; kind != CHECK_HTTP && i < ARRAY_LENGTH(of_http); i++) {
        if (is_there(json, of_http[i])) {
            problem_set(problem, of_http[i], "goes with http alone");
            return false;
        }
    }
    if (kind == CHECK_TCP && is_there(json, "tls")) {
        problem_set(problem, "tls", "goes with http or grpc");
        return false;
    }
    return true;
}

static bool take_numbers(const json_t *json, struct check_definition *d, struct problem *problem)
{
    static const char *const fields[] = {"rise", "warn", "fall"};
    uint16_t *const counts[] = {&d->rise, &d->warn, &d->fall};
    bool present;
    if (!json_in_duration(json, "interval", CHECK_INTERVAL_MS_MIN, CHECK_INTERVAL_MS_MAX,
                          &d->interval_ms, &present, problem) ||
        !json_in_duration(json, "timeout", CHECK_TIMEOUT_MS_MIN, CHECK_TIMEOUT_MS_MAX,
                          &d->timeout_ms, &present, problem)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
        uint64_t count = *counts[i];
        if (!json_in_integer(json, fields[i], 1, CHECK_RESULTS_MAX, &count, &present, problem)) {
            return false;
        }
        *counts[i] = (uint16_t)count;
    }
    return true;
}

static bool add_header(struct check_definition *d, const char *name, const json_t *value,
                       struct problem *problem)
{
    if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value)) {
        problem_set(problem, "headers", "must be an object of strings, or of arrays of them");
        return false;
    }
    if (d->headers_count == CHECK_HEADERS_MAX) {
        problem_set(problem, "headers", "must be at most %d", CHECK_HEADERS_MAX);
        return false;
    }
    d->headers[d->headers_count++] = (struct check_header){name, json_string_value(value)};
    return true;
}

bool check_definition_take_headers(struct check_definition *d, const json_t *headers,
                                   struct problem *problem)
{
    const char *name;
    json_t *value;
    const json_t *one;
    size_t i;
    if (json_in_is_given(headers) && !json_is_object(headers)) {
        problem_set(problem, "headers", "must be an object of strings, or of arrays of them");
        return false;
    }
    json_object_foreach((json_t *)(uintptr_t)headers, name, value)
    {
        if (!json_is_array(value) && !add_header(d, name, value, problem)) {
            return false;
        }
        json_array_foreach(value, i, one)
        {
            if (!add_header(d, name, one, problem)) {
                return false;
            }
        }
    }
    return true;
}

static bool take_tls(const json_t *tls, struct check_definition *d, struct problem *problem)
{
    static const char *const known[] = {"enabled", "skip_verify", "server_name", NULL};
    bool enabled = false, present = false;
    if (!json_in_members(tls, "tls", known, problem)) {
        return false;
    }
    bool good = json_in_bool(tls, "enabled", &enabled, &present, problem) &&
                json_in_bool(tls, "skip_verify", &d->skip_verify, &(bool){false}, problem) &&
                take_text(tls, "server_name", &d->server_name, problem);
    if (good && present && d->kind == CHECK_HTTP) {
        problem_set(problem, "enabled", "goes with grpc: a URL says https");
        good = false;
    }
    if (!good) {
        char field[PROBLEM_FIELD_SIZE];
        (void)snprintf(field, sizeof field, "tls.%.100s", problem->field);
        memcpy(problem->field, field, sizeof field);
        return false;
    }
    d->tls = enabled;
    return true;
}

bool check_definition_parse(const json_t *json, struct check_definition *ret,
                            struct problem *problem)
{
    struct check_definition d;
    bool present;
    if (!take_kind(json, &d, problem) || !check_fit(json, d.kind, problem) ||
        !take_numbers(json, &d, problem) || !take_text(json, "method", &d.method, problem) ||
        !check_definition_take_headers(&d, json_object_get(json, "headers"), problem) ||
        !take_text(json, "body", &d.body, problem) ||
        !json_in_bool(json, "disable_redirects", &d.disable_redirects, &present, problem) ||
        (is_there(json, "tls") && !take_tls(json_object_get(json, "tls"), &d, problem)) ||
        !check_definition_settle(&d, problem)) {
        return false;
    }
    *ret = d;
    return true;
}

/* --- writing --- */

static void set_duration(json_t *json, const char *field, uint32_t ms)
{
    bool whole = ms % 1000 == 0;
    json_object_set_new(json, field,
                        json_sprintf("%u%s", whole ? ms / 1000 : ms, whole ? "s" : "ms"));
}

static json_t *headers_of(const struct check_definition *d)
{
    json_t *headers = json_object();
    for (unsigned i = 0; i < d->headers_count; i++) {
        json_t *values = json_object_get(headers, d->headers[i].name);
        if (values == NULL) {
            values = json_array();
            json_object_set_new(headers, d->headers[i].name, values);
        }
        json_array_append_new(values, json_string(d->headers[i].value));
    }
    return headers;
}

static json_t *tls_of(const struct check_definition *d)
{
    json_t *tls = json_object();
    if (d->tls && d->kind == CHECK_GRPC) {
        json_object_set_new(tls, "enabled", json_true());
    }
    if (d->skip_verify) {
        json_object_set_new(tls, "skip_verify", json_true());
    }
    if (d->server_name[0] != '\0') {
        json_object_set_new(tls, "server_name", json_string(d->server_name));
    }
    return tls;
}

/* Takes the reference; nothing that is empty. */
static void set_if_any(json_t *json, const char *field, json_t *value)
{
    if (json_object_size(value) > 0) {
        json_object_set(json, field, value);
    }
    json_decref(value);
}

json_t *check_definition_json(const struct check_definition *d)
{
    json_t *json = json_object();
    json_object_set_new(json, check_kind_name(d->kind), json_string(d->target));
    set_duration(json, "interval", d->interval_ms);
    set_duration(json, "timeout", d->timeout_ms);
    if (d->rise > 1) {
        json_object_set_new(json, "rise", json_integer(d->rise));
    }
    if (d->warn < d->fall) {
        json_object_set_new(json, "warn", json_integer(d->warn));
    }
    if (d->fall > 1) {
        json_object_set_new(json, "fall", json_integer(d->fall));
    }
    if (strcmp(d->method, "GET") != 0) {
        json_object_set_new(json, "method", json_string(d->method));
    }
    set_if_any(json, "headers", headers_of(d));
    if (d->body[0] != '\0') {
        json_object_set_new(json, "body", json_string(d->body));
    }
    if (d->disable_redirects) {
        json_object_set_new(json, "disable_redirects", json_true());
    }
    set_if_any(json, "tls", tls_of(d));
    return json;
}
